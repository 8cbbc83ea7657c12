"""Find out what a clip is, without decoding more than its first frames."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Literal

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import AttachmentStream, Disposition, Stream
from av.subtitles.stream import SubtitleStream
from av.video.format import VideoFormat
from av.video.stream import VideoStream

from restore.errors import InputError
from restore.media.clips import webp
from restore.media.clips.containers import BARE, check_pixels, is_moving, main_video, open_clip, read_prefix
from restore.media.clips.facts import (
    HLG,
    PQ,
    AttachmentInfo,
    AudioInfo,
    Chapter,
    ClipInfo,
    Counted,
    Hdr,
    OtherStream,
    Scan,
    SubtitleInfo,
    VideoInfo,
)
from restore.media.clips.rates import HIGHEST_RATE, Pace, pace_of
from restore.media.clips.remarks import Claim, remarks
from restore.media.clips.sequence import ImageSequence, probe_sequence
from restore.media.clips.signatures import is_animated_webp, y4m_parameters
from restore.media.clips.survey import FirstFrame, Survey, look_at_fields, survey
from restore.settings import Settings, load_settings

_DEFAULT_RATE = Fraction(25)
_STEEPEST_PIXEL = 10
_LATER = Fraction(4)
"""Seconds from which on a clip is looked at in the middle as well, for its fields."""

_NEVER_INTERLACED = {"gif", "apng", "png", "webp", "vp8", "vp9", "av1", "qtrle"}
_TALLEST_INTERLACED = 1152
_MAX_INDEX = 200_000
_TOP_FIRST, _BOTTOM_FIRST = (2, 5), (3, 4)  # FFmpeg's AVFieldOrder, by the field that is shown first
_WITH_ALPHA_BESIDE = {"vp8", "vp9"}
_DOLBY_VISION_TAGS = {"dvh1", "dvhe", "dvav", "dva1", "dav1"}


def probe(path: str | Path | ImageSequence, settings: Settings | None = None) -> ClipInfo:
    """Find out what the clip at ``path`` is, or the one that numbered pictures make.

    Cheap, however long the clip: it reads at most 20,000 packets or 64 MiB of the file (``survey.MAX_PACKETS``,
    ``MAX_BYTES``) and decodes at most 30 frames or 64 million pixels from its beginning, and half as many from its
    middle where it may be interlaced. Where that is the whole file, numbers are counted rather than believed.

    Raises ``InputError`` for what is no clip, is encrypted, or of which no frame can be decoded, ``LimitError`` if the
    file or its picture is larger than ``settings`` (the process's own if none are given) allow.
    """
    settings = settings or load_settings()
    if isinstance(path, ImageSequence):
        return probe_sequence(path, settings)
    path = Path(path)
    prefix = read_prefix(path, settings)
    if is_animated_webp(prefix):
        return webp.probe(path, settings)
    with open_clip(path, settings) as container:
        stream = main_video(container, path.name)
        seen = survey(container, stream)
        first = _check(stream, seen, path.name, settings)
        video = _video(container, stream, seen, first)
        if video.frame_rate > HIGHEST_RATE:
            raise InputError(
                f"{path.name} claims to have {float(video.frame_rate):,.0f} frames per second, which cannot be true: "
                "write it anew with its real rate."
            )
        scan, order = _scan(container, stream, seen, video)
        video = replace(video, scan=scan, field_order=order, marked=bool(seen.fields.marked))
        parameters = y4m_parameters(prefix)
        info = _clip(container, video, path.name)
        assumed = info.container in BARE or (bool(parameters) and parameters.get("F", "0:0").startswith("0:"))
        claim = Claim(stream.frames, _beyond_the_end(container, stream), _stream_duration(stream, container))
        return replace(info, warnings=tuple(remarks(info, seen, claim, rate_is_assumed=assumed)))


def _check(stream: VideoStream, seen: Survey, name: str, settings: Settings) -> FirstFrame:
    if seen.encrypted or "enc_key_id" in stream.metadata:
        raise InputError(f"{name} is encrypted and cannot be read: give a copy without protection.")
    if seen.first is None:
        if not seen.packets:
            raise InputError(f"{name} holds no frames: it is empty or was cut off.")
        raise InputError(
            f"None of the first frames of {name} can be decoded: it is broken, or protected against copying. "
            "Get a whole copy of it."
        )
    for width, height in seen.sizes:
        check_pixels(width, height, name, settings)
    return seen.first


def _video(container: InputContainer, stream: VideoStream, seen: Survey, first: FirstFrame) -> VideoInfo:
    context = stream.codec_context
    codec = context.codec.canonical_name
    time_base = stream.time_base or Fraction(1, 1_000_000)
    pace = _pace(stream, seen, time_base)
    start = _seconds(min(seen.times), time_base) if seen.times else _seconds(stream.start_time, time_base)
    duration, duration_from = _duration(stream, seen, time_base, container, pace)
    frames, frames_from = _frames(stream, seen, duration, pace.rate)
    if duration is None and frames is not None:
        duration = frames / pace.rate
    form = VideoFormat(first.pixel_format)
    alpha = any(component.is_alpha for component in form.components) or form.has_palette
    if codec == "gif":
        alpha = seen.transparent
    beside = codec in _WITH_ALPHA_BESIDE and _lowered(stream.metadata).get("alpha_mode") == "1"
    tilted = bool(first.placement.tilt)
    # A matrix that leans has been taken for a shape of pixels by FFmpeg; the decoder's own word is not touched by it.
    aspect = context.sample_aspect_ratio if tilted else stream.sample_aspect_ratio
    return VideoInfo(
        index=stream.index,
        codec=codec,
        profile=stream.profile,
        width=first.width,
        height=first.height,
        pixel_format=first.pixel_format,
        bits=max((component.bits for component in form.components), default=8),
        alpha=alpha or beside,
        sample_aspect=_sensible_aspect(aspect),
        orientation=first.placement.orientation,
        tilt=round(first.placement.tilt, 3),
        time_base=time_base,
        frame_rate=pace.rate,
        constant_rate=pace.constant,
        guessed_rate=stream.guessed_rate,
        average_rate=stream.average_rate,
        base_rate=stream.base_rate,
        start=start or Fraction(0),
        duration=duration,
        duration_from=duration_from,
        frames=frames,
        frames_from=frames_from,
        hidden_frames=seen.hidden,
        timed=bool(seen.times),
        colour=first.colour,
        hdr=_hdr(first, seen),
        hdr10_plus=seen.hdr10_plus,
        dolby_vision=seen.dolby_vision or context.codec_tag in _DOLBY_VISION_TAGS,
        pulldown=pace.pulldown,
        captions=seen.captions,
        timecode=_timecode(container) or seen.timecode,
        bit_rate=stream.bit_rate or None,
        language=_language(stream),
        metadata=dict(stream.metadata),
    )


def _pace(stream: VideoStream, seen: Survey, time_base: Fraction) -> Pace:
    claims = (stream.guessed_rate, stream.average_rate, stream.base_rate)
    claimed = next((claim for claim in claims if claim), _DEFAULT_RATE)
    times = sorted(set(seen.times))
    if not seen.complete or seen.broken or seen.packets < stream.frames:
        # Frames are stored in the order of decoding, so the last ones in time are not all among those that were read.
        times = times[: -max(1, len(times) // 10, min(32, len(times) // 2))]
    pace = pace_of(times, time_base, claims)
    if pace is None:
        lasts = seen.end - seen.times[0] if seen.times and seen.end is not None else 0
        return Pace(1 / (lasts * time_base) if lasts > 0 else claimed, constant=True)
    if pace.constant and not seen.complete and not _index_is_even(stream):
        return Pace(stream.average_rate or pace.rate, constant=False)
    return pace


def _index_is_even(stream: VideoStream) -> bool:
    """Whether the decoding times of all frames in the file's index, where there is such a one, are equally far apart.

    Times that are rounded to ticks differ by one at most.
    """
    index = stream.index_entries
    count = len(index)
    if not stream.frames or count < stream.frames or count > _MAX_INDEX:
        return True
    earlier = index[0].timestamp
    shortest = longest = None
    for position in range(1, count):
        timestamp = index[position].timestamp
        step, earlier = timestamp - earlier, timestamp
        # The last frame may be cut short.
        if position < count - 1:
            shortest = step if shortest is None else min(shortest, step)
            longest = step if longest is None else max(longest, step)
    return shortest is None or longest is None or longest - shortest <= 1


def _beyond_the_end(container: InputContainer, stream: VideoStream) -> int:
    """How many frames the index promises at places where the file has ended already."""
    index, size = stream.index_entries, container.size
    count = len(index)
    if not stream.frames or count > _MAX_INDEX or size <= 0:
        return 0
    return sum(entry.pos + entry.size > size for entry in (index[position] for position in range(count)))


def _duration(
    stream: VideoStream, seen: Survey, time_base: Fraction, container: InputContainer, pace: Pace
) -> tuple[Fraction | None, Counted]:
    if seen.complete and seen.times:
        first, last = min(seen.times), max(seen.times)
        end = last if seen.end is None else seen.end
        # Some containers, FLV among them, do not say how long the last frame lasts.
        return (end - first) * time_base + (1 / pace.rate if end == last else 0), "counted"
    claimed = _stream_duration(stream, container)
    if claimed:
        return claimed, "header"
    if container.duration and container.duration > 0:
        return Fraction(container.duration, av.time_base), "estimated"
    return None, "estimated"


def _frames(stream: VideoStream, seen: Survey, duration: Fraction | None, rate: Fraction) -> tuple[int | None, Counted]:
    if seen.complete:
        return seen.packets - seen.hidden, "counted"
    if stream.frames:
        return stream.frames, "header"
    return (None if duration is None else max(1, round(duration * rate))), "estimated"


def _hdr(first: FirstFrame, seen: Survey) -> Hdr | None:
    if first.colour.transfer not in (PQ, HLG):
        return None
    content, average = seen.light or (None, None)
    return Hdr("pq" if first.colour.transfer == PQ else "hlg", seen.mastering, content, average)


def _scan(
    container: InputContainer, stream: VideoStream, seen: Survey, video: VideoInfo
) -> tuple[Scan, Literal["top", "bottom"] | None]:
    """How the frames are made and which field comes first; looks at the middle too, so ``container`` is moved."""
    may_be = video.codec not in _NEVER_INTERLACED and video.height <= _TALLEST_INTERLACED
    if may_be and video.timed and video.duration and video.duration > _LATER and not seen.broken:
        middle = (video.start + video.duration / 2) / video.time_base
        seen.fields = seen.fields.joined(look_at_fields(container, stream, int(middle)))
    scan = seen.fields.scan
    if scan == "progressive":
        return scan, None
    if stream.codec_context.field_order in _TOP_FIRST:
        return scan, "top"
    if stream.codec_context.field_order in _BOTTOM_FIRST:
        return scan, "bottom"
    return scan, seen.fields.order


def _clip(container: InputContainer, video: VideoInfo, name: str) -> ClipInfo:
    audio = tuple(_audio(stream, container) for stream in container.streams.audio if stream.codec_context is not None)
    subtitles = tuple(
        _subtitle(stream, container) for stream in container.streams.subtitles if stream.codec_context is not None
    )
    attachments = tuple(_attachment(stream) for stream in container.streams if isinstance(stream, AttachmentStream))
    timed: tuple[VideoInfo | AudioInfo | SubtitleInfo, ...] = (video, *audio, *subtitles)
    listed = {*(stream.index for stream in timed), *(attachment.index for attachment in attachments)}
    chapters = tuple(_chapters(container))
    others = tuple(
        _other(stream, chapters=bool(chapters)) for stream in container.streams if stream.index not in listed
    )
    start = min(stream.start for stream in timed if stream.start is not None)
    ends = [(stream.start or start) + stream.duration for stream in timed if stream.duration is not None]
    if ends:
        duration: Fraction | None = max(ends) - start
    else:
        duration = Fraction(container.duration, av.time_base) if container.duration else None
    return ClipInfo(
        name=name,
        container=container.format.name.split(",")[0],
        size=container.size,
        video=video,
        audio=audio,
        subtitles=subtitles,
        attachments=attachments,
        others=others,
        chapters=chapters,
        start=start,
        duration=duration,
        metadata=dict(container.metadata),
    )


def _audio(stream: AudioStream, container: InputContainer) -> AudioInfo:
    codec = stream.codec_context.codec.canonical_name
    pcm = re.match(r"pcm_[a-z]+?(\d+)", codec)
    return AudioInfo(
        index=stream.index,
        codec=codec,
        profile=stream.profile,
        sample_rate=stream.sample_rate,
        channels=stream.channels,
        layout=stream.layout.name,
        bits=int(pcm[1]) if pcm else None,
        bit_rate=stream.bit_rate or None,
        language=_language(stream),
        title=stream.metadata.get("title"),
        dispositions=_dispositions(stream),
        start=_seconds(stream.start_time, stream.time_base),
        duration=_stream_duration(stream, container),
        metadata=dict(stream.metadata),
    )


def _subtitle(stream: SubtitleStream, container: InputContainer) -> SubtitleInfo:
    codec = stream.codec_context.codec
    return SubtitleInfo(
        index=stream.index,
        codec=codec.canonical_name,
        kind="bitmap" if codec.bitmap_sub else "text",
        language=_language(stream),
        title=stream.metadata.get("title"),
        dispositions=_dispositions(stream),
        start=_seconds(stream.start_time, stream.time_base),
        duration=_stream_duration(stream, container),
        metadata=dict(stream.metadata),
    )


def _attachment(stream: AttachmentStream) -> AttachmentInfo:
    return AttachmentInfo(
        index=stream.index,
        name=stream.metadata.get("filename") or f"attachment {stream.index}",
        mimetype=stream.mimetype,
        size=len(stream.data),
        metadata=dict(stream.metadata),
    )


def _other(stream: Stream, *, chapters: bool) -> OtherStream:
    what: str = stream.type
    size = None
    if isinstance(stream, VideoStream):
        what = "video" if is_moving(stream) else "cover art"
        size = (stream.width, stream.height) if stream.codec_context is not None else None
    elif "timecode" in stream.metadata:
        what = "timecode"
    elif stream.type == "data" and stream.name == "bin_data" and chapters:
        # In MP4 the titles of chapters are a stream too; what it says is read with the chapters.
        what = "chapter titles"
    context = stream.codec_context
    codec = context.codec.canonical_name if context is not None else getattr(stream, "name", None)
    return OtherStream(
        index=stream.index,
        what=what,
        codec=codec,
        size=size,
        language=_language(stream),
        title=stream.metadata.get("title"),
        metadata=dict(stream.metadata),
    )


def _chapters(container: InputContainer) -> Iterator[Chapter]:
    for chapter in container.chapters():
        time_base = chapter["time_base"]
        start, end = _seconds(chapter["start"], time_base), _seconds(chapter["end"], time_base)
        if start is None or end is None:
            continue
        metadata = dict(chapter["metadata"])
        yield Chapter(start, end, metadata.get("title"), metadata)


def _timecode(container: InputContainer) -> str | None:
    for metadata in (container.metadata, *(stream.metadata for stream in container.streams)):
        if metadata.get("timecode"):
            return metadata["timecode"]
    return None


def _stream_duration(stream: Stream, container: InputContainer) -> Fraction | None:
    if stream.duration and stream.duration > 0 and stream.time_base:
        return stream.duration * stream.time_base
    tagged = _tagged_duration(stream.metadata)
    if tagged and container.duration and container.duration > 0:
        # Some programs write the end of the stream there.
        start = _seconds(stream.start_time, stream.time_base) or Fraction(0)
        rest = Fraction(container.duration, av.time_base) - start
        return min(tagged, rest) if rest > 0 else tagged
    return tagged


def _tagged_duration(metadata: Mapping[str, str]) -> Fraction | None:
    """The length that Matroska files carry as a tag, as hours, minutes and seconds."""
    for name, text in _lowered(metadata).items():
        if name == "duration" or name.startswith("duration-"):
            parts = re.fullmatch(r"(\d{1,5}):(\d\d):(\d\d(?:\.\d{1,12})?)", text.strip())
            if parts:
                return int(parts[1]) * 3600 + int(parts[2]) * 60 + Fraction(parts[3])
    return None


def _sensible_aspect(aspect: Fraction | None) -> Fraction:
    """``aspect`` where a pixel may have that shape; files name 0, and others that no camera makes."""
    if aspect and Fraction(1, _STEEPEST_PIXEL) <= aspect <= _STEEPEST_PIXEL:
        return aspect
    return Fraction(1)


def _language(stream: Stream) -> str | None:
    language = stream.metadata.get("language")
    return None if language in (None, "", "und") else language


def _dispositions(stream: Stream) -> tuple[str, ...]:
    return tuple(flag.name for flag in Disposition if flag & stream.disposition and flag.name)


def _lowered(metadata: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): text for name, text in metadata.items()}


def _seconds(ticks: int | None, time_base: Fraction | None) -> Fraction | None:
    return None if ticks is None or time_base is None else ticks * time_base
