"""Which colours go with which lightness: learnt from reference pictures, given to the frames of a shot.

Of both sides the mean chroma at each luma is taken, and the covariance of what is left. Frames get the mean of the
references, and what they have around their own mean is stretched and turned until it covers what the references have
(the linear Monge-Kantorovich map: Pitie and Kokaram 2007, https://doi.org/10.1049/cp:20070055), but by no more than a
factor of two, and all of it only by a share: a reference says which colours there are and not where they belong.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.nn import functional

KNOTS = 9
"""Values of luma, evenly from 0 to 1, at which chroma is known; between two it is interpolated."""

PRIOR = 0.02
"""The share of a picture that counts as of the mean chroma at every knot, so that rare tones do not go astray."""

NOISE = 1e-5
"""The variance of chroma that says nothing."""

MOST_STRETCH = 2.0
"""By how much the differences of colours are made larger or smaller at most."""

SHARE = 0.8
"""How much of the way to the colours of the references is gone."""

MEMORY = 0.95
"""How much of what was known of a shot's own colours counts after one frame more."""

SIDE = 160
"""Pixels of the longer side of the pictures that are looked at."""


def _weights(luma: Tensor) -> Tensor:
    """How much each knot counts for luma ``(M,)``: ``(KNOTS, M)``; at most two do, and their sum is 1."""
    knots = torch.arange(KNOTS, dtype=luma.dtype, device=luma.device)
    return (1 - (luma.clamp(0, 1) * (KNOTS - 1) - knots[:, None]).abs()).clamp_min(0)


class Palette:
    """The colours of pictures of which it is told. Chroma here is R' - Y' and B' - Y'; G' follows from them."""

    def __init__(self) -> None:
        self._count = torch.zeros(KNOTS, dtype=torch.float64)
        self._sum = torch.zeros(KNOTS, 2, dtype=torch.float64)
        self._square = torch.zeros(2, 2, dtype=torch.float64)
        self._pictures = 0.0

    def learn(self, luma: Tensor, chroma: Tensor, memory: float = 1.0) -> None:
        """Add a picture: luma ``(1, 1, H, W)`` and chroma ``(1, 3, H, W)``; what was known counts ``memory`` times."""
        scale = min(1.0, SIDE / max(luma.shape[2:]))
        size = [max(1, round(side * scale)) for side in luma.shape[2:]]
        y, c = (functional.interpolate(each.cpu(), size, mode="area").double().flatten(2)[0] for each in (luma, chroma))
        c = c[[0, 2]]
        weights = _weights(y[0]) / y.shape[1]
        known = (self._count, self._sum, self._square)
        new = (weights.sum(dim=1), weights @ c.T, c @ c.T / y.shape[1])
        self._count, self._sum, self._square = (memory * old + more for old, more in zip(known, new, strict=True))
        self._pictures = memory * self._pictures + 1

    def means(self) -> Tensor:
        """The mean chroma at each knot: ``(KNOTS, 2)``."""
        prior = PRIOR * self._pictures
        overall = self._sum.sum(dim=0) / self._count.sum()
        return (self._sum + prior * overall) / (self._count + prior)[:, None]

    def covariance(self) -> Tensor:
        """That of the chroma around the mean at its luma: ``(2, 2)``."""
        means = self.means()
        explained = means.T @ self._sum
        rest = self._square - explained - explained.T + means.T @ (self._count[:, None] * means)
        return rest / self._pictures + NOISE * torch.eye(2, dtype=torch.float64)


def learnt(pictures: Iterable[tuple[Tensor, Tensor]]) -> Palette:
    """The palette of pictures, each given as ``Palette.learn`` takes it."""
    palette = Palette()
    for luma, chroma in pictures:
        palette.learn(luma, chroma)
    return palette


def _root(matrix: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(matrix)
    root: Tensor = vectors @ torch.diag(values.clamp_min(0).sqrt()) @ vectors.T
    return root


def _stretch(own: Tensor, wanted: Tensor) -> Tensor:
    """The linear map from colours of one covariance to those of another, held back by ``MOST_STRETCH``."""
    root = _root(own)
    inverse = torch.linalg.inv(root)
    values, vectors = torch.linalg.eigh(inverse @ _root(root @ wanted @ root) @ inverse)
    stretch: Tensor = vectors @ torch.diag(values.clamp(1 / MOST_STRETCH, MOST_STRETCH)) @ vectors.T
    return stretch


class Recolour:
    """Brings the frames of one shot, of which it is given one after the other, closer to the colours of ``wanted``."""

    def __init__(self, wanted: Palette) -> None:
        self._wanted = wanted
        self._own = Palette()

    def recoloured(self, luma: Tensor, chroma: Tensor) -> Tensor:
        """The chroma ``(1, 3, H, W)`` to show, given the luma ``(1, 1, H, W)`` of a frame and the chroma found for it.

        The frame's own colours are told from those before it too, so that the change is steady.
        """
        self._own.learn(luma, chroma, MEMORY)
        own, wanted = self._own, self._wanted
        turn = _stretch(own.covariance(), wanted.covariance()).to(chroma)
        moved = (wanted.means() - own.means() @ turn.T.double().cpu()).to(chroma)
        red_blue = chroma[0, [0, 2]].flatten(1)
        place = luma.flatten().clamp(0, 1) * (KNOTS - 1)
        below = place.long().clamp_max(KNOTS - 2)
        changed = turn @ red_blue + torch.lerp(moved.T[:, below], moved.T[:, below + 1], place - below)
        red, blue = torch.lerp(red_blue, changed, SHARE).view(2, *chroma.shape[2:])
        green = -(0.299 * red + 0.114 * blue) / 0.587
        return torch.stack((red, green, blue))[None]
