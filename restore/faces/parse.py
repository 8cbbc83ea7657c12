"""Tell what of an aligned crop belongs to the face, with ParseNet."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from restore.networks.parsenet import BACKGROUND_AND_REST

BATCH = 4
"""Crops that go through the network at once."""


def mask(network: nn.Module, crops: Tensor) -> Tensor:
    """How likely each pixel of ``crops`` ``(N, 3, 512, 512)`` float32 RGB in [0, 1] belongs to the face or its hair:
    ``(N, 512, 512)`` float32 in [0, 1], with edges as hard as they are certain.
    """
    device = next(network.parameters()).device
    found = []
    for part in torch.split(crops, BATCH):
        likely = network(part.to(device) * 2 - 1).softmax(dim=1)
        found.append((1 - likely[:, list(BACKGROUND_AND_REST)].sum(dim=1)).clamp_(0, 1).cpu())
    return torch.cat(found) if found else crops.new_zeros(0, *crops.shape[2:])
