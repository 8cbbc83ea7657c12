"""From frames to frames with restored faces: found, followed, cut out, restored in batches, put back."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

import numpy as np
import torch
from torch import Tensor

from restore.faces import restorers
from restore.faces.align import crop, similarity
from restore.faces.crops import CropRestorer
from restore.faces.detect import BATCH_PIXELS, Detector, Face
from restore.faces.paste import paste, soften
from restore.faces.steady import Shown, steadied
from restore.faces.track import Place, Points, Tracker, spread
from restore.faces.turned import TURNS
from restore.faces.warp import Affine
from restore.frame import Frame
from restore.inference.engine import Engine
from restore.inference.runner import NetworkSource

WAITING_BYTES = 512 * 2**20
"""Memory for the frames that wait until it is known how the faces in them move on."""

REACH = 4
"""Frames before and after that the place of a face is smoothed over, where so many may wait."""

SEEN_AT_ONCE = 4
"""Frames that go through the detector together."""

TURNED_EVERY = 32
"""Frames of a shot after which faces that lie on their side, or upside down, are looked for again where none were."""

STEADY_FACES = 32
"""Faces of a frame, the largest ones, whose crops are kept to hold those of the next frame still."""

KeepCrops = Callable[[int, int, Tensor, Tensor], None]
"""Told of every face: the frame's number, the face's number in it, the crop and the restored crop ``(3, S, S)``."""


@dataclass(frozen=True)
class Options:
    """What there is to choose; the words are those of the stage."""

    strength: float = 1.0
    only_center: bool = False
    min_size: int = 0
    smoothing: float = 1.0


@dataclass
class Counts:
    """What was found: ``frames`` that were looked at, ``found`` faces in them, and those that were ``restored``."""

    frames: int = 0
    found: int = 0
    too_small: int = 0
    restored: int = 0
    people: set[int] = field(default_factory=set)
    enlarged: bool = False


@dataclass
class _Waiting:
    """A frame on its way. ``number`` counts the frames that are looked at; a repeat has none."""

    frame: Frame
    number: int | None
    result: Frame | None = None


@dataclass(frozen=True)
class _Cut:
    """One face of one frame, and the map from the frame, as it was before it was enlarged, to the crop.

    ``keep`` says whether it is kept for the next frame.
    """

    waiting: _Waiting
    place: Place
    matrix: Affine
    keep: bool


def plain_pixels(frame: Frame) -> Tensor:
    """The pixels that faces are looked for in and cut out of: those before the enlargement where there was one."""
    return frame.pixels if frame.before is None else frame.before


@dataclass
class FaceFlow:
    """Restores the faces of one picture or clip; ``counts`` says in the end what there was."""

    restorer: CropRestorer
    detector: NetworkSource
    options: Options
    engine: Engine
    keep_crops: KeepCrops | None = None
    counts: Counts = field(default_factory=Counts)

    def __post_init__(self) -> None:
        self._shown: dict[int, Shown] = {}
        self._centre: int | None = None
        self._last: Frame | None = None
        self._turns: tuple[int, ...] = ()
        self._turns_shot: int | None = None
        self._turns_left = 0

    def run(self, frames: Iterable[Frame]) -> Generator[Frame]:
        """The frames with their faces restored, in order; as many wait as ``waiting_frames`` allows."""
        source = iter(frames)
        first = next(source, None)
        if first is None:
            return
        reach, at_once = waiting_frames(first)
        tracker = Tracker(reach if self.options.smoothing > 0 else 0, self.options.smoothing)
        queue: deque[_Waiting] = deque()
        unseen: list[_Waiting] = []
        looked_at = 0
        for frame in chain([first], source):
            fresh = not frame.repeat or (not queue and self._last is None)
            queue.append(_Waiting(frame, looked_at if fresh else None))
            if fresh:
                looked_at += 1
                self.counts.frames += self.engine.span.holds(frame.pts)
                unseen.append(queue[-1])
            del frame
            if len(unseen) == at_once:
                self._see(unseen, tracker)
                unseen = []
                yield from self._finished(queue, tracker, looked_at - tracker.reach)
        self._see(unseen, tracker)
        unseen = []
        yield from self._finished(queue, tracker, looked_at)

    def _see(self, unseen: Sequence[_Waiting], tracker: Tracker) -> None:
        """Find the faces of these frames and tell the tracker."""
        with torch.inference_mode():
            detector = Detector(self.detector, self.engine)
            for group in _of_one_size([waiting.frame for waiting in unseen]):
                batch = torch.stack([plain_pixels(frame).clamp(0, 1) for frame in group])
                found = detector.detect(batch, self._turns_of(group))
                self._turns = tuple(sorted({0, *(face.turn for faces in found for face in faces)}))
                for frame, faces in zip(group, found, strict=True):
                    tracker.see([face.landmarks for face in self._wanted(faces, frame)], frame.shot)
                self.engine.progress.check()

    def _turns_of(self, group: Sequence[Frame]) -> tuple[int, ...]:
        """How frames are turned to look for faces: in every way at first and from time to time, else as they were seen.

        That is three looks more than one, and in most shots everybody is upright.
        """
        if {frame.shot for frame in group} != {self._turns_shot} or self._turns_left <= 0:
            self._turns_shot, self._turns_left = group[-1].shot, TURNED_EVERY
            return TURNS
        self._turns_left -= len(group)
        return self._turns

    def _wanted(self, faces: Sequence[Face], frame: Frame) -> list[Face]:
        large = [face for face in faces if shorter_side(face) >= self.options.min_size]
        if self.engine.span.holds(frame.pts):
            self.counts.found += len(faces)
            self.counts.too_small += len(faces) - len(large)
        return large

    def _finished(self, queue: deque[_Waiting], tracker: Tracker, until: int) -> Generator[Frame]:
        """Take the frames with numbers below ``until`` out of the queue, and the repeats that follow them."""
        ready: deque[_Waiting] = deque()
        while queue and (queue[0].number is None or queue[0].number < until):
            ready.append(queue.popleft())
        self._restore([waiting for waiting in ready if waiting.number is not None], tracker)
        while ready:
            waiting = ready.popleft()
            frame = waiting.frame
            done = self._last if waiting.result is None else waiting.result
            assert done is not None
            self._last = replace(done, pts=frame.pts, duration=frame.duration, repeat=frame.repeat, shot=frame.shot)
            del waiting, frame, done
            yield self._last

    @torch.inference_mode()
    def _restore(self, ready: Sequence[_Waiting], tracker: Tracker) -> None:
        """Make the results of these frames."""
        cuts: list[_Cut] = []
        for waiting in ready:
            waiting.result = replace(waiting.frame, before=None)
            assert waiting.number is not None
            places = self._in_view(tracker.places(waiting.number), waiting.frame)
            places = sorted(places, key=lambda place: spread(place.landmarks))
            moving = waiting.frame.duration > 0  # after a picture comes no other frame
            for index, place in enumerate(places):
                matrix = similarity(place.landmarks)
                if matrix is not None:
                    cuts.append(_Cut(waiting, place, matrix, keep=moving and index >= len(places) - STEADY_FACES))
        batch = restorers.BATCH[self.engine.device.type]
        numbers: Counter[int] = Counter()
        canvases: dict[int, Tensor] = {}
        for first in range(0, len(cuts), batch):
            self.engine.progress.advance(first, len(cuts), "faces")
            self._restore_batch(cuts[first : first + batch], canvases, numbers)
        if cuts:
            self.engine.progress.advance(len(cuts), len(cuts), "faces")
        for waiting in ready:
            if (canvas := canvases.get(id(waiting))) is not None:
                waiting.result = replace(waiting.frame, pixels=canvas, before=None)
        if ready:
            # A face that goes unseen for a moment has a place in the frames between: who has none now is gone.
            last = {cut.place.face for cut in cuts if cut.waiting is ready[-1]}
            self._shown = {face: shown for face, shown in self._shown.items() if face in last}

    def _in_view(self, places: Sequence[Place], frame: Frame) -> list[Place]:
        """The faces to restore: all, or the one in the centre, which stays the same one as long as it is there."""
        if not self.options.only_center or not places:
            return list(places)
        if self._centre not in {place.face for place in places}:
            height, width = plain_pixels(frame).shape[1:]
            self._centre = places[most_central([place.landmarks for place in places], height, width)].face
        return [place for place in places if place.face == self._centre]

    def _restore_batch(self, cuts: Sequence[_Cut], canvases: dict[int, Tensor], numbers: Counter[int]) -> None:
        frames = [cut.waiting.frame for cut in cuts]
        crops = torch.stack([
            crop(plain_pixels(frame), cut.matrix) for frame, cut in zip(frames, cuts, strict=True)
        ])  # fmt: skip
        restored, masks = self.restorer.faces(crops, deep=any(frame.bits > 8 for frame in frames))
        for index, (frame, cut) in enumerate(zip(frames, cuts, strict=True)):
            face = self._held_still(restored[index], crops[index], cut)
            canvas = canvases.get(id(cut.waiting))
            if canvas is None:
                canvas = canvases[id(cut.waiting)] = frame.pixels.clone(memory_format=torch.contiguous_format)
            mask = soften(masks[index]) * (self.options.strength * cut.place.weight)
            paste(canvas, face, mask, cut.matrix, (plain_pixels(frame).shape[1], plain_pixels(frame).shape[2]))
            if self.engine.span.holds(frame.pts):
                self.counts.restored += 1
                self.counts.people.add(cut.place.face)
                self.counts.enlarged |= frame.before is not None
            if self.keep_crops is not None:
                assert cut.waiting.number is not None
                self.keep_crops(cut.waiting.number, numbers[cut.waiting.number], crops[index], face)
                numbers[cut.waiting.number] += 1

    def _held_still(self, restored: Tensor, crop: Tensor, cut: _Cut) -> Tensor:
        """What to show of a face in a clip, given what was shown of it in the frame before."""
        if self.options.smoothing == 0:
            return restored
        before = self._shown.get(cut.place.face)
        face = restored if before is None else steadied(restored, crop, before, self.options.smoothing)
        if cut.keep:
            self._shown[cut.place.face] = Shown(crop, face)
        elif before is not None:
            del self._shown[cut.place.face]
        return face


def most_central(faces: Sequence[Points], height: int, width: int) -> int:
    """Which of ``faces``, at least one, is closest to the centre of a picture of this size."""
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    return int(np.argmin([np.linalg.norm(points.mean(axis=0) - centre) for points in faces]))


def shorter_side(face: Face) -> float:
    """The shorter side of a face's box in pixels."""
    left, top, right, bottom = face.box
    return float(min(right - left, bottom - top))


def waiting_frames(frame: Frame) -> tuple[int, int]:
    """How many frames of this size are looked ahead, and how many go through the detector together."""
    size = frame.pixels.shape[1] * frame.pixels.shape[2] + (0 if frame.before is None else frame.before[0].numel())
    most = max(1, WAITING_BYTES // (size * 3 * 4))
    at_once = max(1, min(SEEN_AT_ONCE, most // 2))
    return max(1, min(REACH, most - at_once)), at_once


def _of_one_size(frames: Sequence[Frame]) -> list[list[Frame]]:
    """The frames in groups, in order, whose pixels have the same size; large ones are each on their own."""
    groups: list[list[Frame]] = []
    for frame in frames:
        pixels = plain_pixels(frame)
        fits = groups and (len(groups[-1]) + 1) * pixels[0].numel() <= BATCH_PIXELS
        if fits and plain_pixels(groups[-1][0]).shape == pixels.shape:
            groups[-1].append(frame)
        else:
            groups.append([frame])
    return groups
