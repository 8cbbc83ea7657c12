"""Seconds of a GPU to ask for: what they grow with, and what they stay within."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from restore.cost import LARGEST_GPU_SECONDS, LOAD_SECONDS, MACS_PER_SECOND, START_SECONDS, gpu_seconds
from restore.errors import LimitError
from restore.models import offered_for
from restore.networks import traits
from restore.stages import MATERIALS, Upscale, auto_candidates

SIDES = st.integers(1, 20_000)
STAGES = st.builds(
    Upscale,
    model=st.sampled_from(["auto", *offered_for("upscale")]),
    scale=st.floats(1, 8),
    strength=st.sampled_from((0.0, 0.5, 1.0)),
    material=st.sampled_from(MATERIALS),
)


@given(
    chain=st.lists(STAGES, max_size=3), width=SIDES, height=SIDES, more=st.tuples(SIDES, SIDES), bits=st.integers(8, 16)
)
def test_a_larger_picture_never_costs_less(
    chain: list[Upscale], width: int, height: int, more: tuple[int, int], bits: int
) -> None:
    small = gpu_seconds(chain, width, height, bits=bits)
    large = gpu_seconds(chain, width + more[0], height + more[1], bits=bits)
    assert START_SECONDS <= small <= large < math.inf
    assert small == int(small)
    assert small <= gpu_seconds(chain, width, height, bits=bits, alpha=True)
    assert gpu_seconds(chain, width, height) <= gpu_seconds(chain, width, height, precision="float32")


@pytest.mark.parametrize("scale", [1, 4, 8])
def test_every_operation_of_every_pass_is_paid_for(scale: float) -> None:
    """At 4 times the network runs once; at 8 times a second time, over a picture of 16 times the pixels."""
    per_pixel = traits("RealESRGAN_x4plus").macs_per_pixel
    operations = 1000 * 800 * per_pixel * (17 if scale > 4 else 1)
    seconds = gpu_seconds([Upscale(model="RealESRGAN_x4plus", scale=scale)], 1000, 800)
    assert seconds >= START_SECONDS + LOAD_SECONDS + operations / MACS_PER_SECOND["half"]


def test_auto_is_paid_for_as_the_most_expensive_model_that_it_may_take() -> None:
    for material in MATERIALS:
        named = [gpu_seconds([Upscale(model=name)], 3000, 2000) for name in auto_candidates(material, "cuda")]
        assert gpu_seconds([Upscale(material=material)], 3000, 2000) == max(named)


def test_ordinary_photos_fit_into_one_call() -> None:
    assert gpu_seconds([Upscale()], 640, 480) <= 15
    assert gpu_seconds([Upscale()], 4000, 3000) <= LARGEST_GPU_SECONDS
    assert gpu_seconds([Upscale()], 8000, 6000) > LARGEST_GPU_SECONDS


def test_chains_add_up_and_what_cannot_be_done_has_no_cost() -> None:
    first, second = Upscale(scale=2), Upscale(scale=1.5)
    both = gpu_seconds([first, second], 800, 600)
    assert both == pytest.approx(
        gpu_seconds([first], 800, 600) + gpu_seconds([second], 1600, 1200) - START_SECONDS, abs=1
    )
    with pytest.raises(LimitError, match="smaller target"):
        gpu_seconds([Upscale(target="8k")], 100, 100)
