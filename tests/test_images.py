"""Pictures in and out: real files are written and reopened, with other libraries than the one under test where there
is one."""

from __future__ import annotations

import errno
import io
import json
import os
import resource
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import ExifTags, ImageCms
from PIL import Image as Pillow

from restore.errors import InputError, LimitError, OutputError, RestoreError
from restore.media.depth import stretch_to_uint16, to_bits, to_uint16
from restore.media.exif import MAKER_NOTE, Exif, Field, dump_exif, parse_exif
from restore.media.images import (
    OUTPUT_SUFFIXES,
    Image,
    ImageInfo,
    Written,
    check_image_target,
    probe_image,
    read_image,
    write_image,
)
from restore.settings import Settings
from restore.version import __version__
from tests.adversity import folder_for_all, no_file_above, without_privileges
from tests.heic import heic

SETTINGS = Settings()
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
GREY_PROFILE: bytes = imagecodecs.cms_profile("gray", gamma=2.2)
RECIPE = '{"steps": [{"stage": "upscale"}], "note": "für 映画 🎬"}'
STORED_AS = {
    1: None,
    2: Pillow.Transpose.FLIP_LEFT_RIGHT,
    3: Pillow.Transpose.ROTATE_180,
    4: Pillow.Transpose.FLIP_TOP_BOTTOM,
    5: Pillow.Transpose.TRANSPOSE,
    6: Pillow.Transpose.ROTATE_90,
    7: Pillow.Transpose.TRANSVERSE,
    8: Pillow.Transpose.ROTATE_270,
}
"""How an upright picture is stored under each orientation: the opposite of what a viewer then does."""


def chart(width: int = 96, height: int = 64) -> NDArray[np.uint8]:
    """A picture with a different flat colour in each 16 x 16 block, so that no turn of it looks like another."""
    rows, columns = np.mgrid[: height // 16, : width // 16]
    blocks = np.stack([40 * rows + 20, 30 * columns + 20, 10 * (rows + columns) + 60], axis=2).astype(np.uint8)
    return blocks.repeat(16, axis=0).repeat(16, axis=1)


def exif_block(**tags: Any) -> bytes:
    exif = Pillow.Exif()
    exif[ExifTags.Base.Make] = "Voigtlaender"
    for name, value in tags.items():
        exif[ExifTags.Base[name]] = value
    return exif.tobytes().removeprefix(b"Exif\0\0")


def gradient(channels: int, dtype: Any = np.uint16) -> NDArray[Any]:
    """A smooth picture of 160 x 128 pixels with 20,480 values in each channel."""
    ramp = np.linspace(0, np.iinfo(dtype).max, 160 * 128).round().astype(dtype).reshape(128, 160)
    return np.stack([ramp, ramp[::-1], ramp[:, ::-1]], axis=2)[..., :channels].copy()


def fields_of(block: bytes | None) -> Pillow.Exif:
    """An EXIF block as Pillow reads it."""
    assert block is not None
    exif = Pillow.Exif()
    exif.load(block)
    return exif


def cmyk_profile() -> bytes:
    """An ICC profile (version 2) for an odd press: its cyan is a strong green, and any black is black."""
    colours = []
    for corner in range(16):
        cyan, magenta, yellow, black = (bool(corner & bit) for bit in (8, 4, 2, 1))
        light = 0 if black else 255 - 90 * cyan - 60 * magenta - 10 * yellow
        colours.append((light, 128 - 70 * (cyan and not black), 128 + 60 * ((cyan or yellow) and not black)))
    table = (
        struct.pack(">4sLBBBx", b"mft1", 0, 4, 3, 2)
        + struct.pack(">9l", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
        + bytes(range(256)) * 4
        + bytes(value for colour in colours for value in colour)
        + bytes(range(256)) * 3
    )
    tags = struct.pack(">L4sLL", 1, b"A2B0", 144, len(table))
    header = struct.pack(">L4sL4s4s4s12x4s", 144 + len(table), b"", 0x02100000, b"prtr", b"CMYK", b"Lab ", b"acsp")
    header += bytes(68 - len(header)) + struct.pack(">3l", 63190, 65536, 54061)
    return header.ljust(128, b"\0") + tags + table


def png_file(width: int, height: int, depth: int, colour: int, pixels: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG from its parts; ``pixels`` are the rows as they are compressed, each with its filter byte."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">L", len(data)) + kind + data + struct.pack(">L", zlib.crc32(kind + data))

    header = struct.pack(">LLBBBBB", width, height, depth, colour, 0, 0, 0)
    parts = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(pixels)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(kind, data) for kind, data in parts)


def saved(path: Path, picture: Pillow.Image, **options: Any) -> Path:
    picture.save(path, **options)
    return path


def kept(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def words(image: Image | Written) -> str:
    items = image.losses if isinstance(image, Image) else image.dropped
    return "; ".join(f"{item.what}: {item.why}" for item in items)


# Depth


@given(st.integers(1, 16).flatmap(lambda bits: st.tuples(st.just(bits), st.integers(0, 2**bits - 1))))
def test_spreading_over_16_bits_loses_nothing(case: tuple[int, int]) -> None:
    bits, value = case
    spread = to_uint16(np.array([value, 0, 2**bits - 1]), bits)
    assert spread[1:].tolist() == [0, 65535]
    assert abs(int(spread[0]) - value * 65535 / (2**bits - 1)) <= 0.5
    assert to_bits(spread, bits)[0] == value


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=20))
def test_float_samples_keep_their_order_and_leave_no_value_out(values: list[float]) -> None:
    samples, _ = stretch_to_uint16(np.array([*values, np.nan], np.float32))
    assert samples[-1] == samples.min()
    assert [int(value) for value in samples[:-1][np.argsort(values, kind="stable")]] == sorted(samples[:-1].tolist())
    if min(values) >= 0 and max(values) <= 1:
        assert np.allclose(samples[:-1], np.array(values) * 65535, atol=0.51)


@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_16_bits_stay_16_bits_with_all_that_belongs_to_them(
    tmp_path: Path, suffix: str, channels: int, alpha: bool
) -> None:
    pixels = gradient(channels)
    cover = np.ascontiguousarray(pixels[::-1, ::-1, 0]) if alpha else None
    profile = GREY_PROFILE if channels == 1 else SRGB
    path = tmp_path / f"deep{suffix}"
    image = Image(pixels, cover, "PNG", profile, exif_block(Artist="A"), (300.0, 200.0))
    written = write_image(image, path, settings=SETTINGS)
    assert written.dropped == ()
    assert set(written.carried) == {"16 bits", "ICC profile", "EXIF", "resolution"} | ({"alpha"} if alpha else set())

    # What others see of it.
    if suffix == ".tif":
        seen = tifffile.imread(path)
    else:
        seen = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        seen = seen if seen.ndim == 2 else seen[..., [2, 1, 0, 3][: seen.shape[2]]]
        seen = seen[..., [0, 3]] if channels == 1 and alpha else seen
    assert np.array_equal(seen.reshape(128, 160, -1)[..., :channels], pixels)
    if cover is not None:
        assert np.array_equal(seen[..., -1], cover)
    if not (suffix == ".tif" and channels == 1 and alpha):  # two channels of 16 bits are beyond Pillow
        with Pillow.open(path) as other:
            assert other.info["icc_profile"] == profile
            assert other.info["dpi"] == pytest.approx((300, 200), abs=0.01)
            assert other.getexif()[ExifTags.Base.Artist] == "A"

    back = read_image(path, SETTINGS)
    assert np.array_equal(back.pixels, pixels)
    assert len(np.unique(back.pixels)) >= 10_000
    assert back.alpha is None if cover is None else np.array_equal(back.alpha, cover)
    assert (back.icc_profile, back.losses) == (profile, ())
    assert back.dpi == pytest.approx((300, 200), abs=0.01)
    assert fields_of(back.exif)[ExifTags.Base.Artist] == "A"


def test_formats_of_fewer_bits_round_and_say_so(tmp_path: Path) -> None:
    image = Image(gradient(3), None, "TIFF")
    eight = (image.pixels / 257).round().astype(np.uint8)
    written = write_image(image, tmp_path / "a.bmp", settings=SETTINGS)
    assert words(written) == "16 bits: BMP has 8; the values were rounded"
    assert np.array_equal(read_image(tmp_path / "a.bmp", SETTINGS).pixels, eight)
    assert words(write_image(image, tmp_path / "a.jpg", settings=SETTINGS)).startswith("16 bits: JPEG has 8")
    assert words(write_image(image, tmp_path / "a.webp", settings=SETTINGS)).startswith("16 bits: WEBP has 8")

    image = Image(image.pixels, None, "TIFF", SRGB, exif_block())
    assert words(write_image(image, tmp_path / "a.avif", settings=SETTINGS)) == "16 bits: AVIF was written with 10"
    back = read_image(tmp_path / "a.avif", SETTINGS)
    assert back.pixels.dtype == np.uint16
    assert len(np.unique(back.pixels)) > 900
    assert np.abs(back.pixels.astype(int) - image.pixels).mean() < 200
    assert back.icc_profile == SRGB
    assert fields_of(back.exif)[ExifTags.Base.Make] == "Voigtlaender"


# Upright


@pytest.mark.parametrize("orientation", STORED_AS)
@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif", ".jpg", ".avif"])
def test_every_orientation_comes_in_upright_once(tmp_path: Path, suffix: str, orientation: int) -> None:
    upright = Pillow.fromarray(chart())
    turn = STORED_AS[orientation]
    stored = upright if turn is None else upright.transpose(turn)
    options: dict[str, Any] = {".webp": {"lossless": True}, ".jpg": {"quality": 100, "subsampling": 0}}.get(suffix, {})
    block = b"Exif\0\0" + exif_block(Orientation=orientation)
    path = saved(tmp_path / f"turned{suffix}", stored, exif=block, dpi=(300, 150), **options)

    image = read_image(path, SETTINGS)
    info = probe_image(path, SETTINGS)
    assert (info.width, info.height) == (96, 64) == image.pixels.shape[1::-1]
    assert np.abs(image.pixels.astype(int) - chart()).max() <= (16 if suffix in (".jpg", ".avif") else 0)
    assert fields_of(image.exif).get(ExifTags.Base.Orientation, 1) == 1
    if suffix in (".png", ".tif", ".jpg"):
        assert image.dpi == pytest.approx((150, 300) if orientation > 4 else (300, 150), abs=0.02)

    # And a second time round nothing turns.
    write_image(image, tmp_path / "again.png", settings=SETTINGS)
    again = read_image(tmp_path / "again.png", SETTINGS)
    assert np.array_equal(again.pixels, image.pixels)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", [b"exif", b"APP1"])
def test_exif_in_the_text_of_an_older_png_counts(tmp_path: Path, name: bytes, packed: bool) -> None:
    block = b"Exif\0\0" + exif_block(Orientation=6)
    digits = b"\n".join(block.hex().encode()[at : at + 72] for at in range(0, 2 * len(block), 72))
    text = b"\n%s\n%8d\n%s\n" % (name, len(block), digits)
    keyword = b"Raw profile type " + name
    chunk = (b"zTXt", keyword + b"\0\0" + zlib.compress(text)) if packed else (b"tEXt", keyword + b"\0" + text)
    path = kept(tmp_path / "a.png", png_file(3, 1, 8, 0, b"\0\1\2\3", chunk, (b"tEXt", b"Title\0Harbour")))
    assert probe_image(path, SETTINGS) == ImageInfo(1, 3, "PNG")
    image = read_image(path, SETTINGS)
    assert image.pixels[..., 0].tolist() == [[1], [2], [3]]
    assert fields_of(image.exif)[ExifTags.Base.Make] == "Voigtlaender"
    assert words(image) == "PNG text: Title: only EXIF, ICC profile and resolution are carried over"

    # The chunk that is made for it goes first, and what is no EXIF stays what it is: text.
    both = png_file(3, 1, 8, 0, b"\0\1\2\3", chunk, (b"eXIf", exif_block(Orientation=3)))
    assert read_image(kept(path, both), SETTINGS).pixels[..., 0].tolist() == [[3, 2, 1]]
    assert probe_image(path, SETTINGS).width == 3
    for broken in (b"\nexif\n  8\nno hex", b"\nexif\nmany\n4949", b"exif", b"\nexif\n 4\n3c3f7870"):
        kept(path, png_file(3, 1, 8, 0, b"\0\1\2\3", (b"tEXt", keyword + b"\0" + broken)))
        assert probe_image(path, SETTINGS).width == 3
        assert words(read_image(path, SETTINGS)).startswith("PNG text: Raw profile type")


@pytest.mark.parametrize(("turns", "mirror"), [(0, None), (1, None), (3, None), (0, 0), (1, 1)])
def test_heic_is_turned_as_its_container_says_and_not_again_as_its_exif_says(
    tmp_path: Path, turns: int, mirror: int | None
) -> None:
    data = heic(chart(), quarter_turns=turns, mirror=mirror, exif=exif_block(Orientation=6))
    path = kept(tmp_path / "phone.heic", data)
    expected = np.rot90(chart(), turns)
    expected = expected if mirror is None else np.flip(expected, mirror)
    image = read_image(path, SETTINGS)
    assert np.array_equal(image.pixels, expected)
    assert probe_image(path, SETTINGS) == ImageInfo(expected.shape[1], expected.shape[0], "HEIC")
    assert fields_of(image.exif)[ExifTags.Base.Orientation] == 1
    assert fields_of(image.exif)[ExifTags.Base.Make] == "Voigtlaender"


def test_heic_with_10_bits_keeps_them(tmp_path: Path) -> None:
    deep = (gradient(3) >> 6).astype(np.uint16)
    image = read_image(kept(tmp_path / "deep.heic", heic(deep, transfer=16)), SETTINGS)
    assert image.pixels.dtype == np.uint16
    assert np.array_equal(to_bits(image.pixels, 10), deep)  # type: ignore[arg-type]
    assert words(image) == "colour description (primaries 1, transfer 16): only ICC profiles are carried over"
    # Nothing of 10 bits is lost where 10 are written.
    written = write_image(image, tmp_path / "deep.avif", settings=SETTINGS)
    assert (written.carried, written.dropped) == (("10 bits",), ())
    again = read_image(tmp_path / "deep.avif", SETTINGS)
    assert (image.bits, again.bits) == (10, 10)
    assert words(write_image(again, tmp_path / "a.jpg", settings=SETTINGS)).startswith("10 bits: JPEG has 8")


# Kinds of pixels


def test_grey_stays_grey_in_every_format(tmp_path: Path) -> None:
    for dtype in (np.uint8, np.uint16):
        image = Image(gradient(1, dtype), None, "PNG")
        for suffix in (".png", ".jpg", ".webp", ".tif", ".avif", ".bmp"):
            write_image(image, tmp_path / f"grey{suffix}", settings=SETTINGS)
            back = read_image(tmp_path / f"grey{suffix}", SETTINGS).pixels
            assert back.shape == (128, 160, 1), suffix
            scale = 257 if back.dtype == np.uint8 else 1
            original = image.pixels.astype(int) * (257 if dtype == np.uint8 else 1)
            assert np.abs(back.astype(int) * scale - original).mean() < 257, suffix


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (7, 5), (1, 700)])
def test_small_and_odd_sizes_work(tmp_path: Path, shape: tuple[int, int]) -> None:
    image = Image(np.full((*shape, 3), (200, 100, 50), np.uint8), np.full(shape, 255, np.uint8), "PNG")
    for suffix in (".png", ".jpg", ".webp", ".tif", ".avif", ".bmp"):
        write_image(image, tmp_path / f"small{suffix}", settings=SETTINGS)
        back = read_image(tmp_path / f"small{suffix}", SETTINGS)
        assert back.pixels.shape == (*shape, 3)
        assert np.abs(back.pixels.astype(int) - image.pixels).max() <= 8


@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_narrow_noise_goes_through_png_bit_for_bit(tmp_path: Path, dtype: Any, channels: int, alpha: bool) -> None:
    """What no filter and no deflate can make smaller, with a filter byte for every few samples."""
    source = np.random.default_rng(5)
    for width, height in ((1, 200), (1, 30_000), (2, 500), (2, 9000), (4, 1000), (4, 7)):
        samples = source.integers(0, np.iinfo(dtype).max + 1, (height, width, channels + alpha), dtype)
        image = Image(samples[..., :channels], samples[..., channels] if alpha else None, "PNG")
        write_image(image, tmp_path / "a.png", settings=SETTINGS)
        back = read_image(tmp_path / "a.png", SETTINGS)
        assert np.array_equal(back.pixels, image.pixels)
        assert back.alpha is None if image.alpha is None else np.array_equal(back.alpha, image.alpha)


@pytest.mark.parametrize("channels", [1, 3])
def test_noise_goes_through_jpeg_at_any_quality_without_a_word(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], channels: int
) -> None:
    noise = np.random.default_rng(6).integers(0, 256, (200, 300, channels), np.uint8)
    for quality in (1, 80, 94, 95, 100):
        image = Image(noise, None, "PNG", exif=exif_block(ImageDescription="x" * 60_000))
        write_image(image, tmp_path / "a.jpg", quality=quality, settings=SETTINGS)
        back = read_image(tmp_path / "a.jpg", SETTINGS)
        assert np.abs(back.pixels.astype(int) - noise).mean() < {1: 90, 80: 25, 94: 8, 95: 8, 100: 2}[quality]
    assert capfd.readouterr() == ("", "")
    write_image(Image(chart(), None, "PNG"), tmp_path / "b.jpg", settings=SETTINGS)
    with Pillow.open(tmp_path / "b.jpg") as seen:
        assert seen.info["progressive"]


def test_libraries_say_nothing_on_the_terminal(tmp_path: Path) -> None:
    """In a process of its own, as pytest has filters and handlers of its own."""
    # Adam7 with a single pixel has one pass of one row.
    interlaced = bytearray(png_file(1, 1, 16, 2, bytes(7)))
    interlaced[28] = 1
    interlaced[29:33] = struct.pack(">L", zlib.crc32(interlaced[12:29]))
    kept(tmp_path / "a.png", bytes(interlaced))
    saved(tmp_path / "a.jpg", Pillow.fromarray(chart()), exif=b"Exif\0\0" + exif_block(Artist="A" * 90)[:60])
    program = (
        "import sys; from pathlib import Path; from restore.settings import Settings;"
        "from restore.media.images import probe_image, read_image;"
        "[act(Path(name), Settings()) for name in sys.argv[1:] for act in (probe_image, read_image)]"
    )
    names = [str(tmp_path / "a.png"), str(tmp_path / "a.jpg")]
    done = subprocess.run([sys.executable, "-c", program, *names], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


@pytest.mark.parametrize("animated", [False, True])
def test_a_faint_colour_stays_in_lossless_webp(tmp_path: Path, animated: bool) -> None:
    faint = np.full((32, 32, 3), (100, 101, 100), np.uint8)
    more = {"save_all": True, "append_images": [Pillow.fromarray(chart(32, 32))]} if animated else {}
    path = saved(tmp_path / "a.webp", Pillow.fromarray(faint), lossless=True, exif=exif_block(), **more)
    assert np.array_equal(read_image(path, SETTINGS).pixels, faint)
    saved(path, Pillow.fromarray(gradient(1, np.uint8)[..., 0]).convert("RGB"), quality=90, exif=exif_block())
    assert read_image(path, SETTINGS).pixels.shape[2] == 1


def test_png_of_few_bits(tmp_path: Path) -> None:
    """1, 2 and 4 bits, grey and palette, with a transparent level: written by hand, as no library here writes them
    all."""
    four = png_file(4, 1, 4, 0, bytes([0, 0x0F, 0x37]), (b"tRNS", b"\0\x03"))
    image = read_image(kept(tmp_path / "four.png", four), SETTINGS)
    assert image.pixels[0, :, 0].tolist() == [0, 255, 51, 119]
    assert image.alpha is not None
    assert image.alpha[0].tolist() == [255, 255, 0, 255]

    one = png_file(8, 1, 1, 0, bytes([0, 0b10100101]))
    assert read_image(kept(tmp_path / "one.png", one), SETTINGS).pixels[0, :, 0].tolist() == [255, 0] * 2 + [0, 255] * 2

    palette = (b"PLTE", bytes([255, 0, 0, 0, 255, 0, 9, 9, 9]))
    two = png_file(4, 1, 2, 3, bytes([0, 0b00011000]), palette, (b"tRNS", bytes([255, 128])))
    image = read_image(kept(tmp_path / "two.png", two), SETTINGS)
    assert image.pixels[0].tolist() == [[255, 0, 0], [0, 255, 0], [9, 9, 9], [255, 0, 0]]
    assert image.alpha is not None
    assert image.alpha[0].tolist() == [255, 128, 255, 255]

    grey = png_file(4, 1, 2, 3, bytes([0, 0b00011000]), (b"PLTE", bytes([0, 0, 0, 90, 90, 90, 255, 255, 255])))
    assert read_image(kept(tmp_path / "grey.png", grey), SETTINGS).pixels[0].tolist() == [[0], [90], [255], [0]]

    deep = png_file(2, 1, 16, 0, b"\0\x12\x34\xff\xfe", (b"tRNS", b"\x12\x34"))
    image = read_image(kept(tmp_path / "deep.png", deep), SETTINGS)
    assert image.pixels[0, :, 0].tolist() == [0x1234, 0xFFFE]
    assert image.alpha is not None
    assert image.alpha[0].tolist() == [0, 65535]


def test_gif_gives_its_first_frame(tmp_path: Path) -> None:
    frames = [Pillow.fromarray(chart()).quantize(64), Pillow.new("P", (96, 64))]
    path = saved(tmp_path / "film.gif", frames[0], save_all=True, append_images=frames[1:], comment=b"hello")
    image = read_image(path, SETTINGS)
    assert np.array_equal(image.pixels, np.array(frames[0].convert("RGB")))
    assert probe_image(path, SETTINGS) == ImageInfo(96, 64, "GIF", 2)
    assert "1 further frame: only the first picture is read" in words(image)
    assert "comment" in words(image)


@pytest.mark.parametrize(
    ("options", "tolerance"),
    [
        ({"compression": "lzw", "predictor": True}, 0),
        ({"compression": "zstd"}, 0),
        ({"compression": "packbits", "rowsperstrip": 5}, 0),
        ({"compression": "jpeg", "compressionargs": {"level": 98}}, 12),
        ({"tile": (32, 16), "compression": "deflate"}, 0),
        ({"planarconfig": "separate", "byteorder": ">"}, 0),
        ({"bigtiff": True, "byteorder": ">"}, 0),
    ],
)
def test_tiff_in_its_varieties(tmp_path: Path, options: dict[str, Any], tolerance: int) -> None:
    pixels = chart()
    deep = options.get("compression") != "jpeg"
    stored: NDArray[Any] = pixels.astype(np.uint16) * 257 if deep else pixels
    planar = options.get("planarconfig") == "separate"
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.moveaxis(stored, 2, 0) if planar else stored, photometric="rgb", metadata=None, **options)
    image = read_image(path, SETTINGS)
    assert image.pixels.dtype == stored.dtype
    assert np.abs(image.pixels.astype(int) - stored).max() <= tolerance


def test_tiff_samples_that_are_not_plain_integers_of_8_or_16_bits(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    ramp = np.linspace(0, 1, 4096).reshape(64, 64)

    def stored(samples: NDArray[Any], **options: Any) -> Image:
        tifffile.imwrite(path, samples, metadata=None, **{"photometric": "minisblack", **options})
        return read_image(path, SETTINGS)

    half = stored(ramp.astype(np.float32))
    assert np.abs(half.pixels[..., 0] - ramp * 65535).max() <= 1
    assert words(half) == "float32 samples: they become 16-bit ones: 0 is black and 1 is white"
    wide = stored((ramp * 3 - 1).astype(np.float32))
    assert (wide.pixels.min(), wide.pixels.max()) == (0, 65535)
    assert words(wide).endswith("-1 is black and 2 is white")
    # 12 bits in 16, as scanners write them: the tag MaxSampleValue says so.
    twelve = stored(np.arange(4096, dtype=np.uint16).reshape(64, 64), extratags=[(281, "H", 1, 4095, True)])
    assert (twelve.pixels.min(), twelve.pixels.max()) == (0, 65535)
    assert len(np.unique(twelve.pixels)) == 4096
    assert words(write_image(twelve, tmp_path / "a.avif", settings=SETTINGS)) == "12 bits: AVIF was written with 10"
    inverted = stored((ramp * 255).astype(np.uint8), photometric="miniswhite")
    assert np.array_equal(inverted.pixels[..., 0], 255 - (ramp * 255).astype(np.uint8))
    lines = np.arange(64 * 64).reshape(64, 64) % 3 == 0
    assert np.array_equal(stored(lines).pixels[..., 0], lines * 255)
    # Premultiplied alpha is divided out.
    cover = np.full((64, 64), 32768, np.uint16)
    straight = stored(np.dstack([cover // 2] * 3 + [cover]), photometric="rgb", extrasamples=["assocalpha"])
    assert straight.pixels[0, 0].tolist() == [32767.5 // 1 + 1] * 3
    assert straight.alpha is not None
    assert straight.alpha[0, 0] == 32768
    assert words(stored(np.zeros((3, 8, 8), np.uint8), photometric="minisblack")) == (
        "2 further pages: only the first picture is read"
    )


def test_lab_becomes_srgb(tmp_path: Path) -> None:
    # Grey, a red and a blue (with a and b negative), in the signed 8-bit encoding of TIFF and in 16 bits. Pillow keeps
    # Lab in the same encoding.
    lab = np.array([[[128, 0, 0], [128, 40, 20], [150, 250, 226]]], np.uint8)
    reference = ImageCms.profileToProfile(
        Pillow.frombytes("LAB", (3, 1), lab.tobytes()),
        ImageCms.createProfile("LAB"),
        ImageCms.createProfile("sRGB"),
        outputMode="RGB",
    )
    assert reference is not None
    for samples in (lab, np.dstack([lab[..., 0].astype(np.uint16) * 257, lab[..., 1:].astype(np.uint16) * 256])):
        tifffile.imwrite(tmp_path / "lab.tif", samples, photometric="cielab", metadata=None)
        image = read_image(tmp_path / "lab.tif", SETTINGS)
        top = np.iinfo(image.pixels.dtype).max
        assert image.pixels.dtype == samples.dtype
        assert np.allclose(image.pixels / top * 255, np.array(reference), atol=2.5)
        assert words(image) == "L*a*b*: converted to sRGB"


@pytest.mark.parametrize("kind", ["jpg", "tif", "deep.tif"])
def test_cmyk_goes_through_its_profile(tmp_path: Path, kind: str) -> None:
    ink = np.zeros((32, 64, 4), np.uint8)
    ink[:, 16:32, 0] = 255
    ink[:, 32:48, 3] = 255
    ink[:, 48:, 3] = 128
    path = tmp_path / f"press.{kind}"
    for profile, cyan in ((cmyk_profile(), None), (None, (0, 255, 255))):
        if kind == "deep.tif":
            deep = ink.astype(np.uint16) * 257
            tifffile.imwrite(path, deep, photometric="separated", iccprofile=profile, metadata=None)
        else:
            # Pillow writes CMYK JPEG as Adobe does, with all values inverted.
            saved(path, Pillow.frombytes("CMYK", (64, 32), ink.tobytes()), icc_profile=profile, quality=100)
        image = read_image(path, SETTINGS)
        assert image.pixels.dtype == (np.uint16 if kind == "deep.tif" else np.uint8)
        white, first, black, grey = image.pixels[16, [8, 24, 40, 56]] / np.iinfo(image.pixels.dtype).max * 255
        assert white.min() > 250
        assert black.max() < 8
        assert np.ptp(grey) < 4
        assert image.icc_profile is None
        if cyan is None:
            # What Pillow's own binding to Little CMS makes of that profile: green, and nothing like the plain rule.
            dot = Pillow.new("CMYK", (1, 1), (255, 0, 0, 0))
            expected = ImageCms.profileToProfile(
                dot, io.BytesIO(cmyk_profile()), ImageCms.createProfile("sRGB"), outputMode="RGB"
            )
            assert expected is not None
            assert np.allclose(first, expected.getpixel((0, 0)), atol=3)
            assert first[2] < 128
            assert words(image).startswith("CMYK: converted to sRGB through the picture's own ICC profile")
        else:
            assert np.allclose(first, cyan, atol=3)
            assert "no ICC profile, so it was converted by the plain rule" in words(image)


def test_a_profile_of_another_kind_is_not_called_broken(tmp_path: Path) -> None:
    for profile, said in ((SRGB, "its ICC profile describes RGB and not CMYK"), (b"none" * 50, "a broken ICC profile")):
        path = saved(tmp_path / "a.jpg", Pillow.new("CMYK", (16, 16)), icc_profile=profile)
        assert f"{said}, so it was converted by the plain rule" in words(read_image(path, SETTINGS))


# What belongs to a picture


def rich_jpeg(path: Path, make: Callable[[Pillow.Exif], None] = lambda exif: None) -> Path:
    exif = Pillow.Exif()
    exif[ExifTags.Base.Make] = "Camera"
    exif[ExifTags.Base.Orientation] = 6
    exif[ExifTags.IFD.GPSInfo] = {1: "N", 2: (52.0, 30.0, 15.5), 3: "E", 4: (13.0, 24.0, 0.0)}
    exif[ExifTags.IFD.Exif] = {0x9003: "1999:12:31 23:59:59", 0x927C: b"maker" * 20, 0xA002: 64, 0xA003: 96}
    make(exif)
    return saved(path, Pillow.fromarray(np.rot90(chart())), exif=exif, icc_profile=SRGB, dpi=(300, 300), quality=95)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif", ".avif"])
def test_exif_profile_resolution_and_recipe_go_into_every_format(tmp_path: Path, suffix: str) -> None:
    image = read_image(rich_jpeg(tmp_path / "in.jpg"), SETTINGS)
    larger = Image(image.pixels.repeat(2, 0).repeat(2, 1), None, "JPEG", image.icc_profile, image.exif, image.dpi)
    target = tmp_path / f"out{suffix}"
    written = write_image(larger, target, recipe=RECIPE, settings=SETTINGS)
    assert (written.carried, written.dropped) == (("ICC profile", "resolution", "EXIF"), ())
    with Pillow.open(target) as seen:
        assert seen.size == (192, 128)
        assert seen.info["icc_profile"] == SRGB
        exif = seen.getexif()
        photo, gps = exif.get_ifd(ExifTags.IFD.Exif), exif.get_ifd(ExifTags.IFD.GPSInfo)
        if suffix == ".png":
            assert json.loads(seen.text["restore:recipe"]) == json.loads(RECIPE)  # type: ignore[attr-defined]
    assert exif[ExifTags.Base.Make] == "Camera"
    assert exif[ExifTags.Base.Software] == f"Restore {__version__}"
    assert exif.get(ExifTags.Base.Orientation, 1) == 1
    assert photo[0x9003] == "1999:12:31 23:59:59"
    assert bytes(photo[0x927C]) == b"maker" * 20
    assert (photo[0xA002], photo[0xA003]) == (192, 128)
    assert json.loads(photo[0x9213]) == json.loads(RECIPE)
    assert gps[2] == (52.0, 30.0, 15.5)
    back = read_image(target, SETTINGS)
    assert back.dpi == pytest.approx((300, 300), abs=0.01)
    assert back.losses == ()


def test_the_resolution_in_exif_goes_before_the_one_in_jfif(tmp_path: Path) -> None:
    block = exif_block(XResolution=300.5, YResolution=300.5, ResolutionUnit=2)
    for density, said in (
        (72, "resolution 72 x 72: the EXIF says 300.5 x 300.5, which is kept"),
        (300, ""),
    ):
        path = saved(tmp_path / "in.jpg", Pillow.fromarray(chart()), exif=b"Exif\0\0" + block, dpi=(density, density))
        image = read_image(path, SETTINGS)
        assert words(image) == said
        assert write_image(image, tmp_path / "out.jpg", settings=SETTINGS).carried == ("resolution", "EXIF")
        with Pillow.open(tmp_path / "out.jpg") as seen:
            assert seen.getexif()[ExifTags.Base.XResolution] == 300.5
            assert seen.info["jfif_density"] == (300, 300)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif", ".avif", ".bmp"])
def test_a_resolution_is_carried_or_listed_as_dropped(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    for dpi in ((299.72, 0.4), (1e-5, 300.0), (60_000.0, 1 / 3), (1.4, 1.4)):
        for exif in (None, exif_block()):
            written = write_image(Image(chart(), None, "TIFF", exif=exif, dpi=dpi), path, settings=SETTINGS)
            lost = f"resolution: {OUTPUT_SUFFIXES[suffix]} cannot hold {dpi[0]:g} x {dpi[1]:g} dots per inch"
            assert ("resolution" in written.carried) is (lost not in words(written))
            back = read_image(path, SETTINGS)
            assert back.losses == ()
            assert back.dpi == (pytest.approx(dpi, rel=0.02) if "resolution" in written.carried else None)
            if suffix == ".jpg":
                assert ("resolution" in written.carried) is (exif is not None and min(dpi) > 0.01)


def test_software_of_the_source_is_not_claimed(tmp_path: Path) -> None:
    def scanned(exif: Pillow.Exif) -> None:
        exif[ExifTags.Base.Software] = "Scanner 1"

    image = read_image(rich_jpeg(tmp_path / "in.jpg", scanned), SETTINGS)
    write_image(image, tmp_path / "out.jpg", recipe=RECIPE, settings=SETTINGS)
    with Pillow.open(tmp_path / "out.jpg") as seen:
        assert seen.getexif()[ExifTags.Base.Software] == "Scanner 1"


def test_the_embedded_small_picture_goes_and_the_maker_note_stays_where_it_was(tmp_path: Path) -> None:
    order, note = ">", b"NOTE" + bytes(range(60))
    thumbnail = io.BytesIO()
    Pillow.new("RGB", (16, 16), "red").save(thumbnail, "JPEG")
    # By hand: main directory at 8, EXIF directory at 38, maker note at 200, directory of the small picture at 300.
    block = bytearray(320 + len(thumbnail.getvalue()))
    block[:8] = struct.pack(">2sHL", b"MM", 42, 8)
    block[8:38] = struct.pack(">H HHLHH HHLL L", 2, 0x0112, 3, 1, 3, 0, 0x8769, 4, 1, 38, 300)
    block[38:56] = struct.pack(">H HHLL L", 1, MAKER_NOTE, 7, len(note), 200, 0)
    block[200 : 200 + len(note)] = note
    block[300:320] = struct.pack(">H HHLL HL", 1, 0x0201, 4, 1, 320, 0, 0)
    block[320:] = thumbnail.getvalue()
    assert parse_exif(bytes(block)).order == order
    path = saved(tmp_path / "in.jpg", Pillow.fromarray(chart()), exif=b"Exif\0\0" + bytes(block))
    image = read_image(path, SETTINGS)
    assert words(image) == "EXIF thumbnail: it shows the picture as it was"
    write_image(image, tmp_path / "out.jpg", recipe=RECIPE, settings=SETTINGS)
    with Pillow.open(tmp_path / "out.jpg") as seen:
        result = seen.info["exif"].removeprefix(b"Exif\0\0")
    assert result[200 : 200 + len(note)] == note
    assert thumbnail.getvalue()[-40:] not in result
    fields = parse_exif(result)
    assert fields.maker_note_at == 200
    assert not fields.thumbnail


FIELDS = st.dictionaries(
    st.integers(1, 0x7FFF).filter(lambda tag: tag not in {0x0111, 0x0117, 0x0144, 0x0145, 0x014A, 0x0201, 0x0202}),
    st.binary(min_size=1, max_size=40).map(lambda data: Field(7, len(data), data)),
    max_size=6,
)


@given(st.sampled_from("<>"), FIELDS, FIELDS, FIELDS, FIELDS, st.binary(min_size=5, max_size=90), st.integers(0, 400))
def test_exif_written_and_read_is_the_same(
    order: str,
    image: dict[int, Field],
    photo: dict[int, Field],
    gps: dict[int, Field],
    interop: dict[int, Field],
    note: bytes,
    at: int,
) -> None:
    exif = Exif(order, image, {**photo, MAKER_NOTE: Field(7, len(note), note)}, gps, interop, maker_note_at=at)
    again = parse_exif(dump_exif(exif))
    assert (again.image, again.photo, again.gps, again.interop) == (exif.image, exif.photo, exif.gps, exif.interop)
    assert (again.order, again.damaged) == (order, 0)
    if at >= 8:
        assert again.maker_note_at == at


def test_what_is_broken_beside_the_pixels_is_listed_and_left_out(tmp_path: Path) -> None:
    picture = Pillow.fromarray(chart())
    pixels = chart()
    saved(tmp_path / "exif.png", picture, exif=b"Exif\0\0" + b"II*\0" + bytes(2) + b"\xff\xff")
    saved(tmp_path / "garbage.webp", picture, exif=b"no EXIF at all", lossless=True)
    saved(tmp_path / "profile.png", picture, icc_profile=b"no profile" * 20)
    saved(tmp_path / "other.png", picture, icc_profile=GREY_PROFILE)
    saved(tmp_path / "grey.jpg", picture.convert("L"), icc_profile=SRGB)
    for name, reason in [
        ("exif.png", "EXIF: 1 of them are damaged"),
        ("garbage.webp", "EXIF: it is broken"),
        ("profile.png", "ICC profile: it is broken or of an unknown kind"),
        ("other.png", "ICC profile: it describes grey and the picture is RGB"),
        ("grey.jpg", "ICC profile: it describes RGB and the picture is grey"),
    ]:
        image = read_image(tmp_path / name, SETTINGS)
        assert words(image) == reason
        assert image.icc_profile is None
        if name.endswith("png"):
            assert np.array_equal(image.pixels, pixels)


def test_a_profile_that_no_longer_fits_the_result_is_not_written(tmp_path: Path) -> None:
    coloured = Image(chart(), None, "PNG", icc_profile=GREY_PROFILE)
    written = write_image(coloured, tmp_path / "a.png", settings=SETTINGS)
    assert words(written) == "ICC profile: it describes grey and the picture is RGB"
    with Pillow.open(tmp_path / "a.png") as seen:
        assert "icc_profile" not in seen.info


def test_more_exif_than_jpeg_can_hold_is_said(tmp_path: Path) -> None:
    image = Image(chart(), None, "PNG", exif=exif_block(ImageDescription="x" * 60_000))
    assert "recipe" in words(write_image(image, tmp_path / "a.jpg", recipe=f'"{"r" * 9000}"', settings=SETTINGS))
    assert fields_of(read_image(tmp_path / "a.jpg", SETTINGS).exif)[ExifTags.Base.Make] == "Voigtlaender"
    image = Image(chart(), None, "PNG", exif=exif_block(ImageDescription="x" * 70_000))
    written = write_image(image, tmp_path / "b.jpg", settings=SETTINGS)
    assert words(written) == "EXIF: it is larger than JPEG allows"
    assert read_image(tmp_path / "b.jpg", SETTINGS).exif is None
    assert write_image(image, tmp_path / "b.png", settings=SETTINGS).carried == ("EXIF",)


@pytest.mark.parametrize("suffix", [".jpg", ".bmp"])
def test_where_there_is_no_alpha_the_picture_is_put_on_white(tmp_path: Path, suffix: str) -> None:
    image = Image(np.zeros((32, 48, 3), np.uint8), np.repeat(np.uint8([0, 128, 255]), 16)[None].repeat(32, 0), "PNG")
    written = write_image(image, tmp_path / f"a{suffix}", settings=SETTINGS)
    assert "alpha" in words(written)
    assert "white" in words(written)
    back = read_image(tmp_path / f"a{suffix}", SETTINGS)
    assert back.alpha is None
    assert np.allclose(back.pixels[16, [4, 24, 44], 0], [255, 127, 0], atol=3)


# Refusals


def test_what_is_no_picture_is_refused_in_one_sentence(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "folder.png").mkdir()
    for path, reason in [
        (tmp_path / "missing.png", "does not exist"),
        (tmp_path / "folder.png", "is a folder"),
        (tmp_path / "pipe.png", "a pipe or a device"),
        (Path("/dev/zero"), "a pipe or a device"),
        (kept(tmp_path / "empty.png", b""), "is empty"),
        (kept(tmp_path / "text.png", b"Dear Sir or Madam, " * 50), "not a picture of a known kind"),
        (kept(tmp_path / "script.png", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"), "not a picture"),
        (kept(tmp_path / "short.jpg", b"\xff\xd8\xff"), "broken or incomplete"),
        (kept(tmp_path / "short.heic", b"\0\0\0\x18ftypheic" + bytes(12)), "broken or incomplete"),
    ]:
        for act in (probe_image, read_image):
            with pytest.raises(InputError, match=reason) as caught:
                act(path, SETTINGS)
            assert str(caught.value).startswith(path.name)
            assert "\n" not in str(caught.value)


def test_the_name_does_not_decide_what_a_file_is(tmp_path: Path) -> None:
    path = saved(tmp_path / "really.png", Pillow.fromarray(chart()), format="WEBP", lossless=True)
    assert read_image(path, SETTINGS).format == "WEBP"


@pytest.mark.parametrize("kind", ["png", "deep.png", "jpg", "webp", "tif", "avif", "deep.avif", "bmp", "gif", "heic"])
def test_a_cut_off_picture_is_an_error_and_never_half_a_picture(tmp_path: Path, kind: str) -> None:
    noise = np.random.default_rng(3).integers(0, 256, (64, 96, 3), np.uint8)
    path = tmp_path / f"whole.{kind}"
    if kind == "heic":
        path.write_bytes(heic(noise))
    elif kind == "gif":
        Pillow.fromarray(noise).save(path)
    else:
        pixels: NDArray[Any] = noise.astype(np.uint16) * 257 if kind.startswith("deep") else noise
        write_image(Image(pixels, None, "PNG"), path, settings=SETTINGS)
    whole = path.read_bytes()
    assert read_image(path, SETTINGS).pixels.shape == (64, 96, 3)
    for part in (0.05, 0.3, 0.6, 0.97):
        path.write_bytes(whole[: int(len(whole) * part)])
        with pytest.raises(InputError, match=r"broken or incomplete|not a picture"):
            read_image(path, SETTINGS)


def test_a_tiff_with_strips_beyond_its_end_is_an_error(tmp_path: Path) -> None:
    """tifffile alone reads such strips as black."""
    tifffile.imwrite(tmp_path / "a.tif", chart(), photometric="rgb", rowsperstrip=16, metadata=None)
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        tag = tiff.pages[0].tags["StripByteCounts"]  # type: ignore[union-attr]
        at, size = tag.valueoffset, tag.valuebytecount // tag.count
    data = bytearray((tmp_path / "a.tif").read_bytes())
    data[at : at + size] = bytes(size)
    with pytest.raises(InputError, match="broken or incomplete"):
        read_image(kept(tmp_path / "b.tif", bytes(data)), SETTINGS)


def test_limits_hold_before_anything_is_decoded(tmp_path: Path) -> None:
    # The header promises 144 megapixels, more than Pillow's own limit, which must not speak first; there are no pixels.
    bombs = {
        "a.png": png_file(12_000, 12_000, 8, 2, b""),
        "a.bmp": struct.pack("<2sLHHL LllHHLLllLL", b"BM", 0, 0, 0, 54, 40, 12_000, 12_000, 1, 24, 0, 0, 0, 0, 0, 0),
        "a.gif": b"GIF89a" + struct.pack("<HHBBB", 12_000, 12_000, 0, 0, 0) + b"\x2c" + bytes(9) + b"\2\0;",
    }
    for name, data in bombs.items():
        with pytest.raises(LimitError, match=r"12000 x 12000 = 144\.0 megapixels and at most 80 are read"):
            probe_image(kept(tmp_path / name, data), SETTINGS)
        with pytest.raises(LimitError, match="144"):
            read_image(tmp_path / name, SETTINGS)
    path = saved(tmp_path / "small.png", Pillow.fromarray(chart()))
    assert read_image(path, Settings(max_input_pixels=96 * 64)).pixels.shape == (64, 96, 3)
    for settings in (Settings(max_input_pixels=96 * 64 - 1), Settings(max_file_bytes=path.stat().st_size - 1)):
        for act in (probe_image, read_image):
            with pytest.raises(LimitError, match="RESTORE_MAX"):
                act(path, settings)


def test_pillows_own_limit_neither_warns_nor_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    for name in ("a.png", "a.jpg", "a.webp", "a.bmp", "a.gif", "a.avif"):
        saved(tmp_path / name, Pillow.fromarray(chart()))
    monkeypatch.setattr(Pillow, "MAX_IMAGE_PIXELS", 100)
    for path in sorted(tmp_path.iterdir()):
        assert probe_image(path, SETTINGS).width == 96
        assert read_image(path, SETTINGS).pixels.shape == (64, 96, 3)
    assert len(recwarn) == 0
    assert Pillow.MAX_IMAGE_PIXELS == 100


def test_a_small_png_with_huge_chunks_costs_nothing(tmp_path: Path) -> None:
    bomb = zlib.compress(bytes(200_000_000), 9)
    data = png_file(
        1, 1, 8, 0, b"\0\x2a", (b"iCCP", b"icc\0\0" + bomb), (b"zTXt", b"text\0\0" + bomb), (b"eXIf", bytes(9))
    )
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 150_000_000, hard))
    try:
        image = read_image(kept(tmp_path / "a.png", data), SETTINGS)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    assert image.pixels.tolist() == [[[42]]]
    assert words(image).startswith("ICC profile: it is broken or larger than 16 MiB; PNG text: text")


def test_a_file_without_permission_is_refused() -> None:
    with folder_for_all() as folder:
        path = saved(folder / "secret.png", Pillow.fromarray(chart()))
        path.chmod(0)
        for act in (probe_image, read_image):
            with without_privileges(), pytest.raises(InputError, match=r"secret\.png .* no permission to read it"):
                act(path, SETTINGS)


# Names and places


@pytest.mark.parametrize(
    "name",
    [
        "with space.png",
        "-leading-dash.png",
        "percent_%03d.png",
        "ünïcødé_映画_🎬.png",
        "n" * 196 + ".png",
        "a:b'\"c.PNG",
    ],
)
def test_any_file_name_works(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for dtype in (np.uint8, np.uint16):
        image = Image(gradient(3, dtype), None, "PNG")
        write_image(image, Path(name), settings=SETTINGS)
        assert [entry.name for entry in tmp_path.iterdir()] == [name]
        assert np.array_equal(read_image(Path(name), SETTINGS).pixels, image.pixels)


def test_the_target_may_be_the_source(tmp_path: Path) -> None:
    path = rich_jpeg(tmp_path / "photo.jpg")
    image = read_image(path, SETTINGS)
    write_image(image, path, settings=SETTINGS)
    again = read_image(path, SETTINGS)
    assert again.pixels.shape == image.pixels.shape
    assert fields_of(again.exif)[ExifTags.Base.Make] == "Camera"
    assert [entry.name for entry in tmp_path.iterdir()] == ["photo.jpg"]


def test_what_a_format_cannot_hold_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    wide = Image(np.zeros((1, 70_000, 1), np.uint8), None, "PNG")
    for name, reason in [
        ("a.webp", "WEBP cannot hold 70000 x 1 pixels .at most 16383 pixels a side"),
        ("a.jpg", "JPEG cannot hold 70000 x 1 pixels"),
        ("a.avif", "AVIF cannot hold 70000 x 1 pixels"),
        ("a.heic", r"has to end in one of \.png, \.jpg"),
        ("a.gif", "has to end in one of"),
        ("none", "has to end in one of"),
    ]:
        with pytest.raises(OutputError, match=reason):
            write_image(wide, tmp_path / name, settings=SETTINGS)
    with pytest.raises(LimitError, match="RESTORE_MAX_OUTPUT_MEGAPIXELS"):
        write_image(wide, tmp_path / "a.png", settings=Settings(max_output_pixels=69_999))
    with pytest.raises(OutputError, match="does not exist; make it first"):
        check_image_target(tmp_path / "missing" / "a.png", 10, 10, SETTINGS)
    assert list(tmp_path.iterdir()) == []
    write_image(wide, tmp_path / "a.tif", settings=SETTINGS)
    assert read_image(tmp_path / "a.tif", SETTINGS).pixels.shape == (1, 70_000, 1)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif", ".avif", ".bmp"])
def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path: Path, suffix: str) -> None:
    target = kept(tmp_path / f"a{suffix}", b"old")
    noise = np.random.default_rng(4).integers(0, 256, (96, 96, 3), np.uint8)
    with no_file_above(2048), pytest.raises(OutputError, match="the disk is full"):
        write_image(Image(noise, None, "PNG"), target, recipe=RECIPE, settings=SETTINGS)
    assert target.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == [target.name]


def test_another_failure_of_the_disk_is_ours_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(RestoreError, match="Input/output error"):
        write_image(Image(chart(), None, "PNG"), tmp_path / "a.png", settings=SETTINGS)
    assert list(tmp_path.iterdir()) == []
