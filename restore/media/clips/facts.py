"""What is known of a clip before it is decoded: the result of ``probe``.

Times are seconds as exact fractions, on the clip's own clock: where a stream begins later than another, or before
zero, it says so here. "Header" means what the file claims, "content" what was seen in packets and frames.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from fractions import Fraction
from typing import Any, Literal

from restore.media.orientation import swaps_sides

Counted = Literal["header", "counted", "estimated"]
"""Where a number comes from: the header, all packets of the file, or the length and the rate."""

Scan = Literal["progressive", "interlaced", "mixed", "telecined"]

MATRICES = {
    0: "rgb",
    1: "bt709",
    4: "fcc",
    5: "bt470bg",
    6: "smpte170m",
    7: "smpte240m",
    8: "ycgco",
    9: "bt2020nc",
    10: "bt2020c",
    14: "ictcp",
}
PRIMARIES = {
    1: "bt709",
    4: "bt470m",
    5: "bt470bg",
    6: "smpte170m",
    7: "smpte240m",
    8: "film",
    9: "bt2020",
    10: "smpte428",
    11: "smpte431",
    12: "smpte432",
    22: "ebu3213",
}
TRANSFERS = {
    1: "bt709",
    4: "gamma22",
    5: "gamma28",
    6: "smpte170m",
    7: "smpte240m",
    8: "linear",
    11: "iec61966-2-4",
    13: "iec61966-2-1",
    14: "bt2020-10",
    15: "bt2020-12",
    16: "smpte2084",
    18: "arib-std-b67",
}
PQ, HLG = 16, 18
UNSPECIFIED = 2


@dataclass(frozen=True)
class ColourTags:
    """What the clip says of its colours, as numbers of ITU-T H.273 (2: not said). Header, else the first frame.

    ``full_range`` is ``None`` where nothing says it.
    """

    matrix: int = UNSPECIFIED
    primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED
    full_range: bool | None = None

    @property
    def names(self) -> tuple[str, str, str]:
        """FFmpeg's names of matrix, primaries and transfer; "unspecified", or the number where it has none."""
        known = zip((self.matrix, self.primaries, self.transfer), (MATRICES, PRIMARIES, TRANSFERS), strict=True)
        return tuple("unspecified" if tag == UNSPECIFIED else names.get(tag, str(tag)) for tag, names in known)  # type: ignore[return-value]


@dataclass(frozen=True)
class MasteringDisplay:
    """The screen on which an HDR clip was made (SMPTE ST 2086), as exact as it is coded. Content.

    ``red``, ``green``, ``blue`` and ``white`` are x and y of CIE 1931; luminances are in candela per square metre.
    """

    red: tuple[Fraction, Fraction]
    green: tuple[Fraction, Fraction]
    blue: tuple[Fraction, Fraction]
    white: tuple[Fraction, Fraction]
    darkest: Fraction
    brightest: Fraction


@dataclass(frozen=True)
class Hdr:
    """High dynamic range: ``kind`` by the transfer, the rest seen in the first frames. Content.

    ``max_content_light`` (MaxCLL) and ``max_average_light`` (MaxFALL) are in candela per square metre.
    """

    kind: Literal["pq", "hlg"]
    mastering: MasteringDisplay | None = None
    max_content_light: int | None = None
    max_average_light: int | None = None


@dataclass(frozen=True)
class VideoInfo:
    """The stream of pictures that is restored.

    ``index`` is that of the stream in the file; ``codec`` is FFmpeg's name of it, ``profile`` its own.
    ``width`` and ``height`` are those of a frame as it is stored, from the first frame.
    ``sample_aspect`` is the width of a stored pixel over its height (header); ``orientation``, one of EXIF's from 1 to
    8, says how a stored frame is set upright, and ``tilt`` the degrees clockwise that the clip asks for where they are
    no multiple of 90 (else 0; first frame).
    ``display_size`` is how large the clip is shown: upright, with square pixels.
    ``time_base`` is the unit of the file's timestamps; ``start`` that of the first frame and ``duration`` up to the end
    of the last, ``None`` where nothing tells; ``duration_from`` says which.
    ``frame_rate`` is the rate, from the timestamps where they tell it; ``constant_rate`` whether all frames looked at
    keep to it (content). ``guessed_rate``, ``average_rate`` and ``base_rate`` are FFmpeg's three opinions (header).
    ``frames`` is how many there are, ``None`` where nothing tells; ``frames_from`` says where from.
    ``hidden_frames`` counts those that an edit list keeps from being shown, ``timed`` is false where the file has no
    timestamps.
    ``pixel_format`` is FFmpeg's name, ``bits`` the depth, ``alpha`` whether there is transparency, also such as is
    stored beside the pictures.
    ``hdr10_plus`` and ``dolby_vision`` say that there are data for each scene, which no stage keeps (content).
    ``scan`` says how the frames looked at are made (content) and ``field_order`` which field comes first (header, else
    content), ``None`` where there are none; ``marked`` is whether the interlaced frames say so themselves. ``pulldown``
    is true for film that is shown with fields repeated by flags.
    ``captions`` and ``timecode`` say whether there are such in the pictures or beside them.
    """

    index: int
    codec: str
    width: int
    height: int
    pixel_format: str
    bits: int
    frame_rate: Fraction
    constant_rate: bool
    time_base: Fraction
    profile: str | None = None
    alpha: bool = False
    sample_aspect: Fraction = Fraction(1)
    orientation: int = 1
    tilt: float = 0.0
    guessed_rate: Fraction | None = None
    average_rate: Fraction | None = None
    base_rate: Fraction | None = None
    start: Fraction = Fraction(0)
    duration: Fraction | None = None
    duration_from: Counted = "header"
    frames: int | None = None
    frames_from: Counted = "header"
    hidden_frames: int = 0
    timed: bool = True
    colour: ColourTags = field(default_factory=ColourTags)
    hdr: Hdr | None = None
    hdr10_plus: bool = False
    dolby_vision: bool = False
    scan: Scan = "progressive"
    field_order: Literal["top", "bottom"] | None = None
    marked: bool = False
    pulldown: bool = False
    captions: bool = False
    timecode: str | None = None
    bit_rate: int | None = None
    language: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def display_size(self) -> tuple[int, int]:
        """Width and height upright and with square pixels; of two that would do, the larger."""
        return square_size(self.width, self.height, self.sample_aspect, self.orientation)


@dataclass(frozen=True)
class AudioInfo:
    """A stream of sound. Header. ``bits`` is the depth of what is not compressed lossily, else ``None``."""

    index: int
    codec: str
    sample_rate: int
    channels: int
    layout: str
    profile: str | None = None
    bits: int | None = None
    bit_rate: int | None = None
    language: str | None = None
    title: str | None = None
    dispositions: tuple[str, ...] = ()
    start: Fraction | None = None
    duration: Fraction | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class SubtitleInfo:
    """A stream of subtitles. Header. ``kind`` is "text", or "bitmap" for those that are pictures."""

    index: int
    codec: str
    kind: Literal["text", "bitmap"]
    language: str | None = None
    title: str | None = None
    dispositions: tuple[str, ...] = ()
    start: Fraction | None = None
    duration: Fraction | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class AttachmentInfo:
    """A file inside the clip, a font mostly. Header. ``size`` is in bytes."""

    index: int
    name: str
    mimetype: str | None
    size: int
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class OtherStream:
    """A stream that is none of the above: another one of pictures, cover art, data, or of a kind unknown. Header.

    ``what`` says it in words: "video", "cover art", "timecode", "chapter titles" (which are read with the chapters),
    "data" …; ``size`` is that of a picture.
    """

    index: int
    what: str
    codec: str | None = None
    size: tuple[int, int] | None = None
    language: str | None = None
    title: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Chapter:
    """A chapter. Header."""

    start: Fraction
    end: Fraction
    title: str | None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ClipInfo:
    """Everything that ``probe`` finds out.

    ``container`` is FFmpeg's name of the kind of file ("mov", "matroska", "webp" …), ``size`` is in bytes. ``start`` is
    the earliest start of all streams, ``duration`` reaches from there to the latest end (header, else content).
    ``warnings`` are sentences for the user.
    """

    name: str
    container: str
    size: int
    video: VideoInfo
    audio: tuple[AudioInfo, ...] = ()
    subtitles: tuple[SubtitleInfo, ...] = ()
    attachments: tuple[AttachmentInfo, ...] = ()
    others: tuple[OtherStream, ...] = ()
    chapters: tuple[Chapter, ...] = ()
    start: Fraction = Fraction(0)
    duration: Fraction | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def has_streams(self) -> bool:
        """Whether it is a file of streams that FFmpeg reads; an animated WebP and numbered pictures are none."""
        return self.container not in ("webp", "sequence")

    def to_dict(self) -> dict[str, Any]:
        """Plain dicts, lists, strings and numbers, ready for JSON; a fraction becomes "30000/1001" or "25"."""
        data: dict[str, Any] = _plain(self)
        data["video"]["display_size"] = list(self.video.display_size)
        return data


def square_size(width: int, height: int, aspect: Fraction, orientation: int) -> tuple[int, int]:
    """The size of a stored frame when it is upright and its pixels, of the shape ``aspect``, are made square.

    The side that is too short is enlarged, so that nothing is lost.
    """
    if aspect > 1:
        width = max(1, round(width * aspect))
    elif aspect < 1:
        height = max(1, round(height / aspect))
    return (height, width) if swaps_sides(orientation) else (width, height)


def _plain(value: Any) -> Any:
    if isinstance(value, Fraction):
        return str(value)
    if is_dataclass(value):
        return {entry.name: _plain(getattr(value, entry.name)) for entry in fields(value)}
    if isinstance(value, Mapping):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(entry) for entry in value]
    return value
