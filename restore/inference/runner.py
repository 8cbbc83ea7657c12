"""Run one network over pictures of any size: precision, tiles, the finite check, and stopping in the middle."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.nn import functional

from restore import networks
from restore.errors import WeightsError
from restore.inference import allocator, memory, precision
from restore.inference.device import choose_precision, name_of
from restore.inference.engine import Engine
from restore.inference.pinned import fetched, sent
from restore.inference.residency import RESIDENT
from restore.inference.tiles import Tiler, blank, count_tiles, largest_tile
from restore.progress import Part

SHARE_OF_MEMORY = 0.4
"""How much of the memory that is free one pass of a network may take."""

LARGEST_PASS = {"cpu": 5 * 2**29, "mps": 2 * 2**30, "cuda": 8 * 2**30}
"""Bytes that one pass may take at most; larger ones are no faster."""

LARGEST_LAYER = {"cpu": 38 * 10**10, "mps": 10**14, "cuda": 10**15}
"""Multiply-accumulate operations of one layer at most, times the bytes of a number, since half of them are done in
half the time. A request to stop is heard between layers, and this much takes a CPU about a second."""

LARGEST_BATCH = 16

TOGETHER = {"cpu": 0, "mps": 0, "cuda": 2**20}
"""Pixels up to which several frames of a clip go through a network at once. Small ones do not keep a graphics card
busy, but a processor: eight frames of 160 x 120 at once cost it 4% less than one by one, and each waits for the others.
"""

LARGEST_TILE = {"cpu": 2048, "mps": 1024, "cuda": 2048}

_KEEPS_RAMP: WeakKeyDictionary[nn.Module, bool] = WeakKeyDictionary()
"""The verdict of the ramp on each network in a lower precision, as long as it is resident."""


@dataclass(frozen=True)
class NetworkSource:
    """The network of the model ``name`` and its weights, which ``state`` reads only when they are needed.

    ``key`` stands for the weights in the cache of opened networks: equal keys mean equal weights.
    """

    name: str
    key: str
    state: Callable[[], Mapping[str, Tensor]]

    @property
    def traits(self) -> networks.Traits:
        return networks.traits(self.name)

    def load(self) -> nn.Module:
        """The network with its weights, in float32 on the CPU; ``WeightsError`` where the weights do not fit."""
        network = networks.build(self.name)
        try:
            network.load_state_dict(self.state(), strict=True)
        except RuntimeError as error:
            raise WeightsError(f"The file for {self.name} holds the weights of another network.") from error
        return network

    def open(self, device: torch.device, dtype: torch.dtype) -> nn.Module:
        """The network on ``device``, its body in ``dtype``; ``WeightsError`` where the weights do not fit."""
        network = self.load()
        precision.lower(network, dtype, networks.float32_layers(self.name))
        return network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


class _NotFinite(ArithmeticError):
    """A lower precision was too small for the numbers of a network."""


@dataclass
class Runner:
    """Run a network over pictures, choosing precision and tiles on the way.

    ``plan`` says in the end what was chosen: precision, tile, batch, context.
    """

    source: NetworkSource
    engine: Engine
    plan: dict[str, Any] = field(default_factory=dict)
    _float32_only: bool = False
    # The tile and the batch for each precision and size, so that all frames of a clip are cut up alike.
    _chosen: dict[tuple[torch.dtype, int, int], tuple[int, int]] = field(default_factory=dict)
    # How many pictures may go together, and how many did, since the memory last ran out.
    _most_together: int = LARGEST_BATCH
    _went_together: int = 1

    @property
    def scale(self) -> int:
        return self.source.traits.scale

    def count(self, height: int, width: int, bits: int) -> int:
        """How many tiles a picture of this size and depth has, with the memory that is free now."""
        traits = self.source.traits
        height, width = (side + -side % traits.multiple for side in (height, width))
        tile, _ = self._tiles(self._precision_for(bits), height, width)
        return count_tiles(height, width, tile, traits.context, traits.multiple)

    def enlarge(self, picture: Tensor, bits: int, part: Part) -> Tensor:
        """``(3, H, W) float32 in [0, 1]`` on the CPU to ``(3, scale * H, scale * W)``, clamped to [0, 1]."""
        height, width = picture.shape[1] * self.scale, picture.shape[2] * self.scale
        result: Tensor | None = None
        top = 0
        with closing(self.bands(picture, bits, part)) as bands:
            for band in bands:
                if band.shape[1] == height:
                    result = band
                    continue
                if result is None:
                    result = blank(height, width)
                result[:, top : top + band.shape[1]] = band
                top += band.shape[1]
        assert result is not None
        return result

    def together(self, height: int, width: int, bits: int) -> int:
        """How many pictures of this size and depth ``enlarge_together`` should get: 1 unless they are small."""
        traits = self.source.traits
        height, width = (side + -side % traits.multiple for side in (height, width))
        dtype = self._precision_for(bits)
        tile, _ = self._tiles(dtype, height, width)
        if tile < max(height, width):
            return 1
        pixels = min(TOGETHER[self.engine.device.type], self._largest_pass(dtype))
        return max(1, min(self._most_together, pixels // (height * width)))

    def enlarge_together(self, pictures: Sequence[Tensor], bits: int, part: Part) -> list[Tensor]:
        """What ``enlarge`` makes of each of several pictures of one size, run as one batch where the memory suffices.

        ``part`` is told the pictures.
        """
        count = len(pictures)
        if count == 1:
            return [self.enlarge(pictures[0], bits, part)]
        traits = self.source.traits
        dtype = self._precision_for(bits)
        _, height, width = pictures[0].shape
        try:
            with self._opened(dtype, lambda fraction: part.at(fraction * count, count)) as forward:
                results = forward(torch.stack([_pad(picture, traits.multiple) for picture in pictures]))
        except torch.OutOfMemoryError:
            self._most_together, self._went_together = count // 2, 1
            halves = pictures[: count // 2], pictures[count // 2 :]
            return [result for half in halves for result in self.enlarge_together(half, bits, part)]
        except _NotFinite:  # which of them it was, and what to do, is seen one by one
            return [self.enlarge(picture, bits, part) for picture in pictures]
        self._went_together = max(self._went_together, count)
        self._note_plan(dtype, "whole picture", count)
        part.at(count, count)
        return [result[:, : height * traits.scale, : width * traits.scale] for result in results]

    def bands(self, picture: Tensor, bits: int, part: Part) -> Generator[Tensor]:
        """The same as ``enlarge``, band by band from top to bottom.

        ``bits`` is the depth of the source; ``part`` is told the tiles.

        The network is held until the last band or until the generator is closed: use it inside ``contextlib.closing``.
        """
        rows = 0
        try:
            with closing(self._bands(picture, self._precision_for(bits), part)) as bands:
                for band in bands:
                    yield band
                    rows += band.shape[1]
        except _NotFinite as error:
            self.engine.warn(
                f"{self.source.name} gave numbers that are not finite in {error}; it was run in float32 instead."
            )
            self._float32_only = True
            skip = rows
            with closing(self._bands(picture, torch.float32, part)) as bands:
                for band in bands:
                    if skip < band.shape[1]:
                        yield band[:, skip:]
                    skip = max(0, skip - band.shape[1])

    def _precision_for(self, bits: int) -> torch.dtype:
        dtype = choose_precision(self.engine.settings, self.engine.device)
        if dtype == torch.float32 or self._float32_only:
            return torch.float32
        if bits > 8 and self.engine.settings.precision == "auto" and not self._keeps_ramp(dtype):
            self.plan["ramp"] = f"{name_of(dtype)} would band a source of {bits} bits"
            return torch.float32
        return dtype

    def _keeps_ramp(self, dtype: torch.dtype) -> bool:
        """Whether a smooth ramp keeps enough of its 10-bit codes through this network in ``dtype``."""

        def on_layer(_: float) -> None:
            self.engine.progress.check()

        with self._lease(dtype) as network:
            if network in _KEEPS_RAMP:
                return _KEEPS_RAMP[network]
        # One network at a time: whoever held one and waited for another could wait for somebody who does the reverse.
        picture = precision.ramp()
        with self._opened(torch.float32, on_layer) as forward:
            reference = forward(picture)
        try:
            with self._opened(dtype, on_layer) as forward:
                keeps = precision.kept_codes(forward(picture), reference) >= precision.RAMP_CODES
        except _NotFinite:
            keeps = False
        with self._lease(dtype) as network:
            _KEEPS_RAMP[network] = keeps
        return keeps

    @contextmanager
    def _lease(self, dtype: torch.dtype) -> Iterator[nn.Module]:
        """The network in ``dtype``, held for this user alone."""
        device = self.engine.device
        key = self.source.key, str(device), dtype
        with RESIDENT.lease(key, lambda: self.source.open(device, dtype), self.engine.progress.check) as network:
            yield network

    @contextmanager
    def _opened(self, dtype: torch.dtype, on_layer: Callable[[float], None]) -> Iterator[Callable[[Tensor], Tensor]]:
        """A function from a batch on the CPU to the enlarged batch on the CPU.

        ``on_layer`` is called before each layer with the fraction of the layers that are done; it may raise.
        """
        device = self.engine.device
        with ExitStack() as stack:
            network = stack.enter_context(self._lease(dtype))
            if device.type == "cpu":
                stack.enter_context(allocator.reuse())
            layers = len(precision.layers(network))
            calls = 0

            def before_layer() -> None:
                nonlocal calls
                on_layer(calls / layers)
                calls += 1

            stack.enter_context(precision.watched(network, before_layer))

            @torch.inference_mode()
            def forward(batch: Tensor) -> Tensor:
                nonlocal calls
                calls = 0
                try:
                    result: Tensor = network(sent(batch, device).contiguous(memory_format=torch.channels_last)).float()
                except RuntimeError as error:
                    if memory.is_out_of_memory(error):
                        raise torch.OutOfMemoryError(str(error)) from error
                    raise
                if not bool(result.sum().isfinite()):
                    if dtype == torch.float32:
                        raise WeightsError(
                            f"The weights of {self.source.name} give no finite picture; they are damaged."
                        )
                    raise _NotFinite(name_of(dtype))
                return fetched(result.clamp_(0, 1))

            yield forward

    def _bands(self, picture: Tensor, dtype: torch.dtype, part: Part) -> Generator[Tensor]:
        traits = self.source.traits
        _, height, width = picture.shape
        padded = _pad(picture, traits.multiple)
        tile, batch = self._tiles(dtype, padded.shape[1], padded.shape[2])

        def on_layer(fraction: float) -> None:
            part.at(tiler.finished + fraction * tiler.under_way, tiler.total)

        with self._opened(dtype, on_layer) as forward:
            tiler = Tiler(forward, traits.scale, traits.context, traits.multiple, tile, batch)
            rows = 0
            for band in tiler.bands(padded):
                # The rows and columns of the padding are cut off again.
                band = band[:, : height * traits.scale - rows, : width * traits.scale]
                rows += band.shape[1]
                if band.shape[1]:
                    yield band
        self._chosen[dtype, padded.shape[1], padded.shape[2]] = tiler.tile, tiler.batch
        self._note_plan(dtype, tiler.tile if tiler.tile < max(height, width) else "whole picture", tiler.batch)
        part.at(tiler.finished, tiler.total)

    def _note_plan(self, dtype: torch.dtype, tile: int | str, batch: int) -> None:
        context = self.source.traits.context
        batch = max(batch, self._went_together)
        self.plan |= {"precision": name_of(dtype), "tile": tile, "batch": batch, "context": context}

    def _tiles(self, dtype: torch.dtype, height: int, width: int) -> tuple[int, int]:
        """The side of a tile and how many go into a batch: from the memory that is free, or as for the last picture."""
        key = dtype, height, width
        if key not in self._chosen:
            self._chosen[key] = self._choose_tiles(dtype, height, width)
        return self._chosen[key]

    def _largest_layer(self, dtype: torch.dtype) -> int:
        """Pixels after which a layer would take too long to stop."""
        return LARGEST_LAYER[self.engine.device.type] // dtype.itemsize // self.source.traits.macs_of_largest_layer

    def _largest_pass(self, dtype: torch.dtype) -> int:
        """Pixels that one pass may take at most, with the memory that is free now."""
        traits = self.source.traits
        bytes_per_pixel = traits.values_per_pixel * dtype.itemsize + 3 * 4 * 3 * traits.scale**2
        most = LARGEST_PASS[self.engine.device.type]
        largest = min(most, self.engine.pass_bytes or most)
        free = memory.available(self.engine.settings, self.engine.device)
        return min(self._largest_layer(dtype), min(largest, int(SHARE_OF_MEMORY * free)) // bytes_per_pixel)

    def _choose_tiles(self, dtype: torch.dtype, height: int, width: int) -> tuple[int, int]:
        traits = self.source.traits
        kind = self.engine.device.type
        layer = self._largest_layer(dtype)
        pixels = self._largest_pass(dtype)
        wanted = self.engine.settings.tile
        fits = height * width <= pixels if wanted is None else max(height, width) <= wanted and height * width <= layer
        if fits:
            # A picture that fits in one pass as it is, however long and thin, needs no tiles.
            tile = max(height, width)
        elif wanted is None:
            tile = min(LARGEST_TILE[kind], largest_tile(pixels, traits.context, traits.multiple))
        else:
            tile = min(wanted, largest_tile(layer, traits.context, traits.multiple))
        tile = max(traits.multiple, tile // traits.multiple * traits.multiple)
        window = min(height, tile + 2 * traits.context) * min(width, tile + 2 * traits.context)
        return tile, max(1, min(LARGEST_BATCH, math.ceil(width / tile), pixels // window))


def _pad(picture: Tensor, multiple: int) -> Tensor:
    """Repeat the last row and column until both sides are multiples of ``multiple``."""
    bottom, right = -picture.shape[1] % multiple, -picture.shape[2] % multiple
    if not bottom and not right:
        return picture
    return functional.pad(picture[None], (0, right, 0, bottom), mode="replicate")[0]
