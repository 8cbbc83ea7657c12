"""Numbered pictures as a clip."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from PIL.Image import Exif

import restore
from restore import Encoding, ImageSequence
from restore.cli.command_line import main
from restore.errors import InputError, SettingsError
from restore.media.images import Image as Picture
from restore.media.images import write_image
from restore.settings import Settings
from tests.clips import picture, pictures

FILM = Fraction(24000, 1001)
LOSSLESS = Encoding(codec="ffv1")
ORIENTATION = 0x0112


def numbered(folder: Path, count: int, name: str = "f_{:05d}.png", first: int = 1) -> Path:
    folder.mkdir(exist_ok=True)
    for number, pixels in enumerate(pictures(count, 48, 32), first):
        Image.fromarray(pixels).save(folder / name.format(number))
    return folder


def decoded(path: Path, format: str = "rgb24") -> list[NDArray[np.uint8]]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format=format) for frame in container.decode(video=0)]


def test_pictures_become_a_clip_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    numbered(tmp_path / "in", 6, "f_{}.png", first=8)  # 8, 9, 10 … in natural order
    (tmp_path / "in" / "f_8.txt").write_text("not a picture of it")
    for source in (tmp_path / "in" / "f_%d.png", tmp_path / "in"):
        report = restore.restore_video(ImageSequence(source, "24000/1001"), tmp_path / "out.mkv", [], encoding=LOSSLESS)
        assert all(
            np.array_equal(*pair) for pair in zip(decoded(tmp_path / "out.mkv"), pictures(6, 48, 32), strict=True)
        )
        assert report.clip is not None
        assert (report.clip.frames, report.clip.frame_rate, report.source) == (6, str(FILM), source.name)
        info = restore.probe(tmp_path / "out.mkv")
        assert info.video.frame_rate == FILM
    info = restore.probe(ImageSequence(tmp_path / "in", FILM))
    assert (info.container, info.video.width, info.video.height, info.video.frames) == ("sequence", 48, 32, 6)
    assert info.duration == 6 / FILM


def test_a_part_is_cut_out_of_a_sequence(tmp_path: Path) -> None:
    source = ImageSequence(numbered(tmp_path / "in", 30), 10)
    restore.restore_video(source, tmp_path / "out.mkv", [], start=1, end="2.2", encoding=LOSSLESS)
    wanted = pictures(30, 48, 32)[10:22]
    assert all(np.array_equal(*pair) for pair in zip(decoded(tmp_path / "out.mkv"), wanted, strict=True))


def test_depth_orientation_and_transparency_are_those_of_the_pictures(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    deep = [rng.integers(0, 65536, (32, 48, 3), dtype=np.uint16) for _ in range(2)]
    for number, pixels in enumerate(deep):
        write_image(Picture(pixels, None, "PNG"), tmp_path / f"deep{number}.png", settings=Settings())
    report = restore.restore_video(ImageSequence(tmp_path / "deep%d.png"), tmp_path / "deep.mkv", [], encoding=LOSSLESS)
    assert report.clip is not None
    assert report.clip.pixel_format == "gbrp16le"
    for new, old in zip(decoded(tmp_path / "deep.mkv", "rgb48le"), deep, strict=True):
        assert np.array_equal(new, old)

    turned = Exif()
    turned[ORIENTATION] = 6
    hole = np.full((32, 48), 255, np.uint8)
    hole[:, :24] = 0
    for number in range(2):
        seen = np.dstack([picture(number, 48, 32), hole])
        Image.fromarray(seen).save(tmp_path / f"turned{number}.png", exif=turned)
    restore.restore_video(ImageSequence(tmp_path / "turned%d.png"), tmp_path / "turned.mkv", [], encoding=LOSSLESS)
    first = decoded(tmp_path / "turned.mkv", "rgba")[0]
    assert first.shape == (48, 32, 4)
    assert np.array_equal(first[..., 3], np.rot90(hole, -1))


def test_what_is_no_sequence_is_refused_in_words(tmp_path: Path) -> None:
    folder = numbered(tmp_path / "in", 5)
    pattern = ImageSequence(folder / "f_%05d.png")
    (folder / "f_00003.png").unlink()
    with pytest.raises(InputError, match="number 3 is missing"):
        restore.probe(pattern)
    Image.new("RGB", (48, 30)).save(folder / "f_00003.png")
    with pytest.raises(InputError, match=r"f_00003.png has 48x30 pixels and f_00001.png 48x32"):
        restore.probe(pattern)
    (folder / "f_00003.png").write_text("no picture")
    with pytest.raises(InputError, match="f_00003"):
        restore.probe(pattern)
    Image.new("RGB", (48, 32)).save(folder / "f_00003.png")
    (folder / "g_1.png").write_bytes((folder / "f_00003.png").read_bytes())
    with pytest.raises(InputError, match="several sequences"):
        restore.probe(ImageSequence(folder))
    assert restore.probe(pattern).video.frames == 5
    with pytest.raises(InputError, match="no picture of the sequence"):
        restore.probe(ImageSequence(folder / "f_%d.png"))  # whose numbers have no zeros before them
    with pytest.raises(SettingsError, match="several places"):
        restore.probe(ImageSequence(folder / "%d_%d.png"))
    for rate in (0, -1, "fast", True, 10**6):
        with pytest.raises(SettingsError, match="rate is"):
            ImageSequence(folder, rate)
    with pytest.raises(InputError, match="does not exist"):
        restore.probe(folder / "f_%05d.png")  # a name alone is that of a file


def test_the_command_line_takes_a_sequence_where_it_is_told_the_rate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    numbered(tmp_path / "in", 12)
    run = ["run", "in/f_%05d.png", "out.mp4", "--steps", "[]"]
    assert main([*run, "--rate", "24000/1001", "--cuts", "0.2,0.3", "--report", "report.json"]) == 0
    report = json.loads((tmp_path / "report.json").read_text())
    assert (report["clip"]["frames"], report["clip"]["cuts"]) == (12, ["1/5", "3/10"])
    assert main(["probe", "in", "--rate", "12", "--json"]) == 0
    assert json.loads(capsys.readouterr().out.split("\n", 1)[1])["video"]["frame_rate"] == "12"
    for words, said in (
        (run, "--rate 24"),
        (["probe", "in/f_%05d.png"], "--rate 24"),
        (["run", "out.mp4", "new.mp4", "--rate", "24"], "neither a folder"),
        (["run", "in", "new.png", "--rate", "24"], "become a clip"),
        ([*run, "--rate", "often"], "rate is 'often'"),
    ):
        assert main(words) == 2
        assert said in capsys.readouterr().err
    Image.new("RGB", (8, 8)).save(tmp_path / "100%d.png")  # the name of a file all the same
    assert main(["run", "100%d.png", "new.png", "--steps", "[]"]) == 0
