"""Which way up the frames of a clip are to be seen, from the display matrix in its header or its frames.

The matrix maps a stored point (p, q), counted from the top left, to where it is shown: p' = a p + c q and
q' = b p + d q (ISO/IEC 14496-12, 8.3.2). Of the eight ways in which that keeps rows and columns straight, each is one
of EXIF's orientations, so frames are set upright like pictures are (``restore.media.orientation``). An angle alone
would not do: PyAV's ``frame.rotation`` takes a mirror for half a turn.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass

SIZE = 36
_STRAIGHT = 0.01
"""How far a row may lean and still count as straight, as a sine: half a degree."""

# By whether rows become columns, and the signs of what the first and the second axis are multiplied with.
_ORIENTATIONS = {
    (False, True, True): 1,
    (False, False, True): 2,
    (False, False, False): 3,
    (False, True, False): 4,
    (True, True, True): 5,
    (True, True, False): 6,
    (True, False, False): 7,
    (True, False, True): 8,
}


@dataclass(frozen=True)
class Placement:
    """How a stored frame is to be shown.

    ``orientation`` is one of EXIF's, 1 to 8. ``tilt`` is the angle, clockwise in degrees, that the matrix asks for
    where that is none of them; then the orientation is 1, because such a matrix is a mistake more often than a wish.
    """

    orientation: int = 1
    tilt: float = 0.0


def read_matrix(data: bytes) -> Placement:
    """The placement that a display matrix as FFmpeg holds it asks for: nine 32-bit integers in the machine's order.

    A matrix that maps everything to a point or a line counts as none. Raises ``ValueError`` for another length.
    """
    if len(data) != SIZE:
        raise ValueError(f"a display matrix has {SIZE} bytes and not {len(data)}")
    a, b, _, c, d, _, _, _, _ = struct.unpack("=9i", data)
    across, along = math.hypot(a, b), math.hypot(c, d)
    if not across or not along or abs(a * d - b * c) <= _STRAIGHT * across * along:
        return Placement()
    if abs(b) <= _STRAIGHT * across and abs(c) <= _STRAIGHT * along:
        return Placement(_ORIENTATIONS[False, a > 0, d > 0])
    if abs(a) <= _STRAIGHT * across and abs(d) <= _STRAIGHT * along:
        return Placement(_ORIENTATIONS[True, b > 0, c > 0])
    return Placement(tilt=math.degrees(math.atan2(b, a)))


def from_rotation(degrees: int) -> Placement:
    """The placement for PyAV's ``frame.rotation``, degrees counter-clockwise, where the matrix cannot be had."""
    turned = {0: 1, -90: 6, 270: 6, 180: 3, -180: 3, 90: 8, -270: 8}
    if degrees in turned:
        return Placement(turned[degrees])
    return Placement(tilt=float(-degrees))
