"""The one place where the packages basicsr, realesrgan and gfpgan are imported.

basicsr 1.4.2 imports ``torchvision.transforms.functional_tensor``, which torchvision removed in 0.17; it wants a single
function from it. A stand-in module with that function makes all three packages importable again.
"""

from __future__ import annotations

import importlib
import sys
import types
from typing import Any

_MISSING = "torchvision.transforms.functional_tensor"


def architecture(module: str, name: str) -> Any:
    """The class ``name`` of a module of one of these packages, such as ``basicsr.archs.rrdbnet_arch``."""
    if _MISSING not in sys.modules:
        from torchvision.transforms.functional import rgb_to_grayscale

        stand_in = types.ModuleType(_MISSING)
        stand_in.rgb_to_grayscale = rgb_to_grayscale  # type: ignore[attr-defined]
        sys.modules[_MISSING] = stand_in
    return getattr(importlib.import_module(module), name)
