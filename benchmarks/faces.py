"""Restoring faces against GFPGANer's own loop, and how much restored faces flicker in a clip.

    python benchmarks/faces.py --weights FOLDER --picture FILE [--runs 3]
    python benchmarks/faces.py --weights FOLDER --clip FILE [--frames 48]

``FOLDER`` holds ``detection_mobilenet0.25_Final.pth``. All other networks get contents of their own making (those of
``tests/fill.py``), which take the same time as the published ones and draw nothing that is a face.

The first form puts the picture beside itself until it has 12 faces and gives both sides the same 12 of them. What is
timed is to align, restore and paste, in turns, in one process, with networks that are open already; printed are the
medians of the seconds and of those of the processor, and, for the first four faces, what bfloat16, batches, the memory
layout and memory that is kept between layers each contribute. The second form restores the faces of a clip with and
without smoothing, and prints for the aligned crops of the result and of the source: the flicker, which is the mean
absolute difference of crops that follow each other, and the sharpness, which is the variance of their Laplacian.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1]))

from restore import networks
from restore.faces import restorers
from restore.faces.align import crop, similarity
from restore.faces.crops import CropRestorer
from restore.faces.detect import Detector, Face
from restore.faces.flow import FaceFlow, Options
from restore.faces.track import Points, Tracker, spread
from restore.frame import Frame
from restore.inference import opening
from restore.inference.engine import Engine
from restore.inference.runner import NetworkSource
from restore.media.clips.probe import probe
from restore.media.clips.reader import ClipReader
from restore.models import open_model
from restore.networks._basicsr import architecture
from restore.progress import Progress
from restore.settings import Settings, load_settings
from tests.fill import fill

RESTORER, PARSER, DETECTOR = "gfpgan-1.4", "parsenet", "retinaface-mobilenet"
FACES = 12
FEW = 4

Run = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
"""From a picture to the same with its faces restored."""


def filled(name: str) -> dict[str, Tensor]:
    state = networks.build(name).state_dict()
    return fill({key: value.shape for key, value in state.items()})


def sources() -> tuple[NetworkSource, NetworkSource]:
    """The network that restores and the one that parts, with contents that are read once."""
    restorer, parser = filled(RESTORER), filled(PARSER)
    kept = id(restorer)  # networks that are open under other circumstances are not taken for these
    return (
        NetworkSource(RESTORER, f"filled restorer {kept}", lambda: restorer),
        NetworkSource(PARSER, f"filled parser {kept}", lambda: parser),
    )


class KnownFaces(FaceFlow):
    """A flow that is told where the faces are and does not look for them."""

    known: Sequence[Points] = ()

    def _see(self, unseen: Sequence[Any], tracker: Tracker) -> None:
        for _ in unseen:
            tracker.see(self.known, 0)


def ours(settings: Settings, networks: tuple[NetworkSource, NetworkSource], known: Sequence[Points]) -> Run:
    """The stage with these faces."""
    engine = Engine.start(settings, Progress())
    restorer, parser = networks

    def run(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        flow = KnownFaces(CropRestorer(restorer, parser, 0.5, engine), restorer, Options(), engine)
        flow.known = known
        pixels = torch.from_numpy(picture).permute(2, 0, 1).float().div_(255)
        (frame,) = flow.run([Frame(pixels)])
        return frame.pixels.mul(255).round().to(torch.uint8).permute(1, 2, 0).numpy()

    return run


def official() -> Callable[[Sequence[Points]], Run]:
    """``GFPGANer.enhance`` with the faces that it is given, at the size of the picture; nothing is downloaded."""
    helper_class = architecture("facexlib.utils.face_restoration_helper", "FaceRestoreHelper")
    module = sys.modules["facexlib.utils.face_restoration_helper"]
    parts = architecture("facexlib.parsing.parsenet", "ParseNet")(in_size=512, out_size=512, parsing_ch=19)
    parts.load_state_dict(filled(PARSER), strict=True)
    module.init_detection_model = lambda *_, **__: None
    module.init_parsing_model = lambda *_, **__: parts.eval()
    network = architecture("gfpgan.archs.gfpganv1_clean_arch", "GFPGANv1Clean")(
        out_size=512,
        num_style_feat=512,
        channel_multiplier=2,
        fix_decoder=False,
        input_is_latent=True,
        different_w=True,
        narrow=1,
        sft_half=True,
    )
    network.load_state_dict(filled(RESTORER), strict=True)
    kind = architecture("gfpgan.utils", "GFPGANer")
    tool = kind.__new__(kind)
    tool.device, tool.upscale, tool.bg_upsampler, tool.gfpgan = torch.device("cpu"), 1, None, network.eval()
    tool.face_helper = helper_class(1, face_size=512, use_parse=True, device=tool.device)

    def with_known(known: Sequence[Points]) -> Run:
        def found(**_: object) -> int:
            tool.face_helper.all_landmarks_5 = [points.astype(np.float32) for points in known]
            tool.face_helper.det_faces = [None] * len(known)
            return len(known)

        tool.face_helper.get_face_landmarks_5 = found
        return lambda picture: tool.enhance(picture[..., ::-1])[2][..., ::-1]

    return with_known


@contextmanager
def plain(*, batch: bool = False, layout: bool = False, memory: bool = False) -> Iterator[None]:
    """Inside, all faces at once, the usual layout of memory, or memory that is given back after each layer."""
    sizes, channels_last, reuse = dict(restorers.BATCH), torch.channels_last, opening.allocator.reuse
    try:
        if batch:
            restorers.BATCH["cpu"] = FEW
        if layout:
            torch.channels_last = torch.contiguous_format
        if memory:
            opening.allocator.reuse = nullcontext
        yield
    finally:
        restorers.BATCH.update(sizes)
        torch.channels_last, opening.allocator.reuse = channels_last, reuse


def timed(run: Run, picture: NDArray[np.uint8]) -> tuple[float, float]:
    """Seconds, and those of the processor."""
    began, used = time.perf_counter(), time.process_time()
    run(picture)
    return time.perf_counter() - began, time.process_time() - used


def medians(runs: Sequence[tuple[float, float]]) -> tuple[float, float]:
    wall, used = zip(*runs, strict=True)
    return statistics.median(wall), statistics.median(used)


def detector(settings: Settings) -> Detector:
    engine = Engine.start(settings, Progress(), download=False)
    return Detector(open_model(DETECTOR, engine).source, engine)


def with_faces(path: Path, find: Detector) -> tuple[NDArray[np.uint8], list[Points]]:
    """The picture, beside itself until there are enough faces, and the landmarks of the first 12."""
    with Image.open(path) as image:
        one = np.asarray(image.convert("RGB"))
    (faces,) = find.detect(torch.from_numpy(one.copy()).permute(2, 0, 1).float().div_(255)[None])
    if not faces:
        raise SystemExit(f"No face was found in {path}.")
    times = -(-FACES // len(faces))
    points = [face.landmarks + np.array([index * one.shape[1], 0]) for index in range(times) for face in faces]
    return np.tile(one, (1, times, 1)), points[:FACES]


def compare(arguments: argparse.Namespace, settings: Settings) -> None:
    picture, known = with_faces(arguments.picture, detector(settings))
    contenders: dict[str, Callable[[Sequence[Points]], Run]] = {
        "official": official(),
        "ours": partial(ours, settings, sources()),
    }
    measured: dict[str, list[tuple[float, float]]] = {name: [] for name in contenders}
    for contender in contenders.values():
        contender(known[:1])(picture)
    for _ in range(arguments.runs):
        for name, contender in contenders.items():
            measured[name].append(timed(contender(known), picture))
    print(f"{FACES} faces in {picture.shape[1]} x {picture.shape[0]}, {torch.get_num_threads()} threads")
    for name, runs in measured.items():
        print(f"  {name:9} {medians(runs)[0]:7.2f} s, of the processor {medians(runs)[1]:7.2f} s", flush=True)
    theirs, own = medians(measured["official"]), medians(measured["ours"])
    print(f"  official / ours: {theirs[0] / own[0]:.2f}, of the processor {theirs[1] / own[1]:.2f}", flush=True)
    few, slow = known[:FEW], replace(settings, precision="float32")
    for words, chosen, changes in (
        ("as it is", settings, {}),
        ("without bfloat16", slow, {}),
        ("in one batch", settings, {"batch": True}),
        ("without channels last", settings, {"layout": True}),
        ("without memory kept", settings, {"memory": True}),
    ):
        with plain(**changes):
            run = ours(chosen, sources(), few)
            run(picture)
            wall, used = medians([timed(run, picture) for _ in range(arguments.runs)])
            print(f"  ours {words}, {len(few)} faces: {wall:.2f} s, of the processor {used:.2f} s", flush=True)


def frames_of(path: Path, count: int, settings: Settings) -> list[Frame]:
    reader = ClipReader(path, probe(path, settings), settings=settings)
    frames = []
    for frame in reader.frames():
        if not frame.repeat:
            frames.append(replace(frame, pixels=frame.pixels.clamp(0, 1)))
        if len(frames) == count:
            break
    return frames


def biggest(faces: Sequence[Face]) -> Points | None:
    return max((face.landmarks for face in faces), key=spread, default=None)


def flicker_and_sharpness(crops: Sequence[NDArray[np.float32]]) -> tuple[float, float]:
    """Of grey crops, from 0 to 255."""
    changes = [np.abs(after - before).mean() for before, after in pairwise(crops)]
    return float(np.mean(changes)), float(np.mean([cv2.Laplacian(each, cv2.CV_32F).var() for each in crops]))


def flicker(arguments: argparse.Namespace, settings: Settings) -> None:
    frames = frames_of(arguments.clip, arguments.frames, settings)
    find = detector(settings)
    places = [biggest(find.detect(frame.pixels[None])[0]) for frame in frames]
    # The same crops of every result: where the face is, without the trembling of the detector.
    tracker = Tracker(4, 1.0)
    for points in places:
        tracker.see([] if points is None else [points], 0)
    matrices = [[similarity(place.landmarks) for place in tracker.places(index)][:1] for index in range(len(frames))]
    restorer, parser = sources()
    engine = Engine.start(settings, Progress(), download=False)

    def crops(pictures: Sequence[Frame]) -> list[NDArray[np.float32]]:
        return [
            crop(picture.pixels, matrix[0]).mean(dim=0).mul(255).numpy()
            for picture, matrix in zip(pictures, matrices, strict=True)
            if matrix
        ]

    rows = {"source": flicker_and_sharpness(crops(frames))}
    for smoothing in (0.0, 1.0):
        flow = FaceFlow(CropRestorer(restorer, parser, 0.5, engine), find.source, Options(smoothing=smoothing), engine)
        rows[f"smoothing {smoothing:g}"] = flicker_and_sharpness(crops(list(flow.run(frames))))
    print(f"{arguments.clip.name}, {len(frames)} frames")
    for name, (change, sharpness) in rows.items():
        print(f"  {name:12} flicker {change:6.3f}  sharpness {sharpness:8.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--clip", type=Path)
    parser.add_argument("--frames", type=int, default=48)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    settings = replace(load_settings(), weights=(arguments.weights,))
    if arguments.picture:
        compare(arguments, settings)
    if arguments.clip:
        flicker(arguments, settings)


if __name__ == "__main__":
    main()
