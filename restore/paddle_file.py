"""The weights in a file that PaddlePaddle has written (``.pdparams``), read without it and without running anything.

Such a file is a pickle of NumPy arrays. Paddle 1.8 and 2.0 write ``{name: array}`` and beside the arrays a table of
names, later versions ``{name: (name inside, array)}`` (``paddle.save``, https://github.com/PaddlePaddle/Paddle). A
pickle can name any function to be called, so only the handful of names that arrays need is known here, and each stands
for something of our own that does nothing but keep what it is given.
"""

from __future__ import annotations

import pickle
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

BATCH_NORM = {"_mean": "running_mean", "_variance": "running_var"}
"""What Paddle calls the statistics of a batch normalisation, and what PyTorch calls them."""


class _Type:
    """The type of an array's numbers, as ``numpy.dtype`` writes it down."""

    def __init__(self, code: str, *_: object) -> None:
        self.code, self.order = code, "="

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.order = "=" if state[1] == "|" else state[1]

    def numpy(self) -> np.dtype[Any]:
        kind = np.dtype(self.order + self.code) if self.order in ("<", ">") else np.dtype(self.code)
        if kind.kind not in "biuf":
            raise pickle.UnpicklingError(f"an array of {self.code} is no weight")
        return kind


class _Array:
    """An array, as ``numpy.ndarray`` writes it down: made empty, then given its numbers."""

    def __init__(self, *_: object) -> None:
        self.values = np.empty(0, np.float32)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, kind, by_columns, numbers = state
        self.values = _numbers(numbers, kind, shape, "F" if by_columns else "C").values


def _numbers(data: bytes | str, kind: _Type, shape: tuple[int, ...], order: str) -> _Array:
    raw = data.encode("latin1") if isinstance(data, str) else data  # Python 2 had one type for both
    made = _Array()
    made.values = np.ndarray(shape, kind.numpy(), raw, order="F" if order == "F" else "C")
    return made


def _scalar(kind: _Type, data: bytes) -> Any:
    return np.frombuffer(data, kind.numpy())[0].item()


def _bytes(text: str, encoding: str) -> bytes:
    if encoding not in ("latin1", "latin-1"):
        raise pickle.UnpicklingError(f"text in {encoding} is no part of an array")
    return text.encode("latin1")


def _no_bytes() -> bytes:
    return b""  # how the older protocols write down the numbers of an empty array


_KNOWN: Mapping[tuple[str, str], Callable[..., Any]] = {
    ("numpy", "dtype"): _Type,
    ("numpy", "ndarray"): _Array,
    ("_codecs", "encode"): _bytes,
    ("collections", "OrderedDict"): OrderedDict,
    **{
        (module, name): stand_in
        for module in ("builtins", "__builtin__")
        for name, stand_in in (("tuple", tuple), ("list", list), ("dict", dict), ("bytes", _no_bytes))
    },
    **{
        (f"numpy.{core}.{module}", name): stand_in
        for core in ("core", "_core")
        for module, name, stand_in in (
            ("multiarray", "_reconstruct", _Array),
            ("multiarray", "scalar", _scalar),
            ("numeric", "_frombuffer", _numbers),
        )
    },
}


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _KNOWN:
            raise pickle.UnpicklingError(f"{module}.{name} is no part of a file of weights")
        return _KNOWN[module, name]


def read_paddle(path: Path) -> object:
    """What the file at ``path`` holds, with its arrays as tensors under PyTorch's names.

    A weight of ``paddle.nn.Linear`` stays as it is, with its inputs first: whether one belongs to such a layer is known
    to the network alone. Raises ``OSError``, and nearly anything for a file that is damaged or hostile; nothing in it
    is executed.
    """
    with path.open("rb") as file:
        return _converted(_Reader(file, encoding="latin1").load())


def _converted(content: Any) -> Any:
    if isinstance(content, tuple) and len(content) == 2 and isinstance(content[1], _Array):
        content = content[1]  # a tensor with the name that it had inside Paddle
    if isinstance(content, _Array):
        return _tensor(content.values)
    if isinstance(content, Mapping):
        return {_torch_name(key): _converted(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_converted(value) for value in content]
    if content is None or isinstance(content, bool | int | float | str):
        return content
    raise pickle.UnpicklingError(f"a {type(content).__name__} is no part of a file of weights")


def _tensor(values: np.ndarray[Any, Any]) -> Tensor:
    return torch.from_numpy(np.array(values, values.dtype.newbyteorder("="), order="C"))


def _torch_name(key: Any) -> Any:
    if not isinstance(key, str):
        return key
    before, dot, last = key.rpartition(".")
    return f"{before}{dot}{BATCH_NORM[last]}" if dot and last in BATCH_NORM else key
