"""The HTML that the page shows: how things stand, progress, the report and what is at hand as tables.

Everything is there in both languages (``restore.ui.texts``), and everything that comes from outside (file names,
messages, names of stages) is escaped here. What the engine says in sentences is English and marked as such.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import PurePath
from typing import Any, Literal

import gradio as gr

from restore import catalog
from restore.errors import RestoreError
from restore.gpu_call import WAITING
from restore.inventory import DeviceFacts, ModelFacts, ModelState
from restore.jobs import StageProgress
from restore.media.images import INPUT_FORMATS, ImageInfo
from restore.models import AUTO
from restore.progress import FRAMES, Position
from restore.settings import MEBI, MEGA, Settings
from restore.stages import MATERIALS, auto_candidates
from restore.ui.texts import LANGUAGES, Text, both, in_both, joined, text, texts, title_of

Kind = Literal["plain", "good", "warn"]
BadgeKind = Literal["plain", "good", "warn"]


def duration(seconds: float) -> Text:
    """Seconds as ``0.4 s``, ``12 s``, ``2 min 5 s`` or ``1 h 3 min``."""
    whole = round(seconds)
    if whole < 60:
        return text("duration.seconds", seconds=f"{seconds:.1f}" if seconds < 9.95 else whole)
    if whole < 3600:
        return text("duration.minutes", minutes=whole // 60, seconds=whole % 60)
    return text("duration.hours", hours=whole // 3600, minutes=whole % 3600 // 60)


def file_size(length: int) -> str:
    """A number of bytes as ``512 B``, ``3.2 kB``, ``4.0 MB`` or ``1.2 GB``, which is the same in both languages."""
    if length < 1000:
        return f"{length} B"
    if length < 999_950:
        return f"{length / 1000:.1f} kB"
    return f"{length / 1e6:.1f} MB" if length < 999_950_000 else f"{length / 1e9:.1f} GB"


def english(sentence: str) -> str:
    """What the engine or a file says in English, for a page in any language."""
    return f'<span lang="{LANGUAGES["en"]}">{escape(sentence)}</span>'


def badge(html: str, kind: BadgeKind = "plain") -> str:
    """A few words in a small frame."""
    return f'<span class="restore-badge {kind}">{html}</span>'


def note(html: str) -> str:
    """A remark in smaller letters."""
    return f'<p class="restore-note">{html}</p>'


def status(html: str, kind: Kind = "plain") -> str:
    """One line on how things stand, which ``announce.js`` lets screen readers read out."""
    return f'<p class="restore-status {kind}" data-announced>{html}</p>'


def waiting(ahead: int) -> str:
    """The work waits for ``ahead`` others."""
    return status(both("state.waiting", ahead=ahead) if ahead else both("state.next"))


def paused(html: str, why: str) -> str:
    """The work is paused: how it can go on, and the engine's sentence on why."""
    return status(html) + note(english(why))


def problem(error: Exception) -> str:
    """What went wrong: its kind in both languages, then the engine's sentence.

    Of an error that is none of ours nothing is told: its words are for the log.
    """
    if not isinstance(error, RestoreError):
        return f"<strong>{both('unexpected_title')}</strong><br>{both('unexpected')}"
    kind = next(kind for kind in type(error).__mro__ if f"error.{kind.__name__}" in texts())
    return f"<strong>{both(f'error.{kind.__name__}')}</strong><br>{english(error.for_visitors)}"


def failure(error: gr.Error) -> str:
    """What went wrong, whose message is HTML already; read out by screen readers at once."""
    return f'<p class="restore-status bad" role="alert">{error.message}</p>'


def limits(settings: Settings) -> str:
    """What may be uploaded."""
    *most, last = INPUT_FORMATS
    millions = settings.max_input_pixels / MEGA
    return note(
        both(
            "limits",
            formats=Text(f"{', '.join(most)} or {last}", "、".join(INPUT_FORMATS)),
            megabytes=f"{settings.max_file_bytes / MEBI:g}",
            megapixels=Text(f"{millions:g}", f"{100 * millions:g}"),  # Chinese counts in ten thousands
        )
    )


def facts(info: ImageInfo, length: int) -> str:
    """A picture that was uploaded: its format, its size and the length of its file in bytes."""
    return note(both("facts", format=info.format, width=info.width, height=info.height, size=file_size(length)))


def model_title(name: str) -> Text:
    """What a model is called; one that the catalogue no longer has goes by its name."""
    entry = catalog.checkpoints().get(name)
    return Text(name, name) if entry is None else title_of(entry)


def model_description(name: str) -> Text:
    """What a model of the catalogue is for."""
    entry = catalog.checkpoint(name)
    return Text(entry.description, entry.description_zh or entry.description)


def model(name: str) -> str:
    """What a model of the catalogue is for, and what its licence allows."""
    entry = catalog.checkpoint(name)
    use = text("commercial" if entry.commercial else "non_commercial")
    return note(both("model_note", description=model_description(name), licence=entry.licence, use=use))


def progress(stages: Sequence[StageProgress], seconds: float) -> str:
    """The bars of the stage that a work is in, or of all parts of one on a clip; it has gone on for ``seconds``."""
    shown = [stage for stage in stages if stage.position.unit == FRAMES]
    if shown:
        shown += [stage for stage in stages if stage.position.stage == WAITING and stage.position.fraction < 1]
    else:
        index = max((stage.position.index for stage in stages), default=0)
        shown = [stage for stage in stages if stage.position.index == index]
    bars = "".join(_bar(stage) for stage in shown)
    return f'<div class="restore-status plain">{both("state.running", time=duration(seconds))}{bars}</div>'


def _bar(stage: StageProgress) -> str:
    percent = int(100 * stage.position.fraction)
    title = _stage_title(stage.position)
    words = [text("saving")] if _is_over(stage.position) else _count(stage)
    if stage.seconds_left is not None and stage.seconds_left >= 1 and percent < 100:
        words.append(text("time_left", time=duration(stage.seconds_left)))
    state = joined(words, " · ", " · ")
    # A whole bar for each language, because a screen reader has no other way to read its words in the right one.
    return in_both(_bar_in(title.en, state.en, percent), _bar_in(title.zh, state.zh, percent), tag="div")


def _is_over(position: Position) -> bool:
    """Whether the networks are through with the picture, which is written then, without a report of how far."""
    return position.unit in ("tiles", "faces") and position.index == position.stages - 1 and position.fraction == 1


def _bar_in(title: str, words: str, percent: int) -> str:
    title, words = escape(title), escape(words)
    return (
        f'<div class="restore-stage"><span>{title}</span><span>{words}</span></div>'
        f'<div class="restore-bar" role="progressbar" aria-label="{title}" aria-valuemin="0" aria-valuemax="100" '
        f'aria-valuenow="{percent}" aria-valuetext="{words}"><div style="width: {percent}%"></div></div>'
    )


def _stage_title(position: Position) -> Text:
    title = text("stage_download") if position.unit == "bytes" else stage_title(position.stage)
    if position.stages == 1 or position.unit == FRAMES:
        return title
    return text("stage_number", stage=title, number=position.index + 1, total=position.stages)


def stage_title(stage: str) -> Text:
    """What a stage is called; one without a text goes by its own name."""
    return text(f"stage.{stage}") if f"stage.{stage}" in texts() else Text(stage, stage)


def _count(stage: StageProgress) -> list[Text]:
    """How far a stage is, in its units and in percent."""
    position, total = stage.position, round(stage.position.total)
    percent = text("percent", percent=int(100 * position.fraction))
    if position.unit == "bytes":
        return [text("part_of", done=file_size(round(position.done)), total=file_size(total)), percent]
    if position.unit == "tiles" and total > 1:
        return [text("tile_number", number=min(int(position.done) + 1, total), total=total), percent]
    if position.unit == "faces":
        return [text("face_number", number=min(int(position.done) + 1, total), total=total), percent]
    if position.unit != FRAMES:
        return [percent]
    done = int(position.done)
    words = [text("frames_of", done=done, total=total), percent] if total else [text("frames_done", done=done)]
    if stage.per_second is not None:
        words.append(text("frames_per_second", rate=f"{stage.per_second:.3g}"))
    return words


Row = tuple[str, str]
"""A heading and what is said below it, as HTML."""


def report(
    data: Mapping[str, Any],
    length: int | None = None,
    materials: Mapping[str, Text] | None = None,
    more: Sequence[Row] = (),
) -> str:
    """A report, as ``Report.to_dict`` gives it, in a table.

    ``length`` is that of the file in bytes, ``materials`` what they are called if not as those of pictures, and
    ``more`` are rows to put in below the result.
    """
    names = {name: text(f"material.{name}") for name in MATERIALS} if materials is None else materials
    rows = [(both("report_row.result"), _result(data, length)), *more]
    for stage in data["stages"]:
        rows += _stage_rows(stage, names, named=len(data["stages"]) > 1)
    rows.append((both("report_row.time"), duration(data["seconds"]).html))
    if data["carried"]:
        rows.append((both("report_row.carried"), " · ".join(_part(what) for what in data["carried"])))
    if data["dropped"]:
        losses = (f"{_part(lost['what'])}: {english(lost['why'])}" for lost in data["dropped"])
        rows.append((both("report_row.dropped"), listed(losses)))
    if data["warnings"]:
        rows.append((both("report_row.warnings"), listed(english(warning) for warning in data["warnings"])))
    return facts_table(rows)


def _result(data: Mapping[str, Any], length: int | None) -> str:
    (before_width, before_height), (width, height) = data["source_size"], data["target_size"]
    file = [PurePath(data["target"]).suffix[1:].upper(), *([] if length is None else [file_size(length)])]
    return both(
        "report_result",
        file=joined([Text(words, words) for words in file], ", ", "，"),
        width=width,
        height=height,
        before_width=before_width,
        before_height=before_height,
    )


def _stage_rows(stage: Mapping[str, Any], materials: Mapping[str, Text], *, named: bool) -> list[Row]:
    rows = [(both("report_row.stage"), stage_title(stage["settings"]["stage"]).html)] if named else []
    settings = stage["settings"]
    notes = [(both("report_row.notes"), listed(english(note) for note in stage["notes"]))] if stage["notes"] else []
    if not stage["models"]:
        rows.append((both("report_row.model"), _without_model(settings["stage"])))
        return rows if "material" in settings else [*rows, *notes]
    rows.append((both("report_row.model"), listed(_model_use(use) for use in stage["models"])))
    if "material" not in settings:
        rows += notes
    elif settings["model"] == AUTO:
        rows.append((both("report_row.choice"), _choice(stage, materials)))
    device = both(f"device_kind.{_device_type(stage)}")
    rows.append((both("report_row.device"), f"{device} · {escape(stage['precision'])}"))
    plan = stage["plan"]
    if isinstance(plan.get("tile"), int):
        rows.append((both("report_row.tiles"), both("tiles_of", side=plan["tile"], context=plan["context"])))
    elif "tile" in plan:
        rows.append((both("report_row.tiles"), both("whole_picture")))
    return rows


def _without_model(stage: str) -> str:
    """What a stage did that needed no model."""
    return both(f"no_model.{stage}") if f"no_model.{stage}" in texts() else both("none")


def _device_type(stage: Mapping[str, Any]) -> str:
    return str(stage["device"]).partition(":")[0]


def _choice(stage: Mapping[str, Any], materials: Mapping[str, Text]) -> str:
    """Why ``auto`` took the model; where it had to take another one, a warning says how to get the first."""
    material = stage["settings"]["material"]
    first = auto_candidates(material, _device_type(stage))[0]
    name = materials[material]
    if stage["models"][0]["name"] == first:
        return both("choice.first", material=name)
    return both("choice.other", material=name, first=model_title(first))


def _model_use(use: Mapping[str, Any]) -> str:
    badges = [badge(both(f"origin.{use['origin']}")), *_licence(use["licence"], commercial=use["commercial"])]
    if not use["verified"]:
        badges.append(badge(both("unverified"), "warn"))
    return " ".join([model_title(use["name"]).html, *badges])


def _licence(licence: str, *, commercial: bool) -> list[str]:
    badges = [badge(escape(licence))]
    return badges if commercial else [*badges, badge(both("non_commercial"), "warn")]


def _part(what: str) -> str:
    """A part of a picture that a report names; the frequent ones have a name in both languages."""
    bits, _, rest = what.partition(" ")
    if rest == "bits" and bits.isdigit():
        return both("bits", bits=bits)
    name = what.lower().replace(" ", "_")
    return both(f"kept_of.{name}") if f"kept_of.{name}" in texts() else english(what)


def inventory(device: DeviceFacts, models: Sequence[ModelFacts]) -> str:
    """What is at hand: a table on the device, and one on the models."""
    columns = "".join(
        f'<th scope="col">{html}</th>'
        for html in (
            both("inventory_column.model"),
            both("inventory_column.state"),
            both("inventory_column.description"),
            both("inventory_column.licence"),
        )
    )
    rows = "".join(f"<tr>{_model_cells(facts)}</tr>" for facts in models)
    return (
        facts_table(
            [
                (both(f"device_kind.{device.kind}"), escape(device.name)),
                (both("memory"), both(f"memory_of.{device.kind}", size=file_size(device.memory_bytes))),
                (both("precision_label"), escape(device.precision)),
            ]
        )
        + f'<table class="restore-table restore-models"><thead><tr>{columns}</tr></thead><tbody>{rows}</tbody></table>'
    )


def _model_cells(facts: ModelFacts) -> str:
    first = f" {badge(both('first_choice'), 'good')}" if facts.default else ""
    return (
        f'<th scope="row">{model_title(facts.name).html}{first}</th>'
        f"<td>{_state(facts)}</td>"
        f"<td>{model_description(facts.name).html}</td>"
        f"<td>{' '.join(_licence(facts.licence, commercial=facts.commercial))}</td>"
    )


def _state(facts: ModelFacts) -> str:
    kinds: Mapping[ModelState, BadgeKind] = {
        ModelState.BUILT_IN: "good",
        ModelState.ON_DISK: "good",
        ModelState.DOWNLOAD: "plain",
        ModelState.DAMAGED: "warn",
    }
    badges = []
    if facts.state is not ModelState.DOWNLOAD or facts.download_bytes is None:
        badges.append(badge(both(f"model_state.{facts.state.name.lower()}"), kinds[facts.state]))
    if facts.download_bytes is not None:
        size = file_size(facts.download_bytes)
        badges.append(badge(both("needs" if facts.state is ModelState.DOWNLOAD else "needs_more", size=size)))
    if facts.verified is False:
        badges.append(badge(both("unverified"), "warn"))
    return " ".join(badges) + (note(english(facts.problem)) if facts.problem else "")


def facts_table(rows: Iterable[Row]) -> str:
    """A table of headings and what is said of each."""
    body = "".join(f'<tr><th scope="row">{heading}</th><td>{html}</td></tr>' for heading, html in rows)
    return f'<table class="restore-table"><tbody>{body}</tbody></table>'


def listed(items: Iterable[str]) -> str:
    """One thing as it is, several as a list."""
    lines = list(items)
    return lines[0] if len(lines) == 1 else f"<ul>{''.join(f'<li>{line}</li>' for line in lines)}</ul>"
