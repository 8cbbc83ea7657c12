"""Time the networks that colour, and compare their results in bfloat16 with those in float32.

    python benchmarks/colour.py PHOTO [MODEL ...] [--weights FOLDER]

The photo is turned grey and goes through ``restore_frames`` at 1 megapixel; DeepRemaster gets it five times, as it
works on blocks of five frames. Where no weights are at hand the networks get contents of their own making, which take
as long as the published ones; PSNR between the two precisions is that of the pictures with their own luma, as they are
shown. Seconds are those of the processor for a frame, of one run with one thread, after one that is not counted.
"""

from __future__ import annotations

import argparse
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))

import restore
from restore import catalog
from restore.colour.deepremaster import BLOCK
from restore.frame import Frame
from restore.inference.runner import NetworkSource
from restore.models import Model, offered_for
from restore.stages import colorize
from tests.oracle_runners.case import Case

SIZE = (1152, 868)
"""Columns and rows: 1 megapixel."""

CASES = Path(__file__).parents[1] / "tests" / "oracles"


def made(name: str) -> Model:
    """The model ``name`` with contents of their own making: those of the recorded case of the same kind of network."""
    entry = catalog.checkpoint(name)
    folder = {"ddcolor-artistic": "ddcolor_large"}.get(name, name.replace("-", "_"))
    state = Case(CASES / folder, name).network().state_dict()
    return Model(NetworkSource(entry.name, f"made for {name}", lambda: state), ())


def timed(name: str, photo: Image.Image, precision: str, weights: tuple[Path, ...]) -> tuple[float, np.ndarray]:
    """Seconds of the processor for a frame, and the picture in float."""
    grey = torch.from_numpy(np.asarray(photo.resize(SIZE).convert("L").convert("RGB")).copy())
    pixels = grey.permute(2, 0, 1).float() / 255
    count = BLOCK if name == colorize.DEEPREMASTER else 1
    step = restore.Colorize(model=name, steadiness=0)
    settings = restore.Settings(device="cpu", precision=precision, weights=weights)
    seconds, last = 0.0, pixels
    for _ in range(2):
        frames = [Frame(pixels + index / 1e6) for index in range(count)]
        began = time.process_time()
        for frame in restore.restore_frames(frames, [step], cuts=None, settings=settings):
            last = frame.pixels
        seconds = (time.process_time() - began) / count
    return seconds, last.numpy()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photo", type=Path)
    parser.add_argument("models", nargs="*")
    parser.add_argument("--weights", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    weights = () if options.weights is None else (options.weights,)
    print("model               float32  bfloat16  times   PSNR   weights", flush=True)
    with Image.open(options.photo) as photo:
        for name in options.models or offered_for("colorize"):
            published = catalog.checkpoint(name).package_file is not None or bool(weights)
            model = None if published else made(name)
            own = mock.patch.object(colorize, "open_model", lambda *_, model=model: model)
            with nullcontext() if published else own:
                slow, exact = timed(name, photo, "float32", weights)
                fast, near = timed(name, photo, "bfloat16", weights)
            error = float(np.mean((exact - near) ** 2))
            psnr = 10 * np.log10(1 / error) if error else float("inf")
            print(
                f"{name:18} {slow:7.2f} s {fast:7.2f} s  {slow / fast:5.2f}  {psnr:5.1f}  "
                f"{'published' if published else 'made here'}",
                flush=True,
            )


if __name__ == "__main__":
    main()
