"""Enlarge, or clean at the same size: super-resolution by a network, then one resampling to the size that was asked
for.
"""

from __future__ import annotations

import math
import re
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from restore import catalog, networks
from restore.errors import LimitError, SettingsError
from restore.frame import Frame
from restore.inference.engine import Engine
from restore.inference.resample import lanczos, lanczos_bands
from restore.inference.runner import Runner
from restore.inference.temporal_runner import TemporalRunner
from restore.models import AUTO, Model, offered_for, open_blend, open_model, why_missing
from restore.progress import FRAMES, Meter, Part
from restore.report import ModelUse
from restore.stages.base import NO_CONTEXT, Context, CountsNothing, FrameByFrame, Work, each_in_groups, each_once
from restore.stages.material import MATERIALS, auto_candidates, choose_for
from restore.stages.numbers import number
from restore.stages.shots import each_of_shots

LARGEST_SCALE = 8.0

LONGEST_WINDOW = 1000
"""Frames that may be asked for with ``num_frames`` and ``context``."""

TARGETS: Mapping[str, tuple[int, int]] = {
    "720p": (1280, 720),
    "1080p": (1920, 1080),
    "1440p": (2560, 1440),
    "2k": (2560, 1440),
    "2160p": (3840, 2160),
    "4k": (3840, 2160),
    "8k": (7680, 4320),
}


def parse_target(text: str) -> tuple[int, int]:
    """``"3840x2160"`` or a name such as ``"4k"`` as ``(width, height)``; raises ``SettingsError``."""
    name = text.strip().lower()
    if name in TARGETS:
        return TARGETS[name]
    match = re.fullmatch(r"(\d{1,6})\s*[x×*]\s*(\d{1,6})", name)
    if match is None or 0 in (size := (int(match[1]), int(match[2]))):
        raise SettingsError(f"the target {text!r} is not a size: give one such as 3840x2160, or {', '.join(TARGETS)}.")
    return size


@dataclass(frozen=True)
class Upscale(FrameByFrame):
    """Enlarge by ``scale`` (1 to 8), or to fit inside ``target`` (``"3840x2160"``, ``"4k"``), keeping the aspect.

    The network runs at least once, at ``scale=1`` as well, which restores a picture at its own size, and as often as
    it takes to reach the size; what is more than needed is taken off by one Lanczos resampling. ``denoise`` (0 to 1)
    is for models that come in a strong and a weak version. ``strength`` (0 to 1) blends the result with the resampled
    original; at 0 no network runs. ``model="auto"`` takes the best model that is at hand for the device and the
    ``material``: ``"photo"``, ``"scan"`` (noise, dust, JPEG damage), ``"illustration"``, or ``"faithful"`` (nothing
    invented). The material decides nothing else.

    Some models, which ``auto`` does not take, enlarge a frame with the help of those around it. They go through each
    shot in windows, run once, and what is missing to more than their own scale is resampled. ``num_frames`` is how many
    frames of a window are enlarged, by default as many as the memory suffices for; ``context`` is how many after them
    it looks at as well, by default what suits the model. Other models use neither.
    """

    stage: ClassVar[str] = "upscale"

    model: str = AUTO
    scale: float = 4.0
    target: str | None = None
    denoise: float = 0.5
    strength: float = 1.0
    material: str = "photo"
    num_frames: int | None = None
    context: int | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.model, str):
            raise SettingsError(f"model is {self.model!r}: give the name of a model, or 'auto'.")
        if self.model != AUTO and self.stage not in catalog.checkpoint(self.model).stages:
            names = ", ".join([AUTO, *offered_for(self.stage)])
            raise SettingsError(f"the model {self.model} does not enlarge pictures; use one of {names}.")
        for name, low, high in (("scale", 1, LARGEST_SCALE), ("denoise", 0, 1), ("strength", 0, 1)):
            object.__setattr__(self, name, number(name, getattr(self, name), low, high))
        if self.target is not None:
            if not isinstance(self.target, str):
                raise SettingsError(f"target is {self.target!r}: give a size such as '3840x2160', or nothing.")
            parse_target(self.target)
        if self.material not in MATERIALS:
            raise SettingsError(f"material is {self.material!r}: give one of {', '.join(MATERIALS)}.")
        for name, least in (("num_frames", 1), ("context", 0)):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, round(number(name, getattr(self, name), least, LONGEST_WINDOW)))

    @property
    def uses_shots(self) -> bool:
        return self.strength > 0 and self.model != AUTO and networks.uses_time(self.model)

    @property
    def frames_held(self) -> int:
        if not self.uses_shots:
            return 0
        # The frames of a window, and one more that tells whether the shot goes on.
        traits = networks.temporal(self.model)
        if self.num_frames is None:
            return traits.shortest + 1
        return self.num_frames + max(traits.needed_context, self.context or 0) + 1

    @property
    def context_frames(self) -> Context:
        if not self.uses_shots:
            return NO_CONTEXT
        traits = networks.temporal(self.model)
        around = max(traits.needed_context, traits.context if self.context is None else self.context)
        # What a network has carried forward is worth as much as what comes back to a frame from those after it.
        return Context(around, around)

    def to_dict(self) -> dict[str, Any]:
        return {"stage": self.stage, **asdict(self)}

    def factor(self, width: int, height: int) -> float:
        """How many times larger a picture of this size gets; below 1 where the target is smaller than the picture."""
        if self.target is None:
            return self.scale
        target_width, target_height = parse_target(self.target)
        factor = min(target_width / width, target_height / height)
        if factor > LARGEST_SCALE:
            raise LimitError(
                f"To fill {target_width}x{target_height}, this picture of {width}x{height} would have to grow "
                f"{factor:.1f} times; at most {LARGEST_SCALE:g} times is possible, so choose a smaller target."
            )
        return factor

    def output_size(self, width: int, height: int) -> tuple[int, int]:
        factor = self.factor(width, height)
        return max(1, round(width * factor)), max(1, round(height * factor))

    def work(self, width: int, height: int) -> Work:
        if self.strength == 0:
            return Work(0, 0)
        names = auto_candidates(self.material, "cuda") if self.model == AUTO else (self.model,)
        return max((self._work_of(name, width, height) for name in names), key=lambda work: work.macs)

    def _work_of(self, model: str, width: int, height: int) -> Work:
        if networks.uses_time(model):
            self.output_size(width, height)
            costs = networks.temporal(model)
            # As a rule, a window has a context of half its length.
            macs = costs.macs_per_frame + costs.macs_per_context_frame / 2
            return Work(macs * width * height, width * height * costs.scale**2)
        traits = networks.traits(model)
        passes = self.passes(width, height, traits.scale)
        pixels = [width * height * float(traits.scale) ** (2 * i) for i in range(passes + 1)]
        return Work(traits.macs_per_pixel * sum(pixels[:-1]), pixels[-1])

    def passes(self, width: int, height: int, scale: int) -> int:
        """How often a network that enlarges ``scale`` times runs over a picture of this size."""
        output_width, output_height = self.output_size(width, height)
        return passes_for(max(output_width / width, output_height / height), scale)

    def open(self, engine: Engine) -> OpenUpscale:
        return OpenUpscale(self, engine)


class OpenUpscale(CountsNothing):
    """``Upscale`` with its model chosen and on this machine."""

    def __init__(self, settings: Upscale, engine: Engine) -> None:
        self.settings = settings
        self.notes: tuple[str, ...] = ()
        self.plan: Mapping[str, Any] = {"passes": 0}
        self._model: Model | None = None
        if settings.strength > 0:
            name = settings.model
            if name == AUTO:
                name, why = choose_for(settings.material, engine)
                self.notes = (why,)
            self._model = _open_model(name, settings.denoise, engine)

    @property
    def models(self) -> tuple[ModelUse, ...]:
        return () if self._model is None else self._model.uses

    @property
    def precision(self) -> str:
        return str(self.plan.get("precision", "float32"))

    def run(self, frames: Iterable[Frame], engine: Engine) -> Generator[Frame]:
        if self._model is None:
            return each_once(frames, lambda frame: self._enlarge(frame, None))
        if networks.uses_time(self._model.source.name):
            return self._enlarge_shots(frames, self._model, engine)
        runner = Runner(self._model.source, engine)
        return each_in_groups(
            frames, lambda frame: self._at_once(frame, runner), lambda group: self._enlarge_all(group, runner)
        )

    def _enlarge_shots(self, frames: Iterable[Frame], model: Model, engine: Engine) -> Generator[Frame]:
        """With a model that uses time. Transparency is resampled: nothing is to be found out about it elsewhere."""
        runner = TemporalRunner(model.source, engine, self.settings.num_frames, self.settings.context)
        self.plan = runner.plan

        @torch.inference_mode()
        def finish(frame: Frame, result: Tensor) -> Frame:
            width, height = self.settings.output_size(frame.width, frame.height)
            source = result.shape[1], result.shape[2]
            if source != (height, width):
                result = lanczos_bands(iter([result]), source, (height, width))
            alpha = None if frame.alpha is None else lanczos(frame.alpha[None], height, width)[0]
            return Frame(self._finished(result, frame.pixels), alpha, frame.bits, before=frame.pixels)

        return each_of_shots(frames, runner.enlarge, finish)

    def _at_once(self, frame: Frame, runner: Runner) -> int:
        """How many frames such as this one go through the network together."""
        if frame.alpha is not None or self.settings.passes(frame.width, frame.height, runner.scale) > 1:
            return 1
        return runner.together(frame.height, frame.width, frame.bits)

    @torch.inference_mode()
    def _enlarge_all(self, frames: Sequence[Frame], runner: Runner) -> list[Frame]:
        if len(frames) == 1 or any(frame.alpha is not None for frame in frames):
            return [self._enlarge(frame, runner) for frame in frames]
        bits = frames[0].bits
        part = Meter(runner.engine.progress, FRAMES).part(len(frames))
        results = runner.enlarge_together([frame.pixels for frame in frames], bits, part)
        width, height = self.settings.output_size(frames[0].width, frames[0].height)
        made = []
        for frame, result in zip(frames, results, strict=True):
            source = result.shape[1], result.shape[2]
            pixels = result if source == (height, width) else lanczos_bands(iter([result]), source, (height, width))
            made.append(Frame(self._finished(pixels, frame.pixels), None, bits, before=frame.pixels))
        self.plan = {"passes": 1, **runner.plan}
        return made

    @torch.inference_mode()
    def _enlarge(self, frame: Frame, runner: Runner | None) -> Frame:
        width, height = self.settings.output_size(frame.width, frame.height)
        if runner is None:
            alpha = None if frame.alpha is None else lanczos(frame.alpha[None], height, width)[0]
            return Frame(lanczos(frame.pixels, height, width), alpha, frame.bits, before=frame.pixels)

        passes = self.settings.passes(frame.width, frame.height, runner.scale)
        with_alpha = frame.alpha is not None and bool(frame.alpha.min() < frame.alpha.max())
        zooms = [runner.scale**i for i in range(passes)]
        counts = [runner.count(frame.height * zoom, frame.width * zoom, frame.bits) for zoom in zooms]
        meter = Meter(runner.engine.progress, "tiles")
        parts = [meter.part(count) for count in counts]
        parts_of_alpha = [meter.part(count) for count in counts if with_alpha]
        pixels = self._finished(enlarge(runner, frame.pixels, frame.bits, parts, (height, width)), frame.pixels)
        alpha = None
        if frame.alpha is not None and with_alpha:
            grey = frame.alpha.expand(3, -1, -1)
            alpha = self._finished(enlarge(runner, grey, frame.bits, parts_of_alpha, (height, width)), grey)[0]
        elif frame.alpha is not None:
            alpha = torch.full((height, width), float(frame.alpha[0, 0]))
        self.plan = {"passes": passes, **runner.plan}
        return Frame(pixels, alpha, frame.bits, before=frame.pixels)

    def _finished(self, result: Tensor, picture: Tensor) -> Tensor:
        """What the network and the resampling made of ``picture``, blended with its plain resampling, grey if it is."""
        if self.settings.strength < 1:
            result = lanczos(picture, *result.shape[1:]).lerp(result, self.settings.strength)
        if is_grey(picture):
            # Networks that were trained on colours put faint ones along hard edges of black and white.
            result = result.mean(dim=0, keepdim=True).expand(3, -1, -1)
        return result


def is_grey(pixels: Tensor) -> bool:
    """Whether ``(3, H, W)`` has no colour anywhere."""
    red, green, blue = pixels
    return torch.equal(red, green) and torch.equal(green, blue)


def _open_model(name: str, denoise: float, engine: Engine) -> Model:
    partner = catalog.checkpoint(name).companions.get("weak_denoise")
    if partner is None or denoise == 1:
        return open_model(name, engine)
    reason = why_missing(partner, engine)
    if reason is None:
        return open_blend(name, partner, denoise, engine)
    engine.warn(
        f"{name} was run at full denoising strength instead of {denoise:g}: {partner} {reason} "
        f"(`python -m restore fetch {partner}` gets it, or says why it cannot)."
    )
    return open_model(name, engine)


def passes_for(factor: float, scale: int) -> int:
    """How often a network that enlarges ``scale`` times must run to reach ``factor``; at least once."""
    return max(1, math.ceil(math.log(max(1.0, factor), scale) - 1e-6))


def enlarge(runner: Runner, picture: Tensor, bits: int, parts: Sequence[Part], size: tuple[int, int]) -> Tensor:
    """Run the network over ``(3, H, W)`` once for each of ``parts``, then resample to ``size`` (height, width)."""
    *first, last = parts
    for part in first:
        picture = runner.enlarge(picture, bits, part)
    source = picture.shape[1] * runner.scale, picture.shape[2] * runner.scale
    if source == size:
        return runner.enlarge(picture, bits, last)
    with closing(runner.bands(picture, bits, last)) as bands:
        return lanczos_bands(bands, source, size)
