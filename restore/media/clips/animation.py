"""The frames of an animated WebP, through Pillow."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from av.video.frame import VideoFrame
from PIL import Image

from restore.media.clips import webp
from restore.media.source import open_source
from restore.settings import Settings


def decoded(path: Path, settings: Settings, *, alpha: bool) -> Iterator[VideoFrame | None]:
    """Each whole frame of the animation at ``path`` with its time; ``None`` for one that is broken, and ends it.

    With ``alpha`` they are RGBA, without RGB.
    """
    mode, pixel_format = ("RGBA", "rgba") if alpha else ("RGB", "rgb24")
    time = 0
    durations = webp.frame_durations(path, settings)
    with open_source(path, settings, clip=True) as file, Image.open(file, formats=("WEBP",)) as animation:
        for number, duration in enumerate(durations):
            try:
                animation.seek(number)
                animation.load()
            except (OSError, ValueError, EOFError):  # what Pillow says of a frame that libwebp cannot decode
                yield None
                return
            frame = VideoFrame.from_ndarray(np.asarray(animation.convert(mode)), format=pixel_format)
            frame.pts, frame.duration, frame.time_base = time, duration, webp.TIME_BASE
            yield frame
            time += duration
