"""What a person should know about a clip before it is restored, as sentences."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from restore.media.clips.facts import ClipInfo, VideoInfo
from restore.media.clips.fields import ENOUGH
from restore.media.clips.survey import Survey

MUCH_SHORTER = 0.95
"""The share of the promised frames below which a clip counts as cut off."""


@dataclass(frozen=True)
class Claim:
    """What the header promises: how many ``frames`` (0: it does not say), of which ``beyond`` lie behind the end of the
    file, and for how many seconds they last."""

    frames: int
    beyond: int
    duration: Fraction | None


def remarks(info: ClipInfo, seen: Survey, claim: Claim, *, rate_is_assumed: bool) -> Iterator[str]:
    """The warnings for ``info``; ``rate_is_assumed`` says that neither the file nor its timestamps tell the rate."""
    video = info.video
    yield from _completeness(video, seen, claim)
    yield from _time(info, seen, rate_is_assumed=rate_is_assumed)
    yield from _scan(video, seen)
    if video.tilt:
        yield (
            f"The clip asks to be shown at an angle of {video.tilt:g}°, which is not done: its frames stay as they are "
            "stored."
        )
    if len(seen.sizes) > 1:
        sizes = ", ".join(f"{width} x {height}" for width, height in seen.sizes)
        yield f"The size of the picture changes within the clip ({sizes}): all frames are brought to the first size."
    others = [stream for stream in info.others if stream.what == "video"]
    if others:
        yield (
            f"The file has {len(others) + 1} streams of pictures: the one with {video.width} x {video.height} pixels "
            "is restored, the others are left out."
        )
    yield from _hdr(video)


def _completeness(video: VideoInfo, seen: Survey, claim: Claim) -> Iterator[str]:
    found = seen.packets if seen.complete else claim.frames - claim.beyond
    counted = video.duration if video.duration_from == "counted" else None
    if claim.frames and found < MUCH_SHORTER * claim.frames and claim.frames - found > 1:
        yield (
            f"The file promises {claim.frames} frames and holds about {found}: it was cut off or is damaged. What "
            "is there can be restored."
        )
    elif counted and claim.duration and counted < MUCH_SHORTER * claim.duration and not seen.hidden:
        yield (
            f"The file promises {float(claim.duration):.6g} s of pictures and holds {float(counted):.6g} s: it was cut "
            "off or is damaged. What is there can be restored."
        )
    elif seen.broken:
        yield "The file breaks off in the middle: what comes before that can be restored."
    if seen.failures:
        yield (
            f"{seen.failures} of the first packets cannot be decoded: the file is damaged, and frames may be missing "
            "or show blocks."
        )
    if video.frames == 1:
        yield "The clip is a single frame."


def _time(info: ClipInfo, seen: Survey, *, rate_is_assumed: bool) -> Iterator[str]:
    video = info.video
    rate = f"{float(video.frame_rate):.6g}"
    if rate_is_assumed:
        yield f"The file does not say how fast it plays: {rate} frames per second are assumed."
    elif not video.timed:
        yield f"The frames have no times of their own: they are spaced evenly at {rate} frames per second."
    elif seen.untimed:
        yield f"{seen.untimed} frames have no time of their own: they are placed between their neighbours."
    if video.timed and len(set(seen.times)) < len(seen.times):
        yield "Some frames have the same time as others: they are spread out between their neighbours."
    if info.start < 0:
        yield (
            f"The clip begins {-float(info.start):.3g} s before its zero: the result begins at zero, picture and sound "
            "alike."
        )
    if video.hidden_frames:
        yield f"{video.hidden_frames} frames are cut away by the file's edit list and are left out."


def _scan(video: VideoInfo, seen: Survey) -> Iterator[str]:
    fields = seen.fields
    if video.scan == "telecined":
        yield (
            "The clip is film at 24 frames per second that was brought to 30 by repeating fields (telecine): "
            "deinterlacing leaves one frame in five repeated."
        )
    elif video.scan == "interlaced" and not fields.marked:
        yield "The picture is not marked as interlaced but looks like it: its two fields show different moments."
    elif video.scan == "interlaced" and fields.whole >= ENOUGH and not fields.combed:
        yield (
            "The picture is marked as interlaced, but none of the frames looked at shows it: if it moves and you see "
            "no combs, leave deinterlacing off, which keeps more detail."
        )
    elif video.scan == "interlaced":
        yield "The picture is interlaced: it is deinterlaced unless you turn that off."
    elif video.scan == "mixed":
        yield "Some frames are interlaced and others are not: those that are get deinterlaced."
    if video.pulldown:
        yield (
            "The clip is film with fields repeated by flags (pulldown): its frames are restored as they are, each "
            "shown as long as in the source."
        )


def _hdr(video: VideoInfo) -> Iterator[str]:
    if video.dolby_vision and video.hdr is None and video.colour.transfer in (2, 13):
        yield (
            "The clip is Dolby Vision without a picture that other players can show: its colours will come out wrong. "
            "Convert it to HDR10 first."
        )
    elif video.dolby_vision:
        yield "The clip has Dolby Vision data, which are not kept: the result is plain HDR."
    if video.hdr10_plus:
        yield "The clip has HDR10+ data, which are not kept: the result is plain HDR10."
