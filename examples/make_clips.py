"""Make the clips of this folder: ``python examples/make_clips.py [FOLDER]``.

Each is a slow move over one of the pictures that ``make.py`` begins with, three seconds long, with sound.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from pathlib import Path

import av
import illustration
import numpy as np
import skimage.data
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame
from numpy.typing import NDArray
from PIL import Image, ImageDraw

HERE = Path(__file__).parent
WIDTH, HEIGHT, RATE, FRAMES = 320, 240, 24, 72
SOUND_RATE = 24000
SAMPLES = SOUND_RATE * FRAMES // RATE

Samples = NDArray[np.float64]


def look(picture: Image.Image, left: float, top: float, width: float) -> Image.Image:
    """The part of ``picture`` that begins at ``left``, ``top`` and is ``width`` wide, as a frame."""
    box = (left, top, left + width, top + width * HEIGHT / WIDTH)
    return picture.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS, box=box)


def film() -> Iterator[Image.Image]:
    """A photograph as a film of the silent years: it flickers, trembles, and is full of grain, dust and scratches."""
    random = np.random.default_rng(1912)
    photo = Image.fromarray(skimage.data.camera())
    scratch = 0.7 * WIDTH
    for index in range(FRAMES):
        path = index / (FRAMES - 1)
        weave = random.normal(0, 0.6, 2)
        picture = look(photo, 30 + 130 * path + weave[0], 40 + 30 * path + weave[1], 300)
        scratch += random.normal(0, 1.5)
        draw = ImageDraw.Draw(picture)
        draw.line([(scratch, 0), (scratch + random.normal(0, 1), HEIGHT)], fill=235)
        for _ in range(random.poisson(2)):
            x, y, radius = random.uniform(0, WIDTH), random.uniform(0, HEIGHT), random.uniform(0.5, 2.5)
            draw.ellipse([x - radius, y - radius, x + radius, y + radius], fill=int(random.choice([25, 240])))
        tone = 30 + np.asarray(picture, float) * 0.72 * random.normal(1, 0.035)
        grain = np.asarray(Image.fromarray(random.normal(0, 7, (HEIGHT // 2, WIDTH // 2))).resize((WIDTH, HEIGHT)))
        yield Image.fromarray((tone + grain).clip(0, 255).astype(np.uint8)).convert("RGB")


def anime() -> Iterator[Image.Image]:
    """The drawing in the manner of anime, which shows every picture for three frames."""
    drawing = illustration.draw()
    width = drawing.width
    for index in range(FRAMES):
        path = (index // 3) / (FRAMES / 3 - 1)
        span = width * (1 - 0.35 * path)
        yield look(drawing, (width - span) * 0.5, drawing.height * (0.06 + 0.2 * path), span)


def cat() -> Iterator[Image.Image]:
    """A photograph, as a camera would film it that comes nearer."""
    photo = Image.fromarray(skimage.data.chelsea())
    for index in range(FRAMES):
        path = index / (FRAMES - 1)
        yield look(photo, 15 + 80 * path, 10 + 25 * path, 380 - 130 * path)


def projector() -> Samples:
    """The rattle of a projector: a knock for every frame, over a hum."""
    random = np.random.default_rng(1912)
    seconds = np.arange(SAMPLES) / SOUND_RATE
    knock = np.exp(-(seconds * RATE % 1) * 9)
    return 0.05 * np.sin(2 * np.pi * 50 * seconds) + 0.12 * knock * random.normal(0, 1, SAMPLES)


def tune(notes: tuple[float, ...]) -> Callable[[], Samples]:
    """A few notes on something like a music box, given as their frequencies."""

    def play() -> Samples:
        seconds = np.arange(SAMPLES) / SOUND_RATE
        length = FRAMES / RATE / len(notes)
        pitch = np.array(notes)[np.minimum((seconds / length).astype(int), len(notes) - 1)]
        since = seconds % length
        return 0.25 * np.exp(-4 * since) * np.sin(2 * np.pi * pitch * since)

    return play


# How each is made: its frames, its sound, and the quality that it is encoded in.
CLIPS: Mapping[str, tuple[Callable[[], Iterator[Image.Image]], Callable[[], Samples], int]] = {
    "clip_film.mp4": (film, projector, 25),
    "clip_anime.mp4": (anime, tune((523.3, 659.3, 784.0, 659.3, 880.0, 784.0)), 26),
    "clip_cat.mp4": (cat, tune((392.0, 329.6, 293.7, 261.6)), 28),
}


def write(path: Path, frames: Iterator[Image.Image], sound: Samples, quality: int) -> None:
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        video = container.add_stream("libx264", rate=RATE, options={"crf": str(quality), "preset": "slow"})
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        audio = container.add_stream("aac", rate=SOUND_RATE, layout="mono")
        audio.bit_rate = 40_000
        for picture in frames:
            container.mux(video.encode(VideoFrame.from_image(picture)))
        samples = (sound.clip(-1, 1) * 32767).astype(np.int16)[None]
        heard = AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        heard.sample_rate, heard.pts, heard.time_base = SOUND_RATE, 0, Fraction(1, SOUND_RATE)
        container.mux(audio.encode(heard))
        for stream in (video, audio):
            container.mux(stream.encode(None))


def main(folder: Path = HERE) -> None:
    for name, (frames, sound, quality) in CLIPS.items():
        write(folder / name, frames(), sound(), quality)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
