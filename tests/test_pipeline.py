"""One picture from file to file, through the public API."""

from __future__ import annotations

import json
import pickle
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

import restore
from restore import models, networks
from restore.frame import Frame
from restore.inference.engine import Engine
from restore.inference.residency import RESIDENT
from restore.media import images
from restore.media.transparency import fill_transparent
from restore.networks._basicsr import architecture
from restore.pipeline import open_chain, run_opened
from restore.report import StageReport
from restore.stages import Stage

BUILT_IN = {"stage": "upscale", "model": "built-in"}
CPU = restore.Settings(device="cpu")


@pytest.fixture(autouse=True)
def no_memory_of_failed_downloads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "_failed_at", None)


def photo(height: int = 40, width: int = 60) -> np.ndarray:
    """A soft picture in colour, (H, W, 3) uint8."""
    y, x = np.mgrid[0:height, 0:width] / 20
    waves = np.stack([np.sin(x + y), np.cos(x - y), np.sin(x * 0.7 + 1)], axis=-1)
    return np.round(waves * 90 + 128).astype(np.uint8)


def test_a_photo_is_enlarged_and_reported(tmp_path: Path) -> None:
    source, target = tmp_path / "old photo.png", tmp_path / "new photo.jpg"
    Image.fromarray(photo()).save(source)
    seen: list[restore.Position] = []
    chain = [restore.Upscale(model="built-in", scale=2), {**BUILT_IN, "scale": 1.5}]
    report = restore.restore_image(source, target, chain, restore.Progress(seen.append), settings=CPU)

    with Image.open(target) as result:
        assert (result.size, result.mode, result.format) == ((180, 120), "RGB", "JPEG")
        smooth = np.asarray(Image.fromarray(photo()).resize((180, 120), Image.Resampling.BICUBIC), dtype=float)
        assert np.abs(np.asarray(result, dtype=float) - smooth).mean() < 4
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new photo.jpg", "old photo.png"]

    data = json.loads(report.to_json())
    assert (data["source_size"], data["target_size"]) == ([60, 40], [180, 120])
    assert [stage["settings"]["scale"] for stage in data["stages"]] == [2, 1.5]
    assert data["stages"][0]["models"][0]["name"] == "built-in"
    assert data["stages"][0]["models"][0]["verified"] is True
    assert data["stages"][0]["plan"]["passes"] == 1
    assert restore.parse_steps(data["recipe"]) == restore.parse_steps(chain)
    assert {(position.index, position.stages) for position in seen} == {(0, 2), (1, 2)}
    assert seen[-1].fraction == 1


def test_the_pixels_may_be_worked_on_elsewhere(tmp_path: Path) -> None:
    """An opened chain and what it gives go through pickle, as they do to another process; opening loads nothing."""
    name = "realesr-general-x4v3"
    for partner in (name, "realesr-general-wdn-x4v3"):
        save_file(networks.build(partner).state_dict(), tmp_path / f"{partner}.safetensors")
    settings = restore.Settings(device="cpu", precision="float32", weights=(tmp_path,))
    steps = [{"stage": "upscale", "model": name, "scale": 2}, {**BUILT_IN, "scale": 1}]
    y, x = np.mgrid[0:40, 0:60]
    picture = np.dstack([photo(), (x + y).astype(np.uint8)])
    Image.fromarray(picture).save(tmp_path / "a.png")
    asked: list[Sequence[Stage]] = []

    def elsewhere(stages: Sequence[Stage], frame: Frame, engine: Engine) -> tuple[Frame, list[StageReport]]:
        asked.append(stages)
        resident = len(RESIDENT)
        opened = open_chain(stages, engine)
        assert len(RESIDENT) == resident
        parcel = pickle.dumps((opened, frame, engine.settings, engine.device))
        assert len(parcel) < 100_000  # the weights themselves stay in their files
        opened, frame, there, device = pickle.loads(parcel)
        result = run_opened(opened, frame, Engine(there, restore.Progress(), device))
        return pickle.loads(pickle.dumps(result))

    here = restore.restore_image(tmp_path / "a.png", tmp_path / "here.png", steps, settings=settings)
    there = restore.restore_image(
        tmp_path / "a.png", tmp_path / "there.png", steps, settings=settings, run_chain=elsewhere
    )
    assert asked == [restore.parse_steps(steps)]
    assert (tmp_path / "here.png").read_bytes() == (tmp_path / "there.png").read_bytes()
    assert [(s.settings, s.models, s.plan) for s in here.stages] == [
        (s.settings, s.models, s.plan) for s in there.stages
    ]


def test_parts_of_a_larger_work_count_as_its_stages_and_hear_its_stop() -> None:
    seen: list[tuple[str, int, int]] = []
    whole = restore.Progress(lambda position: seen.append((position.stage, position.index, position.stages)))
    for number in range(2):
        part = whole.share(number, 2)
        for index, stage in enumerate(("upscale", "colour", "faces")):
            part.begin(stage, index, 3)
            part.advance(1, 2, "tiles")
    assert seen == [(("upscale", "colour", "faces")[i % 3], i, 6) for i in range(6)]
    inner = whole.share(1, 2).share(0, 4)
    inner.begin("upscale")
    inner.advance(0, 1, "tiles")
    assert seen[-1] == ("upscale", 4, 8)
    whole.cancel()
    with pytest.raises(restore.Cancelled):
        inner.check()


def test_the_recipe_is_in_the_picture(tmp_path: Path) -> None:
    source, target = tmp_path / "a.png", tmp_path / "b.png"
    Image.fromarray(photo()).save(source)
    report = restore.restore_image(source, target, [BUILT_IN], settings=CPU)
    with Image.open(target) as result:
        assert json.loads(result.text["restore:recipe"]) == report.recipe
        assert json.loads(result.getexif().get_ifd(0x8769)[0x9213]) == report.recipe


def test_an_empty_chain_changes_the_format_and_nothing_else(tmp_path: Path) -> None:
    source, target = tmp_path / "a.png", tmp_path / "b.tiff"
    Image.fromarray(photo()).save(source)
    restore.restore_image(source, target, [], settings=CPU)
    with Image.open(target) as result:
        assert np.array_equal(np.asarray(result), photo())


def test_sixteen_bits_stay_sixteen_bits_through_the_network(tmp_path: Path) -> None:
    source, target = tmp_path / "deep.png", tmp_path / "deep.tiff"
    ramp = np.linspace(2000, 63000, 160 * 100).reshape(100, 160).astype(np.uint16)
    cv2.imwrite(str(source), np.stack([ramp] * 3, axis=-1))
    restore.restore_image(source, target, [{**BUILT_IN, "scale": 2}], settings=CPU)
    result = cv2.imread(str(target), cv2.IMREAD_UNCHANGED)
    assert result.dtype == np.uint16
    assert result.shape == (200, 320, 3)
    assert len(np.unique(result[..., 1])) >= 10_000


def test_grey_stays_grey(tmp_path: Path) -> None:
    source, target = tmp_path / "grey.png", tmp_path / "larger.png"
    Image.fromarray(photo()).convert("L").save(source)
    restore.restore_image(source, target, [BUILT_IN], settings=CPU)
    with Image.open(target) as result:
        assert (result.mode, result.size) == ("L", (240, 160))


def test_what_lies_under_transparency_does_not_bleed(tmp_path: Path) -> None:
    """A white disc on green of full transparency: its edge stays white, and the transparency is enlarged smoothly."""
    y, x = np.mgrid[0:48, 0:48] - 23.5
    inside = np.hypot(x, y) < 15
    picture = np.where(inside[..., None], [255, 255, 255, 255], [0, 255, 0, 0]).astype(np.uint8)
    source, target = tmp_path / "disc.png", tmp_path / "larger.webp"
    Image.fromarray(picture).save(source)
    restore.restore_image(source, target.with_suffix(".png"), [BUILT_IN], settings=CPU)
    result = np.asarray(Image.open(target.with_suffix(".png"))).astype(int)
    assert result.shape == (192, 192, 4)
    visible = result[result[..., 3] > 0]
    assert visible[:, :3].min() > 240
    assert result[96, 96, 3] == 255
    assert result[2, 2, 3] == 0
    assert len(np.unique(result[..., 3])) > 10


def test_holes_are_filled_with_what_is_near() -> None:
    pixels = torch.zeros(3, 37, 53)
    pixels[0, :, :26], pixels[1, :, 26:] = 0.8, 0.6
    alpha = torch.ones(37, 53)
    alpha[5:30, 8:48] = 0
    damaged = torch.where(alpha > 0, pixels, 0.1)
    filled = fill_transparent(damaged, alpha)
    assert torch.equal(filled[:, alpha > 0], pixels[:, alpha > 0])
    assert (filled[:, 17, 9] - pixels[:, 17, 9]).abs().max() < 0.1
    assert (filled[:, 17, 46] - pixels[:, 17, 46]).abs().max() < 0.1
    assert torch.equal(fill_transparent(pixels, torch.zeros(37, 53)), pixels)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (5, 7), (8191, 3)])
def test_pictures_of_every_shape(tmp_path: Path, size: tuple[int, int]) -> None:
    source, target = tmp_path / "a.png", tmp_path / "b.png"
    Image.new("RGB", size, (200, 100, 50)).save(source)
    restore.restore_image(source, target, [BUILT_IN], settings=CPU)
    with Image.open(target) as result:
        assert result.size == (4 * size[0], 4 * size[1])
        assert np.abs(np.asarray(result).reshape(-1, 3).mean(axis=0) - (200, 100, 50)).max() < 6


def test_the_target_may_be_the_source(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(photo()).save(path)
    restore.restore_image(path, path, [{**BUILT_IN, "scale": 2}], settings=CPU)
    with Image.open(path) as result:
        assert result.size == (120, 80)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("steps", "target", "settings", "kind", "words"),
    [
        ([BUILT_IN], "b.png", {"max_input_pixels": 2000}, restore.LimitError, "RESTORE_MAX_INPUT_MEGAPIXELS"),
        ([BUILT_IN], "b.png", {"max_output_pixels": 30_000}, restore.LimitError, "RESTORE_MAX_OUTPUT_MEGAPIXELS"),
        ([BUILT_IN], "b.png", {"max_file_bytes": 100}, restore.LimitError, "RESTORE_MAX_FILE_MB"),
        ([BUILT_IN], "b.png", {"memory_bytes": 1}, restore.ResourceError, "memory"),
        ([BUILT_IN], "b.xyz", {}, restore.OutputError, "xyz"),
        ([BUILT_IN], "no/such/b.png", {}, restore.OutputError, "b.png"),
        ([{**BUILT_IN, "scale": 9}], "b.png", {}, restore.SettingsError, "scale"),
        ([{**BUILT_IN, "target": "8k"}], "b.png", {}, restore.LimitError, "smaller target"),
        ([{**BUILT_IN, "model": "RealESRGAN_x4plus"}], "b.png", {}, restore.WeightsError, "RealESRGAN_x4plus.pth"),
        ([BUILT_IN], "b.png", {"device": "cuda:99"}, restore.SettingsError, "cuda:99"),
    ],
)
def test_what_cannot_be_done_is_said_in_words_and_leaves_nothing(
    tmp_path: Path, steps: list, target: str, settings: dict, kind: type[restore.RestoreError], words: str
) -> None:
    source = tmp_path / "a.png"
    Image.fromarray(photo()).save(source)
    with pytest.raises(kind, match=words):
        restore.restore_image(
            source, tmp_path / target, steps, settings=restore.Settings(**{"device": "cpu", **settings})
        )
    assert list(tmp_path.iterdir()) == [source]


@pytest.mark.parametrize(
    "message", ["CUDA out of memory.", "[enforce fail] DefaultCPUAllocator: can't allocate memory"]
)
def test_memory_that_runs_out_half_way_is_said_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, message: str
) -> None:
    """Where even the smallest tile does not fit, whatever the words of the device, and nothing is left."""
    source = tmp_path / "a.png"
    Image.fromarray(photo()).save(source)

    def fail(*_: object) -> None:
        raise RuntimeError(message)

    monkeypatch.setattr("restore.networks.compact_x4.CompactX4.forward", fail)
    with pytest.raises(restore.ResourceError, match="not enough memory"):
        restore.restore_image(source, tmp_path / "b.png", [BUILT_IN], settings=CPU)
    assert list(tmp_path.iterdir()) == [source]


@pytest.mark.parametrize(
    "arguments",
    [
        (None, "b.png", []),
        (3, "b.png", []),
        (b"a.png", "b.png", []),
        ("a.png", ["b.png"], []),
        ("a.png", "b.png", None),
        ("a.png", "b.png", [{"stage": []}]),
        ("a.png", "b.png", [{"stage": "upscale", "scale": None}]),
        ("a.png", "b.png", [], print),
    ],
)
def test_arguments_of_the_wrong_kind_are_said_in_words(arguments: tuple) -> None:
    with pytest.raises(restore.SettingsError):
        restore.restore_image(*arguments)
    with pytest.raises(restore.SettingsError, match="settings"):
        restore.restore_image("a.png", "b.png", [], settings=5)  # type: ignore[arg-type]
    with pytest.raises(restore.SettingsError, match="float8"):
        restore.restore_image(__file__, "b.png", [BUILT_IN], settings=restore.Settings(precision="float8"))


def test_an_empty_chain_leaves_hidden_pixels_alone(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (30, 20, 4), dtype=np.uint8)
    picture[:15, :, 3] = 0
    Image.fromarray(picture).save(tmp_path / "a.png")
    restore.restore_image(tmp_path / "a.png", tmp_path / "b.png", [], settings=CPU)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "b.png")), picture)


def test_a_failure_that_somebody_keeps_does_not_keep_the_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exception keeps the frames that it came through; a network that they held would be lost to all later work."""
    source = tmp_path / "a.png"
    Image.fromarray(photo()).save(source)
    with monkeypatch.context() as patch:
        patch.setattr("restore.inference.resample._resize_channel", lambda *_: (_ for _ in ()).throw(MemoryError()))
        with pytest.raises(restore.ResourceError) as kept:
            restore.restore_image(source, tmp_path / "b.png", [{**BUILT_IN, "scale": 3}], settings=CPU)
    done = threading.Thread(
        target=restore.restore_image,
        args=(source, tmp_path / "c.png", [{**BUILT_IN, "scale": 3}]),
        kwargs={"settings": CPU},
        daemon=True,
    )
    done.start()
    done.join(timeout=60)
    assert kept.value
    assert (tmp_path / "c.png").exists()


@pytest.mark.parametrize("name", ["text.png", "empty.png", "missing.png", "folder.png", "cut.png"])
def test_what_is_no_picture_is_refused_and_leaves_nothing(tmp_path: Path, name: str) -> None:
    source = tmp_path / name
    if name == "text.png":
        source.write_text("This is not a picture.")
    elif name == "empty.png":
        source.touch()
    elif name == "folder.png":
        source.mkdir()
    elif name == "cut.png":
        Image.fromarray(photo()).save(source)
        source.write_bytes(source.read_bytes()[:-800])
    before = sorted(tmp_path.iterdir())
    with pytest.raises(restore.InputError, match=name):
        restore.restore_image(source, tmp_path / "out.png", [BUILT_IN], settings=CPU)
    assert sorted(tmp_path.iterdir()) == before


def test_stopping_leaves_nothing(tmp_path: Path) -> None:
    source = tmp_path / "a.png"
    Image.fromarray(photo(1200, 1200)).save(source)
    progress = restore.Progress()
    timer = threading.Timer(1.0, progress.cancel)
    timer.start()
    began = time.monotonic()
    with pytest.raises(restore.Cancelled):
        restore.restore_image(source, tmp_path / "b.png", [{**BUILT_IN, "scale": 8}], progress, settings=CPU)
    assert time.monotonic() - began < 1 + 2 + 1
    assert list(tmp_path.iterdir()) == [source]


def test_stopping_while_the_picture_is_encoded_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = tmp_path / "a.png", tmp_path / "b.png"
    Image.fromarray(photo()).save(source)
    target.write_bytes(b"an older result")
    progress = restore.Progress()
    encode = images._encode

    def encode_and_stop(*arguments: object) -> None:
        encode(*arguments)  # type: ignore[arg-type]
        progress.cancel()

    monkeypatch.setattr(images, "_encode", encode_and_stop)
    with pytest.raises(restore.Cancelled):
        restore.restore_image(source, target, [BUILT_IN], progress, settings=CPU)
    assert target.read_bytes() == b"an older result"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "b.png"]


@pytest.mark.filterwarnings("ignore:Please import:DeprecationWarning")
def test_the_result_is_that_of_the_official_code(tmp_path: Path) -> None:
    """The same weights through ``RealESRGANer`` give the same picture, to within one level of 255."""
    name = "realesr-general-x4v3"
    torch.manual_seed(0)
    state = networks.build(name).state_dict()
    save_file(state, tmp_path / f"{name}.safetensors")
    torch.save({"params": state}, tmp_path / "official.pth")
    Image.fromarray(photo(64, 90)).save(tmp_path / "a.png")
    settings = restore.Settings(device="cpu", precision="float32", weights=(tmp_path,))
    steps = [{"stage": "upscale", "model": name, "denoise": 1}]
    restore.restore_image(tmp_path / "a.png", tmp_path / "b.png", steps, settings=settings)

    official = architecture("realesrgan.utils", "RealESRGANer")(
        scale=4, model_path=str(tmp_path / "official.pth"), model=networks.build(name), pre_pad=0
    )
    expected, _ = official.enhance(cv2.imread(str(tmp_path / "a.png"), cv2.IMREAD_UNCHANGED))
    result = cv2.imread(str(tmp_path / "b.png"), cv2.IMREAD_UNCHANGED)
    assert np.abs(result.astype(int) - expected.astype(int)).max() <= 1
