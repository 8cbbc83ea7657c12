"""The HTML of the page: it says what is so, in both languages, and nothing from outside becomes HTML."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import restore
from restore.catalog import checkpoints
from restore.errors import BusyError, GoneError, InputError, LimitError, RestoreError, WeightsError
from restore.inventory import DeviceFacts, ModelState, model_facts
from restore.jobs import StageProgress
from restore.media.images import ImageInfo
from restore.progress import Position
from restore.settings import Settings
from restore.ui import markup

HOSTILE = '<img src=x onerror="alert(1)">'
ESCAPED = "&lt;img src=x onerror="


class Reader(HTMLParser):
    """What a reader of one language gets of a piece of HTML: its words, its rows, and the words of its bars."""

    def __init__(self, html: str, language: str) -> None:
        super().__init__()
        self.hidden = "restore-zh" if language == "en" else "restore-en"
        self.words: list[str] = []
        self.rows: list[list[str]] = []
        self.bars: list[dict[str, str | None]] = []
        self.tags: list[str] = []
        self._hiding: list[bool] = []
        self.feed(html)
        self.close()
        assert not self._hiding, "a tag is not closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append(tag)
        if tag == "br":
            return
        hiding = any(self._hiding) or self.hidden in str(given.get("class", "")).split()
        self._hiding.append(hiding)
        if given.get("role") == "progressbar" and not hiding:
            self.bars.append(given)
        if tag == "tr":
            self.rows.append([])
        if tag in ("th", "td"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        self._hiding.pop()

    def handle_data(self, data: str) -> None:
        if any(self._hiding):
            return
        self.words.append(data)
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data

    @property
    def table(self) -> dict[str, str]:
        return {row[0]: " ".join(row[1:]) for row in self.rows}


def words(html: str, language: str) -> str:
    return " ".join(" ".join(Reader(html, language).words).split())


def a_report(**changes: Any) -> dict[str, Any]:
    model = {
        "name": "built-in",
        "file": "compact_x4.safetensors",
        "sha256": "",
        "origin": "built-in",
        "verified": True,
        "revision": None,
        "licence": "Apache-2.0",
        "commercial": True,
    }
    stage = {
        "settings": {"stage": "upscale", "model": "built-in", "material": "photo"},
        "models": [model],
        "device": "cuda:1",
        "precision": "bfloat16",
        "plan": {"tile": 512, "context": 14},
        "notes": [],
    }
    return {
        "target": "photo_restored.png",
        "source_size": [100, 50],
        "target_size": [400, 200],
        "stages": [stage],
        "seconds": 125.0,
        "carried": [],
        "dropped": [],
        "warnings": [],
        **changes,
    }


def test_a_real_report_is_a_table_in_both_languages(tmp_path: Path) -> None:
    Image.fromarray(np.full((20, 30, 4), 200, np.uint8)).save(tmp_path / "in.png", dpi=(300, 300))
    steps = [{"stage": "upscale", "scale": 2}]
    made = restore.restore_image(tmp_path / "in.png", tmp_path / "out.jpg", steps)
    html = markup.report(json.loads(made.to_json()), 4_000_000)
    table = Reader(html, "en").table
    assert table["Result"] == "JPG, 4.0 MB, 60 × 40 pixels, from 30 × 20"
    assert table["Model"].split() == ["Built-in", "(x4)", "comes", "with", "the", "program", "Apache-2.0"]
    why = "Automatic: Real-ESRGAN general v3 is the first choice for “Photo” on this device, but could not be had"
    assert table["Why this one"] == why, "and no more: how to get it is said in the warning below"
    assert table["Device"] == f"Processor · {made.stages[0].precision}"
    assert table["Tiles"] == "The whole picture in one piece"
    assert re.fullmatch(r"[\d.]+ s", table["Time"])
    assert "resolution" in table["Carried over"]
    assert table["Not carried over"].startswith("transparency: ")
    assert table["Warnings"] == made.warnings[0]

    chinese = Reader(html, "zh").table
    assert list(chinese) == ["结果", "模型", "选择理由", "设备", "分块", "用时", "已保留", "未保留", "警告"]
    assert chinese["结果"] == "JPG，4.0 MB，60 × 40 像素（原图 30 × 20）"
    assert chinese["模型"].startswith("内置模型（4 倍）")


def test_a_report_says_what_to_be_careful_about() -> None:
    data = a_report(carried=["16 bits"])
    data["stages"][0]["models"][0] |= {"licence": "CC-BY-NC-4.0", "commercial": False, "verified": False}
    data["stages"].append(a_report()["stages"][0] | {"models": []})
    table = Reader(markup.report(data), "en").rows
    assert [
        "Model",
        "Built-in (x4) comes with the program CC-BY-NC-4.0 non-commercial use only not verified",
    ] in table
    assert ["Model", "None: the picture was only resampled"] in table
    assert ["Device", "Graphics card · bfloat16"] in table
    assert ["Tiles", "512 × 512 pixels each, with 14 of context"] in table
    assert ["Time", "2 min 5 s"] in table
    assert table.count(["Step", "Upscale"]) == 2
    assert Reader(markup.report(data), "zh").table["已保留"] == "16 位色深"


def test_the_first_choice_of_auto_needs_no_excuse() -> None:
    data = a_report()
    data["stages"][0]["settings"] |= {"model": "auto", "material": "faithful"}
    data["stages"][0] |= {"device": "cpu", "notes": ["auto took built-in: the choice."]}
    row = Reader(markup.report(data), "en").table["Why this one"]
    assert row == "Automatic: the first choice for “Keep it faithful” on this device"


def test_a_stage_without_a_material_says_in_its_notes_what_it_chose() -> None:
    stage = a_report()["stages"][0]
    chosen = {"settings": {"stage": "interpolate", "model": "auto"}, "notes": ["auto took it."]}
    data = a_report(stages=[stage | chosen, stage | chosen | {"models": [], "notes": ["auto took none."]}])
    rows = Reader(markup.report(data), "en").rows
    assert ["Step", "Interpolate"] in rows
    assert ["Notes", "auto took it."] in rows
    assert ["Model", "Built-in: the motion itself was followed"] in rows
    assert ["Notes", "auto took none."] in rows
    assert not [row for row in rows if row[0] == "Why this one"]


def test_progress_names_the_step_and_reads_in_one_language() -> None:
    stages = [
        StageProgress(Position("first", 0, 2, 1, 1, "tiles"), None),
        StageProgress(Position("upscale", 1, 2, 3_100_000, 4_900_000, "bytes"), 12.0),
        StageProgress(Position("upscale", 1, 2, 2.4, 12, "tiles"), 125.0),
        StageProgress(Position("faces", 1, 2, 3, 12, "faces"), None),
    ]
    html = markup.progress(stages, 25.0)
    english, chinese = Reader(html, "en"), Reader(html, "zh")
    assert "Working, 25 s" in " ".join(english.words)
    assert [(bar["aria-label"], bar["aria-valuenow"], bar["aria-valuetext"]) for bar in english.bars] == [
        ("Download of the model, 2 of 2", "63", "3.1 MB of 4.9 MB · 63 % · about 12 s left"),
        ("Upscale, 2 of 2", "20", "tile 3 of 12 · 20 % · about 2 min 5 s left"),
        ("Faces, 2 of 2", "25", "face 4 of 12 · 25 %"),
    ]
    assert [(bar["aria-label"], bar["aria-valuetext"]) for bar in chinese.bars] == [
        ("下载模型（2 / 2）", "3.1 MB / 4.9 MB · 63% · 约剩 12 秒"),
        ("放大修复（2 / 2）", "第 3 块，共 12 块 · 20% · 约剩 2 分 5 秒"),
        ("人脸（2 / 2）", "第 4 张人脸，共 12 张 · 25%"),
    ]


def test_a_finished_tile_is_not_counted_beyond_the_last_and_the_last_stage_is_followed_by_saving() -> None:
    said = []
    for index in range(2):
        html = markup.progress([StageProgress(Position("upscale", index, 2, 12, 12, "tiles"), 0.0)], 1.0)
        (bar,) = Reader(html, "en").bars
        said.append((bar["aria-label"], bar["aria-valuenow"], bar["aria-valuetext"]))
    assert said == [
        ("Upscale, 1 of 2", "100", "tile 12 of 12 · 100 %"),
        ("Upscale, 2 of 2", "100", "done; the result is being saved"),
    ]


def test_a_job_that_waits_says_how_many_come_first() -> None:
    assert words(markup.waiting(2), "en") == "Waiting, 2 before you."
    assert words(markup.waiting(2), "zh") == "排队中，前面还有 2 个任务。"
    assert words(markup.waiting(0), "en") == "Waiting, you are next."


@pytest.mark.parametrize(
    ("error", "english", "chinese"),
    [
        (InputError("old.png is broken."), "This input cannot be used", "输入内容无法使用"),
        (LimitError("old.png is broken."), "This is more than is possible here", "超出了这里的限制"),
        (GoneError("old.png is broken."), "This result is no longer here", "该结果已不在服务器上"),
        (BusyError("old.png is broken."), "The server is busy", "服务器繁忙"),
        (type("Special", (WeightsError,), {})("old.png is broken."), "The model cannot be used", "模型无法使用"),
    ],
)
def test_an_error_has_a_heading_in_both_languages(error: RestoreError, english: str, chinese: str) -> None:
    html = markup.problem(error)
    assert words(html, "en") == f"{english} old.png is broken."
    assert words(html, "zh") == f"{chinese} old.png is broken."
    assert '<span lang="en">old.png is broken.</span>' in html


def test_an_error_that_nobody_foresaw_tells_nothing_of_its_own() -> None:
    html = markup.problem(OSError("/secret"))
    assert "secret" not in html
    assert "the log of the server has the details" in words(html, "en")
    assert "服务器日志" in words(html, "zh")


def test_what_is_at_hand_tells_every_state() -> None:
    facts = {each.name: each for each in model_facts(Settings())}
    damaged = replace(
        facts["realesr-animevideov3"],
        state=ModelState.DAMAGED,
        download_bytes=None,
        problem="Its file is damaged.",
        commercial=False,
        licence="CC-BY-NC-4.0",
    )
    here = replace(facts["RealESRNet_x4plus"], state=ModelState.ON_DISK, download_bytes=None, verified=False)
    partly = replace(facts["RealESRGAN_x4plus"], state=ModelState.ON_DISK, download_bytes=4_900_000, verified=True)
    models = [facts["built-in"], facts["realesr-general-x4v3"], here, partly, damaged]
    html = markup.inventory(DeviceFacts("Card 9000", "cuda", "bfloat16", 24_000_000_000), models)
    table = Reader(html, "en").table
    assert table["Graphics card"] == "Card 9000"
    assert table["Memory"] == "24.0 GB in all"
    assert table["Precision"] == "bfloat16"
    assert table["Built-in (x4)"].startswith("built in ")
    assert table["Real-ESRGAN general v3 first choice for photos"].startswith("needs 9.8 MB ")
    assert table["Real-ESRNet x4plus"].startswith("on disk not verified ")
    assert table["Real-ESRGAN x4plus"].startswith("on disk 4.9 MB more for all its settings Photos")
    assert table["Real-ESRGAN anime video v3"].startswith("its file is damagedIts file is damaged. ")
    assert table["Real-ESRGAN anime video v3"].endswith("CC-BY-NC-4.0 non-commercial use only")
    chinese = Reader(html, "zh").table
    assert chinese["Real-ESRGAN general v3 照片首选"].startswith("需下载 9.8 MB 照片与影片")


def test_limits_and_facts_of_a_picture() -> None:
    html = markup.limits(Settings(max_input_pixels=80_000_000, max_file_bytes=256 * 2**20))
    assert words(html, "en").endswith("HEIC or GIF, up to 256 MiB and 80 megapixels.")
    assert words(html, "zh").endswith("文件不超过 256 MiB，画面不超过 8000 万像素。")


def test_nothing_from_outside_becomes_html() -> None:
    data = a_report(
        target=f"x.{HOSTILE}",
        carried=[HOSTILE],
        dropped=[{"what": HOSTILE, "why": HOSTILE}],
        warnings=[HOSTILE, HOSTILE],
    )
    data["stages"][0]["models"][0] |= {"name": HOSTILE, "licence": HOSTILE}
    data["stages"][0]["settings"] |= {"model": "auto", "stage": HOSTILE}
    data["stages"][0] |= {"precision": HOSTILE, "notes": [HOSTILE]}
    data["stages"] *= 2
    entry = next(iter(checkpoints()))
    (facts,) = (each for each in model_facts(Settings()) if each.name == entry)
    position = Position(HOSTILE, 0, 2, 1, 2, "tiles")
    pieces = {
        "report": markup.report(data),
        "facts": markup.facts(ImageInfo(1, 1, HOSTILE, 1), 1),
        "problem": markup.problem(InputError(HOSTILE)),
        "progress": markup.progress([StageProgress(position, None)], 1.0),
        "inventory": markup.inventory(
            DeviceFacts(HOSTILE, "cpu", HOSTILE, 1), [replace(facts, licence=HOSTILE, problem=HOSTILE)]
        ),
    }
    for name, html in pieces.items():
        assert "img" not in Reader(html, "en").tags, name
        assert ESCAPED in html, name


def test_times_and_sizes() -> None:
    times = {0.42: "0.4 s", 9.96: "10 s", 59.4: "59 s", 125: "2 min 5 s", 3900: "1 h 5 min"}
    assert {seconds: markup.duration(seconds).en for seconds in times} == times
    assert markup.duration(3900).zh == "1 小时 5 分"
    sizes = {999: "999 B", 1500: "1.5 kB", 999_949: "999.9 kB", 999_950: "1.0 MB", 24_350_000_000: "24.4 GB"}
    assert {length: markup.file_size(length) for length in sizes} == sizes
