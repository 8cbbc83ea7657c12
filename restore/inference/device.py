"""Which device and which precision suit the hardware at hand."""

from __future__ import annotations

import torch

from restore.errors import SettingsError
from restore.settings import Settings

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def name_of(dtype: torch.dtype) -> str:
    """``torch.bfloat16`` -> ``"bfloat16"``."""
    return str(dtype).removeprefix("torch.")


def choose_device(settings: Settings) -> torch.device:
    """The device that the settings name, or the best one that there is; ``SettingsError`` for one that is not there."""
    if settings.device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda", torch.cuda.current_device())
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(settings.device)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda", "mps"):
        raise SettingsError(f"There is no device {settings.device!r}: use auto, cpu, cuda, cuda:N or mps.")
    count = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}[device.type]
    if (device.index or 0) >= count:
        raise SettingsError(f"This machine has no device {settings.device!r}; use auto or cpu.")
    if device.type == "cuda" and device.index is None:
        return torch.device("cuda", torch.cuda.current_device())
    return device


def _cpu_multiplies_bfloat16() -> bool:
    """Whether this processor has instructions for bfloat16; emulated, it is slower than float32."""
    # torch 2.8 has only the two private questions.
    capabilities: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
    if capabilities:
        return any(capabilities.get(key, False) for key in ("avx512_bf16", "amx_bf16", "bf16"))
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def fast_precision(device: torch.device) -> torch.dtype:
    """The precision in which ``device`` multiplies fastest at an accuracy that a network's body can do with.

    On a GPU that is float16, whose rounding is eight times finer than bfloat16's; where its range is too small the
    finite check brings float32 back.
    """
    if device.type == "cuda":
        return torch.float16 if torch.cuda.get_device_capability(device) >= (7, 0) else torch.float32
    if device.type == "mps":
        return torch.float16
    return torch.bfloat16 if _cpu_multiplies_bfloat16() else torch.float32


def choose_precision(settings: Settings, device: torch.device) -> torch.dtype:
    """The precision for the body of a network on ``device``: what the settings say, or the fast one."""
    if settings.precision == "auto":
        return fast_precision(device)
    if settings.precision not in PRECISIONS:
        raise SettingsError(f"There is no precision {settings.precision!r}: use auto, {', '.join(PRECISIONS)}.")
    return PRECISIONS[settings.precision]


def wide_range_precision(settings: Settings, device: torch.device) -> torch.dtype:
    """As ``choose_precision``, for a network whose values float16 may be too narrow for: nothing chooses that but the
    settings themselves, so a GPU computes in float32 and a CPU in bfloat16 where it multiplies it.
    """
    if settings.precision == "auto" and device.type != "cpu":
        return torch.float32
    return choose_precision(settings, device)
