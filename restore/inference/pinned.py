"""To a device and back: on CUDA by way of pinned memory, which a card reads and writes by itself."""

from __future__ import annotations

import torch
from torch import Tensor


def sent(batch: Tensor, device: torch.device) -> Tensor:
    """``batch``, which is on the CPU, on ``device``."""
    if device.type != "cuda":
        return batch.to(device)
    return batch.pin_memory().to(device, non_blocking=True)


def fetched(result: Tensor) -> Tensor:
    """``result`` on the CPU; pinned memory is several times as fast, and torch keeps it to use it again."""
    if result.device.type != "cuda":
        return result.to("cpu")
    pinned = torch.empty_like(result, device="cpu", pin_memory=True)
    pinned.copy_(result)
    return pinned
