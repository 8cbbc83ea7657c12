"""A shot gone through window by window gives what the whole shot at once gives, as far as its context reaches."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from restore import networks
from restore.errors import ResourceError, SettingsError
from restore.inference.windows import (
    ALLOCATOR,
    LONGEST,
    SMALLEST_TILE,
    Tiled,
    WindowPlan,
    Windows,
    enlarge_shot,
    needed_bytes,
    plan,
    split,
)
from restore.networks import basicvsr, basicvsr_pp, edvr, iconvsr, ppmsvsr, realbasicvsr
from restore.networks.enlarge_x4 import plain_resize
from restore.networks.temporal import TemporalTraits
from tests.fill import fill

GAINS = {
    "*spynet.basic_module.*.basic_module.8.*": 0.4,
    "*spynet.basic_module.*.basic_module.4.conv.*": 0.35,
    "*conv_offset.6.*": 0.3,
    "*conv_last.*": 0.3,
    "*.conv2.weight": 0.3,
}


def filled(network: nn.Module) -> Any:
    """The network with contents that are the same everywhere; what normalises frames stays as it is."""
    state = network.state_dict()
    contents = fill({key: tuple(value.shape) for key, value in state.items()}, GAINS)
    new = {key: value for key, value in contents.items() if not key.endswith(("spynet.mean", "spynet.std"))}
    network.load_state_dict(state | {key: torch.as_tensor(value) for key, value in new.items()})
    return network.eval().requires_grad_(False)


def clip(count: int, height: int = 33, width: int = 47) -> list[Tensor]:
    """Frames of soft noise that moves by a pixel or two a frame."""
    torch.manual_seed(7)
    field = torch.rand(1, 3, height // 2 + 2 * count, width // 2 + count)
    field = nn.functional.interpolate(field, scale_factor=4, mode="bicubic").clamp(0, 1)[0]
    return [field[:, 2 * i : 2 * i + height, i : i + width].clone() for i in range(count)]


SMALL: dict[str, tuple[Callable[[], nn.Module], TemporalTraits]] = {
    "basicvsr": (lambda: basicvsr.build(8, 2), basicvsr.temporal(8, 2)),
    "iconvsr": (lambda: iconvsr.build(8, 1, 5, 2), iconvsr.temporal(8, 1, 5, 2)),
    "realbasicvsr": (lambda: realbasicvsr.build(8, 1, 1), realbasicvsr.temporal(8, 1, 1)),
    "basicvsr-pp": (lambda: basicvsr_pp.build(16, 1), basicvsr_pp.temporal(16, 1)),
    "pp-msvsr": (lambda: ppmsvsr.build(8, 1, 1, 1), ppmsvsr.temporal(8, 1, 1, 1)),
    "edvr": (lambda: edvr.build(8, 5, 8, 1, 1), edvr.temporal(8, 5, 8, 1, 1)),
}
TRAITS = [traits for _, traits in SMALL.values()]


def run(name: str, network: nn.Module, frames: list[Tensor], windows: Windows) -> Tensor:
    return torch.stack(list(enlarge_shot(network, SMALL[name][1], iter(frames), WindowPlan(windows))))


def whole(network: nn.Module, frames: list[Tensor]) -> Tensor:
    with torch.inference_mode():
        result: Tensor = network(torch.stack(frames)[None])
    return result[0].clamp(0, 1)


@dataclass
class Counting:
    """A network that gives back its frames, and notes how many it was given, how many it gave and whether it ended."""

    windows: list[tuple[int, int, bool]] = field(default_factory=list)

    def window(self, frames: Tensor, state: int | None, keep: int, last: bool) -> Generator[Tensor, None, int]:
        number = state or 0
        assert [round(float(frame.mean()) * 1000) for frame in frames[0]] == [
            *range(number, number + frames.shape[1])
        ], "the context of a window is not the start of the next one"
        self.windows.append((frames.shape[1], keep, last))
        yield from frames[:, :keep].unbind(1)
        return number + keep


@settings(deadline=None)
@given(count=st.integers(1, 150), frames=st.integers(1, 90), context=st.integers(0, 60), traits=st.sampled_from(TRAITS))
def test_every_frame_comes_out_once_and_the_windows_cost_at_most_half_more(
    count: int, frames: int, context: int, traits: TemporalTraits
) -> None:
    windows = split(frames, context, traits)
    assert windows.seen <= max(frames, 1 + traits.needed_context)
    assert windows.context >= traits.needed_context
    network = Counting()
    shot = [torch.full((3, 1, 1), number / 1000) for number in range(count)]
    results = list(enlarge_shot(network, traits, iter(shot), WindowPlan(windows)))
    assert [round(float(result.mean()) * 1000) for result in results] == [*range(count)]
    assert all(window == (windows.seen, windows.length, False) for window in network.windows[:-1])
    seen, kept, last = network.windows[-1]
    assert last
    assert seen == kept <= windows.seen
    context_frames = sum(seen - kept for seen, kept, _ in network.windows)
    # Each of several windows pays for its context out of what it keeps itself.
    assert context_frames * traits.macs_per_context_frame <= 0.5 * traits.macs_per_frame * count


@given(
    traits=st.sampled_from(TRAITS),
    height=st.integers(40, 2160),
    width=st.integers(40, 3840),
    gigabytes=st.floats(0.5, 150),
)
def test_the_plan_fits_into_the_memory_that_there_is(
    traits: TemporalTraits, height: int, width: int, gigabytes: float
) -> None:
    available = int(gigabytes * 2**30)
    try:
        chosen = plan(traits, height, width, available)
    except ResourceError:
        smallest = WindowPlan(Windows(traits.smallest_window, traits.needed_context), SMALLEST_TILE)
        assert smallest.needed_bytes(traits, height, width) > available
        return
    seen = chosen.windows.seen
    if chosen.tile is None:
        assert needed_bytes(traits, height, width, seen) == chosen.needed_bytes(traits, height, width) <= available
        assert seen <= LONGEST + traits.context
    else:
        assert needed_bytes(traits, height, width, traits.shortest) > available
        side = chosen.tile + 2 * traits.reach
        results = seen * height * width * 3 * 4 * traits.scale**2
        least = needed_bytes(traits, min(side, height), min(side, width), seen) + results
        assert least <= chosen.needed_bytes(traits, height, width) <= available


def test_what_is_set_is_obeyed() -> None:
    traits = basicvsr.temporal()
    assert plan(traits, 180, 320, 2**34, length=10, context=3).windows == Windows(10, 3)
    assert plan(traits, 180, 320, 2**34, length=10).windows == Windows(10, int(10 * traits.worth_per_frame))
    assert plan(traits, 180, 320, 2**34, length=30).windows == Windows(30, 15)
    assert plan(traits, 180, 320, 2**34, context=0).windows.context == 0
    assert plan(traits, 180, 320, 2**34).windows == Windows(LONGEST, traits.context)
    assert plan(traits, 180, 320, 2**34, tile=96).tile == 96
    with pytest.raises(SettingsError):
        plan(traits, 180, 320, 2**34, length=0)
    with pytest.raises(ResourceError, match="not enough memory"):
        plan(traits, 180, 320, 2**20)


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_short_windows_with_all_of_the_rest_as_context_give_the_whole_shot(name: str, count: int) -> None:
    network = filled(SMALL[name][0]())
    frames = clip(count, 19, 27)
    wanted = whole(network, frames)
    assert wanted.shape == (count, 3, 4 * 19, 4 * 27)
    assert wanted.std() > 0.02
    result = run(name, network, frames, Windows(3, count))
    assert (result - wanted).abs().max() <= 1e-5


@pytest.mark.parametrize("name", [name for name in SMALL if name != "edvr"])
def test_the_error_falls_with_the_context(name: str) -> None:
    network = filled(SMALL[name][0]())
    frames = clip(8, 24, 28)
    wanted = whole(network, frames)
    errors = [float((run(name, network, frames, Windows(3, n)) - wanted).abs().mean()) for n in (0, 1, 2, 5)]
    assert errors == sorted(errors, reverse=True)
    assert errors[0] > 1e-4
    assert errors[-1] <= 1e-5


@settings(max_examples=5, deadline=None)
@given(count=st.integers(1, 16), length=st.integers(1, 6))
def test_what_goes_forward_is_carried_exactly_however_short_the_windows(count: int, length: int) -> None:
    network = filled(basicvsr.build(4, 1))
    # Nothing of what goes backward is used, so that no context is needed.
    network.fusion.weight[:, :4] = 0
    frames = clip(count, 16, 16)
    result = run("basicvsr", network, frames, Windows(length, 0))
    assert (result - whole(network, frames)).abs().max() <= 1e-5


def test_flow_and_features_are_found_once() -> None:
    calls: list[int] = []
    network = filled(basicvsr_pp.build(16, 1))
    network.spynet.register_forward_hook(lambda *_: calls.append(1))
    run("basicvsr-pp", network, clip(8, 24, 24), Windows(3, 2))
    assert len(calls) == 7

    calls.clear()
    network = filled(edvr.build(8, 5, 8, 1, 1))
    network.conv_first.register_forward_hook(lambda *_: calls.append(1))
    run("edvr", network, clip(8, 24, 24), Windows(3, 4))
    assert len(calls) == 8


class Live(TorchDispatchMode):
    """Adds up the bytes of the tensors that are alive, and keeps the most there were at once."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.most = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, call: Any, types: Any, arguments: Any = (), options: Any = None) -> Any:
        result = call(*arguments, **(options or {}))
        for value in tree_iter(result):
            if isinstance(value, Tensor) and (storage := value.untyped_storage())._cdata not in self._known:
                self._known.add(storage._cdata)
                self.now += storage.nbytes()
                weakref.finalize(storage, self._gone, storage._cdata, storage.nbytes())
        self.most = max(self.most, self.now)
        return result

    def _gone(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.now -= size


@pytest.mark.parametrize("name", ["basicvsr", "basicvsr-pp", "pp-msvsr"])
def test_a_window_takes_no_more_memory_than_the_plan_reckons_with(name: str) -> None:
    # Nothing is computed on this device, so that the published network can be given a large frame.
    with torch.device("meta"):
        network = networks.build(name)
    traits = networks.temporal(name)
    with torch.inference_mode(), Live() as live:
        for _ in network.window(torch.empty(1, 4, 3, 360, 640, device="meta"), None, 3, False):
            pass
    assert 0.3 * needed_bytes(traits, 360, 640, 4) <= live.most <= needed_bytes(traits, 360, 640, 4) / ALLOCATOR


def test_edvr_sees_the_frames_that_its_authors_tests_show_it() -> None:
    assert edvr.neighbours(0, 5, 20) == [4, 3, 0, 1, 2]
    assert edvr.neighbours(1, 5, 20) == [4, 0, 1, 2, 3]
    assert edvr.neighbours(9, 5, 20) == [7, 8, 9, 10, 11]
    assert edvr.neighbours(19, 5, 20) == [17, 18, 19, 16, 15]
    network = filled(edvr.build(8, 5, 8, 1, 1))
    frames = clip(9)
    windows = run("edvr", network, frames, Windows(2, 4))
    for number in (0, 1, 4, 8):
        seen = torch.stack([frames[i] for i in edvr.neighbours(number, 5, 9)])[None]
        with torch.inference_mode():
            assert (network.middle_frame(seen)[0].clamp(0, 1) - windows[number]).abs().max() <= 1e-5


@dataclass
class Plain:
    """A network that only resizes, so that its result is known for every tile and window."""

    def window(self, frames: Tensor, state: None, keep: int, last: bool) -> Generator[Tensor, None, str]:
        for frame in frames[:, :keep].unbind(1):
            yield plain_resize(frame)
        return "state"


@settings(deadline=None, max_examples=30)
@given(
    height=st.integers(5, 90),
    width=st.integers(5, 90),
    tile=st.sampled_from([16, 20, 32]),
    reach=st.sampled_from([4, 12]),
)
def test_the_tiles_of_a_frame_fit_together(height: int, width: int, tile: int, reach: int) -> None:
    frames = torch.rand(1, 2, 3, height, width)
    results = list(Tiled(Plain(), 4, tile, reach).window(frames, None, 2, True))
    for result, frame in zip(results, frames.unbind(1), strict=True):
        wanted = plain_resize(frame)
        assert result.shape == wanted.shape
        # Beyond the last row and column the frame is continued to whole multiples.
        assert torch.allclose(result[..., :-4, :-4], wanted[..., :-4, :-4], atol=1e-6)


def test_tiles_that_see_the_whole_frame_give_what_it_gives() -> None:
    build, traits = SMALL["basicvsr"]
    network = filled(build())
    frames = clip(3, 32, 32)
    plan_in_tiles = WindowPlan(Windows(2, 1), 16)
    assert 16 + traits.reach >= 32
    result = torch.stack(list(enlarge_shot(network, traits, frames, plan_in_tiles)))
    assert (result - whole(network, frames)).abs().max() <= 1e-5


@dataclass
class Narrow:
    """A network on a GPU whose memory takes only so many frames, or pixels of a side, at once."""

    network: Any
    frames: int
    side: int
    seen: list[tuple[int, int]] = field(default_factory=list)

    def window(self, frames: Tensor, state: Any, keep: int, last: bool) -> Generator[Tensor, None, Any]:
        results = self.network.window(frames, state, keep, last)
        while True:
            self.seen.append((frames.shape[1], frames.shape[-1]))
            try:
                result = next(results)
            except StopIteration as end:
                return end.value
            yield result
            # Memory runs out in the middle of a window.
            if frames.shape[1] > self.frames or frames.shape[-1] > self.side:
                raise torch.OutOfMemoryError


def test_windows_become_shorter_where_memory_runs_out_and_no_frame_is_lost() -> None:
    build, traits = SMALL["basicvsr"]
    network = filled(build())
    frames = clip(14, 24, 28)
    plans: list[WindowPlan] = []
    narrow = Narrow(network, 7, 1000)
    results = list(enlarge_shot(narrow, traits, frames, WindowPlan(Windows(10, 4)), plans.append))
    assert [one.windows.seen for one in plans] == [7]
    assert len(results) == 14
    assert (torch.stack(results) - whole(network, frames)).abs().mean() < 0.01


def test_tiles_become_smaller_where_windows_cannot_be_shorter() -> None:
    traits = SMALL["basicvsr"][1]
    frames = clip(7, 32, 260)
    plans: list[WindowPlan] = []
    narrow = Narrow(Plain(), 100, 250)
    results = list(enlarge_shot(narrow, traits, frames, WindowPlan(Windows(8, 4)), plans.append))
    assert [(one.windows.seen, one.tile) for one in plans] == [(6, None), (6, 132), (6, 68)]
    assert torch.allclose(torch.stack(results), plain_resize(torch.stack(frames)), atol=1e-6)
    with pytest.raises(ResourceError, match="memory of the GPU"):
        list(enlarge_shot(Narrow(Plain(), 100, 30), traits, frames, WindowPlan(Windows(8, 4))))
