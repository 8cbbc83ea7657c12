"""The built-in model does what it is there for: it is better than bicubic, and it adds nothing of its own."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

import restore

STEPS = [{"stage": "upscale", "model": "built-in", "scale": 4}]
CPU = restore.Settings(device="cpu")


def drawing(side: int = 512) -> Image.Image:
    """Discs, lines and letters with smooth edges on a soft ground."""
    canvas = Image.linear_gradient("L").resize((2 * side, 2 * side)).convert("RGB")
    draw = ImageDraw.Draw(canvas)
    random = np.random.default_rng(7)
    for _ in range(9):
        x, y, r = random.integers(0, 2 * side, 3)
        colour = tuple(int(v) for v in random.integers(0, 256, 3))
        draw.ellipse((x, y, x + r // 2 + 40, y + r // 2 + 40), fill=colour)
        draw.line((x, y, y, r), fill=colour[::-1], width=int(r % 13) + 12)
        draw.text((r, x), "1926", fill=colour, font_size=160)
    return canvas.resize((side, side), Image.Resampling.LANCZOS)


def psnr(a: Image.Image, b: Image.Image) -> float:
    difference = np.asarray(a.convert("RGB"), dtype=float) - np.asarray(b.convert("RGB"), dtype=float)
    return float(10 * np.log10(255**2 / np.mean(difference**2)))


@pytest.mark.parametrize(("quality", "gain"), [(None, 2.0), (40, 0.3)])
def test_it_is_better_than_bicubic(tmp_path: Path, quality: int | None, gain: float) -> None:
    truth = drawing()
    small = truth.resize((128, 128), Image.Resampling.BICUBIC)
    if quality is not None:
        file = io.BytesIO()
        small.save(file, "JPEG", quality=quality)
        small = Image.open(file).convert("RGB")
    small.save(tmp_path / "small.png")
    restore.restore_image(tmp_path / "small.png", tmp_path / "large.png", STEPS, settings=CPU)
    with Image.open(tmp_path / "large.png") as result:
        assert psnr(result, truth) > psnr(small.resize(truth.size, Image.Resampling.BICUBIC), truth) + gain


@pytest.mark.parametrize("colour", [(0, 0, 0), (128, 128, 128), (255, 255, 255), (200, 40, 90)])
def test_it_shifts_no_colour_and_draws_no_pattern(tmp_path: Path, colour: tuple[int, int, int]) -> None:
    Image.new("RGB", (40, 30), colour).save(tmp_path / "flat.png")
    restore.restore_image(tmp_path / "flat.png", tmp_path / "large.png", STEPS, settings=CPU)
    with Image.open(tmp_path / "large.png") as result:
        inside = np.asarray(result)[8:-8, 8:-8].astype(int)
    assert np.abs(inside - colour).max() <= 2
    assert inside.std(axis=(0, 1)).max() < 0.6
