"""What lies between two frames, at one or several times: by a network, or by the motion itself."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from restore import catalog
from restore.errors import ResourceError
from restore.inference import memory
from restore.inference.device import name_of, wide_range_precision
from restore.inference.engine import Engine
from restore.inference.opening import opened
from restore.inference.runner import SHARE_OF_MEMORY, NetworkSource
from restore.interpolation import optical_flow
from restore.interpolation.tiling import GRID, LEAST_CONTEXT, SMALLEST_TILE, context_for, soft_tiles

LARGEST_RESULTS = 2**30
"""Bytes of the frames that are made of one pair before the first of them is handed on, at most."""

SHARE_OF_RESULTS = 0.1
"""How much of the memory that is free these frames may take."""

VALUES_PER_PIXEL: Mapping[str, int] = {
    "rife": 300,
    "ifrnet": 320,
    "super-slomo": 500,
    "film": 2100,
    "dain": 3800,
}
"""Numbers held at once for each pixel of a padded frame while a network runs, by its architecture: as measured, and
rounded up. Motion that is looked for at a smaller size needs less."""

MULTIPLES: Mapping[str, int] = {"rife": 128, "ifrnet": 16, "super-slomo": 32, "film": 64, "dain": 128}
"""What both sides of a frame are padded to a multiple of, where motion is looked for at its full size."""

MACS_PER_PIXEL: Mapping[str, float] = {
    "rife": 42e3,
    "ifrnet": 193e3,
    "super-slomo": 663e3,
    "film": 2.1e6,
    "dain": 8.7e6,
}
"""Multiply-accumulate operations for each pixel of a frame that is made, where there is one between two."""

TAKES_SCALE = frozenset({"rife", "ifrnet"})
"""The architectures that can look for motion at a smaller size."""

STANDS_LOWER = frozenset({"rife", "ifrnet"})
"""The architectures whose frames stay within 40 dB of those in float32 where their bodies run in bfloat16. DAIN's come
within 16 dB only; of the others it was not seen that they gain by it."""

HALF_FROM, QUARTER_FROM = 3e6, 12e6
"""Pixels of a frame from which motion is looked for at half and at a quarter of its size, where nobody says otherwise:
above 1080p and above 4K, things move further than networks look that learnt from small pictures."""


class Between(Protocol):
    """Makes frames between two; ``plan`` says in the end what was chosen for it."""

    @property
    def plan(self) -> Mapping[str, Any]: ...

    def frames(self, first: Tensor, second: Tensor, times: Sequence[float], bits: int = 8) -> Iterator[Tensor]:
        """The frames ``(3, H, W)`` float32 in [0, 1] at ``times``, rising and in (0, 1), between two of that shape.

        ``bits`` is the depth of the source.
        """
        ...


@dataclass
class BuiltInBetween:
    """Follows the motion that OpenCV finds; runs on the CPU."""

    engine: Engine
    plan: Mapping[str, Any] = field(default_factory=dict)

    def frames(self, first: Tensor, second: Tensor, times: Sequence[float], bits: int = 8) -> Iterator[Tensor]:
        if not times:
            return
        with torch.inference_mode():
            motion = optical_flow.prepare(first.clamp(0, 1), second.clamp(0, 1))
        for number, time in enumerate(times):
            with torch.inference_mode():
                made = optical_flow.at(motion, time)
            yield made
            self.engine.progress.advance(number + 1, len(times), "times")


@dataclass
class _Known:
    """What a network has found out about two whole frames; kept where ``more`` times between them are to come."""

    state: Any = None
    more: bool = False


@dataclass
class NetworkBetween:
    """Runs the network of ``source``, in tiles where a frame does not fit into memory.

    ``scale`` is the share of the size at which it looks for motion, where it can choose; ``None`` goes by the size.
    """

    source: NetworkSource
    engine: Engine
    scale: float | None = None
    plan: dict[str, Any] = field(default_factory=dict)
    _tile: int | None = None

    def frames(self, first: Tensor, second: Tensor, times: Sequence[float], bits: int = 8) -> Iterator[Tensor]:
        dtype = self._precision(bits)
        free = SHARE_OF_RESULTS * memory.available(self.engine.settings, torch.device("cpu"))
        together = max(1, int(min(LARGEST_RESULTS, free)) // max(1, first.nbytes))
        known = _Known()
        for start in range(0, len(times), together):
            known.more = start + together < len(times)
            yield from self._together(first, second, times[start : start + together], dtype, known)

    def _together(
        self, first: Tensor, second: Tensor, times: Sequence[float], dtype: torch.dtype, known: _Known
    ) -> list[Tensor]:
        """The frames at ``times``; what they share is computed once for each tile."""
        height, width = first.shape[1:]
        self._tile = self._tile or self._largest(height, width)
        while True:
            try:
                return self._in_tiles(first, second, times, self._tile, dtype, known)
            except RuntimeError as error:
                if not memory.is_out_of_memory(error):
                    raise
                known.state = None
                self._tile = min(self._tile, max(height, width)) // 2
                if self._tile < SMALLEST_TILE:
                    raise ResourceError(
                        f"There is not enough memory for {self.source.name} even in tiles of {SMALLEST_TILE} pixels: "
                        "close other programs that use the device, or choose a smaller model or another device."
                    ) from error

    def _in_tiles(
        self, first: Tensor, second: Tensor, times: Sequence[float], tile: int, dtype: torch.dtype, known: _Known
    ) -> list[Tensor]:
        height, width = first.shape[1:]
        whole = tile >= max(height, width)
        scale = self._scale(height, width)
        grid, least = int(GRID / (scale or 1)), _least_context(scale)
        context = least if whole else max(least, context_for(first, second))
        # What more context takes of a window is missing for the tile.
        core = tile + grid if whole else max(SMALLEST_TILE, tile - 2 * (context - least))
        tiles = soft_tiles(height, width, core, context, grid)
        results = [torch.zeros_like(first) for _ in times]
        done = 0
        with opened(self.source, self.engine, dtype) as opened_network:
            network: Any = opened_network
            named = {} if scale is None else {"scale": scale}
            if hasattr(network, "of_whole"):
                named |= network.of_whole(first[None].clamp(0, 1), second[None].clamp(0, 1))
            for part in tiles:
                state = known.state if whole else None
                if state is None:
                    pair = [part.tile.cut(frame)[None].clamp(0, 1) for frame in (first, second)]
                    state = network.prepare(*(frame.to(self.engine.device) for frame in pair), **named)
                for result, time in zip(results, times, strict=True):
                    made = network.at(state, time)[0].float().clamp_(0, 1).to("cpu")
                    if whole:
                        result.copy_(made)
                    else:
                        part.add(made, result)
                    done += 1
                    self.engine.progress.advance(done, len(tiles) * len(times), "tiles")
                known.state = state if whole and known.more else None
        self.plan |= {"precision": name_of(dtype), "tile": "whole frame" if whole else tile}
        if not whole:
            self.plan["context"] = max(context, self.plan.get("context", 0))
        if scale is not None:
            self.plan["scale"] = scale
        return results

    @property
    def _architecture(self) -> str:
        return catalog.checkpoint(self.source.name).network

    def _precision(self, bits: int) -> torch.dtype:
        """That of the body of the network: a lower one only where the frames stay the same to the eye."""
        if self._architecture not in STANDS_LOWER or (bits > 8 and self.engine.settings.precision == "auto"):
            return torch.float32
        return wide_range_precision(self.engine.settings, self.engine.device)

    def _scale(self, height: int, width: int) -> float | None:
        """The share of the size at which motion is looked for, ``None`` for a network that cannot choose."""
        if self._architecture not in TAKES_SCALE:
            return None
        if self.scale is not None:
            return self.scale
        return 0.25 if height * width > QUARTER_FROM else 0.5 if height * width > HALF_FROM else 1.0

    def _largest(self, height: int, width: int) -> int:
        """The side of a tile that fits into the memory that is free."""
        wanted = self.engine.settings.tile
        free = SHARE_OF_MEMORY * memory.available(self.engine.settings, self.engine.device)
        pixels = int(free) // (VALUES_PER_PIXEL[self._architecture] * torch.float32.itemsize)
        scale = self._scale(height, width)
        multiple = int(MULTIPLES[self._architecture] / (scale or 1))
        if wanted is None and math.prod(side + -side % multiple for side in (height, width)) <= pixels:
            return max(height, width)
        window = math.isqrt(pixels) // multiple * multiple
        largest = max(SMALLEST_TILE, window - 2 * _least_context(scale))
        return largest if wanted is None else max(SMALLEST_TILE, min(wanted, largest))


def _least_context(scale: float | None) -> int:
    """Pixels around a tile: where motion is looked for at a smaller size, a network sees as much further."""
    return int(LEAST_CONTEXT / (scale or 1))
