"""Tiles: the arithmetic of cutting, exactness, running out of memory, and networks of every kind of size."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from restore.errors import ResourceError
from restore.inference.tiles import Tiler, count_tiles, divide, largest_tile


@given(
    cells=st.integers(1, 400),
    first=st.integers(0, 399),
    tile=st.integers(1, 300),
    context=st.integers(0, 40),
    multiple=st.sampled_from((1, 2, 4)),
)
def test_cores_cover_a_side_once_and_windows_are_equal(
    cells: int, first: int, tile: int, context: int, multiple: int
) -> None:
    length, start, context = cells * multiple, min(first, cells - 1) * multiple, context * multiple
    spans = divide(start, length, length, tile, context, multiple)

    assert [span.start for span in spans] == [start, *(span.stop for span in spans[:-1])]
    assert spans[-1].stop == length
    assert len({span.size for span in spans}) == 1
    for span in spans:
        assert 0 < span.stop - span.start <= max(tile, multiple)
        assert span.start % multiple == span.window % multiple == span.size % multiple == 0
        assert 0 <= span.window <= max(0, span.start - context)
        assert min(length, span.stop + context) <= span.window + span.size <= length


@given(pixels=st.integers(0, 10**7), context=st.integers(0, 64), multiple=st.sampled_from((1, 2, 4)))
def test_the_largest_tile_fits_with_its_context(pixels: int, context: int, multiple: int) -> None:
    tile = largest_tile(pixels, context, multiple)
    assert tile % multiple == 0
    assert tile == 16 or (tile + 2 * context) ** 2 <= pixels < (tile + multiple + 2 * context) ** 2


class Small(nn.Module):
    """Three convolutions (they see 3 pixels far) and an enlargement by two."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(*(nn.Conv2d(a, b, 3, padding=1) for a, b in ((3, 8), (8, 8), (8, 12))))

    def forward(self, x: Tensor) -> Tensor:
        return functional.pixel_shuffle(self.layers(x), 2)


@pytest.fixture
def network() -> Small:
    torch.manual_seed(0)
    return Small().eval().requires_grad_(False)


@pytest.mark.parametrize("size", [(1, 1), (1, 37), (7, 5), (64, 50), (33, 129)])
@pytest.mark.parametrize("tile", [5, 16])
def test_tiles_with_enough_context_change_nothing(network: Small, size: tuple[int, int], tile: int) -> None:
    picture = torch.rand(3, *size)
    whole = network(picture[None])[0]
    tiler = Tiler(network, scale=2, context=3, multiple=1, tile=tile, batch=3)
    tiled = torch.cat(list(tiler.bands(picture)), dim=1)
    torch.testing.assert_close(tiled, whole, rtol=0, atol=1e-5)
    assert tiler.finished == count_tiles(*size, tile, 3, 1)
    assert tiler.left == 0


def test_tiles_with_too_little_context_do_change_something(network: Small) -> None:
    picture = torch.rand(3, 40, 40)
    tiler = Tiler(network, scale=2, context=1, multiple=1, tile=10)
    tiled = torch.cat(list(tiler.bands(picture)), dim=1)
    assert (tiled - network(picture[None])[0]).abs().max() > 1e-3


def test_equal_windows_go_through_the_network_together(network: Small) -> None:
    shapes = []

    def forward(batch: Tensor) -> Tensor:
        shapes.append(tuple(batch.shape))
        return network(batch)

    list(Tiler(forward, scale=2, context=3, multiple=1, tile=16, batch=4).bands(torch.rand(3, 16, 100)))
    assert shapes == [(4, 3, 16, 21), (3, 3, 16, 21)]


def test_out_of_memory_halves_the_batch_then_the_tile_and_goes_on(network: Small) -> None:
    picture = torch.rand(3, 70, 90)
    counts = []

    def forward(batch: Tensor) -> Tensor:
        area = batch.shape[0] * batch.shape[2] * batch.shape[3]
        counts.append((tiler.finished, tiler.under_way, tiler.total))
        if len(counts) > 2 and area > 30 * 30:
            raise torch.OutOfMemoryError("no room")
        return network(batch)

    tiler = Tiler(forward, scale=2, context=3, multiple=1, tile=40, batch=2)
    tiled = torch.cat(list(tiler.bands(picture)), dim=1)
    torch.testing.assert_close(tiled, network(picture[None])[0], rtol=0, atol=1e-5)
    assert (tiler.batch, tiler.tile) == (1, 20)
    # Two rows of three tiles at first. Three are done when the batch, and then the tile, turns out to be too large.
    assert counts[:4] == [(0, 2, 6), (2, 1, 6), (3, 2, 6), (3, 1, 6)]
    assert (tiler.finished, tiler.left) == (tiler.total, 0)
    finished = [finished for finished, _, _ in counts]
    assert finished == sorted(finished)
    for before, after in pairwise(counts[4:]):
        assert after == (before[0] + 1, 1, tiler.total)


def test_no_memory_for_the_smallest_tile_is_an_error_in_words() -> None:
    def forward(batch: Tensor) -> Tensor:
        raise torch.OutOfMemoryError("no room")

    with pytest.raises(ResourceError, match="not enough memory"):
        list(Tiler(forward, scale=2, context=3, multiple=1, tile=64, batch=4).bands(torch.rand(3, 64, 64)))
