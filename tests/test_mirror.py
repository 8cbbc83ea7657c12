"""Copies of models in a repository of the user's own on the Hub: made, uploaded, fetched from there, and checked."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load, load_file

from restore import catalog, checksums, models, networks, weights
from restore.catalog import Checkpoint
from restore.cli.command_line import main
from restore.errors import SettingsError, WeightsError
from restore.hub_mirror import INDEX
from restore.settings import Settings, load_settings
from tests.hub import Fault, Hub

MIRROR = "me/copies"
TOKEN = "hf_of_a_test"
SMALL = {"num_feat": 4, "num_conv": 1, "upscale": 2, "act_type": "prelu"}


@pytest.fixture
def shop(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> dict[str, Checkpoint]:
    """A catalogue of small models: one on the Hub, two at an address only, of which one has no published hash."""
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    hub.token = TOKEN
    entries: dict[str, Checkpoint] = {}
    for seed, name in enumerate(("at-home", "homeless", "unknown")):
        data = published(seed)
        if name == "at-home":
            entries[name] = hub.checkpoint(name, data, arguments=SMALL, container="params")
        else:
            url = hub.publish_url(f"{name}.pth", data)
            entries[name] = hub.checkpoint(
                name, data, arguments=SMALL, container="params", repo=None, revision=None, url=url, commercial=False
            )
    entries["unknown"] = replace(entries["unknown"], sha256="", size=None)
    monkeypatch.setattr(catalog, "checkpoints", lambda: entries)
    return entries


def published(seed: int) -> bytes:
    """A file as BasicSR writes it, with more in it than the weights."""
    from restore.networks.srvgg import build

    torch.manual_seed(seed)
    file = io.BytesIO()
    torch.save({"params": build(**SMALL).state_dict(), "epoch": 3}, file)
    return file.getvalue()


def forget(home: Path) -> None:
    """Empty the caches, as on another machine."""
    for path in sorted(home.rglob("*"), reverse=True):
        if path.is_symlink() or path.is_file():
            path.unlink()
    checksums._digests.clear()


def test_a_model_goes_to_a_mirror_and_comes_back(
    hub: Hub,
    isolated: Path,
    shop: dict[str, Checkpoint],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["mirror", "--to", MIRROR, "homeless", "at-home"]) == 0
    said = capsys.readouterr()
    assert f"RESTORE_HUB_MIRROR={MIRROR}" in said.out
    assert "homeless must not be used commercially" in said.err
    files = hub.uploaded(MIRROR)
    assert files.keys() == {"homeless.safetensors", "at-home.safetensors", INDEX, "README.md"}
    expected = networks.convert("homeless", torch.load(io.BytesIO(published(1)), weights_only=True))
    copied = load(files["homeless.safetensors"])
    assert copied.keys() == expected.keys()
    assert all(torch.equal(copied[name], expected[name]) for name in expected)
    card = files["README.md"].decode()
    digest = hashlib.sha256(files["homeless.safetensors"]).hexdigest()
    for word in ("homeless.pth", shop["homeless"].sha256, digest, "MIT (no commercial use)", shop["homeless"].source):
        assert word in card

    forget(isolated)
    monkeypatch.setenv("RESTORE_HUB_MIRROR", MIRROR)
    monkeypatch.delenv("HF_TOKEN")
    settings = load_settings()
    before = len(hub.downloads)
    got = weights.obtain("homeless", settings)
    asked = {request.path for request in hub.downloads[before:]}
    assert asked == {f"/{MIRROR}/resolve/main/{INDEX}", f"/{MIRROR}/resolve/{got.use.revision}/homeless.safetensors"}
    assert (got.use.origin, got.use.verified, got.use.sha256) == ("mirror", True, digest)
    assert load_file(got.path).keys() == expected.keys()
    assert models._Weights("homeless", got.path)().keys() == expected.keys()
    before = len(hub.requests)
    assert weights.find("homeless", settings) == got
    assert weights.obtain("homeless", settings) == got
    assert len(hub.requests) == before
    # What the mirror does not have comes from where it is published.
    assert weights.obtain("unknown", settings).use.origin == "url"
    assert weights.find("homeless", Settings()) is None


def test_without_names_what_has_no_home_is_copied_and_only_once(
    hub: Hub, shop: dict[str, Checkpoint], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["mirror", "--to", MIRROR]) == 0
    assert hub.uploaded(MIRROR).keys() == {"homeless.safetensors", "unknown.safetensors", INDEX, "README.md"}
    index = json.loads(hub.uploaded(MIRROR)[INDEX])["models"]
    assert {name: record["published"]["verified"] for name, record in index.items()} == {
        "homeless": True,
        "unknown": False,
    }
    assert "none is published to compare with" in hub.uploaded(MIRROR)["README.md"].decode()
    got = weights.obtain("unknown", Settings(hub_mirror=MIRROR))
    assert not got.use.verified
    uploads = [request for request in hub.requests if request.method == "PUT"]
    capsys.readouterr()
    assert main(["mirror", "--to", MIRROR, "homeless"]) == 0
    assert "homeless: is there already" in capsys.readouterr().out
    assert [request for request in hub.requests if request.method == "PUT"] == uploads


def _other_weights(files: dict[str, bytes]) -> dict[str, bytes]:
    return {"homeless.safetensors": files["homeless.safetensors"][:-1] + b"\xff"}


def _other_index(files: dict[str, bytes]) -> dict[str, bytes]:
    index = json.loads(files[INDEX])
    index["models"]["homeless"]["sha256"] = "0" * 64
    return {INDEX: json.dumps(index).encode()}


@pytest.mark.parametrize("change", [_other_weights, _other_index], ids=["weights", "index"])
def test_a_manipulated_copy_is_refused(
    hub: Hub, isolated: Path, shop: dict[str, Checkpoint], change: Callable[[dict[str, bytes]], dict[str, bytes]]
) -> None:
    assert main(["mirror", "--to", MIRROR, "homeless"]) == 0
    commit = hub.head(MIRROR)
    for file, data in change(hub.uploaded(MIRROR)).items():
        for revision in ("main", commit):
            hub.publish(MIRROR, revision, file, data)
    forget(isolated)
    with pytest.raises(WeightsError, match=rf"homeless\.safetensors from http.*{MIRROR}.* is not the published file"):
        weights.obtain("homeless", Settings(hub_mirror=MIRROR))
    assert not list(isolated.rglob("homeless.safetensors"))


OF_ANOTHER_FILE = {"models": {"homeless": {"sha256": "1" * 64, "size": 1, "published": {"sha256": "2" * 64}}}}


@pytest.mark.parametrize(
    ("index", "why"),
    [
        (b"nonsense", "its index cannot be used"),
        (b"[]", "its index cannot be used"),
        (b'{"models": {"homeless": {"sha256": "12"}}}', "its index cannot be used"),
        (b'{"models": {}}', "it has no copy"),
        (json.dumps(OF_ANOTHER_FILE).encode(), "it has no copy"),
        (None, "there is no such repository"),
    ],
)
def test_a_mirror_that_is_of_no_use_is_passed_over(
    hub: Hub, shop: dict[str, Checkpoint], index: bytes | None, why: str
) -> None:
    for revision in ("main", "f" * 40):
        if index is not None:
            hub.publish(MIRROR, revision, INDEX, index)
    settings = Settings(hub_mirror=MIRROR)
    assert weights.obtain("homeless", settings).use.origin == "url"
    lost = replace(shop["homeless"], url="http://127.0.0.1:9/homeless.pth", file="other.pth", sha256="3" * 64)
    with pytest.raises(WeightsError, match=why):
        weights.obtain(lost, settings)


def test_what_is_not_the_published_file_is_not_uploaded(
    hub: Hub,
    shop: dict[str, Checkpoint],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "homeless.pth").write_bytes(published(9))
    monkeypatch.setenv("RESTORE_WEIGHTS", str(tmp_path))
    other = torch.nn.Linear(1, 1).state_dict()
    torch.save(other, tmp_path / "unknown.pth")
    assert main(["mirror", "--to", MIRROR, "homeless", "unknown", "at-home"]) == 1
    said = capsys.readouterr().err
    assert "homeless.pth is not the published homeless.pth" in said
    assert "unknown.pth does not fit the network of unknown" in said
    assert hub.uploaded(MIRROR).keys() == {"at-home.safetensors", INDEX, "README.md"}


def test_a_token_that_may_not_write_is_named(
    hub: Hub, shop: dict[str, Checkpoint], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_of_somebody_else")
    assert main(["mirror", "--to", MIRROR, "homeless"]) == 1
    assert f"does not let you write to {MIRROR}: set HF_TOKEN" in capsys.readouterr().err
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert main(["mirror", "--to", MIRROR, "homeless"]) == 1
    assert "HF_HUB_OFFLINE forbids" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--to", "copies"], "OWNER/REPO"),
        (["--to", "me/copies/here"], "OWNER/REPO"),
        (["--to", MIRROR, "nobody"], "no model called 'nobody'"),
        (["--to", MIRROR, "--all", "homeless"], "not both"),
    ],
)
def test_a_wrong_call_is_answered_with_a_sentence(
    shop: dict[str, Checkpoint], capsys: pytest.CaptureFixture[str], words: list[str], complaint: str
) -> None:
    assert main(["mirror", *words]) == 2
    assert complaint in capsys.readouterr().err


def test_the_setting_is_checked() -> None:
    assert load_settings({"RESTORE_HUB_MIRROR": f" {MIRROR} "}).hub_mirror == MIRROR
    assert load_settings({}).hub_mirror is None
    with pytest.raises(SettingsError, match="OWNER/REPO"):
        load_settings({"RESTORE_HUB_MIRROR": "https://huggingface.co/me/copies"})


# --- addresses that are no plain files

FORM = """<html><head><title>Google Drive - Virus scan warning</title></head><body>
<form id="download-form" action="{action}" method="get"><input type="submit" value="Download anyway"/>
<input type="hidden" name="id" value="ID"><input type="hidden" name="confirm" value="t"></form></body></html>"""


def test_google_drive_is_told_that_the_file_is_wanted(hub: Hub, isolated: Path) -> None:
    data = published(1) * 20
    fault = Fault(page=FORM.format(action="/files/drive"), drop_after=len(data) - 5000, times=3)
    url = hub.publish_url("drive", data, fault) + "?export=download&id=ID"
    entry = hub.checkpoint("model", data, repo=None, revision=None, url=url)
    got = weights.obtain(entry, Settings())
    assert got.path.read_bytes() == data
    assert (got.use.origin, got.use.verified) == ("url", True)


@pytest.mark.parametrize(
    "page", ["<html>Quota exceeded</html>", FORM.format(action="/files/page").replace("confirm", "other")]
)
def test_a_web_page_is_never_taken_for_the_file(hub: Hub, isolated: Path, page: str) -> None:
    data = page.encode()
    hub_page = hub.publish_url("page", data, Fault(page=page))
    good = hub.publish_url("good", data)
    entry = hub.checkpoint("model", data, repo=None, revision=None, url=hub_page, mirrors=(good,))
    assert weights.obtain(entry, Settings()).path.read_bytes() == data
    lonely = replace(entry, name="lonely", mirrors=(), sha256="", size=None)
    with pytest.raises(WeightsError, match="a web page came in place of the file"):
        weights.obtain(lonely, Settings())


def test_a_file_of_another_size_is_not_waited_for(hub: Hub) -> None:
    data = b"x" * 100_000
    entry = hub.checkpoint("model", data, repo=None, revision=None, url=hub.publish_url("model.pth", data + b"y"))
    with pytest.raises(WeightsError, match="a file of 100001 bytes came in place of one of 100000"):
        weights.obtain(entry, Settings())
