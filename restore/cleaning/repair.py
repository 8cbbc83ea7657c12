"""Run DeepRemaster's repair of luminance over shots: blocks in time, tiles in space, precision, memory.

What the published program does beside (eight bits in between, a small size, blocks that do not overlap) is in
``restore.colour.deepremaster``; it costs sharpness, and the seams between its blocks flicker.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterable
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from restore.cleaning.blocks import blocks
from restore.colour.deepremaster import BLOCK, working_size
from restore.colour.lab import lab_to_rgb, rgb_to_lab
from restore.errors import ResourceError, WeightsError
from restore.inference import memory
from restore.inference.device import name_of, wide_range_precision
from restore.inference.engine import Engine
from restore.inference.opening import opened
from restore.inference.pinned import fetched, sent
from restore.inference.resample import lanczos
from restore.inference.runner import NetworkSource
from restore.inference.tiles import Span, divide
from restore.inference.trial import Trial
from restore.networks.deepremaster import DeepRemaster
from restore.progress import FRAMES

CONTEXT = 1
"""Frames of a block on either side that only help the others."""

FRAMES_HELD = 2 * BLOCK - 2 * CONTEXT
"""How many frames ``repaired`` holds at most."""

MULTIPLE = 4
"""Sides of what the network sees are multiples of this."""

REACH = 40
"""Pixels around a tile: as far as the network looks (37), and a multiple of the above."""

MACS_PER_PIXEL = 996_000
"""Multiply-accumulate operations of the network for a pixel of a frame."""

BYTES_PER_PIXEL = 1000
"""What the network takes for each pixel of each frame of a block, in any precision; as measured, with some room."""

BYTES_AT_LEAST = 300 * 10**6
"""What it takes beside that, however small the frames are."""

SHARE_OF_MEMORY = 0.4
"""How much of the memory that is free the network may take."""

LARGEST_TILE = {"cpu": 512, "mps": 768, "cuda": 1536}
"""Larger tiles are no faster, and a request to stop is heard between layers."""

SMALLEST_TILE = 32

SAMPLE_SIDE = 64
"""Pixels of the middle of a block that are looked at to see whether a lower precision suits the network."""


class _NotFinite(ArithmeticError):
    """A lower precision was too small for the numbers of the network."""


@dataclass
class Repair:
    """Repairs the luminance of shots with the network of ``source``; a and b of CIE L*a*b* stay.

    The network sees the frames at their own size or, where ``side`` is given and they are larger, reduced to about so
    many pixels on the shorter side; what it changes is then enlarged and added to the frame. ``plan`` says in the end
    how it ran, and ``trial`` whether a lower precision suits the weights and the film.
    """

    source: NetworkSource
    engine: Engine
    side: int | None = None
    plan: dict[str, Any] = field(default_factory=lambda: {"block": BLOCK, "context_frames": CONTEXT, "context": REACH})
    trial: Trial = field(default_factory=Trial)
    _float32_only: bool = False
    _tiles: dict[tuple[int, int], int] = field(default_factory=dict)

    def repaired(self, shot: Iterable[Tensor], bits: int) -> Generator[Tensor]:
        """The frames ``(3, H, W) float32`` of one shot, repaired, in [0, 1]; ``bits`` is the depth of the source.

        Frames are on the CPU. A shot of up to five frames is one block, as in the published program; of a longer one
        the blocks overlap. Raises ``WeightsError`` where the network gives no finite numbers, ``ResourceError`` where
        not even the smallest tile fits.
        """
        with_light = ((frame, self._seen(frame)) for frame in shot)
        for block, kept in blocks(with_light, BLOCK, CONTEXT):
            lights = torch.stack([light for _, light in block])
            changes = self._run(lights, bits, kept.stop - kept.start)[kept] - lights[kept]
            for (frame, _), change in zip(block[kept], changes, strict=True):
                yield _with_change(frame, change)

    def _seen(self, frame: Tensor) -> Tensor:
        """The luminance ``(1, h, w)`` in [0, 1] of ``frame`` in the size at which the network sees it."""
        height, width = frame.shape[-2:]
        if self.side is not None and self.side < min(height, width):
            frame = lanczos(frame, *working_size(height, width, self.side))
        return rgb_to_lab(frame.clamp(0, 1)[None])[0, :1] / 100

    def _precision(self, bits: int) -> torch.dtype:
        """A depth of more than eight bits is not put at risk unless the settings say so."""
        if self._float32_only or (bits > 8 and self.engine.settings.precision == "auto"):
            return torch.float32
        return wide_range_precision(self.engine.settings, self.engine.device)

    def _run(self, lights: Tensor, bits: int, results: int) -> Tensor:
        """What the network makes of a block ``(T, 1, H, W)``, of which ``results`` frames are kept."""
        dtype = self._precision(bits)
        if dtype != torch.float32 and self.engine.settings.precision == "auto":
            dtype = self.trial.precision(dtype, lambda tried: self._sample(lights, tried))
            self.plan["tried"] = self.trial.said
        try:
            return self._tiled(lights, dtype, results)
        except _NotFinite as error:
            self.engine.warn(
                f"{self.source.name} gave numbers that are not finite in {error}; it was run in float32 instead."
            )
            self._float32_only = True
            return self._tiled(lights, torch.float32, results)

    def _sample(self, lights: Tensor, dtype: torch.dtype) -> Tensor:
        """What the network makes of the middle of a block, in [0, 1]; it may not be finite."""
        height, width = lights.shape[-2:]
        top, left = (max(0, (side - SAMPLE_SIDE) // 2) for side in (height, width))
        middle = lights[..., top : top + SAMPLE_SIDE, left : left + SAMPLE_SIDE]
        padded = functional.pad(middle, (0, -middle.shape[-1] % MULTIPLE, 0, -middle.shape[-2] % MULTIPLE), "replicate")
        with opened(self.source, self.engine, dtype) as network:
            return self._made(network, padded).clamp(0, 1)

    def _tiled(self, lights: Tensor, dtype: torch.dtype, results: int) -> Tensor:
        height, width = lights.shape[-2:]
        padded = functional.pad(lights, (0, -width % MULTIPLE, 0, -height % MULTIPLE), mode="replicate")
        tile = self._tiles.setdefault((height, width), self._tile(height, width))
        rows, columns = (divide(0, side, side, tile, REACH, MULTIPLE) for side in padded.shape[-2:])
        windows = [(row, column) for row in rows for column in columns]
        self.plan |= {
            "precision": name_of(dtype),
            "tile": "whole frame" if len(windows) == 1 else tile,
            "seen": f"{width}x{height}",
        }
        whole = torch.empty_like(padded)
        with opened(self.source, self.engine, dtype) as network:
            for number, (row, column) in enumerate(windows):
                self.engine.progress.advance(results * number / len(windows), results, FRAMES)
                found = self._window(network, padded[..., row.seen, column.seen], dtype)
                whole[..., row.start : row.stop, column.start : column.stop] = found[..., _core(row), _core(column)]
        return whole[..., :height, :width]

    def _window(self, network: nn.Module, lights: Tensor, dtype: torch.dtype) -> Tensor:
        result = self._made(network, lights)
        if not bool(result.sum().isfinite()):
            if dtype == torch.float32:
                raise WeightsError(f"The weights of {self.source.name} give no finite picture; they are damaged.")
            raise _NotFinite(name_of(dtype))
        return result

    def _made(self, network: nn.Module, lights: Tensor) -> Tensor:
        block = sent(lights.transpose(0, 1)[None].contiguous(), self.engine.device)
        return fetched(cast(DeepRemaster, network).modelR(block).float())[0].transpose(0, 1)

    def _tile(self, height: int, width: int) -> int:
        """The side of a tile without its context, from the memory that is free; raises ``ResourceError``."""
        settings, device = self.engine.settings, self.engine.device
        free = int(SHARE_OF_MEMORY * memory.available(settings, device))
        pixels = max(0, free - BYTES_AT_LEAST) // (BLOCK * BYTES_PER_PIXEL)
        most = math.isqrt(pixels) - 2 * REACH
        if most < SMALLEST_TILE:
            raise ResourceError(
                "There is not enough memory to clean even a small part of a frame: close other programs, or give "
                "mindim, which has the network see smaller frames."
            )
        tile = min(most, LARGEST_TILE[device.type], settings.tile or max(height, width))
        return max(SMALLEST_TILE, tile // MULTIPLE * MULTIPLE)


def _core(span: Span) -> slice:
    """The core of a window, in pixels of the window."""
    return slice(span.start - span.window, span.stop - span.window)


def _with_change(frame: Tensor, change: Tensor) -> Tensor:
    """``frame (3, H, W)`` with ``change (1, h, w)`` added to its luminance, which goes from 0 to 1."""
    clamped = frame.clamp(0, 1)
    if change.shape[-2:] != frame.shape[-2:]:
        size = (frame.shape[-2], frame.shape[-1])
        change = functional.interpolate(change[None], size, mode="bicubic", align_corners=False)[0]
    lab = rgb_to_lab(clamped[None].double())
    lab[:, :1] = (lab[:, :1] + 100 * change).clamp(0, 100)
    result = lab_to_rgb(lab)[0].float()
    grey = torch.equal(frame[0], frame[1]) and torch.equal(frame[1], frame[2])
    return result.mean(dim=0, keepdim=True).expand(3, -1, -1) if grey else result
