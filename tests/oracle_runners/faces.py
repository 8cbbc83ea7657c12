"""The networks that restore an aligned face of 512 x 512 pixels."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from restore.networks.codeformer import CodeFormer
from restore.networks.gfpgan import GFPGAN
from restore.networks.restoreformer import RestoreFormer
from tests.oracle_runners.case import Case

WINDOW = r"output\[:, :, (\d+):(\d+), (\d+):(\d+)\]"


@contextmanager
def recorded(parts: Mapping[str, nn.Module]) -> Iterator[dict[str, list[Any]]]:
    """What each of ``parts`` gives, call by call, of what runs inside."""
    outputs: dict[str, list[Any]] = {name: [] for name in parts}
    hooks = [
        part.register_forward_hook(lambda _module, _inputs, output, name=name: outputs[name].append(output))
        for name, part in parts.items()
    ]
    try:
        yield outputs
    finally:
        for hook in hooks:
            hook.remove()


def picture(case: Case) -> Tensor:
    """The input ``(1, 3, 512, 512)`` in [-1, 1]."""
    return case.tensor("image_rgb").permute(2, 0, 1)[None].float() / 127.5 - 1


def compare_output(case: Case, output: Tensor) -> None:
    """The windows of the output that were kept, its average over cells, and one window after the last step."""
    case.compare("output_avgpool4", functional.avg_pool2d(output, 4))
    windows = 0
    for name in case.arrays:
        found = re.search(WINDOW, str(case.meta["arrays"].get(name)))
        if found is None:
            continue
        windows += 1
        top, bottom, left, right = (int(number) for number in found.groups())
        window = output[:, :, top:bottom, left:right]
        case.compare(name, window)
        final = f"output_u8_{name.removeprefix('output_')}"
        if final in case.arrays:
            levels = ((window[0].clamp(-1, 1) + 1) / 2 * 255).round().permute(1, 2, 0)
            case.compare(final, levels, atol=1)
    assert windows == 3


def gfpgan(case: Case) -> None:
    network = cast(GFPGAN, case.network())
    decoder = network.stylegan_decoder
    parts = {"styles": network.final_linear, "first": decoder.style_conv1}
    parts |= {f"rgb{index}": cast(nn.Module, to_rgb) for index, to_rgb in enumerate(decoder.to_rgbs)}
    with recorded(parts) as inner:
        output = network(picture(case))
    case.compare("style_code", inner["styles"][0].unflatten(1, (-1, network.style)), scaled=True)
    case.compare("style_conv1", inner["first"][0][:, : case.arrays["style_conv1"].shape[1]], scaled=True)
    for level in (1, 3):
        case.compare(f"rgb{level}", inner[f"rgb{level}"][0], scaled=True)
    compare_output(case, output)

    network.lower(torch.bfloat16)
    error = (network(picture(case)).clamp(-1, 1) - output.clamp(-1, 1)).square().mean()
    decibels = 10 * math.log10(2**2 / float(error))
    assert decibels >= 40, f"in bfloat16 it is only {decibels:.1f} dB close to float32"


def restoreformer(case: Case) -> None:
    network = cast(RestoreFormer, case.network())
    with recorded({"z": network.quant_conv, "attention": network.decoder.mid.attn_1}) as inner:
        output = network(picture(case))
    z = inner["z"][0]
    case.compare("token_indices", network.quantize.nearest(z)[0], atol=0)
    case.compare("z", z[:, : case.arrays["z"].shape[1]], scaled=True)
    attention = inner["attention"][0]
    case.compare("dec_mid_attn", attention[:, : case.arrays["dec_mid_attn"].shape[1]], scaled=True)
    compare_output(case, output)


def codeformer(case: Case) -> None:
    network = cast(CodeFormer, case.network())
    fidelity = float(cast(re.Match[str], re.search(r"w=([\d.]+)", case.meta["call"])).group(1))
    parts = {
        "code": network.encoder.blocks[-1],
        "logits": network.idx_pred_layer,
        "fuse": network.fuse_convs_dict["32"],
    }
    with recorded(parts) as inner:
        output = network(picture(case), fidelity)
    logits = inner["logits"][0][:, 0]
    case.compare("token_indices", logits.argmax(dim=1), atol=0)
    case.compare("logits_first8", logits[:, : case.arrays["logits_first8"].shape[1]], scaled=True)
    case.compare("lq_feat", inner["code"][0][:, : case.arrays["lq_feat"].shape[1]], scaled=True)
    case.compare("fuse32", inner["fuse"][0][:, : case.arrays["fuse32"].shape[1]], scaled=True)
    compare_output(case, output)


RUNNERS: Mapping[str, Callable[[Case], None]] = {
    "codeformer": codeformer,
    "gfpgan_v1_clean": gfpgan,
    "restoreformer": restoreformer,
}
