"""One recorded case: a folder with ``keys.json``, ``meta.json`` and ``case.npz``, as its README explains them.

Every size, time, salt, gain and tolerance comes from those files, so that a case recorded with others works as well.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from restore import catalog, networks
from tests.fill import fill

CASE = "case.npz"
NUMBER = r"\d+(?:\.\d+)?e-\d+"


@dataclass(frozen=True)
class Case:
    """The case in ``folder``, of the catalogue's ``model``."""

    folder: Path
    model: str

    @cached_property
    def meta(self) -> dict[str, Any]:
        """What ``meta.json`` says."""
        return json.loads((self.folder / "meta.json").read_text(encoding="utf-8"))

    @cached_property
    def keys(self) -> dict[str, Any]:
        """What ``keys.json`` says: the shape of each published key, or such a mapping for each part of the network."""
        return json.loads((self.folder / "keys.json").read_text(encoding="utf-8"))

    @cached_property
    def arrays(self) -> Mapping[str, np.ndarray]:
        """The arrays of ``case.npz``."""
        return self.load(CASE)

    def load(self, file: str) -> Mapping[str, np.ndarray]:
        """The arrays of another file beside ``case.npz``."""
        with np.load(self.folder / file) as archive:
            return {name: archive[name] for name in archive.files}

    def tensor(self, name: str) -> Tensor:
        """The array called ``name``: what is fed to the network, never something cropped."""
        assert name not in self._crops(CASE), f"{name} is cropped in this copy"
        return torch.from_numpy(self.arrays[name])

    def fill(self, part: str | None = None) -> dict[str, Tensor]:
        """The contents of the checkpoint under the published keys; those of one part where there are several."""
        recipe = self.meta.get("fill") or self.meta
        if part is not None:
            recipe = recipe[part]
        return fill(self.keys if part is None else self.keys[part], recipe.get("gains"), recipe.get("salt", 0))

    def network(self, checkpoint: Mapping[str, Any] | None = None) -> nn.Module:
        """The model's network with ``checkpoint``, or else ``fill()`` in the published container, loaded strictly."""
        if checkpoint is None:
            container = catalog.checkpoint(self.model).container
            checkpoint = self.fill() if container is None else {container: self.fill()}
        network = networks.build(self.model)
        network.load_state_dict(networks.convert(self.model, checkpoint), strict=True, assign=True)
        return network

    @cached_property
    def tolerances(self) -> tuple[float, ...]:
        """Every number such as 1e-3 in the text that says how close a result has to be, in order."""
        return tuple(float(number) for number in re.findall(NUMBER, self._tolerance_text))

    @property
    def tolerance(self) -> float:
        """The largest absolute difference that is allowed: the first number of that text."""
        return self.tolerances[0]

    @property
    def mean_tolerance(self) -> float | None:
        """The mean absolute difference that is allowed, where the text names one."""
        found = re.search(rf"\bmean ({NUMBER})", self._tolerance_text)
        return float(found.group(1)) if found else None

    @property
    def _tolerance_text(self) -> str:
        if "tolerance_hint" in self.meta:
            return self.meta["tolerance_hint"]
        return self.meta["tolerance"]["suggested"]

    def compare(
        self,
        name: str,
        result: Tensor | np.ndarray,
        *,
        atol: float | None = None,
        scaled: bool = False,
        where: Tensor | np.ndarray | None = None,
        file: str = CASE,
    ) -> None:
        """Check ``result``, which is never cropped, against the recorded array ``name`` of ``file``.

        It may differ by ``atol`` or else by the tolerance of ``meta.json``, including its mean; ``scaled`` multiplies
        both by the largest absolute value where that is above one, for inner values, whose range is not that of a
        picture. Of the values that ``where`` (as large as the result, or broadcasting) says false for, none counts.
        """
        arrays = self.arrays if file == CASE else self.load(file)
        cut = tuple(slice(*bounds) for bounds in self._crops(file).get(name, ()))
        wanted = np.asarray(arrays[name], dtype=np.float64)
        found = np.asarray(result, dtype=np.float64)
        kept = (
            np.ones_like(found, dtype=bool) if where is None else np.broadcast_to(np.asarray(where, bool), found.shape)
        )
        found, kept = found[cut], kept[cut]
        assert found.shape == wanted.shape, f"{self.folder.name} {name}: {found.shape} instead of {wanted.shape}"
        assert kept.any(), f"{self.folder.name} {name}: nothing is left to compare"
        difference = np.abs(found - wanted)[kept]
        scale = max(1.0, float(np.abs(wanted).max())) if scaled else 1.0
        most = (self.tolerance if atol is None else atol) * scale
        # A comparison that is true, so that NaN fails.
        assert difference.max() <= most, f"{self.folder.name} {name}: differs by {difference.max():.3g}, not {most:.3g}"
        if atol is None and self.mean_tolerance is not None:
            mean = self.mean_tolerance * scale
            assert difference.mean() <= mean, (
                f"{self.folder.name} {name}: {difference.mean():.3g} on average, not {mean:.3g}"
            )

    def _crops(self, file: str) -> Mapping[str, list[list[int | None]]]:
        """Of the arrays that this copy keeps in part: start, stop and step along each axis."""
        return self.meta.get("crop", {}).get(file, {})
