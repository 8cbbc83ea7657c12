"""How far the estimate of a clip is from what the work then takes.

    python benchmarks/estimate.py CLIP [CLIP ...] [--frames 48] [--rounds 1] [--chains upscale,interpolate,colour,all]

For each clip, of its first frames, and for each chain of built-in models: the estimate, made in a process of its own
with nothing measured before, then ``restore_video`` in another one, ``--rounds`` times, of which the quickest counts.
Printed are the range, the real time, its factor to the middle of the range (1.5 either way is what is promised on a
machine that has no other work), and the same of the seconds of all processors together, which other work changes less.
Then the bytes. Costs are measured in a folder of their own; those of the machine stay as they are.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import restore

CHAINS: dict[str, list[dict[str, Any]]] = {
    "upscale": [{"stage": "upscale", "model": "built-in", "scale": 2}],
    "interpolate": [{"stage": "interpolate", "model": "built-in", "factor": 2}],
    "colour": [{"stage": "colorize", "model": "built-in-colour"}],
    "all": [
        {"stage": "colorize", "model": "built-in-colour"},
        {"stage": "upscale", "model": "built-in", "scale": 2},
        {"stage": "interpolate", "model": "built-in", "factor": 2},
    ],
}


def end_of(clip: Path, frames: int) -> str:
    return str(Fraction(frames) / restore.probe(clip).video.frame_rate)


def estimated(clip: Path, chain: str, frames: int) -> dict[str, Any]:
    began = time.monotonic()
    result = restore.estimate(clip, CHAINS[chain], end=end_of(clip, frames))
    return result.to_dict() | {"took": time.monotonic() - began}


def real(clip: Path, chain: str, frames: int) -> dict[str, Any]:
    work = restore.restore_video  # imported now: that is no part of the work
    before = resource.getrusage(resource.RUSAGE_SELF)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "result.mp4"
        report = work(clip, target, CHAINS[chain], end=end_of(clip, frames))
        size = target.stat().st_size
    after = resource.getrusage(resource.RUSAGE_SELF)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    stages = {stage.settings["stage"]: round(stage.seconds, 2) for stage in report.stages}
    assert report.clip is not None
    return {
        "seconds": time.monotonic() - began,
        "processor": processor,
        "bytes": size,
        "parts": stages | {name: round(value, 2) for name, value in report.clip.seconds.items()},
    }


def apart(kind: str, clip: Path, chain: str, frames: int, home: str) -> dict[str, Any]:
    """The result of one of the two, from a process of its own."""
    words = [sys.executable, __file__, str(clip), "--chains", chain, "--frames", str(frames), "--only", kind]
    environment = os.environ | {"HF_HOME": home, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(words, capture_output=True, text=True, check=True, env=environment)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="+", type=Path, metavar="CLIP")
    parser.add_argument("--frames", type=int, default=48)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--chains", default=",".join(CHAINS))
    parser.add_argument("--only", choices=("estimated", "real"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    chains = arguments.chains.split(",")
    if arguments.only:
        work = estimated if arguments.only == "estimated" else real
        print(json.dumps(work(arguments.clips[0], chains[0], arguments.frames)))
        return
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")
    print("clip | chain | estimate, s | real, s | factor | processor s | factor | MB | real MB")
    factors = []
    with tempfile.TemporaryDirectory() as home:
        for clip in arguments.clips:
            for chain in chains:
                said = apart("estimated", clip, chain, arguments.frames, home)
                runs = [apart("real", clip, chain, arguments.frames, home) for _ in range(arguments.rounds)]
                run = min(runs, key=lambda each: each["seconds"])
                low, high = said["seconds_low"], said["seconds_high"]
                factors.append(run["seconds"] / math.sqrt(low * high))
                processor = min(each["processor"] for each in runs)
                print(
                    f"{clip.name} | {chain} | {low:.1f}-{high:.1f} | {run['seconds']:.1f} | {factors[-1]:.2f} | "
                    f"{said['processor_seconds']:.1f} -> {processor:.1f} | "
                    f"{processor / said['processor_seconds']:.2f} | "
                    f"{said['bytes_low'] / 1e6:.2f}-{said['bytes_high'] / 1e6:.2f} | {run['bytes'] / 1e6:.2f}",
                    flush=True,
                )
                print(f"    {run['parts']}; the estimate took {said['took']:.1f} s", flush=True)
    print(f"real time over the middle of the estimate: {min(factors):.2f} to {max(factors):.2f}")


if __name__ == "__main__":
    main()
