"""Lossless segments: the frames as the last stage gave them, for encoding them again in another way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from restore.errors import OutputError
from restore.frame import Frame
from restore.media.clips.encoders import Encoding, Picture, Plan, plan_encoding
from restore.media.clips.planes import layout_of
from restore.media.clips.probe import probe
from restore.media.clips.reader import ClipReader
from restore.segments.folder import Record
from restore.settings import Settings

DEEPER = 12
"""Bits of a lossless R', G' or B', where the source has 10 or less: what the networks made is finer than its steps."""

BITS_PER_NUMBER = 0.6
"""What a bit of a number takes in FFV1, about; films with much grain take more."""


def master_plan(encoder: Plan) -> Plan:
    """How the frames that ``encoder`` is for are kept: as R'G'B' in FFV1, with all of their alpha."""
    bits = DEEPER if encoder.picture.layout.bits <= 10 else 16
    layout = layout_of(f"gbr{'a' if encoder.layout.alpha else ''}p{bits}le")
    picture: Picture = replace(encoder.picture, layout=layout)
    return plan_encoding(Encoding("ffv1"), Path("master.mkv"), picture)


def master_bytes(encoder: Plan, seconds: Fraction) -> float:
    """About how much all lossless segments take, of a result that lasts ``seconds``."""
    layout, picture = master_plan(encoder).layout, encoder.picture
    numbers = picture.width * picture.height * float(seconds * encoder.rate) * (4 if layout.alpha else 3)
    return numbers * layout.bits * BITS_PER_NUMBER / 8


def frames_of_master(path: Path, record: Record, settings: Settings) -> Iterator[Frame]:
    """The frames of the lossless segment at ``path``, in the times that ``record`` has; raises ``OutputError``."""
    if not record.times:
        return
    roomy = replace(settings, max_input_pixels=settings.max_output_pixels, max_clip_bytes=2**62)
    reader = ClipReader(path, probe(path, roomy), deinterlace="off", settings=roomy)
    given = 0
    for frame, (pts, duration) in zip(reader.frames(), record.times, strict=False):
        yield replace(frame, pts=pts, duration=duration)
        given += 1
    if given != len(record.times):
        raise OutputError(f"{path.name} has lost frames: delete it, and run the work again.")
