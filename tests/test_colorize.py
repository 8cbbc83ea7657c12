"""Colour is added to grey frames, and nothing else of them changes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image
from torch import nn

import restore
from restore.colour.eight_bits import luma
from restore.colour.merge import with_own_luma
from restore.colour.methods import Method
from restore.errors import SettingsError, WeightsError
from restore.inference.runner import NetworkSource
from restore.models import Model
from restore.networks.folded_norms import fold_spectral, fold_weight_norm
from restore.stages import colorize

CPU = restore.Settings(device="cpu")
BUILT_IN = {"stage": "colorize", "model": "built-in-colour"}
EXAMPLES = Path(__file__).parent.parent / "examples"

pictures = arrays.arrays(np.float32, (1, 3, 4, 5), elements=st.floats(0, 1, width=32))


def colourfulness(picture: Image.Image) -> float:
    """Hasler and Süsstrunk (2003)."""
    red, green, blue = np.moveaxis(np.asarray(picture.convert("RGB"), dtype=float), -1, 0)
    across, along = red - green, (red + green) / 2 - blue
    return float(np.hypot(across.std(), along.std()) + 0.3 * np.hypot(across.mean(), along.mean()))


@given(pictures, pictures, st.floats(0, 3))
def test_a_colour_that_does_not_fit_is_made_weaker_and_the_luma_stays(
    frame: np.ndarray, coloured: np.ndarray, saturation: float
) -> None:
    own, theirs = torch.from_numpy(frame), torch.from_numpy(coloured)
    result = with_own_luma(own, theirs, saturation)
    assert (luma(result) - luma(own)).abs().max() < 1e-5
    assert result.min() > -1e-5
    assert result.max() < 1 + 1e-5
    wanted, found = saturation * (theirs - luma(theirs)), result - luma(own)
    # The hue stays: what is left points where it pointed before, and is no longer than it was.
    along, length = (wanted * found).sum(dim=1), wanted.square().sum(dim=1)
    assert (along >= -1e-5).all()
    assert (along <= length + 1e-5).all()
    assert (found.square().sum(dim=1) * length - along.square()).abs().max() < 1e-4
    target = luma(own) + wanted
    fits = ((target >= 0) & (target <= 1)).all(dim=1, keepdim=True)
    assert torch.where(fits, result - target, 0.0).abs().max() < 1e-5


@pytest.mark.parametrize("name", ["cat.jpg", "portrait.jpg"])
def test_the_built_in_model_colours_a_grey_photo_and_keeps_its_luma(tmp_path: Path, name: str) -> None:
    with Image.open(EXAMPLES / name) as photo:
        truth = photo.convert("RGB")
    grey = truth.convert("L")
    grey.save(tmp_path / "grey.png")
    restore.restore_image(tmp_path / "grey.png", tmp_path / "colour.png", [BUILT_IN], settings=CPU)
    with Image.open(tmp_path / "colour.png") as result:
        assert result.size == grey.size
        kept = np.abs(np.asarray(result.convert("L"), dtype=int) - np.asarray(grey, dtype=int))
        assert kept.max() <= 1
        assert 0.25 * colourfulness(truth) < colourfulness(result) < 1.2 * colourfulness(truth)

    without = {**BUILT_IN, "saturation": 0}
    restore.restore_image(tmp_path / "grey.png", tmp_path / "none.png", [without], settings=CPU)
    with Image.open(tmp_path / "none.png") as result:
        assert np.array_equal(np.asarray(result.convert("RGB")), np.asarray(grey.convert("RGB")))


@pytest.mark.parametrize("size", [(1, 1), (700, 3), (5, 900)])
def test_pictures_of_any_shape_are_coloured(tmp_path: Path, size: tuple[int, int]) -> None:
    ramp = np.linspace(0, 255, size[0] * size[1]).astype(np.uint8).reshape(size[1], size[0])
    Image.fromarray(ramp).save(tmp_path / "grey.png")
    restore.restore_image(tmp_path / "grey.png", tmp_path / "colour.png", [BUILT_IN], settings=CPU)
    with Image.open(tmp_path / "colour.png") as result:
        assert result.size == size
        assert np.abs(np.asarray(result.convert("L"), dtype=int) - ramp).max() <= 1


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        ({"model": "built-in"}, "does not colour"),
        ({"render_factor": 3}, "render_factor"),
        ({"saturation": -1}, "saturation"),
        ({"keep_luma": 1}, "keep_luma"),
    ],
)
def test_settings_that_make_no_sense_are_refused(setting: dict[str, object], complaint: str) -> None:
    with pytest.raises(SettingsError, match=complaint):
        restore.parse_steps([{"stage": "colorize", **setting}])


def test_norms_are_folded_as_torch_applies_them() -> None:
    torch.manual_seed(3)
    plain = {"head.bias": torch.ones(2)}
    spectral = nn.utils.spectral_norm(nn.Conv2d(3, 4, 3)).eval()
    weighted = nn.utils.weight_norm(nn.Conv2d(3, 4, 3)).eval()
    state = {f"a.{key}": value for key, value in spectral.state_dict().items()}
    state |= {f"b.{key}": value for key, value in weighted.state_dict().items()}
    folded = fold_weight_norm(fold_spectral({**state, **plain}))
    assert folded.keys() == {"a.weight", "a.bias", "b.weight", "b.bias", "head.bias"}
    assert fold_weight_norm(fold_spectral(folded)).keys() == folded.keys()
    x = torch.rand(1, 3, 6, 6)
    for name, reference in (("a", spectral), ("b", weighted)):
        result = nn.functional.conv2d(x, folded[f"{name}.weight"], folded[f"{name}.bias"])
        assert torch.allclose(result, reference(x), atol=1e-6)
    del state["a.weight_u"]
    with pytest.raises(WeightsError, match="weight_u"):
        fold_spectral(state)


@pytest.mark.parametrize(("error", "precision"), [(0.02, "float32"), (0.005, "bfloat16")])  # 34 dB and 46 dB
def test_a_precision_that_would_be_seen_gives_way_to_float32_and_the_report_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: float, precision: str
) -> None:
    asked: list[str] = []

    def made(dtype: torch.dtype, frames: torch.Tensor, _factor: int) -> torch.Tensor:
        return frames + (error if dtype == torch.bfloat16 else 0.0)

    def sampled(dtype: torch.dtype, frames: torch.Tensor, factor: int) -> torch.Tensor:
        asked.append(str(dtype))
        return made(dtype, frames, factor)

    @contextmanager
    def opened(_source: object, _engine: object, dtype: torch.dtype) -> Iterator[torch.dtype]:
        yield dtype

    method = Method(made, sampled, lambda _: 1, lambda _: 1.0)
    monkeypatch.setattr(colorize, "method_of", lambda _: method)
    monkeypatch.setattr(colorize, "opened", opened)
    monkeypatch.setattr(colorize, "open_model", lambda name, _: Model(NetworkSource(name, "", dict), ()))
    monkeypatch.setattr(colorize, "choose_precision", lambda *_: torch.bfloat16)
    Image.new("L", (32, 24), 90).save(tmp_path / "grey.png")
    step = restore.Colorize(model="ddcolor-tiny", keep_luma=False)
    stage = restore.restore_image(tmp_path / "grey.png", tmp_path / "out.png", [step], settings=CPU).stages[0]
    assert stage.precision == precision
    assert asked == ["torch.bfloat16", "torch.float32"]
    said = f"bfloat16 keeps {-20 * math.log10(error):.1f} dB against float32"
    assert stage.plan["tried"] == said
    assert (f"ddcolor-tiny was run in float32: {said}." in stage.notes) == (precision == "float32")
    chosen = restore.Settings(device="cpu", precision="bfloat16")
    stage = restore.restore_image(tmp_path / "grey.png", tmp_path / "out.png", [step], settings=chosen).stages[0]
    assert (stage.precision, len(asked)) == ("bfloat16", 2)  # nothing is tried where somebody chose


def test_the_built_in_network_says_that_it_runs_in_float32(tmp_path: Path) -> None:
    Image.new("L", (32, 24), 90).save(tmp_path / "grey.png")
    report = restore.restore_image(tmp_path / "grey.png", tmp_path / "out.png", [BUILT_IN], settings=CPU)
    assert report.stages[0].precision == "float32"
