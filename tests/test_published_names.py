"""Whatever a network was published in, and under whatever names, its weights come to their places.

The tensors have no numbers, only identities: each has to arrive under the right name, and none may be lost.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

from restore import catalog, networks
from restore.errors import WeightsError

State = dict[str, Tensor]
OPENMMLAB = (
    (r"^(spynet\.basic_module\.\d\.basic_module)\.(\d)\.", lambda m: f"{m[1]}.{int(m[2]) // 2}.conv."),
    (r"^(back|for)ward_trunk\.", r"\1ward_resblocks."),
    (r"^upconv([12])\.", r"upsample\1.upsample_conv."),
    (r"^(edvr\.)?conv_l([23])_([12])\.", r"\1feat_l\2_conv\3.conv."),
    (r"((?:offset_conv[123]|feat_conv)\.l[123])\.", r"\1.conv."),
    (r"(cas_offset_conv[12]|feat_fusion|spatial_attn(?:[1234]|_l[123]|_add1))\.", r"\1.conv."),
    (r"^(edvr\.)?pcd_align\.", r"\1pcd_alignment."),
)
"""From the names of BasicSR to those of OpenMMLab's BasicVSRNet, IconVSRNet and EDVRNet."""
ESRGAN = (
    (r"^body\.(\d+)\.rdb(\d)\.", r"RRDB_trunk.\1.RDB\2."),
    (r"^conv_body\.", "trunk_conv."),
    (r"^conv_up", "upconv"),
    (r"^conv_hr\.", "HRconv."),
)
PADDLEGAN = (
    (
        r"^(spynet\.basic_module)\.(\d)\.basic_module\.(\d)\.(?!conv)",
        lambda m: f"{m[1]}{m[2]}.conv{int(m[3]) // 2 + 1}.",
    ),
    (r"^(spynet\.basic_module)\.(\d)\.basic_module\.(\d)\.conv\.", lambda m: f"{m[1]}{m[2]}.conv{int(m[3]) + 1}."),
    (r"\.main\.0\.", ".covn1."),
    (r"\.main\.2\.(\d+)\.", r".ResidualBlocks.block\1."),
    (r"^(backbone|deform_align)\.(\w+)\.", r"\1_\2."),
    (r"^(deform_align_\w+)\.(weight|bias)$", r"\1.dcn.\2"),
    (r"offset_conv([123])\.l([123])\.", r"PCD_Align_L\2_offset_conv\1."),
    (r"feat_conv\.l([12])\.", r"PCD_Align_L\1_fea_conv."),
    (r"dcn_pack\.l([123])\.conv_offset\.", r"PCD_Align_L\1_dcn.conv_offset_mask."),
    (r"dcn_pack\.l([123])\.", r"PCD_Align_L\1_dcn.dcn."),
    (r"cas_offset_conv", "PCD_Align_cas_offset_conv"),
    (r"cas_dcnpack\.conv_offset\.", "PCD_Align_cascade_dcn.conv_offset_mask."),
    (r"cas_dcnpack\.", "PCD_Align_cascade_dcn.dcn."),
    (r"feat_fusion", "fea_fusion"),
    (r"temporal_attn([12])", lambda m: f"tAtt_{3 - int(m[1])}"),
    (r"spatial_attn_l", "sAtt_L"),
    (r"spatial_attn_add", "sAtt_add_"),
    (r"spatial_attn", "sAtt_"),
    (r"^edvr\.conv_l([23])_([12])", r"edvr.feat_l\1_conv\2"),
)
PADDLEGAN_EDVR = (
    *PADDLEGAN,
    (r"^conv_l([23])_([12])", r"fea_L\1_conv\2"),
    (r"^feature_extraction\.(\d+)", r"feature_extractor.block\1"),
    (r"^reconstruction\.(\d+)", r"reconstructor.block\1"),
    (r"^conv_hr", "HRconv"),
    (r"^pcd_align\.", "PCDModule."),
    (r"^fusion\.", "TSAModule."),
)
EXTRA = {"step_counter": torch.zeros(1)}


def own(name: str) -> State:
    """The network's state dict with tensors that have a shape and an identity only."""
    with torch.device("meta"):
        return dict(networks.build(name).state_dict())


def under(rules: tuple[tuple[str, Any], ...], state: State) -> State:
    """``state`` with its names changed by ``rules``."""
    named = {}
    for key, value in state.items():
        for old, new in rules:
            key = re.sub(old, new, key)
        named[key] = value
    return named


def prefixed(prefix: str, state: State) -> State:
    return {f"{prefix}{key}": value for key, value in state.items()}


def openmmlab(state: State) -> Mapping[str, object]:
    inside = {**EXTRA, **prefixed("generator.", under(OPENMMLAB, state)), "discriminator.conv.weight": torch.zeros(1)}
    return {"meta": {"epoch": 1}, "state_dict": inside, "optimizer": {"state": {0: {"momentum": torch.zeros(1)}}}}


def openmmlab_as_it_is(state: State) -> Mapping[str, object]:
    return {"state_dict": {**EXTRA, **prefixed("generator.", state)}}


def openmmlab_averaged(state: State) -> Mapping[str, object]:
    others = {key: torch.zeros(1) for key in state}
    return {"state_dict": {**EXTRA, **prefixed("generator.", others), **prefixed("generator_ema.", state)}}


def basicsr(state: State) -> Mapping[str, object]:
    return {"params": state}


def basicsr_averaged(state: State) -> Mapping[str, object]:
    return {"params": {key: torch.zeros(1) for key in state}, "params_ema": state}


def paddlegan(state: State) -> Mapping[str, object]:
    names = dict.fromkeys(state, "conv2d_0.w_0")
    return {
        "generator": {**state, "StructuredToParameterName@@": names},
        "optimizer": {"x": torch.zeros(1)},
        "epoch": 9,
    }


def paddlegan_renamed(state: State) -> Mapping[str, object]:
    return paddlegan(under(PADDLEGAN, state))


def paddlegan_edvr(state: State) -> Mapping[str, object]:
    return paddlegan(under(PADDLEGAN_EDVR, state))


def paddlegan_esrgan(state: State) -> Mapping[str, object]:
    return {**under(ESRGAN, state), "StructuredToParameterName@@": {}}


def parallel(state: State) -> Mapping[str, object]:
    return prefixed("module.", state)


def parallel_with_teacher(state: State) -> Mapping[str, object]:
    return {
        **prefixed("module.", state),
        "module.teacher.conv0.weight": torch.zeros(1),
        "module.caltime.0.bias": torch.zeros(1),
    }


def super_slomo(state: State) -> Mapping[str, object]:
    parts = {"state_dictFC": "flow.", "state_dictAT": "interpolation."}
    inside = {
        part: {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
        for part, prefix in parts.items()
    }
    return {"Detail": "text", "epoch": 199, "loss": [[1.0]], **inside}


def with_more(state: State) -> Mapping[str, object]:
    return {**state, "initScaleNets_occlusion.0.0.weight": torch.zeros(1), "div_flow": torch.zeros(1)}


def parts(state: State) -> Mapping[str, object]:
    made: dict[str, State] = {}
    for key, value in state.items():
        made.setdefault(key.partition(".")[0], {})[key.partition(".")[2]] = value
    return made


PUBLISHED: tuple[tuple[str, Callable[[State], Mapping[str, object]]], ...] = (
    ("basicvsr", basicsr),
    ("basicvsr", openmmlab),
    ("iconvsr", basicsr),
    ("iconvsr", openmmlab),
    ("iconvsr-vimeo", openmmlab),
    ("edvr-m", basicsr),
    ("edvr-m", openmmlab),
    ("edvr-l", openmmlab),
    ("basicvsr-pp", openmmlab_as_it_is),
    ("basicvsr-pp-ntire", openmmlab_as_it_is),
    ("realbasicvsr", openmmlab_as_it_is),
    ("realbasicvsr", openmmlab_averaged),
    ("edvr-m", paddlegan_edvr),
    ("basicvsr", paddlegan_renamed),
    ("iconvsr", paddlegan_renamed),
    ("basicvsr-pp", paddlegan_renamed),
    ("pp-msvsr", paddlegan),
    ("pp-msvsr-l", paddlegan),
    ("realsr-df2k", paddlegan_esrgan),
    ("RealESRGAN_x4plus", basicsr_averaged),
    ("gfpgan-1.4", basicsr_averaged),
    ("gfpgan-1.2", basicsr),
    ("restoreformer", basicsr),
    ("codeformer", basicsr_averaged),
    ("retinaface-mobilenet", parallel),
    ("retinaface-resnet50", parallel),
    ("rife-4.6", parallel_with_teacher),
    ("rife-4.25", parallel_with_teacher),
    ("rife-4.26", parallel),
    ("super-slomo", super_slomo),
    ("ifrnet", parallel),
    ("dain", with_more),
    ("deepremaster", parts),
)


@pytest.mark.parametrize(("name", "publish"), PUBLISHED, ids=lambda value: getattr(value, "__name__", value))
def test_every_weight_comes_to_its_place(name: str, publish: Callable[[State], Mapping[str, object]]) -> None:
    state = own(name)
    converted = networks.convert(name, publish(state))
    assert converted.keys() == state.keys()
    assert all(converted[key] is state[key] for key in state)


DIFFERENT = {
    (entry.network, str(entry.arguments)): entry.name
    for entry in catalog.checkpoints().values()
    if entry.package_file is None
}
"""One model for each network that there is."""


@pytest.mark.parametrize("name", DIFFERENT.values())
def test_own_weights_stay_as_they_are(name: str) -> None:
    """A copy in a mirror has the names of the network itself."""
    state = own(name)
    converted = networks.convert(name, state)
    assert converted.keys() == state.keys()
    assert all(converted[key] is state[key] for key in state)


@pytest.mark.parametrize(
    "content", [{}, {"params": {}}, {"state_dict": {"epoch": 1}}, {"params_ema": None, "epoch": 3}]
)
def test_a_file_without_weights_is_named(content: dict[str, object]) -> None:
    with pytest.raises(WeightsError, match=r"basicvsr does not hold weights under 'params'.*BasicVSR_REDS4"):
        networks.convert("basicvsr", content)
