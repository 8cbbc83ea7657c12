"""Executors: whose context a job runs in, and what a chain goes through on its way to a GPU that is lent."""

from __future__ import annotations

import contextvars
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import gradio as gr
import numpy as np
import pytest
import spaces  # noqa: F401  # before SPACES_ZERO_GPU is set below: it looks at it when it is imported
import torch
from PIL import Image

import restore
from restore import gpu_call
from restore.cost import LARGEST_GPU_SECONDS, gpu_seconds
from restore.errors import BusyError, Cancelled, InputError, LimitError, ResourceError, RestoreError
from restore.executors import Executor, LocalExecutor, ZeroGpuExecutor, choose_executor
from restore.frame import Frame
from restore.inference.engine import Engine
from restore.jobs import JobStore
from restore.media.images import read_image
from restore.report import ModelUse
from restore.stages import Work
from tests.zerogpu import WORKER_ERROR, forking_gpu

SECONDS = 60.0  # far more than anything here takes
CPU = restore.Settings(device="cpu", precision="float32")
USE = ModelUse("test", "test.safetensors", "", "local", False, None, "Apache-2.0", True)


@pytest.fixture
def executor() -> Iterator[ZeroGpuExecutor]:
    executor = ZeroGpuExecutor(forking_gpu)
    yield executor
    executor.close(SECONDS)


@dataclass(frozen=True)
class Act:
    """A stage that does something to the frame where it runs; ``macs`` is what it says it costs."""

    stage: ClassVar[str] = "act"

    do: Callable[[Frame, Engine], Frame]
    macs: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        return {"stage": self.stage}

    def output_size(self, width: int, height: int) -> tuple[int, int]:
        return width, height

    def work(self, width: int, height: int) -> Work:
        return Work(self.macs, width * height)

    def open(self, engine: Engine) -> OpenAct:
        return OpenAct(self)


@dataclass(frozen=True)
class OpenAct:
    settings: Act
    models: tuple[ModelUse, ...] = (USE,)
    notes: tuple[str, ...] = ("noted",)
    precision: str = "float32"

    @property
    def plan(self) -> Mapping[str, Any]:
        return {"process": os.getpid()}

    def run(self, frames: Iterable[Frame], engine: Engine) -> Iterator[Frame]:
        for frame in frames:
            yield self.settings.do(frame, engine)


def keep(frame: Frame, engine: Engine) -> Frame:
    return frame


def warn(frame: Frame, engine: Engine) -> Frame:
    engine.warn("The picture is odd.")
    return frame


def run_out(frame: Frame, engine: Engine) -> Frame:
    raise RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")


def refuse(frame: Frame, engine: Engine) -> Frame:
    raise InputError("The picture is too odd.")


def break_down(frame: Frame, engine: Engine) -> Frame:
    raise KeyError("defect")


def die(frame: Frame, engine: Engine) -> Frame:
    os._exit(1)


def go_on(frame: Frame, engine: Engine) -> Frame:
    for done in range(int(SECONDS * 100)):
        engine.progress.advance(done, SECONDS * 100, "tiles")
        time.sleep(0.01)
    return frame


def a_frame() -> Frame:
    return Frame(torch.full((3, 4, 5), 0.5))


def engine() -> Engine:
    return Engine(CPU, restore.Progress(), torch.device("cpu"))


def picture(path: Path, mode: str) -> Path:
    y, x = np.mgrid[0:40, 0:60] / 20
    waves = np.stack([np.sin(x + y), np.cos(x - y), np.sin(x * 0.7 + 1)], axis=-1) * 0.35 + 0.5
    if mode == "16 bits":
        import tifffile

        tifffile.imwrite(path, np.round(waves * 65535).astype(np.uint16), photometric="rgb")
    else:
        Image.fromarray(np.round(waves * 255).astype(np.uint8)).convert(mode).save(path)
    return path


@pytest.mark.parametrize(("name", "mode", "step"), [("a.png", "RGB", 0), ("a.tif", "16 bits", 0), ("a.png", "L", 1)])
def test_a_picture_comes_back_from_the_other_process_as_from_this_one(
    executor: ZeroGpuExecutor, tmp_path: Path, name: str, mode: str, step: int
) -> None:
    source, here, there = picture(tmp_path / name, mode), tmp_path / f"here_{name}", tmp_path / f"there_{name}"
    steps = [restore.Upscale(model="built-in", scale=2), restore.Upscale(model="built-in", scale=1, strength=0.5)]
    seen: list[restore.Position] = []
    local = restore.restore_image(source, here, steps, settings=CPU)
    lent = restore.restore_image(
        source, there, steps, restore.Progress(seen.append), settings=CPU, run_chain=executor.run_chain
    )
    ours, theirs = read_image(here, CPU).pixels, read_image(there, CPU).pixels
    assert ours.dtype == theirs.dtype
    assert np.abs(ours.astype(int) - theirs.astype(int)).max() <= step
    assert [stage.models for stage in lent.stages] == [stage.models for stage in local.stages]
    assert seen[0] == restore.Position("gpu", 0, 2, 0, 1, "")
    last = seen[-1]
    assert (last.stage, last.index, last.stages, last.unit) == ("upscale", 1, 2, "tiles")
    assert last.done == last.total
    assert executor._run.asked == [gpu_seconds(steps, 60, 40, bits=16 if mode == "16 bits" else 8, precision="float32")]


def test_every_value_of_both_depths_survives_the_way_there_and_back() -> None:
    for bits, count in ((8, 256), (10, 65536), (16, 65536)):
        values = torch.arange(count).div(count - 1).reshape(1, 16, -1)
        frame = Frame(values.expand(3, -1, -1), values[0], bits)
        back = gpu_call.unpack(gpu_call.pack(gpu_call.unpack(gpu_call.pack(frame))))
        assert torch.equal(back.pixels, frame.pixels)
        assert back.alpha is not None
        assert torch.equal(back.alpha, values[0])
        assert back.bits == bits


def test_the_chain_runs_elsewhere_and_its_warnings_come_back(executor: ZeroGpuExecutor) -> None:
    here = engine()
    frame, reports = executor.run_chain([Act(warn), Act(keep)], a_frame(), here)
    assert here.warnings == ["The picture is odd."]
    assert reports[0].notes == ("noted",)
    assert reports[0].plan["process"] == reports[1].plan["process"] != os.getpid()
    assert torch.equal(frame.pixels, a_frame().pixels.mul(255).round().div(255))


def test_no_gpu_is_asked_for_where_no_network_runs(executor: ZeroGpuExecutor, tmp_path: Path) -> None:
    source, target = picture(tmp_path / "a.png", "RGB"), tmp_path / "b.png"
    for steps in ([], [restore.Upscale(strength=0, scale=2)]):
        restore.restore_image(source, target, steps, settings=CPU, run_chain=executor.run_chain)
    assert executor._run.asked == []


def test_what_takes_too_long_is_refused_before_a_gpu_is_asked_for(executor: ZeroGpuExecutor) -> None:
    with pytest.raises(LimitError, match=f"{LARGEST_GPU_SECONDS} at most: choose a smaller"):
        executor.run_chain([Act(keep, macs=1e16)], a_frame(), engine())
    assert executor._run.asked == []


def test_a_request_to_stop_reaches_the_other_process(executor: ZeroGpuExecutor, tmp_path: Path) -> None:
    def work(progress: restore.Progress, folder: Path) -> dict[str, Any]:
        executor.run_chain([Act(go_on)], a_frame(), Engine(CPU, progress, torch.device("cpu")))
        return {}

    store = JobStore(tmp_path, executor, keep_seconds=60, keep_bytes=1, max_waiting=5)
    job = store.begin(work)
    while not any(stage.position.unit == "tiles" for stage in job.snapshot().stages):
        assert not job.wait(0.05)
    job.stop()
    assert job.wait(SECONDS / 2)  # it would have gone on for all of it
    with pytest.raises(Cancelled):
        job.result()
    assert executor.run_chain([Act(keep)], a_frame(), engine())  # the next one is not stopped


@pytest.mark.parametrize(
    ("act", "kind", "text"),
    [
        (refuse, InputError, "The picture is too odd."),
        (break_down, RuntimeError, "KeyError on the GPU: 'defect'"),
        (die, LimitError, "taken back before the work was finished"),
    ],
)
def test_what_goes_wrong_there_is_raised_here(
    executor: ZeroGpuExecutor, act: Callable[..., Frame], kind: type[Exception], text: str
) -> None:
    with pytest.raises(kind, match=text):
        executor.run_chain([Act(act)], a_frame(), engine())


def test_memory_that_runs_out_there_is_said_in_the_usual_words(executor: ZeroGpuExecutor, tmp_path: Path) -> None:
    def run_chain(stages: Any, frame: Frame, engine: Engine) -> Any:
        return executor.run_chain([Act(run_out)], frame, engine)

    source = picture(tmp_path / "a.png", "RGB")
    with pytest.raises(ResourceError, match="not enough memory for this picture"):
        restore.restore_image(source, tmp_path / "b.png", [], settings=CPU, run_chain=run_chain)


# The titles and messages of spaces 0.51.
@pytest.mark.parametrize(
    ("title", "message", "kind", "text"),
    [
        (
            "ZeroGPU quota exceeded",
            "You have exceeded your free ZeroGPU quota (60s requested vs. 7s left). Try again in 3:12:11. ",
            BusyError,
            "try again in 3:12:11 ",
        ),
        (
            "ZeroGPU quota exceeded",
            "Space app has reached its GPU limit. Try re-running outside of examples if it happened after clicking one",
            BusyError,
            "used up for now: try again later, or log in",
        ),
        ("ZeroGPU pending credits exceeded", "You have too many", BusyError, "Other work of yours"),
        ("ZeroGPU queue timeout", "No GPU was available after 60s. Retry later", BusyError, "became free in time"),
        ("ZeroGPU client error", "No GPU was available", BusyError, "became free in time"),
        ("ZeroGPU client error", "Expired ZeroGPU proxy token", BusyError, "just now .Expired ZeroGPU proxy token"),
        ("ZeroGPU illegal duration", "The requested GPU duration (180s) is larger", LimitError, "longer than a graph"),
        (WORKER_ERROR, "GPU task aborted", LimitError, "taken back"),
        (WORKER_ERROR, "AssertionError", BusyError, "could not lend a graphics card just now .AssertionError"),
    ],
)
def test_what_the_service_refuses_is_said_in_words(
    title: str, message: str, kind: type[RestoreError], text: str
) -> None:
    with pytest.raises(kind, match=text):
        call_that_raises(gr.Error(message, title=title, print_exception=False))


def test_a_visitor_who_leaves_while_a_gpu_is_waited_for_stops_the_work() -> None:
    with pytest.raises(Cancelled, match="page was closed"):
        call_that_raises(RuntimeError("Connection closed by visitor while queueing"))
    defect = RuntimeError("ZeroGPU API /schedule error: 500")
    with pytest.raises(RuntimeError) as unchanged:
        call_that_raises(defect)
    assert unchanged.value is defect


def call_that_raises(error: Exception) -> None:
    """A chain where what asks for the GPU raises ``error``."""

    def gpu(task: Callable[..., Any], *, duration: Callable[..., int]) -> Callable[..., Any]:
        def refuse(call: gpu_call.Call[Any]) -> Any:
            raise error

        return refuse

    executor = ZeroGpuExecutor(gpu)
    try:
        executor.run_chain([Act(keep)], a_frame(), engine())
    finally:
        executor.close(SECONDS)


@pytest.mark.parametrize("kind", [LocalExecutor, lambda: ZeroGpuExecutor(forking_gpu)])
def test_a_job_runs_in_the_context_of_who_began_it(kind: Callable[[], Executor], tmp_path: Path) -> None:
    visitor = contextvars.ContextVar("visitor", default="nobody")
    store = JobStore(tmp_path, kind(), keep_seconds=60, keep_bytes=1, max_waiting=5)
    jobs = []
    for name in ("ann", "bob"):
        visitor.set(name)
        jobs.append(store.begin(lambda progress, folder: {"visitor": visitor.get()}))
    visitor.set("somebody else")
    assert all(job.wait(SECONDS) for job in jobs)
    assert [job.result()["visitor"] for job in jobs] == ["ann", "bob"]
    store.close(SECONDS)


def test_the_executor_is_chosen_by_where_the_program_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    for value, kind in ((None, LocalExecutor), ("true", ZeroGpuExecutor), ("false", LocalExecutor)):
        if value is not None:
            monkeypatch.setenv("SPACES_ZERO_GPU", value)
        executor = choose_executor()
        assert type(executor) is kind
        executor.close(SECONDS)
