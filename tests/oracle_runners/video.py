"""The networks that enlarge a clip with the help of neighbouring frames."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import pytest
import torch
from torch import Tensor, nn

from restore.networks.edvr import EDVR
from restore.networks.enlarge_x4 import plain_resize
from restore.networks.ppmsvsr import PPMSVSR
from restore.networks.realbasicvsr import RealBasicVSR
from tests.oracle_runners.case import Case
from tests.oracle_runners.faces import recorded


def compare_features(case: Case, name: str, features: Tensor) -> None:
    """The first channels of ``features (N, C, H, W)`` of the first clip, as many as were recorded."""
    case.compare(name, features[0, : case.meta["arrays"][name][0]], scaled=True)


def compare_flows(case: Case, calls: list[Tensor]) -> None:
    """The flow between the first two frames; ``calls`` are the flow network's answers, both ways in each."""
    if not calls:
        assert case.tensor("input").shape[1] == 1
        return
    backward, forward = calls[0].chunk(2)
    case.compare("flow_backward_0", backward[0], scaled=True)
    case.compare("flow_forward_0", forward[0], scaled=True)


def named(network: nn.Module, **parts: str) -> dict[str, nn.Module]:
    """Parts of the network, by the names that the taps have here."""
    return {name: network.get_submodule(path) for name, path in parts.items()}


def edvr(case: Case) -> None:
    network = case.network()
    assert isinstance(network, EDVR)
    clip = case.tensor("input")
    with recorded(named(network, align="pcd_align", fusion="fusion")) as calls:
        result = network.middle_frame(clip)
    case.compare("output", result)
    compare_features(case, "aligned_0", calls["align"][0])
    compare_features(case, "fusion", calls["fusion"][0])


def basicvsr(case: Case) -> None:
    network = case.network()
    with recorded(named(network, flow="spynet", backward="backward_trunk")) as calls:
        result = network(case.tensor("input"))
    case.compare("output", result)
    compare_flows(case, calls["flow"])
    compare_features(case, "backward_feat_last", calls["backward"][0])
    compare_features(case, "backward_feat_0", calls["backward"][-1])


def iconvsr(case: Case) -> None:
    network = case.network()
    with recorded(named(network, flow="spynet", backward="backward_trunk", keyframe="edvr.fusion")) as calls:
        result = network(case.tensor("input"))
    case.compare("output", result)
    compare_flows(case, calls["flow"])
    compare_features(case, "keyframe_feat_0", calls["keyframe"][0])
    compare_features(case, "backward_feat_0", calls["backward"][-1])


def basicvsr_pp(case: Case) -> None:
    network = case.network()
    with recorded(named(network, flow="spynet", align="deform_align.backward_1")) as calls:
        result = network(case.tensor("input"))
    case.compare("output", result)
    compare_flows(case, calls["flow"])
    for name, call in zip(("aligned_backward_1_first", "aligned_backward_1_second"), calls["align"], strict=False):
        compare_features(case, name, call)


def realbasicvsr(case: Case) -> None:
    network = case.network()
    assert isinstance(network, RealBasicVSR)
    clip = case.tensor("input")
    parts = named(network, flow="basicvsr.spynet", cleaning="image_cleaning")
    with recorded(parts) as calls:
        result = network(clip)
    case.compare("output", result)
    compare_flows(case, calls["flow"])
    passes = torch.stack(calls["cleaning"]).unflatten(0, (-1, clip.shape[1]))
    case.compare("cleaned", clip + passes.sum(dim=0).transpose(0, 1))

    second = case.meta["second_case"]
    network.threshold = second["dynamic_refine_thres"] / 255
    with recorded(parts) as calls:
        result = network(clip)
    residues = torch.stack(calls["cleaning"]).abs().unflatten(0, (second["passes"], clip.shape[1]))
    means = residues.flatten(1).mean(dim=1).tolist()
    assert means == pytest.approx(second["mean_abs_residues"], abs=case.tolerance)
    number = int(re.findall(r"\d+", second["array"])[0])
    case.compare(second["array"], result[:, number])


def ppmsvsr(case: Case) -> None:
    network = case.network()
    assert isinstance(network, PPMSVSR)
    clip = case.tensor("input")
    parts = named(
        network,
        flow="spynet",
        stage1="stage1_blocks",
        align="deform_align.stage3_backward",
        auxiliary="aux_conv_last",
    )
    with recorded(parts) as calls:
        result = network(clip)
    case.compare("output", result)
    compare_flows(case, calls["flow"])
    compare_features(case, "stage1_last", calls["stage1"][-1])
    if calls["align"]:
        compare_features(case, "aligned_stage3_backward_first", calls["align"][0])
    for name in case.arrays:
        found = re.fullmatch(r"aux_frame_(\d+)_stride(\d+)", name)
        if found:
            number, step = int(found[1]), int(found[2])
            enlarged = calls["auxiliary"][number] + plain_resize(clip[:, number])
            case.compare(name, enlarged[..., ::step, ::step])


RUNNERS: Mapping[str, Callable[[Case], None]] = {
    "edvr_m": edvr,
    "edvr_l": edvr,
    "edvr_l_vimeo": edvr,
    "basicvsr": basicvsr,
    "iconvsr": iconvsr,
    "iconvsr_vimeo": iconvsr,
    "basicvsr_pp": basicvsr_pp,
    "realbasicvsr": realbasicvsr,
    "ppmsvsr": ppmsvsr,
    "ppmsvsr_l": ppmsvsr,
}
