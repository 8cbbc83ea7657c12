"""Weights: found on this machine, downloaded from a Hub on loopback or a second address, checked, and read safely."""

from __future__ import annotations

import collections
import datetime
import hashlib
import json
import logging
import os
import pickle
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub.utils import WeakFileLock
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from restore import caches, checksums, weights
from restore.catalog import Checkpoint
from restore.errors import Cancelled, SettingsError, WeightsError
from restore.progress import Position, Progress
from restore.settings import Settings
from tests.hub import REVISION, Fault, Hub

DATA = random.Random(1).randbytes(200_000)
WRONG = random.Random(2).randbytes(200_000)
SHA = hashlib.sha256(DATA).hexdigest()
NONE = Settings()


def left_behind(home: Path) -> list[str]:
    """Every file below ``home`` except locks, what the Hub's cache tags itself with, and remembered checksums."""
    return [
        str(path.relative_to(home))
        for path in home.rglob("*")
        if (path.is_symlink() or path.is_file())
        and path.suffix != ".lock"
        and path.name != "CACHEDIR.TAG"
        and path.parent.name != "checksums"
        and ".no_exist" not in path.parts
    ]


def new_process() -> None:
    """Forget what this process knows about files, as a new one would."""
    checksums._digests.clear()


# --- downloads from the Hub


@pytest.mark.parametrize(
    "changes",
    [{}, {"repo_type": "space", "repo_file": "weights/model.pth"}, {"sha256": SHA[:8]}],
    ids=["plain", "a folder of a Space", "known by a prefix"],
)
def test_a_file_is_downloaded_once_and_then_found_with_no_network(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    entry = hub.checkpoint("model", DATA, **changes)
    assert weights.find(entry, NONE) is None
    assert hub.requests == []
    positions: list[Position] = []
    got = weights.obtain(entry, NONE, Progress(positions.append))
    assert got.path.read_bytes() == DATA
    assert (got.use.origin, got.use.verified, got.use.sha256, got.use.revision) == ("hub", True, SHA, REVISION)
    assert (got.use.licence, got.use.commercial) == ("MIT", True)
    assert {(position.total, position.unit) for position in positions} == {(len(DATA), "bytes")}
    assert positions[-1].done == len(DATA)
    assert len(hub.downloads) == 1

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    before = len(hub.requests)
    assert weights.obtain(entry, NONE) == weights.find(entry, NONE) == got
    assert len(hub.requests) == before


def test_progress_shows_the_bytes_as_they_come(hub: Hub) -> None:
    entry = hub.checkpoint("model", DATA, Fault(seconds_per_piece=0.05))
    done: list[float] = []
    weights.obtain(entry, NONE, Progress(lambda position: done.append(position.done)))
    assert done == sorted(done)
    assert len([value for value in set(done) if 0 < value < len(DATA)]) >= 2


def test_a_file_with_no_published_checksum_is_used_but_not_called_verified(hub: Hub) -> None:
    got = weights.obtain(hub.checkpoint("model", DATA, sha256=""), NONE)
    assert (got.use.verified, got.use.sha256) == (False, SHA)


def test_a_broken_download_goes_on_where_it_stopped(hub: Hub, isolated: Path) -> None:
    entry = hub.checkpoint("model", DATA, Fault(drop_after=80_000, times=1))
    assert weights.obtain(entry, NONE).path.read_bytes() == DATA
    first, second = hub.downloads
    assert first.range is None
    assert second.range is not None
    assert 0 < int(second.range.removeprefix("bytes=").removesuffix("-")) <= 80_000
    assert not [name for name in left_behind(isolated) if name.endswith(".incomplete")]


def test_a_wrong_file_is_refused_and_removed(hub: Hub, isolated: Path) -> None:
    entry = hub.checkpoint("model", DATA, Fault(body=WRONG), url=hub.publish_url("model.pth", DATA))
    with pytest.raises(WeightsError, match=r"model\.pth.*tests/model.*not the published file"):
        weights.obtain(entry, NONE)
    assert left_behind(isolated) == []
    assert weights.find(entry, NONE) is None
    assert len(hub.downloads) == 1, "a file that was tampered with is no reason to try elsewhere in silence"

    hub.publish("tests/model", REVISION, "model.pth", DATA)
    assert weights.obtain(entry, NONE).use.verified


def test_a_gated_repository_asks_for_a_token_and_takes_it(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    fault = Fault(status=401, error_code="GatedRepo", token="hf_secret")
    entry = hub.checkpoint("model", DATA, fault, url=hub.publish_url("model.pth", DATA))
    with pytest.raises(WeightsError, match=r"model\.pth.*gated.*tests/model.*HF_TOKEN"):
        weights.obtain(entry, NONE)
    assert hub.downloads == []
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert weights.obtain(entry, NONE).use.verified
    assert hub.requests[-1].authorization == "Bearer hf_secret"


# --- the second source


def _no_file(hub: Hub, entry: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> Checkpoint:
    return replace(entry, repo_file="another.pth")


def _no_revision(hub: Hub, entry: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> Checkpoint:
    return replace(entry, revision="f" * 40)


def _no_repository(hub: Hub, entry: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> Checkpoint:
    return replace(entry, repo="tests/gone")


def _server_error(hub: Hub, entry: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> Checkpoint:
    hub.publish("tests/model", REVISION, "model.pth", DATA, Fault(status=500))
    return entry


def _no_server(hub: Hub, entry: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> Checkpoint:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    return entry


def _no_home(hub: Hub, entry: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> Checkpoint:
    return replace(entry, repo=None, revision=None)


Arrange = Callable[[Hub, Checkpoint, pytest.MonkeyPatch], Checkpoint]


@pytest.mark.parametrize(
    "arrange", [_no_file, _no_revision, _no_repository, _server_error, _no_server, _no_home], ids=lambda f: f.__name__
)
def test_the_official_address_stands_in_for_the_hub(
    hub: Hub, isolated: Path, monkeypatch: pytest.MonkeyPatch, arrange: Arrange
) -> None:
    entry = hub.checkpoint("model", DATA, url=hub.publish_url("model.pth", DATA))
    entry = arrange(hub, entry, monkeypatch)
    positions: list[Position] = []
    start = time.monotonic()
    got = weights.obtain(entry, NONE, Progress(positions.append))
    assert time.monotonic() - start < 5, "a dead Hub is not asked again and again"
    assert got.path.read_bytes() == DATA
    assert isolated / "restore" in got.path.parents
    assert (got.use.origin, got.use.verified, got.use.revision) == ("url", True, None)
    assert (positions[-1].done, positions[-1].total) == (len(DATA), len(DATA))
    before = len(hub.requests)
    assert weights.obtain(entry, NONE) == got
    assert len(hub.requests) == before


@pytest.mark.parametrize(
    ("hub_fault", "url_fault", "words"),
    [
        (Fault(status=503), Fault(status=404), ["503", "no such file"]),
        (Fault(status=403), Fault(drop_after=0), ["403", "broke off"]),
    ],
)
def test_when_both_sources_fail_the_message_names_both_and_the_way_out(
    hub: Hub, isolated: Path, hub_fault: Fault, url_fault: Fault, words: list[str]
) -> None:
    url = hub.publish_url("model.pth", DATA, url_fault)
    entry = hub.checkpoint("model", DATA, hub_fault, url=url)
    with pytest.raises(WeightsError) as caught:
        weights.obtain(entry, NONE)
    message = str(caught.value)
    for word in [*words, "tests/model", "model.pth", REVISION, url, "restore fetch model", "RESTORE_WEIGHTS"]:
        assert word in message
    assert left_behind(isolated) == []


def test_no_network_at_all_is_said_at_once(monkeypatch: pytest.MonkeyPatch, hub: Hub) -> None:
    entry = hub.checkpoint("model", DATA, url="http://127.0.0.1:9/model.pth")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    start = time.monotonic()
    with pytest.raises(WeightsError, match=r"no connection.*127\.0\.0\.1:9/model\.pth: no connection"):
        weights.obtain(entry, NONE)
    assert time.monotonic() - start < 3


@pytest.mark.parametrize("endpoint", ["hub.example.org", "http://[::"])
def test_an_endpoint_that_is_no_address_is_named(hub: Hub, monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    entry = hub.checkpoint("model", DATA)
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    with pytest.raises(WeightsError) as caught:
        weights.obtain(entry, NONE)
    assert f"{endpoint}/tests/model" in str(caught.value)
    assert "not the address of a server" in str(caught.value)


@pytest.mark.parametrize("ranges", [True, False], ids=["ranges", "no ranges"])
def test_a_broken_download_from_an_address_goes_on(hub: Hub, isolated: Path, ranges: bool) -> None:
    fault = Fault(drop_after=80_000, times=1, ranges=ranges)
    entry = hub.checkpoint("model", DATA, repo=None, revision=None, url=hub.publish_url("model.pth", DATA, fault))
    assert weights.obtain(entry, NONE).path.read_bytes() == DATA
    assert [request.range for request in hub.downloads] == [None, "bytes=80000-"]
    assert left_behind(isolated) == ["restore/weights/model/model.pth"]


def test_what_a_killed_process_left_is_used(hub: Hub, isolated: Path) -> None:
    entry = hub.checkpoint("model", DATA, repo=None, revision=None, url=hub.publish_url("model.pth", DATA))
    kept = caches.own_file(entry).with_name("model.pth.incomplete")
    kept.parent.mkdir(parents=True)
    for length in (80_000, len(DATA)):
        kept.write_bytes(DATA[:length])
        got = weights.obtain(entry, NONE)
        assert got.use.verified
        assert hub.requests[-1].range == f"bytes={length}-"
        assert left_behind(isolated) == ["restore/weights/model/model.pth"]
        got.path.unlink()


def test_a_wrong_file_from_an_address_is_refused_and_removed(hub: Hub, isolated: Path) -> None:
    url = hub.publish_url("model.pth", DATA, Fault(body=WRONG))
    entry = hub.checkpoint("model", DATA, repo=None, revision=None, url=url)
    with pytest.raises(WeightsError, match=r"model\.pth from http.*not the published file"):
        weights.obtain(entry, NONE)
    assert left_behind(isolated) == []


# --- asked not to


def test_offline_asks_nobody_and_says_so(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = hub.checkpoint("model", DATA, url=hub.publish_url("model.pth", DATA))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(WeightsError, match=r"model\.pth.*HF_HUB_OFFLINE.*tests/model.*RESTORE_WEIGHTS"):
        weights.obtain(entry, NONE)
    assert hub.requests == []


@pytest.mark.parametrize("source", ["hub", "url", "lock"])
def test_stop_ends_a_download_at_once_and_leaves_nothing(hub: Hub, isolated: Path, source: str) -> None:
    slow = Fault(seconds_per_piece=0.5)
    url = hub.publish_url("model.pth", DATA, slow)
    changes = {} if source == "hub" else {"repo": None, "revision": None, "url": url}
    entry = hub.checkpoint("model", DATA, slow, **changes)
    progress = Progress()
    outcome: list[BaseException] = []

    def run() -> None:
        try:
            weights.obtain(entry, NONE, progress)
        except Cancelled as error:
            outcome.append(error)

    locks = isolated / "restore" / "locks"
    locks.mkdir(parents=True)
    thread = threading.Thread(target=run)
    if source == "lock":
        with WeakFileLock(locks / "model.lock"):
            thread.start()
            time.sleep(0.3)
            start = time.monotonic()
            progress.cancel()
            thread.join(timeout=10)
    else:
        thread.start()
        hub.wait_for_download()
        time.sleep(0.7)  # a first piece has arrived
        start = time.monotonic()
        progress.cancel()
        thread.join(timeout=10)
    assert time.monotonic() - start < 2.8
    assert len(outcome) == 1
    assert left_behind(isolated) == []
    with pytest.raises(Cancelled):
        weights.obtain(entry, NONE, progress)


def test_a_cache_that_cannot_be_written_is_a_clear_error(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    blocked = tmp_path / "a file"
    blocked.touch()
    monkeypatch.setenv("HF_HOME", str(blocked / "cache"))
    entry = hub.checkpoint("model", DATA)
    with pytest.raises(WeightsError, match=r"model\.pth cannot be stored in .*a file"):
        weights.obtain(entry, NONE)
    with pytest.raises(WeightsError, match=r"model\.pth cannot be stored in .*a file"):
        weights.obtain(replace(entry, repo=None, revision=None, url=hub.publish_url("model.pth", DATA)), NONE)


# --- several at once

OTHER_PROCESS = """
import json, sys
from restore import weights
from restore.catalog import Checkpoint
from restore.settings import Settings
entry = json.loads(sys.argv[1])
entry = Checkpoint(**{**entry, "stages": tuple(entry["stages"])})
print("ready", flush=True)
sys.stdin.readline()
got = weights.obtain(entry, Settings())
print(json.dumps([str(got.path), got.use.verified, got.use.origin]), flush=True)
"""


@pytest.mark.parametrize("source", ["hub", "url"])
def test_two_processes_that_want_the_same_file_share_one_download(hub: Hub, isolated: Path, source: str) -> None:
    slow = Fault(seconds_per_piece=0.05)
    url = hub.publish_url("model.pth", DATA, slow)
    changes = {} if source == "hub" else {"repo": None, "revision": None, "url": url}
    entry = hub.checkpoint("model", DATA, slow, **changes)
    root = Path(weights.__file__).parents[1]
    command = [sys.executable, "-c", OTHER_PROCESS, json.dumps(asdict(entry))]
    processes = [
        subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    results = []
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        output, _ = process.communicate(timeout=30)
        assert process.returncode == 0
        results.append(json.loads(output))
    assert results[0] == results[1]
    path, verified, origin = results[0]
    assert (verified, origin) == (True, source)
    assert Path(path).read_bytes() == DATA
    assert len(hub.downloads) == 1
    assert not [name for name in left_behind(isolated) if name.endswith(".incomplete")]


# --- checksums


def test_a_checksum_is_computed_once_for_an_unchanged_file(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = hub.checkpoint("model", DATA)
    got = weights.obtain(entry, NONE)
    read: list[Path] = []
    honest = checksums.compute

    def spy(path: Path) -> str:
        read.append(path)
        return honest(path)

    monkeypatch.setattr(checksums, "compute", spy)
    new_process()
    assert weights.find(entry, NONE) == got
    assert read == []
    blob = got.path.resolve()
    os.utime(blob, ns=(0, 0))
    assert weights.find(entry, NONE) == got
    assert len(read) == 1


@pytest.mark.parametrize("source", ["hub", "url"])
def test_a_file_damaged_in_a_cache_is_removed_and_fetched_again(
    hub: Hub, isolated: Path, caplog: pytest.LogCaptureFixture, source: str
) -> None:
    url = hub.publish_url("model.pth", DATA)
    entry = hub.checkpoint("model", DATA, **({} if source == "hub" else {"repo": None, "revision": None, "url": url}))
    path = weights.obtain(entry, NONE).path
    path.resolve().write_bytes(WRONG)
    assert weights.find(entry, NONE) is None
    assert "published sha256" in caplog.text
    assert left_behind(isolated) == []
    assert weights.obtain(entry, NONE).path.read_bytes() == DATA
    assert len(hub.downloads) == 2


# --- files of the user's own, and of the package


@pytest.mark.parametrize(
    ("place", "found"),
    [
        ("published.pth", True),
        ("model.safetensors", True),
        ("model.pth", True),
        ("mine/published.pth", True),
        ("Published.pth", False),
        ("one/two/published.pth", False),
    ],
)
def test_a_local_file_comes_first_whatever_its_checksum(hub: Hub, tmp_path: Path, place: str, found: bool) -> None:
    entry = hub.checkpoint("model", DATA, file="published.pth")
    cached = weights.obtain(entry, NONE)
    (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / place).write_bytes(WRONG)
    got = weights.obtain(entry, Settings(weights=(tmp_path,)))
    if not found:
        assert got == cached
        return
    assert got.path == tmp_path / place
    assert (got.use.origin, got.use.verified, got.use.revision) == ("local", False, None)
    assert got.use.sha256 == hashlib.sha256(WRONG).hexdigest()
    assert got.use.file == Path(place).name

    (tmp_path / place).write_bytes(DATA)
    assert weights.obtain(entry, Settings(weights=(tmp_path,))).use.verified


def test_the_first_folder_wins_and_a_missing_one_is_mentioned_once(
    hub: Hub, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    entry = hub.checkpoint("model", DATA)
    folders = tuple(tmp_path / name for name in ("gone", "first", "second"))
    for folder in folders[1:]:
        folder.mkdir()
        (folder / "model.pth").write_bytes(DATA)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            got = weights.find(entry, Settings(weights=folders))
            assert got is not None
            assert got.path == folders[1] / "model.pth"
    assert [record.getMessage().count(str(folders[0])) for record in caplog.records] == [1]


def test_the_packaged_file_is_built_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, hub: Hub) -> None:
    monkeypatch.setattr(weights, "PACKAGE", tmp_path)
    packaged = hub.checkpoint("model", DATA, repo=None, revision=None, package_file="networks/model.safetensors")
    with pytest.raises(WeightsError, match="install the program again"):
        weights.obtain(packaged, NONE)
    path = tmp_path / "networks" / "model.safetensors"
    path.parent.mkdir()
    path.write_bytes(DATA)
    got = weights.obtain(packaged, NONE)
    assert got.path == path
    assert (got.use.origin, got.use.verified) == ("built-in", True)
    path.write_bytes(WRONG)
    with pytest.raises(WeightsError, match="damaged"):
        weights.obtain(packaged, NONE)
    assert path.exists(), "a file of the installation is not ours to remove"
    assert hub.requests == []


def test_a_name_is_looked_up_in_the_catalogue(tmp_path: Path) -> None:
    (tmp_path / "RealESRGAN_x4plus.pth").write_bytes(DATA)
    got = weights.obtain("RealESRGAN_x4plus", Settings(weights=(tmp_path,)))
    assert (got.use.name, got.use.licence, got.use.verified) == ("RealESRGAN_x4plus", "BSD-3-Clause", False)
    with pytest.raises(SettingsError, match="RealESRGAN_x4plus"):
        weights.find("RealESRGAN_x4", NONE)


# --- reading

TENSORS = {"conv.weight": torch.arange(12.0).reshape(3, 4), "conv.bias": torch.ones(3, dtype=torch.float16)}


@pytest.mark.parametrize("kind", ["safetensors", "zip", "legacy"])
def test_a_checkpoint_is_read_as_it_was_written(tmp_path: Path, kind: str) -> None:
    path = tmp_path / ("model.safetensors" if kind == "safetensors" else "model.pth")
    if kind == "safetensors":
        save_file(TENSORS, path)
        content = weights.load_checkpoint(path)
    else:
        extra = {"kernel": slice(1, 2), "made": datetime.datetime(2018, 9, 1), "epoch": 3}
        container = {"params_ema": collections.OrderedDict(TENSORS), **extra}
        torch.save(container, path, _use_new_zipfile_serialization=kind == "zip")
        loaded = weights.load_checkpoint(path)
        assert {key: loaded[key] for key in extra} == extra
        content = loaded["params_ema"]
    assert list(content) == list(TENSORS)
    for name, tensor in TENSORS.items():
        assert content[name].dtype == tensor.dtype
        assert torch.equal(content[name], tensor)


class Hostile:
    """Creates a file when it is unpickled by a reader that allows it."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.marker,))


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("kind", ["zip", "legacy", "pickle", "safetensors"])
def test_a_hostile_file_is_refused_and_nothing_in_it_runs(tmp_path: Path, kind: str) -> None:
    marker = tmp_path / "marker"
    path = tmp_path / ("evil.safetensors" if kind == "safetensors" else "evil.pth")
    content = {"params": TENSORS, "evil": Hostile(marker)}
    if kind in ("zip", "legacy"):
        torch.save(content, path, _use_new_zipfile_serialization=kind == "zip")
    else:
        path.write_bytes(pickle.dumps(content))
    with pytest.raises(WeightsError, match=r"evil\."):
        weights.load_checkpoint(path)
    assert not marker.exists()
    if kind == "zip":
        torch.load(path, weights_only=False)
        assert marker.exists(), "the file was not hostile at all"


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("content", [b"", b"not a checkpoint\n" * 100, b"<html></html>", b"PK\x03\x04", None])
def test_what_is_no_checkpoint_is_named(tmp_path: Path, suffix: str, content: bytes | None) -> None:
    path = tmp_path / f"broken{suffix}"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"broken\."):
        weights.load_checkpoint(path)
    with pytest.raises(WeightsError, match=r"gone\."):
        weights.load_checkpoint(tmp_path / f"gone{suffix}")


@pytest.mark.parametrize("content", [[1, 2], torch.zeros(2), {1: torch.zeros(2)}])
def test_tensors_without_names_are_no_checkpoint(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "list.pth")
    with pytest.raises(WeightsError, match="by name"):
        weights.load_checkpoint(tmp_path / "list.pth")


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("kind", ["safetensors", "zip", "legacy"])
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_damaged_file_is_read_or_refused_but_never_raises_anything_else(
    tmp_path_factory: pytest.TempPathFactory, kind: str, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("damaged") / ("model.safetensors" if kind == "safetensors" else "model.pth")
    if kind == "safetensors":
        save_file(TENSORS, path)
    else:
        torch.save(TENSORS, path, _use_new_zipfile_serialization=kind == "zip")
    content = bytearray(path.read_bytes())
    for position in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=4), label="damaged bytes"):
        content[position] ^= data.draw(st.integers(1, 255), label="by")
    path.write_bytes(content[: data.draw(st.integers(0, len(content)), label="length")])
    refusal = ""
    try:
        weights.load_checkpoint(path)
    except WeightsError as error:
        refusal = str(error)
    if refusal:  # most damage is noticed, but not every changed bit of a tensor can be
        assert path.name in refusal
        assert str(path.parent) not in refusal  # a visitor of the page reads it as well
