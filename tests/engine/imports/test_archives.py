"""ZIP files from strangers: nothing is extracted, bombs are refused unread, names are only labels."""

import io
import json
import stat
import struct
import time
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from microtasks.core.errors import FileInvalid, RowInvalid
from microtasks.engine.imports.archives import MANIFEST, Contents
from microtasks.settings import Settings

Write = Callable[..., Path]


@pytest.fixture
def limits(tmp_path: Path) -> Settings:
    return Settings(data=tmp_path / "data", max_batch_files=100, max_unpacked_bytes=1 << 30)


@pytest.fixture
def upload(tmp_path: Path) -> Write:
    """Write files as an upload folder holds them: `upload(("a.zip", bytes), ...)`."""

    def write(*files: tuple[str, bytes]) -> Path:
        folder = tmp_path / "upload"
        folder.mkdir(exist_ok=True)
        for number, (_, content) in enumerate(files):
            (folder / str(number)).write_bytes(content)
        manifest = [{"name": name, "file": str(number)} for number, (name, _) in enumerate(files)]
        (folder / MANIFEST).write_text(json.dumps(manifest))
        return folder

    return write


def zipped(*entries: tuple[str | zipfile.ZipInfo, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return packed.getvalue()


def entry(name: str, mode: int = 0) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    return info


def declaring(packed: bytes, size: int) -> bytes:
    """The same ZIP, whose directories say another unpacked size for the one entry."""
    local, central = packed.index(b"PK\x03\x04"), packed.index(b"PK\x01\x02")
    raw = bytearray(packed)
    raw[local + 22 : local + 26] = raw[central + 24 : central + 28] = struct.pack("<L", size)
    return bytes(raw)


def overlapping(n_entries: int) -> bytes:
    """Many directory entries for the one body of a megabyte."""
    info = zipfile.ZipInfo("0")
    info.compress_type = zipfile.ZIP_DEFLATED
    one = zipped((info, b"\0" * (1 << 20)))
    central, end = one.index(b"PK\x01\x02"), one.index(b"PK\x05\x06")
    body, record = one[:central], one[central:end]
    tail = struct.pack(
        "<4s4H2LH", b"PK\x05\x06", 0, 0, n_entries, n_entries, len(record) * n_entries, central, 0
    )
    return body + record * n_entries + tail


def test_members_are_listed_in_order_without_what_systems_add(upload: Write, limits: Settings) -> None:
    packed = zipped(
        ("photos/", b""),
        ("photos/a.png", b"A"),
        ("__MACOSX/photos/._a.png", b"x"),
        ("photos/.DS_Store", b"x"),
        ("photos/Thumbs.db", b"x"),
        ("b.png", b"B"),
    )
    with Contents(upload(("c.png", b"C"), ("all.ZIP", packed)), limits) as contents:
        assert [(m.number, m.name, m.read(10)) for m in contents.members] == [
            (1, "c.png", b"C"),
            (2, "photos/a.png", b"A"),
            (3, "b.png", b"B"),
        ]


BOMBS = {
    "ratio": zipped(("a.png", b"\0" * (65 << 20))),
    "overlap": overlapping(90),
    "too many": zipped(*((f"{n}.png", b"") for n in range(101))),
    "declared size": declaring(zipped(("a.png", b"x")), 0xFFFFFFF0),
    "directory": struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, 0xFFFFFFF0, 0, 0),
    "not a ZIP": b"hello",
    "empty": b"",
    "cut off": zipped(("a.png", b"x" * 1000))[:-30],
    "names not UTF-8": zipped(("\u00e4\u0444.png", b"x")).replace(
        "\u00e4\u0444".encode(), b"\xff\xff\xff\xff"
    ),
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS.keys())
def test_T01_a_bomb_is_refused_before_it_is_read(bomb: bytes, upload: Write, limits: Settings) -> None:
    folder = upload(("a.zip", bomb))
    tracemalloc.start()
    begun = time.process_time()
    with pytest.raises(FileInvalid) as refused:
        Contents(folder, limits)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert time.process_time() - begun < 1
    assert peak < 5 << 20
    assert refused.value.message.endswith((".", "refused."))


@pytest.mark.parametrize("size", [5, 2000])
def test_T01_a_size_that_lies_is_found_while_reading(size: int, upload: Write, limits: Settings) -> None:
    packed = declaring(zipped(("a.png", b"x" * 1000), ("b.png", b"B")), size)
    with Contents(upload(("a.zip", packed)), limits) as contents:
        with pytest.raises(RowInvalid, match="damaged"):
            contents.members[0].read(10_000)
        assert contents.members[1].read(10) == b"B"


def test_T01_only_so_many_bytes_of_one_file_are_read(upload: Write, limits: Settings) -> None:
    with (
        Contents(upload(("a.png", b"x" * 1000)), limits) as contents,
        pytest.raises(RowInvalid, match="larger"),
    ):
        contents.members[0].read(999)


@pytest.mark.parametrize(
    "name", ["../a.png", "/etc/a.png", "C:\\a.png", "a/../../b.png", "..\\a.png", "x" * 300 + ".png"]
)
def test_T02_names_that_point_outside_are_listed_and_nothing_is_written(
    name: str, upload: Write, limits: Settings, tmp_path: Path
) -> None:
    folder = upload(("a.zip", zipped((name, b"x"), ("ok.png", b"ok"))))
    before = sorted(tmp_path.rglob("*"))
    with Contents(folder, limits) as contents:
        bad, good = contents.members
        with pytest.raises(RowInvalid, match=r"name of this file"):
            bad.read(10)
        assert good.read(10) == b"ok"
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("kind", "part"), [(stat.S_IFLNK, "link"), (stat.S_IFIFO, "link"), (stat.S_IFCHR, "device")]
)
def test_T03_links_and_devices_are_listed(kind: int, part: str, upload: Write, limits: Settings) -> None:
    packed = zipped((entry("a.png", kind | 0o777), b"/etc/passwd"), (entry("b.png", stat.S_IFREG), b"B"))
    with Contents(upload(("a.zip", packed)), limits) as contents:
        with pytest.raises(RowInvalid, match=part):
            contents.members[0].read(100)
        assert contents.members[1].read(10) == b"B"


def test_T03_encrypted_and_oddly_packed_files_are_listed(upload: Write, limits: Settings) -> None:
    for method in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        folder = upload(("a.zip", zipped(("a.png", b"x"), method=method)))
        with Contents(folder, limits) as contents, pytest.raises(RowInvalid, match="unusual"):
            contents.members[0].read(10)
    raw = bytearray(zipped(("a.png", b"x")))
    raw[raw.index(b"PK\x01\x02") + 8] |= 1
    raw[raw.index(b"PK\x03\x04") + 6] |= 1
    with (
        Contents(upload(("a.zip", bytes(raw))), limits) as contents,
        pytest.raises(RowInvalid, match="password"),
    ):
        contents.members[0].read(10)


def test_T03_a_name_that_comes_twice_is_listed_each_time(upload: Write, limits: Settings) -> None:
    with pytest.warns(UserWarning, match="Duplicate"):
        packed = zipped(("a.png", b"1"), ("a.png", b"2"), ("b.png", b"B"))
    with Contents(upload(("a.zip", packed)), limits) as contents:
        assert ["more than once" in m.problem or "another file" in m.problem for m in contents.members] == [
            True,
            True,
            False,
        ]


def test_T03_a_body_whose_checksum_is_wrong_is_listed(upload: Write, limits: Settings) -> None:
    raw = bytearray(zipped(("a.png", b"x" * 100), method=zipfile.ZIP_STORED))
    raw[60] ^= 1
    with (
        Contents(upload(("a.zip", bytes(raw))), limits) as contents,
        pytest.raises(RowInvalid, match="damaged"),
    ):
        contents.members[0].read(1000)


def test_T03_a_local_name_that_differs_is_listed(upload: Write, limits: Settings) -> None:
    raw = zipped(("a.png", b"x"))
    raw = raw.replace(b"a.png", b"b.png", 1)
    with Contents(upload(("a.zip", raw)), limits) as contents, pytest.raises(RowInvalid, match="damaged"):
        contents.members[0].read(10)


@pytest.mark.parametrize(
    ("asked", "beside", "found"),
    [
        ("photos/A.png", "", "photos/A.png"),
        ("A.png", "", "photos/A.png"),
        ("a.PNG", "", "photos/A.png"),
        ("A.png", "photos/t.csv", "photos/A.png"),
        (".\\photos\\a.png", "", "photos/A.png"),
        ("C:\\Users\\ada\\A.png", "", "photos/A.png"),
        ("u\u0308.png", "", "\u00fc.png"),
        ("two/x.png", "", "two/x.png"),
        ("x.png", "two/t.csv", "two/x.png"),
    ],
)
def test_a_table_finds_its_images_however_their_names_are_written(
    asked: str, beside: str, found: str, upload: Write, limits: Settings
) -> None:
    packed = zipped(*((name, b"") for name in ("photos/A.png", "\u00fc.png", "one/x.png", "two/x.png")))
    with Contents(upload(("a.zip", packed)), limits) as contents:
        assert contents.find(asked, beside).name == found


@pytest.mark.parametrize(
    ("asked", "part"),
    [("x.png", "2 files"), ("z.png", "not in the upload"), ("https://a/b.png", "web addresses")],
)
def test_an_image_that_is_not_clear_is_not_guessed(
    asked: str, part: str, upload: Write, limits: Settings
) -> None:
    packed = zipped(("one/x.png", b""), ("two/x.png", b""))
    with Contents(upload(("a.zip", packed)), limits) as contents, pytest.raises(RowInvalid, match=part):
        contents.find(asked)


def test_names_written_in_utf8_without_saying_so_are_read(upload: Write, limits: Settings) -> None:
    packed = zipped(("Zoxx.p", b"")).replace(b"Zoxx", b"Zo\xc3\xab")
    with Contents(upload(("a.zip", packed)), limits) as contents:
        assert contents.members[0].name == "Zo\u00eb.p"


def test_the_table_nearest_the_top_is_the_table(upload: Write, limits: Settings) -> None:
    with Contents(upload(("a.zip", zipped(("d/t.csv", b""), ("d/old/u.csv", b"")))), limits) as contents:
        table = contents.table()
        assert table is not None and table.name == "d/t.csv"
    folder = upload(("a.zip", zipped(("d/t.csv", b""), ("d/u.tsv", b""))))
    with (
        Contents(folder, limits) as contents,
        pytest.raises(FileInvalid, match=r"2 tables .*d/t.csv, d/u.tsv"),
    ):
        contents.table()
