"""The networks, under their published key names: ``nn.Module``s only, no files and no pixels of a page.

``build`` makes the network of a model, ``convert`` turns its published container into a state dict, and ``traits``
says what whoever runs it must know: its scale, how much it must see around a tile, what it costs in memory.
``temporal`` says the same of a network that looks at several frames at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import ModuleType
from typing import Any

from torch import Tensor, nn

from restore import catalog
from restore.errors import WeightsError
from restore.networks.temporal import TemporalTraits
from restore.networks.traits import Traits
from restore.networks.unwrap import tensors_of

__all__ = [
    "ARCHITECTURES",
    "TemporalTraits",
    "Traits",
    "build",
    "convert",
    "float32_layers",
    "temporal",
    "traits",
    "uses_time",
]

ARCHITECTURES: Mapping[str, str] = {
    "compact-x4": "compact_x4",
    "srvgg": "srvgg",
    "rrdbnet": "rrdbnet",
    "gfpgan": "gfpgan",
    "restoreformer": "restoreformer",
    "codeformer": "codeformer",
    "retinaface": "retinaface",
    "parsenet": "parsenet",
    "edvr": "edvr",
    "basicvsr": "basicvsr",
    "iconvsr": "iconvsr",
    "basicvsr-pp": "basicvsr_pp",
    "realbasicvsr": "realbasicvsr",
    "pp-msvsr": "ppmsvsr",
    "deoldify": "deoldify",
    "ddcolor": "ddcolor",
    "deepremaster": "deepremaster",
    "colour-small": "colour_small",
    "rife": "rife",
    "super-slomo": "super_slomo",
    "ifrnet": "ifrnet",
    "film": "film",
    "dain": "dain",
}
"""The module beside this one that makes each kind of network, imported when it is first asked for.

It has ``build``, and ``traits`` where the network enlarges frame by frame, or ``temporal`` where it enlarges with the
help of other frames; all take the arguments of the checkpoint.
Where published files name their tensors otherwise, or have more of them, it also has ``convert(state) -> state``, which
makes the network's state dict of the tensors of any of these files, and changes nothing about its own.
"""


def _module(architecture: str) -> ModuleType:
    return import_module(f"restore.networks.{ARCHITECTURES[architecture]}")


def build(name: str) -> nn.Module:
    """The network of the model ``name`` with fresh weights, in eval mode, asking for no gradients.

    Raises ``SettingsError`` for a model that the catalogue does not have.
    """
    entry = catalog.checkpoint(name)
    network: nn.Module = _module(entry.network).build(**entry.arguments)
    return network.eval().requires_grad_(False)


def traits(name: str) -> Traits:
    """What the network of the model ``name`` needs and costs."""
    entry = catalog.checkpoint(name)
    found: Traits = _module(entry.network).traits(**entry.arguments)
    return found


def uses_time(name: str) -> bool:
    """Whether the network of the model ``name`` enlarges a frame with the help of those around it."""
    return hasattr(_module(catalog.checkpoint(name).network), "temporal")


def temporal(name: str) -> TemporalTraits:
    """What the network of the model ``name``, which ``uses_time``, needs and costs."""
    entry = catalog.checkpoint(name)
    found: TemporalTraits = _module(entry.network).temporal(**entry.arguments)
    return found


def float32_layers(name: str) -> frozenset[str]:
    """The layers of a network that enlarges which stay in float32 whatever the rest runs in."""
    return temporal(name).float32 if uses_time(name) else traits(name).float32


def convert(name: str, checkpoint: Mapping[str, Any]) -> dict[str, Tensor]:
    """The flat state dict, in float32 and under our keys, inside a published container of the model ``name``.

    ``checkpoint`` is what ``weights.load_checkpoint`` gives, from any file in which the model was published, or the
    tensors themselves. Raises ``WeightsError`` if there are none in it.
    """
    entry = catalog.checkpoint(name)
    tensors = tensors_of(checkpoint, entry.container)
    if not tensors:
        wanted = f" under {entry.container!r}" if entry.container else ""
        raise WeightsError(f"The file for {name} does not hold weights{wanted}; it is not the published {entry.file}.")
    state = {key: value.float() if value.is_floating_point() else value for key, value in tensors.items()}
    rename = getattr(_module(entry.network), "convert", None)
    return state if rename is None else dict(rename(state))
