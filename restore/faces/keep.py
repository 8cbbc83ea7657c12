"""Keep the crops of faces as pictures, for whoever wants to see or use them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from restore.errors import OutputError
from restore.media.images import Image, write_image

CUT, RESTORED = "cropped_faces", "restored_faces"
"""The folders that crops go into, called as GFPGAN's own tool calls them."""


@dataclass(frozen=True)
class CropFolder:
    """Puts the crops of one picture or clip into two folders below ``folder``.

    They are called ``<stem>_<face>.png``, those of a clip ``<stem>_<frame>_<face>.png``; faces and frames are counted
    from 0.
    """

    folder: Path
    stem: str
    clip: bool = False

    def save(self, frame: int, face: int, cut: Tensor, restored: Tensor) -> None:
        """Write both crops ``(3, S, S) float32`` in [0, 1] as PNG; raises ``OutputError``."""
        name = f"{self.stem}_{frame:06d}_{face:02d}.png" if self.clip else f"{self.stem}_{face:02d}.png"
        for kind, picture in ((CUT, cut), (RESTORED, restored)):
            folder = self.folder / kind
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise OutputError(f"The folder {folder} cannot be made: {error.strerror or error}.") from error
            levels = picture.mul(255).round_().clamp_(0, 255).to(torch.uint8).permute(1, 2, 0)
            write_image(Image(np.ascontiguousarray(levels.numpy()), None, "PNG"), folder / name)
