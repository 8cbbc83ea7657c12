"""What the pages in docs say of chains, recipes and jobs: the tables are those of the program, the snippets run."""

from __future__ import annotations

import json
import re
import sys
import xml.etree.ElementTree
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import pytest

import restore
from benchmarks.draw_run import draw_chain, draw_recipe, draw_segments, records_in
from restore.jobs import State
from restore.paddlegan_names import ALIASES, NAMES, Options
from restore.recipes import load_recipe, named_recipes
from restore.settings import VARIABLES
from restore.stages import STAGES, parse_steps
from tests.clips import pictures, write_clip
from tests.server import Server
from tests.test_readme import here as here
from tests.test_readme import run
from tests.test_readme import server as server

DOCS = Path(__file__).parents[1] / "docs"
PAGES = ("chain.md", "recipes.md", "jobs.md")


def text(page: str) -> str:
    return (DOCS / page).read_text(encoding="utf-8")


def snippets(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text(page), flags=re.DOTALL | re.MULTILINE)


def rows(page: str) -> list[list[str]]:
    return [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text(page).splitlines() if line[:1] == "|"
    ]


def test_every_setting_of_every_stage_is_listed_with_what_is_usual() -> None:
    listed: dict[str, dict[str, Any]] = {stage: {} for stage in STAGES}
    stage = ""
    for first, setting, *_ in (row for row in rows("recipes.md") if len(row) == 3):
        stage = first.strip("`") or stage
        if (found := re.fullmatch(r"(`.+`) \(`?(.+?)`?\)", setting)) and (stage in STAGES or stage == "all"):
            for name in re.findall(r"`(\w+)`", found[1]):
                for each in STAGES if stage == "all" else [stage]:
                    listed[each][name] = json.loads(found[2])
    for name, kind in STAGES.items():
        usual = {field.name: field.default for field in fields(kind) if field.default is not MISSING}
        assert listed[name] == {key: list(value) if value == () else value for key, value in usual.items()}, name


def test_the_names_the_states_and_the_settings_are_those_of_the_program() -> None:
    words = text("recipes.md")
    names = words.split("## PaddleGAN's names")[1]
    for name, meaning in NAMES.items():
        (row,) = [line for line in names.splitlines() if re.match(rf"\|[^|]*`{name}`", line)]
        assert all(f"`{option}`" in row for option in meaning.options), name
        model = meaning.steps(Options())[0]["model"]
        assert f"`{model}`" in row
    assert f"`{next(iter(ALIASES))}`" in names
    assert all(f"`{name}`" in words for name in named_recipes())
    jobs = text("jobs.md")
    assert all(f"`{state}`" in jobs for state in State)
    assert set(re.findall(r"RESTORE_\w+", jobs + text("chain.md"))) <= set(VARIABLES)


def test_every_file_and_page_that_they_name_is_there() -> None:
    for page in PAGES:
        for name in re.findall(r"\]\(([^)#:]+)\)", text(page)):
            assert (DOCS / name).is_file(), f"{page} names {name}"
        for name in re.findall(r"`((?:restore|benchmarks)/[\w/]+\.\w+)`", text(page)):
            assert (DOCS.parent / name).is_file(), f"{page} names {name}"
        assert f"docs/{page}" in (DOCS.parent / "README.md").read_text(encoding="utf-8")


def test_the_recipe_of_the_page_is_one() -> None:
    (recipe,) = snippets("recipes.md", "json")
    values = json.loads(recipe)
    del values["title"], values["description"]
    assert [stage.stage for stage in parse_steps(values)] == ["colorize", "interpolate", "upscale"]


def test_pictures_are_drawn_from_the_report_of_a_run(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a <film>.mp4", pictures(60, 32, 24))
    steps = [restore.Interpolate(model="built-in", factor=2)]
    report = restore.restore_video(clip, tmp_path / "new.mp4", steps, work=tmp_path / "work", cuts=[1]).to_dict()
    (work,) = (path.parent for path in (tmp_path / "work").glob("*/job.json"))
    drawings = [draw_chain(report), draw_recipe(report), draw_segments(report, records_in(work))]
    for drawing in drawings:
        assert xml.etree.ElementTree.fromstring(drawing).tag.endswith("svg")
    assert f"{report['stages'][0]['seconds']:.1f} s, 120 frames" in drawings[0]
    assert "→ no network" in drawings[1]
    assert "0: 60 frames" in drawings[2]
    assert drawings[2].count("stroke-dasharray") == 1


@pytest.mark.slow
def test_the_commands_and_the_python_of_the_pages_run(here: Path) -> None:
    (here / "recipe.json").write_text(snippets("recipes.md", "json")[0], encoding="utf-8")
    for page in PAGES:
        for commands in snippets(page, "bash"):
            run("bash", "-euo", "pipefail", "-c", commands)
        for code in snippets(page, "python"):
            run(sys.executable, "-c", code)
    found = {
        name: restore.probe(here / name).video for name in ("chain.mp4", "restored.mp4", "so_far.mp4", "other.mkv")
    }
    assert {(video.width, video.height) for video in found.values()} == {(192, 128)}
    assert [video.frames for video in found.values()] == [29, 20, 20, 20]  # 0.8 s at 36 and at 25 frames a second
    assert load_recipe(here / "whole.json") == load_recipe(here / "again.json")


@pytest.mark.slow
def test_the_client_stops_a_job_and_lets_it_go_on(here: Path, server: Server) -> None:
    (code,) = snippets("jobs.md", "py")
    out = run(sys.executable, "-c", code.replace("http://127.0.0.1:7860", server.url.rstrip("/")))
    state, result = out.splitlines()[-2:]
    assert state in ("waiting", "running", "paused", "finished")
    assert "film_restored.mp4 {'all': 1" in result
