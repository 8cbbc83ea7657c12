"""Restore faces: found, cut out, restored by a network that knows faces, and put back."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import chain, count
from typing import Any, ClassVar

import torch

from restore import catalog
from restore.errors import LimitError, SettingsError, WeightsError
from restore.faces.align import SIDE
from restore.faces.crops import CropRestorer
from restore.faces.flow import REACH, Counts, FaceFlow, KeepCrops, Options
from restore.frame import Frame
from restore.inference.device import name_of
from restore.inference.engine import Engine
from restore.inference.resample import lanczos
from restore.models import AUTO, Model, offered_for, open_model, why_missing, why_unusable
from restore.report import ModelUse
from restore.stages.base import NO_CONTEXT, Context, FrameByFrame, Work, each_once
from restore.stages.numbers import number

RESTORERS = ("gfpgan-1.4", "gfpgan-1.3", "gfpgan-1.2", "restoreformer")
"""What ``auto`` takes, the best first; not what may not be used commercially."""

DETECTORS = ("retinaface-resnet50", "retinaface-mobilenet")
PARSER = "parsenet"

ASSUMED_FACES = 8
"""Faces that a frame is assumed to have, where the time for them has to be named before anybody has looked."""

MACS_PER_FACE = {"gfpgan": 2e11, "restoreformer": 3.5e11, "codeformer": 4.1e11}
"""Multiply-accumulate operations for a face, by the kind of network that restores it."""

MACS_OF_PARSING = 2.4e11
"""The same to tell what of a crop is face."""

MACS_OF_DETECTION = 4.5e11
"""The same to look for faces in a frame of any size, with the larger of the detectors."""

LARGEST_MIN_SIZE = 4096

COUNTED = ("frames", "found", "too_small", "restored")
"""What is counted of the faces of a clip, by the names that it has in the report."""

STEADIED = 8
"""Frames after which next to nothing is left, in a face that is held still, of how it began."""


@dataclass(frozen=True)
class Faces(FrameByFrame):
    """Find faces, restore them with ``model`` and put them back; frames keep their size.

    ``model="auto"`` takes the best one that is at hand and may be used for everything. ``fidelity`` (0 to 1) is for
    CodeFormer: at 0 it draws what it knows of faces, at 1 it keeps to what it sees. ``strength`` (0 to 1) blends the
    faces with the original; at 0 no network runs. ``only_center`` restores the face in the centre alone. Faces whose
    box is less than ``min_size`` pixels wide or high are left alone. ``detector`` is a model that finds faces, or
    ``"auto"``. ``smoothing`` (0 to 1) says how still the faces of a clip are held. With ``aligned`` the picture is a
    square crop of one face already, aligned as in FFHQ: it is restored as a whole and comes out 512 pixels wide.

    Right after ``Upscale``, faces are cut from the frame before it was enlarged and put into the enlarged one, as sharp
    as they were restored. Where no model can be had the frames pass through as they are, with a warning.
    """

    stage: ClassVar[str] = "faces"
    uses_shots: ClassVar[bool] = True

    model: str = AUTO
    fidelity: float = 0.5
    strength: float = 1.0
    only_center: bool = False
    min_size: int = 20
    detector: str = AUTO
    smoothing: float = 1.0
    aligned: bool = False

    def __post_init__(self) -> None:
        for name, offered in (("model", offered_for(self.stage)), ("detector", list(DETECTORS))):
            value = getattr(self, name)
            if not isinstance(value, str):
                raise SettingsError(f"{name} is {value!r}: give the name of a model, or 'auto'.")
            if value != AUTO and value not in offered:
                catalog.checkpoint(value)
                does = "restore" if name == "model" else "find"
                raise SettingsError(
                    f"the model {value} does not {does} faces; use one of {', '.join([AUTO, *offered])}."
                )
        for name in ("fidelity", "strength", "smoothing"):
            object.__setattr__(self, name, number(name, getattr(self, name), 0, 1))
        object.__setattr__(self, "min_size", round(number("min_size", self.min_size, 0, LARGEST_MIN_SIZE)))
        for name in ("only_center", "aligned"):
            if not isinstance(getattr(self, name), bool):
                raise SettingsError(f"{name} is {getattr(self, name)!r}: give true or false.")

    @property
    def context_frames(self) -> Context:
        if self.aligned or self.strength == 0 or self.smoothing == 0:
            return NO_CONTEXT
        return Context(STEADIED + REACH, REACH)

    def to_dict(self) -> dict[str, Any]:
        return {"stage": self.stage, **asdict(self)}

    def output_size(self, width: int, height: int) -> tuple[int, int]:
        if not self.aligned:
            return width, height
        if width != height:
            raise LimitError(
                f"With aligned, the picture has to be a square crop of one face; this one is {width}x{height}: cut it "
                "out, or leave aligned off to have faces found."
            )
        return SIDE, SIDE

    def work(self, width: int, height: int) -> Work:
        self.output_size(width, height)
        if self.strength == 0:
            return Work(0, 0)
        names = RESTORERS if self.model == AUTO else (self.model,)
        macs = max(MACS_PER_FACE[catalog.checkpoint(name).network] for name in names)
        if self.aligned:
            return Work(macs, SIDE * SIDE)
        return Work(ASSUMED_FACES * (macs + MACS_OF_PARSING) + MACS_OF_DETECTION, ASSUMED_FACES * SIDE * SIDE)

    def open(self, engine: Engine) -> OpenFaces:
        return OpenFaces(self, engine)


class OpenFaces:
    """``Faces`` with its models chosen and on this machine, or with a reason why it does nothing."""

    def __init__(self, settings: Faces, engine: Engine) -> None:
        self.settings = settings
        self.plan: Mapping[str, Any] = {}
        self._choices: list[str] = []
        self._parser: Model | None = None
        self._detector: Model | None = None
        self._counts: Counts | None = None
        self._restorer: Model | None = None
        if settings.strength == 0:
            return
        self._restorer = self._chosen("restores", settings.model, RESTORERS, engine)
        if self._restorer is not None and not settings.aligned:
            self._detector = self._chosen("finds", settings.detector, DETECTORS, engine)
        if self._detector is not None:
            self._parser = _parser(engine)

    def _chosen(self, does: str, wanted: str, candidates: Sequence[str], engine: Engine) -> Model | None:
        """The model, or ``None`` and a sentence in the report: a job does not fail for its faces."""
        model, why = _choose(does, wanted, candidates, engine)
        if model is None:
            engine.warn(f"Faces were left as they are. {why}")
        elif why:
            self._choices.append(why)
        return model

    @property
    def models(self) -> tuple[ModelUse, ...]:
        opened = (self._restorer, self._detector, self._parser)
        return tuple(use for model in opened if model is not None for use in model.uses)

    @property
    def precision(self) -> str:
        return str(self.plan.get("precision", "float32"))

    @property
    def counts(self) -> Mapping[str, int]:
        if (counts := self._counts) is None:
            return {}
        people, enlarged = len(counts.people), int(counts.enlarged)
        return {name: getattr(counts, name) for name in COUNTED} | {"people": people, "enlarged": enlarged}

    def recount(self, counts: Mapping[str, int], engine: Engine) -> None:
        if counts:
            people, enlarged = set(range(counts["people"])), counts["enlarged"] > 0
            self._counts = Counts(**{name: counts[name] for name in COUNTED}, people=people, enlarged=enlarged)

    @property
    def notes(self) -> tuple[str, ...]:
        return (*self._choices, *([] if self._counts is None else _in_words(self._counts, self.settings)))

    def run(self, frames: Iterable[Frame], engine: Engine) -> Generator[Frame]:
        if self._restorer is None:
            yield from each_once(frames, self._unchanged)
            return
        parser = None if self._parser is None else self._parser.source
        restorer = CropRestorer(self._restorer.source, parser, self.settings.fidelity, engine)
        source = iter(frames)
        first = next(source, None)
        if first is None:
            return
        frames = chain([first], source)
        self.plan = {"precision": name_of(restorer.precision(deep=first.bits > 8))}
        del first
        if self.settings.aligned:
            keep = None if engine.crops is None else engine.crops.save
            yield from each_once(frames, partial(self._aligned, restorer, keep, count()))
        elif self._detector is None:
            yield from each_once(frames, self._unchanged)
        else:
            yield from self._found(frames, restorer, self._detector, engine)

    def _found(
        self, frames: Iterable[Frame], restorer: CropRestorer, detector: Model, engine: Engine
    ) -> Generator[Frame]:
        settings = self.settings
        options = Options(settings.strength, settings.only_center, settings.min_size, settings.smoothing)
        keep = None if engine.crops is None else engine.crops.save
        flow = FaceFlow(restorer, detector.source, options, engine, keep)
        self._counts = flow.counts
        yield from flow.run(frames)
        counts = flow.counts
        self.plan = {
            **self.plan,
            "found": counts.found,
            "too_small": counts.too_small,
            "restored": counts.restored,
            "frames": counts.frames,
        }

    def _unchanged(self, frame: Frame) -> Frame:
        """What becomes of a frame whose faces cannot be restored: it gets the size that was promised, and no more."""
        width, height = self.settings.output_size(frame.width, frame.height)
        alpha = None if frame.alpha is None else lanczos(frame.alpha[None], height, width)[0]
        return replace(frame, pixels=lanczos(frame.pixels, height, width), alpha=alpha, before=None)

    @torch.inference_mode()
    def _aligned(self, restorer: CropRestorer, keep: KeepCrops | None, numbers: Iterator[int], frame: Frame) -> Frame:
        resized = self._unchanged(frame)
        crop = resized.pixels.clamp(0, 1)
        face = restorer.plain(crop[None], deep=frame.bits > 8)[0]
        if keep is not None:
            keep(next(numbers), 0, crop, face)
        return replace(resized, pixels=resized.pixels.lerp(face, self.settings.strength))


def open_detector(wanted: str, engine: Engine) -> tuple[Model | None, str]:
    """The model that finds faces for the setting ``detector``, and the sentence that says why it, or why none."""
    return _choose("finds", wanted, DETECTORS, engine)


def _choose(does: str, wanted: str, candidates: Sequence[str], engine: Engine) -> tuple[Model | None, str]:
    """The model that was asked for, or the first of ``candidates`` for ``auto``; and what there is to say of it."""
    if wanted != AUTO:
        try:
            model = open_model(wanted, engine)
        except WeightsError as error:
            return None, str(error)
        reason = why_unusable(model)
        return (model, "") if reason is None else (None, f"{wanted} {reason}: replace it.")
    reasons: list[str] = []
    for name in candidates:
        reason = why_missing(name, engine)
        if reason is None:
            why = f"because {candidates[0]} {reasons[0]}" if reasons else "the first choice"
            return open_model(name, engine), f"auto took {name} as the model that {does} faces, {why}."
        reasons.append(reason)
    return None, (
        f"No model that {does} faces is on this machine or could be downloaded: "
        f"`python -m restore fetch {candidates[0]}` gets one, or says why it cannot."
    )


def _parser(engine: Engine) -> Model | None:
    """The network that tells what is face, where it can be had; without it faces are taken for ovals."""
    reason = why_missing(PARSER, engine)
    if reason is None:
        return open_model(PARSER, engine)
    engine.warn(
        f"Faces were put back in the shape of an oval, because {PARSER}, which tells what is face, {reason} "
        f"(`python -m restore fetch {PARSER}` gets it, or says why it cannot)."
    )
    return None


def _in_words(counts: Counts, settings: Faces) -> list[str]:
    """What was found and restored, as sentences."""
    if counts.frames > 1:
        followed = f"{_faces(len(counts.people))} followed through {counts.frames} frames"
        notes = [f"{followed}: {counts.found} times found, {counts.restored} times restored."]
    elif counts.found == 0:
        notes = ["No face was found."]
    else:
        notes = [f"{_faces(counts.found)} found, {counts.restored} restored."]
    if counts.too_small:
        notes.append(
            f"{_faces(counts.too_small)} left alone: less than {settings.min_size} pixels wide or high (min_size)."
        )
    if counts.enlarged:
        notes.append(
            "Faces were cut from the frames before the enlargement and put back after it, at the full resolution, "
            "whichever of the two stages was named first."
        )
    return notes


def _faces(count: int) -> str:
    return "1 face" if count == 1 else f"{count} faces"
