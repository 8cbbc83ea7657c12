"""Fold the norms that published files keep beside a weight into the weight, once, when the file is read."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from restore.errors import WeightsError

SPECTRAL = "weight_orig"
MAGNITUDE, DIRECTION = "weight_g", "weight_v"


def _partner(state: Mapping[str, Tensor], key: str) -> Tensor:
    try:
        return state[key]
    except KeyError as error:
        raise WeightsError(
            f"The file of weights is not complete: it has no {key}. Get it from its publisher again."
        ) from error


def fold_spectral(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Replace ``weight_orig``, ``weight_u`` and ``weight_v`` by ``weight = weight_orig / (u . W v)``.

    W is the weight as a matrix with one row for each output; u and v are taken as they are stored, as the published
    networks do when they do not train (spectral norm: Miyato et al. 2018, https://arxiv.org/abs/1802.05957). Other
    tensors stay as they are. Raises ``WeightsError`` where one of the three is missing.
    """
    bases = {key.removesuffix(SPECTRAL) for key in state if key.endswith("." + SPECTRAL)}
    folded: dict[str, Tensor] = {}
    for key, value in state.items():
        base, leaf = key[: key.rindex(".") + 1] if "." in key else "", key.rpartition(".")[2]
        if base not in bases:
            folded[key] = value
        elif leaf == SPECTRAL:
            left, right = _partner(state, base + "weight_u"), _partner(state, base + "weight_v")
            folded[base + "weight"] = value / left.dot(value.flatten(1).mv(right))
        elif leaf not in ("weight_u", "weight_v"):
            folded[key] = value
    return folded


def fold_weight_norm(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Replace ``weight_g`` and ``weight_v`` by ``weight = g * v / |v|``, the length being that of each output's part.

    Weight normalisation: Salimans and Kingma 2016, https://arxiv.org/abs/1602.07868. Other tensors stay as they are.
    Raises ``WeightsError`` where one of the two is missing.
    """
    folded: dict[str, Tensor] = {}
    for key, value in state.items():
        base, leaf = key[: key.rindex(".") + 1] if "." in key else "", key.rpartition(".")[2]
        if leaf == MAGNITUDE:
            direction = _partner(state, base + DIRECTION)
            length = direction.flatten(1).norm(dim=1).reshape(value.shape)
            folded[base + "weight"] = direction * (value / length)
        elif not (leaf == DIRECTION and base + MAGNITUDE in state):
            folded[key] = value
    return folded
