"""From planes to R'G'B' and back: what the numbers mean, and that nothing is lost on the way."""

from __future__ import annotations

import av
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from restore.errors import InputError
from restore.media.clips import chroma, colour
from restore.media.clips.colour import ColourSpace, from_rgb, resolve, to_rgb
from restore.media.clips.planes import Layout, blank_frame, layout_of, read_planes


def psnr(a: Tensor, b: Tensor, peak: float) -> float:
    error = float((a.double() - b.double()).square().mean())
    return 200.0 if error == 0 else 10 * np.log10(peak**2 / error)


def filled(layout: Layout, width: int, height: int, level: tuple[float, ...]) -> list[Tensor]:
    """Planes of one colour: ``level`` are fractions of the largest number."""
    _, planes = blank_frame(layout, width, height)
    return [torch.full(plane.shape, round(part * layout.largest)) for plane, part in zip(planes, level, strict=True)]


def scene(layout: Layout, width: int, height: int) -> Tensor:
    """A picture with soft colours and hard edges, drawn at the resolution of chroma and enlarged as clips are."""
    x, y = torch.meshgrid(torch.linspace(0, 9, width), torch.linspace(0, 7, height), indexing="xy")
    waves = torch.stack([torch.sin(x), torch.cos(y), torch.sin(x + y)]) * 0.3 + 0.5
    waves[:, height // 3 : height // 2, width // 4 : width // 2] = torch.tensor([0.9, 0.1, 0.2])[:, None, None]
    _, planes = blank_frame(layout, width, height)
    space = resolve(ColourSpace(colour.UNSPECIFIED), layout, width, height)
    from_rgb(waves, None, planes, layout, space)
    return to_rgb([plane.to(torch.int32) for plane in planes], layout, space)[0]


@pytest.mark.parametrize(
    ("matrix", "full", "planes", "rgb"),
    [
        # Worked out from the equations of the recommendations, for 8 bits.
        (6, False, (81, 90, 240), (254.4, 0.0, 0.0)),  # the red of BT.601's bars
        (1, False, (63, 102, 240), (254.9, 0.5, 0.3)),  # the red of BT.709's
        (9, False, (235, 128, 128), (255, 255, 255)),
        (9, True, (255, 128, 128), (255, 255, 255)),
        (6, True, (76, 85, 255), (254.0, 0.2, 0.2)),  # JPEG's red
        (8, True, (128, 128, 128), (128, 128, 128)),
    ],
)
def test_known_colours(matrix: int, full: bool, planes: tuple[int, ...], rgb: tuple[float, ...]) -> None:
    layout = layout_of("yuv444p")
    numbers = [torch.full((2, 2), plane) for plane in planes]
    pixels, alpha = to_rgb(numbers, layout, ColourSpace(matrix, full_range=full))
    assert alpha is None
    assert pixels[:, 0, 0].mul(255).tolist() == pytest.approx(rgb, abs=1.0)


@pytest.mark.parametrize("name", ["yuv444p", "yuv420p10le", "yuv422p12le", "gray16le", "gbrp", "gbrap10le", "yuva420p"])
@pytest.mark.parametrize("matrix", [*colour.LUMA, colour.YCGCO])
def test_every_number_of_luma_comes_back(name: str, matrix: int) -> None:
    layout = layout_of(name)
    width, height = 67, 41  # odd, and more than one band would be 64 rows
    generator = torch.Generator().manual_seed(matrix)
    frame, planes = blank_frame(layout, width, height)
    for plane in planes:
        # Chroma is smooth, so that its own filters are not what is tested here.
        noise = torch.randint(0, layout.largest + 1, plane.shape, generator=generator, dtype=torch.int32)
        flat = torch.full(plane.shape, layout.largest // 3, dtype=torch.int32)
        subsampled = plane.shape != planes[0].shape or (layout.kind == "yuv" and plane is not planes[0])
        plane.copy_(flat if subsampled else noise)
    before, _ = read_planes(frame)
    space = resolve(ColourSpace(matrix), layout, width, height)
    pixels, alpha = to_rgb(before, layout, space)
    assert pixels.dtype == torch.float32
    _, after = blank_frame(layout, width, height)
    from_rgb(pixels, alpha, after, layout, space)
    for one, other in zip(before, after, strict=True):
        assert torch.equal(one, other.to(one.dtype))


@pytest.mark.parametrize("name", ["yuv420p", "yuv422p10le", "yuv411p", "yuv440p", "yuv410p"])
@pytest.mark.parametrize("location", [colour.CHROMA_LEFT, colour.CHROMA_CENTRE, colour.CHROMA_TOP_LEFT])
def test_chroma_passes_through(name: str, location: int) -> None:
    layout = layout_of(name)
    width, height = 141, 203
    space = ColourSpace(6, chroma_location=location)
    pixels = scene(layout, width, height)
    _, before = blank_frame(layout, width, height)
    from_rgb(pixels, None, before, layout, space)
    again, _ = to_rgb([plane.to(torch.int32) for plane in before], layout, space)
    _, after = blank_frame(layout, width, height)
    from_rgb(again, None, after, layout, space)
    assert torch.equal(before[0], after[0])
    for one, other in zip(before[1:], after[1:], strict=True):
        assert psnr(one.to(torch.int32), other.to(torch.int32), layout.largest) > 54


@given(
    st.sampled_from(["yuv420p", "yuv422p10le", "yuv410p", "gbrp"]),
    st.integers(1, 40),
    st.integers(1, 150),
    st.sampled_from([colour.CHROMA_LEFT, colour.CHROMA_CENTRE]),
)
@settings(max_examples=40, deadline=None)
def test_bands_leave_no_mark(name: str, width: int, height: int, location: int) -> None:
    layout = layout_of(name)
    pixels = torch.rand(3, height, width, generator=torch.Generator().manual_seed(height))
    space = resolve(ColourSpace(6, chroma_location=location), layout, width, height)
    _, banded = blank_frame(layout, width, height)
    from_rgb(pixels, None, banded, layout, space)
    _, whole = blank_frame(layout, width, height)
    rows = colour.BAND
    try:
        colour.BAND = 1024
        from_rgb(pixels, None, whole, layout, space)
    finally:
        colour.BAND = rows
    for one, other in zip(banded, whole, strict=True):
        assert int((one.to(torch.int32) - other.to(torch.int32)).abs().max()) <= 1  # sums in another order


def test_colours_outside_of_the_range_survive() -> None:
    layout = layout_of("yuv444p")
    levels = [torch.tensor([[1, 254]], dtype=torch.int32), *(torch.full((1, 2), 128, dtype=torch.int32),) * 2]
    pixels, _ = to_rgb(levels, layout, ColourSpace(1))
    assert float(pixels.min()) < 0
    assert float(pixels.max()) > 1
    _, after = blank_frame(layout, 2, 1)
    from_rgb(pixels, None, after, layout, ColourSpace(1))
    assert after[0].tolist() == [[1, 254]]


def test_up_and_down_agree_with_where_chroma_lies() -> None:
    ramp = torch.arange(20.0)[None]
    assert chroma.up(ramp, "cosited", -1, 40)[0, 4:36].tolist() == pytest.approx([n / 2 for n in range(4, 36)])
    assert chroma.up(ramp, "centre", -1, 40)[0, 4:36].tolist() == pytest.approx([n / 2 - 0.25 for n in range(4, 36)])
    long = torch.arange(40.0)[:, None]
    assert chroma.down(long, "cosited", -2)[3:17, 0].tolist() == pytest.approx([2 * n for n in range(3, 17)], abs=1e-4)
    assert chroma.down(long, "centre", -2)[3:17, 0].tolist() == pytest.approx(
        [2 * n + 0.5 for n in range(3, 17)], abs=1e-4
    )


@pytest.mark.parametrize("siting", ["cosited", "centre"])
def test_the_filter_downwards_keeps_grey_and_stops_what_would_alias(siting: chroma.Siting) -> None:
    taps = chroma.down_taps(siting)
    assert sum(taps) == pytest.approx(1)
    assert taps == pytest.approx(taps[::-1])
    finest = sum(tap * (-1) ** k for k, tap in enumerate(taps))
    assert abs(finest) < 0.2


@pytest.mark.parametrize(
    ("name", "planar"),
    [
        ("nv12", "yuv420p"),
        ("yuyv422", "yuv422p"),
        ("p010le", "yuv420p10le"),
        ("rgb24", "gbrp"),
        ("bgra", "gbrap"),
        ("rgb48be", "gbrp16le"),
        ("ya8", "gbrap"),
        ("yuvj422p", "yuv422p"),
        ("pal8", "gbrap"),
        ("monow", "gray"),
        ("uyyvyy411", "yuv411p"),
    ],
)
def test_packed_pixels_are_taken_apart_without_loss(name: str, planar: str) -> None:
    layout = layout_of(name)
    assert layout.name == planar
    if name in ("yuyv422", "nv12", "rgb24", "p010le"):
        frame, planes = blank_frame(layout, 32, 16)
        for plane in planes:
            plane.copy_(torch.randint(0, layout.largest + 1, plane.shape, dtype=torch.int32))
        wanted, _ = read_planes(frame)
        packed = frame.reformat(format=name)
        assert packed.format.name == name
        for one, other in zip(wanted, read_planes(packed)[0], strict=True):
            assert torch.equal(one, other)


@pytest.mark.parametrize("name", ["cuda", "gbrpf32le", "bayer_rggb8"])
def test_what_is_no_picture_in_integers_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=name):
        layout_of(name)


def test_packed_pixels_that_swscale_does_not_know_are_refused() -> None:
    with pytest.raises(InputError, match="xv30be"):
        read_planes(av.VideoFrame(16, 16, "xv30be"))


@pytest.mark.parametrize(
    ("width", "height", "matrix"), [(720, 480, 6), (720, 486, 6), (720, 576, 5), (1280, 720, 1), (480, 720, 1)]
)
def test_untagged_pictures_go_by_their_size(width: int, height: int, matrix: int) -> None:
    untagged = ColourSpace(colour.UNSPECIFIED, primaries=1)
    assert resolve(untagged, layout_of("yuv420p"), width, height) == ColourSpace(matrix, primaries=1)
    assert resolve(ColourSpace(9), layout_of("yuv420p"), width, height).matrix == 9
    assert resolve(untagged, layout_of("rgb24"), width, height).matrix == colour.RGB
