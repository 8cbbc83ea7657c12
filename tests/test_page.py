"""The page, as a visitor has it: the real program on a port of its own, driven by a real browser."""

from __future__ import annotations

import gc
import json
import logging
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

from restore.errors import Cancelled, InputError
from restore.progress import Progress
from restore.settings import Settings
from restore.ui import markup, preview
from restore.ui.errors import to_gradio_error
from restore.ui.image_tab import result_name
from restore.ui.work import ORPHAN_SECONDS, PREFIX, Desk, Work

ROOT = Path(__file__).parent.parent
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
BROWSER_REQUIRED = bool(os.environ.get("RESTORE_REQUIRE_BROWSER"))
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
START_SECONDS = 90.0
WORK_MILLISECONDS = 60_000.0  # for a small picture, on a machine that is busy with something else
STOP_SECONDS = 2.0


@dataclass(frozen=True)
class Server:
    """The program in a process of its own; ``files`` is where the page puts its files, ``log`` is what it prints."""

    url: str
    files: Path
    log: Path

    def folders(self) -> list[Path]:
        """The folders of work and results."""
        return list(self.files.glob(f"{PREFIX}*"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("page")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("RESTORE_", "GRADIO_"))}
    environment |= {
        "GRADIO_SERVER_PORT": str(port),
        "GRADIO_TEMP_DIR": str(folder / "files"),
        "HF_HOME": str(folder / "hf"),
        "HF_HUB_OFFLINE": "1",
        "RESTORE_MAX_FILE_MB": "30",
    }
    page = Server(f"http://127.0.0.1:{port}", folder / "files", folder / "log")
    with page.log.open("wb") as log:
        process = subprocess.Popen([sys.executable, "app.py"], cwd=ROOT, env=environment, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + START_SECONDS
        while not _answers(page.url):
            assert process.poll() is None, page.log.read_text()
            assert time.monotonic() < deadline, page.log.read_text()
            time.sleep(0.2)
        yield page
    finally:
        process.terminate()
        process.wait(30)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except (urllib.error.URLError, OSError):
        return False


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        reason = "no chromium on this machine"
        pytest.fail(reason) if BROWSER_REQUIRED else pytest.skip(reason)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def visit(server: Server, browser: Browser) -> Iterator[Callable[[], Page]]:
    """Open the page in a tab of its own, as another visitor would."""
    contexts = []

    def open_page() -> Page:
        context = browser.new_context()
        contexts.append(context)
        page = context.new_page()
        page.goto(server.url)
        page.locator("#run").wait_for()
        return page

    yield open_page
    for context in contexts:
        context.close()


def choose(page: Page, label: str, option: str) -> None:
    page.get_by_label(label, exact=True).click()
    page.get_by_role("option", name=option).click()


def give(page: Page, path: Path) -> None:
    """Put a file into the upload, in place of the one that is there."""
    clear = page.locator("#upload").get_by_label("Clear")
    if clear.count():
        clear.click()
    page.locator("#upload input[type=file]").set_input_files(path)


def give_picture(page: Page, path: Path) -> None:
    give(page, path)
    page.locator("#shown img").wait_for()


def start_long_work(page: Page, folder: Path) -> None:
    """A picture that takes far longer than any test; returns when its first tiles are done."""
    path = folder / "large.png"
    Image.linear_gradient("L").resize((4000, 3000)).convert("RGB").save(path)
    give_picture(page, path)
    choose(page, "Model", "Built-in")
    page.locator("#run").click()
    bar = page.get_by_role("progressbar", name="Upscale")
    bar.wait_for(timeout=30_000)
    expect(bar).not_to_have_attribute("aria-valuenow", "0", timeout=30_000)


def eventually(condition: Callable[[], bool], seconds: float = 5.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


def scene(width: int, height: int) -> np.ndarray:
    """Soft waves of colour, (height, width, 3) in [0, 1]: something that enlarging hardly changes."""
    x, y = np.meshgrid(np.linspace(0, 3, width), np.linspace(0, 2, height))
    return np.stack([0.5 + 0.4 * np.sin(x + y), 0.5 + 0.4 * np.cos(2 * x), 0.5 + 0.4 * np.sin(3 * y)], axis=2)


def test_a_picture_comes_back_enlarged_with_slider_download_and_report(
    server: Server, visit: Callable[[], Page], tmp_path: Path
) -> None:
    page = visit()
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.reload()
    page.locator("#run").wait_for()
    source = Image.fromarray((scene(60, 40) * 255).astype(np.uint8))
    source.save(tmp_path / "Grandma & I.png")
    give_picture(page, tmp_path / "Grandma & I.png")
    choose(page, "Model", "Built-in")
    page.locator("#scale input[type=number]").fill("2")
    page.locator("#scale input[type=number]").press("Enter")
    page.locator("#run").click()

    with page.expect_download(timeout=WORK_MILLISECONDS) as download:
        page.locator("#download").click(timeout=WORK_MILLISECONDS)
    assert download.value.suggested_filename == "Grandma _ I_restored.png"
    with Image.open(download.value.path()) as result:
        assert (result.format, result.size, result.mode) == ("PNG", (120, 80), "RGB")
        plain = source.resize((120, 80), Image.Resampling.BICUBIC)
        assert np.abs(np.asarray(result).astype(float) - np.asarray(plain)).mean() < 4

    pictures = page.locator("#slider img")
    expect(pictures).to_have_count(2)
    assert pictures.evaluate_all("all => all.map(one => [one.naturalWidth, one.naturalHeight])") == [[120, 80]] * 2
    expect(page.locator("#report")).to_contain_text("60 × 40 became 120 × 80 pixels")
    expect(page.locator("#report")).to_contain_text("with built-in")
    with page.expect_download() as download:
        page.locator("#report-file").click()
    report = json.loads(download.value.path().read_text(encoding="utf-8"))
    (step,) = report["recipe"]["steps"]
    assert (step["stage"], step["model"], step["scale"]) == ("upscale", "built-in", 2)
    assert str(server.files) not in json.dumps(report)

    assert requests
    assert all(url.startswith((server.url, "data:", "blob:")) for url in requests)  # it works without a network
    page.close()
    assert eventually(lambda: not server.folders())
    assert all(path.is_dir() for path in server.files.iterdir())  # no stray file beside the folders of uploads


def test_what_a_browser_cannot_show_arrives_untouched_and_has_a_preview(
    visit: Callable[[], Page], tmp_path: Path
) -> None:
    page = visit()
    deep = (scene(50, 30) * 65535).astype(np.uint16)
    assert cv2.imwrite(str(tmp_path / "deep.tif"), deep)
    give_picture(page, tmp_path / "deep.tif")
    expect(page.locator("#facts")).to_contain_text("TIFF, 50 × 30 pixels")
    choose(page, "Model", "Built-in")
    choose(page, "Size", "Full HD")
    page.get_by_role("button", name="More").click()
    choose(page, "Save as", "PNG")
    page.locator("#run").click()
    # 1920 x 1080 is more than eight times as large: a sentence, and the page goes on.
    toast = page.get_by_test_id("toast-body")
    expect(toast).to_contain_text("choose a smaller target", timeout=WORK_MILLISECONDS)
    expect(page.locator("#status").get_by_role("alert")).to_contain_text("choose a smaller target")
    choose(page, "Size", "By the scale")
    page.locator("#run").click()
    with page.expect_download(timeout=WORK_MILLISECONDS) as download:
        page.locator("#download").click(timeout=WORK_MILLISECONDS)
    assert download.value.suggested_filename == "deep_restored.png"
    result = cv2.imread(str(download.value.path()), cv2.IMREAD_UNCHANGED)
    assert (result.dtype, result.shape) == (np.uint16, (120, 200, 3))
    assert len(np.unique(result)) > 10_000  # 8 bits on the way would leave 256


def test_stop_ends_the_work_within_two_seconds_and_run_works_again(
    server: Server, visit: Callable[[], Page], tmp_path: Path
) -> None:
    page = visit()
    start_long_work(page, tmp_path)
    assert len(server.folders()) == 1
    expect(page.locator("#run")).to_be_disabled()
    page.locator("#stop").click()
    began = time.monotonic()
    expect(page.locator("#status")).to_contain_text("Stopped; nothing was kept.", timeout=10_000)
    assert time.monotonic() - began < STOP_SECONDS
    assert server.folders() == []
    expect(page.locator("#stop")).to_be_disabled()

    Image.linear_gradient("L").resize((20, 10)).save(tmp_path / "small.png")
    give_picture(page, tmp_path / "small.png")
    page.locator("#run").click()
    expect(page.locator("#status")).to_contain_text("Finished", timeout=WORK_MILLISECONDS)


def test_visitors_do_not_stop_each_other_and_a_closed_tab_stops_its_own_work(
    server: Server, visit: Callable[[], Page], tmp_path: Path
) -> None:
    first, second = visit(), visit()
    start_long_work(first, tmp_path)
    (folder,) = server.folders()
    Image.linear_gradient("L").resize((20, 10)).save(tmp_path / "small.png")
    give_picture(second, tmp_path / "small.png")
    choose(second, "Model", "Built-in")
    second.locator("#run").click()
    expect(second.locator("#status")).to_contain_text("Waiting")
    second.locator("#stop").click()
    expect(second.locator("#status")).to_contain_text("Stopped")

    bar = first.get_by_role("progressbar", name="Upscale")
    reached = int(bar.get_attribute("aria-valuenow") or "")
    expect(bar).not_to_have_attribute("aria-valuenow", str(reached), timeout=30_000)
    second.locator("#run").click()
    expect(second.locator("#status")).to_contain_text("Waiting")
    first.close()
    expect(second.locator("#status")).to_contain_text("Finished", timeout=WORK_MILLISECONDS)
    assert eventually(lambda: not folder.exists())


def test_what_is_no_picture_gets_one_sentence(server: Server, visit: Callable[[], Page], tmp_path: Path) -> None:
    page = visit()
    page.locator("#run").click()
    toast = page.get_by_test_id("toast-body")
    expect(toast).to_contain_text("There is no picture yet: choose one first.")

    Image.linear_gradient("L").resize((20, 10)).save(tmp_path / "small.png")
    give_picture(page, tmp_path / "small.png")
    choose(page, "Model", "Built-in")
    page.locator("#run").click()
    page.locator("#slider").wait_for(timeout=WORK_MILLISECONDS)
    folders = server.folders()

    (tmp_path / "letter.png").write_text("Dear all,\n" * 20)
    give(page, tmp_path / "letter.png")
    expect(page.locator("#facts").get_by_role("alert")).to_contain_text("letter.png is not a picture")
    page.locator("#run").click()
    expect(toast.last).to_contain_text("letter.png is not a picture")
    # Nothing of the run before stays, which would look like what came of this file.
    expect(page.locator("#status").get_by_role("alert")).to_contain_text("letter.png is not a picture")
    for element in ("#slider", "#download", "#report-file", "#report"):
        expect(page.locator(element)).to_be_hidden()
    assert "Traceback" not in page.content()
    assert "Traceback" not in server.log.read_text()
    assert server.folders() == folders
    expect(page.locator("#run")).to_be_enabled()

    (tmp_path / "huge.png").write_bytes(bytes(31 * 2**20))
    give(page, tmp_path / "huge.png")
    expect(page.locator("body")).to_contain_text("exceed the maximum allowed size of 30", timeout=15_000)


def test_no_request_can_name_a_file_of_the_server(server: Server, tmp_path: Path) -> None:
    secret, upload = tmp_path / "secret.png", server.files / "upload" / "secret.png"
    upload.parent.mkdir(parents=True)
    for path in (secret, upload):
        Image.new("RGB", (3, 3)).save(path)
    with urllib.request.urlopen(f"{server.url}/config", timeout=10) as answer:
        config = json.load(answer)
    (component,) = (each["id"] for each in config["components"] if each["props"].get("elem_id") == "upload")
    takers = [each["id"] for each in config["dependencies"] if component in each["inputs"]]
    assert len(takers) == 2  # the preview and Run
    for event in takers:
        assert call(server, event, {"path": str(upload)})["success"] is True
        assert call(server, event, {"path": str(secret)})["success"] is False


def call(server: Server, event: int, file: dict[str, str]) -> dict[str, Any]:
    """Trigger an event of the page by hand, with ``file`` as what was uploaded; returns the last message about it."""
    session = secrets.token_hex()
    file_data = {"orig_name": "secret.png", "meta": {"_type": "gradio.FileData"}, **file}
    body = json.dumps({"data": [file_data], "fn_index": event, "session_hash": session}).encode()
    join = urllib.request.Request(f"{server.url}/gradio_api/queue/join", body, {"Content-Type": "application/json"})
    urllib.request.urlopen(join, timeout=10).close()
    with urllib.request.urlopen(f"{server.url}/gradio_api/queue/data?session_hash={session}", timeout=10) as stream:
        messages = [json.loads(line[6:]) for line in stream if line.startswith(b"data: ")]
    (end,) = (message for message in messages if message["msg"] == "process_completed")
    return dict(end)


def test_errors_are_shown_as_text_and_only_if_they_were_written_for_the_visitor(
    caplog: pytest.LogCaptureFixture,
) -> None:
    known = to_gradio_error(InputError("<script>.png is broken: get a whole copy of it."))
    assert "&lt;script&gt;.png is broken: get a whole copy of it." in known.message
    assert not caplog.records
    with caplog.at_level(logging.ERROR):
        try:
            raise KeyError("secret")
        except KeyError as error:
            unknown = to_gradio_error(error)
    assert "secret" not in unknown.message
    (record,) = caplog.records
    assert record.exc_info is not None
    assert "secret" in str(record.exc_info[1])


def test_a_work_that_fails_leaves_no_folder_and_holds_no_memory(tmp_path: Path) -> None:
    held: list[weakref.ref[Any]] = []

    def fail(progress: Progress, folder: Path) -> None:
        (folder / "half.png").write_bytes(b"x")
        tile = np.zeros(1000)
        held.append(weakref.ref(tile))
        raise InputError("broken")

    work = Desk(tmp_path).begin("session", fail)
    assert work.wait(5)
    with pytest.raises(InputError, match="broken"):
        work.result()
    gc.collect()
    assert held[0]() is None
    assert list(tmp_path.iterdir()) == []


def test_a_session_has_one_result_until_it_ends(tmp_path: Path) -> None:
    def write(progress: Progress, folder: Path) -> Path:
        (folder / "result").touch()
        return folder / "result"

    desk = Desk(tmp_path)
    results = []
    for _ in range(2):
        work = desk.begin("mine", write)
        assert work.wait(5)
        results.append(work.result())
    other = desk.begin("other", write)
    assert other.wait(5)
    assert [path.exists() for path in (*results, other.result())] == [False, True, True]
    desk.close("mine")
    assert [path.exists() for path in (*results, other.result())] == [False, False, True]
    desk.close_all()
    assert list(tmp_path.iterdir()) == []


def test_discarding_stops_a_running_work(tmp_path: Path) -> None:
    def wait(progress: Progress, folder: Path) -> None:
        while True:
            progress.check()
            time.sleep(0.01)

    work = Work(wait, tmp_path)
    work.start()
    assert eventually(work.folder.exists)
    work.discard()
    assert work.wait(5)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(Cancelled):
        work.result()


def test_folders_of_a_killed_process_are_removed_after_a_day(tmp_path: Path) -> None:
    old, fresh, foreign = tmp_path / f"{PREFIX}old", tmp_path / f"{PREFIX}fresh", tmp_path / "foreign"
    for folder in (old, fresh, foreign):
        folder.mkdir()
    for folder in (old, foreign):
        os.utime(folder, (0, time.time() - ORPHAN_SECONDS - 60))
    work = Desk(tmp_path).begin("session", lambda progress, folder: None)
    assert work.wait(5)
    assert set(tmp_path.iterdir()) == {fresh, foreign, work.folder}


def test_progress_counts_the_time_that_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    def advance(progress: Progress, folder: Path) -> None:
        progress.begin("upscale <1>")
        progress.advance(10, 50, "tiles")
        now[0] += 20
        progress.advance(20, 50, "tiles")
        now[0] += 5

    work = Work(advance, tmp_path)
    work.start()
    assert work.wait(5)
    (stage,) = work.stages()
    assert stage.seconds_left == pytest.approx(2 * 30 - 5)
    html = markup.progress([stage], work.seconds)
    assert 'aria-label="upscale &lt;1&gt;"' in html
    assert 'aria-valuenow="40" aria-valuetext="tile 21 of 50 · 40 % · about 55 s left"' in html
    assert "Working, 25 s" in html


@given(st.text(min_size=1, max_size=300))
def test_the_name_of_a_result_is_safe(stem: str) -> None:
    name = result_name(Path(f"{stem.replace('/', '_')}.bmp"), "HEIC", "As the upload")
    assert name.endswith("_restored.png")
    assert not set(name) & set("/\\:*?\"<>|\0\n\r%;&'")
    assert not name.startswith((".", " "))
    assert len(name) < 100
    assert name == Path(name).name


def test_the_pictures_of_the_slider_show_the_same_place(tmp_path: Path) -> None:
    small = Image.fromarray((scene(600, 400) * 255).astype(np.uint8))
    small.save(tmp_path / "before.png")
    small.resize((3600, 2400), Image.Resampling.BICUBIC).save(tmp_path / "after.png")
    limits = Settings(max_input_pixels=240_000, max_file_bytes=(tmp_path / "before.png").stat().st_size)
    pairs = preview.write_pairs(tmp_path / "before.png", tmp_path / "after.png", tmp_path, limits)
    assert pairs.whole.scale == pytest.approx(2048 / 3600)
    for pair, size in ((pairs.whole, (2048, 1365)), (pairs.detail, preview.DETAIL_SIZE)):
        with Image.open(pair.before) as before, Image.open(pair.after) as after:
            assert before.size == after.size == size
            difference = np.abs(np.asarray(before).astype(float) - np.asarray(after))
        assert difference.mean() < 1  # a shift by a single pixel of the result makes more


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
