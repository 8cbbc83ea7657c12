"""PSNR on Y of an x4 network over bicubic interpolation, on pairs of clean pictures and on their JPEG versions.

    python training/evaluate.py WEIGHTS FOLDER [FOLDER...]

A folder holds either pairs named ``*_HR.*`` and ``*_LR.*``, or pictures, from which the low-resolution input is made
with bicubic interpolation. Y is that of BT.601 in the range of video, as the literature has it; four pixels at each
border are left out.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
import torch
from degradations import Picture, bicubic, clean, jpeg, quantize
from patches import list_pictures
from safetensors.torch import load_file
from torch import nn

from restore.networks.compact_x4 import CompactX4

BORDER = 4


def read(path: Path) -> Picture:
    return cv2.imread(str(path), cv2.IMREAD_COLOR)[..., ::-1].astype(np.float32) / 255


def luma(picture: Picture) -> np.ndarray:
    """BT.601 Y in [16, 235] of a picture in [0, 1]."""
    return picture.astype(np.float64) @ np.array([65.481, 128.553, 24.966]) + 16


def psnr(result: Picture, truth: Picture) -> float:
    difference = (luma(result) - luma(truth))[BORDER:-BORDER, BORDER:-BORDER]
    return float(10 * np.log10(255**2 / np.mean(difference**2)))


def load_pairs(folder: Path, scale: int) -> dict[str, tuple[Picture, Picture]]:
    """``{name: (low, high)}`` of a folder."""
    paths = list_pictures(folder)
    pairs: dict[str, tuple[Picture, Picture]] = {}
    for path in paths:
        if "_LR" in path.stem:
            continue
        high = read(path)
        if "_HR" in path.stem:
            low = read(path.with_name(path.name.replace("_HR", "_LR")))
        else:
            high = high[: high.shape[0] // scale * scale, : high.shape[1] // scale * scale]
            low = clean(high, scale)
        pairs[path.stem.replace("_HR", "")] = low, high
    return pairs


def enlarge(network: nn.Module, picture: Picture) -> Picture:
    x = torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))[None]
    with torch.inference_mode():
        y = network(x.contiguous(memory_format=torch.channels_last))
    return quantize(y[0].numpy().transpose(1, 2, 0))


def gains(
    network: nn.Module, pairs: dict[str, tuple[Picture, Picture]], quality: int | None
) -> dict[str, tuple[float, float]]:
    """``{name: (PSNR of bicubic, PSNR of the network)}``; the input goes through JPEG where ``quality`` is given."""
    result = {}
    for name, (low, high) in pairs.items():
        source = low if quality is None else jpeg(low, quality)
        plain = quantize(bicubic(source, high.shape[1], high.shape[0]))
        result[name] = psnr(plain, high), psnr(enlarge(network, source), high)
    return result


def mean_gain(network: nn.Module, pairs: dict[str, tuple[Picture, Picture]], quality: int | None) -> float:
    return float(np.mean([after - before for before, after in gains(network, pairs, quality).values()]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path)
    parser.add_argument("folders", type=Path, nargs="+")
    arguments = parser.parse_args()
    network = CompactX4().eval()
    network.load_state_dict({k: v.float() for k, v in load_file(arguments.weights).items()})
    for folder in arguments.folders:
        pairs = load_pairs(folder, scale=4)
        for quality in (None, 40):
            rows = gains(network, pairs, quality)
            title = "clean" if quality is None else f"JPEG {quality}"
            for name, (before, after) in rows.items():
                print(f"{folder.name:24} {title:8} {name:16} {before:6.2f} -> {after:6.2f}  {after - before:+.2f} dB")
            before, after = np.mean(list(rows.values()), axis=0)
            print(f"{folder.name:24} {title:8} {'mean':16} {before:6.2f} -> {after:6.2f}  {after - before:+.2f} dB")


if __name__ == "__main__":
    main()
