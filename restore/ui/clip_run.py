"""What begins the work on a clip and what stops it, and what is to be known of the result before."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gradio as gr
from gradio.components import Component

from restore.clip_plan import ClipPlan
from restore.errors import RestoreError
from restore.jobs import Function, JobStore
from restore.settings import Settings
from restore.ui.attach import QUIET, attach
from restore.ui.clip_again import lasting
from restore.ui.clip_results import ClipPanel
from restore.ui.clip_work import ClipWork, plan_work
from restore.ui.image_tab import PREVIEWS_AT_ONCE
from restore.ui.run_buttons import run_and_stop
from restore.ui.texts import label

Read = Callable[..., ClipWork]
"""Given an upload and the raw values of the settings, what was asked for; raises ``RestoreError``."""


class ClipRun:
    """The components, made where it is called for; the names of their elements begin with ``prefix``."""

    def __init__(self, prefix: str) -> None:
        self._foreseen = gr.HTML(visible=False, elem_id=f"{prefix}foreseen")
        self._run, self._stop = run_and_stop(label("run"), prefix)

    def connect(
        self,
        page: gr.Blocks,
        store: JobStore,
        settings: Settings,
        panel: ClipPanel,
        read: Read,
        inputs: Sequence[Component],
        *,
        words: Callable[[ClipPlan], str],
        changes: Sequence[Any],
        parameter: str,
        forgets: Sequence[str],
        concurrency_limit: int,
    ) -> Component:
        """Let the work that ``read`` makes of ``inputs`` be done, and ``panel`` show it; the first input is the upload.

        ``words`` says, as HTML, what is foreseen by a plan; the events ``changes`` are when that may have changed.
        ``parameter`` and ``forgets`` are as for ``attach``, and so is what is returned.
        """
        inputs = list(inputs)

        def foresee(file: Mapping[str, Any] | None, *values: Any) -> gr.HTML:
            try:
                html = "" if file is None else words(plan_work(read(file, *values), store.root))
            except RestoreError:  # which is said below the upload, or when the work is asked for
                html = ""
            return gr.HTML(value=html, visible=bool(html))

        def begin(*values: Any) -> tuple[Function, str]:
            """Refuse at once what can be refused, not after a wait for others."""
            work = read(*values)
            plan_work(work, store.root)
            return lasting(work, "clip"), work.name

        gr.on(
            list(changes),
            foresee,
            inputs,
            self._foreseen,
            preprocess=False,
            concurrency_limit=PREVIEWS_AT_ONCE,
            **QUIET,
        )
        return attach(
            page,
            store,
            panel,
            self._run,
            self._stop,
            begin,
            inputs,
            parameter=parameter,
            concurrency_limit=concurrency_limit,
            forgets=forgets,
            remembered=True,
            going_on=panel.so_far.going_on(store, settings),
        )
