"""How much tiles change the result of a network: the largest difference, and the gradient across the borders of tiles.

    python benchmarks/seams.py MODEL [--weights FOLDER] [--picture FILE] [--size 256] [--tile 96]

Without the published weights the network has fresh random ones, and the figures only say something about its shape.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor
from upscale import load_picture

sys.path.insert(0, str(Path(__file__).parents[1]))

from restore import models, networks, weights
from restore.inference.engine import Engine
from restore.inference.runner import NetworkSource, Runner
from restore.inference.tiles import divide
from restore.progress import Meter, Progress
from restore.settings import load_settings


def gradient(image: Tensor, borders: list[int]) -> float:
    """Mean absolute step across the rows and columns ``borders``."""
    rows = torch.cat([(image[:, b] - image[:, b - 1]).abs().flatten() for b in borders])
    columns = torch.cat([(image[:, :, b] - image[:, :, b - 1]).abs().flatten() for b in borders])
    return float(torch.cat([rows, columns]).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--weights", type=Path, default=None)
    parser.add_argument("--picture", type=Path, default=None)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--tile", type=int, default=96)
    arguments = parser.parse_args()

    settings = replace(load_settings(), precision="float32")
    if arguments.weights:
        settings = replace(settings, weights=(arguments.weights,))
    engine = Engine.start(settings, Progress())
    if weights.find(arguments.model, settings):
        source, kind = models.open_model(arguments.model, engine).source, "published weights"
    else:
        torch.manual_seed(0)
        # A fresh RRDBNet has blocks that do next to nothing (their weights start at a tenth); these do something.
        fresh = networks.build(arguments.model).state_dict()
        state = {key: 10 * value if ".rdb" in key else value for key, value in fresh.items()}
        source, kind = NetworkSource(arguments.model, "random", lambda: state), "random weights"

    picture = torch.from_numpy(load_picture(arguments.picture, arguments.size, arguments.size).copy())
    picture = picture.float().div(255).permute(2, 0, 1)

    def run(tile: int) -> Tensor:
        own = Engine(replace(settings, tile=tile), engine.progress, engine.device)
        return Runner(source, own).enlarge(picture, 8, Meter(engine.progress, "tiles").part(1))

    traits = source.traits
    whole, tiled = run(arguments.size), run(arguments.tile)
    spans = divide(0, arguments.size, arguments.size, arguments.tile, traits.context, traits.multiple)
    borders = [span.start * traits.scale for span in spans[1:]]
    print(f"{arguments.model} ({kind}), {arguments.size} px, tile {arguments.tile}, context {traits.context}")
    print(f"  largest difference {float((tiled - whole).abs().max()):.2e}")
    print(f"  gradient across borders: {gradient(tiled, borders) / gradient(whole, borders):.4f} times the untiled one")


if __name__ == "__main__":
    main()
