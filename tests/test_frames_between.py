"""The networks that make frames between frames: any size, any time, and nothing found out twice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from restore import networks
from restore.inference.precision import lower, watched

SHARED = {
    "rife-4.25": {"encode": 2},
    "ifrnet": {"encoder": 2},
    "super-slomo": {"flow": 1},
    "film": {"extract": 2, "predict_flow": 2},
}
"""How often the parts of a network run whose answer does not depend on the time."""


@pytest.fixture(params=SHARED)
def network(request: pytest.FixtureRequest) -> tuple[str, Any]:
    torch.manual_seed(0)
    return request.param, networks.build(request.param)


def counter(calls: dict[str, int], name: str) -> Callable[..., None]:
    def count(*_: object) -> None:
        calls[name] = calls.get(name, 0) + 1

    return count


@torch.inference_mode()
def test_times_share_what_does_not_depend_on_them(network: tuple[str, Any]) -> None:
    name, module = network
    calls: dict[str, int] = {}
    for part in SHARED[name]:
        module.get_submodule(part).register_forward_hook(counter(calls, part))
    first, second = torch.rand(2, 1, 3, 37, 53)
    pair = module.prepare(first, second)
    frames = [module.at(pair, time) for time in (0.25, 0.5, 0.9)]
    assert calls == SHARED[name]
    assert all(frame.shape == first.shape and torch.isfinite(frame).all() for frame in frames)
    assert not torch.equal(frames[0], frames[2])
    assert torch.equal(module(first, second, 0.5), frames[1])


@torch.inference_mode()
def test_lower_precision_gives_nearly_the_same_frame(network: tuple[str, Any]) -> None:
    _, module = network
    smooth = torch.nn.functional.interpolate(torch.rand(2, 3, 6, 8), size=(40, 56), mode="bicubic").clamp(0, 1)
    first, second = smooth[:1], smooth[1:]
    exact = module(first, second, 0.5)
    lower(module, torch.bfloat16, ())
    with watched(module, lambda: None):
        found = module(first, second, 0.5)
    assert found.dtype == torch.float32
    assert (found - exact).abs().mean() < 0.01


@torch.inference_mode()
@pytest.mark.parametrize("name", ["rife-4.6", "ifrnet"])
def test_motion_can_be_looked_for_at_a_smaller_size(name: str) -> None:
    module: Any = networks.build(name)
    first, second = torch.rand(2, 1, 3, 37, 53)
    frame = module.at(module.prepare(first, second, 0.5), 0.5)
    assert frame.shape == first.shape
    assert not torch.equal(frame, module(first, second, 0.5))
