"""Faces on the page: how they are restored, and which ones are found, before anything is done to them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import PIL.Image
import torch
from gradio.blocks import Block
from gradio.components import Component

from restore.errors import WeightsError
from restore.faces.find import drawn, find_faces
from restore.inference.engine import Engine
from restore.jobs import Function, Job, JobStore
from restore.progress import Progress
from restore.settings import Settings
from restore.stages import Faces
from restore.ui import markup
from restore.ui.attach import Update, attach
from restore.ui.face_options import FaceOptions
from restore.ui.preview import fit
from restore.ui.run_buttons import run_and_stop
from restore.ui.texts import both, label
from restore.ui.viewer import file_url

SHOWN_SIDE = 1280
"""Longest side of the picture with the faces marked."""

MARKED = "faces.jpg"

FOUND_STYLES = """
.restore-found img {
  display: block; max-width: 100%; max-height: 480px; margin: 0 auto; border-radius: var(--radius-md);
}
"""

Look = Callable[..., tuple[Callable[[], PIL.Image.Image], str]]
"""Given the raw values of what it asks for: how to get the picture to look at, and what it is called."""


def mark_faces(
    load: Callable[[], PIL.Image.Image], faces: Faces, settings: Settings, progress: Progress, folder: Path
) -> dict[str, Any]:
    """The work of a job: find the faces and write the picture with their marks.

    It runs on the CPU, which takes a second or two: a graphics card may be lent for more than that only.
    """
    picture = load().convert("RGB")
    progress.check()
    pixels = torch.from_numpy(np.asarray(picture).copy()).permute(2, 0, 1).float().div_(255)
    found = find_faces(pixels, faces, Engine.start(replace(settings, device="cpu"), progress))
    if found.problem is not None:
        raise WeightsError(found.problem)
    PIL.Image.fromarray(drawn(np.asarray(fit(picture, SHOWN_SIDE)), found)).save(folder / MARKED, quality=90)
    taken = sum(face.taken for face in found.faces)
    return {"found": {"faces": len(found.faces), "taken": taken, "picture": MARKED}}


class FacePanel:
    """The components, made where it is called for; a ``JobPanel`` for the faces that are found.

    The names of the elements begin with ``prefix``; ``moving`` says that it is for clips.
    """

    def __init__(self, settings: Settings, prefix: str = "", *, moving: bool = False) -> None:
        self._settings, self._parameter = settings, f"{prefix}faces"
        self.status_id = f"{prefix}find-status"
        with gr.Accordion(label("faces"), open=False, elem_id=f"{prefix}faces") as self._accordion:
            self.options = FaceOptions(settings, prefix, moving=moving)
            self._run, self._stop = run_and_stop(
                label("find_faces_in_frame") if moving else label("find_faces"),
                f"{prefix}find-",
                primary=False,
                min_width=160,
            )
            self._status = gr.HTML(visible=False, elem_id=self.status_id)
            self._found = gr.HTML(
                visible=False, css_template=FOUND_STYLES, apply_default_css=False, elem_id=f"{prefix}found"
            )

    @property
    def components(self) -> list[Block]:
        return [self._accordion, self._status, self._found]

    @property
    def of_upload(self) -> list[Component]:
        """What ``forget`` changes."""
        return [self._status, self._found]

    def forget(self) -> Update:
        """Show nothing of another picture any more."""
        return {self._status: gr.HTML(visible=False), self._found: gr.HTML(value="", visible=False)}

    def standing(self, html: str) -> Update:
        # Opened, because the page may come to a job that was begun before it was loaded.
        return {self._accordion: gr.Accordion(open=True), self._status: gr.HTML(value=html, visible=True)}

    def empty(self, html: str) -> Update:
        return {**self.standing(html), self._found: gr.HTML(value="", visible=False)}

    def failed(self, error: gr.Error) -> Update:
        return self.empty(markup.failure(error))

    def filled(self, job: Job) -> Update:
        found = job.result()["found"]
        words = both("faces_found", faces=found["faces"], taken=found["taken"])
        address = file_url(job.folder / found["picture"])
        picture = f'<div class="restore-found"><img alt="" src="{address}"></div>'
        return {
            **self.standing(markup.status(words, kind="good")),
            self._found: gr.HTML(value=picture, visible=True),
        }

    def connect(
        self, page: gr.Blocks, store: JobStore, look: Look, inputs: list[Component], concurrency_limit: int
    ) -> None:
        """Let faces be found in what ``look`` makes of ``inputs``; after all parts are made."""
        count = len(inputs)

        def begin(*values: Any) -> tuple[Function, str]:
            load, title = look(*values[:count])
            _, *chosen = values[count:]
            faces = self.options.read(True, *chosen)
            assert faces is not None
            return partial(mark_faces, load, faces, self._settings), f"Faces in {title}"

        self.options.connect(page)
        attach(
            page,
            store,
            self,
            self._run,
            self._stop,
            begin,
            [*inputs, *self.options.inputs],
            parameter=self._parameter,
            concurrency_limit=concurrency_limit,
        )
