"""The public endpoints: what scripts call over HTTP and through gradio_client.

Their names, parameters, defaults and results are a contract; ``tests/snapshots`` holds it. Every picture is a job as on
the page, so that a script which lost its connection, or which has no time to wait, can ask for the result later.
"""

# No ``from __future__ import annotations`` here: Gradio derives the schema of an endpoint from the types themselves.

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import asdict, fields
from functools import partial
from pathlib import Path
from typing import Any, Literal

import gradio as gr
from gradio.data_classes import FileData
from gradio.events import api

import restore
from restore.errors import InputError, SettingsError
from restore.executors import Executor
from restore.inventory import device_facts, model_facts
from restore.jobs import Job, JobStore, Snapshot, State
from restore.media.images import probe_image
from restore.progress import Progress
from restore.settings import Settings
from restore.stages import Stage, Upscale, parse_steps
from restore.ui.errors import to_api_error
from restore.ui.gate import cancellable
from restore.ui.uploads import result_name, uploaded

POLL_SECONDS = 0.2

Material = Literal["photo", "scan", "illustration", "faithful"]
Format = Literal["same", "png", "jpeg", "webp", "tiff", "avif"]
Result = tuple[FileData, dict[str, Any]]

DETACHED = "The connection to this job was ended; the job itself runs on. Ask /job_result for {id}."


def register(store: JobStore, executor: Executor, settings: Settings, concurrency_limit: int) -> None:
    """Add the public endpoints to the ``gr.Blocks`` that is being built.

    ``concurrency_limit`` is how many clients may wait for their jobs at once, those of the page included.
    """

    async def restore_image(
        image: FileData,
        model: str = "auto",
        scale: float = 4.0,
        target: str | None = None,
        denoise: float = 0.5,
        strength: float = 1.0,
        material: Material = "photo",
        format: Format = "same",
        steps: list[dict[str, Any]] | dict[str, Any] | None = None,
    ) -> AsyncIterator[tuple[FileData | None, dict[str, Any]]]:
        """Restore and enlarge one picture. The answer is the file of the result and a report.

        The scale is 1 to 8, or give a target such as "4k" or "3840x2160" in its place. Denoise and strength are 0 to 1.
        In place of all that, steps takes a whole chain of stages, or a recipe. A null stands for no target, no steps.

        Before that comes once, at the beginning, no file and the id of the job: {"job": "..."}. With the id, /job
        tells how the job stands, /job_result gives its result again while it is kept, and /stop_job stops it.

        Parameters:
            image: an uploaded picture (PNG, JPEG, WebP, TIFF, BMP, AVIF, HEIC or GIF)
            model: the name of a model, as /models lists them; "auto" takes the best one at hand for the material
            scale: how many times larger the result is, from 1 (the same size, only cleaned) to 8
            target: in place of the scale a size to fit into, such as "3840x2160", "1080p" or "4k"
            denoise: from 0 (keep the grain) to 1 (remove it), for models that come in a strong and a weak version
            strength: from 0 (only enlarge) to 1 (the model alone)
            material: what "auto" chooses for; with "faithful" a model that invents nothing
            format: what the result is saved as; "same" keeps the format of the picture, or takes PNG for HEIC and GIF
            steps: a whole chain of stages, or a recipe, in place of all the settings but the format

        Returns:
            The picture in full quality.
            What was done: settings, models with their licences, device, seconds, what was kept and dropped, warnings.
        """
        try:
            own = {
                "model": model,
                "scale": scale,
                "target": target,
                "denoise": denoise,
                "strength": strength,
                "material": material,
            }
            chain = _chain(own, steps)
            source = uploaded(image)
            info = await asyncio.to_thread(probe_image, source, settings)
            name = result_name(source, info.format, format)
            work = partial(_restore, source, name, chain, settings, executor)
            job = await asyncio.to_thread(store.begin, work, title=name)
            with cancellable(job.stop):
                yield None, {"job": job.id}
                ahead = job.snapshot().ahead
                try:
                    while not job.ended:
                        _show(job.snapshot(), ahead)
                        await asyncio.sleep(POLL_SECONDS)
                except asyncio.CancelledError:
                    # Gradio ends every run of a client together where it is asked to cancel one that it still queues.
                    raise gr.Error(DETACHED.format(id=job.id), print_exception=False) from None
            yield _result(job)
        except Exception as error:
            raise to_api_error(error) from None

    def models() -> dict[str, Any]:
        """List the models, which of them are on the server, and the device that the work runs on.

        Returns:
            {"device": {"name", "kind", "precision", "memory_bytes"}, "models": [{"name", "state", "licence", ...}]}
        """
        try:
            return {
                "device": asdict(device_facts(settings)),
                "models": [asdict(facts) for facts in model_facts(settings)],
            }
        except Exception as error:
            raise to_api_error(error) from None

    def job(id: str) -> dict[str, Any]:
        """Tell how a job stands.

        Parameters:
            id: what /restore_image gave as "job"

        Returns:
            {"job", "state", "ahead", "seconds", "progress", "error"}; ahead counts the jobs that come before this one
        """
        try:
            return _state(store.find(id))
        except Exception as error:
            raise to_api_error(error) from None

    def job_result(id: str) -> Result:
        """Give the result of a finished job again, while it is kept.

        Parameters:
            id: what /restore_image gave as "job"

        Returns:
            The picture in full quality.
            The report, as /restore_image gave it.
        """
        try:
            found = store.find(id)
            if not found.ended:
                raise InputError("This job has not finished yet: ask /job how it stands.")
            return _result(found)
        except Exception as error:
            raise to_api_error(error) from None

    def stop_job(id: str) -> dict[str, Any]:
        """Stop a job, whether it runs or waits; a job that has ended already stays as it is.

        Parameters:
            id: what /restore_image gave as "job"

        Returns:
            How the job stands, as /job tells it; a running one ends within a second or two.
        """
        try:
            found = store.find(id)
            if not found.ended:
                found.stop()
            return _state(found)
        except Exception as error:
            raise to_api_error(error) from None

    _give_result_type(restore_image, Result)
    api(restore_image, concurrency_id="engine", concurrency_limit=concurrency_limit)
    for light in (models, job, job_result, stop_job):
        api(light, concurrency_limit=None)


def _give_result_type(function: Callable[..., Any], result: Any) -> None:
    """Tell Gradio what comes in the end out of a function that also yields before: it looks at the signature."""
    signature = inspect.signature(function).replace(return_annotation=result)
    function.__signature__ = signature  # type: ignore[attr-defined]  # which inspect.signature prefers


def _chain(own: Mapping[str, Any], steps: object) -> tuple[Stage, ...]:
    """The stages that a caller asked for, in one way or the other; raises ``SettingsError``."""
    if steps is None:
        return (Upscale(**own),)
    defaults = {field.name: field.default for field in fields(Upscale)}
    if mixed := [name for name, value in own.items() if value != defaults[name]]:
        raise SettingsError(f"Give either steps or {', '.join(mixed)}: in a chain, every step has settings of its own.")
    return parse_steps(steps)  # type: ignore[arg-type]  # anything may come; it says itself what is wrong


def _restore(
    source: Path,
    name: str,
    chain: tuple[Stage, ...],
    settings: Settings,
    executor: Executor,
    progress: Progress,
    folder: Path,
) -> dict[str, Any]:
    """The work of a job; what it gives are values for JSON, with the file by its name in the job's folder."""
    report = restore.restore_image(
        source, folder / name, chain, progress, settings=settings, run_chain=executor.run_chain
    )
    return {"file": name, "report": report.to_dict()}


def _result(job: Job) -> Result:
    """File and report of a job that has ended; raises an error with the sentence on what ended it."""
    error = job.snapshot().error
    if error is not None:  # logged already where it happened, if nobody foresaw it
        raise gr.Error(error, print_exception=False)
    result = job.result()
    name = result.get("file")
    if not isinstance(name, str):
        raise InputError("The result of this job is not one picture: it can be seen on the page only.")
    path = job.folder / name
    if not path.is_file():
        raise InputError("The result of this job is not kept any more: restore the picture again.")
    # Below the folder of the uploads, so Gradio serves the file where it is and makes no copy.
    file = FileData(path=str(path), orig_name=path.name, size=path.stat().st_size)
    return file, {**result["report"], "job": job.id}


def _state(job: Job) -> dict[str, Any]:
    """A job as JSON."""
    snapshot = job.snapshot()
    return {
        "job": snapshot.id,
        "state": str(snapshot.state),
        "ahead": snapshot.ahead,
        "seconds": snapshot.seconds,
        "progress": [{**asdict(each.position), "seconds_left": each.seconds_left} for each in snapshot.stages],
        "error": snapshot.error,
    }


def _show(snapshot: Snapshot, ahead: int) -> None:
    """Send the position to the client, which finds it in ``job.status().progress_data``.

    A job that waits has one unit, the jobs that were before it when it came; one that runs has its stage and, within
    that, tiles or bytes.
    """
    tracker = gr.Progress()
    if snapshot.state is State.WAITING:
        tracker((ahead - snapshot.ahead, ahead), desc="waiting", unit="jobs")
    elif snapshot.stages:
        position = snapshot.stages[-1].position
        tracker.tqdm(None, desc=position.stage, total=position.stages, unit="stages")
        tracker.update(position.index)
        tracker((position.done, position.total), desc=position.stage, unit=position.unit)  # type: ignore[arg-type]
