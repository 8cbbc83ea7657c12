"""From one number of bits per sample to another, with rounding, without shifting black or white."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def to_uint16(samples: NDArray[Any], bits: int) -> NDArray[np.uint16]:
    """Spread integer samples of ``bits`` bits (1 to 16) over the 16-bit range; values above the range become white."""
    top = 2**bits - 1
    wide = np.minimum(samples, top).astype(np.uint32)
    spread: NDArray[np.uint16] = ((wide * 65535 + top // 2) // top).astype(np.uint16)
    return spread


def to_bits(samples: NDArray[np.uint16], bits: int) -> NDArray[np.uint16]:
    """Reduce 16-bit samples to ``bits`` bits (1 to 16); the opposite of ``to_uint16``."""
    wide = samples.astype(np.uint32)
    reduced: NDArray[np.uint16] = ((wide * (2**bits - 1) + 32767) // 65535).astype(np.uint16)
    return reduced


def to_uint8(samples: NDArray[np.uint16]) -> NDArray[np.uint8]:
    """Reduce 16-bit samples to 8 bits."""
    return to_bits(samples, 8).astype(np.uint8)


def stretch_to_uint16(samples: NDArray[Any]) -> tuple[NDArray[np.uint16], str]:
    """Map samples with no fixed range (float, 32-bit or signed integers) to 16 bits; returns them and the range in
    words.

    Float: 0 is black and 1 is white, unless there are values outside; then the lowest (or 0) is black and the highest
    white. Integers: likewise, but without negative ones the top of the smallest of 8, 16 or 32 bits that holds them
    is white. A value that is no number becomes black.
    """
    single = samples.dtype in (np.float16, np.float32)
    values: NDArray[Any] = samples.astype(np.float32 if single else np.float64)
    finite = values[np.isfinite(values)]
    low = min(0.0, float(finite.min())) if finite.size else 0.0
    high = max(0.0, float(finite.max())) if finite.size else 0.0
    if np.issubdtype(samples.dtype, np.integer) and low == 0.0:
        high = next((2.0**bits - 1 for bits in (8, 16, 32) if high < 2.0**bits), high)
    else:
        high = max(low + 1.0, 1.0, high)
    values = np.nan_to_num(values, nan=low, posinf=high, neginf=low)
    scaled = np.rint((values - low) * (65535.0 / (high - low)))
    return scaled.astype(np.uint16), f"{low:g} is black and {high:g} is white"
