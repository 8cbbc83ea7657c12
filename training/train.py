"""Train the built-in x4 network.

    python training/train.py PHOTOS --out RUN --iterations 24000 [--validate FOLDER...]

Writes ``RUN/state.pt`` (to go on from with ``--resume``), ``RUN/compact_x4.safetensors`` (the moving average of the
weights, which is what is released) and ``RUN/log.csv``.
"""

from __future__ import annotations

import argparse
import csv
import math
import time
from copy import deepcopy
from pathlib import Path

import torch
from evaluate import load_pairs, mean_gain
from patches import KINDS, Pairs
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.utils.data import DataLoader

from restore.networks.compact_x4 import SCALE, CompactX4

LUMA = (0.299, 0.587, 0.114)


def initialise(network: CompactX4) -> None:
    """Start every body layer near the identity and the last one near zero, so that the start is near bicubic."""
    nn.init.kaiming_normal_(network.head.weight, a=0.1)
    for convolution in network.body:
        nn.init.kaiming_normal_(convolution.weight, a=0.1)
        with torch.no_grad():
            convolution.weight.mul_(0.3)
            for channel in range(convolution.out_channels):
                convolution.weight[channel, channel, 1, 1] += 1
    nn.init.normal_(network.tail.weight, std=1e-3)
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.zeros_(layer.bias)


def charbonnier(difference: Tensor) -> Tensor:
    """A smooth absolute value (Lai et al. 2017)."""
    return torch.sqrt(difference * difference + 1e-6).mean()


def loss_of(result: Tensor, truth: Tensor) -> Tensor:
    """Charbonnier on RGB and, once more, on the luma, which is what the eye and the figures weigh most."""
    difference = result - truth
    luma = (difference * difference.new_tensor(LUMA)[:, None, None]).sum(dim=1)
    return charbonnier(difference) + charbonnier(luma)


def forward_mixed(network: CompactX4, x: Tensor) -> Tensor:
    """The forward pass with a bfloat16 body; base and last layer stay float32, as at inference."""
    with torch.autocast(x.device.type, torch.bfloat16):
        features = network.features(x)
    return network.image(features.float(), x)


def rate(step: int, iterations: int, peak: float, warm_up: int = 250) -> float:
    """Linear warm-up, then a cosine down to a thousandth of the peak."""
    if step < warm_up:
        return peak * (step + 1) / warm_up
    phase = (step - warm_up) / max(1, iterations - warm_up)
    return peak * (0.001 + 0.999 * 0.5 * (1 + math.cos(math.pi * min(1.0, phase))))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--iterations", type=int, default=24000)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--patch", type=int, default=64, help="side of the low-resolution patch")
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--shares", type=float, nargs=3, default=(0.40, 0.25, 0.35), help=f"of the pairs: {', '.join(KINDS)}"
    )
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--every", type=int, default=500, help="iterations between validations")
    parser.add_argument("--validate", type=Path, nargs="*", default=[])
    parser.add_argument("--resume", action="store_true", help="go on from RUN/state.pt")
    arguments = parser.parse_args()

    torch.manual_seed(arguments.seed)
    arguments.out.mkdir(parents=True, exist_ok=True)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = CompactX4()
    initialise(network)
    network = network.to(device, memory_format=torch.channels_last)
    average = deepcopy(network).requires_grad_(False)
    optimiser = torch.optim.Adam(network.parameters(), lr=arguments.rate, betas=(0.9, 0.99))
    start = 0
    state_path = arguments.out / "state.pt"
    if arguments.resume:
        state = torch.load(state_path, map_location=device, weights_only=True)
        network.load_state_dict(state["network"])
        average.load_state_dict(state["average"])
        optimiser.load_state_dict(state["optimiser"])
        start = state["step"]

    pairs = Pairs(arguments.photos, arguments.patch, SCALE, arguments.seed + start, arguments.shares)
    loader = DataLoader(pairs, batch_size=arguments.batch, num_workers=arguments.workers, prefetch_factor=4)
    validation = {folder.name: load_pairs(folder, SCALE) for folder in arguments.validate}

    log_path = arguments.out / "log.csv"
    is_new = not log_path.exists() or not arguments.resume
    with log_path.open("w" if is_new else "a", newline="") as log_file:
        log = csv.writer(log_file)
        if is_new:
            log.writerow(
                ["step", "minutes", "rate", "loss", *(f"{n} {k}" for n in validation for k in ("clean", "JPEG 40"))]
            )
        began, running = time.monotonic(), 0.0
        for step, (low, high) in enumerate(loader, start):
            if step >= arguments.iterations:
                break
            for group in optimiser.param_groups:
                group["lr"] = rate(step, arguments.iterations, arguments.rate)
            low = low.to(device).contiguous(memory_format=torch.channels_last)
            loss = loss_of(forward_mixed(network, low), high.to(device))
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            decay = min(0.999, (1 + step) / (10 + step))
            with torch.no_grad():
                for kept, current in zip(average.parameters(), network.parameters(), strict=True):
                    kept.lerp_(current, 1 - decay)
            running += loss.item()
            if (step + 1) % arguments.every == 0 or step + 1 == arguments.iterations:
                on_cpu = deepcopy(average).cpu().eval()
                figures = [mean_gain(on_cpu, p, quality) for p in validation.values() for quality in (None, 40)]
                minutes = (time.monotonic() - began) / 60
                current_rate = optimiser.param_groups[0]["lr"]
                mean_loss = running / min(arguments.every, step + 1 - start)
                log.writerow(
                    [
                        step + 1,
                        f"{minutes:.1f}",
                        f"{current_rate:.2e}",
                        f"{mean_loss:.5f}",
                        *(f"{f:+.3f}" for f in figures),
                    ]
                )
                log_file.flush()
                running = 0.0
                state = {
                    "network": network.state_dict(),
                    "average": average.state_dict(),
                    "optimiser": optimiser.state_dict(),
                    "step": step + 1,
                }
                torch.save(state, state_path.with_suffix(".part"))
                state_path.with_suffix(".part").replace(state_path)
                weights = {k: v.contiguous() for k, v in on_cpu.state_dict().items()}
                save_file(weights, arguments.out / "compact_x4.safetensors", metadata={"step": str(step + 1)})


if __name__ == "__main__":
    main()
