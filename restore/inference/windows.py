"""Go through a shot window by window, with a network that looks at several frames.

A window is as many frames as are enlarged before the next one, and after them the *context*: frames that the network
looks at, because what they show comes back to the ones before, and whose results are thrown away. What the network
carries forward goes from window to window unchanged, so that only what it carries backward begins anew, at the end of
the context. With a context to the end of the shot the result is that of the whole shot at once.

A shot is all that this module knows: whoever calls it begins anew at every cut.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from restore.errors import ResourceError, SettingsError
from restore.inference.tiles import Span, Tile, divide
from restore.networks.edvr_features import padded
from restore.networks.temporal import TemporalTraits, WindowedNetwork

State = TypeVar("State")

LONGEST = 60
"""Frames of a window at most, however much memory there is: the first result should not be long in coming."""

ALLOCATOR = 1.15
"""What memory is really taken for each byte that is asked for, where the process is kept from having many holes."""

SMALLEST_TILE = 64
"""Pixels: what flow and deformable convolutions find in less is of no use."""

MULTIPLE = 4
"""Tiles begin at multiples of this, the coarsest step of the networks' features."""


@dataclass(frozen=True)
class Windows:
    """How a shot is cut up: ``length`` frames to a window, and ``context`` more that it looks at."""

    length: int
    context: int

    def __post_init__(self) -> None:
        if self.length < 1 or self.context < 0:
            raise SettingsError("A window needs at least one frame, and its context cannot be negative.")

    @property
    def seen(self) -> int:
        """Frames that the network is given at once."""
        return self.length + self.context


def split(frames: int, context: int, traits: TemporalTraits) -> Windows:
    """Divide ``frames`` into a window and its context, as wanted or as long as the cost of the network allows.

    Going through a shot costs at most 1.5 times the plain way, since a frame of the context takes no part in the last
    steps: it may make up more than a third of the frames.
    """
    worth = traits.worth_per_frame
    kept = max(traits.needed_context, min(context, int(frames * worth / (1 + worth)), frames - 1))
    return Windows(max(1, frames - kept), kept)


def needed_bytes(traits: TemporalTraits, height: int, width: int, frames: int, itemsize: int = 4) -> int:
    """Memory that a window of so many frames of this size takes, its context included."""
    pixels = height * width
    # Offsets and what they are found from are float32 in part, whatever the rest is.
    largest = max(pixels * traits.values_at_once, traits.values_of_block) * (itemsize + 4) // 2
    held = pixels * traits.values_per_frame * frames * itemsize + largest
    # The frames as they wait and as they are worked on, and one result before and after it is clamped.
    pictures = 4 * 3 * pixels * (2 * frames + 2 * traits.scale**2)
    return int(ALLOCATOR * (held + pictures))


@dataclass(frozen=True)
class WindowPlan:
    """How the shots of a clip are gone through: windows in time and, where a frame does not fit, tiles in space."""

    windows: Windows
    tile: int | None = None
    """Pixels a side without the context around it; ``None`` for the whole frame."""

    def needed_bytes(self, traits: TemporalTraits, height: int, width: int, itemsize: int = 4) -> int:
        """Memory that one of the windows takes, of frames of ``height`` times ``width``."""
        seen = self.windows.seen
        rows, columns = _given(self.tile, height, width, traits.reach)
        return needed_bytes(traits, rows, columns, seen, itemsize) + seen * _beside(self.tile, height, width, traits)

    def smaller(self, traits: TemporalTraits, height: int, width: int) -> WindowPlan | None:
        """Shorter windows down to the shortest that make sense, then smaller tiles; ``None`` after the smallest."""
        if self.windows.seen > traits.shortest:
            shorter = max(traits.shortest, self.windows.seen // 2)
            return WindowPlan(split(shorter, self.windows.context, traits), self.tile)
        sizes = [size for size in _tile_sizes(height, width) if self.tile is None or size < self.tile]
        return WindowPlan(self.windows, sizes[0]) if sizes else None


def plan(
    traits: TemporalTraits,
    height: int,
    width: int,
    available: int,
    *,
    itemsize: int = 4,
    context: int | None = None,
    length: int | None = None,
    tile: int | None = None,
) -> WindowPlan:
    """The longest windows that fit into ``available`` bytes for frames of ``height`` times ``width``.

    ``context`` and ``length``, in frames, and ``tile``, in pixels, are settings; what is not given is chosen. A frame
    of which no useful window fits is cut into tiles. Raises ``ResourceError`` where not even those fit.
    """
    wanted = traits.context if context is None else context
    if traits.macs_per_context_frame == 0:
        # Nothing comes back from farther away.
        wanted = traits.needed_context
    fixed = None
    if length is not None:
        affordable = min(wanted, int(length * traits.worth_per_frame))
        fixed = Windows(length, max(traits.needed_context, affordable if context is None else wanted))
    least = fixed.seen if fixed else traits.shortest
    sizes = [tile] if tile is not None else [None, *_tile_sizes(height, width)]
    for size in sizes:
        rows, columns = _given(size, height, width, traits.reach)
        frames = _most_frames(traits, rows, columns, available, itemsize, _beside(size, height, width, traits))
        if frames >= least:
            return WindowPlan(fixed or split(min(frames, LONGEST + wanted), wanted, traits), size)
    raise ResourceError(
        f"There is not enough memory for {least} frames of this clip at once, even in tiles of {SMALLEST_TILE} pixels. "
        "Choose a model that works frame by frame, or make the clip smaller first."
    )


def _tile_sizes(height: int, width: int) -> list[int]:
    """Halves of the frame's longer side, and so on down to the smallest tile."""
    sizes = []
    size = max(height, width)
    while size > SMALLEST_TILE:
        size = max(SMALLEST_TILE, (size + 1) // 2)
        sizes.append(size + -size % MULTIPLE)
    return sizes


def _given(tile: int | None, height: int, width: int, reach: int) -> tuple[int, int]:
    """Rows and columns of a frame that a network is given at once."""
    if tile is None:
        return height, width
    rows, columns = (min(side + -side % MULTIPLE, tile + 2 * reach) for side in (height, width))
    return rows, columns


def _beside(tile: int | None, height: int, width: int, traits: TemporalTraits) -> int:
    """Bytes for each frame beside what the network takes."""
    # The results of all tiles of a window are put together before the first one goes out.
    return 0 if tile is None else height * width * 3 * 4 * traits.scale**2


def _most_frames(
    traits: TemporalTraits, height: int, width: int, available: int, itemsize: int, extra_per_frame: int
) -> int:
    once = needed_bytes(traits, height, width, 0, itemsize)
    each = needed_bytes(traits, height, width, 1, itemsize) - once + extra_per_frame
    return max(0, available - once) // each


class Run(Generic[State]):
    """Iterates over the results of a window, and has the state that comes after them in the end."""

    def __init__(self, results: Generator[Tensor, None, State]) -> None:
        self._results = results
        self._state: State | None = None

    def __iter__(self) -> Iterator[Tensor]:
        self._state = yield from self._results

    @property
    def state(self) -> State:
        assert self._state is not None, "the results have not all been taken"
        return self._state


@dataclass(frozen=True)
class Tiled(Generic[State]):
    """A network that is given each window tile by tile, and carries a state for each of them.

    It is a ``WindowedNetwork`` itself. A tile sees ``reach`` pixels around itself and nothing beyond.
    """

    network: WindowedNetwork[State]
    scale: int
    tile: int
    reach: int

    def window(
        self, frames: Tensor, state: list[State] | None, keep: int, last: bool
    ) -> Generator[Tensor, None, list[State]]:
        """See ``WindowedNetwork.window``. The results come when all tiles are done."""
        scale, (height, width) = self.scale, frames.shape[-2:]
        frames = padded(frames)
        rows, columns = self._divide(frames.shape[-2]), self._divide(frames.shape[-1])
        canvas = frames.new_empty(frames.shape[0], keep, 3, scale * frames.shape[-2], scale * frames.shape[-1])
        states: list[State] = []
        for tile in (Tile(row, column) for row in rows for column in columns):
            part = frames[..., tile.row.seen, tile.column.seen]
            run = Run(self.network.window(part, state[len(states)] if state else None, keep, last))
            top, left = scale * tile.row.start, scale * tile.column.start
            for number, result in enumerate(run):
                for one, whole in zip(result, canvas[:, number], strict=True):
                    core = tile.core_of(one, scale)
                    whole[:, top : top + core.shape[1], left : left + core.shape[2]] = core
            states.append(run.state)
        yield from canvas[..., : scale * height, : scale * width].unbind(1)
        return states

    def _divide(self, side: int) -> list[Span]:
        return divide(0, side, side, self.tile, self.reach, MULTIPLE)


def enlarge_shot(
    network: WindowedNetwork[Any],
    traits: TemporalTraits,
    frames: Iterable[Tensor],
    plan: WindowPlan,
    changed: Callable[[WindowPlan], None] | None = None,
) -> Iterator[Tensor]:
    """Enlarge the ``frames`` of one shot, ``(3, H, W)`` R'G'B' in [0, 1], of which there is at least one.

    Yields ``(3, scale * H, scale * W)`` for each, on the device of the frames, clamped to [0, 1]. Holds the frames of
    one window and one more; the last window keeps what would have been its context.

    Where the memory of a GPU does not suffice, ``changed`` is told the smaller plan that the rest is made with; where
    there is none, ``ResourceError`` is raised.
    """
    source = iter(frames)
    waiting: list[Tensor] = []
    ended = False
    state: Any = None
    finished = 0
    while not ended or waiting:
        while not ended and len(waiting) <= plan.windows.seen:
            following = next(source, None)
            if following is None:
                ended = True
            else:
                waiting.append(following)
        # After a window became shorter, more may be waiting than it takes.
        last = ended and len(waiting) <= plan.windows.seen
        seen = waiting[: plan.windows.seen]
        keep = len(seen) if last else plan.windows.length
        runner = network if plan.tile is None else Tiled(network, traits.scale, plan.tile, traits.reach)
        run = Run(_steps(runner, torch.stack(seen)[None], state, keep, last))
        try:
            for number, result in enumerate(run):
                # What was out before the window had to be shortened is not given twice.
                if number >= finished:
                    yield result[0].float().clamp(0, 1)
                    finished = number + 1
        except torch.OutOfMemoryError as error:
            smaller = plan.smaller(traits, *seen[0].shape[-2:])
            if smaller is None:
                raise ResourceError(
                    "The memory of the GPU does not suffice for this clip, even in the smallest pieces. Close other "
                    "programs that use the GPU, or choose a model that works frame by frame."
                ) from error
            if smaller.tile != plan.tile:
                # What is carried forward belongs to tiles that are no more.
                state = None
            plan = smaller
            if changed is not None:
                changed(plan)
            del run
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            continue
        state = run.state
        del waiting[:keep]
        finished = max(0, finished - keep)


@torch.inference_mode()
def _steps(
    network: WindowedNetwork[Any], frames: Tensor, state: Any, keep: int, last: bool
) -> Generator[Tensor, None, Any]:
    after = yield from network.window(frames, state, keep, last)
    return after
