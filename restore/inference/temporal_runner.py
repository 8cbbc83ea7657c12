"""Run one network that looks at several frames over the shots of a clip: memory, precision, and stopping in between.

How a shot is cut up is the business of ``restore.inference.windows``. Here is what that module does not know: how much
memory there is, in which precision the network runs, and who has to be told how far it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any

import torch
from torch import Tensor, nn

from restore import networks
from restore.errors import ResourceError, WeightsError
from restore.inference import allocator, memory, precision
from restore.inference.device import choose_precision, name_of
from restore.inference.engine import Engine
from restore.inference.pinned import fetched, sent
from restore.inference.residency import RESIDENT
from restore.inference.runner import NetworkSource
from restore.inference.tiles import divide
from restore.inference.windows import MULTIPLE, Run, WindowPlan, enlarge_shot, needed_bytes, plan
from restore.networks.temporal import WindowedNetwork
from restore.progress import FRAMES

SHARE_OF_MEMORY = 0.6
"""How much of the memory that is free a window may take."""

A_LITTLE_MORE = 1.25
"""Times what would be enough for a window, which it may take for whole frames: tiles compute much of them twice."""

QUALITY_DB = 40.0
"""PSNR against float32 that a lower precision must keep."""

TRIED_FRAMES, TRIED_SIDE = 5, 64
"""What of a clip is looked at for that: the middle of its first frames."""


class _NotFinite(ArithmeticError):
    """A lower precision was too small for the numbers of a network."""


@dataclass
class TemporalRunner:
    """Enlarge shot after shot with the network of ``source``, which ``networks.uses_time``.

    ``num_frames`` and ``context`` are the frames of a window and those after it that it looks at as well; ``None`` has
    them chosen. ``plan`` says what was chosen, and what of it had to be changed for lack of memory.
    """

    source: NetworkSource
    engine: Engine
    num_frames: int | None = None
    context: int | None = None
    plan: dict[str, Any] = field(default_factory=lambda: {"passes": 1})

    def __post_init__(self) -> None:
        self.traits = networks.temporal(self.source.name)
        self._plans: dict[tuple[int, int], WindowPlan] = {}
        self._lower_fails = False
        self._tried: torch.dtype | None = None
        self._count = 0
        self._before = allocator.resident_bytes()
        self._bound = allocator.Bound(self._before)
        self._meter = _Meter(self.engine, self.traits.macs_per_frame, self.traits.macs_per_context_frame)

    @property
    def scale(self) -> int:
        return self.traits.scale

    def enlarge(self, shot: Iterable[Tensor], bits: int) -> Generator[Tensor]:
        """The frames of one shot ``(3, H, W) float32 in [0, 1]`` to ``(3, scale * H, scale * W)`` in [0, 1], in turn.

        All are on the CPU and of one size; ``bits`` is the depth of the source. Holds the frames of one window and one
        more. Between two results nothing is held that another user of the same network waits for.
        """
        frames = iter(shot)
        first = list(islice(frames, TRIED_FRAMES))
        if not first:
            return
        dtype = self._precision_for(bits, first)
        height, width = first[0].shape[-2:]
        chosen = self._plan_for(height, width, dtype)
        self._note(dtype, chosen, height, width)

        def changed(smaller: WindowPlan) -> None:
            self._plans[height, width] = smaller
            self.plan.setdefault("out_of_memory", []).append({"frame": self._count, **_described(smaller)})
            self._note(dtype, smaller, height, width)

        network = _Watched(self, dtype)
        on_device = (sent(frame, self.engine.device) for frame in chain(first, frames))
        for result in enlarge_shot(network, self.traits, on_device, chosen, changed):
            self._count += 1
            self._meter.finished()
            yield fetched(result)
        if network.dtype != dtype:
            self._lower_fails = True
            self._note(network.dtype, self._plans[height, width], height, width)

    def _plan_for(self, height: int, width: int, dtype: torch.dtype) -> WindowPlan:
        """How a shot with frames of this size is cut up: as the last one, or from the memory that is free now."""
        if (height, width) not in self._plans:
            self._plans[height, width] = self._choose(height, width, dtype)
        return self._plans[height, width]

    def _choose(self, height: int, width: int, dtype: torch.dtype) -> WindowPlan:
        settings, traits = self.engine.settings, self.traits
        side = max(height, width)
        itemsize = dtype.itemsize
        free = int(SHARE_OF_MEMORY * memory.available(settings, self.engine.device))
        tile = settings.tile if settings.tile is not None and settings.tile < side else None

        def fitting(available: int) -> WindowPlan:
            return plan(
                traits,
                height,
                width,
                available,
                itemsize=itemsize,
                context=self.context,
                length=self.num_frames,
                tile=tile,
            )

        chosen_by_hand = self.num_frames is not None or settings.memory_bytes is not None or tile is not None
        if self.engine.device.type != "cpu" or chosen_by_hand:
            return fitting(free)
        # Tiles of less than half the side look at most pixels several times; rather more memory than those.
        enough, whole = traits.modest_bytes, needed_bytes(traits, height, width, traits.shortest, itemsize)
        if whole > A_LITTLE_MORE * enough:
            with suppress(ResourceError):
                modest = fitting(min(free, enough))
                if modest.tile is None or 2 * modest.tile >= side:
                    return modest
        return fitting(min(free, max(enough, whole)))

    def _note(self, dtype: torch.dtype, chosen: WindowPlan, height: int, width: int) -> None:
        self._meter.plan(chosen, self._pixels_seen(chosen, height, width))
        self._bound.most = self._before + chosen.needed_bytes(self.traits, height, width, dtype.itemsize)
        self.plan |= {"precision": name_of(dtype), **_described(chosen)}

    def _pixels_seen(self, chosen: WindowPlan, height: int, width: int) -> int:
        """Pixels of a frame, those counted again that several tiles look at."""
        if chosen.tile is None:
            return height * width
        sides = [side + -side % MULTIPLE for side in (height, width)]
        return math.prod(
            sum(span.size for span in divide(0, side, side, chosen.tile, self.traits.reach, MULTIPLE)) for side in sides
        )

    def _precision_for(self, bits: int, first: list[Tensor]) -> torch.dtype:
        """The precision of the body: float32 above 8 bits, and where a lower one would be seen in the result."""
        dtype = choose_precision(self.engine.settings, self.engine.device)
        if dtype == torch.float32 or self._lower_fails or self.engine.settings.precision != "auto":
            return torch.float32 if self._lower_fails else dtype
        if bits > 8:
            return torch.float32
        if self._tried is None:
            self._tried = self._try(dtype, first)
        return self._tried

    def _try(self, dtype: torch.dtype, first: list[Tensor]) -> torch.dtype:
        """``dtype`` where it keeps ``QUALITY_DB`` on the middle of these frames, else float32."""
        height, width = first[0].shape[-2:]
        top, left = (max(0, (side - TRIED_SIDE) // 2) for side in (height, width))
        crops = [frame[:, top : top + TRIED_SIDE, left : left + TRIED_SIDE] for frame in first]
        clip = sent(torch.stack(crops)[None], self.engine.device)
        try:
            found = self._whole(dtype, clip)
        except _NotFinite:
            self.plan["tried"] = f"{name_of(dtype)} gives numbers that are not finite"
            return torch.float32
        error = (found - self._whole(torch.float32, clip)).square().mean().item()
        decibels = math.inf if error == 0 else -10 * math.log10(error)
        self.plan["tried"] = f"{name_of(dtype)} keeps {decibels:.1f} dB against float32"
        return dtype if decibels >= QUALITY_DB else torch.float32

    def _whole(self, dtype: torch.dtype, clip: Tensor) -> Tensor:
        """What the network makes of ``clip (1, T, 3, H, W)`` at once, in [0, 1]."""
        results = []
        run = self.stepwise(dtype, clip, None, clip.shape[1], True, lambda macs: self.engine.progress.check())
        for result in run:
            results.append(result.clamp(0, 1))
        return torch.cat(results)

    def stepwise(
        self,
        dtype: torch.dtype,
        frames: Tensor,
        state: Any,
        keep: int,
        last: bool,
        on_macs: Callable[[float], None],
    ) -> Generator[Tensor, None, Any]:
        """``WindowedNetwork.window`` of the network in ``dtype``, which is held from result to result and not between.

        Meanwhile the process is kept from holding more than the plan has reckoned with.

        ``on_macs`` is told before each layer how many operations it takes, and may raise. Raises ``_NotFinite``, or
        ``WeightsError`` where float32 gives no finite numbers either.
        """
        network: nn.Module | None = None

        def before_layer(macs: float) -> None:
            if self.engine.device.type == "cpu":
                self._bound.keep()
            on_macs(macs)

        while True:
            with self._lease(dtype) as resident:
                # Another one may be resident by now; what was begun goes on with the network that began it.
                if network is None:
                    network = resident
                    run = Run(_windowed(network).window(frames, state, keep, last))
                    results = iter(run)
                with _told(network, before_layer), torch.inference_mode():
                    try:
                        result = next(results, None)
                    except RuntimeError as error:
                        if memory.is_out_of_memory(error):
                            raise torch.OutOfMemoryError(str(error)) from error
                        raise
            if result is None:
                return run.state
            result = result.float()
            if not bool(result.sum().isfinite()):
                if dtype == torch.float32:
                    raise WeightsError(f"The weights of {self.source.name} give no finite picture; they are damaged.")
                raise _NotFinite(name_of(dtype))
            yield result

    @contextmanager
    def _lease(self, dtype: torch.dtype) -> Iterator[nn.Module]:
        device = self.engine.device

        def opened() -> nn.Module:
            with torch.inference_mode(False):  # others use its weights outside of it
                return self.source.open(device, dtype)

        with ExitStack() as stack:
            if device.type == "cpu":
                stack.enter_context(allocator.reuse())
            key = self.source.key, str(device), dtype
            yield stack.enter_context(RESIDENT.lease(key, opened, self.engine.progress.check))


@dataclass
class _Watched:
    """The network of a runner as the windower wants it: it says how far it is, and falls back to float32."""

    runner: TemporalRunner
    dtype: torch.dtype

    def window(self, frames: Tensor, state: Any, keep: int, last: bool) -> Generator[Tensor, None, Any]:
        """See ``WindowedNetwork.window``."""
        meter = self.runner._meter
        meter.begin(keep)
        finished = 0
        while True:
            run = Run(self.runner.stepwise(self.dtype, frames, state, keep, last, meter.at))
            try:
                for number, result in enumerate(run):
                    if number >= finished:
                        yield result
                        finished = number + 1
                return run.state
            except _NotFinite as error:
                self.runner.engine.warn(
                    f"{self.runner.source.name} gave numbers that are not finite in {error}; it was run in float32 "
                    "instead."
                )
                self.dtype = torch.float32


@dataclass
class _Meter:
    """Tells how many frames' worth of work is done on the results that are still to come from a window."""

    engine: Engine
    macs_per_frame: int
    macs_per_context_frame: int
    _macs: float = 1.0
    _done: float = 0.0
    _expected: int = 1
    _results: bool = False

    def plan(self, chosen: WindowPlan, pixels: int) -> None:
        """From now on, windows are these; ``pixels`` is what the network is given of a frame."""
        windows = chosen.windows
        context = self.macs_per_context_frame * windows.context / windows.length
        self._macs = pixels * (self.macs_per_frame + context)

    def begin(self, results: int) -> None:
        """The network is given frames to enlarge: those of a new window where there were results since the last time,
        else another tile of the same ones.
        """
        self._expected = results
        if self._results:
            self._done, self._results = 0.0, False

    def at(self, macs: float) -> None:
        """So many operations come next; raises ``Cancelled`` if asked to stop."""
        self.engine.progress.advance(min(self._done, self._expected), self._expected, FRAMES)
        self._done += macs / self._macs

    def finished(self) -> None:
        """A result is done and has been handed on."""
        self._done, self._results = max(0.0, self._done - 1), True
        self._expected -= 1


def _described(chosen: WindowPlan) -> dict[str, Any]:
    tile = "whole frame" if chosen.tile is None else chosen.tile
    return {"window": chosen.windows.length, "context": chosen.windows.context, "tile": tile}


def _windowed(network: nn.Module) -> WindowedNetwork[Any]:
    return network  # type: ignore[return-value]  # ``networks.uses_time`` says that it is one


@contextmanager
def _told(network: nn.Module, on_macs: Callable[[float], None]) -> Iterator[None]:
    """Inside, each layer casts its input to its own precision, and ``on_macs`` is told before it what it takes."""

    def before_layer(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        weight = module.weight
        stride = math.prod(getattr(module, "stride", (1, 1)))
        assert isinstance(weight, Tensor)
        on_macs(weight.numel() * math.prod(inputs[0].shape[-2:]) * len(inputs[0]) / stride)

    with ExitStack() as stack:
        stack.enter_context(precision.watched(network, lambda: None))
        for module in precision.layers(network):
            stack.callback(module.register_forward_pre_hook(before_layer).remove)
        yield
