"""Speed and memory of the networks that use time, against the same networks called the plain ways.

    python benchmarks/vsr.py [--models pp-msvsr basicvsr-pp] [--size 640x360] [--frames 50] [--rounds 1]
                             [--contenders ours naive predictor file] [--num-frames 10] [--context 15]
                             [--device auto] [--precision auto] [--limit 1800]

The weights are random, which costs the same as trained ones, and the frames are soft noise that moves. Each measurement
is a process of its own, and the contenders take turns:

- *ours*: the engine: windows from the memory limit, state carried on, flow and features found once, the lower precision
  where it keeps 40 dB;
- *naive*: the whole clip in one call of the network in float32; memory grows with its length;
- *predictor*: as PaddleGAN's predictors do it: window after window of ``--num-frames`` frames in float32, each from
  nothing; for EDVR, every frame with its neighbours, of which nothing is used again;
- *file*: ``restore_video`` from file to file, so that decoding and encoding take their memory as well.

``--context`` is for *ours* and *file*, where by default what suits the model is taken, and so is ``--precision``.

Printed are frames a second from the first frame to the last, processor seconds for each frame, the peak memory of the
process, on a GPU that of the GPU too, and the windows. A contender that ends before its time says with what.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import av
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

sys.path.insert(0, str(Path(__file__).parents[1]))

import restore
from restore import networks
from restore.inference.engine import Engine
from restore.inference.runner import NetworkSource
from restore.inference.temporal_runner import TemporalRunner
from restore.networks.edvr import EDVR, neighbours
from restore.progress import Progress
from restore.settings import Settings

CONTENDERS = ("ours", "naive", "predictor", "file")


def moving(count: int, height: int, width: int) -> Iterator[Tensor]:
    """Frames ``(3, H, W)`` of soft noise that moves by a pixel or two, made one by one."""
    torch.manual_seed(0)
    far = 32
    field = torch.rand(1, 3, height // 4 + 2 * far, width // 4 + 2 * far)
    field = functional.interpolate(field, scale_factor=4, mode="bicubic").clamp(0, 1)[0]
    for i in range(count):
        top, left = 2 * i % (4 * far), i % (4 * far)
        yield field[:, top : top + height, left : left + width].clone()


def network_of(name: str) -> nn.Module:
    torch.manual_seed(1)
    return networks.build(name)


def ours(name: str, frames: Iterator[Tensor], settings: Settings, context: int | None) -> tuple[int, dict[str, Any]]:
    engine = Engine.start(settings, Progress())
    source = NetworkSource(name, "random", lambda: network_of(name).state_dict())
    runner = TemporalRunner(source, engine, context=context)
    return sum(1 for _ in runner.enlarge(frames, 8)), runner.plan


def file(
    name: str, frames: Iterator[Tensor], size: tuple[int, int], settings: Settings, context: int | None
) -> tuple[int, dict[str, Any]]:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        save_file(network_of(name).state_dict(), folder / f"{name}.safetensors")
        with av.open(str(folder / "small.mp4"), "w") as container:
            stream = container.add_stream("libx264", rate=25, options={"crf": "18", "preset": "fast"})
            stream.width, stream.height = size
            stream.pix_fmt = "yuv420p"
            for frame in frames:
                picture = (255 * frame).round().byte().permute(1, 2, 0).contiguous().numpy()
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            container.mux(stream.encode(None))
        stage = restore.Upscale(model=name, context=context)
        report = restore.restore_video(
            folder / "small.mp4", folder / "large.mp4", [stage], settings=replace(settings, weights=(folder,))
        )
    assert report.clip is not None
    return report.clip.frames, dict(report.stages[0].plan)


def naive(name: str, frames: Iterator[Tensor], device: str) -> tuple[int, dict[str, Any]]:
    network = network_of(name).to(device)
    clip = torch.stack(list(frames))[None].to(device)
    with torch.inference_mode():
        return len(network(clip).clamp(0, 1).cpu()[0]), {"window": clip.shape[1]}


def predictor(name: str, frames: Iterator[Tensor], device: str, length: int) -> tuple[int, dict[str, Any]]:
    network = network_of(name).to(device)
    clip = list(frames)
    count = 0
    with torch.inference_mode():
        if isinstance(network, EDVR):
            for number in range(len(clip)):
                seen = [clip[i] for i in neighbours(number, network.seen, len(clip))]
                network.middle_frame(torch.stack(seen)[None].to(device)).clamp(0, 1).cpu()
                count += 1
            return count, {"window": 1}
        for start in range(0, len(clip), length):
            window = torch.stack(clip[start : start + length])[None].to(device)
            count += len(network(window).clamp(0, 1).cpu()[0])
    return count, {"window": length}


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """One contender over one clip, in this process."""
    width, height = map(int, arguments.size.split("x"))
    frames = moving(arguments.frames, height, width)
    device = ("cuda" if torch.cuda.is_available() else "cpu") if arguments.device == "auto" else arguments.device
    name, kind = arguments.models[0], arguments.measure
    settings = Settings(device=device, precision=arguments.precision)
    began, busy = time.perf_counter(), time.process_time()
    if kind == "predictor":
        count, plan = predictor(name, frames, device, arguments.num_frames)
    elif kind == "naive":
        count, plan = naive(name, frames, device)
    elif kind == "ours":
        count, plan = ours(name, frames, settings, arguments.context)
    else:
        count, plan = file(name, frames, (width, height), settings, arguments.context)
    assert count == arguments.frames
    return {
        "fps": count / (time.perf_counter() - began),
        "cpu_seconds": (time.process_time() - busy) / count,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "gpu_mib": torch.cuda.max_memory_allocated() / 2**20 if device.startswith("cuda") else None,
        "plan": plan,
    }


def in_a_process(name: str, kind: str, arguments: argparse.Namespace) -> dict[str, Any] | str:
    """What ``measure`` finds in a process of its own, or with what that ended."""
    command = [sys.executable, __file__, "--measure", kind, "--models", name, "--size", arguments.size]
    command += ["--frames", str(arguments.frames), "--num-frames", str(arguments.num_frames)]
    if arguments.context is not None:
        command += ["--context", str(arguments.context)]
    try:
        done = subprocess.run(
            [*command, "--device", arguments.device, "--precision", arguments.precision],
            capture_output=True,
            text=True,
            check=False,
            timeout=arguments.limit,
        )
    except subprocess.TimeoutExpired:
        return f"not done after {arguments.limit} s"
    if done.returncode == 0:
        return dict(json.loads(done.stdout.splitlines()[-1]))
    return (done.stderr.strip().splitlines() or [f"ended with {done.returncode}: out of memory, as a rule"])[-1][:150]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["pp-msvsr", "basicvsr-pp"])
    parser.add_argument("--size", default="640x360")
    parser.add_argument("--frames", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS, default=list(CONTENDERS[:3]))
    parser.add_argument("--num-frames", type=int, default=10)
    parser.add_argument("--context", type=int)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--limit", type=float, default=1800)
    parser.add_argument("--measure", choices=CONTENDERS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure is not None:
        print(json.dumps(measure(arguments)))
        return
    for name in arguments.models:
        found: dict[str, list[dict[str, Any]]] = {kind: [] for kind in arguments.contenders}
        for _ in range(arguments.rounds):
            for kind in arguments.contenders:
                answer = in_a_process(name, kind, arguments)
                if isinstance(answer, str):
                    print(f"{name:20} {kind:10} {arguments.size} {arguments.frames} frames: {answer}", flush=True)
                    continue
                found[kind].append(answer)
        for kind, runs in found.items():
            if not runs:
                continue
            fps, busy, peak = (median(one[key] for one in runs) for key in ("fps", "cpu_seconds", "peak_mib"))
            gpu = "" if runs[0]["gpu_mib"] is None else f"  GPU {max(one['gpu_mib'] for one in runs):7.0f} MiB"
            print(
                f"{name:20} {kind:10} {arguments.size} {arguments.frames} frames: {fps:7.3f} fps  "
                f"{busy:6.2f} processor s a frame  {peak:6.0f} MiB{gpu}  {runs[0]['plan']}",
                flush=True,
            )


if __name__ == "__main__":
    main()
