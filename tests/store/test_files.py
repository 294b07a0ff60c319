"""Files in the data folder and on S3-compatible storage keep the same promises."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from microtasks.core.errors import SettingsInvalid, Unavailable
from microtasks.settings import Settings
from microtasks.store.files import Bucket, Files, Folders, open_storage


@pytest.fixture(params=["folder", "bucket"])
def places(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Files, Folders]:
    address = request.getfixturevalue("storage") if request.param == "bucket" else ""
    return open_storage(tmp_path, address)


def test_what_is_put_is_read_by_its_hash_and_putting_it_again_changes_nothing(places: tuple[Files, Folders]):
    files, _ = places
    digest = files.put("derived", b"picture")
    assert files.put("derived", b"picture") == digest
    assert files.read("derived", digest) == b"picture"
    with pytest.raises(FileNotFoundError):
        files.read("originals", digest)
    absent = [("originals", digest), ("derived", "0" * 64)]
    assert files.missing([("derived", digest), *absent]) == absent


@pytest.mark.parametrize("name", ["../../secret", "a" * 63, "A" * 64, "/" + "a" * 63])
def test_T02_nothing_but_a_hash_is_a_name(name: str, places: tuple[Files, Folders]):
    with pytest.raises(ValueError, match="not a stored file"):
        places[0].read("derived", name)


def test_what_a_child_process_wrote_to_the_folder_is_handed_on_once(places: tuple[Files, Folders]):
    files, _ = places
    digest = Files(files.root).put("derived", b"from a child")
    files.publish([("derived", digest), ("derived", digest)])
    assert files.read("derived", digest) == b"from a child"
    assert files.path("derived", digest).exists() == (files.bucket is None)


def test_a_kept_folder_is_there_for_every_host(tmp_path: Path, storage: str):
    here, there = (Folders(tmp_path / host / "uploads", Bucket(storage)) for host in ("a", "b"))
    here.path("x").mkdir(parents=True)
    (here.path("x") / "000000").write_bytes(b"1" * 20_000_000)  # larger than one part
    (here.path("x") / "list").write_bytes(b"[]")
    here.keep("x")
    assert not here.path("x").exists()

    found = there.fetch("x")
    assert found.is_relative_to(tmp_path / "b")
    assert {path.name: path.stat().st_size for path in found.iterdir()} == {"000000": 20_000_000, "list": 2}
    there.drop("x")
    for place in (here, there):
        with pytest.raises(FileNotFoundError):
            place.fetch("x")


def test_old_folders_are_named_and_young_ones_are_not(places: tuple[Files, Folders]):
    _, folders = places
    folders.path("x").mkdir(parents=True)
    (folders.path("x") / "a").write_bytes(b"a")
    if folders.bucket is None:
        os.utime(folders.path("x"), (time.time() - 100,) * 2)
    folders.keep("x")
    assert folders.older(3600) == set()
    assert folders.older(50 if folders.bucket is None else -3600) == {"x"}


def test_storage_that_does_not_answer_is_said_plainly(storage: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("microtasks.store.files.RETRY_SECONDS", 0)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    bucket = Bucket(storage)
    with pytest.raises(Unavailable, match="storage of images does not answer"):
        bucket.read("media/x")
    with pytest.raises(Unavailable):
        list(bucket.names("media/"))


@pytest.mark.parametrize("address", ["https://example.org/pictures", "bucket", "s3:///prefix"])
def test_an_address_that_is_no_bucket_is_refused(address: str, settings: Settings):
    wrong = settings.model_copy(update={"storage": address})
    with pytest.raises(SettingsInvalid, match="MICROTASKS_STORAGE"):
        wrong.check()
