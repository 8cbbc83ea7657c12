"""Fixtures for every test: the machine's own caches and settings are not used, and the real Hub is out of reach."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

NOWHERE = "http://127.0.0.1:9"  # the discard port: a connection is refused at once
os.environ["HF_ENDPOINT"] = NOWHERE  # for what huggingface_hub asks the Hub on its own account: it looks when imported

from huggingface_hub import constants  # noqa: E402

from tests.hub import Hub  # noqa: E402


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="run the tests marked as slow as well")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the slow tests out where all tests are run and nobody asked for them; named ones are always run."""
    everything = config.args_source is not pytest.Config.ArgsSource.ARGS and not config.getoption("keyword")
    if config.getoption("--slow") or not everything:
        return
    slow = [item for item in items if item.get_closest_marker("slow")]
    config.hook.pytest_deselected(items=slow)
    items[:] = [item for item in items if not item.get_closest_marker("slow")]


@pytest.fixture(autouse=True)
def isolated(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give each test an empty ``HF_HOME`` (the value), no settings of this program and a Hub that cannot be reached."""
    for name in list(os.environ):
        if name.startswith(("RESTORE_", "HF_")) or name in ("HUGGINGFACE_HUB_CACHE", "XDG_CACHE_HOME"):
            monkeypatch.delenv(name)
    home = tmp_path_factory.mktemp("hf")
    monkeypatch.setenv("HF_HOME", str(home))
    monkeypatch.setenv("HF_ENDPOINT", NOWHERE)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    monkeypatch.setenv("no_proxy", "127.0.0.1,localhost")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(home / "token"))
    return home


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A running stand-in for the Hub that ``HF_ENDPOINT`` points at."""
    with Hub() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        yield server
