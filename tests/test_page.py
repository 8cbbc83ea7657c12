"""The page, as a visitor has it: the real program on a port of its own, driven by a real browser."""

from __future__ import annotations

import base64
import json
import re
import secrets
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect

import restore
from restore.errors import SettingsError
from restore.models import AUTO, BUILT_IN, for_pictures
from restore.settings import MEGA, Settings
from restore.stages.material import MATERIALS
from restore.ui import examples, preview
from restore.ui.options import LARGEST_TILE, UpscaleOptions
from restore.ui.presets import PRESETS
from tests.browser import browser as browser
from tests.server import Server, running

WORK_MILLISECONDS = 60_000.0  # for a small picture, on a machine that is busy with something else

Visit = Callable[..., Page]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("page"), RESTORE_MAX_FILE_MB="30") as started:
        yield started
        assert "Traceback" not in started.log.read_text()


@pytest.fixture
def visit(server: Server, browser: Browser) -> Iterator[Visit]:
    """Open the page in a browser of its own, as another visitor would; an error in the page's scripts is a failure."""
    contexts, errors = [], []

    def open_page(query: str = "", locale: str = "en-US", width: int = 1280, theme: str = "light") -> Page:
        context = browser.new_context(
            locale=locale,
            viewport={"width": width, "height": 850},
            color_scheme=theme,  # type: ignore[arg-type]  # one of the two that there are
            permissions=["clipboard-read", "clipboard-write"],
        )
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(error))
        page.goto(f"{server.url}{query}")
        page.locator(
            "#run:visible, #clip-run:visible, #pace-run:visible, #colour-run:visible, #film-run:visible"
        ).first.wait_for()  # in whichever tab the address asks for
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not errors


def give(page: Page, path: Path) -> None:
    """Put a file into the upload, in place of the one that is there."""
    clear = page.locator("#upload .icon-button-wrapper button").last
    if clear.count():
        clear.click()
    page.locator("#upload input[type=file]").set_input_files(path)


def give_picture(page: Page, path: Path) -> None:
    give(page, path)
    page.locator("#shown img").wait_for()


def unfold(page: Page, name: str) -> None:
    page.locator(f"#{name} > button").click()


def choose(page: Page, label: str, option: str) -> None:
    page.get_by_label(label, exact=True).click()
    page.get_by_role("option", name=option).click()


def faithfully(page: Page) -> None:
    """Choose the card whose model is built in, so that nothing has to be downloaded."""
    page.get_by_role("radio", name="Keep it faithful").check()


def gradient(path: Path, width: int, height: int) -> Path:
    Image.linear_gradient("L").resize((width, height)).convert("RGB").save(path)
    return path


def start_long_work(page: Page, folder: Path) -> Locator:
    """A picture that takes far longer than any test; returns its bar when its first tiles are done."""
    give_picture(page, gradient(folder / "large.png", 4000, 3000))
    faithfully(page)
    page.locator("#run").click()
    bar = page.locator("#status").get_by_role("progressbar", name="Upscale")
    expect(bar).not_to_have_attribute("aria-valuenow", "0", timeout=30_000)
    return bar


def stop_in_time(page: Page) -> None:
    page.locator("#stop").click()
    # Far sooner than the work would take.
    expect(page.locator("#status")).to_contain_text("Stopped; nothing was kept.", timeout=15_000)
    expect(page.locator("#stop")).to_be_disabled()


def run_small(page: Page, folder: Path) -> None:
    """From a picture to its result."""
    give_picture(page, gradient(folder / "small.png", 20, 10))
    faithfully(page)
    page.locator("#run").click()
    expect(page.locator("#status")).to_contain_text("Finished", timeout=WORK_MILLISECONDS)


def downloaded(page: Page, button: str) -> tuple[str, bytes]:
    """The name under which the browser saves the file behind a button, and its bytes.

    The bytes are fetched once more, because Playwright would wait for ever for a download that does not end.
    """
    with page.expect_download(timeout=WORK_MILLISECONDS) as download:
        page.locator(button).click(timeout=WORK_MILLISECONDS)
    answer = page.request.get(download.value.url, timeout=WORK_MILLISECONDS)
    assert answer.ok, answer.status
    return download.value.suggested_filename, answer.body()


def eventually(condition: Callable[[], bool], seconds: float = 5.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


def scene(width: int, height: int) -> np.ndarray:
    """Soft waves of colour, (height, width, 3) in [0, 1]: something that enlarging hardly changes."""
    x, y = np.meshgrid(np.linspace(0, 3, width), np.linspace(0, 2, height))
    return np.stack([0.5 + 0.4 * np.sin(x + y), 0.5 + 0.4 * np.cos(2 * x), 0.5 + 0.4 * np.sin(3 * y)], axis=2)


def test_a_picture_comes_back_enlarged_with_viewer_download_report_and_link(
    server: Server, visit: Visit, tmp_path: Path
) -> None:
    page = visit()
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.reload()
    page.locator("#run").wait_for()
    source = tmp_path / "Grandma & I.png"
    Image.fromarray((scene(60, 40) * 255).astype(np.uint8)).save(source)
    give_picture(page, source)
    expect(page.locator("#facts")).to_contain_text("PNG, 60 × 40 pixels")
    unfold(page, "advanced")
    choose(page, "Model", "Built-in")
    page.locator("#scale input[type=number]").fill("2")
    page.locator("#scale input[type=number]").press("Enter")
    page.locator("#run").click()

    name, data = downloaded(page, "#download")
    assert name == "Grandma _ I_restored.png"
    expected = tmp_path / name
    # The numbers as JavaScript writes them, because the recipe is in the file.
    stage = restore.Upscale(model=BUILT_IN, scale=2, strength=1)
    report = restore.restore_image(source, expected, [stage], settings=Settings())
    assert data == expected.read_bytes()  # so nothing on the way has touched a pixel or what came with them
    expect(page.locator("#download")).to_contain_text(f"Download (PNG, {len(data) / 1000:.1f} kB)")

    pictures = page.locator("#viewer .restore-port img")
    assert pictures.evaluate_all("all => all.map(one => [one.naturalWidth, one.naturalHeight])") == [[120, 80]] * 2
    divider, box = page.locator("#viewer").get_by_role("slider"), page.locator("#viewer .restore-port").bounding_box()
    assert box is not None
    expect(divider).to_have_attribute("aria-valuenow", "50")
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.45, box["y"] + box["height"] / 2, steps=4)
    page.mouse.up()
    assert int(divider.get_attribute("aria-valuenow") or 50) < 50

    table = page.locator("#report table")
    expect(table).to_contain_text("120 × 80 pixels, from 60 × 40")
    expect(table.get_by_role("row", name="Model")).to_contain_text("Built-in")
    written = json.loads(downloaded(page, "#report-file")[1])
    assert written["recipe"] == dict(report.recipe)
    assert str(server.files) not in json.dumps(written)
    unfold_full = page.get_by_role("button", name="Report in full")
    unfold_full.click()
    expect(page.locator("#report-data")).to_contain_text("target_size")

    job = re.fullmatch(rf"{re.escape(server.url)}\?job=([\w-]{{22}})", page.url)
    assert job
    expect(page.locator("#kept a")).to_have_text(page.url)
    assert all(url.startswith((server.url, "data:", "blob:")) for url in requests)  # it works without a network
    assert all(path.is_dir() for path in server.files.iterdir())  # no stray file beside the folders of uploads


def test_16_bits_go_in_and_come_out_and_what_cannot_be_is_said_at_once(visit: Visit, tmp_path: Path) -> None:
    page = visit()
    deep = (scene(50, 30) * 65535).astype(np.uint16)
    assert cv2.imwrite(str(tmp_path / "deep.tif"), deep)
    give_picture(page, tmp_path / "deep.tif")
    expect(page.locator("#facts")).to_contain_text("TIFF, 50 × 30 pixels")
    faithfully(page)
    choose(page, "Size", "Full HD")
    expect(page.get_by_role("slider", name="Scale")).to_be_disabled()
    page.locator("#run").click()
    # 1920 x 1080 is more than eight times as large: a sentence, and the page goes on.
    expect(page.get_by_test_id("toast-body")).to_contain_text("choose a smaller target", timeout=WORK_MILLISECONDS)
    expect(page.locator("#status").get_by_role("alert")).to_contain_text("choose a smaller target")
    choose(page, "Size", "By the scale")
    page.locator("#run").click()
    name, data = downloaded(page, "#download")
    assert name == "deep_restored.tif"
    result = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert (result.dtype, result.shape) == (np.uint16, (120, 200, 3))
    assert len(np.unique(result)) > 10_000  # 8 bits on the way would leave 256

    unfold(page, "advanced")
    choose(page, "Save as", "PNG")
    page.locator("#run").click()
    expect(page.locator("#download")).to_contain_text("PNG", timeout=WORK_MILLISECONDS)
    name, data = downloaded(page, "#download")
    assert name == "deep_restored.png"
    assert cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED).dtype == np.uint16


@pytest.mark.slow
def test_progress_is_told_in_tiles_and_a_page_that_was_loaded_again_can_stop_the_work(
    server: Server, visit: Visit, tmp_path: Path
) -> None:
    page = visit()
    before = set(server.jobs())
    bar = start_long_work(page, tmp_path)
    assert re.search(r"tile \d+ of \d+ · \d+ % · about .+ left", bar.get_attribute("aria-valuetext") or "")
    (folder,) = set(server.jobs()) - before
    expect(page.locator("#run")).to_be_disabled()

    page.reload()
    reached = int(bar.get_attribute("aria-valuenow", timeout=30_000) or "")
    expect(bar).not_to_have_attribute("aria-valuenow", str(reached), timeout=30_000)
    expect(page.locator("#run")).to_be_disabled()
    stop_in_time(page)
    assert not folder.exists()
    run_small(page, tmp_path)


@pytest.mark.slow
def test_a_job_outlives_its_page_and_its_address_shows_the_result_to_another_browser(
    visit: Visit, tmp_path: Path
) -> None:
    page = visit()
    source = gradient(tmp_path / "middling.png", 700, 500)
    give_picture(page, source)
    faithfully(page)
    page.locator("#run").click()
    expect(page).to_have_url(re.compile("job="), timeout=WORK_MILLISECONDS)
    address = page.url
    assert "Finished" not in page.locator("#status").inner_text()  # or the test shows nothing
    page.context.close()

    other = visit(f"?{address.partition('?')[2]}&lang=zh")
    expect(other.locator("#status")).to_contain_text("已完成", timeout=WORK_MILLISECONDS)
    name, data = downloaded(other, "#download")
    assert name == "middling_restored.png"
    expected = tmp_path / name
    stage = restore.Upscale(scale=4, denoise=0, strength=1, material="faithful")
    restore.restore_image(source, expected, [stage], settings=Settings())
    assert data == expected.read_bytes()

    nobody = visit(f"?job={secrets.token_urlsafe(16)}")
    expect(nobody.locator("#status").get_by_role("alert")).to_contain_text("There is no such job any more")


@pytest.mark.slow
def test_visitors_wait_for_each_other_and_stop_their_own_work_only(visit: Visit, tmp_path: Path) -> None:
    first, second = visit(), visit()
    bar = start_long_work(first, tmp_path)
    give_picture(second, gradient(tmp_path / "small.png", 20, 10))
    faithfully(second)
    second.locator("#run").click()
    expect(second.locator("#status")).to_contain_text("Waiting, 1 before you.")
    stop_in_time(second)
    reached = int(bar.get_attribute("aria-valuenow") or "")
    expect(bar).not_to_have_attribute("aria-valuenow", str(reached), timeout=30_000)

    second.locator("#run").click()
    expect(second.locator("#status")).to_contain_text("Waiting")
    stop_in_time(first)
    expect(second.locator("#status")).to_contain_text("Finished", timeout=WORK_MILLISECONDS)


def test_a_double_click_begins_one_job(server: Server, visit: Visit, tmp_path: Path) -> None:
    page, folders = visit(), server.jobs()
    give_picture(page, gradient(tmp_path / "small.png", 20, 10))
    faithfully(page)
    page.locator("#run").dblclick()
    expect(page.locator("#status")).to_contain_text("Finished", timeout=WORK_MILLISECONDS)
    run_small(visit(), tmp_path)  # after which a second one of the double click would be through as well
    assert len(server.jobs()) == len(folders) + 2


DROP_TEXT = """() => {
  const dataTransfer = new DataTransfer();
  dataTransfer.items.add(new File(["Dear all,\\n"], "letter.txt", { type: "text/plain" }));
  const event = new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true });
  document.getElementById("status").dispatchEvent(event);
}"""


@pytest.mark.slow
def test_what_is_no_picture_gets_one_sentence_in_both_languages(server: Server, visit: Visit, tmp_path: Path) -> None:
    page = visit()
    page.locator("#run").click()
    toast = page.get_by_test_id("toast-body")
    expect(toast).to_contain_text("There is no picture yet: choose one first.")
    run_small(page, tmp_path)
    folders = server.jobs()

    (tmp_path / "<b>letter.png").write_text("Dear all,\n" * 20)
    give(page, tmp_path / "<b>letter.png")
    expect(page.locator("#facts").get_by_role("alert")).to_contain_text("letter.png is not a picture")
    page.locator("#run").click()
    expect(toast.last).to_contain_text("letter.png is not a picture")
    # Nothing of the run before stays, which would look like what came of this file.
    alert = page.locator("#status").get_by_role("alert")
    expect(alert).to_contain_text("letter.png is not a picture")
    expect(alert).to_contain_text("This input cannot be used")
    for element in ("#viewer .restore-viewer", "#download", "#report-file", "#kept", "#report"):
        expect(page.locator(element)).to_be_hidden()
    page.get_by_role("button", name="简体中文").click()
    expect(alert.get_by_text("输入内容无法使用")).to_be_visible()
    expect(alert.get_by_text("This input cannot be used")).to_be_hidden()
    assert "Traceback" not in page.content()
    assert not page.locator("#status b").count()
    assert server.jobs() == folders
    page.get_by_role("button", name="English").click()
    run_small(page, tmp_path)
    page.evaluate(DROP_TEXT)
    expect(page.locator("#facts").get_by_role("alert")).to_contain_text("letter.txt is not a picture")

    (tmp_path / "huge.png").write_bytes(bytes(31 * 2**20))
    give(page, tmp_path / "huge.png")
    alert = page.locator("#facts").get_by_role("alert")
    expect(alert).to_contain_text("huge.png has 31.0 MiB and at most 30.0 MiB are opened", timeout=15_000)


def test_a_card_sets_the_advanced_values_and_a_change_by_hand_leaves_the_card(visit: Visit) -> None:
    page = visit()
    unfold(page, "advanced")
    denoise, material = page.locator("#denoise input[type=number]"), page.get_by_label("Kind of picture")
    expect(page.locator("#model-note")).to_contain_text("Real-ESRGAN general v3")  # the choice for photos
    page.get_by_role("radio", name="Old scan").check()
    expect(material).to_have_value("Old scan")
    expect(denoise).to_have_value("0.8")
    choose(page, "Model", "Real-ESRGAN x4plus anime")
    expect(page.locator("#model-note")).to_contain_text("BSD-3-Clause")
    expect(page.locator("#denoise")).to_be_hidden()  # it would do nothing
    expect(page.locator("#preset input:checked")).to_have_count(0)
    choose(page, "Model", "Automatic")
    expect(page.get_by_role("radio", name="Old scan")).to_be_checked()
    page.get_by_role("radio", name="Keep it faithful").check()
    expect(material).to_have_value("Keep it faithful")
    expect(page.locator("#model-note")).to_contain_text("Takes Built-in")


def test_examples_and_what_is_pasted_become_the_upload(visit: Visit, tmp_path: Path) -> None:
    page = visit()
    page.locator("#examples").get_by_role("button", name="Old scan").click()
    expect(page.locator("#facts")).to_contain_text("321 × 378 pixels")
    expect(page.locator("#upload")).to_contain_text("old_scan")
    expect(page.get_by_role("radio", name="Old scan")).to_be_checked()

    picture = base64.b64encode(gradient(tmp_path / "clip.png", 33, 22).read_bytes()).decode()
    page.evaluate(
        """async (data) => {
          const blob = await (await fetch(`data:image/png;base64,${data}`)).blob();
          await navigator.clipboard.write([new ClipboardItem({ "image/png": blob })]);
        }""",
        picture,
    )
    page.locator("#introduction").click()
    page.keyboard.press("Control+V")
    expect(page.locator("#facts")).to_contain_text("PNG, 33 × 22 pixels")
    page.locator("#run").click()
    assert downloaded(page, "#download")[0] == "pasted_restored.png"


def test_all_models_are_tried_on_a_crop_and_one_is_taken_over(visit: Visit) -> None:
    page = visit()
    page.locator("#examples").get_by_role("button", name="Photo").click()
    page.locator("#shown img").wait_for()
    unfold(page, "tryout")
    picture = page.locator("#picker img")
    box = picture.bounding_box()
    assert box is not None
    picture.click(position={"x": box["width"] / 4, "y": box["height"] / 5})
    across = page.locator("#tryout-across input[type=number]")
    expect(across).to_have_value(re.compile("2[456]"))
    expect(page.locator("#tryout-down input[type=number]")).to_have_value(re.compile("19|20|21"))
    expect(page.locator("#tryout-download")).to_contain_text("MB")
    frame = page.locator("#picker .restore-crop")
    left = frame.evaluate("one => one.offsetLeft")
    across.fill("70")
    across.press("Enter")
    assert eventually(lambda: frame.evaluate("one => one.offsetLeft") > left)

    page.locator("#tryout-run").click()
    cells = page.locator("#tryout-grid .restore-cell")
    expect(cells).to_have_count(1 + len(for_pictures("upscale")), timeout=WORK_MILLISECONDS)
    expect(page.locator("#tryout-status")).to_contain_text("160 × 160 pixels of the picture, enlarged 4 times")
    for cell in cells.filter(has=page.locator("img")).all():
        expect(cell.locator("img")).to_have_js_property("naturalWidth", 640)
    expect(cells.filter(has_text="needs 67.0 MB").first).to_contain_text("Not on this machine")
    cells.filter(has_text="Built-in").get_by_role("button", name="Use this model").click()
    expect(page.locator("#preset input:checked")).to_have_count(0)
    unfold(page, "advanced")
    expect(page.get_by_label("Model", exact=True)).to_have_value(re.compile("Built-in"))

    page.reload()
    expect(cells).to_have_count(1 + len(for_pictures("upscale")), timeout=WORK_MILLISECONDS)
    start = page.locator("#tryout-run")
    expect(start).to_be_enabled()
    start.click()
    expect(page.locator("#tryout-status")).to_contain_text("There is no picture yet")


def test_what_is_at_hand_is_shown(visit: Visit) -> None:
    page = visit()
    unfold(page, "inventory")
    rows = page.locator("#inventory").get_by_role("row")
    expect(rows.filter(has=page.get_by_role("rowheader", name="Memory"))).to_contain_text("GB free")
    expect(rows.filter(has_text="Built-in (x4)")).to_contain_text("built in")
    expect(rows.filter(has_text="Real-ESRGAN x4plus anime")).to_contain_text("needs 17.9 MB")


UNNAMED = """() => [...document.querySelectorAll("button, input, textarea, [role=slider], [tabindex='0']")]
  .filter((one) => one.checkVisibility() && one.type !== "file")
  .filter((one) => {
    const named = (one.getAttribute("aria-labelledby") ?? "").split(" ").map((id) => document.getElementById(id));
    const words = [one.getAttribute("aria-label"), one.title, one.textContent, one.placeholder];
    for (const other of [...(one.labels ?? []), ...named]) words.push(other?.textContent);
    return !words.some((word) => word?.trim());
  })
  .map((one) => one.outerHTML.slice(0, 200))"""

CUT_OFF = """() => [...document.querySelectorAll(".gradio-container *")]
  .filter((one) => one.checkVisibility() && one.childElementCount === 0 && one.textContent.trim())
  .filter((one) => {
    const hides = (each) => ["hidden", "clip"].includes(getComputedStyle(each).overflowX);
    const unseen = ".restore-unseen, .visually-hidden, [class*=sr-only], #picker-name, .restore-upload-preview";
    if (one.closest(unseen)) return false;
    const box = one.getBoundingClientRect();
    for (let around = one; around; around = around.parentElement) {
      if (!hides(around)) continue;
      const room = around.getBoundingClientRect();
      if (box.right > room.right + 1 || box.left < room.left - 1) return true;
      if (around === one && one.scrollWidth > one.clientWidth + 1) return true;
    }
    return false;
  })
  .map((one) => one.textContent.trim())"""


@pytest.mark.parametrize(("locale", "width"), [("en-US", 390), ("zh-CN", 390), ("zh-CN", 1280)])
def test_nothing_is_cut_off_or_without_a_name(visit: Visit, locale: str, width: int) -> None:
    page = visit(locale=locale, width=width, theme="dark")
    page.locator("#examples button").last.click()
    page.locator("#shown img").wait_for()
    for name in ("advanced", "tryout", "inventory"):
        unfold(page, name)
    page.locator("#run").click()
    expect(page.locator("#status")).to_be_in_viewport()  # also on a phone, where it is far below
    page.locator("#download").wait_for(timeout=WORK_MILLISECONDS)
    page.locator("#tryout-run").click()
    page.locator("#tryout-grid .restore-cell").first.wait_for(timeout=WORK_MILLISECONDS)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(CUT_OFF) == []
    assert page.evaluate(UNNAMED) == []
    words = page.locator("#run").inner_text() + page.locator("#status").inner_text()
    assert bool(re.search("[一-鿿]", words)) == (locale == "zh-CN")


def test_the_switch_changes_the_whole_page_and_loses_nothing(visit: Visit, tmp_path: Path) -> None:
    page = visit()
    hint = page.get_by_test_id("upload-text")
    words = "one => getComputedStyle(one, '::after').content"  # Gradio's own stay in the language of the first load
    assert "Drop a picture here" in hint.evaluate(words)
    page.get_by_role("button", name="简体中文").click()
    expect(page.locator("#run")).to_have_text("开始")
    assert "把图片拖到这里" in hint.evaluate(words)
    page.get_by_role("button", name="English").click()
    expect(page.locator("#run")).to_have_text("Run")
    run_small(page, tmp_path)
    page.get_by_role("button", name="简体中文").click()
    expect(page.locator("#run")).to_have_text("开始")
    expect(page.get_by_role("radio", name="忠于原图")).to_be_checked()
    expect(page.locator("#download")).to_contain_text("下载 (PNG")
    expect(page.locator("#status")).to_have_text(re.compile("已完成"), use_inner_text=True)
    expect(page.locator("#shown img")).to_be_visible()
    expect(page.locator("html")).to_have_attribute("lang", "zh-Hans")


def test_no_request_can_name_a_file_of_the_server(server: Server, tmp_path: Path) -> None:
    secret, upload = tmp_path / "secret.png", server.files / "upload" / "secret.png"
    upload.parent.mkdir(parents=True, exist_ok=True)
    for path in (secret, upload):
        Image.new("RGB", (3, 3)).save(path)
    with urllib.request.urlopen(f"{server.url}config", timeout=10) as answer:
        config = json.load(answer)
    (component,) = (each["id"] for each in config["components"] if each["props"].get("elem_id") == "upload")
    takers = [each for each in config["dependencies"] if component in each["inputs"]]
    assert len(takers) == 4  # the preview, the faces, Run, and all models on a crop
    preview_of_upload = min(takers, key=lambda each: len(each["inputs"]))
    assert call(server, preview_of_upload, str(upload))["success"] is True
    for event in takers:
        end = call(server, event, str(secret))
        assert end is None or end["success"] is False


def call(server: Server, event: dict[str, Any], path: str) -> dict[str, Any] | None:
    """Trigger an event of the page by hand, with ``path`` as what was uploaded; its last message, if it is taken."""
    session = secrets.token_hex()
    file = {"orig_name": "secret.png", "meta": {"_type": "gradio.FileData"}, "path": path}
    data = [file, *[None] * (len(event["inputs"]) - 1)]
    body = json.dumps({"data": data, "fn_index": event["id"], "session_hash": session}).encode()
    join = urllib.request.Request(f"{server.url}gradio_api/queue/join", body, {"Content-Type": "application/json"})
    try:
        urllib.request.urlopen(join, timeout=10).close()
    except urllib.error.HTTPError as error:
        if error.code != 422:  # the gate's answer
            raise
        return None
    with urllib.request.urlopen(f"{server.url}gradio_api/queue/data?session_hash={session}", timeout=10) as stream:
        messages = [json.loads(line[6:]) for line in stream if line.startswith(b"data: ")]
    (end,) = (message for message in messages if message["msg"] == "process_completed")
    return dict(end)


def test_what_the_settings_say_is_checked_and_only_of_this_run() -> None:
    import gradio as gr

    settings = Settings(tile=64)
    with gr.Blocks():
        options = UpscaleOptions(settings)
    values = ["scan", AUTO, 2, "", 0.8, 1, "auto", 0]
    assert options.read(*values).settings == settings
    chosen = options.read(*values[:-2], "float32", 96)
    assert (chosen.settings.precision, chosen.settings.tile) == ("float32", 96)
    assert (chosen.stage.material, chosen.stage.scale, chosen.stage.target) == ("scan", 2, None)
    for wrong in (["float16", 0], ["auto", 1], ["auto", LARGEST_TILE * 2], ["auto", None], [["auto"], 0]):
        with pytest.raises(SettingsError):
            options.read(*values[:-2], *wrong)


def test_every_material_has_a_card_and_an_example() -> None:
    assert {preset.material for preset in PRESETS.values()} == set(MATERIALS)
    assert examples.FILES.keys() == PRESETS.keys()


def test_the_pictures_of_the_viewer_show_the_same_place_at_the_size_of_the_result(tmp_path: Path) -> None:
    small = Image.fromarray((scene(600, 400) * 255).astype(np.uint8))
    small.save(tmp_path / "source.png")
    small.resize((3600, 2400), Image.Resampling.BICUBIC).save(tmp_path / "result.png")
    limits = Settings(max_input_pixels=240_000, max_file_bytes=(tmp_path / "source.png").stat().st_size)
    pair = preview.write_pair(tmp_path / "source.png", tmp_path / "result.png", tmp_path, limits)
    assert (pair.width, pair.height, pair.scale) == (3600, 2400, 1)
    with Image.open(pair.before) as before, Image.open(pair.after) as after:
        assert before.size == after.size == (3600, 2400)
        difference = np.abs(np.asarray(before).astype(float) - np.asarray(after))
    assert difference.mean() < 1  # a shift by a single pixel of the result makes more


def test_where_nothing_is_to_be_seen_before_and_after_are_alike(tmp_path: Path) -> None:
    for name, side in (("source.png", 30), ("result.png", 120)):
        Image.new("RGBA", (side, side), (255, 0, 0, 0)).save(tmp_path / name)
    pair = preview.write_pair(tmp_path / "source.png", tmp_path / "result.png", tmp_path, Settings())
    with Image.open(pair.before) as before, Image.open(pair.after) as after:
        assert before.mode == after.mode == "RGB"
        assert before.tobytes() == after.tobytes()


def test_a_result_too_large_for_browsers_is_shown_reduced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preview, "SHOWN_PIXELS", MEGA // 100)
    source = gradient(tmp_path / "source.png", 100, 50)
    result = gradient(tmp_path / "result.png", 400, 200)
    pair = preview.write_pair(source, result, tmp_path, Settings())
    assert pair.width * pair.height == pytest.approx(MEGA / 100, rel=0.02)
    assert pair.scale == pytest.approx(pair.width / 400, rel=0.01)
    with Image.open(pair.before) as before, Image.open(pair.after) as after:
        assert before.size == after.size == (pair.width, pair.height)


def test_a_preview_is_opaque_8_bit_rgb(tmp_path: Path) -> None:
    deep = np.full((64, 64, 4), 0x8080, dtype=np.uint16)
    deep[:, 32:, 3] = 0
    deep[:, :32, 3] = 0xFFFF
    assert cv2.imwrite(str(tmp_path / "deep.png"), deep)
    picture = preview.load(tmp_path / "deep.png", Settings())
    assert (picture.mode, picture.size) == ("RGB", (64, 64))
    assert picture.getpixel((10, 10)) == (128, 128, 128)
    squares = {picture.getpixel((x, 10)) for x in range(32, 64)}
    assert squares == {(preview.CHECKER_LIGHT,) * 3, (preview.CHECKER_DARK,) * 3}
