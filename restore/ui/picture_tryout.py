"""All models on one crop of a picture."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.components import Component

from restore.executors import Executor
from restore.jobs import Function, JobStore
from restore.media.images import probe_image
from restore.models import BUILT_IN, for_pictures
from restore.progress import Progress
from restore.settings import Settings
from restore.stages import Upscale
from restore.tryout import try_models
from restore.ui.options import Chosen, UpscaleOptions
from restore.ui.texts import both
from restore.ui.tryout_panel import TryoutPanel, into
from restore.ui.uploads import given_upload


def model_names() -> list[str]:
    """The models to try, the built-in one first."""
    return sorted(for_pictures(Upscale.stage), key=lambda name: name != BUILT_IN)


def try_upload(
    source: Path,
    centre: tuple[float, float],
    chosen: Chosen,
    download: bool,
    executor: Executor,
    progress: Progress,
    folder: Path,
) -> dict[str, Any]:
    """The work of a job: run every model over a crop of ``source``."""
    tryout = try_models(
        source,
        folder,
        centre,
        model_names(),
        chosen.stage.to_dict(),
        progress,
        download=download,
        settings=chosen.settings,
        run_chain=executor.run_chain,
    )
    return {"tryout": tryout.to_dict()}


class PictureTryout(TryoutPanel):
    """The components, made where it is called for."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, model_names())

    def connect_picture(
        self,
        page: gr.Blocks,
        store: JobStore,
        executor: Executor,
        upload: Component,
        options: UpscaleOptions,
        concurrency_limit: int,
    ) -> None:
        """Let the crop of ``upload`` be chosen and tried, and a model be taken over into ``options``."""

        def work(
            centre: tuple[float, float], download: bool, file: Mapping[str, Any] | None, *values: Any
        ) -> tuple[Function, str]:
            source = given_upload(file, both("no_picture"))
            probe_image(source, self.settings)
            chosen = options.read(*values)
            job = partial(try_upload, source, centre, chosen, download, executor)
            return job, f"All models on a crop of {source.name}"

        used: list[Component] = [options.model, options.preset]
        self.connect(page, store, work, [upload, *options.inputs], into(options), used, concurrency_limit)
