"""The examples: their sizes, where they come from, and that their programs still make them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import av
import numpy as np
from PIL import Image

import restore

EXAMPLES = Path(__file__).parent.parent / "examples"


def test_the_program_makes_the_pictures_that_are_shipped(tmp_path: Path) -> None:
    subprocess.run([sys.executable, str(EXAMPLES / "make.py"), str(tmp_path)], check=True, timeout=120)
    made = {path.name for path in tmp_path.iterdir()}
    assert made == {path.name for path in EXAMPLES.glob("*.jpg")} - {"portrait.jpg"}
    for name in made:
        with Image.open(tmp_path / name) as new, Image.open(EXAMPLES / name) as shipped:
            assert new.size == shipped.size
            # Another version of a library may round otherwise, but not draw another picture.
            assert np.abs(np.asarray(new, float) - np.asarray(shipped, float)).mean() < 4


def test_the_program_makes_the_clips_that_are_shipped(tmp_path: Path) -> None:
    subprocess.run([sys.executable, str(EXAMPLES / "make_clips.py"), str(tmp_path)], check=True, timeout=120)
    clips = sorted(EXAMPLES.glob("*.mp4"))
    assert sorted(path.name for path in tmp_path.iterdir()) == [path.name for path in clips]
    readme = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    for path in clips:
        assert path.stat().st_size < 300_000
        new, shipped = (frames(folder / path.name) for folder in (tmp_path, EXAMPLES))
        assert new.shape == shipped.shape == (72, 240, 320, 3)
        assert np.abs(new.astype(float) - shipped).mean() < 4
        info = restore.probe(path)
        assert (info.video.frame_rate, len(info.audio), info.warnings) == (24, 1, ())
        assert f"| `{path.name}` | 72 |" in readme


def frames(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def test_every_example_is_small_and_accounted_for() -> None:
    readme = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    rows = {line.split("`")[1]: line for line in readme.splitlines() if line.startswith("| `") and ".jpg` |" in line}
    pictures = sorted(EXAMPLES.glob("*.jpg"))
    assert sorted(rows) == [path.name for path in pictures]
    for path in pictures:
        assert path.stat().st_size < 150_000
        with Image.open(path) as picture:
            width, height = picture.size
        assert f"| {width} x {height} |" in rows[path.name]
        assert any(word in rows[path.name] for word in ("public domain", "CC0", "drawn for Restore")), path.name
