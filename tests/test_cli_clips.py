"""Clips on the command line: ``run`` and ``probe``."""

from __future__ import annotations

import json
import signal
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from restore.cli.bars import slowest
from restore.cli.command_line import main
from restore.progress import FRAMES, Position
from tests.clips import Sound, pictures, write_clip
from tests.test_cli import ROOT, Terminal, command, tree

FAST = ["--model", "built-in", "--scale", "2", "--preset", "ultrafast"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return tmp_path


def test_a_clip_is_restored_as_the_options_say(here: Path) -> None:
    write_clip(here / "old.avi", pictures(25, 64, 48), codec="mpeg4", aspect=Fraction(4, 3), sounds=[Sound("mp3")])
    words = ["--codec", "hevc", "--crf", "30", "--start", "0.2", "--end", "0:00.6", "--keep-aspect"]
    done = command("run", "old.avi", "new.mkv", *FAST, *words, "--report", "report.json")
    assert (done.returncode, done.stdout, done.stderr) == (0, "new.mkv\n", "")
    assert tree(here) == {"old.avi", "new.mkv", "report.json"}
    with av.open(str(here / "new.mkv")) as container:
        video = container.streams.video[0]
        assert (video.codec_context.name, video.width, video.height) == ("hevc", 128, 96)
        assert video.sample_aspect_ratio == Fraction(4, 3)
        assert sum(1 for _ in container.decode(video)) == 10
    report = json.loads((here / "report.json").read_text(encoding="utf-8"))
    assert report["clip"]["encoder"] | {"crf": "30", "preset": "ultrafast"} == report["clip"]["encoder"]
    assert (report["clip"]["start"], report["clip"]["end"]) == ("1/5", "3/5")


def test_a_folder_may_hold_pictures_and_clips(here: Path) -> None:
    folder = here / "in"
    folder.mkdir()
    Image.fromarray(pictures(1, 24, 16)[0]).save(folder / "a.png")
    write_clip(folder / "b.mkv", pictures(3, 24, 16))
    write_clip(folder / "c.avi", pictures(3, 24, 16), codec="mpeg4")
    (folder / "d.mp4").write_text("not a clip")
    done = command("run", "in", "out", *FAST, "--report", "report.json")
    assert (done.returncode, done.stdout) == (1, "out/a.png\nout/b.mkv\nout/c.mp4\n")
    assert "in/d.mp4: d.mp4 is text" in done.stderr
    assert "1 of 4 files failed" in done.stderr
    assert tree(here / "out") == {"a.png", "b.mkv", "c.mp4"}
    rows = json.loads((here / "report.json").read_text(encoding="utf-8"))["files"]
    assert [row["clip"]["frames"] for row in rows if "clip" in row] == [3, 3]


@pytest.mark.slow
def test_a_terminal_sees_how_many_frames_are_done_and_a_signal_leaves_nothing(here: Path) -> None:
    write_clip(here / "old.mkv", pictures(400))
    terminal = Terminal("run", "old.mkv", "new.mp4", *FAST)
    terminal.wait_for("2/400")
    assert "frames/s" in terminal.text
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.end() == (130, "")
    assert "Traceback" not in terminal.text
    assert tree(here) == {"old.mkv"}


def test_the_bar_shows_the_part_that_the_others_wait_for() -> None:
    def parts(*done: float) -> list[Position]:
        names = ("decode", "upscale", "encode")
        return [
            Position(name, index, 3, each, 10, FRAMES)
            for index, (name, each) in enumerate(zip(names, done, strict=True))
        ]

    for done, name in (
        ((1, 0.5, 0), "decode"),
        ((5, 2.3, 2), "upscale"),
        ((8, 6, 4), "encode"),
        ((10, 9.9, 9), "upscale"),
        ((10, 10, 9), "encode"),
        ((10, 10, 10), "encode"),
    ):
        assert slowest(parts(*done)).stage == name


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["old.mkv", "new.mp4", "--start", "soon"], "--start is 'soon'"),
        (["old.mkv", "new.mp4", "--crf", "99"], "crf is 99"),
        (["old.mkv", "new.mp4", "--codec", "cinepak"], "--codec"),
        (["old.mkv", "new.mp4", "--codec", "prores", "--crf", "0"], "ProRes"),
        (["old.mkv", "new.mp4", "--deinterlace", "no"], "--deinterlace"),
        (["old.mkv", "new.mp4", "--preset", "warp"], "'warp'"),
        (["old.png", "new.png", "--end", "3"], "new.png will be a picture"),
        (["old.mkv", "old.mkv"], "would replace old.mkv"),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_2(
    here: Path, capsys: pytest.CaptureFixture[str], words: Sequence[str], said: str
) -> None:
    write_clip(here / "old.mkv", pictures(2, 24, 16))
    Image.fromarray(np.zeros((16, 24, 3), np.uint8)).save(here / "old.png")
    with pytest.raises(SystemExit, match=r"^2$"):
        raise SystemExit(main(["run", *words, "--model", "built-in"]))
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("restore: ")
    assert err.count("\n") == 1
    assert said in err
    assert tree(here) == {"old.mkv", "old.png"}


def test_probe_says_what_a_clip_is(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_clip(here / "old.mkv", rate=Fraction(30000, 1001), sounds=[Sound()])
    assert main(["probe", "old.mkv"]) == 0
    text = capsys.readouterr().out
    assert "96 x 64" in text
    assert "Sound 1" in text
    assert main(["probe", "old.mkv", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert (data["video"]["frame_rate"], data["video"]["frames"]) == ("30000/1001", 12)
    (here / "none.mkv").write_text("nothing")
    assert main(["probe", "none.mkv"]) == 1
    assert "none.mkv" in capsys.readouterr().err
