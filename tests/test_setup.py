"""The set-up: the Makefile, the requirements, and what the head of the README tells a Space."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from huggingface_hub import SpaceHardware, hf_hub_download
from packaging.requirements import Requirement

import restore
from restore import caches, catalog, weights
from restore.settings import Settings
from restore.stages.upscale import MATERIALS, auto_candidates
from tests.hub import Hub

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


FRONT = yaml.safe_load(README.split("---\n")[1])
PRELOADED = [
    (repo, file, revision)
    for repo, files, revision in (line.split(" ") for line in FRONT["preload_from_hub"])
    for file in files.split(",")
]


def requirements() -> list[Requirement]:
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    return [Requirement(line) for line in lines if line[:1].isalpha()]


def test_a_space_is_told_what_it_needs() -> None:
    assert (ROOT / FRONT["app_file"]).is_file()
    assert (FRONT["sdk"], FRONT["license"]) == ("gradio", "apache-2.0")
    assert len(FRONT["short_description"]) <= 60
    assert FRONT["suggested_hardware"] in set(SpaceHardware)
    homes = {entry.repo for entry in catalog.checkpoints().values() if entry.repo and entry.repo_type == "model"}
    assert set(FRONT["models"]) == homes
    (gradio,) = (each for each in requirements() if each.name == "gradio")
    assert gradio.specifier.contains(FRONT["sdk_version"])
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert Requirement(f"python{project['requires-python']}").specifier.contains(FRONT["python_version"])
    assert project["version"] == restore.__version__
    assert (ROOT / FRONT["thumbnail"]).is_file()


def test_the_requirements_fit_a_space() -> None:
    for each in requirements():  # bounded on both sides, so that a new major version breaks nothing
        assert {">", "<"} == {specifier.operator[0] for specifier in each.specifier}, each
    (torch,) = (each for each in requirements() if each.name == "torch")
    for version, fits in (("2.7.1", False), ("2.8.0", True), ("2.11.0", True), ("2.12.0", False)):  # those of ZeroGPU
        assert torch.specifier.contains(version) == fits
    for each in (
        (ROOT / "packages.txt").read_text(encoding="utf-8").splitlines()
    ):  # apt takes a name a line, no comments
        assert re.fullmatch(r"[a-z0-9][a-z0-9.+-]+", each)


def test_a_space_preloads_whatever_auto_may_take() -> None:
    wanted = {
        name for material in MATERIALS for device in ("cuda", "cpu") for name in auto_candidates(material, device)
    }
    wanted |= {partner for name in wanted for partner in catalog.checkpoint(name).companions.values()}
    entries = [catalog.checkpoint(name) for name in sorted(wanted) if catalog.checkpoint(name).repo]
    assert sorted(PRELOADED) == sorted((entry.repo, entry.hub_file, entry.revision) for entry in entries)


def test_what_a_space_preloaded_is_found_with_no_network(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    published = {(entry.repo, entry.hub_file): entry for entry in catalog.checkpoints().values()}
    for repo, file, revision in PRELOADED:
        data = file.encode() * 100
        hub.publish(repo, revision, file, data)
        hf_hub_download(repo, file, revision=revision, cache_dir=caches.hub_cache(), endpoint=hub.url)
        entry = replace(published[repo, file], size=len(data), sha256=hashlib.sha256(data).hexdigest())
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        found = weights.find(entry, Settings())
        assert found is not None
        assert (found.use.origin, found.use.verified, found.use.revision) == ("hub", True, revision)
        assert found.path.read_bytes() == data
        monkeypatch.delenv("HF_HUB_OFFLINE")


# --- the Makefile

INTERPRETER = """#!/bin/sh
# A stand-in for an interpreter: it writes down what it is asked and makes a virtual environment of itself.
printf '%s\\n' "$*${GRADIO_SHARE:+ GRADIO_SHARE=$GRADIO_SHARE}" >> log
case "$*" in
  "-m venv"*) mkdir -p .venv/bin && rm -f .venv/.r* && cp "$0" .venv/bin/python ;;
  *'version("opencv-python")'*) echo 5.0 ;;
  *"-r requirements.txt"*) test ! -e broken ;;
  *"sys.version_info"*) test ! -e too-old ;;
esac
"""


class Project:
    """A copy of the Makefile beside a stand-in for Python."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "Makefile").write_bytes((ROOT / "Makefile").read_bytes())
        for name in ("requirements.txt", "requirements-dev.txt"):
            (folder / name).write_text("")
        for name in ("python-a", "python-b"):
            (folder / name).write_text(INTERPRETER)
            (folder / name).chmod(0o755)

    def make(self, *words: str) -> tuple[int, list[str], str]:
        """The exit code, what the interpreter was asked, and what make said."""
        log = self.folder / "log"
        log.unlink(missing_ok=True)
        ours = ("MAKE", "PYTHON", "ARGS", "GRADIO_")  # of the make that may be running these tests
        environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        done = subprocess.run(
            ["make", "-C", str(self.folder), *words], env=environment, capture_output=True, text=True, check=False
        )
        return done.returncode, log.read_text().splitlines() if log.exists() else [], done.stdout + done.stderr

    def change(self, name: str) -> None:
        # Everything else becomes older: file systems may not tell two moments apart that are as close as these.
        for path in (*self.folder.glob("requirements*"), *self.folder.glob(".venv/.*")):
            time = path.stat().st_mtime_ns - 10**10
            os.utime(path, ns=(time, time))
        (self.folder / name).write_text("# changed\n")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def installs(asked: list[str]) -> list[str]:
    return [line.rsplit(" -r ")[1] for line in asked if " -r " in line]


def test_make_run_installs_once_and_again_when_the_requirements_change(project: Project) -> None:
    code, asked, said = project.make("run", "PYTHON=./python-a")
    assert (code, asked[-1]) == (0, "app.py"), said
    assert installs(asked) == ["requirements.txt"]
    assert any(line.endswith("install --quiet --no-deps opencv-python-headless==5.0") for line in asked)
    assert project.make("run")[1] == ["app.py"]
    project.change("requirements.txt")
    assert installs(project.make("run")[1]) == ["requirements.txt"]
    assert project.make("run")[1] == ["app.py"]


def test_make_share_says_what_it_means_before_it_opens_the_page_to_all(project: Project) -> None:
    project.make("run", "PYTHON=./python-a")
    code, asked, said = project.make("share")
    assert (code, asked) == (0, ["app.py GRADIO_SHARE=True"])
    told, started = said.split("GRADIO_SHARE=True")
    for word in (
        "Whoever has it",
        "this computer",
        "a week",
        "relay",
        "frpc",
        "RESTORE_LOGIN=",
        "Ctrl-C",
        "no connection",
    ):
        assert word in told
    assert "app.py" in started
    assert project.make("run")[1] == ["app.py"]


def test_make_test_adds_the_development_requirements(project: Project) -> None:
    project.make("run", "PYTHON=./python-a")
    _, asked, _ = project.make("test", "ARGS=-k cli")
    assert installs(asked) == ["requirements-dev.txt"]
    assert asked[-1] == "-m pytest -k cli"
    assert project.make("test")[1] == ["-m pytest"]
    project.change("requirements.txt")
    assert installs(project.make("test")[1]) == ["requirements.txt", "requirements-dev.txt"]


def test_an_install_that_broke_off_is_done_again(project: Project) -> None:
    (project.folder / "broken").touch()
    code, asked, _ = project.make("run", "PYTHON=./python-a")
    assert code != 0
    assert "app.py" not in asked
    (project.folder / "broken").unlink()
    _, asked, _ = project.make("run")
    assert installs(asked) == ["requirements.txt"]
    assert asked[-1] == "app.py"


def test_another_interpreter_makes_another_environment(project: Project) -> None:
    project.make("run", "PYTHON=./python-a")
    assert project.make("run", "PYTHON=./python-a")[1] == ["app.py"]
    assert installs(project.make("run", "PYTHON=./python-b")[1]) == ["requirements.txt"]
    (project.folder / ".venv" / "bin" / "python").unlink()  # as when its Python was removed from the machine
    assert installs(project.make("run", "PYTHON=./python-b")[1]) == ["requirements.txt"]


def test_a_python_of_the_wrong_version_is_refused_in_plain_words(project: Project) -> None:
    (project.folder / "too-old").touch()
    code, asked, said = project.make("run", "PYTHON=./python-a")
    assert code != 0
    assert not [line for line in asked if "venv" in line]
    assert "Restore needs Python 3.11 or 3.12" in said
    assert not (project.folder / ".venv").exists()
