"""Speed and memory of restoring a clip, against its network alone and against the official code.

    python benchmarks/clips.py --weights FOLDER [--clip FILE] [--size 640x480] [--frames 24] [--rounds 2]

``FOLDER`` holds ``realesr-animevideov3.pth``. The clip is brought to the size, repeated to the number of frames, and
encoded once; without one, a moving pattern with noise is drawn. Each measurement is a process of its own, and the
contenders take turns:

- *ours*: ``restore_video`` from file to file, x4, H.264 with preset veryfast and CRF 17: decoding, network, encoding;
- *network*: the same network in the same precision over frames that are in memory already, with nothing around it;
- *official*: ``RealESRGANer.enhance`` for each frame as it is by default, without reading or writing a clip.

Printed are seconds of wall time, of user and of system time for each frame, and the peak memory of the process.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from statistics import median

import av
import numpy as np
import torch
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1]))

import restore
from restore import networks
from restore.inference import allocator, precision
from restore.inference.device import choose_device, choose_precision, name_of
from restore.inference.engine import Engine
from restore.models import open_model
from restore.networks._basicsr import architecture
from restore.progress import Progress

MODEL = "realesr-animevideov3"
KINDS = ("ours", "network", "official")
Picture = NDArray[np.uint8]


def source_pictures(path: Path | None, width: int, height: int, count: int) -> list[Picture]:
    """``count`` pictures of the clip, from its beginning again where it ends, or drawn ones."""
    if path is None:
        y, x = np.mgrid[0:height, 0:width]
        noise = np.random.default_rng(0)
        return [
            np.clip(
                np.stack([np.sin((x + 3 * k) / 9 + y / 31), np.cos(x / 17 - (y + k) / 7), np.sin(x * y / 4000)], -1)
                * 90
                + 128
                + noise.normal(0, 4, (height, width, 3)),
                0,
                255,
            ).astype(np.uint8)
            for k in range(count)
        ]
    pictures: list[Picture] = []
    while len(pictures) < count:
        with av.open(str(path)) as container:
            for frame in container.decode(video=0):
                pictures.append(frame.reformat(width, height, "rgb24", interpolation="LANCZOS").to_ndarray())
                if len(pictures) == count:
                    break
    return pictures


def write_source(path: Path, pictures: list[Picture]) -> None:
    height, width, _ = pictures[0].shape
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "18", "preset": "fast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def decoded(path: Path) -> list[Picture]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def run_ours(clip: Path, settings: restore.Settings) -> Callable[[], int]:
    target = clip.with_name(f"{os.getpid()}.mp4")
    step = restore.Upscale(model=MODEL, scale=4)

    def run() -> int:
        report = restore.restore_video(
            clip, target, [step], settings=settings, encoding=restore.Encoding(preset="veryfast", crf=17)
        )
        target.unlink()
        assert report.clip is not None
        return report.clip.frames - report.clip.reused

    return run


def run_network(clip: Path, settings: restore.Settings) -> Callable[[], int]:
    engine = Engine.start(settings, Progress())
    device = choose_device(settings)
    model = open_model(MODEL, engine)
    network = model.source.open(device, choose_precision(settings, device))
    pictures = [
        torch.from_numpy(picture).to(device).float().div_(255).permute(2, 0, 1)[None] for picture in decoded(clip)
    ]
    resident = [picture.contiguous(memory_format=torch.channels_last) for picture in pictures]

    @torch.inference_mode()
    def run() -> int:
        with allocator.reuse(), precision.watched(network, lambda: None):
            for picture in resident:
                network(picture)
            synchronise()
        return len(resident)

    return run


def run_official(clip: Path, weights: Path) -> Callable[[], int]:
    upsampler = architecture("realesrgan.utils", "RealESRGANer")(
        scale=4, model_path=str(weights / f"{MODEL}.pth"), model=networks.build(MODEL), half=torch.cuda.is_available()
    )
    pictures = [np.ascontiguousarray(picture[..., ::-1]) for picture in decoded(clip)]

    def run() -> int:
        for picture in pictures:
            upsampler.enhance(picture)
        return len(pictures)

    return run


def synchronise() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def measure(arguments: argparse.Namespace) -> None:
    """Be one contender: print the seconds of a frame and the peak memory of the process as JSON."""
    settings = replace(restore.load_settings(), weights=(arguments.weights,))
    clip = Path(arguments.clip)
    if arguments.child == "official":
        run = run_official(clip, arguments.weights)
    else:
        run = {"ours": run_ours, "network": run_network}[arguments.child](clip, settings)
    before, began = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    frames = run()
    seconds = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_SELF)
    row = {
        "wall": seconds / frames,
        "user": (after.ru_utime - before.ru_utime) / frames,
        "system": (after.ru_stime - before.ru_stime) / frames,
        "peak_mib": after.ru_maxrss / 1024,
        "precision": name_of(choose_precision(settings, choose_device(settings))),
    }
    print(json.dumps(row))


def child(arguments: argparse.Namespace, kind: str, clip: Path) -> dict[str, float]:
    command = [sys.executable, __file__, "--weights", str(arguments.weights), "--clip", str(clip), "--child", kind]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(output.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--clip", type=Path)
    parser.add_argument("--size", default="640x480")
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=2, help="processes for each contender")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        measure(arguments)
        return
    width, height = map(int, arguments.size.split("x"))
    rows: dict[str, list[dict[str, float]]] = {kind: [] for kind in arguments.kinds}
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "source.mp4"
        write_source(clip, source_pictures(arguments.clip, width, height, arguments.frames))
        for _ in range(arguments.rounds):
            for kind in arguments.kinds:
                rows[kind].append(child(arguments, kind, clip))
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else platform.processor() or platform.machine()
    print(f"{arguments.size}, x4, {MODEL}, {arguments.frames} frames ({device})")
    middle = {
        kind: {key: median(row[key] for row in rows[kind]) for key in ("wall", "user", "system")} for kind in rows
    }
    for kind, row in middle.items():
        peak = max(each["peak_mib"] for each in rows[kind])
        share = row["system"] / row["user"]
        walls = ", ".join(f"{each['wall']:.3f}" for each in rows[kind])
        print(
            f"  {kind:9} {row['wall']:7.3f} s a frame   user {row['user']:7.3f} s   system {row['system']:6.3f} s "
            f"({share:.1%} of it)   peak {peak:5.0f} MiB   each {walls}"
        )
    for kind in set(middle) - {"ours"}:
        print(f"  {kind} / ours: {middle[kind]['wall'] / middle['ours']['wall']:.2f} of the time")


if __name__ == "__main__":
    main()
