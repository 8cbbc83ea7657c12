"""What will come out of a chain, in one line, before the work begins: size, rate, length, bytes and time.

What follows from the settings is there at once; bytes and time come a moment later, because some frames have to be
tried for them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gradio as gr
from gradio.blocks import Block
from gradio.components import Component

from restore.clip_plan import ClipPlan
from restore.errors import RestoreError
from restore.estimates import Estimate, estimate
from restore.jobs import JobStore
from restore.media.clips.describe import clock
from restore.ui import markup
from restore.ui.attach import QUIET, Update
from restore.ui.clip_card import count_of_frames
from restore.ui.clip_work import ClipWork, plan_work
from restore.ui.film_api import ESTIMATES_AT_ONCE
from restore.ui.image_tab import PREVIEWS_AT_ONCE
from restore.ui.texts import Text, both, text

Read = Callable[..., ClipWork]
"""Given an upload and the raw values of the settings, what was asked for; raises ``RestoreError``."""


class FilmSummary:
    """The component, made where it is called for; the name of its element begins with ``prefix``."""

    def __init__(self, prefix: str) -> None:
        self._line = gr.HTML(visible=False, elem_id=f"{prefix}foreseen")
        # How often something has changed in this page: it is in the same list for all events of one visitor.
        self._newest = gr.State([0])

    def connect(
        self,
        store: JobStore,
        read: Read,
        inputs: Sequence[Component],
        changes: Sequence[Any],
        follow: Callable[[object], Update],
        follows: Sequence[Block],
    ) -> None:
        """Let it say what ``read`` makes of ``inputs``, the upload and the chain first, whenever the chain changes or
        one of ``changes`` comes. ``follow`` says what else becomes of a chain, of the components ``follows``.
        """
        inputs = list(inputs)
        chain: Any = inputs[1]

        def foresee(newest: list[int], file: Mapping[str, Any] | None, *values: Any) -> gr.HTML:
            newest[0] += 1
            if file is None:
                return gr.HTML(value="", visible=False)
            try:
                return gr.HTML(value=summary(plan_work(read(file, *values), store.root), None), visible=True)
            except RestoreError as error:
                return gr.HTML(value=markup.note(markup.problem(error)), visible=True)

        def follow_chain(newest: list[int], file: Mapping[str, Any] | None, steps: object, *values: Any) -> Update:
            # In one answer, because each takes a browser a while on a page with so many components.
            return {**follow(steps), self._line: foresee(newest, file, steps, *values)}

        def reckon(newest: list[int], file: Mapping[str, Any] | None, *values: Any) -> Any:
            mine = newest[0]
            try:
                html = "" if file is None else self._estimated(read(file, *values), store)
            except RestoreError:  # which was said already
                html = ""
            # Of what has changed meanwhile nobody wants to know any more.
            return gr.HTML(value=html) if html and mine == newest[0] else gr.skip()

        asked = [self._newest, *inputs]
        common: dict[str, Any] = {"preprocess": False, "trigger_mode": "always_last", **QUIET}
        gr.on(list(changes), foresee, asked, self._line, concurrency_limit=PREVIEWS_AT_ONCE, **common)
        chain.change(follow_chain, asked, [*follows, self._line], concurrency_limit=PREVIEWS_AT_ONCE, **common)
        gr.on(
            [chain.change, *changes],
            reckon,
            asked,
            self._line,
            concurrency_id="estimate",
            concurrency_limit=ESTIMATES_AT_ONCE,
            **common,
        )

    @staticmethod
    def _estimated(work: ClipWork, store: JobStore) -> str:
        plan, options = plan_work(work, store.root), work.options
        found = estimate(
            work.source,
            work.stages,
            plan.target,
            options.start,
            options.end,
            settings=work.settings,
            encoding=options.encoding,
            deinterlace=options.deinterlace,
            square_pixels=options.square_pixels,
        )
        return summary(plan, found)


def summary(plan: ClipPlan, found: Estimate | None) -> str:
    """The line, as HTML, with what is to be known of the result; without an estimate it says that one is coming."""
    width, height = plan.written
    words = [both("pixels", width=width, height=height), both("rate", rate=f"{float(plan.rates[-1]):.5g}")]
    if plan.counts[0]:
        words += [count_of_frames(plan.counts[-1]), clock(plan.counts[0] / plan.rates[0] * plan.stretch)]
    notes = list(plan.encoder.warnings)
    if found is None:
        words.append(both("film_estimating"))
    elif found.frames:
        sizes = (markup.file_size(size) for size in (found.bytes_low, found.bytes_high))
        words.append(both("film_bytes", low=next(sizes), high=next(sizes)))
        words.append(both("film_time", time=_between(found.seconds_low, found.seconds_high)))
    if found is not None:
        notes = list(dict.fromkeys([*notes, *found.warnings]))
    rows = [(both("foreseen_pace"), " · ".join(words))]
    if notes:
        rows.append((both("clip_row.warnings"), markup.listed(markup.english(each) for each in notes)))
    return markup.facts_table(rows)


def _between(low: float, high: float) -> Text:
    ends = markup.duration(low), markup.duration(high)
    return ends[1] if ends[0] == ends[1] else text("film_range", low=ends[0], high=ends[1])
