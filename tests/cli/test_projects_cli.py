"""`microtasks project`, `import`, `export`: data on stdout, talk on stderr, exit 0 only when it was done."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import builders
import pytest
from builders import CONFIGS, NO, YES
from PIL import Image

from microtasks.cli import projects as command
from microtasks.engine.site import Site
from microtasks.store.projects import projects

Cli = Callable[..., Any]


@pytest.fixture(autouse=True)
def no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """No worker runs here: do not wait for one."""
    monkeypatch.setattr(command, "WORKER_SECONDS", 0.0)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "config.json"
    file.write_text(json.dumps(CONFIGS["question"]))
    return file


def create(cli: Cli, config: Path, *more: object) -> str:
    made = cli("project", "create", "--type", "question", "--name", "Race", "--config", config, *more)
    assert made.exit_code == 0, made.output
    return str(made.stdout).strip()


def test_create_prints_the_slug_alone(cli: Cli, config: Path, site: Site) -> None:
    assert create(cli, config, "--redundancy", 3, "--publish") == "race"
    assert create(cli, config, "--redundancy", 5, "--answers-min", 3) == "race-2"
    with site.db.session() as session:
        first, second = projects.all_projects(session)
    assert (first.state, first.redundancy, first.answers_min, first.stop_rule) == (
        "published",
        3,
        3,
        "redundancy",
    )
    assert (second.state, second.redundancy, second.answers_min, second.stop_rule) == (
        "draft",
        5,
        3,
        "agreement",
    )
    assert first.account_id is None


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--type", "riddle"], "no task type"),
        (["--redundancy", "0"], "redundancy"),
        (["--redundancy", "2", "--answers-min", "3"], "fewest answers"),
        (["--name", " "], "name"),
        (["--owner", "nobody@example.org"], "no account"),
    ],
)
def test_what_cannot_be_made_says_why(cli: Cli, config: Path, options: list[str], said: str) -> None:
    given = ["--type", "question", "--name", "Race", "--config", str(config), *options]
    result = cli("project", "create", *given)
    assert result.exit_code != 0 and result.stdout == "" and said in result.stderr


def test_a_config_that_does_not_fit_is_listed(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "c.json"
    for text, said in (
        ('{"fields": [{"id": "a", "kind": "choice"}]}', "fields.0"),
        ("{", "JSON"),
        ("[]", ""),
    ):
        file.write_text(text)
        result = cli("project", "create", "--type", "question", "--name", "x", "--config", file)
        assert result.exit_code == 1 and said in result.stderr and "Traceback" not in result.stderr


def test_the_list_names_slugs_whole(cli: Cli, config: Path) -> None:
    """They are to be copied; a terminal of eighty columns once broke them."""
    name = "A name that is too long for a narrow screen"
    slug = cli("project", "create", "--type", "question", "--name", name, "--config", config).stdout.strip()
    assert len(slug) > 35 and f" {slug} " in cli("project", "list").stdout


def test_list_and_show(cli: Cli, config: Path) -> None:
    create(cli, config)
    assert "race" in cli("project", "list").stdout
    (listed,) = json.loads(cli("project", "list", "--json").stdout)
    assert (listed["slug"], listed["state"], listed["progress"]["tasks"]) == ("race", "draft", 0)
    shown = json.loads(cli("project", "show", "race", "--json").stdout)
    assert shown["config"]["fields"][0]["id"] == "answer" and shown["redundancy"] == 5
    assert "redundancy" in cli("project", "show", "race").stdout
    missing = cli("project", "show", "nothing")
    assert missing.exit_code == 1 and "nothing" in missing.stderr


def test_import_without_a_worker_is_done_here(cli: Cli, config: Path, tmp_path: Path, site: Site) -> None:
    create(cli, config, "--publish")
    rows = tmp_path / "rows.jsonl"
    rows.write_text("\n".join(json.dumps({"id": f"q{n}", "text": f"Statement {n}"}) for n in (1, 2, 2)))
    result = cli("import", "race", rows)
    assert result.exit_code == 0, result.output
    assert result.stdout == "2 tasks made, 1 rows failed.\n"
    assert "q2" in result.stderr and "3" in result.stderr
    with site.db.connection() as connection:
        assert connection.execute("SELECT state, count(*) FROM job GROUP BY 1").fetchall() == [("done", 1)]
    again = cli("import", "race", rows)
    assert again.exit_code == 1 and "Nothing was imported" in again.stderr


def test_a_folder_a_zip_and_images_with_a_table(cli: Cli, config: Path, tmp_path: Path) -> None:
    create(cli, config)
    folder = tmp_path / "in" / "deep"
    folder.mkdir(parents=True)
    for n, name in enumerate(("in/deep/a", "in/deep/b", "c", "d", "e")):
        Image.new("RGB", (40, 30), (n, 80, 40)).save(tmp_path / f"{name}.png")
    assert cli("import", "race", tmp_path / "in").stdout.startswith("2 tasks")
    with zipfile.ZipFile(tmp_path / "more.zip", "w") as archive:
        archive.write(tmp_path / "c.png", "zipped.png")
    assert cli("import", "race", tmp_path / "more.zip").stdout.startswith("1 tasks")
    (tmp_path / "t.csv").write_text("id,image\nrow,d.png\n")
    assert cli("import", "race", tmp_path / "t.csv", tmp_path / "d.png").stdout.startswith("1 tasks")
    tiled = cli("import", "race", tmp_path / "e.png", "--tile", 30, "--overlap", 10)
    assert tiled.stdout.startswith("2 tasks")


def test_import_without_waiting_leaves_it_to_a_worker(
    cli: Cli, config: Path, tmp_path: Path, site: Site
) -> None:
    create(cli, config)
    (tmp_path / "t.csv").write_text("id,text\n1,a\n")
    result = cli("import", "race", tmp_path / "t.csv", "--no-wait")
    assert (result.exit_code, result.stdout) == (0, "")
    with site.db.connection() as connection:
        assert connection.execute("SELECT state FROM job").fetchall() == [("queued",)]


def test_export_to_stdout_a_file_and_a_folder(cli: Cli, site: Site, tmp_path: Path) -> None:
    made = builders.project(site, slug="race")
    (task,) = builders.tasks(site, made, 1)
    builders.answers(site, made, task, [YES, NO])
    plain = cli("export", "race", "--what", "answers", "--format", "csv", "--out", "-")
    assert plain.exit_code == 0 and plain.stderr == ""
    assert len(list(csv.reader(io.StringIO(plain.stdout)))) == 3
    for name in ("a.csv", "a.csv.gz"):
        written = cli("export", "race", "--out", tmp_path / name)
        assert (written.exit_code, written.stdout) == (0, "")
    content = (tmp_path / "a.csv").read_bytes()
    assert gzip.decompress((tmp_path / "a.csv.gz").read_bytes()) == content == plain.stdout_bytes
    folder = cli("export", "race", "--format", "jsonl", "--out", f"{tmp_path}/new/")
    assert folder.exit_code == 0
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == [
        *("CITATION.cff", "README.md", "SHA256SUMS", "croissant.json", "datapackage.json"),
        *("race-answers.jsonl", "race-columns.csv"),
    ]


@pytest.mark.parametrize(
    "options",
    [["--what", "secrets"], ["--format", "docx"], ["--what", "marks"], ["--out", "/no/such/folder/a.csv"]],
)
def test_an_export_that_cannot_be_leaves_no_file(cli: Cli, site: Site, options: list[str]) -> None:
    builders.project(site, slug="race")
    result = cli("export", "race", *options)
    assert result.exit_code == 1 and result.stdout == "" and "Traceback" not in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_every_command_explains_itself(cli: Cli) -> None:
    for words in (
        ["project"],
        ["project", "create"],
        ["project", "list"],
        ["project", "show"],
        ["import"],
        ["export"],
    ):
        result = cli(*words, "--help")
        assert result.exit_code == 0 and "Usage:" in result.stdout
