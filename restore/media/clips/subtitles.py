"""Subtitles that are text, turned into what another container takes, or into a file of their own."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
from av.packet import Packet
from av.subtitles.codeccontext import SubtitleCodecContext
from av.subtitles.stream import SubtitleStream

from restore.media.atomic import replacing, unwritable

TEXT, BITMAP = 1 << 17, 1 << 16
"""The bits of a codec's properties that say whether its subtitles are text or pictures."""


def is_text(stream: SubtitleStream) -> bool:
    return bool(stream.codec_context.codec.properties & TEXT)


def header(stream: SubtitleStream) -> bytes | None:
    """The styles that the lines of ``stream`` refer to, in the words of ASS, which every text codec is decoded to."""
    stream.codec_context.open(strict=False)
    return stream.codec_context.subtitle_header


def recode(packet: Packet[SubtitleStream], encoder: SubtitleCodecContext) -> bytes | None:
    """The text of ``packet`` as ``encoder`` writes it, or ``None`` where it shows nothing."""
    shown = packet.stream.codec_context.decode2(packet)
    if shown is None or not len(shown):
        return None
    # The encoders count from the packet's own time and refuse any other beginning.
    shown.start_display_time = 0
    return bytes(encoder.encode_subtitle(shown)) or None


@dataclass
class TextFile:
    """Subtitles on their way into a file ``NAME.LANG.srt`` beside the clip."""

    source: SubtitleStream
    lines: list[tuple[Fraction, Fraction, str]] = field(default_factory=list)
    encoder: SubtitleCodecContext = field(init=False)

    def __post_init__(self) -> None:
        self.encoder = av.CodecContext.create("subrip", "w")
        self.encoder.time_base = Fraction(1, 1000)
        self.encoder.subtitle_header = header(self.source)

    def add(self, packet: Packet[SubtitleStream], start: Fraction, duration: Fraction) -> None:
        """Add the text of ``packet``, shown from ``start`` on for ``duration`` seconds."""
        text = recode(packet, self.encoder)
        if text:
            self.lines.append((start, start + duration, text.decode("utf-8", "replace").strip("\n")))

    def write(self, path: Path) -> None:
        """Write the file; raises ``OutputError``."""
        blocks = [
            f"{number}\n{_clock(start)} --> {_clock(end)}\n{text}\n"
            for number, (start, end, text) in enumerate(sorted(self.lines), 1)
        ]
        try:
            with replacing(path) as file:
                file.write_text("\n".join(blocks), encoding="utf-8")
        except OSError as error:
            raise unwritable(path, error) from error


def beside(target: Path, language: str | None, taken: set[Path]) -> Path:
    """``NAME.LANG.srt`` for the clip ``NAME.webm``, with a number where that name is ``taken``."""
    letters = "".join(letter for letter in language or "und" if letter.isalnum() or letter == "-") or "und"
    path, number = target.with_name(f"{target.stem}.{letters}.srt"), 2
    while path in taken:
        path, number = target.with_name(f"{target.stem}.{letters}.{number}.srt"), number + 1
    return path


def _clock(seconds: Fraction) -> str:
    milliseconds = max(0, round(seconds * 1000))
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{rest // 1000:02d},{rest % 1000:03d}"
