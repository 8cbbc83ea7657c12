"""The tensors inside a published file, whatever its authors packed around them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

CONTAINERS = ("params_ema", "params", "state_dict", "generator_ema", "generator", "model")
"""The keys under which published files hold the weights of a network, the better ones first.

BasicSR writes ``params`` and ``params_ema``, OpenMMLab and Lightning ``state_dict``, PaddleGAN ``generator``, FastAI
``model``. The same network is published in several of these containers.
"""


def tensors_of(checkpoint: Mapping[str, Any], container: str | None) -> dict[str, Tensor]:
    """The tensors by name under ``container``, or else under the best of ``CONTAINERS``, or else in the file itself.

    Networks that a file holds one beside the other stay apart by a prefix, as ``modelR.``. Anything else in the file
    is left out: an epoch, a loss, the names that Paddle writes beside the weights. Empty if there are no tensors.
    """
    for key in (container, *CONTAINERS):
        inside = checkpoint.get(key) if key is not None else None
        if isinstance(inside, Mapping) and (found := dict(_flat(inside, ""))):
            return found
    return dict(_flat(checkpoint, ""))


def _flat(content: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Tensor]]:
    for key, value in content.items():
        if isinstance(value, Tensor):
            yield f"{prefix}{key}", value
        elif isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
