"""The command line: the real command in a process of its own, in an empty folder; details in this process."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import re
import select
import shlex
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import save_file

from restore import catalog, checksums, networks
from restore.cli.command_line import main
from restore.cli.folders import assign, list_files
from restore.cli.signals import stoppable
from restore.errors import OutputError, SettingsError, WeightsError
from restore.media.images import OUTPUT_SUFFIXES
from restore.networks.compact_x4 import CompactX4
from restore.progress import Progress
from restore.report import Report
from restore.settings import load_settings
from restore.stages.material import MATERIALS
from tests.adversity import folder_for_all, without_privileges
from tests.hub import Fault, Hub

ROOT = Path(__file__).parent.parent
BUILT_IN = '[{"stage": "upscale", "model": "built-in", "scale": 4}]'
LONG = f"{'n' * 300}.png"
LIMIT = 120.0  # seconds that a command may take on a busy machine


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with weights for the built-in model, so that these tests need no trained ones."""
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    entry = catalog.checkpoint("built-in")
    network = CompactX4(**entry.arguments)
    for parameter in network.tail.parameters():
        torch.nn.init.zeros_(parameter)  # bicubic enlargement
    save_file(network.state_dict(), folder / entry.file)
    return folder


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, weights: Path) -> Path:
    """An empty working folder, with the weights known and no network."""
    folder = tmp_path / "here"
    folder.mkdir()
    (tmp_path / "temporary").mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("RESTORE_WEIGHTS", str(weights))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    return folder


def command(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "restore", *words],
        capture_output=True,
        encoding="utf-8",
        errors="surrogateescape",
        timeout=LIMIT,
        check=False,
    )


def picture(path: Path, width: int = 24, height: int = 16) -> Path:
    """A smooth picture that is no two files' same."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows, columns = np.mgrid[0:height, 0:width]
    pixels = np.stack([columns * 255 / width, rows * 255 / height, 0 * rows + 80], axis=-1)
    Image.fromarray(pixels.astype(np.uint8)).save(path)
    return path


def tree(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


# --- run


def test_a_picture_is_restored_and_a_pipe_gets_its_path_only(here: Path) -> None:
    picture(here / "old.png")
    done = command("run", "old.png", "new.jpg", "--steps", BUILT_IN, "--report", "report.json")
    assert (done.returncode, done.stdout, done.stderr) == (0, "new.jpg\n", "")
    assert tree(here) == {"old.png", "new.jpg", "report.json"}
    with Image.open(here / "old.png") as old, Image.open(here / "new.jpg") as new:
        assert (new.format, new.size) == ("JPEG", (96, 64))
        enlarged = np.asarray(old.resize(new.size, Image.Resampling.BICUBIC), float)
        assert np.abs(np.asarray(new, float) - enlarged).mean() < 4
    report = json.loads((here / "report.json").read_text(encoding="utf-8"))
    assert report["recipe"]["steps"][0]["model"] == "built-in"
    assert report["stages"][0]["models"][0]["name"] == "built-in"
    assert (report["source_size"], report["target_size"]) == ([24, 16], [96, 64])


def test_a_folder_goes_on_past_what_fails_and_lists_it(here: Path) -> None:
    latin = os.fsdecode(b"caf\xe9.png")  # no UTF-8
    picture(here / "in" / "b.png")
    picture(here / "in" / "sub" / "a.gif")
    picture(here / "in" / "sub" / "b.png")
    picture(here / "in" / "twice.gif")
    picture(here / "in" / "twice.png")
    picture(here / "in" / ".hidden.png")
    picture(here / "in" / latin)
    for broken in ("bad/broken.jpg", "a broken.png"):
        path = here / "in" / broken
        path.parent.mkdir(exist_ok=True)
        path.write_text("not a picture")
    (here / "in" / "notes.txt").write_text("not a picture either")
    recipe = here / "recipe.json"
    recipe.write_text('{"version": 1, "steps": [{"stage": "upscale", "model": "built-in", "scale": 2}]}')

    done = command("run", "in", "in/new", "--steps", "@recipe.json", "--report", "report.json")
    results = ["b.png", latin, "sub/a.png", "sub/b.png", "twice.png"]
    assert done.returncode == 1
    assert done.stdout == "".join(f"in/new/{name}\n" for name in results)
    errors = done.stderr.splitlines()
    assert errors[-1] == "restore: 3 of 8 files failed."
    assert [line.split(": ")[1] for line in errors[:-1]] == ["in/a broken.png", "in/bad/broken.jpg", "in/twice.gif"]
    assert tree(here / "in" / "new") == {*results, "sub"}
    for name in results:
        with Image.open(here / "in" / "new" / name) as new:
            assert (new.format, new.size) == ("PNG", (48, 32))

    rows = json.loads((here / "report.json").read_text(encoding="utf-8"))["files"]
    assert len(rows) == 8
    assert [row["error"]["kind"] for row in rows if "error" in row] == ["InputError"] * 3
    assert [row["target"] for row in rows if "error" not in row] == [f"in/new/{name}" for name in results]
    assert os.fsencode(next(row["source"] for row in rows if "caf" in row["source"])) == b"in/caf\xe9.png"

    # A second run must not take the results of the first, which lie inside, for pictures to restore.
    assert [path for path in list_files(Path("in"), Path("in/new")).files if "new" in path.parts] == []


class Terminal:
    """The command with its standard error on a pseudo-terminal."""

    def __init__(self, *words: str, size: tuple[int, int] = (24, 120)) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
        self.text = ""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "restore", *words], stdout=subprocess.PIPE, stderr=theirs, text=True
        )
        os.close(theirs)

    def wait_for(self, text: str) -> None:
        deadline = time.monotonic() + LIMIT
        while text not in self.text:
            assert time.monotonic() < deadline, self.text
            assert self._read(), self.text

    def end(self) -> tuple[int, str]:
        """The exit code and standard output; ``text`` then has all of the terminal."""
        while self._read():
            pass
        os.close(self._ours)
        out, _ = self.process.communicate(timeout=LIMIT)
        return self.process.returncode, out

    def _read(self) -> bool:
        ready, _, _ = select.select([self._ours], [], [], LIMIT)
        assert ready, self.text
        try:
            piece = os.read(self._ours, 65536)
        except OSError:  # Linux says so when the other side has closed
            return False
        self.text += piece.decode(errors="replace")
        return bool(piece)


@pytest.mark.parametrize("size", [(24, 120), (0, 0)])
def test_a_terminal_gets_a_bar_for_each_stage(
    here: Path, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    picture(here / "old.png", 96, 64)
    monkeypatch.setenv("RESTORE_TILE", "64")
    steps = json.dumps([{"stage": "upscale", "model": "built-in", "scale": scale} for scale in (1, 2)])
    terminal = Terminal("run", "old.png", "new.png", "--steps", steps, size=size)
    assert terminal.end() == (0, "new.png\n")
    for stage in ("upscale (1/2)", "upscale (2/2)"):
        drawn = [line for line in terminal.text.replace("\n", "\r").split("\r") if stage in line]
        assert "100%" in drawn[-1]
        tiles = [(int(tile), int(count)) for line in drawn for tile, count in re.findall(r"tile (\d+)/(\d+)", line)]
        assert tiles == sorted(tiles)
        assert tiles[-1][0] == tiles[-1][1] > 1


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_the_work_and_nothing_is_left(here: Path, number: signal.Signals, code: int) -> None:
    picture(here / "in" / "large.png", 1600, 1600)
    terminal = Terminal("run", "in", "out", "--steps", BUILT_IN)
    terminal.wait_for("%|")
    before = time.monotonic()
    terminal.process.send_signal(number)
    assert terminal.end() == (code, "")
    assert time.monotonic() - before < 10
    assert "restore: Stopped: 0 of 1 files" in terminal.text
    assert "Traceback" not in terminal.text
    assert tree(here) == {"in", "in/large.png"}
    assert tree(here.parent / "temporary") == set()


def test_a_second_signal_interrupts_and_a_third_one_kills() -> None:
    before = signal.getsignal(signal.SIGINT)
    progress = Progress()
    with stoppable(progress) as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert progress.cancelled
        assert stop.signal == signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)
        assert signal.getsignal(signal.SIGINT) is signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    assert signal.getsignal(signal.SIGINT) is before


ON_A_SLOW_DISK = """
import os, sys, time
os.fsync = lambda file: (print("writing", flush=True), time.sleep(60))
from restore.cli.command_line import main
sys.exit(main())
"""


def test_a_second_signal_during_the_write_leaves_no_half_of_a_file(here: Path) -> None:
    picture(here / "old.png")
    words = [sys.executable, "-c", ON_A_SLOW_DISK, "run", "old.png", "new.png", "--steps", "[]"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "writing\n"
        assert len(tree(here)) == 2
        process.send_signal(signal.SIGINT)
        time.sleep(0.5)  # two at once would be one
        assert process.poll() is None  # what is nearly done may come to its end
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=LIMIT) == ("", "restore: Stopped at once.\n")
    assert process.returncode == 130
    assert tree(here) == {"old.png"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--steps", "[{]"], "--steps is not valid JSON"),
        (["--steps", '"upscale"'], "neither JSON"),
        (["--steps", "@none.json"], "none.json: No such file"),
        (["--steps", "scalar.json"], "scalar.json must be a list"),
        (["--steps", "null"], "neither JSON"),
        (["--steps", "[4]"], "Step 1 must be an object"),
        (["--steps", '{"version": 1, "steps": {"stage": "upscale"}}'], "must be a list of stages"),
        (["--steps", '[{"stage": "sharpen"}]'], "'sharpen'"),
        (["--steps", '[{"stage": "upscale", "model": "ESRGANN"}]'], "ESRGANN"),
        (["--steps", '[{"stage": "upscale", "scale": 9}]'], "scale is 9"),
        (["--steps", '{"version": 99, "steps": []}'], "version 99"),
        (["--steps", "[]", "--model", "built-in"], "--model cannot be combined with --steps"),
        (["--model", "none-such"], "none-such"),
        (["--device", "abacus", "--model", "built-in"], "abacus"),
        (["--report", "old.png"], "would replace old.png"),
        (["--precision", "float7"], "float7"),
        (["--material", "stone"], "material is 'stone': give one of photo, scan"),
        (["--steps", "[]", "--material", "scan"], "--material cannot be combined with --steps"),
        (["--frobnicate"], "--frobnicate"),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_2(
    here: Path, capsys: pytest.CaptureFixture[str], words: Sequence[str], said: str
) -> None:
    original = picture(here / "old.png").read_bytes()
    (here / "scalar.json").write_text("4", encoding="utf-8-sig")  # with the byte-order mark that Windows writes
    with pytest.raises(SystemExit, match=r"^2$"):
        sys.exit(main(["run", "old.png", "new.png", *words]))
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("restore: ")
    assert err.count("\n") == 1
    assert said in err
    assert tree(here) == {"old.png", "scalar.json"}
    assert (here / "old.png").read_bytes() == original


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["none.png", "new.png"], 1, "none.png does not exist"),
        (["text.png", "new.png"], 1, "text.png is not a picture"),
        (["old.png", "new.xyz"], 1, "new.xyz"),
        (["old.png", "nowhere/new.png"], 1, "nowhere"),
        (["old.png", "new.png", "--report", "nowhere/report.json"], 1, "nowhere"),
        (["old.png", "./old.png"], 2, "would replace old.png itself"),
        (["old.png", "."], 2, "would replace old.png itself"),
        (["", "new.png"], 2, "IN or OUT is empty"),
        (["old.png", ""], 2, "IN or OUT is empty"),
        ([LONG, "new.png"], 1, "name too long"),
        (["old.png", LONG], 1, "name too long"),
        (["folder", LONG], 1, "name too long"),
        (["folder", f"new/{LONG}"], 1, "name too long"),
        (["old.png", "new.png", "--report", LONG], 1, "name too long"),
        (["circle.png", "new.png"], 1, "symbolic links"),
        (["old.png", "circle.png"], 1, "symbolic links"),
        (["old.png", "folder", "--report", "folder/old.png"], 2, "would replace folder/old.png"),
        (["folder", "new", "--report", "new/a.png"], 2, "would replace new/a.png"),
        (["empty", "results"], 1, "no picture and no clip in empty"),
        (["folder", "folder"], 2, "would replace folder/a.png"),
        (["folder", "old.png"], 2, "old.png is not: give a folder"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_changes_nothing(
    here: Path, capsys: pytest.CaptureFixture[str], words: Sequence[str], code: int, said: str
) -> None:
    picture(here / "old.png")
    picture(here / "folder" / "a.png")
    (here / "empty").mkdir()
    (here / "text.png").write_text("some text, no picture")
    (here / "circle.png").symlink_to("circle.png")
    before = {path: path.read_bytes() for path in here.rglob("*") if path.is_file()}
    assert main(["run", *words, "--model", "built-in"]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("restore: ")
    assert err.count("\n") == 1
    assert said in err
    assert {path: path.read_bytes() for path in here.rglob("*") if path.is_file()} == before
    assert tree(here) == {"old.png", "folder", "folder/a.png", "empty", "text.png", "circle.png"}


def test_what_is_forbidden_is_said_and_the_rest_of_a_folder_is_done(
    weights: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--steps", "[]")
    with folder_for_all() as place, monkeypatch.context() as patch:
        patch.chdir(place)
        picture(place / "in" / "a.png")
        picture(place / "in" / "closed" / "b.png")
        (place / "in" / "circle.png").symlink_to("circle.png")
        (place / "out").mkdir()
        (place / "out").chmod(0o777)
        (place / "in" / "closed").chmod(0)
        main(["run", "in/a.png", "first.png", *words])  # imports what only root may be able to read here
        capsys.readouterr()
        with without_privileges():
            assert main(["run", "in", "out", "--report", "out/report.json", *words]) == 1
            out, err = capsys.readouterr()
            assert out == "out/a.png\n", err
            first, second, last = err.splitlines()
            assert first == "restore: in/closed: The folder in/closed cannot be read: Permission denied."
            assert second.startswith("restore: in/circle.png: circle.png cannot be opened")
            assert last == "restore: 1 of 2 files failed; folders that cannot be read: 1."
            assert tree(place / "out") == {"a.png", "report.json"}

            for paths, said in (
                (("in/closed", "out"), "folder in/closed cannot be read"),
                (("in/closed/b.png", "out"), "no permission to read it"),
                (("in/a.png", "in/closed/new.png"), "new.png cannot be written"),
                (("in", "in/closed/new"), "in/closed/new cannot be made: Permission denied"),
                (("in/a.png", "out/b.png", "--report", "in/closed/report.json"), "report.json cannot be written"),
            ):
                assert main(["run", *paths, *words]) == 1
                out, err = capsys.readouterr()
                assert (out, err.count("\n")) == ("", 1)
                assert said in err
        (place / "in" / "closed").chmod(0o755)


def test_the_report_may_lie_in_the_folder_that_is_made_for_the_results(here: Path) -> None:
    picture(here / "in" / "a.png")
    assert main(["run", "in", "new/out", "--report", "new/out/report.json", "--steps", "[]", "--quiet"]) == 0
    assert tree(here / "new") == {"out", "out/a.png", "out/report.json"}


def test_the_options_without_steps_make_one_upscale(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture(here / "old.gif")
    (here / "results").mkdir()
    words = ["--model", "built-in", "--scale", "1.5", "--precision", "float32", "--device", "CPU", "--report", "r.json"]
    assert main(["run", "old.gif", "results", *words, "--material", "faithful", "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")
    with Image.open(here / "results" / "old.png") as new:
        assert new.size == (36, 24)
    stage = json.loads((here / "r.json").read_text())["stages"][0]
    settings = stage["settings"]
    assert (settings["scale"], settings["material"], stage["precision"]) == (1.5, "faithful", "float32")


def test_the_help_names_every_material(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match=r"^0$"):
        main(["run", "--help"])
    told = " ".join(capsys.readouterr().out.rpartition("--material")[2].split("--scale")[0].split())
    assert all(material in told for material in MATERIALS)


def test_the_same_warning_is_given_once_for_a_folder(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a.png", "b.png", "c.png"):
        picture(here / "in" / name)
    assert main(["run", "in", "out"]) == 0
    out, err = capsys.readouterr()
    assert out == "out/a.png\nout/b.png\nout/c.png\n"
    lines = err.splitlines()
    assert lines[0].startswith("restore: realesr-general-x4v3 is better for photos than built-in, which was used")
    assert 1 <= len(lines) == len(set(lines)) < 3


def test_a_fault_of_the_program_is_one_line_unless_asked_for_more(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a mistake of ours")

    monkeypatch.setattr("restore.pipeline.restore_image", fail)
    picture(here / "old.png")
    assert main(["run", "old.png", "new.png"]) == 1
    err = capsys.readouterr().err
    assert "ZeroDivisionError: a mistake of ours" in err
    assert err.count("\n") == 1
    with pytest.raises(ZeroDivisionError):
        main(["run", "old.png", "new.png", "--debug"])


# --- folders

names = st.builds(
    lambda folders, stem, suffix: Path("in", *folders, stem + suffix),
    st.lists(st.sampled_from(["x", "y.png"]), max_size=2),
    st.sampled_from(["a", "b", "a.gif"]),
    st.sampled_from([".png", ".PNG", ".gif", ".heic", ".jpg", ".tiff"]),
)


@given(st.sets(names, min_size=1, max_size=12))
def test_every_picture_has_a_result_of_its_own_or_a_reason(sources: set[Path]) -> None:
    tasks = assign(sorted(sources), Path("in"), Path("out"), "h264")
    assert {task.source for task in tasks} == sources
    good = [task for task in tasks if task.error is None]
    assert len({task.target for task in good}) == len(good)
    for task in good:
        assert task.target.parent.relative_to("out") == task.source.parent.relative_to("in")
        assert task.target.suffix.lower() in OUTPUT_SUFFIXES
        keeps = task.source.suffix.lower() in OUTPUT_SUFFIXES
        assert task.target.name == (task.source.name if keeps else task.source.stem + ".png")
    for task in set(tasks) - set(good):
        assert task.target in {other.target for other in good}
        assert task.source.suffix.lower() not in OUTPUT_SUFFIXES


def test_a_folder_may_be_its_own_result_folder_where_all_names_differ(tmp_path: Path) -> None:
    heic = tmp_path / "a.heic"
    (task,) = assign([heic], tmp_path, tmp_path, "h264")
    assert (task.target, task.error) == (tmp_path / "a.png", None)
    with pytest.raises(SettingsError, match=r"would replace .*b\.jpg"):
        assign([heic, tmp_path / "b.jpg"], tmp_path, tmp_path, "h264")


# --- models, fetch, and the rest


WITHOUT_TORCH = """
import runpy, sys
try:
    runpy.run_module("restore", run_name="__main__", alter_sys=True)
except SystemExit:
    pass
sys.exit("torch was imported" if "torch" in sys.modules else 0)
"""


def test_help_comes_without_torch(here: Path) -> None:
    for words, said in ((["run", "--help"], "--steps JSON|FILE"), (["--version"], "restore 0.")):
        done = subprocess.run(
            [sys.executable, "-c", WITHOUT_TORCH, *words], capture_output=True, text=True, timeout=LIMIT, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert said in done.stdout


@pytest.fixture
def assorted(hub: Hub, here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Models in all states: the folder of ``RESTORE_WEIGHTS``, with one that cannot be read and one of the user's."""
    folder = here / "weights"
    folder.mkdir()
    built_in = catalog.checkpoint("built-in")
    entries = [
        built_in,
        replace(catalog.checkpoint("RealESRGAN_x2plus"), commercial=False, licence="CC-BY-NC-4.0"),
        hub.checkpoint("mine", b"m" * 9),
        hub.checkpoint("unreadable", b"u" * 9),
        replace(hub.checkpoint("whole", b"w" * 9), companions={"weak_denoise": "other"}),
        replace(hub.checkpoint("other", b"o" * 3_200_000), stages=()),
    ]
    (folder / "mine.pth").write_bytes(b"trained at home")
    (folder / "unreadable.pth").write_bytes(b"u" * 9)
    (folder / "whole.pth").write_bytes(b"w" * 9)
    monkeypatch.setenv("RESTORE_WEIGHTS", str(folder))
    monkeypatch.setattr(catalog, "checkpoints", lambda: {entry.name: entry for entry in entries})
    compute = checksums.compute

    def read(path: Path) -> str:
        if path.name == "unreadable.pth":
            raise WeightsError(f"{path} cannot be read.")
        return compute(path)

    monkeypatch.setattr(checksums, "compute", read)
    return folder


def test_the_table_of_models(assorted: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models"]) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert [re.split(r"  +", line) for line in lines[: lines.index("")]] == [
        ["NAME", "STAGES", "SCALE", "STATE", "LICENCE"],
        ["built-in", "upscale", "x4", "built in", "Apache-2.0"],
        ["RealESRGAN_x2plus", "upscale", "x2", "download of 67.1 MB", "CC-BY-NC-4.0 (non-commercial)"],
        ["mine", "upscale", "x4", "on disk, not verified", "MIT"],
        ["unreadable", "upscale", "x4", "damaged", "MIT"],
        ["whole", "upscale", "x4", "on disk, its partner a download of 3.2 MB", "MIT"],
    ]
    assert re.fullmatch(r"Device: .+ \(cpu, \w+, [0-9.]+ GB of memory\)", lines[lines.index("") + 1])
    assert err == f"restore: {assorted / 'unreadable.pth'} cannot be read.\n"

    assert main(["models", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["device"]["kind"] == "cpu"
    rows = {row["name"]: row for row in data["models"]}
    assert list(rows) == ["built-in", "RealESRGAN_x2plus", "mine", "unreadable", "whole"]
    assert rows["built-in"]["file"] == str(ROOT / "restore/networks/compact_x4.safetensors")
    assert (rows["mine"]["file"], rows["mine"]["verified"]) == (str(assorted / "mine.pth"), False)
    assert (rows["RealESRGAN_x2plus"]["commercial"], rows["RealESRGAN_x2plus"]["file"]) == (False, None)
    assert (rows["RealESRGAN_x2plus"]["state"], rows["RealESRGAN_x2plus"]["download_bytes"]) == ("download", 67061725)


def test_the_scale_of_every_model_is_that_of_its_network() -> None:
    for entry in catalog.checkpoints().values():
        if "upscale" in entry.stages:
            traits = networks.temporal if networks.uses_time(entry.name) else networks.traits
            assert entry.scale == traits(entry.name).scale, entry.name


@pytest.fixture
def shop(hub: Hub, here: Path, monkeypatch: pytest.MonkeyPatch) -> Mapping[str, bytes]:
    """A catalogue of models on the stand-in for the Hub, by name."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    data = {name: name.encode() * 50_000 for name in ("first", "partner", "lost")}
    entries = {name: hub.checkpoint(name, content) for name, content in data.items()}
    entries["first"] = replace(entries["first"], companions={"weak": "partner"}, commercial=False)
    entries["lost"] = hub.checkpoint("lost", data["lost"], Fault(status=404))
    monkeypatch.setattr(catalog, "checkpoints", lambda: entries)
    return data


def test_fetch_brings_a_model_with_its_companion(shop: Mapping[str, bytes], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fetch", "first"]) == 0
    out, err = capsys.readouterr()
    assert [Path(line).read_bytes() for line in out.splitlines()] == [shop["first"], shop["partner"]]
    assert err == "restore: first must not be used commercially (MIT).\n"


def test_fetch_says_which_file_nobody_can_verify(
    shop: Mapping[str, bytes], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    entry = replace(catalog.checkpoint("partner"), sha256="")
    monkeypatch.setattr(catalog, "checkpoints", lambda: {"partner": entry})
    assert main(["fetch", "partner"]) == 0
    assert "partner is not verified as the published file: nobody has published its sha256." in capsys.readouterr().err


def test_a_download_shows_its_bytes_on_a_terminal(shop: Mapping[str, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as terminal, monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", terminal)
        assert main(["fetch", "partner"]) == 0
    pieces = []
    with os.fdopen(ours, "rb", buffering=0) as shown, contextlib.suppress(OSError):  # Linux's word for the end
        while piece := shown.read(65536):
            pieces.append(piece)
    text = b"".join(pieces).decode()
    assert "partner download: 100%" in text
    assert "350k/350k" in text


def test_fetch_goes_on_past_what_is_not_to_be_had(
    shop: Mapping[str, bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fetch", "lost", "partner"]) == 1
    out, err = capsys.readouterr()
    assert [Path(line).read_bytes() for line in out.splitlines()] == [shop["partner"]]
    assert err.startswith("restore: lost")
    assert err.count("\n") == 1
    assert main(["fetch", "--all", "--quiet"]) == 1
    assert main(["fetch", "partner", "mispelt"]) == 2
    assert main(["fetch"]) == 2
    assert main(["fetch", "--all", "partner"]) == 2


def test_a_reader_that_goes_away_is_no_error_message(here: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "restore", "models"], stdout=writing, stderr=subprocess.PIPE, timeout=LIMIT, check=False
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, b"")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("models >&-", 0, ""),
        ("run old.png new.png --steps [] >&- 2>&-", 0, ""),
        ("run none.png new.png 2>&-", 1, ""),
        ("models > /dev/full", 1, "restore: Standard output cannot be written to: No space left on device.\n"),
        ("--help > /dev/full", 1, "restore: Standard output cannot be written to: No space left on device.\n"),
        ("models --json --frobnicate 2> /dev/full", 2, ""),
    ],
)
def test_streams_that_are_closed_or_full(here: Path, words: str, code: int, said: str) -> None:
    picture(here / "old.png")
    line = f"exec {shlex.quote(sys.executable)} -m restore {words}"
    done = subprocess.run(line, shell=True, capture_output=True, text=True, timeout=LIMIT, check=False)
    assert (done.returncode, done.stderr) == (code, said)
    if words.startswith("run"):
        assert done.stdout == ""
        assert ((here / "new.png").exists(), tree(here) - {"new.png"}) == (code == 0, {"old.png"})


def test_a_home_folder_that_is_not_known_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match="RESTORE_WEIGHTS"):
        load_settings({"RESTORE_WEIGHTS": "~nobody-of-that-name/weights"})


def test_a_report_is_written_whole_or_refused_in_words(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.png")
    report = Report("1", name, name, (1, 1), (2, 2), {}, (), 0.0)
    report.write(str(tmp_path / "report.json"))
    assert json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))["source"] == name
    for place in (tmp_path, tmp_path / "none" / "report.json", tmp_path / LONG):
        with pytest.raises(OutputError):
            report.write(place)
    assert tree(tmp_path) == {"report.json"}
