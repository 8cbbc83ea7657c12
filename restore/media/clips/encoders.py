"""What the encoders and containers can hold, and which settings a clip is encoded with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

import av
import torch

from restore.errors import OutputError, SettingsError
from restore.media.clips import colour as colours
from restore.media.clips.colour import ColourSpace
from restore.media.clips.facts import HLG, PQ, Hdr, MasteringDisplay
from restore.media.clips.planes import Layout, layout_of

Codec = Literal["h264", "hevc", "av1", "prores", "ffv1"]
Container = Literal["mp4", "mov", "mkv", "webm"]
Chroma = Literal["420", "422", "444"]

SUFFIXES: Mapping[str, Container] = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "mkv", ".webm": "webm"}

TITLES: Mapping[Container, str] = {"mp4": "MP4", "mov": "MOV", "mkv": "MKV", "webm": "WebM"}

SPEEDS = (
    "ultrafast",
    "superfast",
    "veryfast",
    "faster",
    "fast",
    "medium",
    "slow",
    "slower",
    "veryslow",
    "placebo",
)
"""The presets of H.264 and HEVC, the quickest first."""

BT2020 = 9


PACKED = {"gbrp": "bgr0", "gbrap": "bgra"}
"""The formats that FFV1 wants R'G'B' of 8 bits in: the same numbers in one plane."""


@dataclass(frozen=True)
class Kind:
    """A kind of encoder: its name in FFmpeg and in words, and what it can hold."""

    encoder: str
    title: str
    containers: tuple[Container, ...]
    crf: float | None = None
    largest_crf: float = 0
    preset: str | None = None
    presets: tuple[str, ...] = ()
    bits: tuple[int, ...] = (8, 10)
    chroma: tuple[Chroma, ...] = ("420", "422", "444")
    static_hdr: bool = False
    smallest_side: int = 1
    largest_side: int = 16384


KINDS: Mapping[Codec, Kind] = {
    "h264": Kind("libx264", "H.264", ("mp4", "mov", "mkv"), 17, 51, "medium", SPEEDS),
    # x265 writes beyond its memory for some sizes below this, which ends the process.
    "hevc": Kind("libx265", "HEVC", ("mp4", "mov", "mkv"), 18, 51, "fast", SPEEDS, static_hdr=True, smallest_side=64),
    "av1": Kind(
        "libsvtav1",
        "AV1",
        ("mp4", "mkv", "webm"),
        20,
        63,
        "8",
        tuple(str(number) for number in range(14)),
        chroma=("420",),
        static_hdr=True,
        largest_side=8192,
    ),
    "prores": Kind("prores_ks", "ProRes", ("mov", "mkv"), bits=(10,), chroma=("422", "444")),
    "ffv1": Kind("ffv1", "FFV1", ("mkv",), bits=(), chroma=(), largest_side=65535),
}


@dataclass(frozen=True)
class Picture:
    """What is to be encoded: frames of ``width`` x ``height``, as the source stored its own.

    ``layout`` and ``colour`` are those of the source (``colour`` with a matrix, see ``colour.resolve``). ``rate`` is
    the average number of frames a second, where known; ``time_base`` the unit of the source's timestamps. ``aspect``
    is the width of a pixel over its height.
    """

    width: int
    height: int
    layout: Layout
    colour: ColourSpace
    rate: Fraction | None = None
    time_base: Fraction | None = None
    aspect: Fraction = Fraction(1)
    hdr: Hdr | None = None


@dataclass(frozen=True)
class Encoding:
    """How a clip is encoded; what is ``None`` is chosen to suit the codec, the source and the name of the target.

    ``crf`` is the constant quality, smaller is better: 17 for H.264, 18 for HEVC, 20 for AV1. ``preset`` trades speed
    for size: a name such as "veryfast" for H.264 and HEVC, a number from 0 (slow) to 13 for AV1. ``bits`` is the depth:
    10 for sources of more than 8 bits, and always for HEVC, AV1 and ProRes. ``chroma`` says how often colour is
    halved: "420" (or "422" for ProRes), and "444" for sizes that are odd, which H.264 and HEVC cannot halve.
    ``container`` has to fit the suffix of the target.

    ProRes is 422 HQ, or 4444 where there is alpha; FFV1 is lossless and keeps the source's own layout.
    Raises ``SettingsError`` for what the codec does not know.
    """

    codec: Codec = "h264"
    crf: float | None = None
    preset: str | None = None
    bits: int | None = None
    chroma: Chroma | None = None
    container: Container | None = None

    def __post_init__(self) -> None:
        if self.codec not in KINDS:
            raise SettingsError(f"The codec is {self.codec!r}: give one of {', '.join(KINDS)}.")
        kind = KINDS[self.codec]
        if self.crf is not None and kind.crf is None:
            raise SettingsError(f"{kind.title} has no setting for quality: leave crf out.")
        if self.crf is not None and not 0 <= self.crf <= kind.largest_crf:
            raise SettingsError(f"crf is {self.crf!r}: give a number from 0 (best) to {kind.largest_crf:g}.")
        if self.preset is not None and not kind.presets:
            raise SettingsError(f"{kind.title} has no presets: leave preset out.")
        if self.preset is not None and self.preset not in kind.presets:
            raise SettingsError(f"The preset is {self.preset!r}: {kind.title} knows {', '.join(kind.presets)}.")
        if self.bits is not None and self.bits not in kind.bits:
            raise SettingsError(f"bits is {self.bits!r}: {_choice('depth', kind, [str(bits) for bits in kind.bits])}")
        if self.chroma is not None and self.chroma not in kind.chroma:
            raise SettingsError(f"chroma is {self.chroma!r}: {_choice('layout', kind, kind.chroma)}")
        if self.container is not None and self.container not in get_args(Container):
            raise SettingsError(f"The container is {self.container!r}: give one of {', '.join(get_args(Container))}.")
        if self.container is not None and self.container not in kind.containers:
            raise SettingsError(
                f"{TITLES[self.container]} cannot hold {kind.title}: give one of {', '.join(kind.containers)}."
            )

    def to_dict(self) -> dict[str, Any]:
        """The settings that were given, as JSON has them."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True)
class Plan:
    """What is written: everything that ``Encoding`` left open is decided.

    ``warnings`` are sentences to show before the work starts, ``dropped`` says what of the picture is lost and why.
    """

    codec: Codec
    container: Container
    layout: Layout
    colour: ColourSpace
    options: Mapping[str, str]
    picture: Picture
    warnings: tuple[str, ...] = ()
    dropped: tuple[tuple[str, str], ...] = ()

    @property
    def kind(self) -> Kind:
        return KINDS[self.codec]

    @property
    def pixel_format(self) -> str:
        """FFmpeg's name of what the encoder is given."""
        return PACKED.get(self.layout.name, self.layout.name)

    @property
    def rate(self) -> Fraction:
        """The frames a second that the encoder is told; timestamps do not depend on it."""
        return self.picture.rate or Fraction(25)


def plan_encoding(encoding: Encoding, target: Path, picture: Picture) -> Plan:
    """Decide how ``picture`` is written to ``target``; touches no file.

    Raises ``OutputError`` where the suffix stands for no container, for one that cannot hold the codec, or where the
    picture is larger than the codec allows.
    """
    kind = KINDS[encoding.codec]
    container = _container(encoding, target)
    if max(picture.width, picture.height) > kind.largest_side:
        raise OutputError(
            f"A picture of {picture.width} x {picture.height} is too large for {kind.title}, which ends at "
            f"{kind.largest_side} pixels: ask for a smaller size or another codec."
        )
    if min(picture.width, picture.height) < kind.smallest_side:
        raise OutputError(
            f"A picture of {picture.width} x {picture.height} is too small for {kind.title}, which begins at "
            f"{kind.smallest_side} pixels here: ask for a larger size or another codec."
        )
    layout = _layout(encoding, picture)
    colour = written_colour(encoding.codec, picture.colour, layout)
    warnings, dropped = _losses(encoding, kind, layout, colour, picture)
    return Plan(
        encoding.codec,
        container,
        layout,
        colour,
        _options(encoding, kind, layout, colour, picture),
        picture,
        tuple(warnings),
        tuple(dropped),
    )


def written_colour(codec: Codec, source: ColourSpace, layout: Layout) -> ColourSpace:
    """The colour space that ``layout`` is written in: the source's own, as far as the codec has words for it.

    R'G'B' that has to become luma and chroma gets the matrix of its primaries, BT.709 where they are not known.
    """
    if layout.kind == "rgb":
        return replace(source, matrix=colours.RGB, full_range=True)
    colour = source
    if source.matrix == colours.RGB:
        matrix = BT2020 if source.primaries == BT2020 else colours.BT709
        colour = replace(source, matrix=matrix, full_range=False, chroma_location=colours.CHROMA_LEFT)
    if codec == "prores":
        # The header of ProRes knows three matrices and no range.
        known = {
            colours.BT709: colours.BT709,
            colours.BT601_525: colours.BT601_525,
            colours.BT601_625: colours.BT601_525,
            BT2020: BT2020,
        }
        colour = replace(colour, matrix=known.get(colour.matrix, colours.BT709), full_range=False)
    centred = colour.chroma_location == colours.CHROMA_CENTRE
    if not (layout.width_shift or layout.height_shift) or (centred and codec in ("av1", "prores")):
        # AV1 and ProRes have no word for chroma in the middle.
        colour = replace(colour, chroma_location=colours.CHROMA_LEFT)
    return colour


def is_hdr(colour: ColourSpace) -> bool:
    return colour.transfer in (PQ, HLG)


def _choice(what: str, kind: Kind, values: tuple[str, ...] | list[str]) -> str:
    if not values:
        return f"{kind.title} keeps the {what} of the source, leave it out."
    return f"{kind.title} knows {', '.join(values)}."


def _container(encoding: Encoding, target: Path) -> Container:
    kind = KINDS[encoding.codec]
    container = SUFFIXES.get(target.suffix.lower())
    if container is None:
        raise OutputError(
            f"{target.name} cannot be written: its suffix has to be one of {', '.join(SUFFIXES)} for a clip."
        )
    if container not in kind.containers:
        raise OutputError(
            f"{target.name} cannot be written: {TITLES[container]} cannot hold {kind.title}; choose "
            f"{' or '.join('.' + name for name in kind.containers)}, or another codec."
        )
    if encoding.container is not None and encoding.container != container:
        raise OutputError(
            f"{target.name} cannot be written: the container asked for is {encoding.container}, and its name says "
            f"{container}; make them agree."
        )
    return container


def _layout(encoding: Encoding, picture: Picture) -> Layout:
    kind, source = KINDS[encoding.codec], picture.layout
    if encoding.codec == "ffv1":
        return source if source.name in _lossless_layouts() else min(_larger(source), key=_samples)
    if encoding.codec == "prores":
        if source.alpha:
            return layout_of("yuva444p10le")
        return layout_of(f"yuv{encoding.chroma or '422'}p10le")
    odd = picture.width % 2 or picture.height % 2
    chroma = encoding.chroma or ("444" if odd and "444" in kind.chroma else "420")
    if odd and encoding.codec in ("h264", "hevc") and chroma != "444":
        raise OutputError(
            f"A picture of {picture.width} x {picture.height} cannot be written as {kind.title} with chroma "
            f"{chroma!r}, which needs even sizes: choose an even size, or leave chroma out."
        )
    bits = encoding.bits or (8 if encoding.codec == "h264" and source.bits == 8 else 10)
    return layout_of(f"yuv{chroma}p{_suffix(bits)}")


@cache
def _lossless_layouts() -> Mapping[str, Layout]:
    """The layouts that FFV1 takes, R'G'B' of 8 bits included, which it wants in one plane."""
    names = [*PACKED, *(known.name for known in av.Codec("ffv1", "w").video_formats or ())]
    layouts = {name: layout_of(name) for name in names if "f16" not in name and "f32" not in name}
    return {name: layout for name, layout in layouts.items() if layout.name == name}


def _larger(source: Layout) -> list[Layout]:
    """The layouts of FFV1 that hold every number of ``source``, for which it has none of its own."""
    return [
        layout
        for layout in _lossless_layouts().values()
        if (layout.kind, layout.alpha) == (source.kind, source.alpha)
        and layout.bits >= source.bits
        and layout.width_shift <= source.width_shift
        and layout.height_shift <= source.height_shift
    ]


def _samples(layout: Layout) -> tuple[int, int]:
    return layout.bits, -layout.width_shift - layout.height_shift


def _suffix(bits: int) -> str:
    return "" if bits == 8 else f"{bits}le"


def _losses(
    encoding: Encoding, kind: Kind, layout: Layout, colour: ColourSpace, picture: Picture
) -> tuple[list[str], list[tuple[str, str]]]:
    source = picture.layout
    warnings: list[str] = []
    dropped: list[tuple[str, str]] = []
    if source.alpha and not layout.alpha:
        warnings.append(f"{kind.title} has no transparency here; ProRes (.mov) and FFV1 (.mkv) keep it.")
        dropped.append(("alpha", f"{kind.title} cannot hold it; ProRes and FFV1 can"))
    if source.bits > layout.bits:
        dropped.append((f"{source.bits} bits", f"{kind.title} is written with {layout.bits}"))
    if is_hdr(colour) and not kind.static_hdr:
        warnings.append(
            f"This clip is HDR, and few players show {kind.title} as such; HEVC and AV1 are the codecs for it."
        )
        if picture.hdr and (picture.hdr.mastering or _content_light(picture.hdr)):
            dropped.append(("static HDR10 data", f"{kind.title} cannot hold it; HEVC and AV1 can"))
    elif is_hdr(colour) and layout.bits < 10:
        warnings.append("This clip is HDR, and with 8 bits its gradients will show steps; leave bits out for 10.")
    elif encoding.codec == "h264" and layout.bits == 10:
        warnings.append(
            "The source has more than 8 bits, so H.264 is written with 10, which web browsers and many players do not "
            "show; choose HEVC or AV1, or 8 bits."
        )
    if layout.width_shift == 0 and encoding.chroma is None and encoding.codec in ("h264", "hevc"):
        warnings.append(
            f"{picture.width} x {picture.height} is an odd size, which {kind.title} stores only with colour at full "
            "resolution (4:4:4); some players do not show that, an even size they do."
        )
    return warnings, dropped


def _options(
    encoding: Encoding, kind: Kind, layout: Layout, colour: ColourSpace, picture: Picture
) -> Mapping[str, str]:
    """What the encoder is told, in FFmpeg's words."""
    options: dict[str, str] = {}
    if kind.crf is not None:
        crf = kind.crf if encoding.crf is None else encoding.crf
        options["crf"] = f"{crf:g}"
    if kind.preset is not None:
        options["preset"] = encoding.preset or kind.preset
    if layout.width_shift or layout.height_shift:
        names = {
            colours.CHROMA_LEFT: "left",
            colours.CHROMA_CENTRE: "center",
            colours.CHROMA_TOP_LEFT: "topleft",
        }
        options["chroma_sample_location"] = names[colour.chroma_location]
    hdr = picture.hdr if is_hdr(colour) else None
    if encoding.codec in ("h264", "hevc"):
        # The last frame is asked to be a key frame, see writer.py; one that opens a group of its own comes out last.
        options["forced-idr"] = "1"
    if encoding.codec == "h264":
        # x264 takes from busy parts to give to flat ones, so much that fine grain, which a restored picture is to keep,
        # falls below 40 dB at the usual quality; with less of it, every frame of all our test clips stays above.
        options["aq-strength"] = "0.4"
        if torch.backends.cpu.get_cpu_capability() == "AVX512":
            # With AVX-512 x264 makes now one file of the same frames and now another (its macroblock tree adds up what
            # lies beside the picture), of 160 x 120 as of 720 x 576. With AVX2 it does not, and is as quick.
            options["x264-params"] = "asm=AVX2"
    if encoding.codec == "hevc":
        options["x265-params"] = ":".join(["log-level=error", *_x265(hdr)])
    elif encoding.codec == "av1" and (parameters := _svt(hdr)):
        options["svtav1-params"] = ":".join(parameters)
    elif encoding.codec == "prores":
        options |= {"profile": "4444" if layout.width_shift == 0 else "hq", "vendor": "apl0"}
        if layout.alpha:
            options["alpha_bits"] = "16"
    elif encoding.codec == "ffv1":
        # Version 3 with a checksum on every slice: what archives ask for, and it decodes on several processors.
        options |= {"level": "3", "slicecrc": "1"}
    return options


def _x265(hdr: Hdr | None) -> list[str]:
    parameters = []
    if hdr and hdr.mastering:
        screen = hdr.mastering
        # In units of 0.00002 and of 0.0001 cd/m².
        points = {name: _pair(*(round(value * 50000) for value in point)) for name, point in _points(screen).items()}
        darkest, brightest = (round(value * 10000) for value in (screen.darkest, screen.brightest))
        parameters.append(f"master-display={_joined(points)}L({brightest},{darkest})")
    if hdr and (light := _content_light(hdr)):
        parameters.append(f"max-cll={light}")
    return parameters


def _svt(hdr: Hdr | None) -> list[str]:
    parameters = []
    if hdr and hdr.mastering:
        screen = hdr.mastering
        points = {name: _pair(*(f"{float(value):.6f}" for value in point)) for name, point in _points(screen).items()}
        darkest, brightest = (f"{float(value):.4f}" for value in (screen.darkest, screen.brightest))
        parameters.append(f"mastering-display={_joined(points)}L({brightest},{darkest})")
    if hdr and (light := _content_light(hdr)):
        parameters.append(f"content-light={light}")
    return parameters


def _points(screen: MasteringDisplay) -> dict[str, tuple[Fraction, Fraction]]:
    return {"G": screen.green, "B": screen.blue, "R": screen.red, "WP": screen.white}


def _joined(points: Mapping[str, str]) -> str:
    return "".join(name + point for name, point in points.items())


def _content_light(hdr: Hdr) -> str | None:
    if hdr.max_content_light is None and hdr.max_average_light is None:
        return None
    return f"{hdr.max_content_light or 0},{hdr.max_average_light or 0}"


def _pair(x: object, y: object) -> str:
    return f"({x},{y})"
