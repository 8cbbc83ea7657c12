"""A chain of stages over one image, from file to file."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from restore.errors import ResourceError, RestoreError, SettingsError
from restore.faces.keep import CropFolder
from restore.frame import Frame
from restore.inference import memory
from restore.inference.engine import Engine
from restore.media.images import (
    Image,
    check_image_target,
    check_output_pixels,
    probe_image,
    read_image,
    write_image,
)
from restore.media.transparency import fill_transparent
from restore.progress import Progress
from restore.regions import Rectangle, parse_regions
from restore.report import Report, StageReport
from restore.settings import MEBI, Settings, load_settings
from restore.stages import OpenStage, Stage, parse_steps, recipe
from restore.stages.untouched import spared
from restore.version import __version__

T = TypeVar("T")

ChainRunner = Callable[[Sequence[Stage], Frame, Engine], tuple[Frame, list[StageReport]]]
"""``run_chain``, or a function that does the same somewhere else."""

BYTES_PER_PIXEL = 28
"""Memory that a pixel of a result takes at the peak: float32 colours, their integers, and what the encoder holds."""

ROWS_AT_ONCE = 256


def open_chain(stages: Sequence[Stage], engine: Engine) -> list[OpenStage]:
    """Choose every model of the chain and download what is missing, so that it can run with no network connection.

    No network is loaded and the device is not touched. Raises ``SettingsError``, ``WeightsError`` and ``Cancelled``.
    """
    opened = []
    for index, stage in enumerate(stages):
        engine.progress.begin(stage.stage, index, len(stages))
        opened.append(spared(stage.open(engine), engine))
    return opened


def run_opened(opened: Sequence[OpenStage], frame: Frame, engine: Engine) -> tuple[Frame, list[StageReport]]:
    """Run an opened chain over one frame on the device of ``engine``; the result and a report of each stage.

    An opened chain, a frame, the settings of an engine and what is returned here can be pickled, so this may happen in
    another process than ``open_chain``, with an engine of its own; its warnings are then to be added to the first.
    """
    reports = []
    for index, stage in enumerate(opened):
        engine.progress.begin(stage.settings.stage, index, len(opened))
        began = time.monotonic()
        (frame,) = stage.run([frame], engine)
        reports.append(
            StageReport(
                settings=stage.settings.to_dict(),
                models=stage.models,
                device=str(engine.device),
                precision=stage.precision,
                plan=dict(stage.plan),
                seconds=time.monotonic() - began,
                notes=stage.notes,
            )
        )
    return frame, reports


def run_chain(stages: Sequence[Stage], frame: Frame, engine: Engine) -> tuple[Frame, list[StageReport]]:
    """Open a chain and run it over one frame in this process."""
    return run_opened(open_chain(stages, engine), frame, engine)


def restore_pixels(
    image: Image, stages: Sequence[Stage], engine: Engine, run_chain: ChainRunner = run_chain
) -> tuple[Image, list[StageReport]]:
    """Run a chain over a picture in memory; the result has the depth of ``image`` and all that came with it.

    Raises ``RestoreError`` kinds, ``ResourceError`` among them where the memory does not suffice.
    """
    with memory_in_words("this picture"):
        frame, reports = run_chain(stages, _to_frame(image, with_fill=bool(stages)), engine)
        engine.progress.check()
        return _to_image(frame, image, coloured=any(stage.gives_colour for stage in stages)), reports


def restore_image(
    source: str | Path,
    target: str | Path,
    steps: Iterable[Stage | Mapping[str, Any]] | Mapping[str, Any],
    progress: Progress | None = None,
    *,
    settings: Settings | None = None,
    crops: str | Path | None = None,
    untouched: str | Sequence[Rectangle] = (),
    run_chain: ChainRunner = run_chain,
) -> Report:
    """Run a chain of stages over the image ``source`` and write the result to ``target``.

    ``steps`` are settings objects or dicts, in any order, or a recipe; ``[]`` only changes the format. The format of
    ``target`` is that of its suffix. Everything that can be refused is refused before the picture is decoded, and the
    result appears under its name only when it is whole. Raises ``RestoreError`` kinds only, and what the listener of
    ``progress`` raises; ``progress`` can stop it. The faces that ``Faces`` restores are kept below the folder
    ``crops``, if there is one, as ``cropped_faces/<name>_00.png`` and ``restored_faces/<name>_00.png``. Inside of
    ``untouched``, rectangles as ``restore_video`` takes them, no stage invents anything. ``run_chain`` may take the
    work on the pixels elsewhere.
    """
    began = time.monotonic()
    source, target = path_of("source", source), path_of("target", target)
    settings = given("settings", settings, Settings) or load_settings()
    engine = Engine.start(settings, given("progress", progress, Progress) or Progress())
    engine.crops = None if crops is None else CropFolder(path_of("crops", crops), source.stem)
    stages = parse_steps(steps)

    info = probe_image(source, settings)
    engine.untouched = parse_regions(untouched, (info.width, info.height))
    sizes = _plan_sizes(stages, info.width, info.height, settings)
    check_image_target(target, *sizes[-1], settings)
    _check_memory(sizes, engine)
    engine.progress.check()
    image = read_image(source, settings)

    result, reports = restore_pixels(image, stages, engine, run_chain)
    chain = recipe(stages)
    written = write_image(result, target, recipe=json.dumps(chain), settings=settings, check=engine.progress.check)
    return Report(
        version=__version__,
        source=source.name,
        target=target.name,
        source_size=(info.width, info.height),
        target_size=sizes[-1],
        recipe=chain,
        stages=tuple(reports),
        seconds=time.monotonic() - began,
        carried=written.carried,
        dropped=(*image.losses, *written.dropped),
        warnings=tuple(engine.warnings),
    )


def path_of(name: str, value: object) -> Path:
    """``value`` as a path; raises ``SettingsError`` for what is none."""
    if not isinstance(value, str | Path):
        raise SettingsError(f"The {name} is {value!r}: give the path of a file as text or as a pathlib.Path.")
    return Path(value)


def given(name: str, value: object, kind: type[T]) -> T | None:
    """``value`` if it is of this kind or ``None``; raises ``SettingsError`` for anything else."""
    if value is None or isinstance(value, kind):
        return value
    raise SettingsError(f"The argument {name} is {value!r}: give a restore.{kind.__name__}, or nothing.")


def _plan_sizes(stages: Sequence[Stage], width: int, height: int, settings: Settings) -> list[tuple[int, int]]:
    """The size of the picture before and after each stage; raises ``LimitError`` where one is too large.

    Raises ``SettingsError`` for a stage that is for clips alone.
    """
    sizes = [(width, height)]
    for stage in stages:
        if stage.only_clips:
            raise SettingsError(f"The stage {stage.stage} is for clips, and this is a picture: leave it out.")
        width, height = stage.output_size(width, height)
        check_output_pixels(width, height, settings)
        sizes.append((width, height))
    return sizes


def _check_memory(sizes: Sequence[tuple[int, int]], engine: Engine) -> None:
    """Refuse what would not fit: the system ends a process that takes too much, with no error to catch."""
    needed = max(width * height for width, height in sizes) * BYTES_PER_PIXEL
    free = memory.available(engine.settings, torch.device("cpu"))
    if needed > free:
        raise ResourceError(
            f"The result needs about {needed / MEBI:.0f} MiB of memory and {free / MEBI:.0f} MiB are free: "
            "choose a smaller scale or target, or close other programs."
        )


@contextmanager
def memory_in_words(what: str) -> Iterator[None]:
    """Turn every way in which memory runs out during the work on ``what`` into the one error that says so."""
    try:
        yield
    except Exception as error:
        if isinstance(error, RestoreError) or not memory.is_out_of_memory(error):
            raise
        raise ResourceError(
            f"There is not enough memory for {what}: choose a smaller scale or target, or close other programs."
        ) from error


def _to_frame(image: Image, *, with_fill: bool) -> Frame:
    """The picture as stages want it: three channels, float32; ``with_fill``, colour also where nothing can be seen."""
    full = float(np.iinfo(image.pixels.dtype).max)
    pixels = torch.from_numpy(image.pixels.astype(np.float32)).div_(full).permute(2, 0, 1)
    alpha = None if image.alpha is None else torch.from_numpy(image.alpha.astype(np.float32)).div_(full)
    pixels = pixels.expand(3, -1, -1)
    if alpha is not None and with_fill:
        pixels = fill_transparent(pixels, alpha)
    return Frame(pixels, alpha, bits=image.bits)


def _to_image(frame: Frame, source: Image, *, coloured: bool) -> Image:
    """The picture as files want it: the depth of the source, grey if the source was grey and was not ``coloured``, and
    what came with it.
    """
    stays_grey = source.pixels.shape[2] == 1 and not coloured
    pixels = frame.pixels.mean(dim=0, keepdim=True) if stays_grey else frame.pixels
    return Image(
        pixels=to_integers(pixels.permute(1, 2, 0), source.pixels.dtype),
        alpha=None if frame.alpha is None else to_integers(frame.alpha, source.pixels.dtype),
        format=source.format,
        icc_profile=source.icc_profile,
        exif=source.exif,
        dpi=source.dpi,
        bits=source.bits,
    )


def to_integers(values: torch.Tensor, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Values in [0, 1] as the nearest integers of ``dtype``, in the memory order of an image file.

    Some rows at a time, so that no second copy of the whole picture in float32 is needed.
    """
    result = np.empty(tuple(values.shape), dtype)
    for top in range(0, len(values), ROWS_AT_ONCE):
        rows = values[top : top + ROWS_AT_ONCE]
        result[top : top + ROWS_AT_ONCE] = rows.mul(float(np.iinfo(dtype).max)).round().numpy()
    return result
