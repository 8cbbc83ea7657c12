"""What will come out of a chain, in one line, before the work begins."""

from __future__ import annotations

from restore.clip_plan import ClipPlan
from restore.media.clips.describe import clock
from restore.ui import markup
from restore.ui.texts import both


def foreseen(plan: ClipPlan) -> str:
    """Size, rate and length of the result, and what is to be known of it."""
    width, height = plan.written
    words = [both("pixels", width=width, height=height), both("rate", rate=f"{float(plan.rates[-1]):.5g}")]
    if plan.counts[0]:
        words += [both("frames_done", done=plan.counts[-1]), clock(plan.counts[0] / plan.rates[0] * plan.stretch)]
    rows = [(both("foreseen_pace"), " · ".join(words))]
    if plan.encoder.warnings:
        notes = markup.listed(markup.english(each) for each in plan.encoder.warnings)
        rows.append((both("clip_row.warnings"), notes))
    return markup.facts_table(rows)
