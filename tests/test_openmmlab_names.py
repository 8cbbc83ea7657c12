"""Weights that OpenMMLab publishes under other names than BasicSR come out under BasicSR's, each of them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from restore import networks
from restore.networks import basicvsr, edvr, iconvsr

RECORDED = Path(__file__).with_name("oracles") / "realbasicvsr" / "keys.json"

WITH_ACTIVATION = (
    r"pcd_align\.(?:offset_conv[123]|feat_conv)\.l[123]",
    r"pcd_align\.cas_offset_conv[12]",
    r"fusion\.(?:feat_fusion|spatial_attn[1234]|spatial_attn_l[123]|spatial_attn_add1)",
)
"""Layers that OpenMMLab keeps together with their activation, one name deeper."""


def theirs(key: str) -> str:
    """The name that OpenMMLab gives to a weight which is called ``key`` here."""
    found = re.search(r"(spynet\.basic_module\.\d\.basic_module)\.(\d)\.", key)
    if found:
        return key.replace(found[0], f"{found[1]}.{int(found[2]) // 2}.conv.")
    for layer in WITH_ACTIVATION:
        key = re.sub(rf"({layer})\.(weight|bias)$", r"\1.conv.\2", key)
    key = re.sub(r"conv_l([23])_([12])\.", r"feat_l\1_conv\2.conv.", key)
    key = key.replace("pcd_align.", "pcd_alignment.").replace("ward_trunk.", "ward_resblocks.")
    return re.sub(r"^upconv([12])\.", r"upsample\1.upsample_conv.", key)


@pytest.mark.parametrize(
    "network", [basicvsr.build(8, 2), iconvsr.build(8, 1), edvr.build(8), edvr.build(8, with_tsa=False)]
)
def test_every_weight_gets_its_name(network: nn.Module) -> None:
    module = {"BasicVSR": basicvsr, "IconVSR": iconvsr, "EDVR": edvr}[type(network).__name__]
    own: dict[str, Tensor] = network.state_dict()
    published = {f"generator.{theirs(key)}": value for key, value in own.items()}
    assert len(published) == len(own)
    assert sum(key not in own for key in published) == len(own)
    counted = published | {"step_counter": torch.zeros(1), "discriminator.conv.weight": torch.zeros(1)}
    converted = module.convert(counted)
    assert converted.keys() == own.keys()
    assert all(converted[key] is value for key, value in own.items())
    # What has our names already keeps them.
    assert module.convert(own).keys() == own.keys()


def test_the_recorded_names_of_openmmlab_are_understood() -> None:
    prefix = "generator.basicvsr."
    shapes = {key: shape for key, shape in json.loads(RECORDED.read_text()).items() if key.startswith(prefix)}
    published = {key.replace(prefix, "generator."): torch.zeros(shape) for key, shape in shapes.items()}
    blocks = 1 + max(int(key.split(".main.2.")[1].split(".")[0]) for key in published if ".main.2." in key)
    with torch.device("meta"):
        network = basicvsr.build(64, blocks)
    network.load_state_dict(basicvsr.convert(published), strict=True, assign=True)
    assert networks.convert("basicvsr", {"state_dict": published}).keys() == network.state_dict().keys()
