"""Every published network gives the numbers that the published implementation gave, from the same weights and input.

The cases are the project's copies under ``tests/oracles``, or those in the folder that RESTORE_ORACLES names.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch

from tests.oracle_runners import colour, faces, interpolation, video
from tests.oracle_runners.case import Case

MODELS = {
    "basicvsr": "basicvsr",
    "basicvsr_pp": "basicvsr-pp",
    "codeformer": "codeformer",
    "dain": "dain",
    "ddcolor_large": "ddcolor-large",
    "ddcolor_tiny": "ddcolor-tiny",
    "deepremaster": "deepremaster",
    "deoldify_artistic": "deoldify-artistic",
    "deoldify_stable": "deoldify-stable",
    "deoldify_video": "deoldify-video",
    "edvr_l": "edvr-l",
    "edvr_l_vimeo": "edvr-l-vimeo",
    "edvr_m": "edvr-m",
    "film": "film",
    "gfpgan_v1_clean": "gfpgan-1.4",
    "iconvsr": "iconvsr",
    "iconvsr_vimeo": "iconvsr-vimeo",
    "ifrnet": "ifrnet",
    "ppmsvsr": "pp-msvsr",
    "ppmsvsr_l": "pp-msvsr-l",
    "realbasicvsr": "realbasicvsr",
    "restoreformer": "restoreformer",
    "rife425": "rife-4.25",
    "rife426": "rife-4.26",
    "rife46": "rife-4.6",
    "super_slomo": "super-slomo",
}
"""The model of the catalogue that a folder holds a case of."""

RUNNERS: Mapping[str, Callable[[Case], None]] = {
    **colour.RUNNERS,
    **faces.RUNNERS,
    **interpolation.RUNNERS,
    **video.RUNNERS,
}

# Read when the tests are collected: inside a test no setting of the machine is left.
PARENT = Path(os.environ.get("RESTORE_ORACLES") or Path(__file__).with_name("oracles")).resolve()
FOLDERS = sorted({*MODELS, *(meta.parent.name for meta in PARENT.glob("*/meta.json"))})


@pytest.mark.parametrize("folder", FOLDERS)
def test_oracle(folder: str) -> None:
    assert folder in MODELS, f"{PARENT / folder} is a case of no network that is known here"
    assert (PARENT / folder / "meta.json").is_file(), f"{PARENT} has no case of {folder}"
    try:
        with torch.inference_mode():
            RUNNERS[folder](Case(PARENT / folder, MODELS[folder]))
    finally:
        gc.collect()  # the network goes before the next one comes: several would not fit beside each other
