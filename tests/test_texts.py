"""The two languages: the texts are whole and all of them are used, and a browser shows the one that is asked for."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Set
from pathlib import Path
from typing import Any, get_args

import pytest
from playwright.sync_api import Browser, Page, expect

from restore import errors, stages
from restore.chain import DECODE, ENCODE
from restore.errors import RestoreError
from restore.inventory import ModelState, Speed
from restore.jobs import State
from restore.media.clips.encoders import KINDS
from restore.media.clips.facts import Scan
from restore.media.clips.reader import Deinterlace
from restore.stages.interpolate import Sound
from restore.stages.material import MATERIALS
from restore.ui import cut_panel, language, side_by_side, texts
from restore.ui.clip_preview import PREVIEW, PREVIEW_OF_SOURCE
from restore.ui.interpolate_options import SEARCHES
from restore.ui.pace_presets import PACES
from restore.ui.presets import SIZES
from restore.ui.texts import Text, both, label, text
from restore.ui.untouched_fields import BY_HAND, CHOICES
from tests.browser import browser as browser
from tests.server import Server, running

UI = Path(texts.__file__).parent
CHINESE = re.compile("[一-鿿]")

WITH_A_NAME = {kind.stage for kind in (stages.Upscale, stages.Faces, stages.Interpolate)}
DEVICES = {"cpu", "cuda", "mps"}
FAMILIES: dict[str, Set[str]] = {
    "preset": set(MATERIALS),
    "material": set(MATERIALS),
    "error": {name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, RestoreError)},
    "stage": {
        *WITH_A_NAME,
        stages.Colorize.stage,
        stages.Clean.stage,
        "gpu",
        DECODE,
        ENCODE,
        PREVIEW,
        PREVIEW_OF_SOURCE,
        side_by_side.STAGE,
        cut_panel.LOOK,
    },
    "no_model": {*WITH_A_NAME, stages.Clean.stage},
    "clip_preset": set(MATERIALS),
    "clip_material": set(MATERIALS),
    "size": set(SIZES),
    "pace": set(PACES),
    "slow_sound": set(get_args(Sound)),
    "search": set(SEARCHES),
    "untouched": {*CHOICES, BY_HAND},
    "codec": set(KINDS),
    "deinterlace": set(get_args(Deinterlace)),
    "cut": {"start", "end"},
    "scan": set(get_args(Scan)) - {"progressive"},
    "group": {"per_frame", "uses_time"},
    "speed": set(get_args(Speed)),
    "job_state": {state.value for state in State},
    "model_state": {state.name.lower() for state in ModelState},
    "device_kind": DEVICES,
    "memory_of": DEVICES,
    "origin": {"built-in", "mirror", "hub", "url", "local"},
    "gradio": set(language.CONTROLS),
    "kept_of": {"alpha", "exif", "icc_profile", "resolution"},
}
"""The families whose members the page picks by a name that the program gives: there must be one for each."""


def keys_in(node: ast.expr) -> Iterator[str]:
    """The keys that an argument can stand for; ``family.*`` where the member is known only when the page runs."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from keys_in(node.body)
        yield from keys_in(node.orelse)
    elif isinstance(node, ast.JoinedStr) and re.fullmatch(r"\w+\.", str(getattr(node.values[0], "value", ""))):
        assert len(node.values) == 2, "a key is a family and a member"
        yield f"{getattr(node.values[0], 'value', '')}*"
    else:
        raise AssertionError(f"write the key where it is used, not {ast.unparse(node)}")


def used_keys() -> set[str]:
    used: set[str] = set()
    for path in sorted(UI.glob("*.py")):
        if path.name == "texts.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = getattr(node.func, "id", getattr(node.func, "attr", "")) if isinstance(node, ast.Call) else ""
            if isinstance(node, ast.Call) and name in ("label", "both", "text"):
                used.update(keys_in(node.args[0]))
    return used


def test_every_text_is_used_and_none_is_missing() -> None:
    used = used_keys()
    families = {key.removesuffix(".*") for key in used if key.endswith(".*")}
    assert families <= FAMILIES.keys()
    expected = {key for key in used if not key.endswith(".*")}
    expected |= {f"{family}.{member}" for family in families for member in FAMILIES[family]}
    expected |= {"group.uses_time", "group.per_frame"}  # which restore/ui/texts.py itself puts into titles
    known = texts.texts().keys()
    assert not expected - known, "used, but not in texts.toml"
    assert not known - expected, "in texts.toml, but nothing uses it"


def test_the_chinese_is_chinese() -> None:
    for key, each in texts.texts().items():
        english, words = (re.sub(r"\{\w+\}", "", each_of) for each_of in (each.en, each.zh))
        assert CHINESE.search(words) or not re.search("[a-z]{3}", english), key
        assert not re.search(r"[一-鿿][,.;:!?]|[,.;:!?][一-鿿]", words), f"{key}: Chinese has its own punctuation"


@pytest.mark.parametrize(
    ("toml", "complaint"),
    [
        ('[a]\nen = "A"', r"\[a\]"),
        ('[a]\nen = "A"\nzh = ""', r"\[a\]"),
        ('[a]\nen = "A"\nzh = "甲"\nde = "Ah"', r"\[a\]"),
        ('[a.b]\nen = "{x}"\nzh = "{y}"', r"\[a\.b\].*braces"),
        ('a = "A"', r"\[a\]"),
    ],
)
def test_a_mistake_in_the_texts_is_named(tmp_path: Path, toml: str, complaint: str) -> None:
    path = tmp_path / "texts.toml"
    path.write_text(toml, encoding="utf-8")
    with pytest.raises(ValueError, match=complaint):
        texts.read_texts(path)


def test_what_is_filled_in_is_escaped_and_speaks_the_language_of_the_text() -> None:
    html = both("part_of", done="<img src=x onerror=alert(1)>", total=Text("all & more", "全部"))
    assert html == (
        '<span class="restore-en" lang="en">&lt;img src=x onerror=alert(1)&gt; of all &amp; more</span>'
        '<span class="restore-zh" lang="zh-Hans">&lt;img src=x onerror=alert(1)&gt; / 全部</span>'
    )
    assert both("kept_of.exif") == "EXIF", "what is the same in both languages is there once"


def test_a_wrong_use_of_a_text_is_noticed() -> None:
    for use in (lambda: text("nothing"), lambda: text("part_of", done=1), lambda: text("run", done=1)):
        with pytest.raises(KeyError):
            use()
    with pytest.raises(KeyError):
        label("nothing")
    with pytest.raises(KeyError, match="parameters"):
        label("part_of")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("texts"), ("-m", "tests.texts_page")) as program:
        yield program


Visit = Callable[..., Page]


@pytest.fixture
def visit(server: Server, browser: Browser) -> Iterator[Visit]:
    """Open the page in a browser of that locale."""
    contexts = []
    complaints: list[str] = []

    def open_page(locale: str, query: str = "", script: str = "", **parameters: Any) -> Page:
        context = browser.new_context(locale=locale, **parameters)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        if script:
            page.add_init_script(script)
        page.goto(server.url + query)
        page.locator("#run").wait_for()
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not complaints


def in_chinese(page: Page) -> None:
    expect(page.locator("html")).to_have_attribute("lang", "zh-Hans")
    expect(page.locator("#run")).to_have_text("开始")
    expect(page.get_by_role("tab", name="图像修复")).to_be_visible()
    expect(page.get_by_role("radio", name="老照片扫描件")).to_be_checked()
    expect(page.locator("#model input")).to_have_value("内置模型（4 倍）")
    expect(page.get_by_role("slider", name="修复强度：滑块", exact=True)).to_be_visible()
    expect(page.get_by_role("button", name="恢复默认值", exact=True)).to_be_visible()
    expect(page.locator("#introduction")).to_contain_text("修复", use_inner_text=True)
    expect(page.locator("#introduction")).not_to_contain_text("photos", use_inner_text=True)
    expect(page.get_by_role("button", name="简体中文")).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_role("button", name="English")).to_have_attribute("aria-pressed", "false")


def in_english(page: Page) -> None:
    expect(page.locator("html")).to_have_attribute("lang", "en")
    expect(page.locator("#run")).to_have_text("Run")
    expect(page.get_by_role("tab", name="Image restore")).to_be_visible()
    expect(page.get_by_role("radio", name="Old scan")).to_be_checked()
    expect(page.locator("#model input")).to_have_value("Built-in (x4)")
    expect(page.get_by_role("slider", name="range slider for Strength", exact=True)).to_be_visible()
    expect(page.get_by_role("button", name="Reset to default value", exact=True)).to_be_visible()
    expect(page.locator("#introduction")).to_contain_text("photos", use_inner_text=True)
    expect(page.locator("#introduction")).not_to_contain_text("修复", use_inner_text=True)
    expect(page.get_by_role("button", name="English")).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_role("button", name="简体中文")).to_have_attribute("aria-pressed", "false")


@pytest.mark.parametrize("locale", ["zh-CN", "zh-Hans-CN", "zh-TW"])
def test_a_chinese_browser_gets_chinese(visit: Visit, locale: str) -> None:
    in_chinese(visit(locale))


@pytest.mark.parametrize("locale", ["en-GB", "de"])
def test_every_other_browser_gets_english_throughout(visit: Visit, locale: str) -> None:
    in_english(visit(locale))


def test_the_switch_changes_everything_at_once_and_loses_nothing(visit: Visit) -> None:
    page = visit("en")
    in_english(page)
    page.get_by_label("Save as").fill("of the visitor")
    page.get_by_role("button", name="简体中文").focus()
    page.keyboard.press("Enter")
    in_chinese(page)
    expect(page.get_by_label("保存格式")).to_have_value("of the visitor")
    page.locator("#run").click()
    expect(page.locator("#status")).to_have_text(re.compile("已停止"), use_inner_text=True)
    expect(page.locator("#download")).to_have_text("下载 (PNG)")
    page.reload()
    in_chinese(page)  # the choice is remembered
    page.get_by_role("button", name="English").click()
    in_english(page)


def test_a_link_decides_until_the_visitor_does(visit: Visit) -> None:
    page = visit("en", "?lang=zh&job=7")
    in_chinese(page)
    page.get_by_role("button", name="English").click()
    in_english(page)
    assert page.url.endswith("/?job=7")
    page.reload()
    in_english(page)


def test_the_page_follows_the_settings_of_gradio(visit: Visit) -> None:
    page = visit("en")
    in_english(page)
    page.get_by_role("button", name="Settings").click()

    def choose(language: str) -> None:
        chooser = page.locator("[role=combobox]:enabled")
        chooser.click()
        chooser.fill(language)
        chooser.press("Enter")

    choose("简体中文")
    expect(page.locator("html")).to_have_attribute("lang", "zh-Hans")
    expect(page.locator("#run")).to_have_text("开始")
    choose("Deutsch")  # the texts of this page are then English, and say so
    expect(page.locator("#run")).to_have_text("Run")
    expect(page.locator("html")).to_have_attribute("lang", "en")


def test_without_gradios_module_the_switch_goes_and_the_page_stays(visit: Visit) -> None:
    hide = """
      performance.getEntriesByType = () => [];
      const all = document.querySelectorAll.bind(document);
      document.querySelectorAll = (what) => (what.includes("modulepreload") ? [] : all(what));
    """
    page = visit("zh-CN", script=hide)
    expect(page.locator("#run")).to_have_text("开始")
    expect(page.get_by_role("button", name="English")).to_be_hidden()
    expect(page.locator("html")).to_have_attribute("lang", "zh-Hans")
