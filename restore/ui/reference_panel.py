"""A picture for each shot that says what its colours are to be: coloured by the model, accepted, replaced or drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.blocks import Block
from gradio.components import Component
from gradio.i18n import I18nData

from restore.clip_plan import ClipPlan
from restore.colour.references import Reference
from restore.errors import InputError, SettingsError
from restore.executors import Executor
from restore.jobs import Function, Job, JobStore
from restore.settings import Settings
from restore.stages import Colorize
from restore.ui import markup
from restore.ui.attach import QUIET, Update, attach
from restore.ui.errors import to_gradio_error
from restore.ui.image_tab import SUFFIXES
from restore.ui.run_buttons import run_and_stop
from restore.ui.shot_frames import colour_shots, look_at_shots
from restore.ui.shot_references import ShotReferences
from restore.ui.texts import both, label
from restore.ui.uploads import is_upload, name_among_uploads, uploaded
from restore.ui.viewer import PAGE_WORDS, Cell, grid_value, try_grid

ALL = "all"
"""What stands for all shots among the choices."""

Plan = Callable[..., tuple[ClipPlan, Settings]]
"""Given the raw values of what the tab asks for, what is to be done with the clip; its one stage is ``Colorize``."""


class ReferencePanel:
    """The components, made where it is called for; a ``JobPanel`` for the shots that are found.

    The names of the elements begin with ``prefix``, and so do the parameters of the page's address.
    """

    def __init__(self, prefix: str, settings: Settings) -> None:
        self._settings = settings
        self.parameters = (f"{prefix}shots", f"{prefix}proposals")
        self.status_id = f"{prefix}shots-status"
        with gr.Accordion(label("references"), open=False, elem_id=f"{prefix}references") as self._accordion:
            gr.HTML(markup.note(both("references_info")))
            self._run, self._stop = run_and_stop(label("show_shots"), f"{prefix}shots-", primary=False, min_width=160)
            self._status = gr.HTML(visible=False, elem_id=self.status_id)
            words = replace(PAGE_WORDS, use_model=both("choose_shot"))
            self._grid = try_grid(f"{prefix}shots-grid", words)
            with gr.Column(visible=False, elem_id=f"{prefix}shot-tools") as self._tools:
                self._shot = gr.Dropdown(
                    [(label("all_shots"), ALL)], value=ALL, label=label("shot"), elem_id=f"{prefix}shot"
                )
                self._colour, self._stop_colour = run_and_stop(
                    label("colour_shot"), f"{prefix}proposals-", min_width=160
                )
                self.proposals = _Proposals(self, f"{prefix}proposals-status")
                with gr.Row():
                    self._accept = gr.Button(label("accept_shot"), min_width=160, elem_id=f"{prefix}shot-accept")
                    self._drop = gr.Button(label("drop_shot"), min_width=160, elem_id=f"{prefix}shot-drop")
                self._save = gr.DownloadButton(
                    str(label("save_shot")), visible=False, min_width=160, elem_id=f"{prefix}shot-save"
                )
                self._own = gr.File(
                    label=label("own_shot"),
                    file_types=["image", *SUFFIXES],
                    height=120,
                    visible=False,
                    elem_id=f"{prefix}shot-own",
                    elem_classes="restore-upload",
                )

    @property
    def components(self) -> list[Block]:
        return [self._accordion, self._status, *self._of_shots]

    @property
    def _of_shots(self) -> list[Block]:
        """What shows the shots and what was chosen for them."""
        return [self._grid, self._tools, self._shot, self._save, self._own]

    def standing(self, html: str) -> Update:
        # Opened, because the page may come to a job that was begun before it was loaded.
        return {self._accordion: gr.Accordion(open=True), self._status: gr.HTML(value=html, visible=True)}

    def empty(self, html: str) -> Update:
        return {**self.standing(html), **self._no_shots()}

    def failed(self, error: gr.Error) -> Update:
        return self.empty(markup.failure(error))

    def filled(self, job: Job) -> Update:
        shots = ShotReferences(job)
        left_out = int(shots.found["left_out"])
        words = markup.status(both("shots_found", shots=len(shots.shots)), kind="good")
        if left_out:
            words += markup.note(both("shots_left_out", shots=left_out))
        return {**self.standing(words), **self.shown(shots, ALL)}

    def _no_shots(self) -> Update:
        return {
            self._grid: gr.HTML(value=None),
            self._tools: gr.Column(visible=False),
            self._shot: gr.Dropdown([(label("all_shots"), ALL)], value=ALL),
            self._save: gr.DownloadButton(value=None, visible=False),
            self._own: gr.File(value=None, visible=False),
        }

    def shown(self, shots: ShotReferences, chosen: str) -> Update:
        """The shots with what was chosen for each, and the tools for the one that is ``chosen``, or for all."""
        choices: list[tuple[str | I18nData, str]] = [(label("all_shots"), ALL)]
        choices += [
            (f"{number + 1} · {shot['start']} – {shot['end']}", str(number)) for number, shot in enumerate(shots.shots)
        ]
        cells = [_cell(shots, number) for number in range(len(shots.shots))]
        found = shots.found
        single = chosen != ALL
        return {
            self._grid: gr.HTML(
                value=grid_value(cells, found["width"], found["height"], selected=chosen if single else None)
            ),
            self._tools: gr.Column(visible=True),
            self._shot: gr.Dropdown(choices, value=chosen),
            self._save: gr.DownloadButton(value=shots.picture(int(chosen)) if single else None, visible=single),
            self._own: gr.File(value=None, visible=single),
        }

    def read(self, store: JobStore, id: Any, source: Path, seconds: Fraction | None = None) -> tuple[Reference, ...]:
        """The references that were chosen, for the shots that the job ``id`` found in the upload ``source``.

        With ``seconds``, from the beginning of the clip, only that of the shot which is shown then.
        """
        if not id:
            return ()
        shots = ShotReferences(store.find(id))
        if shots.found["source"] != name_among_uploads(source):
            return ()
        return shots.references() if seconds is None else shots.reference_at(seconds)

    def connect(
        self,
        page: gr.Blocks,
        store: JobStore,
        executor: Executor,
        plan: Plan,
        upload: Component,
        inputs: list[Component],
        concurrency_limit: int,
    ) -> Component:
        """Let the shots of the clip in ``upload`` be shown, of what ``plan`` makes of ``inputs``, and be coloured.

        Returns what holds the id of the job that found them, for ``read``.
        """

        def find(*values: Any) -> tuple[Function, str]:
            clip, settings = plan(*values)
            return partial(look_at_shots, clip, settings), f"Shots of {clip.source.name}"

        identity = attach(
            page,
            store,
            self,
            self._run,
            self._stop,
            find,
            inputs,
            parameter=self.parameters[0],
            concurrency_limit=concurrency_limit,
            forgets=[self.parameters[1]],
        )

        def colour(id: Any, chosen: Any, *values: Any) -> tuple[Function, str]:
            clip, settings = plan(*values)
            shots = _shots_of(store, id)
            (stage,) = clip.stages
            assert isinstance(stage, Colorize)
            numbers = _numbers(shots, chosen)
            return partial(colour_shots, shots, numbers, stage, executor, settings), f"Shots of {clip.source.name}"

        self.proposals.store = store
        attach(
            page,
            store,
            self.proposals,
            self._colour,
            self._stop_colour,
            colour,
            [identity, self._shot, *inputs],
            parameter=self.parameters[1],
            concurrency_limit=concurrency_limit,
        )

        def choose(id: Any, chosen: Any) -> Update:
            return self.shown(_shots_of(store, id), chosen)

        def choose_cell(id: Any, event: gr.SelectData) -> Update:
            return self.shown(_shots_of(store, id), str(event.value))

        def accept(id: Any, chosen: Any) -> Update:
            shots = _shots_of(store, id)
            numbers = _numbers(shots, chosen)
            coloured = [number for number in numbers if shots.choice(number).coloured is not None]
            for number in numbers if chosen != ALL or not coloured else coloured:
                shots.accept(number)
            return self.shown(shots, chosen)

        def drop(id: Any, chosen: Any) -> Update:
            shots = _shots_of(store, id)
            for number in _numbers(shots, chosen):
                shots.drop(number)
            return self.shown(shots, chosen)

        def give(id: Any, chosen: Any, file: Any) -> Update:
            shots = _shots_of(store, id)
            (number,) = _numbers(shots, chosen)
            shots.give(number, uploaded(file), self._settings)
            return self.shown(shots, chosen)

        asked, shown = [identity, self._shot], self._of_shots
        events: dict[str, Any] = {"preprocess": False, "concurrency_limit": concurrency_limit, **QUIET}
        self._shot.input(_in_words(choose), asked, shown, **events)
        self._grid.select(choose_cell, [identity], shown, concurrency_limit=concurrency_limit, **QUIET)
        self._accept.click(_in_words(accept), asked, shown, **events)
        self._drop.click(_in_words(drop), asked, shown, **events)
        self._own.upload(_in_words(give), [*asked, self._own], shown, **events)

        def follow(file: Any, id: Any) -> Update:
            """Forget the shots of another clip; those of the same one stay, as after the page was loaded again."""
            if not id:  # nothing is shown, and shots that are asked for before this is answered stay
                return {identity: gr.skip()}
            path = file.get("path") if isinstance(file, Mapping) else None
            if isinstance(path, str) and is_upload(path):
                job = store.find(id)
                if job.ended and ShotReferences(job).found["source"] == name_among_uploads(Path(path)):
                    return {identity: id}
            return {identity: "", self._status: gr.HTML(value="", visible=False), **self._no_shots()}

        upload.change(_in_words(follow), [upload, identity], [identity, self._status, *shown], **events)  # type: ignore[attr-defined]
        return identity


class _Proposals:
    """A ``JobPanel`` for the job that colours shots: it shows in the grid what has become of them."""

    def __init__(self, panel: ReferencePanel, status_id: str) -> None:
        self._panel, self.status_id = panel, status_id
        self._status = gr.HTML(visible=False, elem_id=status_id)
        self.store: JobStore | None = None

    @property
    def components(self) -> list[Block]:
        return [self._status, *self._panel._of_shots]

    def standing(self, html: str) -> Update:
        return {self._status: gr.HTML(value=html, visible=True)}

    def empty(self, html: str) -> Update:
        return self.standing(html)

    def failed(self, error: gr.Error) -> Update:
        return self.standing(markup.failure(error))

    def filled(self, job: Job) -> Update:
        assert self.store is not None, "a panel is connected before anything is shown in it"
        values = job.result()
        words = markup.status(both("shots_coloured", shots=len(values["coloured"])), kind="good")
        words += "".join(markup.note(markup.english(warning)) for warning in values["warnings"])
        coloured = values["coloured"]
        chosen = str(coloured[0]) if len(coloured) == 1 else ALL
        shots = ShotReferences(self.store.find(values["shots_of"]))
        return {**self.standing(words), **self._panel.shown(shots, chosen)}


def _cell(shots: ShotReferences, number: int) -> Cell:
    shot, choice = shots.shots[number], shots.choice(number)
    if choice.used == "own":
        state = both("shot_own")
    elif choice.used == "coloured":
        state = both("shot_accepted")
    else:
        state = both("shot_without") if choice.coloured is None else both("shot_coloured")
    title = both("shot_title", number=number + 1, start=shot["start"], end=shot["end"])
    return Cell(str(number), title, shots.seen(number), badges=(state,))


def _shots_of(store: JobStore, id: Any) -> ShotReferences:
    if not id:
        raise InputError("The shots of this clip have not been looked for yet: show them first.")
    return ShotReferences(store.find(id))


def _numbers(shots: ShotReferences, chosen: Any) -> list[int]:
    """The shots that a raw value of the choice stands for; raises ``SettingsError``."""
    if chosen == ALL:
        return list(range(len(shots.shots)))
    if not isinstance(chosen, str) or not chosen.isdecimal() or int(chosen) >= len(shots.shots):
        raise SettingsError(f"There is no shot {chosen!r}: choose one of those that are shown.")
    return [int(chosen)]


def _in_words(event: Callable[..., Update]) -> Callable[..., Update]:
    """``event`` with its errors as the page says them."""

    def safe(*values: Any) -> Update:
        try:
            return event(*values)
        except Exception as error:
            raise to_gradio_error(error) from None

    return safe
