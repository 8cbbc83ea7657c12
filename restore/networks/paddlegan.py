"""The names that PaddleGAN gives to the weights of networks which BasicSR and OpenMMLab publish under other ones.

Its ports of EDVR, BasicVSR, IconVSR and BasicVSR++ (https://github.com/PaddlePaddle/PaddleGAN) are trained models of
their own, in ``.pdparams`` files.
"""

from __future__ import annotations

Renaming = tuple[tuple[str, str], ...]

_BLOCKS: Renaming = (
    (r"\.covn1\.", ".main.0."),
    (r"\.ResidualBlocks\.block(\d+)\.", r".main.2.\1."),
)

PLAIN: Renaming = (
    *(
        (rf"^spynet\.basic_module(\d)\.conv{i + 1}\.", rf"spynet.basic_module.\1.basic_module.{2 * i}.")
        for i in range(5)
    ),
    *_BLOCKS,
    (r"^feature_extractor\.block(\d+)\.", r"feature_extraction.\1."),
    (r"^reconstructor\.block(\d+)\.", r"reconstruction.\1."),
    (r"^HRconv\.", "conv_hr."),
    (r"^(edvr\.)?(?:fea_L|feat_l)([23])_conv([12])\.(?!conv\.)", r"\1conv_l\2_\3."),
    (r"^PCDModule\.", "pcd_align."),
    (r"\.PCD_Align_L(\d)_offset_conv(\d)\.", r".offset_conv\2.l\1."),
    (r"\.PCD_Align_L(\d)_fea_conv\.", r".feat_conv.l\1."),
    (r"\.PCD_Align_L(\d)_dcn\.conv_offset_mask\.", r".dcn_pack.l\1.conv_offset."),
    (r"\.PCD_Align_L(\d)_dcn\.dcn\.", r".dcn_pack.l\1."),
    (r"\.PCD_Align_cas_offset_conv(\d)\.", r".cas_offset_conv\1."),
    (r"\.PCD_Align_cascade_dcn\.conv_offset_mask\.", ".cas_dcnpack.conv_offset."),
    (r"\.PCD_Align_cascade_dcn\.dcn\.", ".cas_dcnpack."),
    (r"^TSAModule\.", "fusion."),
    (r"(^|\.)fusion\.fea_fusion\.", r"\1fusion.feat_fusion."),
    # The first of the two looks at the centre frame in BasicSR, the second in PaddleGAN.
    (r"(^|\.)fusion\.tAtt_2\.", r"\1fusion.temporal_attn1."),
    (r"(^|\.)fusion\.tAtt_1\.", r"\1fusion.temporal_attn2."),
    (r"(^|\.)fusion\.sAtt_(\d)\.", r"\1fusion.spatial_attn\2."),
    (r"(^|\.)fusion\.sAtt_L(\d)\.", r"\1fusion.spatial_attn_l\2."),
    (r"(^|\.)fusion\.sAtt_add_(\d)\.", r"\1fusion.spatial_attn_add\2."),
)
"""To BasicSR's names of EDVR, BasicVSR and IconVSR."""

SECOND_ORDER: Renaming = (
    *(
        (rf"^spynet\.basic_module(\d)\.conv{i + 1}\.", rf"spynet.basic_module.\1.basic_module.{i}.conv.")
        for i in range(5)
    ),
    *_BLOCKS,
    (r"^(backbone|deform_align)_(backward|forward)_(\d)\.", r"\1.\2_\3."),
    (r"^(deform_align\.\w+)\.dcn\.", r"\1."),
)
"""To OpenMMLab's names of BasicVSR++."""
