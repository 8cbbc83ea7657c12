"""Try several models on the same small crop of a picture, to see which one suits it before the whole is done."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from numbers import Real
from pathlib import Path
from typing import Any

from restore import catalog, weights
from restore.catalog import Checkpoint
from restore.errors import SettingsError, WeightsError
from restore.inference.engine import Engine
from restore.media.images import Image, read_image, write_image
from restore.models import BUILT_IN, for_pictures
from restore.pipeline import ChainRunner, restore_pixels, run_chain
from restore.progress import Progress
from restore.settings import MEGA, Settings, load_settings
from restore.stages import Stage, Upscale, parse_steps, recipe

CROP_SIDE = 160
"""Side of the crop in pixels of the picture."""

LARGEST_SIDE = 640
"""Side of a result in pixels: as large as the page shows it."""

CROP, PLAIN = "crop", "plain"


@dataclass(frozen=True)
class Box:
    """A part of a picture, in its pixels."""

    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True)
class Trial:
    """What one model made of the crop: ``file``, in ``seconds``; or ``problem``, a sentence on why it made nothing.

    ``missing`` says that it would have to be downloaded first, ``download_bytes`` how much that is, where it is known.
    ``warnings`` say what the result lacks.
    """

    model: str
    title: str
    licence: str
    commercial: bool
    file: str | None = None
    seconds: float | None = None
    problem: str | None = None
    missing: bool = False
    download_bytes: int | None = None
    warnings: tuple[str, ...] = ()

    @classmethod
    def of(cls, entry: Checkpoint) -> Trial:
        """The trial of a model that has made nothing yet."""
        return cls(entry.name, entry.title, entry.licence, entry.commercial)


@dataclass(frozen=True)
class Tryout:
    """The crop and what the models made of it. Files are named relative to the folder; sizes are (width, height).

    ``crop`` is the part of the picture as it is, ``plain`` the same enlarged without a model, of the same ``size`` as
    every trial.
    """

    source_size: tuple[int, int]
    box: Box
    scale: float
    size: tuple[int, int]
    crop: str
    plain: str
    trials: tuple[Trial, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain dicts, lists, strings and numbers, ready for JSON."""
        return asdict(self)


def try_models(
    source: Path,
    folder: Path,
    centre: tuple[float, float],
    models: Sequence[str],
    step: Mapping[str, Any],
    progress: Progress | None = None,
    *,
    download: bool,
    settings: Settings | None = None,
    run_chain: ChainRunner = run_chain,
) -> Tryout:
    """Run each of ``models`` over a square crop of the picture ``source`` and write the results into ``folder``.

    ``centre`` is the middle of the crop, as fractions of the picture's width and height. ``step`` is an upscale stage
    as a dict, whose model and target are not used and whose scale is limited to what gives results of ``LARGEST_SIDE``.
    All files are lossless PNGs that carry over what ``restore_image`` does.

    A model that is not on this machine is left out unless ``download`` is set, and one that cannot be had or used does
    not keep the others from running: its trial says why. Everything else that goes wrong ends the whole and is raised
    as a ``RestoreError`` kind. ``progress`` counts each model as a stage.
    """
    settings = settings or load_settings()
    progress = progress or Progress()
    entries = _entries(models)
    image = read_image(source, settings)
    height, width = image.pixels.shape[:2]
    box = crop_box(width, height, centre)
    stage = tried_stage(step, box)
    bench = _Bench(_cut(image, box), stage, folder, settings, download, run_chain)
    return Tryout(
        source_size=(width, height),
        box=box,
        scale=stage.scale,
        size=stage.output_size(box.width, box.height),
        crop=bench.write(bench.crop, CROP, [], progress),
        plain=bench.enlarge_plainly(progress),
        trials=tuple(
            bench.attempt(entry, progress.share(number, len(entries))) for number, entry in enumerate(entries)
        ),
    )


@dataclass(frozen=True)
class _Bench:
    """What is the same for all the models."""

    crop: Image
    stage: Upscale
    folder: Path
    settings: Settings
    download: bool
    run_chain: ChainRunner

    def write(self, picture: Image, name: str, steps: Sequence[Stage], progress: Progress) -> str:
        """Write ``picture`` as a PNG; the name of the file."""
        file = f"{name}.png"
        chain = json.dumps(recipe(steps)) if steps else None
        write_image(picture, self.folder / file, recipe=chain, settings=self.settings, check=progress.check)
        return file

    def enlarge_plainly(self, progress: Progress) -> str:
        """Enlarge the crop without a model; the name of the file."""
        steps = [replace(self.stage, model=BUILT_IN, strength=0)]
        result, _ = restore_pixels(self.crop, steps, Engine.start(self.settings, progress))
        return self.write(result, PLAIN, steps, progress)

    def attempt(self, entry: Checkpoint, progress: Progress) -> Trial:
        """Run one model over the crop."""
        trial = Trial.of(entry)
        steps = [replace(self.stage, model=entry.name)]
        engine = Engine.start(self.settings, progress, download=self.download)
        try:
            if not self.download and weights.find(entry, self.settings) is None:
                return left_out(entry, self.stage, self.settings)
            result, reports = restore_pixels(self.crop, steps, engine, self.run_chain)
        except WeightsError as error:
            return replace(trial, problem=str(error))
        file = self.write(result, entry.name, steps, progress)
        seconds = sum(report.seconds for report in reports)
        return replace(trial, file=file, seconds=seconds, warnings=tuple(engine.warnings))


def crop_box(width: int, height: int, centre: tuple[float, float]) -> Box:
    """The square of ``CROP_SIDE`` pixels around ``centre``, smaller where the picture is, moved inside the picture.

    Raises ``SettingsError`` where ``centre`` is not two fractions of the picture's sides.
    """
    if len(centre) != 2 or not all(isinstance(value, Real) and 0 <= value <= 1 for value in centre):
        raise SettingsError(f"The centre of the crop is {centre!r}: give two numbers from 0 to 1.")
    side = min(CROP_SIDE, width, height)
    left, top = (
        min(max(0, round(fraction * length - side / 2)), length - side)
        for fraction, length in zip(centre, (width, height), strict=True)
    )
    return Box(left, top, side, side)


def tried_stage(step: Mapping[str, Any], box: Box) -> Upscale:
    """The stage ``step`` for the crop ``box``, with the built-in model; raises ``SettingsError`` for another stage."""
    (stage,) = parse_steps([{**step, "model": BUILT_IN, "target": None}])
    if not isinstance(stage, Upscale):
        raise SettingsError("Only a stage that enlarges can be tried with several models.")
    return replace(stage, scale=max(1.0, min(stage.scale, LARGEST_SIDE / box.width)))


def tried_models(models: Sequence[str]) -> list[Checkpoint]:
    """The entries of the catalogue; raises ``SettingsError`` for a model that there is not, or where none is named."""
    if not models:
        raise SettingsError("There is no model to try: name at least one.")
    return [catalog.checkpoint(name) for name in dict.fromkeys(models)]


def _entries(models: Sequence[str]) -> list[Checkpoint]:
    """``tried_models`` for a picture; raises ``SettingsError`` for one that does not enlarge a single frame."""
    entries = tried_models(models)
    for entry in entries:
        if Upscale(model=entry.name).uses_shots:
            raise SettingsError(
                f"{entry.name} enlarges a frame with the help of those around it, which a picture does not have: try "
                f"some of {', '.join(for_pictures(Upscale.stage))}."
            )
    return entries


def _cut(image: Image, box: Box) -> Image:
    rows, columns = slice(box.top, box.top + box.height), slice(box.left, box.left + box.width)
    alpha = None if image.alpha is None else image.alpha[rows, columns]
    return replace(image, pixels=image.pixels[rows, columns], alpha=alpha)


def _download_size(entry: Checkpoint, stage: Upscale, settings: Settings) -> int | None:
    """Bytes of what the stage needs to run a model that is not on this machine; ``None`` where that is not known."""
    needed = [entry]
    partner = entry.companions.get("weak_denoise")
    if partner is not None and stage.denoise < 1 and weights.find(partner, settings) is None:
        needed.append(catalog.checkpoint(partner))
    sizes = [each.size for each in needed]
    return None if None in sizes else sum(size for size in sizes if size is not None)


def left_out(entry: Checkpoint, stage: Upscale, settings: Settings) -> Trial:
    """The trial of a model that is not on this machine and is not to be downloaded."""
    size = _download_size(entry, stage, settings)
    much = "" if size is None else f" ({size / MEGA:.1f} MB)"
    problem = f"{entry.title} is not on this machine and would have to be downloaded first{much}."
    return replace(Trial.of(entry), problem=problem, missing=True, download_bytes=size)
