"""Seconds per megapixel of the networks that make frames between frames, against a plain call of the same network.

    python benchmarks/interpolation.py [--models rife-4.25 ...] [--size 640x360] [--runs 3] [--times 1] [--processor]

The networks get contents of their own making (those of ``tests/fill.py``), which take the same time as the published
ones. The plain call is that of the network in float32 as PyTorch builds it; ours is what the stage does, in float32
and, where the network stands it, in bfloat16. All are timed in turns, in one process, and the medians are printed, with
how far the result in bfloat16 is from that in float32. With ``--times`` several frames are made of each pair, and the
plain call is made once for each. Of DAIN the share of its projection and its warping is printed too. With
``--processor`` the seconds are those of all processors together, which say more where others use the machine.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1]))

from restore import networks
from restore.inference.engine import Engine
from restore.inference.runner import NetworkSource
from restore.interpolation import optical_flow
from restore.interpolation.between import STANDS_LOWER, NetworkBetween
from restore.networks import dain
from restore.progress import Progress
from restore.settings import load_settings
from tests.clips import picture
from tests.fill import fill

CASES = {
    "rife-4.6": "rife46",
    "rife-4.25": "rife425",
    "rife-4.26": "rife426",
    "ifrnet": "ifrnet",
    "super-slomo": "super_slomo",
    "film": "film",
    "dain": "dain",
}
"""The recorded case of each model, whose gains make it find motion of some pixels, as a trained one does."""

PROJECTION = ("project", "adaptive_warp")
"""The functions of DAIN that are no convolutions."""


def contents(name: str) -> dict[str, Tensor]:
    shapes = {key: value.shape for key, value in networks.build(name).state_dict().items()}
    meta = json.loads((Path(__file__).parents[1] / "tests" / "oracles" / CASES[name] / "meta.json").read_text())
    return fill(shapes, meta["fill"].get("gains"), meta["fill"].get("salt", 0))


def seconds(work: Callable[[], Any], clock: Callable[[], float]) -> float:
    began = clock()
    work()
    return clock() - began


def decibels(one: Tensor, other: Tensor) -> float:
    error = float((one - other).square().mean())
    return 99.0 if error == 0 else -10 * math.log10(error)


def measure(name: str, first: Tensor, second: Tensor, runs: int, count: int, clock: Callable[[], float]) -> None:
    state = contents(name)
    source = NetworkSource(name, f"benchmark {name}", lambda: state)
    plain = source.load()
    moments = [(number + 1) / (count + 1) for number in range(count)]

    def call() -> None:
        with torch.inference_mode():
            for moment in moments:
                plain(first[None], second[None], moment)

    ours: dict[str, NetworkBetween] = {}
    for precision in ("float32", "bfloat16"):
        if precision == "float32" or plain.__class__.__module__.rpartition(".")[2] in STANDS_LOWER:
            settings = replace(load_settings(), device="cpu", precision=precision)
            ours[precision] = NetworkBetween(source, Engine.start(settings, Progress()))
    works: dict[str, Callable[[], Any]] = {"plain": call}
    for precision, made in ours.items():
        works[precision] = lambda made=made: list(made.frames(first, second, moments))
    results = {precision: list(made.frames(first, second, moments)) for precision, made in ours.items()}
    taken: dict[str, list[float]] = {label: [] for label in works}
    call()
    for _ in range(runs):
        for label, work in works.items():
            taken[label].append(seconds(work, clock))
    million = first.shape[1] * first.shape[2] * count / 1e6
    medians = {label: statistics.median(values) / million for label, values in taken.items()}
    words = [f"{label} {value:.2f} s/MP ({medians['plain'] / value:.2f}x)" for label, value in medians.items()]
    if "bfloat16" in results:
        words.append(f"{decibels(results['bfloat16'][0], results['float32'][0]):.1f} dB")
    print(f"{name}: {', '.join(words)}")
    if name == "dain":
        print(f"dain: {100 * share_of_projection(call, clock):.1f}% of it in projection and warping")


def share_of_projection(call: Callable[[], Any], clock: Callable[[], float]) -> float:
    """The share of ``call`` that DAIN's projection and warping take."""
    spent = 0.0
    usual = {name: getattr(dain, name) for name in PROJECTION}

    def timed(function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*given: Any, **named: Any) -> Any:
            nonlocal spent
            began = clock()
            result = function(*given, **named)
            spent += clock() - began
            return result

        return run

    for name, function in usual.items():
        setattr(dain, name, timed(function))
    try:
        total = seconds(call, clock)
    finally:
        for name, function in usual.items():
            setattr(dain, name, function)
    return spent / total


def measure_built_in(first: Tensor, second: Tensor, runs: int, count: int, clock: Callable[[], float]) -> None:
    moments = [(number + 1) / (count + 1) for number in range(count)]

    def work() -> None:
        motion = optical_flow.prepare(first, second)
        for moment in moments:
            optical_flow.at(motion, moment)

    work()
    million = first.shape[1] * first.shape[2] * count / 1e6
    print(f"built-in: {statistics.median(seconds(work, clock) for _ in range(runs)) / million:.2f} s/MP")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--size", default="640x360")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--times", type=int, default=1)
    parser.add_argument("--processor", action="store_true")
    arguments = parser.parse_args()
    clock = time.process_time if arguments.processor else time.perf_counter
    width, height = (int(side) for side in arguments.size.split("x"))
    first, second = (
        torch.from_numpy(picture(number, width, height)).permute(2, 0, 1).float() / 255 for number in (0, 1)
    )
    print(f"{width}x{height}, {arguments.times} between, {torch.get_num_threads()} threads, torch {torch.__version__}")
    measure_built_in(first, second, arguments.runs, arguments.times, clock)
    for name in arguments.models:
        measure(name, first, second, arguments.runs, arguments.times, clock)


if __name__ == "__main__":
    main()
