"""The names and options of PaddleGAN's video tool: what they stand for, in Python and on the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import restore
from restore import networks
from restore.cli.command_line import main
from restore.cli.spelling import spelt_as_here
from restore.paddlegan_names import NAMES
from restore.settings import Settings
from tests.clips import pictures, write_clip
from tests.fill import fill


def chain(order: list[str], **options: Any) -> list[dict[str, Any]]:
    """Of the chain that is meant the stages, models and what was given."""
    shown = ("stage", "model", "scale", "time_step", "remove_duplicates", "render_factor", "num_frames", "mindim")
    steps = [step.to_dict() for step in restore.steps_from_process_order(order, **options)]
    return [{name: step[name] for name in shown if step.get(name) not in (None, False)} for step in steps]


def test_the_chain_of_the_articles() -> None:
    assert chain(["DAIN", "DeOldify", "PPMSVSR"]) == [
        {"stage": "interpolate", "model": "dain"},
        {"stage": "colorize", "model": "deoldify-stable", "render_factor": 32, "mindim": 320},
        {"stage": "upscale", "model": "pp-msvsr", "scale": 4},
    ]


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("RealSR", "realsr-df2k"),
        ("EDVR", "edvr-l"),
        ("PPMSVSRLarge", "pp-msvsr-l"),
        ("BasicVSR", "basicvsr"),
        ("IconVSR", "iconvsr"),
        ("BasiVSRPlusPlus", "basicvsr-pp"),
        ("BasicVSRPlusPlus", "basicvsr-pp"),
        ("basicvsr++", "basicvsr-pp"),
    ],
)
def test_what_enlarges(name: str, model: str) -> None:
    assert chain([name]) == [{"stage": "upscale", "model": model, "scale": 4}]


def test_the_options(tmp_path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (8, 8)).save(tmp_path / "1.png")
    assert chain(["dain"], time_step=0.25, remove_duplicates=True) == [
        {"stage": "interpolate", "model": "dain", "time_step": 0.25, "remove_duplicates": True}
    ]
    bold = chain(["DeOldify"], artistic=True, render_factor=20)[0]
    assert (bold["model"], bold["render_factor"]) == ("deoldify-artistic", 20)
    assert chain(["BasicVSR"], num_frames=7)[0]["num_frames"] == 7
    assert chain(["DeepRemaster"]) == [{"stage": "clean", "model": "deepremaster", "mindim": 360}]
    clean, colour = restore.steps_from_process_order(["DeepRemaster"], reference_dir=str(tmp_path), mindim=240)
    assert (clean.stage, colour.stage) == ("clean", "colorize")
    assert isinstance(colour, restore.Colorize)
    assert (colour.model, colour.mindim) == ("deepremaster", 240)
    # As there, every picture is for every shot: the number is no shot here, as it is in a folder of ours.
    assert colour.references == (restore.Reference(str(tmp_path / "1.png")),)
    with pytest.raises(restore.SettingsError, match="nowhere"):
        restore.steps_from_process_order(["DeepRemaster"], reference_dir=str(tmp_path / "nowhere"))


@pytest.mark.parametrize(
    ("order", "options", "words"),
    [
        (["DIAN"], {}, "DIAN"),
        ([], {}, "list of names"),
        ("DAIN", {}, "list of names"),
        (["DAIN"], {"render_factor": 32}, "DeOldify"),
        (["EDVR"], {"num_frames": 5}, "num_frames"),
        (["DAIN"], {"time_steps": 0.5}, "time_steps"),
        (["DAIN"], {"time_step": 3}, "time_step"),
        (["DeOldify"], {"artistic": "yes"}, "artistic"),
        (["DeOldify"], {"render_factor": 99}, "render_factor"),
        (["DAIN"] * 33, {}, "32"),
    ],
)
def test_what_is_wrong_is_named(order: Any, options: dict[str, Any], words: str) -> None:
    with pytest.raises(restore.SettingsError, match=words):
        restore.steps_from_process_order(order, **options)


def test_words_are_spelt_as_here() -> None:
    words = ["run", "--input", "a.mp4", "--proccess_order", "DAIN", "--time_step=0.5", "--output=out", "--cpu"]
    assert spelt_as_here(words) == [
        *("run", "a.mp4", "out", "--process-order", "DAIN", "--time-step=0.5", "--device", "cpu")
    ]
    assert spelt_as_here(["run", "--BasiVSRPlusPlus_weight", "a_b"]) == ["run", "--BasicVSRPlusPlus-weight", "a_b"]
    assert spelt_as_here(["run", "--input", "a.mp4"]) == ["run", "a.mp4", "output"]
    assert spelt_as_here(["fetch", "--a_b"]) == ["fetch", "--a_b"]


def test_a_command_of_paddlegan_runs_with_the_file_of_a_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it is typed for PaddleGAN, down to the folder for the result, which is made."""
    shapes = {key: value.shape for key, value in networks.build("realsr-df2k").state_dict().items()}
    torch.save(fill(shapes), tmp_path / "mine.pth")
    write_clip(tmp_path / "film.mp4", pictures(1, 16, 16))
    monkeypatch.chdir(tmp_path)
    words = ["run", "--input", "film.mp4", "--process_order", "RealSR", "--output", "results", "--cpu", "--quiet"]
    report = tmp_path / "report.json"
    assert main([*words, "--RealSR_weight", "mine.pth", "--report", str(report)]) == 0
    video = restore.probe(tmp_path / "results" / "film.mp4").video
    assert (video.width, video.height, video.frames) == (64, 64, 1)
    (stage,) = json.loads(report.read_text())["stages"]
    assert [(use["name"], use["origin"]) for use in stage["models"]] == [("realsr-df2k", "local")]


def test_what_does_not_fit_together_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, target = str(tmp_path / "in.mp4"), str(tmp_path / "out.mp4")
    for words, said in (
        (["--time-step", "0.5"], "--process-order"),
        (["--process-order", "DAIN", "--scale", "2"], "--scale"),
        (["--process-order", "DAIN", "--recipe", "vhs"], "one of them"),
        (["--process-order", "DAIN", "in.mp4"], "before it"),
        (["--process-order", "DAIN", "--DAIN-weight", "nowhere.pth"], "nowhere.pth"),
    ):
        assert main(["run", source, target, *words]) == 2
        assert said in capsys.readouterr().err


def test_the_file_of_a_model_counts_for_that_model_alone(tmp_path: Path) -> None:
    from restore.weights import find

    (tmp_path / "mine.pth").write_bytes(b"weights")
    settings = Settings(weight_files=(("dain", tmp_path / "mine.pth"),))
    found = find("dain", settings)
    assert found is not None
    assert found.path == tmp_path / "mine.pth"
    assert find("edvr-l", settings) is None
    assert set(NAMES) >= {"DAIN", "DeOldify", "PPMSVSR"}
