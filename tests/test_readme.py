"""What the README says: its tables are those of the program, its files are there, and its snippets run."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import av
import pytest
from PIL import Image

import restore
from restore import catalog
from restore.inventory import speed_of
from restore.settings import VARIABLES
from tests.clips import pictures, write_clip
from tests.server import Server, running

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
LIMIT = 240.0  # seconds that a snippet may take on a busy machine


def section(title: str) -> str:
    return README.split(f"\n## {title}\n")[1].split("\n## ")[0]


def snippet(title: str, language: str) -> str:
    (text,) = re.findall(rf"^```{language}\n(.*?)^```$", section(title), flags=re.DOTALL | re.MULTILINE)
    return str(text)


def table(title: str) -> list[list[str]]:
    """The rows of the table below a heading of the README, as plain words."""
    lines = [line for line in section(title).splitlines() if line[:1] == "|"]
    return [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in lines[2:]]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what the snippets talk of, this interpreter as ``python``, and no network."""
    folder = tmp_path / "here"
    (folder / "scans" / "sub").mkdir(parents=True)
    ramp = Image.linear_gradient("L").resize((96, 54)).convert("RGB")
    for name in ("old.jpg", "scans/a.jpg", "scans/sub/b.png"):
        ramp.save(folder / name)
    write_clip(folder / "film.mp4", pictures(20))
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (programs / "python").chmod(0o755)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The page as ``make share`` starts it, on a machine from which no relay can be reached."""
    nowhere = {"HTTPS_PROXY": "http://127.0.0.1:9", "PYTHONUNBUFFERED": "1"}
    with running(tmp_path_factory.mktemp("server"), GRADIO_SHARE="True", **nowhere) as server:
        yield server


def run(*words: str) -> str:
    """The standard output of a command that has to succeed."""
    done = subprocess.run(words, capture_output=True, text=True, timeout=LIMIT, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def width(path: Path) -> int:
    with Image.open(path) as picture:
        return picture.width


def test_the_commands_do_what_it_says(here: Path) -> None:
    out = run("bash", "-euo", "pipefail", "-c", snippet("On the command line", "bash"))
    for name, expected in (
        ("new.png", 384),
        ("large.webp", 192),
        ("restored/a.jpg", 384),
        ("restored/sub/b.png", 384),
    ):
        assert width(here / name) == expected
    reports = json.loads((here / "report.json").read_text(encoding="utf-8"))["files"]
    assert [report["stages"][0]["settings"]["material"] for report in reports] == ["scan", "scan"]
    assert "RealESRGAN_x4plus" in out


@pytest.mark.slow
def test_the_commands_for_clips_do_what_it_says(here: Path) -> None:
    (here / "frames").mkdir()
    for number, pixels in enumerate(pictures(3)):
        Image.fromarray(pixels).save(here / "frames" / f"{number:05d}.png")
    out = run("bash", "-euo", "pipefail", "-c", snippet("Clips", "bash"))
    assert "25 frames per second, 20 frames" in out
    for name, frames, codec in (("large.mp4", 20, "h264"), ("part.mkv", 10, "hevc"), ("joined.mp4", 3, "h264")):
        with av.open(str(here / name)) as clip:
            video = clip.streams.video[0]
            assert (video.codec_context.name, video.width, video.height) == (codec, 192, 128)
            assert sum(1 for _ in clip.decode(video)) == frames


@pytest.mark.slow
def test_the_commands_and_the_python_for_whole_films_do_what_it_says(here: Path) -> None:
    out = run("bash", "-euo", "pipefail", "-c", snippet("Whole films", "bash"))
    assert "phone-clip" in out
    assert "192×128, 50 frames a second" in out  # --recipe
    assert "384×256, 50 frames a second" in out  # --process-order
    assert json.loads((here / "my.json").read_text(encoding="utf-8"))["steps"][-1]["stage"] == "interpolate"
    for name, codec in (("restored.mp4", "h264"), ("again.mkv", "hevc")):
        video = restore.probe(here / name).video
        assert (video.width, video.height, video.frames, video.codec) == (192, 128, 40, codec)
    lines = run(sys.executable, "-c", snippet("Whole films", "python")).splitlines()
    assert lines[0].startswith("(192, 128) 50 ")
    assert lines[1:] == ["(192, 128) 50 40", "['upscale', 'faces']"]


@pytest.mark.slow
def test_the_commands_and_the_python_for_interpolation_do_what_it_says(here: Path) -> None:
    run("bash", "-euo", "pipefail", "-c", snippet("Frame interpolation", "bash"))
    for name, frames, seconds in (("smooth.mp4", 48, 0.8), ("slow.mp4", 40, 1.6), ("even.mp4", 40, 0.8)):
        video = restore.probe(here / name).video
        assert (video.frames, float(video.duration or 0)) == (frames, pytest.approx(seconds, abs=0.001))
    out = run(sys.executable, "-c", snippet("Frame interpolation", "python"))
    assert out.split() == ["60000/1001", "48"]
    assert restore.probe(here / "both.mp4").video.width == 192


@pytest.mark.slow
def test_the_commands_and_the_python_for_colour_do_what_it_says(here: Path) -> None:
    run("bash", "-euo", "pipefail", "-c", snippet("Colour", "bash"))
    with Image.open(here / "coloured.png") as picture:
        red, _, blue = picture.convert("RGB").split()
    assert red.tobytes() != blue.tobytes()
    assert restore.probe(here / "coloured.mp4").video.frames == 20
    assert restore.probe(here / "wanted.mp4").video.frames == 20
    assert run(sys.executable, "-c", snippet("Colour", "python")).split() == ["(192,", "108)", "built-in-colour"]


def test_the_python_runs(here: Path) -> None:
    out = run(sys.executable, "-W", "error::DeprecationWarning:__main__", "-c", snippet("In Python", "python"))
    assert out.startswith("(384, 216) built-in ")


def test_the_client_gets_its_result_and_gets_it_again(here: Path, server: Server) -> None:
    code = snippet("From a program", "python").replace("http://127.0.0.1:7860", server.url.rstrip("/"))
    code += "print(path)\nprint(coloured)\n"
    first, models, second, coloured = run(sys.executable, "-c", code).splitlines()[-4:]
    assert first.endswith(" [192, 108]")
    assert "'built-in'" in models
    assert Path(first.removesuffix(" [192, 108]")).read_bytes() == Path(second).read_bytes()
    assert width(Path(second)) == 192
    assert Path(coloured).name == "old_restored.jpg"
    assert width(Path(coloured)) == 96


@pytest.mark.slow
def test_the_client_begins_a_film_and_gets_it_later(here: Path, server: Server) -> None:
    code = snippet("From a program", "py").replace("http://127.0.0.1:7860", server.url.rstrip("/"))
    foreseen, result = run(sys.executable, "-c", code).splitlines()[-2:]
    assert foreseen.startswith("[192, 128] 50 ")
    assert result.endswith("film_restored.mp4 [192, 128] 40")


def test_curl_gets_its_result(here: Path, server: Server) -> None:
    commands = snippet("From a program", "bash").replace("http://127.0.0.1:7860", server.url.rstrip("/"))
    run("bash", "-euo", "pipefail", "-c", commands)
    with Image.open(here / "large.png") as picture:
        assert (picture.format, picture.size) == ("PNG", (192, 108))


def test_without_a_connection_there_is_no_link_but_the_page_is_there(server: Server) -> None:
    deadline = time.monotonic() + LIMIT
    while "Could not create share link" not in server.log.read_text():
        assert time.monotonic() < deadline, server.log.read_text()
        time.sleep(0.2)
    with urllib.request.urlopen(server.url, timeout=30) as answer:
        assert answer.status == 200


def test_the_readme_lists_the_models_that_enlarge_frame_by_frame() -> None:
    listed = {name: (scale, size, licence) for name, scale, size, licence, _ in table("Models")}
    entries = catalog.read_catalogue(catalog.FOLDER / "upscale.toml")
    assert list(listed) == list(entries)
    for name, (scale, size, licence) in listed.items():
        entry = entries[name]
        assert scale == f"{entry.scale} times"
        about = "" if entry.size else "about "
        assert entry.download_bytes is not None
        assert size == ("comes with it" if entry.package_file else f"{about}{entry.download_bytes / 1e6:.1f} MB")
        assert licence == entry.licence
    assert ("All of these may be used commercially" in README) == all(entry.commercial for entry in entries.values())


def test_the_list_of_models_has_every_model_that_a_stage_offers_with_size_and_licence() -> None:
    text = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `([\w.+-]+)` \| (.* \[(?:here|the Hub|its authors)\].*) \|$", text, re.MULTILINE))
    offered = {name: entry for name, entry in catalog.checkpoints().items() if entry.stages}
    assert rows.keys() == offered.keys()
    for name, entry in offered.items():
        cells = rows[name].split(" | ")
        assert cells[0] == entry.description
        assert cells[-2] == entry.licence + ("" if entry.commercial else ", not for commercial use")
        assert entry.package_file or f"{(entry.download_bytes or 0) / 1e6:.1f} MB" in cells[-3]
        assert speed_of(entry) in (None, cells[1])


def test_the_readme_lists_the_settings_with_their_defaults() -> None:
    assert dict(table("Settings")) == VARIABLES


def test_every_file_that_the_documents_name_is_there() -> None:
    for document in ("README.md", "THIRD_PARTY.md"):
        text = (ROOT / document).read_text(encoding="utf-8")
        named = re.findall(r"\]\((?!https?:)([^)#]+)\)", text)
        named += re.findall(r"`((?:restore|docs|training|tests|\.ci)/[^`]*|[A-Za-z_]+\.(?:md|txt|py))`", text)
        assert named
        for name in named:  # from the top, or of the package, which the text is about
            assert (ROOT / name).exists() or (ROOT / "restore" / name).exists(), f"{document} names {name}"
