"""The networks that colour pictures and film, with what is done before and after them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from restore.colour import ddcolor as ddcolor_frames
from restore.colour import deepremaster as deepremaster_frames
from restore.colour import deoldify as deoldify_frames
from restore.colour.eight_bits import resized
from restore.networks.ddcolor import DDColor
from restore.networks.deepremaster import DeepRemaster
from restore.networks.deoldify import DeOldify, SelfAttention
from tests.oracle_runners.case import Case

LEVEL = 1
"""Where the published program rounds or cuts to eight bits, a value may fall on the other side."""

LEVELS_AFTER_ALL = 3
"""After the two conversions between RGB and YUV in eight bits, which make more of one level."""


def named(case: Case, prefix: str) -> list[str]:
    """What follows ``prefix`` in the names of the recorded arrays."""
    return sorted(name.removeprefix(prefix) for name in case.arrays if name.startswith(prefix))


def frames_of(pictures: np.ndarray) -> Tensor:
    """``(H, W, 3)`` or ``(T, H, W, 3)`` in eight bits as ``(T, 3, H, W)`` in [0, 1]."""
    levels = torch.from_numpy(np.ascontiguousarray(pictures))
    return (levels if levels.ndim == 4 else levels[None]).permute(0, 3, 1, 2).float() / 255


def levels_of(frames: Tensor) -> Tensor:
    """The other way; a single frame without the axis of time."""
    levels = (frames * 255).round().permute(0, 2, 3, 1)
    return levels[0] if len(levels) == 1 else levels


def outputs_of(parts: Mapping[str, nn.Module], run: Callable[[], object]) -> dict[str, Tensor]:
    """What each of ``parts`` gave last while ``run`` ran."""
    found: dict[str, Tensor] = {}

    def keep(name: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        return lambda _module, _inputs, output: found.update({name: output})

    hooks = [part.register_forward_hook(keep(name)) for name, part in parts.items()]
    try:
        run()
    finally:
        for hook in hooks:
            hook.remove()
    return found


def first_channels(case: Case, name: str, output: Tensor) -> Tensor:
    """As many channels of ``output`` as were recorded, of which a copy may keep every third, fifth, ..."""
    crop = case.meta.get("crop", {}).get("case.npz", {}).get(name)
    step = crop[1][2] if crop else 1
    return output[:, : case.arrays[name].shape[1] * step]


def deoldify(case: Case) -> None:
    network = cast(DeOldify, case.network())
    (attention,) = (part for part in network.modules() if isinstance(part, SelfAttention))
    parts = {"middle": network.layers[3], "shuf": network.layers[8], "sa_out": attention}
    runs = named(case, "input_")
    assert runs
    for run in runs:
        picture = case.tensor(f"input_{run}")
        found = outputs_of(parts, lambda picture=picture, run=run: case.compare(f"output_{run}", network(picture)))
        if f"logits_{run}" in case.arrays:
            case.compare(f"logits_{run}", network.logits(picture), scaled=True)
        for name, output in found.items():
            if f"{name}_{run}" in case.arrays:
                case.compare(f"{name}_{run}", first_channels(case, f"{name}_{run}", output), scaled=True)
    case.compare("pipe_net_output", network(case.tensor("pipe_net_input")))

    picture = frames_of(case.arrays["pipe_image"])
    factor = int(case.meta["pipeline"]["render_factor"])
    case.compare("pipe_ready", levels_of(deoldify_frames.squared(picture, factor)), atol=LEVEL)
    raw = deoldify_frames.painted(network, frames_of(case.arrays["pipe_ready"]))
    case.compare("pipe_raw", levels_of(raw), atol=LEVEL)
    colours = resized(raw, picture.shape[2], picture.shape[3])
    case.compare("pipe_unsquared", levels_of(colours), atol=LEVEL)
    case.compare("pipe_result", levels_of(deoldify_frames.with_chroma_of(picture, colours)), atol=LEVELS_AFTER_ALL)
    whole = deoldify_frames.colourise(network, picture, factor)
    case.compare("pipe_result", levels_of(whole), atol=LEVELS_AFTER_ALL)


def ddcolor(case: Case) -> None:
    network = cast(DDColor, case.network())
    decoder = network.decoder
    parts = {"last_shuf": decoder.last_shuf, "color_embed": decoder.color_decoder.color_embed}
    parts |= {f"unet_out{step}": layer for step, layer in enumerate(decoder.layers)}
    parts |= {f"encoder_norm_{level}": network.encoder.arch.get_submodule(f"norm{level}") for level in range(4)}
    found = outputs_of(parts, lambda: case.compare("output", network(case.tensor("input"))))
    for name, output in found.items():
        if name in case.arrays:
            case.compare(name, first_channels(case, name, output), scaled=True)

    picture = frames_of(case.arrays["pipe_image_bgr"][..., ::-1])
    size = int(case.meta["pipeline"]["input_size"])
    square = ddcolor_frames.squared(picture, size)
    case.compare("pipe_net_input", square, atol=1e-5)
    case.compare("pipe_net_output", network(square))
    result = ddcolor_frames.colourise(network, picture, size)
    case.compare("pipe_result_bgr", levels_of(result).flip(-1), atol=LEVEL)


def deepremaster(case: Case) -> None:
    network = cast(DeepRemaster, case.network())
    of_luminance, of_chroma = case.tolerances[:2]
    pipeline = case.meta["pipeline"]
    clip = frames_of(case.arrays["clip_bgr"][..., ::-1])
    rows, columns = deepremaster_frames.working_size(clip.shape[2], clip.shape[3], int(pipeline["mindim"]))
    assert [columns, rows] == list(pipeline["target_wh"])
    small = deepremaster_frames.resized(clip, rows, columns)
    pictures = [case.arrays[f"references_rgb_{index}"] for index in named(case, "references_rgb_")]
    references = deepremaster_frames.reference_tensor(pictures)
    case.compare("refs_tensor", references * 255, atol=LEVEL)

    blocks = small.split(deepremaster_frames.BLOCK)
    assert len(blocks) == len(named(case, "color_ab_"))
    for index, block in enumerate(blocks):
        grey = deepremaster_frames.grey_luminance(block).transpose(0, 1)[None]
        case.compare(f"color_L_in_{index}", grey, atol=LEVEL / 255)
        luminance = case.tensor(f"restore_L_in_{index}")
        own = deepremaster_frames.lab_planes(block)[0].transpose(0, 1)[None]
        case.compare(f"restore_L_in_{index}", own, atol=LEVEL / 255)
        case.compare(f"restore_L_out_{index}", network.modelR(luminance), atol=of_luminance)
        luminance, chroma = network(case.tensor(f"color_L_in_{index}"), references)
        case.compare(f"color_L_out_{index}", luminance, atol=of_luminance)
        case.compare(f"color_ab_{index}", chroma, atol=of_chroma)
        if f"auto_ab_{index}" in case.arrays:
            case.compare(f"auto_ab_{index}", network.modelC(luminance), atol=of_chroma)

    results = {
        "restore_rgb": [deepremaster_frames.restored(network, block) for block in blocks],
        "color_rgb": [deepremaster_frames.colourised(network, block, references) for block in blocks],
        "auto_rgb": [deepremaster_frames.colourised(network, block) for block in blocks],
    }
    for name, parts in results.items():
        levels = (torch.cat(parts) * 255).round().permute(0, 2, 3, 1)
        case.compare(name, levels, atol=2 * LEVEL)


RUNNERS: Mapping[str, Callable[[Case], None]] = {
    "ddcolor_large": ddcolor,
    "ddcolor_tiny": ddcolor,
    "deepremaster": deepremaster,
    "deoldify_artistic": deoldify,
    "deoldify_stable": deoldify,
    "deoldify_video": deoldify,
}
