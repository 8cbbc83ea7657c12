"""Measure how much colours flicker and what steadiness costs, on a clip in colour, turned grey and coloured again.

    python benchmarks/steady_colour.py CLIP [--frames 60] [--model built-in-colour] [--steadiness 0 0.25 0.5 1]

Flicker is the mean absolute difference of chroma (Cb and Cr of BT.601, levels of 255) between each frame and the one
before, which is moved by the optical flow of the grey frames (dense inverse search at full resolution); only where the
flow there and back agrees to a pixel counts, and no cut. Moving edges are where the flow is longer than half a pixel
and the chroma of the clip itself, averaged over 3 x 3 pixels, changes most: the steepest tenth of each frame (*tenth*),
and what changes by more than 12 levels from pixel to pixel, and two pixels around (*hard*), which in a soft clip is
little and mostly in a few frames. There PSNR is that of chroma against the clip's own. Frames are compared in float, as
they go to the encoder.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

sys.path.insert(0, str(Path(__file__).parents[1]))

import restore
from restore.colour.eight_bits import luma
from restore.colour.steady import look_up
from restore.frame import Frame
from restore.media.clips.reader import ClipReader
from restore.media.clips.shots import FoundCuts

GAINS = torch.tensor((0.713, 0.564)).view(1, 2, 1, 1)
EDGE = 12.0
STEEPEST = 0.1
MOVES = 0.5
HOME = 1.0


def frames_of(path: Path, count: int) -> list[Frame]:
    """The first frames of the clip, which belong to shots."""
    settings = restore.load_settings()
    info = restore.probe(path, settings)
    shots = FoundCuts(info.video.frame_rate)
    found = []
    for frame in ClipReader(path, info, shots=shots, settings=settings).frames():
        found.append(frame)
        if len(found) == count:
            break
    return found


def grey(frame: Frame) -> Frame:
    light = luma(frame.pixels[None])[0].clamp(0, 1)
    return Frame(light.expand(3, -1, -1), pts=frame.pts, duration=frame.duration, shot=frame.shot)


def chroma(pixels: Tensor) -> Tensor:
    """Cr and Cb ``(1, 2, H, W)`` in levels of 255."""
    return (pixels[None] - luma(pixels[None]))[:, [0, 2]] * GAINS * 255


def flow(here: Frame, there: Frame) -> Tensor:
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    search.setFinestScale(0)
    pair = [(frame.pixels[0] * 255).round().byte().numpy() for frame in (here, there)]
    return torch.from_numpy(search.calc(pair[0], pair[1], np.zeros((*pair[0].shape, 2), np.float32))).permute(2, 0, 1)[
        None
    ]


def edges(colours: Tensor) -> Tensor:
    across = functional.pad((colours[..., 1:] - colours[..., :-1]).abs().sum(1, keepdim=True), (0, 1))
    down = functional.pad((colours[..., 1:, :] - colours[..., :-1, :]).abs().sum(1, keepdim=True), (0, 0, 0, 1))
    return across + down > EDGE


def steepest(colours: Tensor) -> Tensor:
    smooth = functional.avg_pool2d(colours, 3, 1, 1)
    across = functional.pad((smooth[..., 2:] - smooth[..., :-2]).abs().sum(1, keepdim=True), (1, 1))
    down = functional.pad((smooth[..., 2:, :] - smooth[..., :-2, :]).abs().sum(1, keepdim=True), (0, 0, 1, 1))
    steepness = across + down
    return steepness > steepness.flatten().kthvalue(int(steepness.numel() * (1 - STEEPEST))).values


def measure(truth: Sequence[Frame], flat: Sequence[Frame], coloured: Sequence[Frame]) -> tuple[float, ...]:
    """Flicker, mean chroma, and PSNR of chroma at moving edges: at the steepest tenth, and at hard ones."""
    flicker, strength, square, places = [], [], np.zeros(2), np.zeros(2)
    for index, frame in enumerate(coloured):
        now = chroma(frame.pixels)
        strength.append(now.norm(dim=1).mean().item())
        if not index or truth[index].shot != truth[index - 1].shot:
            continue
        back, forth = flow(flat[index], flat[index - 1]), flow(flat[index - 1], flat[index])
        seen = ((back + look_up(forth, back)).norm(dim=1, keepdim=True) < HOME).float()
        change = (now - look_up(chroma(coloured[index - 1].pixels), back)).abs().mean(dim=1, keepdim=True)
        flicker.append(((change * seen).sum() / seen.sum()).item())
        own = chroma(truth[index].pixels)
        moves = back.norm(dim=1, keepdim=True) > MOVES
        hard = functional.max_pool2d((edges(own) & moves).float(), 5, 1, 2)
        error = (now - own).square().mean(dim=1, keepdim=True)
        for kind, where in enumerate(((steepest(own) & moves).float(), hard)):
            square[kind] += (error * where).sum().item()
            places[kind] += where.sum().item()
    with np.errstate(invalid="ignore", divide="ignore"):
        tenth, hard_edges = 10 * np.log10(255**2 * places / square)
    return float(np.mean(flicker)), float(np.mean(strength)), float(tenth), float(hard_edges)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--model", default="built-in-colour")
    parser.add_argument("--steadiness", type=float, nargs="+", default=[0, 0.25, 0.5, 1])
    options = parser.parse_args()
    truth = frames_of(options.clip, options.frames)
    flat = [grey(frame) for frame in truth]
    print("steadiness  flicker  of that at 0  mean chroma  of that at 0  PSNR, tenth  PSNR, hard  seconds a frame")
    first: tuple[float, ...] = ()
    for steadiness in options.steadiness:
        began = time.process_time()
        step = restore.Colorize(model=options.model, steadiness=steadiness)
        coloured = list(restore.restore_frames(flat, [step], cuts=None))
        seconds = (time.process_time() - began) / len(flat)
        found = measure(truth, flat, coloured)
        first = first or found
        print(
            f"{steadiness:10g}  {found[0]:7.3f}  {found[0] / first[0]:12.2f}  {found[1]:11.2f}  "
            f"{found[1] / first[1]:12.3f}  {found[2]:8.3f} dB  {found[3]:7.3f} dB  {seconds:15.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
