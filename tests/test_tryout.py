"""Several models on one crop: where it is cut, what each gives, and that one that fails does not stop the others."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms
from safetensors.torch import save_file

from restore import catalog, models, networks, restore_image
from restore.errors import Cancelled, InputError, ResourceError, SettingsError
from restore.inference.engine import Engine
from restore.pipeline import run_chain
from restore.progress import Position, Progress
from restore.settings import Settings
from restore.stages import parse_steps
from restore.tryout import CROP_SIDE, LARGEST_SIDE, Box, crop_box, try_models
from tests.hub import Hub

ANIME, GENERAL = "realesr-animevideov3", "realesr-general-x4v3"
STEP = {"stage": "upscale", "scale": 4.0}


@pytest.fixture(autouse=True)
def no_memory_of_failed_downloads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "_failed_at", None)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "results").mkdir()
    return tmp_path / "results"


@pytest.fixture
def settings(tmp_path: Path) -> Callable[..., Settings]:
    """Settings with a folder of random weights for the models named."""

    def make(*names: str) -> Settings:
        (tmp_path / "weights").mkdir()
        for name in names:
            torch.manual_seed(3)
            save_file(networks.build(name).state_dict(), tmp_path / "weights" / f"{name}.safetensors")
        return Settings(device="cpu", precision="float32", weights=(tmp_path / "weights",))

    return make


def picture(path: Path, height: int = 60, width: int = 90, dtype: type = np.uint8) -> Path:
    """Every pixel is another colour, so that a crop tells where it comes from."""
    y, x = np.mgrid[0:height, 0:width]
    top = np.iinfo(dtype).max
    pixels = np.stack([x * top // width, y * top // height, (x + y) * top // (width + height)], axis=-1).astype(dtype)
    assert cv2.imwrite(str(path), pixels)
    return path


@given(
    width=st.integers(1, 5000),
    height=st.integers(1, 5000),
    centre=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_the_crop_is_square_inside_the_picture_and_around_its_centre(
    width: int, height: int, centre: tuple[float, float]
) -> None:
    box = crop_box(width, height, centre)
    assert box.width == box.height == min(CROP_SIDE, width, height)
    for start, side, length, fraction in (
        (box.left, box.width, width, centre[0]),
        (box.top, box.height, height, centre[1]),
    ):
        assert 0 <= start <= length - side
        assert start - 1 <= fraction * length <= start + side + 1
        if side / 2 <= fraction * length <= length - side / 2:
            assert abs(start + side / 2 - fraction * length) <= 0.5


@pytest.mark.parametrize("centre", [(0.5, 1.1), (-0.1, 0.5), (float("nan"), 0.5), (0.5,), ("a", "b")])
def test_a_centre_outside_the_picture_is_refused(centre: tuple[float, float]) -> None:
    with pytest.raises(SettingsError, match="centre"):
        crop_box(100, 100, centre)


def test_every_model_gives_what_it_would_give_for_the_crop(
    tmp_path: Path, folder: Path, settings: Callable[..., Settings]
) -> None:
    """Upright, 16 bits deep and with its colour profile, as ``restore_image`` makes it of the crop."""
    here = settings(ANIME)
    source = picture(tmp_path / "deep.png", 200, 300, np.uint16)
    result = try_models(
        source, folder, (0.9, 0.0), ["built-in", ANIME], {**STEP, "target": "8k"}, download=False, settings=here
    )

    assert (result.source_size, result.box) == ((300, 200), Box(140, 0, 160, 160))
    assert (result.scale, result.size) == (4, (640, 640))
    crop = cv2.imread(str(folder / result.crop), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(crop, cv2.imread(str(source), cv2.IMREAD_UNCHANGED)[:160, 140:])
    made = {}
    for trial in result.trials:
        step = {**STEP, "model": trial.model}
        restore_image(folder / result.crop, tmp_path / "expected.png", [step], settings=here)
        expected = cv2.imread(str(tmp_path / "expected.png"), cv2.IMREAD_UNCHANGED)
        made[trial.model] = cv2.imread(str(folder / trial.file), cv2.IMREAD_UNCHANGED)
        assert made[trial.model].dtype == np.uint16
        assert np.array_equal(made[trial.model], expected)
        with Image.open(folder / trial.file) as image:
            assert parse_steps(json.loads(image.text["restore:recipe"])) == parse_steps([step])
        assert trial.seconds > 0
        assert (trial.problem, trial.warnings) == (None, ())
        assert (trial.licence, trial.commercial) == (catalog.checkpoint(trial.model).licence, True)
    plain = cv2.imread(str(folder / result.plain), cv2.IMREAD_UNCHANGED)
    restore_image(folder / result.crop, tmp_path / "expected.png", [{**STEP, "strength": 0}], settings=here)
    assert np.array_equal(plain, cv2.imread(str(tmp_path / "expected.png"), cv2.IMREAD_UNCHANGED))
    assert not np.array_equal(made["built-in"], made[ANIME])
    assert not np.array_equal(made["built-in"], plain)
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        ["built-in.png", f"{ANIME}.png", "crop.png", "plain.png"]
    )
    assert json.loads(json.dumps(result.to_dict()))["trials"][1]["file"] == f"{ANIME}.png"


def test_the_crop_is_of_the_upright_picture_and_keeps_its_profile(tmp_path: Path, folder: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    stored = Image.open(picture(tmp_path / "a.png", 20, 400)).convert("RGB")
    stored.save(tmp_path / "turned.png", exif=exif, icc_profile=profile)
    settings = Settings(device="cpu")
    result = try_models(
        tmp_path / "turned.png", folder, (0.5, 1), ["built-in"], {**STEP, "scale": 8}, download=False, settings=settings
    )
    assert (result.source_size, result.box) == ((20, 400), Box(0, 380, 20, 20))
    assert result.size == (160, 160)
    upright = np.asarray(stored.rotate(-90, expand=True))
    with Image.open(folder / result.crop) as crop, Image.open(folder / result.trials[0].file) as made:
        assert np.array_equal(np.asarray(crop), upright[380:])
        assert crop.info["icc_profile"] == made.info["icc_profile"] == profile


def test_results_are_no_larger_than_the_page_shows_them(tmp_path: Path, folder: Path) -> None:
    source = picture(tmp_path / "a.png", 200, 200)
    settings = Settings(device="cpu")
    result = try_models(
        source, folder, (0.5, 0.5), ["built-in"], {**STEP, "scale": 8}, download=False, settings=settings
    )
    assert result.size == (LARGEST_SIDE, LARGEST_SIDE)
    with Image.open(folder / result.trials[0].file) as made, Image.open(folder / result.plain) as plain:
        assert made.size == plain.size == result.size


def test_what_is_not_here_is_left_out_with_the_size_of_its_download(
    hub: Hub, tmp_path: Path, folder: Path, settings: Callable[..., Settings]
) -> None:
    """Adjustable denoising needs a second file, which is counted, and which is not fetched without leave either."""
    source, chosen = picture(tmp_path / "a.png"), [GENERAL, "RealESRGAN_x4plus", "built-in"]
    missing, large, built_in = try_models(
        source, folder, (0.5, 0.5), chosen, STEP, download=False, settings=Settings(device="cpu")
    ).trials
    both = sum(catalog.checkpoint(name).size for name in (GENERAL, "realesr-general-wdn-x4v3"))
    assert (missing.file, missing.seconds, missing.download_bytes) == (None, None, both)
    assert missing.problem == (
        "Real-ESRGAN general v3 is not on this machine and would have to be downloaded first (9.8 MB)."
    )
    assert large.download_bytes == catalog.checkpoint("RealESRGAN_x4plus").size
    assert built_in.file == "built-in.png"
    (alone,) = try_models(
        source, folder, (0.5, 0.5), [GENERAL], STEP, download=False, settings=settings(GENERAL)
    ).trials
    assert alone.file == f"{GENERAL}.png"
    assert "full denoising strength" in alone.warnings[0]
    assert hub.requests == []


def test_a_model_that_fails_says_so_and_the_others_go_on(
    tmp_path: Path, folder: Path, settings: Callable[..., Settings]
) -> None:
    """One file is damaged and one cannot be downloaded. The progress counts every model."""
    here = settings(ANIME)
    (here.weights[0] / f"{ANIME}.safetensors").write_bytes(b"no weights")
    seen: list[Position] = []
    trials = try_models(
        picture(tmp_path / "a.png"),
        folder,
        (0.5, 0.5),
        [ANIME, "RealESRGAN_x2plus", "built-in", "built-in"],
        STEP,
        Progress(seen.append),
        download=True,
        settings=here,
    ).trials
    assert [trial.model for trial in trials] == [ANIME, "RealESRGAN_x2plus", "built-in"]
    assert [trial.file for trial in trials] == [None, None, "built-in.png"]
    assert f"{ANIME}.safetensors" in trials[0].problem
    assert "cannot be downloaded" in trials[1].problem
    assert (seen[-1].stage, seen[-1].index, seen[-1].stages) == ("upscale", 2, 3)
    assert seen[-1].fraction == 1
    assert not list(folder.glob("*RealESRGAN*"))


def test_a_missing_model_is_downloaded_with_leave(
    hub: Hub, tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = networks.build(ANIME).state_dict()
    torch.save({"params": state}, tmp_path / "published.pth")
    data = (tmp_path / "published.pth").read_bytes()
    published = catalog.checkpoint(ANIME)
    entry = hub.checkpoint(ANIME, data, network=published.network, arguments=published.arguments, container="params")
    built_in = catalog.checkpoint("built-in")
    monkeypatch.setattr(catalog, "checkpoints", lambda: {ANIME: entry, "built-in": built_in})
    seen: list[Position] = []
    (trial,) = try_models(
        picture(tmp_path / "a.png"),
        folder,
        (0.5, 0.5),
        [ANIME],
        STEP,
        Progress(seen.append),
        download=True,
        settings=Settings(device="cpu"),
    ).trials
    assert trial.file == f"{ANIME}.png"
    assert {position.unit for position in seen} == {"bytes", "tiles"}


def test_stopping_and_lack_of_memory_end_it_all(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = picture(tmp_path / "a.png")
    progress = Progress(lambda position: progress.cancel() if position.done > 0.5 else None)
    with pytest.raises(Cancelled):
        try_models(
            source,
            folder,
            (0.5, 0.5),
            ["built-in", ANIME],
            STEP,
            progress,
            download=False,
            settings=Settings(device="cpu"),
        )
    assert not (folder / "built-in.png").exists()

    def fail(*_: object) -> None:
        raise MemoryError

    with pytest.raises(ResourceError):
        try_models(
            source,
            folder,
            (0.5, 0.5),
            ["built-in"],
            STEP,
            download=False,
            settings=Settings(device="cpu"),
            run_chain=fail,
        )


@pytest.mark.parametrize(
    ("chosen", "step", "words"),
    [
        ([], STEP, "no model"),
        (["nonsense"], STEP, "nonsense"),
        (["realesr-general-wdn-x4v3"], STEP, "does not enlarge"),
        (["auto"], STEP, "auto"),
        (["built-in"], {"stage": "colour"}, "colour"),
        (["built-in"], {**STEP, "scale": 9}, "scale"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path: Path, folder: Path, chosen: list, step: dict, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        try_models(picture(tmp_path / "a.png"), folder, (0.5, 0.5), chosen, step, download=False)
    assert list(folder.iterdir()) == []


def test_what_is_no_picture_is_refused(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "a.png").write_text("no picture")
    with pytest.raises(InputError, match=r"a\.png"):
        try_models(tmp_path / "a.png", folder, (0.5, 0.5), ["built-in"], STEP, download=False)


def test_models_may_run_elsewhere(tmp_path: Path, folder: Path) -> None:
    """Only they do: the plain enlargement needs no network."""
    asked: list[tuple[str, float]] = []

    def elsewhere(stages, frame, engine: Engine):
        asked.extend((stage.model, stage.strength) for stage in stages)
        return run_chain(stages, frame, engine)

    source = picture(tmp_path / "a.png")
    try_models(
        source, folder, (0, 0), ["built-in"], STEP, download=False, settings=Settings(device="cpu"), run_chain=elsewhere
    )
    assert asked == [("built-in", 1.0)]
