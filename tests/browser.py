"""The real browser, for every module of tests that needs one: it imports the fixture ``browser`` from here."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
BROWSER_REQUIRED = bool(os.environ.get("RESTORE_REQUIRE_BROWSER"))
PATIENCE_MILLISECONDS = 30_000
"""How long what the page should show is waited for: no longer than it takes, unless the machine is busy."""

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


TAKEN_OVER_MILLISECONDS = 700
"""How long a number has to stay as it was typed before it counts as Gradio's own."""


def type_number(page: Page, component: str, number: str) -> None:
    """Give ``number`` to a field or slider, as often as it takes.

    Gradio draws the inside of a panel that was just unfolded once more a moment later, with what it held before; what
    was typed in between is gone.
    """
    field = page.locator(f"{component} input[type=number]")
    for _ in range(PATIENCE_MILLISECONDS // TAKEN_OVER_MILLISECONDS):
        field.fill(number)
        field.press("Tab")
        page.wait_for_timeout(TAKEN_OVER_MILLISECONDS)
        if all(shown.input_value() == number for shown in page.locator(f"{component} input").all()):
            return
    raise AssertionError(f"{component} does not take {number}.")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless Chromium; without one the test is skipped, or fails where ``RESTORE_REQUIRE_BROWSER`` is set."""
    if CHROMIUM is None:
        reason = "no chromium on this machine"
        pytest.fail(reason) if BROWSER_REQUIRED else pytest.skip(reason)
    expect.set_options(timeout=PATIENCE_MILLISECONDS)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()
