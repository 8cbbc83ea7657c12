"""Make the pictures of this folder: ``python examples/make.py [FOLDER]``.

``portrait.jpg`` is a photograph and is not made here. The other two photographs come with scikit-image, which
requirements.txt installs; README.md names their photographers.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import illustration
import numpy as np
import skimage.data
from PIL import Image, ImageDraw, ImageFilter

HERE = Path(__file__).parent
PAPER = (233, 220, 190)


def old_scan() -> Image.Image:
    """A photograph as a print that has lain in a drawer for decades: faded, brown, scratched, creased, dusty."""
    random = np.random.default_rng(1937)
    photo = Image.fromarray(skimage.data.camera()).crop((0, 36, 384, 496)).filter(ImageFilter.GaussianBlur(0.8))
    width, height = photo.size

    print_ = Image.new("RGB", (width + 44, height + 44), PAPER)
    tone = np.asarray(photo, float)[..., None] / 255
    dark, light = np.array([62, 44, 30.0]), np.array([226, 204, 164.0])
    print_.paste(Image.fromarray((dark + (light - dark) * tone**0.9).round().astype(np.uint8)), (22, 22))
    pixels = np.asarray(print_, float)

    # Light has bleached one corner, and the paper has yellowed from the edges.
    rows, columns = np.mgrid[0 : print_.height, 0 : print_.width]
    bleached = np.exp(-((columns / print_.width - 1) ** 2 + (rows / print_.height) ** 2) / 0.18)[..., None]
    pixels += (np.array([236, 222, 188]) - pixels) * 0.5 * bleached
    inwards = np.minimum.reduce([rows, columns, print_.height - rows, print_.width - columns])[..., None]
    pixels *= 1 - np.array([0.08, 0.14, 0.26]) * np.exp(-inwards / 26)

    pixels += random.normal(0, 8, (print_.height, print_.width, 1))
    aged = Image.fromarray(pixels.clip(0, 255).round().astype(np.uint8))
    damage(aged, random)
    turned = aged.rotate(0.7, Image.Resampling.BICUBIC, fillcolor=(70, 66, 62))
    return turned.resize((round(aged.width * 0.75), round(aged.height * 0.75)), Image.Resampling.LANCZOS)


def damage(picture: Image.Image, random: np.random.Generator) -> None:
    """Draw dust, hairs, scratches and a crease on ``picture``."""
    draw = ImageDraw.Draw(picture, "RGBA")
    width, height = picture.size
    for _ in range(90):
        x, y, radius = random.uniform(0, width), random.uniform(0, height), random.uniform(0.3, 1.5)
        shade = (250, 240, 215, 200) if random.random() < 0.7 else (50, 36, 26, 170)
        draw.ellipse([x - radius, y - radius, x + radius, y + radius], fill=shade)
    for _ in range(6):
        x, drift = random.uniform(0, width), random.normal(0, 1.2)
        first, last = np.sort(random.uniform(0, height, 2))
        line = [(x + drift * (y - first) / 40, y) for y in np.arange(first, last, 6)]
        draw.line(line, fill=(246, 234, 206, 130), width=1)
    for _ in range(3):
        x, y, heading = random.uniform(60, width - 60), random.uniform(60, height - 60), random.uniform(0, 6.28)
        hair = []
        for _ in range(14):
            heading += random.normal(0.12, 0.2)
            x, y = x + 3 * np.cos(heading), y + 3 * np.sin(heading)
            hair.append((x, y))
        draw.line(hair, fill=(44, 32, 24, 170), width=1)
    steps = np.linspace(0, 1, 60)
    crease = [(width * (0.62 + 0.38 * t) + random.normal(0, 0.7), height * (1 - 0.3 * t)) for t in steps]
    draw.line([(x + 1.5, y + 1.5) for x, y in crease], fill=(60, 44, 32, 120), width=2)
    draw.line(crease, fill=(248, 238, 214, 220), width=2)


def cat() -> Image.Image:
    """A photograph at half its size, otherwise as it is."""
    photo = Image.fromarray(skimage.data.chelsea())
    return photo.resize((photo.width // 2, photo.height // 2), Image.Resampling.LANCZOS)


def drawing() -> Image.Image:
    """The illustration as it would be found on a web page of long ago."""
    return illustration.draw().resize((300, 360), Image.Resampling.LANCZOS)


# The quality each is saved in as JPEG, and how it is made.
PICTURES: Mapping[str, tuple[int, Callable[[], Image.Image]]] = {
    "old_scan.jpg": (60, old_scan),
    "illustration.jpg": (55, drawing),
    "cat.jpg": (85, cat),
}


def main(folder: Path = HERE) -> None:
    for name, (quality, make) in PICTURES.items():
        make().save(folder / name, quality=quality)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
