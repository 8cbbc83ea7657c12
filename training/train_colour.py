"""Train the built-in colourizer.

    python training/train_colour.py PHOTOS --out RUN [--validate FOLDER]

Writes ``RUN/places.pt`` (what was read of the photos; kept for another run with the same photos and views),
``RUN/colour_small.safetensors`` (the moving average of the weights, which is what is released) and
``RUN/log_colour.csv``.
"""

from __future__ import annotations

import argparse
import csv
import math
from copy import deepcopy
from pathlib import Path

import numpy as np
import torch
from colour_photos import Photos, palette
from evaluate_colour import load_photos, mean_figures
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from restore.networks.colour_small import ColourSmall, features

STEP = 11.0
"""Distance of the colours of the palette in a and b."""

LEAST = 8e-4
"""Share of the pixels that a colour must have to enter the palette."""

SPREAD = 8.0
"""Standard deviation in a and b over which a place's true colour is shared among the colours of the palette."""

TEMPERATURES = (1.0, 0.5)
"""At which the validation looks."""


def shares_of(chroma: Tensor, colours: Tensor) -> Tensor:
    """How much of each colour of the palette the true chroma ``(N, 2)`` is: ``(N, K)``, summing to 1."""
    distance = (chroma[:, None] - colours).square().sum(dim=-1)
    return torch.softmax(-distance / (2 * SPREAD**2), dim=-1)


def balance(chroma: Tensor, colours: Tensor, share: float) -> Tensor:
    """The weight of each colour, with mean 1 over the places (Zhang et al. 2016).

    ``share`` says how far those of rare colours are raised: 0 not at all, 1 until all colours count the same.
    """
    frequency = shares_of(chroma, colours).mean(dim=0)
    weight = 1 / ((1 - share) * frequency + share / len(colours))
    return weight / (weight * frequency).sum()


def loss_of(logits: Tensor, chroma: Tensor, colours: Tensor, weights: Tensor) -> Tensor:
    """Cross entropy, weighed by the rarity of the true colour, and the distance of the mean from the true colour."""
    truth = shares_of(chroma, colours)
    logarithm = torch.log_softmax(logits, dim=1)
    entropy = ((truth @ weights) * -(truth * logarithm).sum(dim=1)).mean()
    return entropy + 0.03 * functional.smooth_l1_loss(logarithm.exp() @ colours, chroma, beta=5.0)


@torch.no_grad()
def places_of(photos: Photos, views: int, each: int, seed: int) -> tuple[Tensor, Tensor]:
    """What is read of ``each`` places of ``views`` views, ``(N, FEATURES)``, and their true a and b, ``(N, 2)``."""
    random = torch.Generator().manual_seed(seed)
    read, true = [], []
    for _, (lightness, height, chroma) in zip(range(views), photos, strict=False):
        chosen = torch.randperm(chroma[0].numel(), generator=random)[:each]
        read.append(features(lightness[None], height[None])[0].flatten(1)[:, chosen].T)
        true.append(chroma.flatten(1)[:, chosen].T)
    return torch.cat(read), torch.cat(true)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--views", type=int, default=2400)
    parser.add_argument("--each", type=int, default=256, help="places of a view")
    parser.add_argument("--size", type=int, default=128, help="side of a view")
    parser.add_argument("--iterations", type=int, default=700)
    parser.add_argument("--batch", type=int, default=1024)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--dropout", type=float, default=0.6)
    parser.add_argument("--balance", type=float, default=0.3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--every", type=int, default=350, help="iterations between validations")
    parser.add_argument("--validate", type=Path)
    arguments = parser.parse_args()

    torch.manual_seed(arguments.seed)
    torch.set_num_threads(1)
    arguments.out.mkdir(parents=True, exist_ok=True)
    photos = Photos(arguments.photos, arguments.size, arguments.seed)
    colours = torch.from_numpy(palette(photos.photos, STEP, LEAST))
    kept = arguments.out / "places.pt"
    if not kept.exists():
        torch.save(places_of(photos, arguments.views, arguments.each, arguments.seed), kept)
    read, chroma = torch.load(kept, weights_only=True)
    network = ColourSmall(len(colours), arguments.width, dropout=arguments.dropout)
    network.palette.copy_(colours)
    network.centre.copy_(read.mean(dim=0)[:, None, None])
    network.spread.copy_(read.std(dim=0).clamp_min(1e-3)[:, None, None])
    average = deepcopy(network).requires_grad_(False).eval()
    optimiser = torch.optim.AdamW(network.parameters(), lr=arguments.rate, weight_decay=0.05)
    weights = balance(chroma, colours, arguments.balance)
    validation = load_photos(arguments.validate, 256) if arguments.validate else {}
    print(
        f"{len(photos.photos)} photos, {len(colours)} colours, {sum(p.numel() for p in network.parameters())} weights"
    )

    with (arguments.out / "log_colour.csv").open("w", newline="") as log_file:
        log = csv.writer(log_file)
        columns = [f"{what} at {t}" for t in TEMPERATURES for what in ("colourfulness", "CIEDE2000 less grey's")]
        log.writerow(["step", "rate", "loss", *columns])
        losses = []
        for step in range(1, arguments.iterations + 1):
            rate = arguments.rate * (0.002 + 0.998 * 0.5 * (1 + math.cos(math.pi * step / arguments.iterations)))
            for group in optimiser.param_groups:
                group["lr"] = rate
            chosen = torch.randint(len(read), (arguments.batch,))
            logits = network.logits(read[chosen][:, :, None, None])[:, :, 0, 0]
            loss = loss_of(logits, chroma[chosen], colours, weights)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            optimiser.step()
            losses.append(loss.item())
            with torch.no_grad():
                for moving, current in zip(average.parameters(), network.parameters(), strict=True):
                    moving.lerp_(current, 1 - min(0.99, step / (10 + step)))
            if step % arguments.every == 0 or step == arguments.iterations:
                row = []
                for temperature in TEMPERATURES if validation else ():
                    average.temperature = temperature
                    found = mean_figures(average, validation)
                    row.append(f"{found.colour_of_result / found.colour_of_photo:.3f}")
                    row.append(f"{found.difference_of_result - found.difference_of_grey:+.3f}")
                log.writerow([step, f"{rate:.2e}", f"{np.mean(losses):.4f}", *row])
                log_file.flush()
                losses = []
                released = {key: value.contiguous() for key, value in average.state_dict().items()}
                save_file(released, arguments.out / "colour_small.safetensors", metadata={"step": str(step)})


if __name__ == "__main__":
    main()
