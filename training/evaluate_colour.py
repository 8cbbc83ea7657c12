"""How believable the colours of the built-in colourizer are.

python training/evaluate_colour.py WEIGHTS FOLDER... [--out PICTURES]

For each photo: its colourfulness (Hasler and Süsstrunk 2003) and that of the result, and the mean CIEDE2000 to the
photo of the grey picture and of the result.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from colour_photos import colourfulness, lab_of, read
from patches import list_pictures
from safetensors.torch import load_file
from skimage.color import deltaE_ciede2000
from torch import nn

from restore.colour.eight_bits import BT_601
from restore.colour.small import colourise
from restore.networks.colour_small import ColourSmall


class Figures(NamedTuple):
    colour_of_photo: float
    colour_of_result: float
    difference_of_grey: float
    difference_of_result: float


def load_photos(folder: Path, largest: int | None = None) -> dict[str, np.ndarray]:
    """``{name: (H, W, 3) in [0, 1]}``, reduced to at most ``largest`` pixels on the longer side."""
    photos = {}
    for path in list_pictures(folder):
        photo = read(path)
        factor = min(1.0, largest / max(photo.shape[:2])) if largest else 1.0
        photos[path.stem] = cv2.resize(photo, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    return photos


def result_of(network: nn.Module, photo: np.ndarray) -> np.ndarray:
    frames = torch.from_numpy(np.ascontiguousarray(photo.transpose(2, 0, 1)))[None]
    with torch.inference_mode():
        result = colourise(network, frames)[0].numpy().transpose(1, 2, 0)
    return np.round(result * 255) / 255


def figures(network: nn.Module, photo: np.ndarray) -> Figures:
    result = result_of(network, photo)
    grey = np.repeat((photo @ np.array(BT_601, dtype=np.float32))[..., None], 3, axis=2)
    truth = lab_of(photo)
    return Figures(
        colourfulness(photo * 255),
        colourfulness(result * 255),
        float(deltaE_ciede2000(truth, lab_of(grey)).mean()),
        float(deltaE_ciede2000(truth, lab_of(result.astype(np.float32))).mean()),
    )


def mean_figures(network: nn.Module, photos: dict[str, np.ndarray]) -> Figures:
    return Figures(*np.mean([figures(network, photo) for photo in photos.values()], axis=0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, help="where to write the results, as PNG")
    parser.add_argument("--temperature", type=float, default=1.0)
    parser.add_argument("--gain", type=float, default=1.0)
    arguments = parser.parse_args()
    state = {key: value.float() for key, value in load_file(arguments.weights).items()}
    network = ColourSmall(len(state["palette"]), len(state["first.bias"]), arguments.temperature, arguments.gain).eval()
    network.load_state_dict(state)
    for folder in arguments.folders:
        rows = []
        for name, photo in load_photos(folder).items():
            rows.append(figures(network, photo))
            print_row(folder.name, name, rows[-1])
            if arguments.out:
                arguments.out.mkdir(parents=True, exist_ok=True)
                picture = (result_of(network, photo) * 255).round().astype(np.uint8)
                cv2.imwrite(str(arguments.out / f"{folder.name}_{name}.png"), picture[..., ::-1])
        print_row(folder.name, "mean", Figures(*np.mean(rows, axis=0)))


def print_row(folder: str, name: str, row: Figures) -> None:
    print(
        f"{folder:10} {name:24} colourfulness {row.colour_of_photo:5.1f} -> {row.colour_of_result:5.1f}"
        f" ({row.colour_of_result / max(1e-6, row.colour_of_photo):4.0%})"
        f"  CIEDE2000 grey {row.difference_of_grey:5.2f}, result {row.difference_of_result:5.2f}"
    )


if __name__ == "__main__":
    main()
