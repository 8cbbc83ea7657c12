"""The weights in a TorchScript archive, which is a program with its weights, read without running the program.

The archive is a zip file: ``data.pkl`` is a pickle of the tree of modules, ``data/`` has the numbers of each storage
(https://github.com/pytorch/pytorch, ``torch/csrc/jit/docs/serialization.md``), and the program under ``code/`` is left
alone. Of what the pickle may name, modules become plain nodes and tensors are made here; anything else is refused.
"""

from __future__ import annotations

import pickle
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

import torch
from torch import Tensor

TYPES = {
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "DoubleStorage": torch.float64,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
LISTS = ("build_intlist", "build_tensorlist", "build_doublelist", "build_boollist")


class _Module:
    """A module of the program: its attributes by name."""

    def __init__(self) -> None:
        self.attributes: dict[str, Any] = {}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.attributes = dict(state)


def _tensor(storage: Tensor, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: object) -> Tensor:
    return storage.as_strided(size, stride, offset).clone()


def _first(value: object, *_: object) -> object:
    return value


class _Reader(pickle.Unpickler):
    def __init__(self, archive: ZipFile, root: str) -> None:
        super().__init__(archive.open(f"{root}data.pkl"))
        self.archive, self.root = archive, root
        self.storages: dict[str, Tensor] = {}

    def find_class(self, module: str, name: str) -> Any:
        if module.split(".")[0] == "__torch__":
            return _Module
        if module == "torch" and name in TYPES:
            return TYPES[name]
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _tensor
        if module == "torch.jit._pickle" and (name in LISTS or name == "restore_type_tag"):
            return _first
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        raise pickle.UnpicklingError(f"{module}.{name} is no part of a file of weights")

    def persistent_load(self, pid: Any) -> Tensor:
        kind, dtype, key, _, count = pid
        if kind != "storage" or not isinstance(key, str):
            raise pickle.UnpicklingError("something else than numbers lies outside the tree of modules")
        if key not in self.storages:
            numbers = bytearray(self.archive.read(f"{self.root}data/{key}"))
            self.storages[key] = (
                torch.frombuffer(numbers, dtype=dtype, count=count) if count else torch.empty(0, dtype=dtype)
            )
        return self.storages[key]


def is_torchscript(path: Path) -> bool:
    """Whether the file at ``path`` is a TorchScript archive, to judge by its list of files; raises ``OSError``."""
    try:
        with ZipFile(path) as archive:
            names = archive.namelist()
    except (ValueError, NotImplementedError, EOFError, BadZipFile):
        return False
    return any(name.endswith("/constants.pkl") for name in names) and any(name.endswith("/data.pkl") for name in names)


def read_torchscript(path: Path) -> dict[str, Tensor]:
    """The tensors of the program's modules by their names, as its ``state_dict`` has them.

    Raises ``OSError``, and nearly anything for a file that is damaged or hostile; nothing in it is executed.
    """
    with ZipFile(path) as archive:
        (pickled,) = (name for name in archive.namelist() if name.endswith("/data.pkl"))
        content = _Reader(archive, pickled.removesuffix("data.pkl")).load()
    if not isinstance(content, _Module):
        raise pickle.UnpicklingError("the archive holds no module")
    return dict(_tensors(content, ""))


def _tensors(module: _Module, prefix: str) -> Iterator[tuple[str, Tensor]]:
    for name, value in module.attributes.items():
        if isinstance(value, Tensor):
            yield f"{prefix}{name}", value
        elif isinstance(value, _Module):
            yield from _tensors(value, f"{prefix}{name}.")
