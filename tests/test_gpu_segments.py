"""Clips on a GPU that is lent: one call for each segment, and what becomes of the work where there is none any more."""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import restore
from restore import Encoding, Frame, Interpolate, Paused, Progress, Upscale, executors, gpu_segment
from restore.clip_plan import ClipOptions, ClipPlan, plan_clip, rates_through
from restore.cost import LARGEST_GPU_SECONDS, WANTED_GPU_SECONDS, clip_bytes, clip_seconds, gpu_seconds
from restore.errors import LimitError
from restore.executors import Executor, LocalExecutor, ZeroGpuExecutor
from restore.gpu_segment import MOST_BYTES, Portion, portion_of
from restore.jobs import JobStore
from restore.media.clips.probe import probe
from restore.segments.split import needs_of
from restore.settings import Settings
from restore.stages.upscale import OpenUpscale
from restore.ui.between_preview import write_between
from tests.clips import pictures, write_clip
from tests.test_interpolate import weights as weights
from tests.test_segments import made, seen, write_shots
from tests.zerogpu import ForkingGpu, forking_gpu

SECONDS = 60.0  # far more than anything here takes
TWICE = Upscale(model="built-in", scale=2)
# The second and the third run where the GPU is, the others need none.
CHAIN = (
    Interpolate(model="built-in", factor=2),
    TWICE,
    Upscale(model="built-in", scale=1, strength=0.5),
    Interpolate(model="built-in", factor=2, slow_motion=True),
)
LOSSLESS = Encoding(codec="ffv1")
HERE = Settings(device="cpu", precision="float32", segment_seconds=0.3)


@pytest.fixture
def executor() -> Iterator[ZeroGpuExecutor]:
    executor = ZeroGpuExecutor(forking_gpu)
    yield executor
    executor.close(SECONDS)


@pytest.fixture
def gpu(executor: ZeroGpuExecutor) -> ForkingGpu:
    stand_in: ForkingGpu = executor._run
    return stand_in


@pytest.fixture
def there(executor: ZeroGpuExecutor) -> Settings:
    return replace(HERE, lender=executor.lender)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Two seconds and a half in three shots, at no even pace."""
    return write_shots(tmp_path, 32, 24)


def test_a_clip_comes_out_as_from_this_process_however_often_the_quota_ends(
    gpu: ForkingGpu, there: Settings, clip: Path, tmp_path: Path
) -> None:
    """The chain looks at frames of other segments; whatever crosses, no bit of the result is another one."""
    what: dict[str, Any] = {"steps": CHAIN, "encoding": LOSSLESS}
    local = restore.restore_video(clip, tmp_path / "here.mkv", settings=HERE, work=tmp_path / "here", **what)
    what |= {"settings": there, "work": tmp_path / "work"}
    positions: list[restore.Position] = []
    gpu.quota = 25
    with pytest.raises(Paused, match=r"used up for now: try again in 1:00:00 .*What is done is kept") as paused:
        restore.restore_video(clip, tmp_path / "there.mkv", progress=Progress(positions.append), **what)
    assert paused.value.keeps_work
    assert gpu.asked == [11, 11]
    waiting = [position.done for position in positions if position.stage == "gpu"]
    assert waiting[:3] == [0, 1, 1]
    assert {position.unit for position in positions if position.stage != "gpu"} == {"frames"}

    done = restore.restore_partly(clip, tmp_path / "part.mkv", **what)
    assert done.segments == 2
    part = seen(tmp_path / "part.mkv")
    gpu.quota = math.inf
    lent = restore.restore_video(clip, tmp_path / "there.mkv", progress=Progress(positions.append), **what)
    whole = seen(tmp_path / "there.mkv")
    assert whole == seen(tmp_path / "here.mkv")
    assert whole[: len(part)] == part
    segments, again = made(lent)
    assert (segments, again) == (len(gpu.asked), segments - 2)
    assert [(stage.frames, stage.models, stage.notes) for stage in lent.stages] == [
        (stage.frames, stage.models, stage.notes) for stage in local.stages
    ]
    last = {position.index: (position.done, position.total) for position in positions if position.stage != "gpu"}
    counts = [50, 100, 100, 100, len(whole), len(whole)]
    assert last == {index: (count, count) for index, count in enumerate(counts)}


def test_frames_that_repeat_cross_once_and_are_computed_once(gpu: ForkingGpu, there: Settings, tmp_path: Path) -> None:
    still = write_clip(tmp_path / "still.mkv", [pictures(1, 32, 24)[0]] * 8, options={"qp": "0"})
    report = restore.restore_video(still, tmp_path / "there.mkv", [TWICE], settings=there, work=tmp_path / "work")
    assert report.clip is not None
    assert report.clip.reused == 7
    pixels = torch.rand(3, 4, 5)
    frames = [Frame(pixels, pts=Fraction(index), repeat=index > 0) for index in range(3)]
    one, *others = gpu_segment.pack(frames)
    assert all(each.pixels is one.pixels for each in others)
    first, *rest = gpu_segment.unpack((one, *others))
    assert torch.equal(first.pixels, pixels)
    assert all(frame.pixels is first.pixels and frame.repeat for frame in rest)


def test_who_overruns_the_time_is_asked_for_once_more_and_what_is_done_stays(
    gpu: ForkingGpu, there: Settings, clip: Path, tmp_path: Path
) -> None:
    what: dict[str, Any] = {"steps": [TWICE], "settings": there, "work": tmp_path / "work"}
    gpu.lasts = lambda seconds: SECONDS if seconds == LARGEST_GPU_SECONDS else 0.0
    restore.restore_video(clip, tmp_path / "a.mkv", **what, end=0.5)
    assert gpu.asked[1::2] == [LARGEST_GPU_SECONDS] * (len(gpu.asked) // 2)
    assert all(seconds < WANTED_GPU_SECONDS for seconds in gpu.asked[::2])
    gpu.lasts = lambda seconds: 0.0
    with pytest.raises(LimitError, match="taken back before the work was finished") as refused:
        restore.restore_video(clip, tmp_path / "b.mkv", **what)
    assert refused.value.keeps_work


def test_a_request_to_stop_ends_the_call_between_two_frames(
    executor: ZeroGpuExecutor, there: Settings, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = OpenUpscale.run

    def slowly(self: OpenUpscale, frames: Iterable[Frame], engine: Any) -> Generator[Frame]:
        for frame in usual(self, frames, engine):
            time.sleep(SECONDS / 50)  # a minute for all of them
            yield frame

    monkeypatch.setattr(OpenUpscale, "run", slowly)

    def work(progress: Progress, folder: Path) -> Any:
        report = yield from restore.restore_in_segments(
            clip, folder / "a.mkv", [TWICE], progress=progress, settings=there, work=tmp_path / "work"
        )
        return report.to_dict()

    store = JobStore(tmp_path / "jobs", executor, keep_seconds=60, keep_bytes=1, max_waiting=5)
    job = store.begin(work)
    while not any(stage.position.stage == "upscale" and stage.position.done for stage in job.snapshot().stages):
        assert not job.wait(0.05)
    job.stop()
    assert job.wait(SECONDS / 4)
    with pytest.raises(Paused):
        job.result()


def test_what_goes_wrong_there_is_raised_here(
    there: Settings, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_out(self: OpenUpscale, frames: Iterable[Frame], engine: Any) -> Generator[Frame]:
        yield next(iter(frames))
        raise torch.OutOfMemoryError(f"CUDA out of memory in process {os.getpid()}")

    monkeypatch.setattr(OpenUpscale, "run", run_out)
    with pytest.raises(restore.ResourceError, match="not enough memory for this clip") as failed:
        restore.restore_video(clip, tmp_path / "a.mkv", [TWICE], settings=there, work=tmp_path / "work")
    assert str(os.getpid()) not in str(failed.value.__cause__)


def test_no_gpu_is_asked_for_where_no_network_runs(
    gpu: ForkingGpu, there: Settings, clip: Path, tmp_path: Path
) -> None:
    for number, steps in enumerate(([], [Upscale(strength=0, scale=2)])):
        restore.restore_video(clip, tmp_path / f"{number}.mkv", steps, settings=there, work=tmp_path / "work")
    assert gpu.asked == []


# --- how a clip is cut up


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> ClipPlan:
    folder = tmp_path_factory.mktemp("plan")
    source = write_clip(folder / "a.mkv", pictures(3, 16, 16))
    return plan_clip(probe(source), source, folder / "b.mkv", [], ClipOptions(), Settings())


def chained(plan: ClipPlan, stages: tuple[Any, ...], size: tuple[int, int]) -> ClipPlan:
    return replace(plan, stages=stages, rates=rates_through(stages, plan.rates[0]), size=size)


def opened(plan: ClipPlan) -> list[Any]:
    """What ``portion_of`` looks at of the opened stages of ``plan``, of which all have networks."""
    return [SimpleNamespace(settings=stage, models=(stage,)) for stage in plan.stages]


STAGES = st.sampled_from(
    (TWICE, Upscale(model="RealESRGAN_x4plus"), Upscale(model="pp-msvsr"), Interpolate(model="rife-4.6", fps=60))
)


@given(
    stages=st.lists(STAGES, min_size=1, max_size=3).map(tuple),
    size=st.tuples(st.integers(16, 1920), st.integers(16, 1080)),
)
def test_no_call_takes_too_long_or_too_much_and_all_are_as_long_as_they_may_be(
    plan: ClipPlan, stages: tuple[Any, ...], size: tuple[int, int]
) -> None:
    plan = chained(plan, stages, size)
    needs = needs_of(plan.stages, plan.rates)[0]
    around = needs.before + needs.after

    def taken(frames: int) -> tuple[float, int]:
        where = plan.stages, plan.rates, frames + around, *size
        return clip_seconds(*where), clip_bytes(*where)

    def fits(frames: int) -> bool:
        seconds, size = taken(frames)
        longest = LARGEST_GPU_SECONDS if frames <= max(1, around) else WANTED_GPU_SECONDS
        return seconds <= longest and size <= MOST_BYTES

    if not fits(1):
        with pytest.raises(LimitError, match="choose a smaller scale or target"):
            portion_of(plan, opened(plan), Settings())
        return
    portion = portion_of(plan, opened(plan), Settings())
    assert fits(portion.frames)
    usual = Fraction(4)
    assert portion.seconds == min(usual, portion.frames / plan.rates[0] / 2)
    assert portion.seconds == usual or not fits(portion.frames + 1)


def test_a_small_clip_is_cut_up_as_usual_and_a_huge_frame_is_refused(plan: ClipPlan) -> None:
    small = chained(plan, (TWICE,), (64, 48))
    assert portion_of(small, opened(small), Settings()) == Portion(math.ceil(8 * plan.rates[0]), Fraction(4))
    huge = chained(plan, (Upscale(model="RealESRGAN_x4plus", scale=4),), (4000, 3000))
    with pytest.raises(LimitError, match=r"Even one frame of this clip.* takes up to \d+ seconds.*smaller model"):
        portion_of(huge, opened(huge), Settings())


@given(stages=st.lists(STAGES, max_size=3), frames=st.integers(1, 500), more=st.integers(0, 500))
def test_more_frames_never_cost_less_and_one_costs_at_least_a_picture(
    stages: list[Any], frames: int, more: int
) -> None:
    rates = rates_through(stages, Fraction(25))
    few, many = (clip_seconds(stages, rates, count, 320, 240) for count in (frames, frames + more))
    assert few <= many
    assert few == int(few)
    assert few >= gpu_seconds(stages, 320, 240)
    assert clip_seconds([CHAIN[0]], (25, 50), 100, 320, 240) > clip_seconds([CHAIN[0]], (25, 25), 100, 320, 240)


# --- who watches


class Watched:
    """A job of four steps, in the second of which whoever watches it leaves."""

    def __init__(self) -> None:
        self.steps = 0
        self.stopped = False
        self.left_seconds = 0.0
        self.ended = threading.Event()

    def step(self) -> bool:
        self.steps += 1
        if self.steps == 2:
            self.left_seconds = executors.LEFT_SECONDS + 1
        if ended := self.stopped or self.steps == 4:
            self.ended.set()
        return ended

    def stop(self) -> None:
        self.stopped = True


@pytest.mark.parametrize(("kind", "steps"), [(LocalExecutor, 4), (lambda: ZeroGpuExecutor(forking_gpu), 3)])
def test_no_more_gpus_are_asked_for_once_the_visitor_has_left(kind: Callable[[], Executor], steps: int) -> None:
    executor, job = kind(), Watched()
    executor.submit(job)
    assert job.ended.wait(SECONDS)
    executor.close(SECONDS)
    assert (job.steps, job.stopped) == (steps, steps == 3)


def test_a_job_knows_how_long_nobody_has_watched_it(tmp_path: Path) -> None:
    store = JobStore(tmp_path, LocalExecutor(), keep_seconds=60, keep_bytes=1, max_waiting=5)
    job = store.begin(lambda progress, folder: {})
    assert job.left_seconds == 0  # nobody has ever watched it, so nobody has left
    with job.watched():
        with job.watched():
            pass
        time.sleep(0.01)
        assert job.left_seconds == 0
    time.sleep(0.01)
    assert 0.01 <= job.left_seconds < SECONDS
    store.close(SECONDS)


# --- looks before the work


def test_a_frame_between_two_is_made_there_as_it_is_here(
    gpu: ForkingGpu, there: Settings, clip: Path, weights: Path, tmp_path: Path
) -> None:
    stage = Interpolate(model="ifrnet")
    plan = plan_clip(probe(clip), clip, tmp_path / "out.mkv", [stage], ClipOptions(), HERE)
    for moment, new in ((Fraction(1, 4), True), (Fraction(13, 20), False)):  # the second one at a cut
        shown = []
        for settings in (HERE, there):
            folder = tmp_path / f"{new}{settings.lender is None}"
            folder.mkdir()
            at, with_network = plan.info.start + moment, replace(settings, weights=(weights,))
            shown.append(write_between(plan, stage, at, Fraction(1, 2), folder, Progress(), with_network))
        here, lent = shown
        assert (lent.made, lent.cut) == (here.made, here.cut) == (new, not new)
        assert lent.pair.after.read_bytes() == here.pair.after.read_bytes()
    assert len(gpu.asked) == 2
