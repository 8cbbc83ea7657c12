"""A chain of three stages in one pass, against its stages one by one and one decoding and one encoding.

    python benchmarks/chain.py CLIP [--frames 48] [--size 176x144] [--rounds 3]

The clip is brought to the size and cut to the number of frames, and coloured, made twice as many frames and enlarged
twice, by the models that are built in. Each round measures, in one process and in turns:

- *chain*: ``restore_video`` from file to file;
- *decode*: the source decoded, and nothing done with it;
- each stage alone: ``restore_frames`` over frames that are in memory already, those that the stage before it made;
- *encode*: the last of these frames written as the chain writes them.

Printed are the medians, and the chain in per cent of the sum of its parts.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[1]))

import restore
from benchmarks.clips import source_pictures, write_source
from restore.chain import prepared
from restore.clip_plan import ClipOptions, plan_clip
from restore.media.clips.writer import ClipWriter
from restore.stages import Stage

STEPS: list[Stage] = [
    restore.Colorize(model="built-in-colour"),
    restore.Interpolate(model="built-in", factor=2),
    restore.Upscale(model="built-in", scale=2),
]


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def measure(clip: Path, target: Path, settings: restore.Settings) -> dict[str, float]:
    """The seconds of each contender, in one round."""
    seconds = {"chain": timed(lambda: restore.restore_video(clip, target, STEPS, settings=settings))}
    plan = plan_clip(restore.probe(clip), clip, target, STEPS, ClipOptions(), settings)
    frames: list[restore.Frame] = []
    seconds["decode"] = timed(lambda: frames.extend(prepared(each, plan) for each in plan.reader(settings).frames()))
    rate = plan.info.video.frame_rate
    for stage in STEPS:
        made: list[restore.Frame] = []
        run = restore.restore_frames(frames, [stage], settings=settings, rate=rate)
        seconds[stage.stage] = timed(lambda made=made, run=run: made.extend(run))
        rate *= len(made) // len(frames)
        frames = made

    def encode() -> None:
        with ClipWriter(plan.target, plan.encoder, None, start=plan.zero, words={}) as writer:
            for frame in frames:
                writer.write(frame)

    seconds["encode"] = timed(encode)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--frames", type=int, default=48)
    parser.add_argument("--size", default="176x144")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    width, height = map(int, arguments.size.split("x"))
    settings = restore.load_settings()
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "source.mp4"
        write_source(clip, source_pictures(arguments.clip, width, height, arguments.frames))
        measure(clip, clip.with_name("first.mp4"), settings)  # opens the networks and learns their precision
        rounds = [measure(clip, clip.with_name(f"{number}.mp4"), settings) for number in range(arguments.rounds)]
    medians = {name: median(each[name] for each in rounds) for name in rounds[0]}
    for name, seconds in medians.items():
        print(f"{name:12} {seconds:7.2f} s")
    shares = [each["chain"] / (sum(each.values()) - each["chain"]) for each in rounds]
    print(f"{'sum of parts':12} {sum(medians.values()) - medians['chain']:7.2f} s")
    print(f"chain / sum  {median(shares):7.1%}, median of {len(rounds)} rounds; smallest {min(shares):.1%}")


if __name__ == "__main__":
    main()
