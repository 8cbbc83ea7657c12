"""Several frames of a clip through a network at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from fractions import Fraction
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

import restore
from restore import Frame, Upscale
from restore.inference import runner as runners
from restore.inference.engine import Engine
from restore.inference.runner import Runner
from restore.progress import Progress
from restore.settings import load_settings
from restore.stages.base import each_in_groups, each_once

Opened = Callable[..., AbstractContextManager[Callable[[Tensor], Tensor]]]


def frames(sizes: Sequence[tuple[int, int]], repeats: Sequence[int] = ()) -> list[Frame]:
    torch.manual_seed(0)
    made: list[Frame] = []
    for number, size in enumerate(sizes):
        pixels = made[-1].pixels if number in repeats else torch.rand(3, *size)
        made.append(Frame(pixels, pts=Fraction(number), repeat=number in repeats, shot=number // 3))
    made[2:3] = [Frame(made[2].pixels.mean(dim=0).expand(3, -1, -1), pts=made[2].pts)]  # grey
    return made


def same(one: Frame, other: Frame) -> bool:
    """Whether two results are the same but for the rounding of float32, in which libraries may add in another order."""
    return one.pixels.shape == other.pixels.shape and float((one.pixels - other.pixels).abs().max()) < 2e-6


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many windows the network got in each call."""
    counts: list[int] = []
    opened: Opened = Runner._opened

    @contextmanager
    def counting(self: Runner, *arguments: Any) -> Iterator[Callable[[Tensor], Tensor]]:
        with opened(self, *arguments) as forward:

            def counted(batch: Tensor) -> Tensor:
                counts.append(len(batch))
                return forward(batch)

            yield counted

    monkeypatch.setattr(Runner, "_opened", counting)
    return counts


@pytest.mark.parametrize(
    "stage", [Upscale(model="built-in", scale=2), Upscale(model="built-in", strength=0.7, scale=3)]
)
def test_together_or_one_by_one_the_result_is_the_same(
    stage: Upscale, batches: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = frames([(17, 23)] * 7 + [(20, 12)] * 2, repeats=(4,))
    alone = list(restore.restore_frames(given, [stage]))
    assert batches == [1] * 8
    batches.clear()
    monkeypatch.setitem(runners.TOGETHER, "cpu", 18 * 24 * 4)
    together = list(restore.restore_frames(given, [stage]))
    assert batches == [4, 2, 2]
    for one, other, source in zip(alone, together, given, strict=True):
        assert same(one, other)
        assert (other.pts, other.repeat, other.shot) == (source.pts, source.repeat, source.shot)


def test_where_memory_runs_out_the_batch_is_halved_and_stays_so(
    batches: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Upscale(model="built-in", scale=2)
    given = frames([(16, 24)] * 12)
    alone = list(restore.restore_frames(given, [stage]))
    batches.clear()
    monkeypatch.setitem(runners.TOGETHER, "cpu", 2**20)
    counting: Opened = Runner._opened

    @contextmanager
    def scarce(self: Runner, *arguments: Any) -> Iterator[Callable[[Tensor], Tensor]]:
        with counting(self, *arguments) as forward:

            def tried(batch: Tensor) -> Tensor:
                if len(batch) > 3:
                    raise torch.OutOfMemoryError
                return forward(batch)

            yield tried

    monkeypatch.setattr(Runner, "_opened", scarce)
    opened_stage = stage.open(Engine.start(load_settings(), Progress()))
    together = list(opened_stage.run(given, Engine.start(load_settings(), Progress())))
    assert batches == [3, 3, 3, 3]
    assert opened_stage.plan["batch"] == 3
    assert all(same(one, other) for one, other in zip(alone, together, strict=True))


@given(
    st.lists(st.tuples(st.booleans(), st.booleans()), max_size=30),
    st.integers(1, 6),
)
def test_groups_change_nothing_and_keep_few_waiting(plan: list[tuple[bool, bool]], most: int) -> None:
    given: list[Frame] = []
    for number, (repeats, wide) in enumerate(plan):
        last = given[-1] if given and repeats else None
        pixels = torch.full((3, 1, 2 if wide else 1), float(number)) if last is None else last.pixels
        given.append(Frame(pixels, pts=Fraction(number), repeat=repeats))
    taken = 0

    def source() -> Iterator[Frame]:
        nonlocal taken
        for frame in given:
            taken += 1
            yield frame

    groups: list[list[Frame]] = []

    def work(group: Sequence[Frame]) -> list[Frame]:
        groups.append(list(group))
        return [Frame(frame.pixels + 0.5) for frame in group]

    out: list[Frame] = []
    for frame in each_in_groups(source(), lambda _: most, work):
        out.append(frame)
        assert taken - len(out) <= most
    wanted = list(each_once(given, lambda frame: Frame(frame.pixels + 0.5)))
    assert [(frame.pts, frame.repeat) for frame in out] == [(frame.pts, frame.repeat) for frame in wanted]
    assert all(torch.equal(one.pixels, other.pixels) for one, other in zip(out, wanted, strict=True))
    assert all(len(group) <= most and len({frame.pixels.shape for frame in group}) == 1 for group in groups)
    distinct = sum(not frame.repeat or index == 0 for index, frame in enumerate(given))
    assert sum(map(len, groups)) == distinct
