"""What ``probe`` found out, as lines for a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from restore.media.clips.facts import UNSPECIFIED, AudioInfo, ClipInfo, Hdr, OtherStream, SubtitleInfo, VideoInfo
from restore.settings import MEBI

_AUDIBLE = Fraction(1, 1000)
_ORIENTATIONS = {
    1: "upright",
    2: "mirrored",
    3: "turned by 180°",
    4: "upside down and mirrored",
    5: "mirrored, then turned by 270° clockwise",
    6: "turned by 90° clockwise",
    7: "mirrored, then turned by 90° clockwise",
    8: "turned by 270° clockwise",
}
_PLUMBING = {"major_brand", "minor_version", "compatible_brands"}
_LONGEST_TAG = 100
_WHERE_FROM = {"header": "", "counted": " (counted)", "estimated": " (estimated)"}


def describe(info: ClipInfo) -> str:
    """Lines of text without a newline at the end; control characters in names and titles are shown as escapes."""
    lines = [f"{info.name}: {info.container}, {info.size / MEBI:.1f} MiB, {clock(info.duration)}"]
    lines += _indented("Picture", _picture(info.video))
    for number, stream in enumerate(info.audio, 1):
        lines += _indented(f"Sound {number}", [_sound(stream, info.start)])
    for number, subtitle in enumerate(info.subtitles, 1):
        lines += _indented(f"Subtitles {number}", [_subtitles(subtitle)])
    if info.chapters:
        titles = [f"{clock(chapter.start)} {chapter.title or ''}".rstrip() for chapter in info.chapters]
        lines += _indented("Chapters", titles)
    if info.attachments:
        lines += _indented("Attached", [f"{entry.name} ({entry.size} bytes)" for entry in info.attachments])
    lines += _indented("Also", [_other(stream) for stream in info.others if stream.what != "chapter titles"])
    tags = [f"{name}: {_shortened(text)}" for name, text in info.metadata.items() if name not in _PLUMBING]
    lines += _indented("Tags", tags)
    lines += [f"  ! {warning}" for warning in info.warnings]
    return "\n".join(_printable(line) for line in lines)


def clock(seconds: Fraction | None) -> str:
    """A time as hours, minutes and seconds with three decimals; "of unknown length" for ``None``."""
    if seconds is None:
        return "of unknown length"
    total = round(abs(seconds) * 1000)
    sign = "-" if seconds < 0 and total else ""
    minutes, milliseconds = divmod(total, 60_000)
    return f"{sign}{minutes // 60}:{minutes % 60:02}:{milliseconds / 1000:06.3f}"


def _indented(title: str, lines: list[str]) -> list[str]:
    return [f"  {title if index == 0 else '':<12}{line}" for index, line in enumerate(lines)]


def _picture(video: VideoInfo) -> list[str]:
    profile = f" ({video.profile})" if video.profile else ""
    lines = [f"{video.codec}{profile}, {video.width} x {video.height}, {_shape(video)}", _rate(video)]
    alpha = ", with transparency" if video.alpha else ""
    lines.append(f"{video.pixel_format}, {video.bits} bits{alpha}; {_colours(video)}")
    if video.hdr:
        lines.append(_hdr(video.hdr))
    if video.scan != "progressive":
        first = f", {video.field_order} field first" if video.field_order else ""
        lines.append(f"{video.scan}{first}")
    extras = [
        name
        for name, there in (
            ("Dolby Vision", video.dolby_vision),
            ("HDR10+", video.hdr10_plus),
            ("closed captions", video.captions),
            (f"timecode {video.timecode}", bool(video.timecode)),
        )
        if there
    ]
    if extras:
        lines.append(", ".join(extras))
    return lines


def _colours(video: VideoInfo) -> str:
    tags = video.colour
    said = [
        f"{name} {value}"
        for name, number, value in zip(
            ("matrix", "primaries", "transfer"), (tags.matrix, tags.primaries, tags.transfer), tags.names, strict=True
        )
        if number != UNSPECIFIED
    ]
    if tags.full_range is not None:
        said.append("full range" if tags.full_range else "limited range")
    return ", ".join(said) or "nothing said about its colours"


def _shape(video: VideoInfo) -> str:
    width, height = video.display_size
    parts = []
    if video.sample_aspect != 1:
        parts.append(f"pixels {video.sample_aspect.numerator}:{video.sample_aspect.denominator}")
    if video.orientation != 1:
        parts.append(_ORIENTATIONS[video.orientation])
    if (width, height) != (video.width, video.height):
        parts.append(f"shown as {width} x {height}")
    return ", ".join(parts) or "upright"


def _rate(video: VideoInfo) -> str:
    rate = f"{float(video.frame_rate):.6g} frame{'' if video.frame_rate == 1 else 's'} per second"
    if video.frame_rate.denominator != 1 and video.constant_rate:
        rate += f" ({video.frame_rate})"
    if not video.constant_rate:
        rate += " on average, variable"
    count = "an unknown number of frames"
    if video.frames is not None:
        count = f"{video.frames} frame{'' if video.frames == 1 else 's'}{_WHERE_FROM[video.frames_from]}"
    begins = f", from {clock(video.start)}" if video.start else ""
    return f"{rate}, {count}, {clock(video.duration)}{begins}"


def _hdr(hdr: Hdr) -> str:
    parts = ["HDR (PQ)" if hdr.kind == "pq" else "HDR (HLG)"]
    if hdr.mastering:
        parts.append(
            f"mastered on a screen from {float(hdr.mastering.darkest):g} to {float(hdr.mastering.brightest):g} cd/m²"
        )
    if hdr.max_content_light:
        parts.append(f"brightest pixel {hdr.max_content_light}, brightest frame {hdr.max_average_light}")
    return ", ".join(parts)


def _sound(stream: AudioInfo, start: Fraction) -> str:
    parts = [f"{stream.codec}, {stream.layout}, {stream.sample_rate} Hz"]
    if stream.start is not None and abs(stream.start - start) >= _AUDIBLE:
        parts.append(f"from {clock(stream.start)}")
    if stream.duration is not None:
        parts.append(clock(stream.duration))
    return ", ".join([*parts, *_naming(stream.language, stream.title, stream.dispositions)])


def _subtitles(stream: SubtitleInfo) -> str:
    return ", ".join([f"{stream.codec} ({stream.kind})", *_naming(stream.language, stream.title, stream.dispositions)])


def _other(stream: OtherStream) -> str:
    parts = [stream.what]
    if stream.codec:
        parts.append(stream.codec)
    if stream.size:
        parts.append(f"{stream.size[0]} x {stream.size[1]}")
    return ", ".join([*parts, *_naming(stream.language, stream.title, ())])


def _naming(language: str | None, title: str | None, dispositions: tuple[str, ...]) -> Iterator[str]:
    if language:
        yield language
    if title:
        yield f'"{title}"'
    yield from dispositions


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_TAG else text[:_LONGEST_TAG] + "…"


def _printable(line: str) -> str:
    """``line`` with everything that could move a terminal's cursor, or turn its text around, as an escape."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in line
    )
