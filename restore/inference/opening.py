"""Open networks once for everybody, whole, for stages that call them by themselves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, cast

import torch
from torch import nn

from restore import networks
from restore.errors import WeightsError
from restore.inference import allocator, precision
from restore.inference.engine import Engine
from restore.inference.residency import RESIDENT
from restore.inference.runner import NetworkSource


def _open(source: NetworkSource, device: torch.device, dtype: torch.dtype) -> nn.Module:
    network = networks.build(source.name)
    try:
        network.load_state_dict(source.state(), strict=True)
    except RuntimeError as error:
        raise WeightsError(f"The file for {source.name} holds the weights of another network.") from error
    lower = cast(Any, getattr(network, "lower", None))
    if lower is not None and dtype != torch.float32:
        lower(dtype)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network.to(device)


@contextmanager
def opened(source: NetworkSource, engine: Engine, dtype: torch.dtype = torch.float32) -> Iterator[nn.Module]:
    """The network of ``source`` on the engine's device, held for this user alone.

    ``dtype`` is for the parts of it that stand a lower precision (the method ``lower`` of a network). Work inside stops
    between two layers where somebody asks for it. Raises ``WeightsError`` where the weights do not fit.
    """
    device, check = engine.device, engine.progress.check
    key = source.key, str(device), dtype
    with ExitStack() as stack:
        network = stack.enter_context(RESIDENT.lease(key, lambda: _open(source, device, dtype), check))
        if device.type == "cpu":
            stack.enter_context(allocator.reuse())
        stack.enter_context(precision.watched(network, check))
        stack.enter_context(torch.inference_mode())
        yield network
