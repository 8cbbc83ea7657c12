"""The upscale stage: its settings, the size of its result, and what becomes of the picture."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from restore import models, networks
from restore.errors import LimitError, SettingsError, WeightsError
from restore.frame import Frame
from restore.inference.engine import Engine
from restore.inference.resample import lanczos
from restore.progress import Position, Progress
from restore.settings import Settings
from restore.stages import MATERIALS, OpenStage, Upscale, auto_candidates, parse_steps, recipe
from restore.stages.upscale import passes_for
from tests.hub import Hub


@pytest.fixture(autouse=True)
def no_memory_of_failed_downloads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "_failed_at", None)


@pytest.fixture
def weights(tmp_path: Path) -> Callable[..., Settings]:
    """Settings with a folder of weights for the models named, random but the same for the same seed."""

    def make(**seeds: int) -> Settings:
        for name, seed in seeds.items():
            name = name.replace("_", "-")
            torch.manual_seed(seed)
            save_file(networks.build(name).state_dict(), tmp_path / f"{name}.safetensors")
        return Settings(device="cpu", precision="float32", weights=(tmp_path,))

    return make


def run(stage: Upscale, frame: Frame, settings: Settings) -> tuple[Frame, Engine, OpenStage]:
    engine = Engine.start(settings, Progress())
    opened = stage.open(engine)
    (result,) = opened.run([frame], engine)
    return result, engine, opened


def names(opened: OpenStage) -> list[str]:
    return [use.name for use in opened.models]


SETTINGS = Settings(device="cpu", precision="float32")


def picture(height: int = 24, width: int = 32) -> torch.Tensor:
    return torch.rand(3, height, width, generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({"scale": 0.5}, "scale"),
        ({"scale": 8.01}, "scale"),
        ({"scale": float("nan")}, "scale"),
        ({"scale": True}, "scale"),
        ({"scale": "4"}, "scale"),
        ({"denoise": -0.1}, "denoise"),
        ({"strength": 1.5}, "strength"),
        ({"target": "large"}, "target"),
        ({"target": "0x100"}, "target"),
        ({"target": 4}, "target"),
        ({"model": "realesr-generl-x4v3"}, "realesr-general-x4v3"),
        ({"model": "realesr-general-wdn-x4v3"}, "does not enlarge"),
        ({"model": None}, "model"),
        ({"material": "film"}, "photo, scan, illustration, faithful"),
        ({"material": ["photo"]}, "material"),
        ({"sclae": 2}, "sclae"),
    ],
)
def test_settings_of_no_use_are_refused_by_name(values: dict[str, object], word: str) -> None:
    with pytest.raises(SettingsError, match=word) as caught:
        parse_steps([{"stage": "upscale", **values}])
    assert "Step 1" in str(caught.value)


@pytest.mark.parametrize(
    "steps",
    [{"version": 2, "steps": []}, {"version": 1, "stages": []}, "upscale", 4, [3], [{}], [{"stage": "upscale"}] * 33],
)
def test_chains_of_no_use_are_refused(steps: object) -> None:
    with pytest.raises(SettingsError):
        parse_steps(steps)  # type: ignore[arg-type]


def test_a_recipe_survives_json_and_settings_are_values() -> None:
    chain = parse_steps([Upscale(scale=2), {"stage": "upscale", "model": "built-in", "target": "4k"}])
    again = parse_steps(json.loads(json.dumps(recipe(chain))))
    assert again == chain
    assert len({*again, *chain}) == 2


def test_numbers_of_numpy_are_numbers() -> None:
    stage = Upscale(scale=np.int64(2), strength=np.float32(0.5))  # type: ignore[arg-type]
    assert stage == Upscale(scale=2, strength=0.5)
    assert json.loads(json.dumps(recipe([stage])))["steps"][0]["scale"] == 2


@given(
    width=st.integers(1, 20000),
    height=st.integers(1, 20000),
    box=st.tuples(st.integers(1, 9000), st.integers(1, 9000)),
)
def test_a_target_is_filled_and_never_left(width: int, height: int, box: tuple[int, int]) -> None:
    stage = Upscale(target=f"{box[0]}x{box[1]}")
    if min(box[0] / width, box[1] / height) > 8:
        with pytest.raises(LimitError, match="smaller target"):
            stage.output_size(width, height)
        return
    result = stage.output_size(width, height)
    assert result[0] <= box[0]
    assert result[1] <= box[1]
    assert result[0] == box[0] or result[1] == box[1]


@given(factor=st.floats(0.1, 64), scale=st.sampled_from((2, 4)))
def test_a_network_runs_as_often_as_needed_and_not_more(factor: float, scale: int) -> None:
    passes = passes_for(factor, scale)
    assert passes >= 1
    assert scale**passes >= factor * (1 - 1e-5)
    assert passes == 1 or scale ** (passes - 1) < factor


@pytest.mark.parametrize(
    ("stage", "size", "passes"),
    [
        (Upscale(model="built-in", scale=1), (24, 32), 1),
        (Upscale(model="built-in", scale=2.5), (60, 80), 1),
        (Upscale(model="built-in", scale=4), (96, 128), 1),
        (Upscale(model="built-in", scale=6), (144, 192), 2),
        (Upscale(model="built-in", target="20x20"), (15, 20), 1),
        (Upscale(model="built-in", target="100x200"), (75, 100), 1),
    ],
)
def test_sizes_and_passes(stage: Upscale, size: tuple[int, int], passes: int) -> None:
    engine = Engine.start(SETTINGS, Progress())
    opened = stage.open(engine)
    (result,) = opened.run([Frame(picture())], engine)
    assert tuple(result.pixels.shape) == (3, *size)
    assert stage.output_size(32, 24) == size[::-1]
    assert opened.plan["passes"] == passes


def test_the_network_restores_at_the_same_size_and_strength_blends() -> None:
    frame = Frame(picture())
    full, _, _ = run(Upscale(model="built-in", scale=1), frame, SETTINGS)
    half, _, _ = run(Upscale(model="built-in", scale=1, strength=0.5), frame, SETTINGS)
    none, _, opened = run(Upscale(model="built-in", scale=1, strength=0), frame, SETTINGS)
    assert (full.pixels - frame.pixels).abs().mean() > 0.01
    torch.testing.assert_close(half.pixels, (full.pixels + frame.pixels) / 2)
    assert torch.equal(none.pixels, frame.pixels)
    assert names(opened) == []
    larger, _, _ = run(Upscale(model="built-in", scale=3, strength=0), frame, SETTINGS)
    assert torch.equal(larger.pixels, lanczos(frame.pixels, 72, 96))


def test_denoise_interpolates_between_the_two_networks(weights: Callable[..., Settings]) -> None:
    settings = weights(realesr_general_x4v3=1, realesr_general_wdn_x4v3=2)
    frame = Frame(picture())
    strong, weak = (
        networks.convert(name, models.weights.load_checkpoint(settings.weights[0] / f"{name}.safetensors"))
        for name in ("realesr-general-x4v3", "realesr-general-wdn-x4v3")
    )
    for denoise in (0.0, 0.25, 1.0):
        network = networks.build("realesr-general-x4v3")
        network.load_state_dict({key: denoise * strong[key] + (1 - denoise) * weak[key] for key in strong})
        expected = network(frame.pixels[None])[0].clamp(0, 1)
        result, engine, opened = run(Upscale(model="realesr-general-x4v3", denoise=denoise), frame, settings)
        torch.testing.assert_close(result.pixels, expected, rtol=0, atol=1e-5)
        assert engine.warnings == []
        assert len(names(opened)) == (1 if denoise == 1 else 2)


def test_a_missing_partner_is_said_and_not_fatal(weights: Callable[..., Settings]) -> None:
    settings = weights(realesr_general_x4v3=1)
    _, engine, opened = run(Upscale(model="realesr-general-x4v3", denoise=0.3), Frame(picture()), settings)
    assert names(opened) == ["realesr-general-x4v3"]
    assert "0.3" in engine.warnings[0]
    assert "realesr-general-wdn-x4v3" in engine.warnings[0]


def test_auto_takes_what_is_there_and_says_so(weights: Callable[..., Settings]) -> None:
    _, engine, opened = run(Upscale(scale=1), Frame(picture()), SETTINGS)
    assert names(opened) == ["built-in"]
    (note,) = opened.notes
    assert note == (
        "auto took built-in, because realesr-general-x4v3, the choice for photos on a processor, is not on this "
        "machine and could not be downloaded."
    )
    assert len(engine.warnings) == 1
    assert "python -m restore fetch realesr-general-x4v3" in engine.warnings[0]
    settings = weights(realesr_general_x4v3=1, realesr_general_wdn_x4v3=2)
    _, engine, opened = run(Upscale(scale=1), Frame(picture()), settings)
    assert names(opened)[0] == "realesr-general-x4v3"
    assert opened.notes == ("auto took realesr-general-x4v3: the choice for photos on a processor.",)
    assert engine.warnings == []
    assert Upscale(model="realesr-general-x4v3").open(engine).notes == ()


def test_auto_leaves_out_a_model_whose_file_is_damaged(weights: Callable[..., Settings], tmp_path: Path) -> None:
    settings = weights(realesr_general_wdn_x4v3=2)
    (tmp_path / "realesr-general-x4v3.pth").write_bytes(bytes(range(256)) * 40)
    _, engine, opened = run(Upscale(scale=1), Frame(picture()), settings)
    assert names(opened) == ["built-in"]
    assert "realesr-general-x4v3, the choice for photos on a processor, has a file" in opened.notes[0]
    assert "The file realesr-general-x4v3.pth on this machine is damaged or of another model: replace it." in (
        engine.warnings
    )
    assert not any(str(tmp_path) in warning for warning in engine.warnings)
    with pytest.raises(WeightsError, match=r"^realesr-general-x4v3\.pth is not used"):
        run(Upscale("realesr-general-x4v3", scale=1, denoise=1), Frame(picture()), settings)


GENERAL, PARTNER, ANIME = "realesr-general-x4v3", "realesr-general-wdn-x4v3", "realesr-animevideov3"


@pytest.mark.parametrize(
    ("material", "device", "present", "taken", "warned"),
    [
        ("photo", "cuda", ("RealESRGAN_x4plus", GENERAL, PARTNER), "RealESRGAN_x4plus", False),
        ("photo", "cuda", (GENERAL, PARTNER), GENERAL, True),
        ("scan", "cuda", ("RealESRGAN_x4plus", GENERAL, PARTNER), GENERAL, False),
        ("scan", "mps", ("RealESRGAN_x4plus",), "RealESRGAN_x4plus", True),
        ("scan", "cpu", ("RealESRGAN_x4plus",), "built-in", True),
        ("illustration", "cuda", ("RealESRGAN_x4plus_anime_6B", ANIME), "RealESRGAN_x4plus_anime_6B", False),
        ("illustration", "cuda", (ANIME,), ANIME, True),
        ("illustration", "cpu", ("RealESRGAN_x4plus_anime_6B", ANIME), ANIME, False),
        ("faithful", "cuda", ("RealESRNet_x4plus", GENERAL), "RealESRNet_x4plus", False),
        ("faithful", "cuda", (GENERAL,), "built-in", True),
        ("faithful", "cpu", ("RealESRNet_x4plus", GENERAL), "built-in", False),
    ],
)
def test_auto_chooses_by_material_and_device(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    material: str,
    device: str,
    present: tuple[str, ...],
    taken: str,
    warned: bool,
) -> None:
    """What is on the machine decides; the files are empty, which the test before this one is about."""
    monkeypatch.setattr(models, "_is_usable", lambda *_: True)
    for name in present:
        (tmp_path / f"{name}.pth").touch()
    engine = Engine(Settings(weights=(tmp_path,)), Progress(), torch.device(device))
    opened = Upscale(material=material).open(engine)
    assert names(opened)[0] == taken
    assert len(opened.notes) == 1
    assert opened.notes[0].startswith(f"auto took {taken}")
    assert (engine.warnings != []) == warned
    candidates = auto_candidates(material, device)
    assert taken in candidates
    assert candidates[-1] == "built-in"
    assert (candidates[0] != taken) == warned


@pytest.mark.parametrize("material", MATERIALS)
def test_every_material_is_a_setting_and_its_models_enlarge(material: str) -> None:
    stage = Upscale(material=material)
    assert parse_steps([stage.to_dict()]) == (stage,)
    for device in ("cpu", "cuda", "mps"):
        assert set(auto_candidates(material, device)) <= set(models.offered_for("upscale"))


def test_a_recipe_of_before_there_was_a_material_still_loads() -> None:
    assert parse_steps([{"stage": "upscale", "model": "auto", "scale": 2}]) == (Upscale(scale=2, material="photo"),)


def test_without_leave_nothing_is_downloaded(hub: Hub) -> None:
    engine = Engine.start(SETTINGS, Progress(), download=False)
    assert names(Upscale().open(engine)) == ["built-in"]
    with pytest.raises(WeightsError, match="not on this machine"):
        Upscale(model="realesr-general-x4v3").open(engine)
    assert hub.requests == []
    Upscale().open(Engine.start(SETTINGS, Progress()))
    assert hub.requests != []


@pytest.mark.parametrize(("stage", "tiles"), [({"scale": 4}, 6), ({"scale": 8}, 6 + 60)])
def test_progress_counts_the_tiles_of_all_passes_and_of_alpha(stage: dict[str, float], tiles: int) -> None:
    settings = replace(SETTINGS, tile=16)
    for alpha, total in ((None, tiles), (torch.ones(24, 40), tiles), (torch.rand(24, 40), 2 * tiles)):
        seen: list[Position] = []
        engine = Engine.start(settings, Progress(seen.append))
        list(Upscale(model="built-in", **stage).open(engine).run([Frame(picture(24, 40), alpha)], engine))
        assert {(position.total, position.unit) for position in seen} == {(total, "tiles")}
        assert [position.done for position in seen] == sorted(position.done for position in seen)
        assert seen[-1].done == total


def test_alpha_is_enlarged_by_the_network_and_grey_does_not_gain_colour() -> None:
    soft = torch.linspace(0, 1, 32).expand(24, 32)
    grey = picture().mean(dim=0, keepdim=True).expand(3, -1, -1)
    result, _, _ = run(Upscale(model="built-in", scale=4), Frame(grey, alpha=soft), SETTINGS)
    expected, _, _ = run(Upscale(model="built-in", scale=4), Frame(soft.expand(3, -1, -1)), SETTINGS)
    assert result.alpha is not None
    torch.testing.assert_close(result.alpha, expected.pixels.mean(dim=0))
    opaque, _, _ = run(Upscale(model="built-in", scale=2), Frame(grey, alpha=torch.ones(24, 32)), SETTINGS)
    assert opaque.alpha is not None
    assert torch.equal(opaque.alpha, torch.ones(48, 64))


def test_black_and_white_in_three_channels_stays_without_colour() -> None:
    edges = (picture(32, 32)[:1] > 0.5).float()
    frame = Frame(edges.expand(3, -1, -1).contiguous(), None, bits=8)
    tinted = frame.pixels.clone()
    tinted[2, 0, 0] = 0.5
    stage = Upscale("built-in", scale=4)
    grey, coloured = (run(stage, each, SETTINGS)[0].pixels for each in (frame, Frame(tinted, None, bits=8)))
    assert torch.equal(grey[0], grey[1])
    assert torch.equal(grey[0], grey[2])
    # The network itself does put colour there, or there would be nothing to test.
    far = coloured[:, 64:]
    assert float((far[0] - far[2]).abs().max()) > 1 / 255
    assert float((grey[:, 64:] - far.mean(dim=0)).abs().max()) < 1e-5
