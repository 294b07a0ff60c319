"""One image: decoded once, upright, without metadata; what is harmful or damaged is refused with a reason."""

import io
import random
import resource
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile, PngImagePlugin

from microtasks.core.errors import RowInvalid
from microtasks.engine.imports import decode
from microtasks.engine.imports.decode import Derived
from microtasks.engine.imports.decode_pool import Pool
from microtasks.store.files import Files

MARKER = b"GPS-52.5200N"
MAX_PIXELS = 50_000_000


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path / "media")


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pool]:
    with Pool(tmp_path_factory.mktemp("pool"), MAX_PIXELS) as pool:
        yield pool


def picture(width: int = 400, height: int = 300, mode: str = "RGB") -> Image.Image:
    """Red left, blue right, with a bright upper edge: so that one sees which way up it is."""
    made = Image.new("RGB", (width, height), (200, 0, 0))
    made.paste((0, 0, 200), (width // 2, 0, width, height))
    made.paste((255, 255, 255), (0, 0, width, max(1, height // 10)))
    return made.convert(mode)


def saved(made: Image.Image, format: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    made.save(file, format, **options)
    return file.getvalue()


def derived(content: bytes, ending: str, files: Files, **options: int) -> list[Derived]:
    return list(decode.derive(content, ending, files, MAX_PIXELS, **options))


def shown(files: Files, one: Derived, index: int = -1) -> Image.Image:
    made = Image.open(files.path("derived", one.derivatives[index]["sha256"]))
    made.load()
    return made


@pytest.mark.parametrize(
    ("size", "widths"),
    [
        ((2048, 1536), [320, 640, 1024, 1600]),
        ((1600, 10), [320, 640, 1024, 1600]),
        ((1200, 900), [320, 640, 1024, 1200]),
        ((640, 480), [320, 640]),
        ((500, 500), [320, 500]),
        ((320, 1), [320]),
        ((90, 60), [90]),
        ((1, 1), [1]),
        ((200, 40_000), [81]),
    ],
)
def test_copies_are_never_larger_than_the_original(
    size: tuple[int, int], widths: list[int], files: Files
) -> None:
    (one,) = derived(saved(picture(*size)), ".png", files)
    assert (one.width, one.height) == size
    assert [copy["width"] for copy in one.derivatives] == widths
    for index, copy in enumerate(one.derivatives):
        assert copy["height"] == max(1, round(size[1] * copy["width"] / size[0]))
        made = shown(files, one, index)
        assert made.format == "WEBP" and made.size == (copy["width"], copy["height"])


def test_one_decode_an_image(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[tuple[int, int]] = []
    load = ImageFile.ImageFile.load

    def counted(self: ImageFile.ImageFile) -> object:
        if self.tile:
            decoded.append(self.size)
        return load(self)

    monkeypatch.setattr(ImageFile.ImageFile, "load", counted)
    derived(saved(picture(2048, 1536), "JPEG"), ".jpg", files)
    derived(saved(picture(1000, 1000)), ".png", files, tile_px=250)
    assert decoded == [(2048, 1536), (1000, 1000)]


def test_a_large_jpeg_is_decoded_at_a_part_of_its_size(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[tuple[int, int]] = []
    plain = decode._plain
    monkeypatch.setattr(decode, "_plain", lambda made: decoded.append(made.size) or plain(made))
    (one,) = derived(saved(picture(6400, 800), "JPEG"), ".jpg", files)
    assert decoded == [(1600, 200)]
    assert (one.width, one.height) == (6400, 800)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_exif_orientation_is_applied_and_sizes_are_the_upright_ones(
    orientation: int, format: str, files: Files
) -> None:
    upright = picture(2000, 1000)
    turned = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = saved(upright.transpose(turned[orientation]) if orientation > 1 else upright, format, exif=exif)
    (one,) = derived(content, f".{format.lower()}", files)
    assert (one.width, one.height) == (2000, 1000)
    made = shown(files, one, 0).convert("RGB")
    assert made.size == (320, 160)
    (red, _, _), (_, _, blue), (_, green, _) = (
        made.getpixel((40, 120)),
        made.getpixel((280, 120)),
        made.getpixel((160, 4)),
    )
    assert red > 150 and blue > 150 and green > 200


def with_marker(where: str) -> tuple[bytes, str]:
    """An image whose bytes hold a place's coordinates somewhere."""
    made = picture()
    exif = Image.Exif()
    exif[0x010E] = MARKER.decode()
    exif.get_ifd(0x8825)[29] = MARKER.decode()
    jpeg = saved(made, "JPEG")

    def segment(kind: int, body: bytes) -> bytes:
        return jpeg[:2] + bytes((0xFF, kind)) + struct.pack(">H", len(body) + 2) + body + jpeg[2:]

    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", MARKER.decode())
    info.add_itxt("XML:com.adobe.xmp", MARKER.decode())
    profile = b"\0" * 40 + MARKER
    return {
        "JPEG EXIF": (saved(made, "JPEG", exif=exif), ".jpg"),
        "JPEG comment": (segment(0xFE, MARKER), ".jpg"),
        "JPEG XMP": (segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + MARKER), ".jpg"),
        "JPEG after the end": (jpeg + MARKER, ".jpg"),
        "JPEG profile": (saved(made, "JPEG", icc_profile=profile), ".jpg"),
        "PNG texts": (saved(made, "PNG", pnginfo=info), ".png"),
        "PNG EXIF": (saved(made, "PNG", exif=exif), ".png"),
        "WebP EXIF": (saved(made, "WEBP", exif=exif), ".webp"),
        "WebP XMP": (saved(made, "WEBP", xmp=MARKER), ".webp"),
        "GIF comment": (saved(made, "GIF", comment=MARKER), ".gif"),
    }[where]


JPEG_PLACES = ("JPEG EXIF", "JPEG comment", "JPEG XMP", "JPEG after the end", "JPEG profile")
PLACES = (*JPEG_PLACES, "PNG texts", "PNG EXIF", "WebP EXIF", "WebP XMP", "GIF comment")


@pytest.mark.parametrize("where", PLACES)
def test_T06_no_metadata_reaches_a_copy(where: str, files: Files) -> None:
    content, ending = with_marker(where)
    (one,) = derived(content, ending, files)
    copies = [files.path("derived", copy["sha256"]).read_bytes() for copy in one.derivatives]
    assert MARKER in content or where == "PNG texts"
    assert not any(MARKER in copy or b"EXIF" in copy or b"ICCP" in copy or b"XMP " in copy for copy in copies)
    assert files.path("originals", one.sha256).read_bytes() == content


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I", "F", "YCbCr"])
def test_T05_every_kind_of_pixels_becomes_a_plain_picture(mode: str, files: Files) -> None:
    grey = Image.fromarray(np.tile(np.arange(400, dtype=np.uint16) * 9 + 1000, (300, 1)))
    made = grey if mode == "I;16" else picture(mode="RGB" if mode in ("I", "F") else mode)
    if mode in ("CMYK", "YCbCr"):
        content, ending = saved(made, "JPEG"), ".jpg"
    else:
        content, ending = saved(made), ".png"
    (one,) = derived(content, ending, files)
    assert shown(files, one).size == (400, 300)


def test_16_bit_greys_use_the_whole_range_despite_a_hot_pixel(files: Files) -> None:
    values = np.tile(np.linspace(1000, 1400, 400).astype(np.uint16), (300, 1))
    values[5, 5], values[9, 9] = 65_535, 0
    (one,) = derived(saved(Image.fromarray(values)), ".png", files)
    made = np.asarray(shown(files, one).convert("L"))
    assert made[150, 5] < 10 and made[150, 394] > 245 and abs(int(made[150, 200]) - 128) < 10


def test_what_is_transparent_is_white(files: Files) -> None:
    made = Image.new("RGBA", (100, 100), (0, 0, 0, 0))
    made.paste((255, 0, 0, 255), (0, 0, 50, 100))
    (one,) = derived(saved(made), ".png", files)
    assert min(shown(files, one).convert("RGB").getpixel((80, 50))) > 250


def test_only_the_first_frame_of_an_animation(files: Files) -> None:
    frames = [Image.new("RGB", (60, 40), colour) for colour in ("red", "green", "blue")]
    (one,) = derived(saved(frames[0], "GIF", save_all=True, append_images=frames[1:]), ".gif", files)
    assert shown(files, one).convert("RGB").getpixel((30, 20))[0] > 200


def big_png(width: int, height: int) -> bytes:
    """A PNG of so many black pixels, small as a file."""
    squeeze = zlib.compressobj(9)
    rows = b"".join(squeeze.compress(b"\0" * (width + 1)) for _ in range(height)) + squeeze.flush()

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">L", len(body)) + kind + body + struct.pack(">L", zlib.crc32(kind + body))

    header = struct.pack(">2L5B", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


BAD = {
    "empty": (b"", ".png", "empty"),
    "text": (b"not an image at all", ".jpg", "not an image"),
    "random": (random.Random(1).randbytes(5000), ".png", "not an image"),
    "JPEG cut in half": (saved(picture(800, 600), "JPEG")[:4000], ".jpg", "damaged"),
    "PNG cut in half": (saved(picture(800, 600))[:-40], ".png", "damaged"),
    "GIF cut off": (saved(picture(800, 600), "GIF")[:900], ".gif", "damaged"),
    "WebP cut off": (saved(picture(800, 600), "WEBP")[:200], ".webp", "not an image|damaged"),
    "PNG called JPEG": (saved(picture()), ".jpg", "is a PNG image, but its name ends in .jpg"),
    "JPEG called PNG": (saved(picture(), "JPEG"), ".png", "is a JPEG image"),
    "TIFF called PNG": (saved(picture(), "TIFF"), ".png", "not an image"),
    "BMP called PNG": (saved(picture(), "BMP"), ".png", "not an image"),
    "EPS": (saved(picture(), "EPS"), ".png", "not an image"),
    "60 megapixels": (big_png(10_000, 6_000), ".png", "50 million pixels"),
    "200 megapixels": (big_png(20_000, 10_000), ".png", "50 million pixels"),
    "SVG": (b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>', ".png", "SVG"),
    "SVG with a prologue": (
        b'<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
        "",
        "SVG",
    ),
}


@pytest.mark.parametrize(("content", "ending", "part"), BAD.values(), ids=BAD.keys())
def test_T05_what_cannot_be_used_is_refused_with_a_reason(
    content: bytes, ending: str, part: str, pool: Pool
) -> None:
    with pytest.raises(RowInvalid, match=part):
        pool.derive(content, ending)


def test_T04_the_largest_allowed_image_fits_into_the_childs_memory(tmp_path: Path) -> None:
    with Pool(tmp_path, MAX_PIXELS) as pool:
        (one,) = pool.derive(big_png(8_000, 6_250), ".png")
    assert one.width * one.height == MAX_PIXELS
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < 600 << 10  # of children that ended


def test_T04_a_child_that_is_too_slow_is_ended_and_the_next_image_read(tmp_path: Path) -> None:
    with (
        Pool(tmp_path, MAX_PIXELS, seconds=0.0) as impatient,
        pytest.raises(RowInvalid, match="too much time"),
    ):
        impatient.derive(saved(picture()), ".png")


def test_T04_a_child_that_dies_is_replaced(tmp_path: Path) -> None:
    with Pool(tmp_path, MAX_PIXELS) as pool:
        (first,) = pool.derive(saved(picture()), ".png")
        pool._idle[0]._process.kill()
        assert pool.derive(saved(picture()), ".png") == [first]


def test_tiles_are_images_of_their_own_in_upright_pixels(files: Files) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    big = Image.fromarray(np.arange(250 * 450, dtype=np.uint32).reshape(250, 450).astype(np.uint8))
    content = saved(big.transpose(Image.Transpose.ROTATE_90), "PNG", exif=exif)
    whole, *tiles = derived(content, ".png", files, tile_px=200, overlap_px=20)
    assert (whole.width, whole.height) == (450, 250)
    assert [(tile.x, tile.y, tile.width, tile.height) for tile in tiles] == [
        (x, y, 200, 200) for y in (0, 50) for x in (0, 180, 250)
    ]
    for tile in tiles:
        original = Image.open(files.path("originals", tile.sha256))
        box = (tile.x, tile.y, tile.x + 200, tile.y + 200)
        assert np.array_equal(np.asarray(original), np.asarray(big.crop(box)))
        assert [copy["width"] for copy in tile.derivatives] == [200]


def test_T05_mutated_images_are_accepted_or_refused_never_a_crash(pool: Pool) -> None:
    rng = random.Random(7)
    seeds = [(saved(picture(64, 48), f), f".{f.lower()}") for f in ("JPEG", "PNG", "WEBP", "GIF")]
    outcomes = {"accepted": 0, "refused": 0}
    for _ in range(200):
        content, ending = rng.choice(seeds)
        raw = bytearray(content)
        for _ in range(rng.randint(1, 20)):
            raw[rng.randrange(len(raw))] = rng.randrange(256)
        try:
            pool.derive(bytes(raw[: rng.randint(1, len(raw))] if rng.random() < 0.2 else raw), ending)
            outcomes["accepted"] += 1
        except RowInvalid:
            outcomes["refused"] += 1
    assert min(outcomes.values()) > 10
    assert len(pool._idle) == 1
