"""What is at hand: the facts follow the files on this machine, and a bad one is told, not raised."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType, SimpleNamespace

import pytest
import torch

from restore import catalog, inventory, weights
from restore.catalog import Checkpoint
from restore.inventory import ModelFacts, ModelState
from restore.settings import Settings
from tests.hub import Hub

CPU = Settings(device="cpu")


def facts(settings: Settings = CPU) -> dict[str, ModelFacts]:
    return {each.name: each for each in inventory.model_facts(settings)}


def use_catalogue(monkeypatch: pytest.MonkeyPatch, *entries: Checkpoint) -> None:
    built_in = catalog.checkpoint("built-in")
    entries_by_name: Mapping[str, Checkpoint] = MappingProxyType({e.name: e for e in (*entries, built_in)})
    monkeypatch.setattr(catalog, "checkpoints", lambda: entries_by_name)


def test_on_a_machine_with_nothing_every_model_but_the_built_in_ones_needs_its_download() -> None:
    models = facts()

    built_in = ["built-in", "built-in-colour"]
    assert list(models)[:2] == built_in
    assert {models[name].state for name in built_in} == {ModelState.BUILT_IN}
    assert {models[name].download_bytes for name in built_in} == {None}
    others = [model for name, model in models.items() if name not in built_in]
    assert others
    assert {model.state for model in others} == {ModelState.DOWNLOAD}
    assert all(model.verified is None and model.problem is None for model in others)
    assert [model.name for model in models.values() if model.default] == ["realesr-general-x4v3"]
    # What only stands beside another model is not offered, but counts as its download.
    partner = catalog.checkpoint("realesr-general-wdn-x4v3")
    assert partner.name not in models
    own = catalog.checkpoint("realesr-general-x4v3").size
    assert own is not None
    assert partner.size is not None
    assert models["realesr-general-x4v3"].download_bytes == own + partner.size


def test_a_model_is_on_disk_once_it_was_downloaded_and_its_companion_still_counts(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    partner = replace(hub.checkpoint("partner", b"p" * 70), stages=())
    entry = hub.checkpoint("model", b"m" * 50, companions={"weak_denoise": "partner"}, commercial=False)
    use_catalogue(monkeypatch, partner, entry)
    assert facts()["model"].download_bytes == 120

    weights.obtain(entry, CPU)
    before = len(hub.requests)
    model = facts()["model"]

    assert (model.state, model.verified, model.download_bytes) == (ModelState.ON_DISK, True, 70)
    assert not model.commercial
    weights.obtain(partner, CPU)
    assert facts()["model"].download_bytes is None
    assert len(hub.requests[before:]) == len([r for r in hub.requests[before:] if "partner" in r.path])


def test_a_size_that_nobody_published_stays_unknown(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    use_catalogue(monkeypatch, hub.checkpoint("model", b"m", size=None))
    assert facts()["model"].state is ModelState.DOWNLOAD
    assert facts()["model"].download_bytes is None


def test_a_file_that_cannot_be_read_is_told_and_breaks_nothing(
    tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = hub.checkpoint("model", b"m" * 50)
    use_catalogue(monkeypatch, entry)
    (tmp_path / entry.file).write_bytes(b"not the published file")
    mine = replace(CPU, weights=(tmp_path,))
    assert (facts(mine)["model"].state, facts(mine)["model"].verified) == (ModelState.ON_DISK, False)

    def refuse(path: Path) -> str:
        raise weights.WeightsError(f"The file of weights {path} cannot be read: Input/output error.")

    monkeypatch.setattr("restore.checksums.sha256_of", refuse)
    model = facts(mine)["model"]
    assert model.state is ModelState.DAMAGED
    assert model.problem is not None
    assert str(tmp_path) not in model.problem
    assert model.download_bytes is None


def test_a_large_file_is_read_once(tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = hub.checkpoint("model", b"m" * 50)
    use_catalogue(monkeypatch, entry)
    (tmp_path / entry.file).write_bytes(b"m" * 50)
    settings = replace(CPU, weights=(tmp_path,))
    first = facts(settings)["model"]
    monkeypatch.setattr("restore.checksums.compute", lambda path: pytest.fail(f"{path} was read again"))
    assert facts(settings)["model"] == first


def test_the_processor_goes_by_the_name_that_its_maker_gave_it() -> None:
    device = inventory.device_facts(replace(CPU, precision="float32"))

    assert device.kind == "cpu"
    assert device.name.strip()
    assert device.precision == "float32"
    assert 0 < device.memory_bytes < 2**50


X86 = "processor\t: 0\nmodel\t\t: 17\nmodel name\t: AMD EPYC  9R14\nflags\t: fpu\n\nmodel name\t: other\n"
ARM = "processor\t: 0\nBogoMIPS\t: 243.75\nCPU implementer\t: 0x41\n"


@pytest.mark.parametrize(("text", "name"), [(X86, "AMD EPYC 9R14"), (ARM, "aarch64")])
def test_the_name_is_the_first_in_cpuinfo(
    text: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "cpuinfo"
    path.write_text(text)
    monkeypatch.setattr(inventory, "CPUINFO", path)
    monkeypatch.setattr(inventory.platform, "machine", lambda: "aarch64")
    inventory.processor_name.cache_clear()
    try:
        assert inventory.processor_name() == name
    finally:
        inventory.processor_name.cache_clear()


def test_a_gpu_tells_its_name_and_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    properties = SimpleNamespace(name="NVIDIA H200", total_memory=150_000_000_000)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: properties)

    device = inventory.device_facts(Settings())

    assert (device.name, device.kind, device.precision) == ("NVIDIA H200", "cuda", "float16")
    assert device.memory_bytes == 150_000_000_000
    assert facts(Settings())["RealESRGAN_x4plus"].default
