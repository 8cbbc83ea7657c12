"""From a file of weights to its tensors, without running anything that the file may hold."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any
from zipfile import ZipFile

from restore.errors import ResourceError, WeightsError

LARGEST_MEMBER = 4 << 30
"""Bytes that a file of weights inside an archive may have: some more than any that is published."""

_loading = threading.Lock()


def load_checkpoint(path: Path, member: str | None = None) -> dict[str, Any]:
    """The content of a file of weights, with its tensors on the CPU; nothing in the file is ever executed.

    ``.safetensors`` is read by safetensors and ``.pdparams`` as PaddlePaddle writes it. Of a ``.zip`` archive the file
    called ``member`` is read, in whatever folder it lies there. Of a TorchScript archive the tensors are read. Anything
    else is read by ``torch.load`` with ``weights_only=True``. The keys are those of the file: a container such as
    ``params_ema`` is not opened. Raises ``WeightsError`` for a file that is broken, is no checkpoint, or holds more
    than tensors and plain values; ``ResourceError`` if memory is too small.
    """
    try:
        content = _read(path, member)
    except MemoryError as error:
        raise ResourceError(f"There is not enough memory to read {path.name}.") from error
    except OSError as error:
        raise WeightsError(f"The file of weights {path.name} cannot be read: {error.strerror or error}.") from error
    except Exception as error:  # a damaged or hostile file can make a reader of pickles raise nearly anything
        raise WeightsError(
            f"{path.name} is not used: it is damaged, or no checkpoint, or holds more than tensors and plain values, "
            "which could run a program; get the file from its publisher again."
        ) from error
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise WeightsError(f"{path.name} is no checkpoint: it does not hold tensors by name.")
    return content


def _read(path: Path, member: str | None) -> object:
    # Imported here, because looking for files and fetching them does not need the seconds that torch takes to start.
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    if path.suffix == ".pdparams":
        from restore.paddle_file import read_paddle

        return read_paddle(path)
    if path.suffix == ".zip" and member is not None:
        return _load(io.BytesIO(_member(path, member)))
    from restore.torchscript_file import is_torchscript, read_torchscript

    return read_torchscript(path) if is_torchscript(path) else _load(path)


def _load(file: Path | io.BytesIO) -> object:
    import datetime

    import torch

    # Values without behaviour that published files hold beside their tensors: slice in DeOldify's, datetime in Super
    # SloMo's. torch keeps this list for the whole process, so two threads must not put on and take off at once.
    harmless: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [slice, datetime.datetime]
    with _loading, torch.serialization.safe_globals(harmless):
        return torch.load(file, map_location="cpu", weights_only=True)


def _member(path: Path, name: str) -> bytes:
    with ZipFile(path) as archive:
        (found,) = (each for each in archive.infolist() if PurePosixPath(each.filename).name == name)
        if found.file_size > LARGEST_MEMBER:
            raise ValueError(f"{found.filename} has {found.file_size} bytes")
        return archive.read(found)
