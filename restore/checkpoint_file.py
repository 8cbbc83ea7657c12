"""From a file of weights to its tensors, without running anything that the file may hold."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from restore.errors import ResourceError, WeightsError

_loading = threading.Lock()


def load_checkpoint(path: Path) -> dict[str, Any]:
    """The content of a file of weights, with its tensors on the CPU; nothing in the file is ever executed.

    ``.safetensors`` is read by safetensors, anything else by ``torch.load`` with ``weights_only=True``. The keys are
    those of the file: a container such as ``params_ema`` is not opened. Raises ``WeightsError`` for a file that is
    broken, is no checkpoint, or holds more than tensors and plain values; ``ResourceError`` if memory is too small.
    """
    import datetime

    import torch  # here, because looking for files and fetching them does not need its seconds to start
    from safetensors.torch import load_file

    # Values without behaviour that published files hold beside their tensors: slice in DeOldify's, datetime in Super
    # SloMo's. torch keeps this list for the whole process, so two threads must not put on and take off at once.
    harmless: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [slice, datetime.datetime]
    try:
        if path.suffix == ".safetensors":
            content: object = load_file(path)
        else:
            with _loading, torch.serialization.safe_globals(harmless):
                content = torch.load(path, map_location="cpu", weights_only=True)
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
