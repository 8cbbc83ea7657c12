"""What whoever runs a network must know about it, as one value."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Traits:
    """The needs and costs of a network. Pixels are those of its input."""

    scale: int
    """How many times larger the output is."""

    context: int
    """Pixels around a tile that the network is given and that are cut off again."""

    exact: bool
    """True where ``context`` covers the whole receptive field, so that tiles give what the whole picture would give."""

    values_per_pixel: int
    """Numbers held at once for each pixel of the input while the network runs; it decides the size of the tiles."""

    macs_per_pixel: int
    """Multiply-accumulate operations for each pixel of the input."""

    macs_of_largest_layer: int
    """The part of ``macs_per_pixel`` that the most expensive single layer takes; work can be stopped between layers."""

    multiple: int = 1
    """Both sides of the input must be a multiple of this."""

    float32: frozenset[str] = frozenset()
    """Names of the layers that stay in float32 whatever the rest runs in: the last one, as a rule."""
