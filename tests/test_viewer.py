"""The viewers and the looks, in a real browser: a page of their own, served on loopback."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser import browser as browser
from tests.server import running
from tests.viewer_page import SIZE, TALL, WIDE


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of ``tests.viewer_page``, in a process of its own."""
    with running(tmp_path_factory.mktemp("viewer"), ("-m", "tests.viewer_page")) as server:
        yield server.url


Visit = Callable[..., Page]


@pytest.fixture
def visit(url: str, browser: Browser) -> Iterator[Visit]:
    """Open the page in a window of its own; what is given goes to the browser's context."""
    contexts = []
    complaints: list[str] = []

    def open_page(theme: str = "light", **parameters: Any) -> Page:
        context = browser.new_context(**{"viewport": {"width": 1000, "height": 900}, **parameters})
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(f"{url}?__theme={theme}")
        loaded(page.locator("#viewer"))
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not complaints


def loaded(component: Locator) -> None:
    """Wait until the pictures of a viewer are there."""
    component.locator(".restore-port img").first.wait_for()
    component.page.wait_for_function(
        "all => all.every(one => one.complete && one.naturalWidth > 0)",
        arg=component.locator(".restore-port img").element_handles(),
    )


def box_of(locator: Locator) -> tuple[float, float, float, float]:
    box = locator.bounding_box()
    assert box is not None
    return box["x"], box["y"], box["width"], box["height"]


def divider_at(page: Page) -> int:
    return int(page.locator("#viewer [role=slider]").get_attribute("aria-valuenow") or -1)


def percent(component: Locator) -> int:
    return int(component.locator(".restore-percent").inner_text().removesuffix(" %"))


def colours(page: Page) -> list[str]:
    """What is seen along the middle of the viewer, from left to right, each colour once."""
    port = page.locator("#viewer .restore-port")
    pixels = np.asarray(Image.open(io.BytesIO(port.screenshot())).convert("RGB"))
    row = pixels[pixels.shape[0] // 3]
    names = {(255, 0, 0): "red", (0, 0, 255): "blue"}
    seen = [names[tuple(pixel)] for pixel in row.tolist() if tuple(pixel) in names]
    return [name for index, name in enumerate(seen) if index == 0 or seen[index - 1] != name]


def fingers(page: Page) -> Callable[..., None]:
    """A function that puts fingers on the screen of ``page``, moves them and takes them off."""
    session = page.context.new_cdp_session(page)

    def touch(kind: str, *points: tuple[float, float]) -> None:
        touched = [{"x": x, "y": y, "id": index} for index, (x, y) in enumerate(points)]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touched})

    return touch


def test_the_divider_parts_two_pictures_that_lie_exactly_on_top_of_each_other(visit: Visit) -> None:
    page = visit()
    before, after = page.locator(".restore-before"), page.locator(".restore-after")
    assert box_of(before) == box_of(after)
    x, y, width, height = box_of(before)
    assert width / height == pytest.approx(SIZE[0] / SIZE[1], rel=0.01)
    assert colours(page) == ["red", "blue"]
    page.mouse.move(x + width * 0.9, y + height / 2)
    page.mouse.down()  # anywhere on the picture, not on the divider alone
    page.mouse.move(x + width * 0.5, y + height / 2)
    page.mouse.move(x + width * 0.25, y + height / 2)
    page.mouse.up()
    assert divider_at(page) == pytest.approx(25, abs=1)
    line = box_of(page.locator(".restore-divider"))
    assert line[0] + line[2] / 2 == pytest.approx(x + width * 0.25, abs=2)
    page.mouse.move(x + width * 0.7, y + height / 2)
    assert divider_at(page) == pytest.approx(25, abs=1)  # let go is let go


def test_the_divider_obeys_the_keyboard_and_says_where_it_is_in_the_language_of_the_page(visit: Visit) -> None:
    page = visit()
    slider = page.get_by_role("slider", name="Divider")
    slider.focus()
    for key, position in [("ArrowRight", 52), ("ArrowLeft", 50), ("Shift+ArrowLeft", 40), ("PageUp", 50)]:
        page.keyboard.press(key)
        assert divider_at(page) == position
    page.keyboard.press("Home")
    assert colours(page) == ["blue"]
    page.keyboard.press("End")
    assert colours(page) == ["red"]
    expect(slider).to_have_attribute("aria-valuetext", "Before 100 %, After 0 %")
    assert page.get_by_role("button", name="Zoom in").first.get_attribute("title") == "Zoom in"
    page.evaluate("document.documentElement.lang = 'zh-Hans'")
    expect(page.get_by_role("slider", name="分界线")).to_have_attribute("aria-valuetext", "原图 100 %, 结果 0 %")
    expect(page.get_by_role("button", name="放大").first).to_have_attribute("title", "放大")
    expect(page.locator("#viewer").get_by_text("Before")).to_be_hidden()


@pytest.mark.parametrize("ratio", [1, 1.5, 2])
def test_at_100_percent_a_pixel_of_the_picture_is_one_of_the_screen(visit: Visit, ratio: float) -> None:
    page = visit(device_scale_factor=ratio)
    page.locator("#viewer").get_by_role("button", name="100 %").click()
    _, _, width, height = box_of(page.locator(".restore-after"))
    assert (width * ratio, height * ratio) == pytest.approx(SIZE, abs=0.1)
    assert box_of(page.locator(".restore-before")) == box_of(page.locator(".restore-after"))
    smoothing = "element => getComputedStyle(element).imageRendering"
    assert page.locator(".restore-after").evaluate(smoothing) == "auto"
    page.locator("#viewer").get_by_role("button", name="200 %").click()
    assert percent(page.locator("#viewer")) == 200
    assert page.locator(".restore-after").evaluate(smoothing) == "pixelated"


def test_the_wheel_scrolls_the_page_and_with_ctrl_zooms_around_the_pointer(visit: Visit) -> None:
    page = visit()
    port, after = page.locator("#viewer .restore-port"), page.locator(".restore-after")
    x, y, width, height = box_of(port)
    spot = (x + width * 0.3, y + height * 0.4)
    page.mouse.move(*spot)

    def under_pointer() -> tuple[float, float]:
        left, top, wide, high = box_of(after)
        return (spot[0] - left) / wide, (spot[1] - top) / high

    place, zoom = under_pointer(), percent(page.locator("#viewer"))
    page.keyboard.down("Control")
    for _ in range(5):
        page.mouse.wheel(0, -100)
    page.keyboard.up("Control")
    page.wait_for_function(
        "zoom => parseInt(document.querySelector('#viewer .restore-percent').textContent) > 3 * zoom", arg=zoom
    )
    assert under_pointer() == pytest.approx(place, abs=0.005)
    assert page.evaluate("[scrollY, visualViewport.scale]") == [0, 1]
    page.mouse.wheel(0, 300)  # zoomed in or not
    page.wait_for_function("scrollY > 200")


def test_zoomed_in_dragging_moves_the_picture_and_the_divider_has_its_handle(visit: Visit) -> None:
    page = visit()
    port, after = page.locator("#viewer .restore-port"), page.locator(".restore-after")
    x, y, width, height = box_of(port)
    page.mouse.dblclick(x + width * 0.4, y + height * 0.5)
    assert percent(page.locator("#viewer")) == 100
    page.locator("#viewer").get_by_role("button", name="200 %").click()
    left, top, _, _ = box_of(after)
    position = divider_at(page)
    page.mouse.move(x + width * 0.8, y + height * 0.3)
    page.mouse.down()
    page.mouse.move(x + width * 0.8 - 60, y + height * 0.3 + 40, steps=3)
    page.mouse.up()
    assert box_of(after)[:2] == pytest.approx((left - 60, top + 40), abs=1)
    assert divider_at(page) == position
    handle = box_of(page.locator(".restore-handle"))
    page.mouse.move(handle[0] + handle[2] / 2, handle[1] + handle[3] / 2)
    page.mouse.down()
    page.mouse.move(x + width * 0.75, y + height * 0.5, steps=3)
    page.mouse.up()
    assert divider_at(page) == pytest.approx(75, abs=1)
    assert box_of(after)[:2] == pytest.approx((left - 60, top + 40), abs=1)
    port.focus()
    page.keyboard.press("ArrowRight")
    assert box_of(after)[0] < left - 60 - 0.09 * width
    page.mouse.move(x + width / 2, y + height / 4)
    page.mouse.down()
    page.mouse.move(x + 3000, y + 3000, steps=3)
    page.mouse.up()
    assert box_of(after)[:2] == pytest.approx((x, y), abs=1)  # no gap between the picture and its frame
    page.keyboard.press("0")
    assert page.get_by_role("button", name="Fit").first.get_attribute("aria-pressed") == "true"


def test_a_phone_has_no_overflow_and_tells_scrolling_sliding_and_pinching_apart(visit: Visit) -> None:
    phone: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
    page = visit(device_scale_factor=3, **phone)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    for button in page.locator(".restore-tools button, .restore-cell button").all():
        assert box_of(button)[3] >= 44
    x, y, width, height = box_of(page.locator("#viewer .restore-port"))
    middle = (x + width / 2, y + height / 2)
    touch = fingers(page)
    touch("touchStart", middle)
    for step in range(1, 10):
        touch("touchMove", (middle[0] - step * 10, middle[1]))
    touch("touchEnd")
    expect(page.locator("[role=slider]")).not_to_have_attribute("aria-valuenow", "50")
    position = divider_at(page)
    touch("touchStart", middle)
    for step in range(1, 20):
        touch("touchMove", (middle[0], middle[1] - step * 8))
    touch("touchEnd")
    page.wait_for_function("scrollY > 80")
    assert divider_at(page) == position
    page.evaluate("scrollTo(0, 0)")
    fitted = percent(page.locator("#viewer"))
    ends = [(middle[0] - 20, middle[1]), (middle[0] + 20, middle[1])]
    touch("touchStart", ends[0])
    touch("touchStart", *ends)
    for step in range(1, 10):
        touch("touchMove", (ends[0][0] - 5 * step, middle[1]), (ends[1][0] + 5 * step, middle[1]))
    touch("touchEnd")
    page.wait_for_function(
        "zoom => parseInt(document.querySelector('#viewer .restore-percent').textContent) > 2 * zoom", arg=fitted
    )
    assert page.evaluate("visualViewport.scale") == 1  # the picture alone


def test_a_value_brings_its_own_shape_and_an_empty_one_hides_the_viewer(visit: Visit) -> None:
    page = visit()
    port = page.locator("#viewer .restore-port")
    for name, (width, height) in {"tall": TALL, "wide": WIDE, "odd": SIZE}.items():
        page.locator(f"#{name}").click()
        page.wait_for_function(
            "width => document.querySelector('#viewer .restore-after')?.naturalWidth === width", arg=width
        )
        loaded(page.locator("#viewer"))
        shown, frame = box_of(page.locator(".restore-after")), box_of(port)
        assert shown[2] / shown[3] == pytest.approx(width / height, rel=0.02)
        assert frame[3] <= 0.77 * 900  # of the window
        assert shown[2] == pytest.approx(frame[2], abs=1) or shown[3] == pytest.approx(frame[3], abs=1)
        page.locator("#none").click()
        expect(port).to_be_hidden()
    page.locator("#gone").click()
    expect(page.get_by_text("The picture cannot be shown.")).to_be_visible()


def test_the_cells_of_the_grid_show_the_same_spot_and_hand_over_their_model(visit: Visit) -> None:
    page = visit()
    grid = page.locator("#grid")
    loaded(grid)
    ports, pictures = grid.locator(".restore-port"), grid.locator(".restore-port img")
    assert grid.locator(".restore-cell").count() == 4
    assert ports.count() == 3  # one has no picture
    expect(grid.get_by_text("Not on this machine")).to_be_visible()
    expect(grid.get_by_text("built in")).to_be_visible()
    grid.get_by_role("button", name="200 %").click()
    ports.nth(0).scroll_into_view_if_needed()
    x, y, width, height = box_of(ports.nth(0))
    page.mouse.move(x + width / 2, y + height / 2)
    page.mouse.down()
    page.mouse.move(x + width / 2 + 50, y + height / 2 + 30, steps=3)
    page.mouse.up()

    def inside(index: int) -> tuple[float, float]:
        (left, top, _, _), (port_left, port_top, _, _) = box_of(pictures.nth(index)), box_of(ports.nth(index))
        return left - port_left, top - port_top

    assert inside(0) == inside(1) == inside(2)
    spots = grid.locator(".restore-spot:visible")
    assert spots.count() == 2  # in the others
    buttons = grid.get_by_role("button", name="Use this model, at `${1 + 1}` {{price}} \\")
    assert [button.get_attribute("aria-pressed") for button in buttons.all()] == ["true", "false", "false"]
    buttons.nth(1).focus()
    page.keyboard.press("Enter")
    expect(page.get_by_label("Choice")).to_have_value("2 two")
    assert [button.get_attribute("aria-pressed") for button in buttons.all()] == ["false", "true", "false"]
    expect(buttons.nth(1)).to_have_accessible_description("Two")


TRANSFER = """([kind, selector, data, name]) => {
  const transfer = new DataTransfer();
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  transfer.items.add(new File([bytes], name, {type: 'image/png'}));
  const target = document.querySelector(selector);
  if (kind === 'paste') target.dispatchEvent(new ClipboardEvent(kind, {clipboardData: transfer, bubbles: true}));
  else target.dispatchEvent(new DragEvent(kind, {dataTransfer: transfer, bubbles: true, cancelable: true}));
}"""


def test_a_picture_is_pasted_or_dropped_anywhere_on_the_page(visit: Visit) -> None:
    page = visit()

    def transfer(kind: str, selector: str, side: int, name: str = "image.png") -> str:
        """Send a picture of this side; the value is what arrives when it is taken."""
        file = io.BytesIO()
        Image.new("RGB", (side, side)).save(file, "PNG")
        page.evaluate(TRANSFER, [kind, selector, base64.b64encode(file.getvalue()).decode(), name])
        return f"{'pasted.png' if name == 'image.png' else name} {len(file.getvalue())}"

    receipt = page.get_by_label("Receipt")
    transfer("paste", "#choice textarea", 5)  # who writes means the text
    expect(receipt).to_have_value(transfer("paste", "body", 10))
    expect(receipt).to_have_value(transfer("paste", "#viewer .restore-port", 200))  # in place of the first
    transfer("dragenter", "#viewer", 10, "x.png")
    expect(page.locator("#upload")).to_have_class(re.compile("restore-drop"))
    expect(receipt).to_have_value(transfer("drop", "#viewer", 300, "dropped.png"))
    expect(page.locator("#upload.restore-drop")).to_have_count(0)


CONTRASTS = """() => {
  const channels = (colour) => {
    const context = Object.assign(document.createElement('canvas'), {width: 1, height: 1}).getContext('2d');
    context.fillStyle = colour;
    context.fillRect(0, 0, 1, 1);
    return [...context.getImageData(0, 0, 1, 1).data];
  };
  const luminance = ([r, g, b]) => [r, g, b].map((c) => c / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (element) => {
    for (; element; element = element.parentElement) {
      const colour = channels(getComputedStyle(element).backgroundColor);
      if (colour[3] > 250) return colour;
    }
  };
  const found = [];
  const walker = document.createTreeWalker(document.querySelector('.gradio-container'), NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || !element.checkVisibility()) continue;
    if (element.closest('.restore-tag')) continue; // on a picture
    const [a, b] = [luminance(channels(getComputedStyle(element).color)), luminance(ground(element))];
    found.push([(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), walker.currentNode.textContent.trim()]);
  }
  return found;
}"""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_all_words_have_the_contrast_that_wcag_asks_for(visit: Visit, theme: str) -> None:
    page = visit(theme)
    contrasts = page.evaluate(CONTRASTS)
    assert {"Go", "Halt", "A note", "Good", "Bad", "careful", "Value", "Fit"} <= {text for _, text in contrasts}
    assert not [(text, ratio) for ratio, text in contrasts if ratio < 4.5]
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(250, 250, 249)"
    assert dark == (theme == "light")
