"""Reference pictures for colour on the command line: a folder, pictures, and the shots or times that they are for."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from restore.cli.command_line import parser
from restore.cli.steps import chosen_steps
from restore.errors import SettingsError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a folder of pictures in it that are named by shots and times."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "wanted").mkdir()
    for name in ("2.png", "7.5.png", "any.png"):
        Image.new("RGB", (4, 4)).save(tmp_path / "wanted" / name)
    return tmp_path / "wanted"


def references(*words: str) -> list[list[dict[str, object]]]:
    """Those of each step that the options after IN and OUT make."""
    steps = chosen_steps(parser().parse_args(["run", "old.mp4", "new.mp4", *words]))
    return [step.to_dict().get("references", []) for step in steps]


OF_FOLDER = [
    {"path": "wanted/2.png", "shot": 2},
    {"path": "wanted/7.5.png", "time": "7.5"},
    {"path": "wanted/any.png"},
]


def test_a_folder_gives_its_pictures_to_every_step_that_gives_colours(folder: Path) -> None:
    assert references("--colorize", "--references", "wanted") == [OF_FOLDER]
    chain = '[{"stage": "upscale"}, {"stage": "colorize", "references": ["first.png"]}]'
    assert references("--steps", chain, "--references", "wanted") == [[], [{"path": "first.png"}, *OF_FOLDER]]
    assert references("--colorize") == [[]]


def test_the_folder_by_paddlegans_name_gives_all_its_pictures_to_every_shot(folder: Path) -> None:
    everywhere = [{"path": each["path"]} for each in OF_FOLDER]
    assert references("--process-order", "DeepRemaster", "--reference-dir", "wanted") == [[], everywhere]
    assert references("--colorize", "--reference-dir", "wanted") == [everywhere]
    both = references("--colorize", "--references", "0=wanted/2.png", "--reference-dir", "wanted")
    assert both == [[{"path": "wanted/2.png", "shot": 0}, *everywhere]]


def test_pictures_are_for_shots_and_times(folder: Path) -> None:
    words = ("0=wanted/2.png", "12.5=wanted/any.png", "3s=wanted/2.png", "1:02=wanted/any.png", "wanted/any.png")
    assert references("--colorize", "built-in-colour", "--scale", "2", "--references", *words) == [
        [
            {"path": "wanted/2.png", "shot": 0},
            {"path": "wanted/any.png", "time": "12.5"},
            {"path": "wanted/2.png", "time": "3"},
            {"path": "wanted/any.png", "time": "1:02"},
            {"path": "wanted/any.png"},
        ],
        [],
    ]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--references", "wanted"), "add --colorize"),
        (("--colorize", "--references", "3=nowhere.png"), r"no reference picture nowhere\.png"),
        (("--colorize", "--references", "nowhere"), "no reference picture nowhere"),
        (("--colorize", "built-in"), "does not colour"),
        (("--colorize", "--steps", "[]"), "--colorize cannot be combined with --steps"),
    ],
)
def test_what_makes_no_sense_is_refused(folder: Path, words: tuple[str, ...], complaint: str) -> None:
    with pytest.raises(SettingsError, match=complaint):
        references(*words)
