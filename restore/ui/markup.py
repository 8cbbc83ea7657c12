"""The HTML that the page shows: notes, progress, the report in words.

Everything that comes from outside (file names, messages, names of stages) is escaped here.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Literal

import gradio as gr

from restore.catalog import Checkpoint
from restore.media.images import INPUT_FORMATS, ImageInfo
from restore.report import ModelUse, Report
from restore.settings import MEBI, MEGA, Settings
from restore.ui.work import StageProgress

Kind = Literal["plain", "good"]

# What a stage is called while it runs; one without an entry goes by its own name.
STAGE_TITLES = {"upscale": "Upscale"}
DOWNLOAD_TITLE = "Download of the model"


def duration(seconds: float) -> str:
    """Seconds as ``0.4 s``, ``12 s``, ``2 min 5 s`` or ``1 h 3 min``."""
    whole = round(seconds)
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def file_size(length: int) -> str:
    """A number of bytes as ``512 bytes``, ``3.2 kB`` or ``4.0 MB``."""
    if length < 1000:
        return f"{length} bytes"
    return f"{length / 1000:.1f} kB" if length < 999_950 else f"{length / 1_000_000:.1f} MB"


def note(text: str) -> str:
    """A remark in smaller letters."""
    return f'<p class="restore-note">{escape(text)}</p>'


def status(text: str, kind: Kind = "plain") -> str:
    """One line on how things stand, read out by screen readers."""
    return f'<p class="restore-status {kind}" role="status">{escape(text)}</p>'


def failure(error: gr.Error) -> str:
    """What went wrong, whose message is HTML already; read out by screen readers at once."""
    return f'<p class="restore-status bad" role="alert">{error.message}</p>'


def limits(settings: Settings) -> str:
    """What may be uploaded."""
    formats = f"{', '.join(INPUT_FORMATS[:-1])} or {INPUT_FORMATS[-1]}"
    return note(
        f"{formats}, up to {settings.max_file_bytes / MEBI:g} MiB and {settings.max_input_pixels / MEGA:g} megapixels."
    )


def facts(info: ImageInfo, length: int) -> str:
    """A picture that was uploaded: its format, its size and the length of its file in bytes."""
    return note(f"{info.format}, {_size((info.width, info.height))} pixels, {file_size(length)}")


def model(entry: Checkpoint) -> str:
    """What a model is for, and what its licence allows."""
    use = "commercial use allowed" if entry.commercial else "non-commercial use only"
    return note(f"{entry.description}. Licence: {entry.licence}, {use}.")


def progress(stages: Sequence[StageProgress], seconds: float) -> str:
    """One bar per stage of a work that has been going on for ``seconds``."""
    bars = "".join(_bar(stage) for stage in stages)
    return f'<div class="restore-status plain">Working, {duration(seconds)}{bars}</div>'


def report(result: Report) -> str:
    """The report in a few lines of words: models, sizes, time, warnings, what was carried over and what was lost."""
    models = list(dict.fromkeys(use for stage in result.stages for use in stage.models))
    lines = [_made(result, models)]
    lines += [f"{use.name} is for non-commercial use only ({use.licence})." for use in models if not use.commercial]
    lines += [f"The checksum of the file of {use.name} is not the published one." for use in models if not use.verified]
    lines += result.warnings
    lines += [note for stage in result.stages for note in stage.notes]
    if result.carried:
        lines.append(f"Carried over: {', '.join(result.carried)}.")
    html = "".join(f"<p>{escape(line)}</p>" for line in lines)
    if result.dropped:
        items = "".join(f"<li>{escape(f'{lost.what}: {lost.why}')}</li>" for lost in result.dropped)
        html += f"<p>Not carried over:</p><ul>{items}</ul>"
    return f'<div class="restore-report">{html}</div>'


def _size(width_height: tuple[int, int]) -> str:
    return f"{width_height[0]} × {width_height[1]}"


def _made(result: Report, models: Sequence[ModelUse]) -> str:
    sizes = f"{_size(result.source_size)} became {_size(result.target_size)} pixels in {duration(result.seconds)}"
    if not models:
        return f"{sizes}, without a model."
    names = " and ".join(use.name for use in models)
    devices = dict.fromkeys(f"{stage.device}, {stage.precision}" for stage in result.stages if stage.models)
    return f"{sizes} with {names} ({'; '.join(devices)})."


def _bar(stage: StageProgress) -> str:
    position = stage.position
    percent = int(100 * position.fraction)
    title, words = STAGE_TITLES.get(position.stage, position.stage), f"{percent} %"
    if position.unit == "bytes":
        title = DOWNLOAD_TITLE
        words += f", {file_size(round(position.done))} of {file_size(round(position.total))}"
    elif position.total >= 1:  # a part of a single megapixel says less than the percentage
        words += f", {round(position.done, 1):g} of {round(position.total, 1):g} {position.unit}"
    if stage.seconds_left is not None and percent < 100:
        words += f", about {duration(stage.seconds_left)} left"
    title, words = escape(title), escape(words)
    return (
        f'<div class="restore-stage"><span>{title}</span><span>{words}</span></div>'
        f'<div class="restore-bar" role="progressbar" aria-label="{title}" aria-valuemin="0" aria-valuemax="100" '
        f'aria-valuenow="{percent}" aria-valuetext="{words}"><div style="width: {percent}%"></div></div>'
    )
