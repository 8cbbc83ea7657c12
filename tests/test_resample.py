"""Lanczos by bands equals Lanczos of the whole picture."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from restore.inference.resample import lanczos, lanczos_bands

sides = st.integers(1, 70)


@settings(deadline=None)
@given(source=st.tuples(sides, sides), target=st.tuples(sides, sides), cuts=st.lists(st.integers(1, 25), max_size=8))
def test_bands_give_what_the_whole_picture_gives(
    source: tuple[int, int], target: tuple[int, int], cuts: list[int]
) -> None:
    picture = torch.rand(3, *source, generator=torch.Generator().manual_seed(1))
    bands, top = [], 0
    for cut in [*cuts, source[0]]:
        if top < source[0]:
            bands.append(picture[:, top : top + cut])
            top += cut
    result = lanczos_bands(iter(bands), source, target)
    torch.testing.assert_close(result, lanczos(picture, *target), rtol=0, atol=2e-5)


def test_lanczos_is_that_of_pillow() -> None:
    picture = np.random.default_rng(0).integers(90, 166, (40, 50, 3), dtype=np.uint8)
    ours = lanczos(torch.from_numpy(picture).permute(2, 0, 1).float() / 255, 23, 91)
    theirs = np.asarray(Image.fromarray(picture).resize((91, 23), Image.Resampling.LANCZOS))
    assert np.abs((ours.permute(1, 2, 0).numpy() * 255) - theirs).max() < 1.51
