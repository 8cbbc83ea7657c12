"""Restore aligned faces, whichever network does it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from restore import catalog
from restore.errors import WeightsError

BATCH = {"cpu": 1, "cuda": 16, "mps": 4}
"""Faces that go through a network at once. Several of them take a processor as long as one after the other, and more
memory; and how far the work is, is said after each batch.
"""

TAKES_FIDELITY = frozenset({"codeformer"})
"""The architectures that choose between what they know of faces and what they see."""


def restore(name: str, network: nn.Module, crops: Tensor, fidelity: float) -> Tensor:
    """``crops`` ``(N, 3, 512, 512)`` float32 RGB in [0, 1] restored by the network of the model ``name``: the same
    shape and range, on the CPU.

    ``fidelity`` from 0 to 1 says how close to what it sees a network stays, where it can choose; others ignore it.
    Raises ``WeightsError`` where the weights give no finite picture.
    """
    device = next(network.parameters()).device
    settings = (fidelity,) if catalog.checkpoint(name).network in TAKES_FIDELITY else ()
    restored = []
    for part in torch.split(crops, BATCH[device.type]):
        pictures = network((part.to(device) * 2 - 1).contiguous(memory_format=torch.channels_last), *settings)
        if not bool(pictures.sum().isfinite()):
            raise WeightsError(f"The weights of {name} give no finite picture; they are damaged.")
        restored.append(((pictures + 1) / 2).clamp_(0, 1).cpu())
    return torch.cat(restored) if restored else crops
