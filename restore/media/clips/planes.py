"""The planes of a decoded frame as tensors, and tensors as a frame to encode, with nothing converted on the way.

FFmpeg knows some 200 ways to lay out pixels. Those that are packed or interleaved are first taken apart by swscale,
which keeps every number as it is; what remains are planes of 8 or of 9 to 16 bits that lie in memory one by one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import av
import numpy as np
import torch
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane
from numpy.typing import NDArray
from torch import Tensor

from restore.errors import InputError

Kind = Literal["yuv", "rgb", "grey"]

SUBSAMPLING = {(0, 0): "444", (1, 0): "422", (1, 1): "420", (0, 1): "440", (2, 0): "411", (2, 2): "410"}
"""The usual names of how often chroma is halved horizontally and vertically."""


@dataclass(frozen=True)
class Layout:
    """How a frame is stored: planes of ``kind`` with ``bits`` of depth, chroma halved ``width_shift`` and
    ``height_shift`` times, and alpha as the last plane where there is one. ``name`` is FFmpeg's name of it.
    """

    name: str
    kind: Kind
    bits: int
    width_shift: int = 0
    height_shift: int = 0
    alpha: bool = False

    @property
    def largest(self) -> int:
        """The largest number that a sample can be."""
        return int(2**self.bits - 1)


@cache
def layout_of(pixel_format: str) -> Layout:
    """The planar layout that holds every number of FFmpeg's ``pixel_format``.

    Raises ``InputError`` for formats that are no picture in planes of integers (hardware surfaces, floats, Bayer, XYZ).
    """
    known = VideoFormat(pixel_format)
    components = known.components
    if not components or pixel_format.startswith(("bayer", "xyz")) or "f16" in pixel_format or "f32" in pixel_format:
        raise InputError(f"The picture of this clip is stored as {pixel_format}, which cannot be read.")
    if known.has_palette:
        return Layout("gbrap", "rgb", 8, alpha=True)
    alpha = any(component.is_alpha for component in components)
    bits = min(16, max(8, *(component.bits for component in components)))
    if known.is_rgb:
        return _named("rgb", "gbrap" if alpha else "gbrp", bits, alpha=alpha)
    if len(components) <= 2:
        # Grey with alpha has no planar layout of its own; as R'G'B' it keeps every number too.
        return _named("rgb", "gbrap", bits, alpha=True) if alpha else _named("grey", "gray", bits)
    shifts = _halvings(known)
    name = f"yuv{'a' if alpha else ''}{SUBSAMPLING[shifts]}p"
    return _named("yuv", name, bits, *shifts, alpha=alpha)


def planar(frame: VideoFrame) -> VideoFrame:
    """``frame`` in the layout of its format: itself where it has that already, with every number kept.

    Raises ``InputError`` for a format that cannot be taken apart.
    """
    layout = layout_of(frame.format.name)
    if _is_laid_out(frame.format.name, layout):
        return frame
    try:
        return frame.reformat(format=layout.name)
    except av.FFmpegError as error:
        raise InputError(f"The picture of this clip is stored as {frame.format.name}, which cannot be read.") from error


def read_planes(frame: VideoFrame) -> tuple[list[Tensor], Layout]:
    """The planes of ``frame`` as tensors of ``uint8`` or ``int32`` that share no memory with it, and their layout.

    Raises ``InputError`` for a format that cannot be taken apart.
    """
    layout = layout_of(frame.format.name)
    # torch has few operations on unsigned 16 bits.
    dtype = np.uint8 if layout.bits == 8 else np.int32
    return [torch.from_numpy(_samples(plane, layout).astype(dtype)) for plane in planar(frame).planes], layout


def blank_frame(layout: Layout, width: int, height: int) -> tuple[VideoFrame, list[Tensor]]:
    """A frame to encode, and its planes to write to: tensors of ``uint8`` or ``uint16`` in the frame's own memory."""
    frame = av.VideoFrame(width, height, layout.name)
    return frame, [torch.from_numpy(_samples(plane, layout)) for plane in frame.planes]


def _samples(plane: VideoPlane, layout: Layout) -> NDArray[np.unsignedinteger[Any]]:
    """The samples of ``plane`` in its own memory, without what fills up its lines."""
    dtype = np.dtype("u1" if layout.bits == 8 else "<u2")
    return np.frombuffer(memoryview(plane), dtype).reshape(plane.height, -1)[:, : plane.width]


def _named(
    kind: Kind, name: str, bits: int, width_shift: int = 0, height_shift: int = 0, *, alpha: bool = False
) -> Layout:
    suffix = "" if bits == 8 else f"{bits}le"
    return Layout(f"{name}{suffix}", kind, bits, width_shift, height_shift, alpha)


def _halvings(known: VideoFormat) -> tuple[int, int]:
    """How often chroma is halved, horizontally and vertically."""
    width, height = 64, 64
    return tuple(  # type: ignore[return-value]  # of two
        (length // of).bit_length() - 1
        for length, of in ((width, known.chroma_width(width)), (height, known.chroma_height(height)))
    )


def _is_laid_out(name: str, layout: Layout) -> bool:
    """Whether frames of the format ``name`` lie as ``layout`` has them already; a "j" only says: full range."""
    return name.replace("yuvj", "yuv") == layout.name
