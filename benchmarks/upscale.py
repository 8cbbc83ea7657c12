"""Time and peak memory of our upscaling against the official ``RealESRGANer``, on the same weights and picture.

    python benchmarks/upscale.py --weights FOLDER [--picture FILE] [--sizes 640x480 1920x1080] [--runs 3]

``FOLDER`` holds ``realesr-general-x4v3.pth``. Each measurement is a process of its own: it opens the network, runs
once to warm up, and then times whole runs, from an 8-bit picture in memory to an 8-bit picture in memory. The
contenders take turns. Printed are medians, the ratio, the PSNR between our result and the one in float32, the speed
of the built-in model next to ``realesr-general-x4v3``, and the fraction reached of the rate at which the machine
multiplies matrices.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))

from restore import networks
from restore.frame import Frame
from restore.inference.device import choose_device, choose_precision, name_of
from restore.inference.engine import Engine
from restore.networks._basicsr import architecture
from restore.progress import Progress
from restore.settings import Settings, load_settings
from restore.stages import Upscale

MODEL = "realesr-general-x4v3"
Picture = NDArray[np.uint8]


def load_picture(path: Path | None, width: int, height: int) -> Picture:
    """The picture, cropped to the shape and resized; without one, a drawn pattern with noise."""
    if path is None:
        y, x = np.mgrid[0:height, 0:width]
        noise = np.random.default_rng(0).normal(0, 6, (height, width, 3))
        waves = np.stack([np.sin(x / 9 + y / 31), np.cos(x / 17 - y / 7), np.sin(x * y / 4000)], axis=-1)
        return np.clip(waves * 90 + 128 + noise, 0, 255).astype(np.uint8)
    with Image.open(path) as image:
        image = image.convert("RGB")
        scale = max(width / image.width, height / image.height)
        left, top = (image.width - width / scale) / 2, (image.height - height / scale) / 2
        box = (left, top, left + width / scale, top + height / scale)
        return np.asarray(image.resize((width, height), Image.Resampling.LANCZOS, box=box))


def our_runner(model: str, settings: Settings) -> Callable[[Picture], Picture]:
    engine = Engine.start(settings, Progress())
    opened = Upscale(model=model, scale=4, denoise=1).open(engine)

    def run(picture: Picture) -> Picture:
        pixels = torch.from_numpy(picture).float().div_(255).permute(2, 0, 1)
        (frame,) = opened.run([Frame(pixels)], engine)
        return frame.pixels.mul(255).round_().to(torch.uint8).permute(1, 2, 0).contiguous().numpy()

    return run


def official_runner(weights: Path) -> Callable[[Picture], Picture]:
    cuda = torch.cuda.is_available()
    upsampler = architecture("realesrgan.utils", "RealESRGANer")(
        scale=4, model_path=str(weights / f"{MODEL}.pth"), model=networks.build(MODEL), pre_pad=0, half=cuda
    )
    return lambda picture: upsampler.enhance(picture[..., ::-1])[0][..., ::-1]


def matrix_rate(settings: Settings) -> tuple[float, str]:
    """GFLOP/s of the best matrix product in the precision that our networks run in here, and that precision."""
    device = choose_device(settings)
    dtype = choose_precision(settings, device)
    side = 8192 if device.type == "cuda" else 2048
    a, b = (torch.rand(side, side, device=device).to(dtype) for _ in range(2))
    best = float("inf")
    for _ in range(12):
        synchronise()
        began = time.perf_counter()
        a @ b
        synchronise()
        best = min(best, time.perf_counter() - began)
    return 2 * side**3 / best / 1e9, name_of(dtype)


def synchronise() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def measure(arguments: argparse.Namespace) -> None:
    """Be one contender: print seconds of each run and the peak memory of the process as JSON."""
    settings = replace(load_settings(), weights=(arguments.weights,))
    if arguments.child == "matrix":
        print(json.dumps(matrix_rate(settings)))
        return
    if arguments.child == "float32":
        settings = replace(settings, precision="float32")
    if arguments.child == "official":
        run = official_runner(arguments.weights)
    else:
        run = our_runner("built-in" if arguments.child == "built-in" else MODEL, settings)
    width, height = map(int, arguments.sizes[0].split("x"))
    picture = load_picture(arguments.picture, width, height)
    run(np.ascontiguousarray(picture[:64, :64]))
    seconds = []
    for _ in range(arguments.runs):
        synchronise()
        began = time.perf_counter()
        result = run(picture)
        synchronise()
        seconds.append(time.perf_counter() - began)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    gpu = torch.cuda.max_memory_allocated() / 2**20 if torch.cuda.is_available() else 0
    if arguments.save:
        np.save(arguments.save, result)
    print(json.dumps({"seconds": seconds, "peak_mib": peak, "gpu_mib": gpu}))


def child(arguments: argparse.Namespace, kind: str, size: str, runs: int, save: str | None = None) -> dict:
    command = [sys.executable, __file__, "--weights", str(arguments.weights), "--sizes", size, "--runs", str(runs)]
    command += ["--child", kind]
    command += ["--picture", str(arguments.picture)] if arguments.picture else []
    command += ["--save", save] if save else []
    output = subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ).stdout
    return json.loads(output.splitlines()[-1])


def psnr(a: Picture, b: Picture) -> float:
    error = np.mean((a.astype(np.float64) - b.astype(np.float64)) ** 2)
    return float(10 * np.log10(255**2 / error)) if error else float("inf")


def processor() -> str:
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    names = [
        line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line
    ]
    return f"{names[0]}, {len(names)} cores" if names else platform.processor()


def compare(arguments: argparse.Namespace, size: str) -> None:
    width, height = map(int, size.split("x"))
    kinds = ("ours", "official", "built-in")
    rows: dict[str, list[dict]] = {kind: [] for kind in kinds}
    with tempfile.TemporaryDirectory() as folder:
        ours, exact = f"{folder}/ours.npy", f"{folder}/exact.npy"
        child(arguments, "float32", size, 1, exact)
        for _ in range(arguments.rounds):
            for kind in kinds:
                rows[kind].append(child(arguments, kind, size, arguments.runs, ours if kind == "ours" else None))
        quality = psnr(np.load(ours), np.load(exact))
    rate, dtype = child(arguments, "matrix", size, 1)
    seconds = {kind: statistics.median(s for row in rows[kind] for s in row["seconds"]) for kind in kinds}
    memory = {kind: max(row["peak_mib"] for row in rows[kind]) for kind in kinds}
    gpu = {kind: max(row["gpu_mib"] for row in rows[kind]) for kind in kinds}
    operations = 2 * networks.traits(MODEL).macs_per_pixel * width * height / 1e9
    print(f"\n{size}, x4, {MODEL} ({processor()}, {dtype})")
    for kind in kinds:
        gpu_text = f", {gpu[kind]:6.0f} MiB on the GPU" if gpu[kind] else ""
        print(f"  {kind:9} {seconds[kind]:8.3f} s   peak {memory[kind]:6.0f} MiB{gpu_text}")
    print(f"  official / ours: {seconds['official'] / seconds['ours']:.2f} times the time")
    print(f"  ours / built-in: {seconds['ours'] / seconds['built-in']:.2f} times the time")
    print(f"  PSNR of ours to float32: {quality:.1f} dB")
    print(
        f"  rate: {operations / seconds['ours']:.0f} of {rate:.0f} GFLOP/s of matrix products "
        f"({operations / seconds['ours'] / rate:.0%})"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--sizes", nargs="+", default=["640x480", "1920x1080"])
    parser.add_argument("--runs", type=int, default=3, help="timed runs in each process")
    parser.add_argument("--rounds", type=int, default=2, help="processes for each contender")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--save", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        measure(arguments)
        return
    for size in arguments.sizes:
        compare(arguments, size)


if __name__ == "__main__":
    main()
