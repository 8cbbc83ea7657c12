"""PSNR and SSIM of enlarging clips four times, beside the published figures.

    python benchmarks/vsr_quality.py DATA [--models basicvsr-vimeo …] [--weights FOLDER] [--rgb] [--device auto]

``DATA`` has a folder for each clip, or is one, and in it two folders of numbered pictures: the truth in ``hr`` (or
``GT``) and the same four times as small in ``lr_x4`` (or ``BIx4``, ``BDx4``). So Vid4, REDS4 and UDM10 are laid out
after renaming. Without ``--models``, bicubic interpolation and every model whose weights are at hand are measured;
``--weights`` names a folder with some. ``--rgb`` measures in R'G'B', as it is done for REDS4, instead of in luma (Y of
BT.601, as MATLAB has it), as it is done for the others.

The mean is taken over the frames of a clip and then over the clips, of 8-bit results with their borders, as the authors
of BasicVSR do it; each clip is one window, as far as the memory allows.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import correlate1d

sys.path.insert(0, str(Path(__file__).parents[1]))

import restore
from restore import catalog, networks, weights
from restore.models import offered_for
from restore.settings import Settings, load_settings

SCALE = 4
BICUBIC = "bicubic"
TRUTH, SMALL = ("hr", "GT"), ("lr_x4", "BIx4", "BDx4")

Picture = NDArray[np.uint8]

PUBLISHED = {
    BICUBIC: {"vid4-bi": 23.78},
    "edvr-m": {"reds4": 30.53},
    "edvr-l": {"reds4": 31.09},
    "edvr-l-vimeo": {"vid4-bi": 27.35},
    "basicvsr": {"reds4": 31.4170, "vid4-bi": 27.2694, "vid4-bd": 24.4541, "udm10": 33.4478},
    "basicvsr-vimeo": {"reds4": 30.3128, "vid4-bi": 27.2755, "vid4-bd": 25.0517, "udm10": 34.5554},
    "basicvsr-vimeo-bd": {"reds4": 29.0376, "vid4-bi": 26.2708, "vid4-bd": 27.9791, "udm10": 39.9953},
    "iconvsr": {"reds4": 31.6926, "vid4-bi": 27.4809, "vid4-bd": 25.2110, "udm10": 35.3377},
    "iconvsr-vimeo": {"reds4": 30.3452, "vid4-bi": 27.4238, "vid4-bd": 24.6666, "udm10": 34.2595},
    "iconvsr-vimeo-bd": {"reds4": 29.0150, "vid4-bi": 26.3109, "vid4-bd": 28.2464, "udm10": 40.0640},
    "basicvsr-pp": {"reds4": 32.3855, "vid4-bi": 27.7674, "vid4-bd": 24.6209, "udm10": 34.6868},
    "basicvsr-pp-vimeo": {"reds4": 31.0126, "vid4-bi": 27.7882, "vid4-bd": 23.6086, "udm10": 33.1211},
    "basicvsr-pp-vimeo-bd": {"reds4": 29.2041, "vid4-bi": 26.4377, "vid4-bd": 29.0400, "udm10": 40.7216},
    "pp-msvsr": {"reds4": 31.2535},
    "pp-msvsr-vimeo": {"vid4-bd": 28.13, "udm10": 40.06},
    "pp-msvsr-l": {"reds4": 32.5321},
}
"""PSNR in dB; the sources are in docs/models.md."""


def pictures_in(folder: Path) -> list[Picture]:
    """The pictures of a folder in the order of their names."""
    return [np.asarray(Image.open(path).convert("RGB")) for path in sorted(folder.glob("*.png"))]


def pair_in(folder: Path) -> tuple[Path, Path] | None:
    """The folders with the truth and with the small frames of a clip, where both are there."""
    found = [next((folder / name for name in names if (folder / name).is_dir()), None) for names in (TRUTH, SMALL)]
    return None if None in found else (found[0], found[1])  # type: ignore[return-value]


def clips_in(data: Path) -> dict[str, tuple[list[Picture], list[Picture]]]:
    """The truth and the small frames of each clip, by the name of its folder."""
    clips = {}
    for folder in (data, *sorted(path for path in data.iterdir() if path.is_dir())):
        pair = pair_in(folder)
        if pair is not None:
            truth, small = map(pictures_in, pair)
            clips[folder.name] = truth[: len(small)], small[: len(truth)]
    if not clips:
        raise SystemExit(f"There is no clip in {data}: a clip has folders called {TRUTH[0]} and {SMALL[0]}.")
    return clips


def measured(picture: Picture, *, rgb: bool) -> NDArray[np.float64]:
    """What is compared: the picture, or its luma, in steps of 255, ``(H, W, C)``."""
    values = picture.astype(np.float64)
    if rgb:
        return values
    return (values @ np.array([65.481, 128.553, 24.966]) / 255 + 16)[..., None]


def psnr(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    return float(10 * np.log10(255**2 / np.mean((one - other) ** 2)))


def ssim(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Structural similarity with a Gaussian window of 11 pixels (Wang et al. 2004), the mean of the channels."""
    kernel = np.exp(-((np.arange(11) - 5) ** 2) / (2 * 1.5**2))
    kernel /= kernel.sum()

    def smooth(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return correlate1d(correlate1d(values, kernel, axis=0), kernel, axis=1)[5:-5, 5:-5]

    mean, mean_other = smooth(one), smooth(other)
    variance, variance_other = smooth(one**2) - mean**2, smooth(other**2) - mean_other**2
    together = smooth(one * other) - mean * mean_other
    near, wide = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    alike = (2 * mean * mean_other + near) * (2 * together + wide)
    return float(np.mean(alike / ((mean**2 + mean_other**2 + near) * (variance + variance_other + wide))))


def enlarged(name: str, small: Sequence[Picture], settings: Settings) -> list[Picture]:
    if name == BICUBIC:
        height, width = small[0].shape[:2]
        size = width * SCALE, height * SCALE
        return [np.asarray(Image.fromarray(one).resize(size, Image.Resampling.BICUBIC)) for one in small]
    whole = len(small) if networks.uses_time(name) and len(small) <= 60 else None
    stage = restore.Upscale(model=name, scale=SCALE, num_frames=whole)
    return list(restore.restore_frames(list(small), [stage], settings=settings, cuts=()))


def at_hand(name: str, settings: Settings) -> bool:
    return name == BICUBIC or weights.find(catalog.checkpoint(name), settings) is not None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--models", nargs="+")
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--rgb", action="store_true")
    parser.add_argument("--device", default="auto")
    arguments = parser.parse_args()
    settings = replace(load_settings(), device=arguments.device)
    if arguments.weights is not None:
        settings = replace(settings, weights=(arguments.weights, *settings.weights))
    clips = clips_in(arguments.data)
    names = arguments.models or [name for name in (BICUBIC, *offered_for("upscale")) if at_hand(name, settings)]
    print(f"{'model':28} {'clip':12} {'frames':>6} {'PSNR':>8} {'SSIM':>7}")
    for name in names:
        scores = []
        for clip, (truth, small) in clips.items():
            results = enlarged(name, small, settings)
            pairs = [
                (measured(one, rgb=arguments.rgb), measured(two, rgb=arguments.rgb))
                for one, two in zip(results, truth, strict=True)
            ]
            scores.append([float(np.mean([score(*pair) for pair in pairs])) for score in (psnr, ssim)])
            print(f"{name:28} {clip:12} {len(small):6} {scores[-1][0]:8.3f} {scores[-1][1]:7.4f}", flush=True)
        mean = np.mean(scores, axis=0)
        published = ", ".join(f"{data} {value:.2f}" for data, value in PUBLISHED.get(name, {}).items()) or "none"
        print(f"{name:28} {'mean':12} {'':6} {mean[0]:8.3f} {mean[1]:7.4f}   published PSNR: {published}", flush=True)


if __name__ == "__main__":
    main()
