"""Follow faces from frame to frame of a shot, and hold them still where only the detector trembles.

A restored face is drawn anew in every frame, so its crop must not shake: that would be seen as flicker. The landmarks
of each face are smoothed over some frames before and after, which takes a bounded look ahead and follows steady
movement without lag.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
"""Landmarks ``(5, 2)``, in pixels of the frame."""

BRIDGED = 2
"""Frames in which a face may go unseen between two in which it is seen."""

NEAR = 1.6
"""How far a face may be from where it is expected, in spreads of its landmarks: about half the width of a face."""

LARGEST_GROWTH = 1.6
"""How many times larger or smaller a face may be than it was when it was last seen."""

LARGEST_SHIFT = 0.08
"""How far smoothing may move a landmark, in spreads: trembling is smaller than that, what moves farther is movement."""

FADE = 3
"""Frames over which a face comes in that appears in the middle of a shot, and goes out: a sudden change would flash."""


def spread(points: Points) -> float:
    """Root of the mean squared distance of landmarks from their centre: about a third of the width of the face."""
    return float(np.sqrt(np.square(points - points.mean(axis=0)).sum(axis=1).mean()))


@dataclass(frozen=True)
class Place:
    """Where a face is in one frame. ``face`` is the same number in all frames of a track.

    ``weight``, in (0, 1], is how much of the restored face is to be seen.
    """

    face: int
    landmarks: Points
    weight: float = 1.0


@dataclass
class _Track:
    number: int
    shot: int
    first: int
    seen: dict[int, Points] = field(default_factory=dict)

    @property
    def last(self) -> int:
        return max(self.seen)

    def expected(self, frame: int) -> Points:
        """Where the face should be in ``frame``, if it goes on moving as it did."""
        times = sorted(self.seen)[-2:]
        latest = self.seen[times[-1]]
        if len(times) < 2:
            return latest
        step: Points = (latest - self.seen[times[0]]).mean(axis=0) / (times[-1] - times[0])
        return latest + step * (frame - times[-1])


class Tracker:
    """Takes the faces of frame after frame and says, ``reach`` frames later, where they are.

    ``smoothing``, from 0 to 1, is how many of the frames within reach take part. Frames are numbered from 0.
    """

    def __init__(self, reach: int, smoothing: float) -> None:
        self.reach, self.smoothing = reach, smoothing
        self._tracks: list[_Track] = []
        self._shots: list[int] = []  # of every frame
        self._begun = 0

    def see(self, faces: Sequence[Points], shot: int) -> None:
        """The landmarks of all faces of the next frame, and the shot that it belongs to."""
        frame = len(self._shots)
        self._shots.append(shot)
        open_tracks = [t for t in self._tracks if t.shot == shot and frame - t.last <= BRIDGED + 1]
        pairs = _pairs([track.expected(frame) for track in open_tracks], faces)
        for index, points in enumerate(faces):
            if index in pairs:
                open_tracks[pairs[index]].seen[frame] = points
            else:
                self._tracks.append(_Track(self._begun, shot, frame, {frame: points}))
                self._begun += 1
        oldest = frame - 2 * self.reach - BRIDGED - 1
        self._tracks = [track for track in self._tracks if track.last >= oldest]
        for track in self._tracks:
            track.seen = {time: points for time, points in track.seen.items() if time >= oldest}

    def places(self, frame: int) -> list[Place]:
        """Where the faces of ``frame`` are; ``reach`` later frames of its shot should have been seen, if there are any.

        A face that is found in a single frame while the frames around it show none there is none: it is left out.
        """
        found = []
        for track in self._tracks:
            if track.shot == self._shots[frame] and (place := self._place(track, frame)) is not None:
                found.append(place)
        return found

    def _place(self, track: _Track, frame: int) -> Place | None:
        before = [time for time in track.seen if time <= frame]
        after = [time for time in track.seen if frame <= time <= frame + self.reach]
        if not before or not after or min(after) - max(before) > BRIDGED + 1:
            return None
        first, last = track.first, max(after)
        starts, ends = self._same_shot(first - 1, frame), self._same_shot(last + 1, frame)
        if first == last and starts and ends and self.reach:
            return None
        weight = 1.0
        if starts:
            weight = min(weight, (frame - first + 1) / (FADE + 1))
        if ends and last < frame + self.reach:
            weight = min(weight, (last - frame + 1) / (FADE + 1))
        return Place(track.number, self._smoothed(track, frame), weight)

    def _same_shot(self, one: int, other: int) -> bool:
        """Whether there is a frame ``one``, and in the shot of ``other``."""
        return 0 <= one < len(self._shots) and self._shots[one] == self._shots[other]

    def _smoothed(self, track: _Track, frame: int) -> Points:
        plain = _between(track.seen, frame)
        # As many frames on either side, or a face that moves faster and faster would lag behind.
        times = np.array([time for time in sorted(track.seen) if abs(time - frame) <= self.reach])
        if self.smoothing == 0 or len(times) < 3:
            return plain
        points = np.stack([track.seen[int(time)] for time in times])
        shift = _line(times, points, frame, width=max(0.5, self.smoothing * self.reach / 2)) - plain
        length = np.linalg.norm(shift, axis=1, keepdims=True)
        limited: Points = plain + shift * np.minimum(1, LARGEST_SHIFT * spread(plain) / np.maximum(length, 1e-12))
        return limited


def _between(seen: Mapping[int, Points], frame: int) -> Points:
    """The landmarks in ``frame``, or on the way from the last sighting before it to the next one."""
    if frame in seen:
        return seen[frame]
    before = max(time for time in seen if time < frame)
    after = min(time for time in seen if time > frame)
    share = (frame - before) / (after - before)
    return (1 - share) * seen[before] + share * seen[after]


def _line(times: NDArray[np.int64], points: NDArray[np.float64], frame: int, width: float) -> Points:
    """The value at ``frame`` of the straight line through ``points`` ``(T, 5, 2)``, near frames counting most.

    ``width`` is the standard deviation of the weights in frames.
    """
    offsets = (times - frame).astype(np.float64)
    weights = np.exp(-0.5 * np.square(offsets / width))
    weights /= weights.sum()
    middle = float(weights @ offsets)
    mean: Points = np.tensordot(weights, points, axes=1)
    spread_of_times = float(weights @ np.square(offsets - middle))
    if spread_of_times < 1e-6:
        return mean
    slope = np.tensordot(weights * (offsets - middle), points, axes=1) / spread_of_times
    line: Points = mean - slope * middle
    return line


def _pairs(expected: Sequence[Points], faces: Sequence[Points]) -> dict[int, int]:
    """For the index of a face, that of the expected place it belongs to; the closest pairs first, each used once."""
    if not expected or not faces:
        return {}
    tracks, found = np.stack(expected), np.stack(faces)
    sizes = np.array([spread(points) for points in tracks])[:, None]
    growth = np.array([spread(points) for points in found])[None, :] / np.maximum(sizes, 1e-6)
    distance = np.linalg.norm(tracks[:, None] - found[None], axis=-1).mean(axis=-1) / np.maximum(sizes, 1e-6)
    distance[(growth > LARGEST_GROWTH) | (growth < 1 / LARGEST_GROWTH) | (distance > NEAR)] = np.inf
    pairs: dict[int, int] = {}
    taken: set[int] = set()
    for flat in np.argsort(distance, axis=None, kind="stable"):
        track, face = divmod(int(flat), len(faces))
        if not np.isfinite(distance[track, face]):
            break
        if track not in taken and face not in pairs:
            taken.add(track)
            pairs[face] = track
    return pairs
