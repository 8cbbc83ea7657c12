"""From the name that a user gives to a network that is ready to run: which model, and whose weights."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from torch import Tensor

from restore import catalog, networks, weights
from restore.errors import WeightsError
from restore.inference.engine import Engine
from restore.inference.runner import NetworkSource
from restore.report import ModelUse

log = logging.getLogger(__name__)

AUTO = "auto"
BUILT_IN = "built-in"

PAUSE_SECONDS = 300.0
"""How long models that one can do without are not asked for again after a download has failed: a folder of pictures
should not wait for each of them."""

_failed_at: float | None = None


@dataclass(frozen=True)
class _Weights:
    """The state dict of the model ``name`` from its file at ``path``, read when it is called."""

    name: str
    path: Path

    def __call__(self) -> Mapping[str, Tensor]:
        return networks.convert(self.name, weights.load_checkpoint(self.path, catalog.checkpoint(self.name).member))


@dataclass(frozen=True)
class _Blend:
    """``share`` of the first weights and the rest of the second."""

    share: float
    first: _Weights
    second: _Weights

    def __call__(self) -> Mapping[str, Tensor]:
        a, b = self.first(), self.second()
        if a.keys() != b.keys() or any(a[key].shape != b[key].shape for key in a):
            raise WeightsError(
                f"The files for {self.first.name} and {self.second.name} do not belong to the same network."
            )
        return {key: self.share * a[key] + (1 - self.share) * b[key] for key in a}


@dataclass(frozen=True)
class Model:
    """A model whose weights are on this machine."""

    source: NetworkSource
    uses: tuple[ModelUse, ...]


def _obtain(name: str, engine: Engine) -> weights.LocalWeights:
    if engine.download:
        return weights.obtain(name, engine.settings, engine.progress)
    found = weights.find(name, engine.settings)
    if found is None:
        raise WeightsError(f"{name} is not on this machine, and nothing is downloaded for this piece of work.")
    return found


def open_model(name: str, engine: Engine) -> Model:
    """The model ``name``, its weights fetched if need be; raises ``SettingsError`` or ``WeightsError``."""
    local = _obtain(name, engine)
    return Model(NetworkSource(name, local.use.sha256, _Weights(name, local.path)), (local.use,))


def open_blend(name: str, partner: str, share: float, engine: Engine) -> Model:
    """A model whose weights are ``share`` of ``name``'s and the rest ``partner``'s.

    Deep network interpolation (Wang et al. 2018, https://arxiv.org/abs/1811.10515).
    """
    first, second = (_obtain(each, engine) for each in (name, partner))
    blend = _Blend(share, _Weights(name, first.path), _Weights(partner, second.path))
    key = f"{share:g} {first.use.sha256} {second.use.sha256}"
    return Model(NetworkSource(name, key, blend), (first.use, second.use))


def why_unusable(model: Model) -> str | None:
    """``None`` for a model whose file is the published one, or holds the weights of its network all the same."""
    (use,) = model.uses
    if use.verified:
        return None
    try:
        model.source.load()
    except WeightsError as error:
        log.info("%s", error)
        return "has a file on this machine that is damaged or of another model"
    return None


def why_missing(name: str, engine: Engine) -> str | None:
    """``None`` once the weights of ``name`` are on this machine, fetched if need be; else what to say of it."""
    global _failed_at
    try:
        found = weights.find(name, engine.settings)
        if found is not None:
            # A file that is the published one is whole; any other may be anything.
            if found.use.verified or _is_usable(name, found.use.sha256, found.path):
                return None
            engine.warn(f"The file {found.path.name} on this machine is damaged or of another model: replace it.")
            return "has a file on this machine that cannot be used"
        if not engine.download:
            return "is not on this machine"
        if _failed_at is None or time.monotonic() - _failed_at > PAUSE_SECONDS:
            weights.obtain(name, engine.settings, engine.progress)
            return None
    except WeightsError as error:
        _failed_at = time.monotonic()
        log.info("%s", error)
    return "is not on this machine and could not be downloaded"


@lru_cache(maxsize=64)
def _is_usable(name: str, sha256: str, path: Path) -> bool:
    """Whether the file at ``path``, which has this hash, holds the weights of ``name``."""
    try:
        NetworkSource(name, sha256, _Weights(name, path)).load()
    except WeightsError as error:
        log.info("%s", error)
        return False
    return True


def choose(candidates: Sequence[str], engine: Engine) -> tuple[str, str | None]:
    """The first of ``candidates`` that is on this machine or can be fetched, and why it is not the very first.

    The last one is taken without asking.
    """
    reasons: list[str] = []
    for name in candidates[:-1]:
        reason = why_missing(name, engine)
        if reason is None:
            return name, reasons[0] if reasons else None
        reasons.append(reason)
    return candidates[-1], reasons[0] if reasons else None


def for_pictures(stage: str) -> list[str]:
    """Those of the models that ``stage`` can use which need nothing but the picture itself."""
    return [name for name in offered_for(stage) if not networks.uses_time(name)]


def offered_for(stage: str) -> list[str]:
    """The names of the models that ``stage`` can use, as the catalogue lists them."""
    return [entry.name for entry in catalog.checkpoints().values() if stage in entry.stages]
