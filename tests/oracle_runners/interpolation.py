"""The networks that make frames between two frames."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

import torch
from torch import Tensor

from restore.networks.adaptive_warp import adaptive_warp, rows
from restore.networks.correlation import correlation
from restore.networks.dain import Dain
from restore.networks.depth_projection import project, splat
from restore.networks.film import Film
from restore.networks.frame_padding import Padding, to_multiple
from restore.networks.ifrnet import Ifrnet
from restore.networks.rife import Rife
from restore.networks.super_slomo import CONTAINERS, SuperSlomo
from tests.oracle_runners.case import Case

RIFE_OUTPUT = r"(odd_)?output(?:_scale0(\d+))?(?:_pad(\d+))?_t(\d+)"
"""How the arrays of RIFE are called: which frames, at what scale motion is found, the padding, and the time."""
OPERATION = 1e-5
"""How close DAIN's operations come to their own cases (``ops_meta.json``)."""


def tag(time: float) -> str:
    return f"t{round(100 * time):03d}"


def times(case: Case) -> Iterator[tuple[float, str]]:
    for entry in case.meta["times"]:
        yield (entry["t"], entry["tag"]) if isinstance(entry, dict) else (entry, tag(entry))


def compare_known(case: Case, values: Mapping[str, Tensor]) -> int:
    """Compare those of the inner values that were recorded; returns how many they were."""
    recorded = [name for name in values if name in case.arrays]
    for name in recorded:
        case.compare(name, values[name], scaled=True)
    return len(recorded)


def rife(case: Case) -> None:
    published = {f"module.{key}": value for key, value in case.fill().items()}
    only_trained = {"module.teacher.conv0.0.0.weight": torch.zeros(1)}
    network = cast(Rife, case.network(published | only_trained))
    compared = 0
    for name in case.arrays:
        found = re.fullmatch(RIFE_OUTPUT, name)
        if found is None:
            continue
        odd, scale, multiple, time = found.groups(default="")
        first, second = case.tensor(f"{odd}img0"), case.tensor(f"{odd}img1")
        padding = to_multiple(first, int(multiple or 1))
        pair = network.prepare(first, second, float(f"0.{scale}") if scale else 1.0, padding)
        case.compare(name, network.at(pair, int(time) / 100))
        compared += 1
        if name != f"output_t{time}":
            continue
        steps = list(network.refine(pair, int(time) / 100))
        inner = {f"flow{step}_t{time}": flow for step, (flow, _) in enumerate(steps)}
        inner |= {f"mask{step}_t{time}": mask for step, (_, mask) in enumerate(steps)}
        inner |= {f"flow_final_t{time}": steps[-1][0], f"mask_final_logit_t{time}": steps[-1][1]}
        inner |= {f"encode{frame}": features for frame, features in enumerate(pair.encoded)}
        assert compare_known(case, inner) >= 2
    assert compared >= 2


def super_slomo(case: Case) -> None:
    checkpoint: dict[str, Any] = {container: case.fill(container) for container in CONTAINERS}
    network = cast(SuperSlomo, case.network({"epoch": 1, **checkpoint}))
    pair = network.prepare(case.tensor("img0"), case.tensor("img1"), Padding())
    compare_known(case, {"flow01": pair.forward, "flow10": pair.backward})
    for time, suffix in times(case):
        moment = network.moment(pair, time)
        inner = {
            f"flow_t0_final_{suffix}": moment.to_first,
            f"flow_t1_final_{suffix}": moment.to_second,
            f"visibility0_{suffix}": moment.visible,
        }
        compare_known(case, inner)
        case.compare(f"output_rgb_{suffix}", network.at(pair, time))


def ifrnet(case: Case) -> None:
    network = cast(Ifrnet, case.network())
    first, second = case.tensor("img0"), case.tensor("img1")
    pair = network.prepare(first, second, padding=Padding())
    half = network.prepare(first, second, 0.5, Padding())
    for time, suffix in times(case):
        moment = network.moment(pair, time)
        inner = {f"flow{4 - level}_{suffix}": flow for level, flow in enumerate(moment.flows)}
        compare_known(case, inner | {f"mask_{suffix}": moment.share, f"residual_{suffix}": moment.residual})
        case.compare(f"output_{suffix}", network.at(pair, time))
        if f"output_scale05_{suffix}" in case.arrays:
            case.compare(f"output_scale05_{suffix}", network.at(half, time))


def film(case: Case) -> None:
    network = cast(Film, case.network())
    pair = network.prepare(case.tensor("img0"), case.tensor("img1"))
    flows = {f"forward_flow{level}": flow for level, flow in enumerate(pair.forward)}
    flows |= {f"backward_flow{level}": flow for level, flow in enumerate(pair.backward)}
    assert compare_known(case, flows) == len(flows)
    for time, suffix in times(case):
        case.compare(f"output_{suffix}", network.at(pair, time))


def compare_stable(case: Case, name: str, frame: Tensor, stable: str, file: str = "case.npz") -> None:
    """The whole frame comes out as recorded, but for pixels at which the least change of the motion tips it over."""
    loose, share = 1e-3, 0.95
    arrays = case.arrays if file == "case.npz" else case.load(file)
    case.compare(name, frame, atol=case.tolerance, where=torch.from_numpy(arrays[stable]), file=file)
    crop = case.meta.get("crop", {}).get(file, {}).get(name, [])
    kept = frame[tuple(slice(*bounds) for bounds in crop)]
    assert ((kept - torch.from_numpy(arrays[name])).abs() <= loose).float().mean() >= share


def dain_operations(case: Case) -> None:
    """The operations alone, where the copy has cases of them."""

    def inputs(file: str, *names: str) -> list[Tensor]:
        arrays = case.load(file)
        return [torch.from_numpy(arrays[name]) for name in names]

    file = "op_correlation.npz"
    if (case.folder / file).is_file():
        case.compare("output", correlation(*inputs(file, "input1", "input2")), atol=OPERATION, file=file)
    file = "op_depth_flow_projection.npz"
    if (case.folder / file).is_file():
        flow, nearness = inputs(file, "flow", "depth")
        unfilled, weight = splat(flow, nearness)
        case.compare("output", project(flow, nearness), atol=OPERATION, file=file)
        case.compare("output_no_fill", unfilled, atol=OPERATION, file=file)
        case.compare("count", weight, atol=OPERATION, file=file)
    file = "op_filter_interpolation.npz"
    if (case.folder / file).is_file():
        features, flow, kernel = inputs(file, "input", "flow", "kernel")
        case.compare("output", adaptive_warp(rows(features), flow, kernel), atol=OPERATION, file=file)


def dain(case: Case) -> None:
    dain_operations(case)
    network = cast(Dain, case.network())
    first, second = case.tensor("img0"), case.tensor("img1")
    flows = network.flownets.flows(first, second)
    inner = {}
    for level, flow in zip((6, 5, 4, 3, 2), flows, strict=True):
        inner[f"pwc_flow{level}_01"], inner[f"pwc_flow{level}_10"] = flow.chunk(2)
    pair = network.prepare(first, second, Padding())
    inner |= {"depth_inv0": pair.first.nearness, "depth_inv1": pair.second.nearness}
    inner |= {"kernel0": pair.first.kernel, "kernel1": pair.second.kernel}
    assert compare_known(case, inner) >= 10
    for time, suffix in times(case):
        compare_stable(case, f"rectified_{suffix}", network.at(pair, time), f"stable_{suffix}")
    file = "case_padded.npz"
    if (case.folder / file).is_file():
        arrays = case.load(file)
        found = network(torch.from_numpy(arrays["img0"]), torch.from_numpy(arrays["img1"]), 0.5)
        compare_stable(case, "rectified_t050", found, "stable_t050", file)


RUNNERS: Mapping[str, Callable[[Case], None]] = {
    "dain": dain,
    "film": film,
    "ifrnet": ifrnet,
    "rife425": rife,
    "rife426": rife,
    "rife46": rife,
    "super_slomo": super_slomo,
}
