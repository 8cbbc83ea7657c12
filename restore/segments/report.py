"""The report of work that was done in segments, by this run or by others before it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from restore.chain import DECODE, ENCODE
from restore.media.clips.clip_file import ClipFile, track_time_base
from restore.report import ClipReport, Report, StageReport
from restore.segments.folder import Record
from restore.segments.run import SegmentRun
from restore.stages import OpenStage, recipe
from restore.version import __version__


def report_of(run: SegmentRun, file: ClipFile, seconds: float) -> Report:
    """What became of the clip that ``run`` wrote to ``file``, in ``seconds`` of this run.

    The seconds of the stages, of decoding and of encoding are those that their segments took, whenever that was.
    """
    plan, engine, records = run.plan, run.engine, run.records
    encoder, info = plan.encoder, plan.info
    counts = {name: value for name, value in run.whole["counts"].items() if isinstance(value, int)}
    clip = ClipReport(
        source=info.to_dict(),
        codec=encoder.codec,
        container=encoder.container,
        pixel_format=encoder.pixel_format,
        encoder=dict(encoder.options),
        frame_rate=str(encoder.rate),
        stretch=str(plan.stretch),
        time_base=str(track_time_base(encoder)),
        frames=file.frames,
        reused=counts["repeats"] if run.opened else 0,
        read=counts,
        seconds={name: sum(record.seconds[name] for record in records) for name in (DECODE, ENCODE)},
        start=None if plan.start is None else str(plan.since_beginning(plan.start)),
        end=None if plan.end is None else str(plan.since_beginning(plan.end)),
        cuts=tuple(str(plan.since_beginning(cut)) for cut in run.cuts),
        untouched=tuple(region.to_dict() for region in plan.untouched),
        notes=(*plan.notes, *run.whole["notes"], *file.notes),
        segments={"all": len(records), "made": run.again},
    )
    earlier = [warning for record in records for warning in record.warnings if warning not in engine.warnings]
    return Report(
        version=__version__,
        source=plan.source.name,
        target=plan.target.name,
        source_size=plan.reader(engine.settings).size,
        target_size=plan.written,
        recipe=recipe(plan.stages),
        stages=tuple(_stage(run, part, stage, records) for part, stage in enumerate(run.opened)),
        seconds=seconds,
        carried=tuple(file.carried),
        dropped=tuple(file.dropped),
        warnings=(*info.warnings, *encoder.warnings, *engine.warnings, *dict.fromkeys(earlier)),
        clip=clip,
    )


def _stage(run: SegmentRun, part: int, stage: OpenStage, records: Sequence[Record]) -> StageReport:
    rows: list[Any] = [record.stages[part] for record in records]
    counts: Counter[str] = Counter()
    for row in rows:
        counts.update(row["counts"])
    stage.recount(counts, replace(run.engine, rate=run.plan.rates[part]))
    plan: dict[str, Any] = {}
    for row in rows:
        plan |= row["plan"]
    shortages = [entry for row in rows for entry in row["plan"].get("out_of_memory", ())]
    plan |= {name: count for name, count in counts.items() if name in plan}
    plan |= {"out_of_memory": shortages} if shortages else {}
    return StageReport(
        settings=stage.settings.to_dict(),
        models=stage.models,
        device=str(run.engine.device),
        precision=", ".join(dict.fromkeys(row["precision"] for row in rows)) or "float32",
        plan=plan,
        seconds=sum(row["seconds"] for row in rows),
        frames=sum(row["frames"] for row in rows),
        notes=stage.notes,
    )
