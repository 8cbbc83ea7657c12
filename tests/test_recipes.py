"""Recipes: in files, by name, and as text for a link."""

from __future__ import annotations

import base64
import contextlib
import json
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

import restore
from restore.cli.command_line import main
from restore.recipes import decode, decode_chain, encode, load_recipe, named_recipe, named_recipes, save_recipe
from restore.recipes.links import LONGEST_TEXT
from tests.clips import pictures, write_clip

STEPS = [
    {"stage": "colorize", "saturation": 1.2},
    {"stage": "upscale", "model": "built-in", "scale": 2},
    {"stage": "interpolate", "fps": "60000/1001"},
]


def test_a_recipe_comes_back_from_its_file(tmp_path: Path) -> None:
    save_recipe(tmp_path / "mine.json", STEPS)
    assert load_recipe(tmp_path / "mine.json") == restore.parse_steps(STEPS)
    written = json.loads((tmp_path / "mine.json").read_text())
    assert written["version"] == 1
    assert written["steps"][1]["denoise"] == 0.5, "a default that is not written down could change"


def test_what_is_switched_off_is_kept_and_does_not_run(tmp_path: Path) -> None:
    given = [STEPS[0], {**STEPS[1], "scale": 3, "enabled": False}, STEPS[2]]
    on = restore.parse_steps([STEPS[0], STEPS[2]])
    save_recipe(tmp_path / "mine.json", given)
    written = json.loads((tmp_path / "mine.json").read_text())["steps"]
    assert [step.get("enabled") for step in written] == [None, False, None]
    assert (written[1]["stage"], written[1]["scale"]) == ("upscale", 3)
    link = encode(written)
    for steps in (given, load_recipe(tmp_path / "mine.json"), decode(link)):
        assert restore.parse_steps(steps) == on
    assert [step.to_dict() for step in decode_chain(link)] == written
    assert encode(decode_chain(link)) == link
    assert decode(encode([{**STEPS[0], "enabled": True}])) == on[:1]

    source = write_clip(tmp_path / "film.mp4", pictures(3, 32, 24))
    report = restore.restore_video(source, tmp_path / "same.mp4", [{"stage": "upscale", "scale": 4, "enabled": False}])
    assert report.target_size == (32, 24)


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(STEPS),
        json.dumps({"version": 1, "title": "Mine", "description": "for uncle's reels", "steps": STEPS}),
        "\ufeff" + json.dumps({"version": 1, "steps": STEPS}),
    ],
)
def test_what_a_file_may_look_like(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text, encoding="utf-8")
    assert load_recipe(tmp_path / "a.json") == restore.parse_steps(STEPS)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "line 1, column 2"),
        ("3", "is no recipe"),
        ("[" * 100_000, "nested too deeply|not valid JSON"),
        ('{"version": 2, "steps": []}', "version 2"),
        ('{"version": 1, "steps": [], "colour": true}', "colour"),
        ('{"version": 1, "title": 3, "steps": []}', "title"),
        ('{"version": 1, "steps": [{"stage": "upscale"}, {"stage": "sharpen"}]}', "Step 2"),
        ('{"version": 1, "steps": [{"stage": "upscale", "scale": 99}]}', "Step 1, upscale: scale"),
        ('{"version": 1, "steps": [{"stage": "upscale", "grain": 1}]}', "grain"),
        ('{"version": 1, "steps": [{"stage": "upscale", "enabled": "no"}]}', "use true or false"),
        ('{"version": 1, "steps": [{"stage": "upscale", "enabled": false, "scale": 99}]}', "Step 1, upscale: scale"),
        ('{"version": 1, "steps": 5}', "list of stages"),
    ],
)
def test_a_wrong_file_is_told_where_it_is_wrong(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(restore.SettingsError, match=said) as caught:
        load_recipe(tmp_path / "a.json")
    assert "a.json" in str(caught.value)


def test_a_file_that_is_none(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nothing.json"):
        with pytest.raises(restore.SettingsError, match="cannot be read"):
            load_recipe(path)
    (tmp_path / "film.json").write_bytes(bytes(2**20 + 1))
    with pytest.raises(restore.SettingsError, match="too large"):
        load_recipe(tmp_path / "film.json")


def test_every_recipe_of_the_program_works_with_nothing_but_what_is_built_in(tmp_path: Path) -> None:
    assert list(named_recipes()) == ["silent-film", "1990s-television", "vhs", "anime", "phone-clip"]
    source = write_clip(tmp_path / "film.mp4", pictures(3, 32, 24))
    for name, each in named_recipes().items():
        assert each.title_zh != each.title
        report = restore.restore_video(source, tmp_path / f"{name}.mp4", each.steps)
        assert report.target_size == (64, 48)
        assert [stage.settings["stage"] for stage in report.stages] == [step.stage for step in each.steps]
        without = {"faces", "clean"} & {step.stage for step in each.steps}
        told = " ".join((*report.warnings, *(note for stage in report.stages for note in stage.notes)))
        assert ("Faces were left as they are" in told) == ("faces" in without)
        assert restore.parse_steps({"version": 1, "steps": each.to_dict()["steps"]}) == each.steps


def test_a_name_in_any_spelling() -> None:
    assert named_recipe("Silent film") == named_recipe("silent_film") == named_recipes()["silent-film"]
    with pytest.raises(restore.SettingsError, match="Did you mean silent-film"):
        named_recipe("silent-flim")


def test_recipes_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_clip(tmp_path / "film.mp4", pictures(3, 48, 32))
    words = ["run", str(source), str(tmp_path / "a.mp4"), "--quiet"]
    assert main([*words, "--model", "built-in", "--scale", "2", "--save-recipe", str(tmp_path / "my.json")]) == 0
    assert main([*words, "--recipe", str(tmp_path / "my.json"), "--report", str(tmp_path / "report.json")]) == 0
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["recipe"] == json.loads((tmp_path / "my.json").read_text())
    capsys.readouterr()
    assert main([*words, "--recipe", "vsh"]) == 2
    assert "vhs" in capsys.readouterr().err
    assert main([*words, "--save-recipe", str(source)]) == 2
    assert "would replace" in capsys.readouterr().err
    assert main(["recipes", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert list(listed) == list(named_recipes())
    (tmp_path / "vhs.json").write_text(json.dumps(listed["vhs"]))
    assert load_recipe(tmp_path / "vhs.json") == named_recipe("vhs").steps


stages = some.one_of(
    some.builds(
        restore.Upscale,
        scale=some.floats(1, 8),
        denoise=some.floats(0, 1),
        material=some.sampled_from(["photo", "scan"]),
        num_frames=some.none() | some.integers(1, 1000),
    ),
    some.builds(restore.Colorize, saturation=some.floats(0, 3), keep_luma=some.booleans()),
    some.builds(restore.Faces, strength=some.floats(0, 1), only_center=some.booleans()),
    some.builds(restore.Interpolate, factor=some.floats(2, 8), slow_motion=some.booleans()),
)


@given(some.lists(stages, max_size=8))
def test_a_chain_comes_back_from_its_link(chain: list[Any]) -> None:
    steps = restore.parse_steps(chain)
    text = encode(steps)
    assert decode(text) == steps
    assert len(text) <= LONGEST_TEXT
    assert set(text) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")


@given(some.text(max_size=60) | some.text("abcXYZ012-_", max_size=60).map("1.".__add__))
def test_no_text_does_anything_but_give_a_chain_or_the_one_error(text: str) -> None:
    with contextlib.suppress(restore.SettingsError):
        restore.parse_steps(decode(text))


def link(data: bytes) -> str:
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    packed = packer.compress(data) + packer.flush()
    return "1." + base64.urlsafe_b64encode(packed).decode().rstrip("=")


def test_a_link_of_a_stranger(tmp_path: Path) -> None:
    good = encode(STEPS)
    recipe = {"version": 1, "steps": [{"stage": "colorize", "references": [{"path": "/etc/passwd"}]}]}
    for text, said in (
        (good[:-8], "cut off"),
        (good + "A" * LONGEST_TEXT, "cut off"),
        (link(b" " * 10_000_000 + b"[]"), "cut off"),  # a bomb: it is not unpacked
        ("2.abcd", "newer"),
        ("", "cut off"),
        (link(json.dumps(recipe).encode()), "names files"),
        (link(b'{"version": 1, "steps": [{"stage": "upscale", "model": "../secret"}]}'), "secret"),
    ):
        with pytest.raises(restore.SettingsError, match=said):
            decode(text)


def test_a_chain_that_fits_no_link() -> None:
    wide = [{"stage": "upscale", "scale": 1 + n / 31 + 1e-9 * 7**n, "denoise": 1 / (n + 3)} for n in range(9)]
    assert decode(encode(wide)) == restore.parse_steps(wide)
    with pytest.raises(restore.SettingsError, match="names files"):
        encode([restore.Colorize(references=[__file__.replace("test_recipes.py", "../docs/page.jpg")])])
