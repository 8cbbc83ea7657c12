"""``Clean``: the published repair of old film, in blocks that overlap and in tiles, and nothing where no model is."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

import restore
from restore import Clean, Frame, catalog, networks
from restore.cleaning import repair
from restore.cleaning.blocks import blocks
from restore.colour.deepremaster import BLOCK, resized
from restore.errors import SettingsError, WeightsError
from restore.inference import trial
from restore.networks.deepremaster import DeepRemaster
from restore.settings import Settings
from tests.oracle_runners.case import Case

MODEL = "deepremaster"
CASE = Case(Path(__file__).parent / "oracles" / MODEL, MODEL)


@pytest.fixture(scope="module")
def weights() -> dict[str, Tensor]:
    """A checkpoint whose repairing half is that of the recorded case; the other half, which is large, is zeros."""
    own = networks.build(MODEL).state_dict()
    repairing = replace_keys({key: shape for key, shape in CASE.keys.items() if key.startswith("modelR")})
    return {key: repairing.get(key, torch.zeros_like(value)) for key, value in own.items()}


def replace_keys(keys: dict[str, object]) -> dict[str, Tensor]:
    case = Case(CASE.folder, MODEL)
    case.__dict__["keys"] = keys
    return case.fill()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, weights: dict[str, Tensor]) -> Path:
    made = tmp_path_factory.mktemp("weights")
    save_file(weights, made / f"{MODEL}.safetensors")
    return made


@pytest.fixture
def settings(folder: Path) -> Settings:
    return Settings(device="cpu", precision="float32", weights=(folder,))


@pytest.fixture(scope="module")
def network(weights: dict[str, Tensor]) -> DeepRemaster:
    made = networks.build(MODEL)
    made.load_state_dict(weights)
    return cast(DeepRemaster, made)


@torch.inference_mode()
def repaired(network: DeepRemaster, greys: Tensor) -> Tensor:
    """What the network makes of the luminance of grey frames ``(T, H, W)`` as one block, as grey levels again.

    The sides are multiples of 4.
    """
    linear = torch.where(greys > 0.04045, ((greys + 0.055) / 1.055) ** 2.4, greys / 12.92)
    light = (116 * torch.where(linear > 0.008856, linear ** (1 / 3), 7.787 * linear + 16 / 116) - 16) / 100
    found = network.modelR(light[None, None])[0, 0]
    curved = (found * 100 + 16) / 116
    linear = torch.where(curved > 0.008856 ** (1 / 3), curved**3, (curved - 16 / 116) / 7.787)
    return torch.where(linear > 0.0031308, 1.055 * linear.clamp_min(1e-9) ** (1 / 2.4) - 0.055, linear * 12.92)


def film(frames: int, height: int = 24, width: int = 32) -> list[Tensor]:
    """Grey frames, every one of them another."""
    noise = torch.from_numpy(np.random.default_rng(5).random((frames, 1, height // 4, width // 4))).float()
    large = functional.interpolate(noise, (height, width), mode="bicubic").clamp(0, 1)
    return [one.expand(3, -1, -1) for one in large]


def run(pixels: list[Tensor], settings: Settings, stage: Clean, cut: int | None = None, bits: int = 8) -> Tensor:
    frames = [
        Frame(one, None, bits, Fraction(i, 24), Fraction(1, 24), shot=int(cut is not None and i >= cut))
        for i, one in enumerate(pixels)
    ]
    results = list(restore.restore_frames(frames, [stage], settings=settings, cuts=None))
    assert [one.pts for one in results] == [one.pts for one in frames]
    return torch.stack([one.pixels for one in results])


@given(frames=st.integers(0, 30), length=st.integers(1, 9), context=st.integers(0, 4))
def test_every_frame_is_kept_once_with_its_context_around_it(frames: int, length: int, context: int) -> None:
    if length <= 2 * context:
        with pytest.raises(SettingsError):
            next(blocks(range(frames), length, context))
        return
    kept = []
    for block, part in blocks(range(frames), length, context):
        assert block == list(range(block[0], block[0] + min(length, frames)))
        assert part.start >= context or block[0] == 0
        assert len(block) - part.stop >= context or block[-1] == frames - 1
        kept += block[part]
    assert kept == list(range(frames))


def test_a_short_shot_is_repaired_as_the_published_program_does_it(settings: Settings) -> None:
    clip = torch.from_numpy(CASE.arrays["clip_bgr"][:BLOCK, ..., ::-1].copy()).permute(0, 3, 1, 2) / 255
    columns, rows = CASE.meta["pipeline"]["target_wh"]
    small = resized(clip, rows, columns)
    result = run(list(small), settings, Clean(model=MODEL))
    levels = torch.zeros(CASE.meta["pipeline"]["frames"], rows, columns, 3)
    levels[:BLOCK] = (result * 255).permute(0, 2, 3, 1)
    first = (torch.arange(len(levels)) < BLOCK)[:, None, None, None]
    # The published program cuts L, and its result, off to eight bits.
    CASE.compare("restore_rgb", levels, atol=4, where=first)
    assert (result - small).abs().mean() > 0.04


def test_blocks_overlap_and_nothing_crosses_a_cut(settings: Settings, network: DeepRemaster) -> None:
    pixels = film(9)
    greys = torch.stack([one[0] for one in pixels])
    result = run(pixels, settings, Clean(model=MODEL))
    wanted = torch.cat(
        (repaired(network, greys[:5])[:4], repaired(network, greys[3:8])[1:4], repaired(network, greys[4:])[3:])
    )
    assert (result - wanted[:, None]).abs().max() < 2e-3
    assert torch.equal(result[:, 0], result[:, 2])  # grey stays grey
    halves = [run(part, settings, Clean(model=MODEL)) for part in (pixels[:4], pixels[4:])]
    assert torch.equal(run(pixels, settings, Clean(model=MODEL), cut=4), torch.cat(halves))
    assert (result - torch.cat(halves))[[3, 4]].abs().max() > 1e-3


def test_tiles_give_what_the_whole_frame_gives_and_so_does_a_picture(
    settings: Settings, network: DeepRemaster, tmp_path: Path
) -> None:
    (pixels,) = film(1, 64, 212)
    whole = run([pixels], settings, Clean(model=MODEL))
    tiled = run([pixels], replace(settings, tile=64), Clean(model=MODEL), bits=10)
    assert (tiled - whole).abs().max() < 1e-4
    assert (whole[:, 0] - repaired(network, pixels[:1])).abs().max() < 2e-3

    Image.fromarray((pixels[0, :61, :57] * 255).byte().numpy()).save(tmp_path / "old.png")  # no multiples of anything
    report = restore.restore_image(tmp_path / "old.png", tmp_path / "new.png", [Clean(model=MODEL)], settings=settings)
    with Image.open(tmp_path / "new.png") as picture:
        assert (picture.mode, picture.size) == ("L", (57, 61))
        clean = np.asarray(picture, float) / 255
    assert np.abs(clean - whole[0, 0, :61, :57].numpy())[:20, :16].max() < 0.01  # far from where it was cut off
    (use,) = report.stages[0].models
    assert (use.name, use.commercial) == (MODEL, False)


def test_a_smaller_size_for_the_network_keeps_that_of_the_frame_and_strength_blends(settings: Settings) -> None:
    pixels = film(2, 96, 120)
    coarse = run(pixels, settings, Clean(model=MODEL, mindim=48))
    assert coarse.shape == (2, 3, 96, 120)
    fine = run(pixels, settings, Clean(model=MODEL))
    source = torch.stack(pixels)
    assert (coarse - fine).abs().mean() > 0.01
    assert (coarse - source).abs().mean() > 0.01
    half = run(pixels, settings, Clean(model=MODEL, strength=0.5))
    assert torch.allclose(half, (fine + source) / 2, atol=1e-6)
    assert torch.equal(run(pixels, settings, Clean(model=MODEL, strength=0)), source)


def test_a_precision_that_would_be_seen_gives_way_to_float32(
    monkeypatch: pytest.MonkeyPatch, folder: Path, tmp_path: Path
) -> None:
    (pixels,) = film(1, 72, 80)
    Image.fromarray((pixels[0] * 255).byte().numpy()).save(tmp_path / "old.png")
    monkeypatch.setattr(repair, "wide_range_precision", lambda *_: torch.bfloat16)
    fast = Settings(device="cpu", weights=(folder,))
    for least, precision in ((10.0, "bfloat16"), (1000.0, "float32")):
        monkeypatch.setattr(trial, "QUALITY_DB", least)
        report = restore.restore_image(tmp_path / "old.png", tmp_path / "new.png", [Clean(MODEL)], settings=fast)
        assert report.stages[0].precision == precision
        said = report.stages[0].plan["tried"]
        assert said.startswith("bfloat16 keeps")
        assert (f"{MODEL} was run in float32: {said}." in report.stages[0].notes) == (precision == "float32")


def test_without_the_model_auto_leaves_frames_alone_and_says_so_and_its_name_is_an_error(tmp_path: Path) -> None:
    Image.fromarray((film(1)[0][0] * 255).byte().numpy()).save(tmp_path / "old.png")
    cpu = Settings(device="cpu")
    chain = restore.parse_steps([{"stage": "clean"}])
    report = restore.restore_image(tmp_path / "old.png", tmp_path / "new.png", chain, settings=cpu)
    (warning,) = report.warnings
    assert warning.startswith(
        f"Nothing was cleaned, because {MODEL} is not on this machine and could not be downloaded"
    )
    assert f"`python -m restore fetch {MODEL}`" in warning
    with Image.open(tmp_path / "old.png") as old, Image.open(tmp_path / "new.png") as new:
        assert old.tobytes() == new.tobytes()
    address = catalog.checkpoint(MODEL).url
    assert address
    with pytest.raises(WeightsError, match=f"{address}.* fetch {MODEL}"):
        restore.restore_image(tmp_path / "old.png", tmp_path / "named.png", [Clean(MODEL)], settings=cpu)
    for wrong in ({"model": "built-in"}, {"mindim": 3}, {"strength": 2}):
        with pytest.raises(SettingsError, match=next(iter(wrong))):
            restore.parse_steps([{"stage": "clean", **wrong}])
