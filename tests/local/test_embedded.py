"""A data folder's own servers: one starts them, others join, nobody loses them in the middle."""

from __future__ import annotations

import stat
import tempfile
import threading
from pathlib import Path

import psycopg
import pytest

from microtasks.core.errors import Conflict, SettingsInvalid
from microtasks.local import embedded, servers
from microtasks.local.supervisor import Supervisor
from microtasks.settings import Settings


@pytest.fixture
def bare(servers_folder: Path) -> Settings:
    """Settings with nothing but a data folder."""
    folder = Path(tempfile.mkdtemp(dir=servers_folder))
    folder.chmod(0o755)
    return Settings(data=folder / "data", database_url="", redis_url="", secret_key="")


def answers(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def test_with_both_urls_nothing_is_started(bare: Settings):
    given = bare.model_copy(update={"database_url": "postgresql://db", "redis_url": "redis://queue"})
    with embedded.joined(given) as (settings, is_ours):
        assert (settings, is_ours) == (given, False)
    assert not bare.data.exists()


def test_a_second_command_joins_and_the_first_waits_for_it(bare: Settings):
    """The servers stop only when the last command is done with them."""
    joined, may_end, ended = threading.Event(), threading.Event(), threading.Event()
    found: list[str] = []

    def second() -> None:
        with embedded.joined(bare) as (settings, is_ours):
            assert not is_ours
            found.append(settings.database_url)
            joined.set()
            may_end.wait(20)
            found.append("answers" if answers(settings.database_url) else "gone")
        ended.set()

    thread = threading.Thread(target=second)
    with embedded.joined(bare) as (settings, is_ours):
        assert is_ours
        thread.start()
        assert joined.wait(20)
        threading.Timer(0.3, may_end.set).start()
    assert ended.wait(20)
    thread.join()
    assert found == [settings.database_url, "answers"]
    assert not answers(settings.database_url)
    assert embedded.state(bare.data) is None


def test_a_folder_in_use_is_not_started_twice(bare: Settings):
    data = embedded.prepare(bare.data)
    with embedded.lock(data / "lock") as mine:
        assert mine
        with embedded.lock(data / "lock") as second:
            assert not second
        with pytest.raises(Conflict, match="try again"), embedded.joined(bare, patience_s=0):
            pass


def test_a_copy_of_a_folder_does_not_share_its_database(bare: Settings, servers_folder: Path):
    """The note that says where the database lies is copied along with the folder."""
    elsewhere = servers_folder / "elsewhere"
    elsewhere.mkdir()
    data = embedded.prepare(bare.data)
    (data / "pg.path").write_text(str(elsewhere / "pg"))
    with (
        embedded.lock(elsewhere / "lock"),
        pytest.raises(Conflict, match="copy"),
        embedded.started(bare, Supervisor(print)),
    ):
        pass


def test_the_secret_is_made_once_and_closed(bare: Settings):
    first, second = embedded.with_secret(bare), embedded.with_secret(bare)
    assert first.secret_key == second.secret_key
    assert len(first.secret_key.get_secret_value()) >= 32
    assert stat.S_IMODE((bare.data / "secret").stat().st_mode) == 0o600


def test_T36_production_does_not_get_a_secret_made(bare: Settings):
    public = bare.model_copy(update={"production": True})
    assert embedded.with_secret(public) == public
    assert not bare.data.exists()


def test_a_folder_that_cannot_be_written_is_one_plain_sentence():
    with pytest.raises(SettingsInvalid, match="cannot be written"):
        embedded.prepare(Path("/dev/null/data"))


def test_no_database_is_made_where_the_queue_cannot_start(bare: Settings, monkeypatch: pytest.MonkeyPatch):
    """The next start, with another PostgreSQL installed by then, would not get on with it."""

    def there_is_none() -> Path:
        raise SettingsInvalid("There is no Valkey or Redis")

    monkeypatch.setattr(servers, "valkey_program", there_is_none)
    with pytest.raises(SettingsInvalid, match="no Valkey"), embedded.joined(bare):
        pass
    assert not (bare.data / "pg").exists() and not (bare.data / "pg.path").exists()
