"""Contents for a checkpoint that are the same on every machine, so that a network can be tested without its weights.

Each tensor is drawn from the legacy stream of NumPy, which is promised never to change, seeded with the CRC-32 of the
tensor's name. The recorded cases under ``tests/oracles`` were made with the same numbers in the published networks.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
import torch
from torch import Tensor

VARIANCE = 1.5
"""Of the sum over the inputs of a weight, for inputs of variance one."""


def _drawn(leaf: str, shape: tuple[int, ...], stream: np.random.RandomState) -> np.ndarray:
    if leaf == "running_var":
        return stream.uniform(0.5, 1.5, shape)
    normal = np.asarray(stream.standard_normal(shape))
    if leaf == "running_mean":
        return 0.1 * normal
    if len(shape) >= 2:
        normal *= math.sqrt(VARIANCE / max(1, math.prod(shape[1:])))
        return normal
    return 0.02 * normal if leaf in ("bias", "beta") else 1.0 + 0.1 * normal


def fill(
    shapes: Mapping[str, Sequence[int]], gains: Mapping[str, Any] | None = None, salt: int = 0
) -> dict[str, Tensor]:
    """A tensor for each key of ``shapes``: float32, or int64 zeros for ``num_batches_tracked``.

    A gain is a number or a nested list, and multiplies the tensors whose names match its pattern; of several patterns
    that match the first counts. Two salts give two unrelated checkpoints.
    """
    filled = {}
    for key, sizes in shapes.items():
        shape = tuple(int(size) for size in sizes)
        leaf = key.rpartition(".")[2]
        if leaf == "num_batches_tracked":
            filled[key] = torch.zeros(shape, dtype=torch.int64)
            continue
        values = _drawn(leaf, shape, np.random.RandomState((zlib.crc32(key.encode()) ^ salt) & 0xFFFFFFFF))
        gain = next((gain for pattern, gain in (gains or {}).items() if fnmatchcase(key, pattern)), None)
        if gain is not None:
            values = values * np.asarray(gain)
        filled[key] = torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32).reshape(np.shape(values)))
    return filled
