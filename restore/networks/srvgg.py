"""SRVGGNetCompact: the compact network of realesr-animevideov3 and realesr-general-x4v3.

The class is that of the package realesrgan (Wang et al., https://github.com/xinntao/Real-ESRGAN).
"""

from __future__ import annotations

from torch import nn

from restore.networks._basicsr import architecture
from restore.networks.traits import Traits


def build(num_feat: int, num_conv: int, upscale: int, act_type: str = "prelu") -> nn.Module:
    network: nn.Module = architecture("realesrgan.archs.srvgg_arch", "SRVGGNetCompact")(
        num_in_ch=3, num_out_ch=3, num_feat=num_feat, num_conv=num_conv, upscale=upscale, act_type=act_type
    )
    return network


def traits(num_feat: int, num_conv: int, upscale: int, act_type: str = "prelu") -> Traits:
    out = 3 * upscale**2
    return Traits(
        scale=upscale,
        context=num_conv + 2,
        exact=True,
        values_per_pixel=3 * num_feat + 3 * out,
        macs_per_pixel=9 * (3 * num_feat + num_conv * num_feat**2 + num_feat * out),
        macs_of_largest_layer=9 * num_feat**2,
        float32=frozenset({f"body.{2 * num_conv + 2}"}),
    )
