"""What ``probe`` found out about a clip, as a card; what a report says of one beyond that of a picture; the limits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from html import escape
from pathlib import PurePath
from typing import Any

from restore.clip_plan import ClipPlan
from restore.media.clips.describe import clock
from restore.media.clips.facts import AudioInfo, ClipInfo, SubtitleInfo, VideoInfo
from restore.settings import GIBI, MEBI, MINUTE, Settings
from restore.ui import markup
from restore.ui.texts import both

# What FFmpeg calls otherwise than people do.
CODECS = {
    "aac": "AAC",
    "ac3": "AC-3",
    "ass": "ASS",
    "av1": "AV1",
    "dnxhd": "DNxHD",
    "dvvideo": "DV",
    "eac3": "E-AC-3",
    "ffv1": "FFV1",
    "flac": "FLAC",
    "h263": "H.263",
    "h264": "H.264",
    "hdmv_pgs_subtitle": "PGS",
    "hevc": "HEVC",
    "mjpeg": "Motion JPEG",
    "mp2": "MP2",
    "mov_text": "MPEG-4 Timed Text",
    "mp3": "MP3",
    "mpeg1video": "MPEG-1",
    "mpeg2video": "MPEG-2",
    "mpeg4": "MPEG-4",
    "opus": "Opus",
    "prores": "ProRes",
    "rawvideo": "RGB/YUV",
    "subrip": "SRT",
    "theora": "Theora",
    "vc1": "VC-1",
    "vorbis": "Vorbis",
    "vp8": "VP8",
    "vp9": "VP9",
    "webvtt": "WebVTT",
}

FORMATS = ("MP4", "MOV", "MKV", "WebM", "AVI", "MPEG", "TS", "FLV", "OGV", "3GP", "MXF", "DV", "GIF")
"""What clips usually come in, for whoever asks; the engine tells by the content."""


def limits(settings: Settings) -> str:
    """What may be uploaded."""
    return markup.note(
        both(
            "clip_limits",
            formats=", ".join(FORMATS),
            size=_binary(settings.max_clip_bytes),
            minutes=f"{settings.max_clip_seconds / MINUTE:g}",
        )
    )


def _binary(length: int) -> str:
    """A limit in the unit in which it is set, or in the next one where the figure would be long."""
    return f"{length / MEBI:g} MiB" if length < GIBI else f"{length / GIBI:.3g} GiB"


def card(info: ClipInfo) -> str:
    """A clip that was uploaded: its facts as a table, and below them what is to be known before it is restored."""
    video = info.video
    rows = [
        (both("clip_row.picture"), _picture(video)),
        (both("clip_row.time"), " · ".join(_time(video))),
        (both("clip_row.sound"), markup.listed(_sound(each) for each in info.audio) if info.audio else both("none")),
    ]
    if info.subtitles:
        rows.append((both("clip_row.subtitles"), markup.listed(_subtitles(each) for each in info.subtitles)))
    if info.chapters:
        rows.append((both("clip_row.chapters"), str(len(info.chapters))))
    if info.attachments:
        rows.append((both("clip_row.attachments"), markup.listed(escape(each.name) for each in info.attachments)))
    suffix = PurePath(info.name).suffix[1:].upper() or info.container
    rows.append((both("clip_row.file"), f"{escape(suffix)} · {markup.file_size(info.size)}"))
    if info.warnings:
        rows.append(_warnings(info.warnings))
    return markup.facts_table(rows)


def foreseen(plan: ClipPlan) -> str:
    """What is to be known of the result before the work begins; empty if there is nothing."""
    warnings = plan.encoder.warnings
    return markup.facts_table([_warnings(warnings)]) if warnings else ""


def count_of_frames(count: int) -> str:
    """So many frames, in words."""
    return both("one_frame") if count == 1 else both("frames_done", done=count)


def foreseen_pace(plan: ClipPlan) -> str:
    """The same of a clip whose frame rate or length changes, with what these become."""
    words = [both("rate", rate=f"{float(plan.rates[-1]):.5g}")]
    if plan.counts[0]:
        words += [count_of_frames(plan.counts[-1]), clock(plan.counts[0] / plan.rates[0] * plan.stretch)]
    rows = [(both("foreseen_pace"), " · ".join(words))]
    notes = [markup.english(each) for each in plan.encoder.warnings]
    if plan.rates[-1] * plan.stretch < plan.rates[0]:
        notes.append(both("frames_left_out", rate=f"{float(plan.rates[0]):.5g}"))
    if notes:
        rows.append((both("clip_row.warnings"), markup.listed(notes)))
    return markup.facts_table(rows)


def _warnings(sentences: Sequence[str]) -> markup.Row:
    return both("clip_row.warnings"), markup.listed(markup.english(each) for each in sentences)


def _picture(video: VideoInfo) -> str:
    width, height = video.display_size
    words = [both("pixels", width=width, height=height), escape(_codec(video.codec))]
    if video.sample_aspect != 1:
        words.append(both("stored_as", width=video.width, height=video.height))
    if video.bits != 8:
        words.append(both("bits", bits=video.bits))
    badges = []
    if video.hdr is not None:
        badges.append("HDR (PQ)" if video.hdr.kind == "pq" else "HDR (HLG)")
    if video.dolby_vision:
        badges.append("Dolby Vision")
    if video.scan != "progressive":
        badges.append(both(f"scan.{video.scan}"))
    if video.orientation != 1:
        badges.append(both("turned"))
    if video.alpha:
        badges.append(both("kept_of.alpha"))
    return " ".join([" · ".join(words), *(markup.badge(each) for each in badges)])


def _time(video: VideoInfo) -> Iterator[str]:
    yield both("unknown_length") if video.duration is None else clock(video.duration)
    rate = f"{float(video.frame_rate):.5g}"
    yield both("rate", rate=rate) if video.constant_rate else both("variable_rate", rate=rate)
    if video.frames is not None:
        yield count_of_frames(video.frames)


def _sound(stream: AudioInfo) -> str:
    parts = [_codec(stream.codec), stream.layout, f"{stream.sample_rate} Hz", *_naming(stream)]
    return escape(", ".join(parts))


def _subtitles(stream: SubtitleInfo) -> str:
    return escape(", ".join([_codec(stream.codec), *_naming(stream)]))


def _naming(stream: AudioInfo | SubtitleInfo) -> list[str]:
    return [words for words in (stream.language, stream.title) if words]


def _codec(name: str) -> str:
    return CODECS.get(name, name)


def report_rows(clip: Mapping[str, Any]) -> list[markup.Row]:
    """The rows on a clip, for the table of its report: ``Report.to_dict()["clip"]``."""
    rate = f"{float(Fraction(clip['frame_rate'])):.5g}"
    frames = [count_of_frames(clip["frames"]), both("rate", rate=rate)]
    if clip["reused"]:
        frames.append(both("reused", count=clip["reused"]))
    encoding = [_codec(clip["codec"]), clip["pixel_format"], *(f"{k} {v}" for k, v in _told(clip["encoder"]))]
    rows = [
        (both("report_row.frames"), " · ".join(frames)),
        (both("report_row.encoding"), escape(", ".join(encoding))),
    ]
    if clip["start"] is not None or clip["end"] is not None:
        ends = [None if clip[name] is None else Fraction(clip[name]) for name in ("start", "end")]
        part = both("part", start=clock(ends[0] or Fraction(0)), end="…" if ends[1] is None else clock(ends[1]))
        rows.append((both("report_row.part"), part))
    if clip["cuts"]:
        rows.append((both("report_row.shots"), str(len(clip["cuts"]) + 1)))
    if clip["notes"]:
        rows.append((both("report_row.notes"), markup.listed(markup.english(each) for each in clip["notes"])))
    return rows


def _told(encoder: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """The settings of an encoder that people choose."""
    return ((name, encoder[name]) for name in ("crf", "preset", "profile") if name in encoder)
