"""The names that OpenMMLab gives to weights which BasicSR publishes under other ones.

Its checkpoints (mmediting, mmagic: https://github.com/open-mmlab/mmagic) hold a training model: the network is its
``generator``, of which there may be an average over the training as well, beside counters and discriminators.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TypeVar

from restore.networks import paddlegan

Value = TypeVar("Value")
Renaming = Sequence[tuple[str, str]]

PREFIXES = ("generator_ema.", "generator.")
"""The averaged weights are those to use where the file has them."""

COUNTER = "step_counter"


def without_prefix(state: Mapping[str, Value]) -> dict[str, Value]:
    """The weights of the network alone: those under the first of ``PREFIXES`` that there is, or all but the counter."""
    for prefix in PREFIXES:
        found = {key[len(prefix) :]: value for key, value in state.items() if key.startswith(prefix)}
        if found:
            return {key: value for key, value in found.items() if key != COUNTER}
    return {key: value for key, value in state.items() if key != COUNTER}


def renamed(state: Mapping[str, Value], rules: Renaming) -> dict[str, Value]:
    """``state`` with every rule ``(pattern, replacement)`` applied to every name, in order."""
    result = {}
    for key, value in state.items():
        for pattern, replacement in rules:
            key = re.sub(pattern, replacement, key)
        result[key] = value
    return result


SPYNET: Renaming = tuple(
    (rf"^(spynet\.basic_module\.\d+\.basic_module)\.{layer}\.conv\.", rf"\1.{2 * layer}.") for layer in range(5)
)
"""A convolution and its ReLU have one number there and two here."""

TRUNKS: Renaming = (
    *SPYNET,
    (r"^(back|for)ward_resblocks\.", r"\1ward_trunk."),
    (r"^upsample([12])\.upsample_conv\.", r"upconv\1."),
)

EXTRACTOR: Renaming = (
    (r"^(edvr\.)?feat_l([23])_conv([12])\.conv\.", r"\1conv_l\2_\3."),
    (r"^(edvr\.)?pcd_alignment\.", r"\1pcd_align."),
    (r"^((?:edvr\.)?(?:pcd_align|fusion)\.\w+(?:\.l[123])?)\.conv\.", r"\1."),
)
"""EDVR's features, alignment and fusion, also where they are part of IconVSR."""


def plain_trunks(state: Mapping[str, Value]) -> dict[str, Value]:
    """EDVR's, BasicVSR's and IconVSR's weights under BasicSR's names, from OpenMMLab's or PaddleGAN's."""
    return renamed(state, (*TRUNKS, *EXTRACTOR, *paddlegan.PLAIN))
