"""Copy recorded cases into this folder, with what they recorded cropped until a network takes at most a megabyte.

    python -m tests.oracles.make_copies ORIGINALS FOLDER...

Inputs are kept whole. Of a result that is too large every third value (then every fifth, and so on) along one of its
axes is kept, because an odd step meets the borders and every phase of an enlargement; what is kept is written down in
the copied ``meta.json`` under ``crop``: for each file and array, start, stop and step along each axis.
"""

from __future__ import annotations

import json
import shutil
import sys
import zlib
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np

MOST_BYTES = 1_000_000
WHOLE = (
    "input*", "img[01]", "odd_img[01]", "image*", "clip_bgr", "refs_tensor", "references_rgb_*", "pipe_image*",
    "pipe_net_input", "pipe_ready", "*_channels", "token_indices", "stable_*", "color_L_in_*", "restore_L_in_*",
)  # fmt: skip
"""Arrays that a network is fed with, or that say which of the values count."""


def _cost(array: np.ndarray) -> int:
    return len(zlib.compress(array.tobytes(), 6))


def _may_crop(name: str, array: np.ndarray) -> bool:
    return array.ndim >= 2 and array.size > 256 and not any(fnmatchcase(name, pattern) for pattern in WHOLE)


def crop(arrays: dict[str, np.ndarray], most: int) -> tuple[dict[str, np.ndarray], dict[str, list[list[int | None]]]]:
    """The arrays with the most costly ones thinned out until all take ``most`` bytes, and how that was done."""
    steps = {name: [1] * array.ndim for name, array in arrays.items()}
    kept = dict(arrays)
    costs = {name: _cost(array) for name, array in arrays.items()}
    while sum(costs.values()) > most:
        candidates = [name for name in kept if _may_crop(name, kept[name])]
        name = max(candidates, key=lambda candidate: costs[candidate])
        axis = max(range(kept[name].ndim), key=lambda axis: kept[name].shape[axis])
        steps[name][axis] += 2
        kept[name] = np.ascontiguousarray(arrays[name][tuple(slice(None, None, step) for step in steps[name])])
        costs[name] = _cost(kept[name])
    return kept, {
        name: [[None, None, step] for step in taken] for name, taken in steps.items() if any(s > 1 for s in taken)
    }


def copy(original: Path, target: Path) -> int:
    """Copy the case in ``original`` to ``target``; returns the bytes that the copy takes."""
    target.mkdir(parents=True, exist_ok=True)
    files = sorted(original.glob("*.npz"))
    others = sum(file.stat().st_size for file in original.iterdir() if file.name != "case.npz")
    meta = json.loads((original / "meta.json").read_text(encoding="utf-8"))
    for file in files:
        with np.load(file) as archive:
            arrays = {name: archive[name] for name in archive.files}
        if file.name == "case.npz":
            # The headers of the archive take some of it too.
            arrays, crops = crop(arrays, MOST_BYTES - others - 400 * len(arrays))
            if crops:
                meta["crop"] = {file.name: crops}
        np.savez_compressed(target / file.name, **arrays)
    for file in original.glob("*.json"):
        shutil.copyfile(file, target / file.name)
    (target / "meta.json").write_text(json.dumps(meta, indent=1) + "\n", encoding="utf-8")
    return sum(file.stat().st_size for file in target.iterdir())


if __name__ == "__main__":
    for folder in sys.argv[2:]:
        taken = copy(Path(sys.argv[1]) / folder, Path(__file__).parent / folder)
        sys.stdout.write(f"{folder}: {taken} bytes\n")
