"""Between a tab and the jobs: begin one, watch it to its end, stop it, and find it again by the page's address.

The page only watches. A tab that is closed, or a connection that breaks, does nothing to a job; its id stands in the
address of the page, so that a reload, a bookmark or another device shows how it stands, or its result.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import gradio as gr
from gradio.blocks import Block
from gradio.components import Component

from restore.errors import Cancelled
from restore.jobs import Function, Job, JobStore, State
from restore.ui import markup
from restore.ui.errors import to_gradio_error
from restore.ui.texts import both

POLL_SECONDS = 0.25

# Of every event: private, and without Gradio's own veil over what it changes.
QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}

Update = dict[Block, Any]
"""Components and what becomes of them, as an event of Gradio returns it."""

Begin = Callable[..., tuple[Function, str]]
"""Given the raw values of its inputs, the work of a job and its title; raises ``RestoreError`` for what is refused."""


class JobPanel(Protocol):
    """What shows one job: how it stands, then its result or what went wrong."""

    status_id: str
    """Which element says how things stand."""

    @property
    def components(self) -> list[Block]:
        """Everything that the other methods may change."""

    def standing(self, html: str) -> Update:
        """Say how things stand, and leave the rest as it is."""

    def empty(self, html: str) -> Update:
        """Say how things stand, with no result."""

    def filled(self, job: Job) -> Update:
        """Show the result of a job that finished."""

    def failed(self, error: gr.Error) -> Update:
        """Say what went wrong, with no result."""


@dataclass(frozen=True)
class GoingOn:
    """What lets work go on that is paused: the ``button`` for it, which ``resume`` answers with the job of that id, and
    what else ``paused`` shows of such a job.
    """

    button: gr.Button
    resume: Callable[[str], Job]
    paused: Callable[[Job], Update]


def attach(
    page: gr.Blocks,
    store: JobStore,
    panel: JobPanel,
    run: gr.Button,
    stop: gr.Button,
    begin: Begin,
    inputs: list[Component],
    *,
    parameter: str,
    concurrency_limit: int,
    forgets: Sequence[str] = (),
    remembered: bool = False,
    live: Callable[[Job], Update] | None = None,
    going_on: GoingOn | None = None,
) -> Component:
    """Let ``run`` begin a job of what ``begin`` makes of ``inputs``, ``panel`` show it, and ``stop`` stop it.

    The id of the job is the ``parameter`` of the page's address. ``begin`` is called at once and in a thread, before
    anything waits; ``concurrency_limit`` is how many jobs may be watched at the same time. ``forgets`` are parameters
    of jobs that belong to the one before. The browser keeps the ids of jobs that are ``remembered``, for the list of
    its own. ``live`` says what else there is to be seen of a job while it runs, and ``going_on`` lets one go on that is
    paused. Returns what holds the id.
    """
    # In the browser, so that a page knows its own job only; whoever has the id has the job.
    identity = gr.Textbox(visible="hidden", elem_id=f"{parameter}-id")
    # On the server, because a page that is just unfolding its panels loses what is put into one of them meanwhile.
    begun_now = gr.State("")
    outputs = [*panel.components, run, stop]

    def buttons(*, can_run: bool = False, can_stop: bool = False) -> Update:
        return {run: gr.Button(interactive=can_run), stop: gr.Button(interactive=can_stop)}

    async def begin_job(*values: Any) -> AsyncIterator[Update]:
        try:
            work, title = await asyncio.to_thread(begin, *values)
            job = await asyncio.to_thread(store.begin, work, title=title)
        except Exception as error:
            failure = to_gradio_error(error)
            # In the panel as well: the result of the run before would seem to be that of this one.
            yield panel.failed(failure)
            raise failure from None
        yield {identity: job.id, begun_now: job.id, **panel.empty(_standing(job)), **buttons(can_stop=True)}

    async def watch_begun(id: str) -> AsyncIterator[Update]:
        yield {identity: id}
        async for update in watch_job(id):
            yield update

    async def watch_job(id: str) -> AsyncIterator[Update]:
        try:
            job = await asyncio.to_thread(store.find, id)
            with job.watched():
                while not job.ended:
                    seen = {} if live is None else live(job)
                    yield {**panel.standing(_standing(job)), **seen, **buttons(can_stop=not job.stopping)}
                    await asyncio.sleep(POLL_SECONDS)
            end = panel.filled(job) if job.snapshot().state is not State.PAUSED else await paused(job)
        except Cancelled:
            end = panel.empty(markup.status(both("state.stopped")))
        except Exception as error:
            failure = to_gradio_error(error)
            yield {**panel.failed(failure), **buttons(can_run=True)}
            raise failure from None
        yield {**end, **buttons(can_run=True)}

    async def paused(job: Job) -> Update:
        why = job.snapshot().error or ""
        if going_on is None:
            return panel.empty(markup.paused(both("state.paused"), why))
        end = panel.empty(markup.paused(both("state.resumable"), why))
        return {**end, **await asyncio.to_thread(going_on.paused, job)}

    async def resume_job(id: str) -> AsyncIterator[Update]:
        assert going_on is not None
        try:
            job = await asyncio.to_thread(going_on.resume, id)
        except Exception as error:
            raise to_gradio_error(error) from None
        yield {identity: job.id, **panel.empty(_standing(job)), **buttons(can_stop=True)}

    def stop_job(id: str) -> Update:
        store.find(id).stop()  # whoever watches it shows what comes of it
        return {stop: gr.Button(interactive=False)}

    watching: dict[str, Any] = {"concurrency_id": "engine", "concurrency_limit": concurrency_limit, **QUIET}
    # Queued, because Gradio shows no error of an event that is not; without limit, because nobody should wait for it.
    # preprocess=False hands over an uploaded file as it came, checked to be an upload: otherwise ``gr.File`` leaves an
    # empty temporary file behind at every event and judges the picture by its suffix.
    begun = run.click(
        begin_job, inputs, [identity, begun_now, *outputs], preprocess=False, concurrency_limit=None, **QUIET
    )
    begun.success(
        None, identity, None, js=_show_job(parameter, forgets, panel.status_id, remembered=remembered), **QUIET
    )
    begun.success(watch_begun, begun_now, [identity, *outputs], **watching)
    if going_on is not None:
        resumed = going_on.button.click(
            resume_job, identity, [identity, *outputs], preprocess=False, concurrency_limit=None, **QUIET
        )
        resumed.success(watch_job, identity, [identity, *outputs], **watching)
    stop.click(stop_job, identity, stop, queue=False, **QUIET)
    read = page.load(None, None, identity, js=_READ_ADDRESS.replace("PARAMETER", parameter), **QUIET)
    read.success(watch_job, identity, [identity, *outputs], **watching)
    return identity


def _standing(job: Job) -> str:
    if job.stopping:
        return markup.status(both("state.stopping"))
    snapshot = job.snapshot()
    if snapshot.state is State.WAITING:
        return markup.waiting(snapshot.ahead)
    if not snapshot.stages:
        return markup.status(both("state.starting"))
    return markup.progress(snapshot.stages, snapshot.seconds)


def _show_job(parameter: str, forgets: Sequence[str], status_id: str, *, remembered: bool) -> str:
    remember = f'window.restoreJobs?.add("{parameter}", id);' if remembered else ""
    return f"""(id) => {{
      if (!id) return;
      {remember}
      const url = new URL(location.href);
      url.searchParams.set("{parameter}", id);
      for (const name of {json.dumps(list(forgets))}) url.searchParams.delete(name);
      history.replaceState(history.state, "", url);
      document.getElementById("{status_id}").scrollIntoView({{ block: "nearest" }}); // on a phone it is far below
    }}"""


# An error keeps what follows from being asked of the server, which for all panels of a page together takes seconds.
_READ_ADDRESS = """() => {
  const id = new URLSearchParams(location.search).get("PARAMETER");
  if (!id) throw new Error("The address has no job of this panel.");
  return id;
}"""
