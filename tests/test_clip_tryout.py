"""Several models on one crop of a clip: which frames they see, and what each gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import save_file

import restore
from restore import Frame, Upscale, networks
from restore.clip_plan import ClipOptions, ClipPlan, plan_clip
from restore.clip_tryout import AROUND, try_models_on_clip
from restore.errors import Cancelled, SettingsError
from restore.media.clips.probe import probe
from restore.progress import Progress
from restore.segments.flow import Chain, Made
from restore.segments.walk import Segment
from restore.settings import Settings
from restore.tryout import Box
from tests.clips import pictures, write_clip

ANIME, TEMPORAL = "realesr-animevideov3", "basicvsr"
WIDTH, HEIGHT = 40, 32
CUT = 12
STEP = {"stage": "upscale", "scale": 2.0, "model": "realsr-df2k", "target": "4k"}


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """With random weights of two models."""
    folder = tmp_path_factory.mktemp("weights")
    for name in (ANIME, TEMPORAL):
        torch.manual_seed(3)
        weights = networks.build(name).state_dict()
        if "conv_last.weight" in weights:
            weights["conv_last.weight"] *= 200  # or next to nothing would be added to plain resampling
        save_file(weights, folder / f"{name}.safetensors")
    return Settings(device="cpu", precision="float32", weights=(folder,))


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Twenty frames in two shots, which no encoding changes."""
    frames = pictures(20, WIDTH, HEIGHT)
    frames[CUT:] = [np.ascontiguousarray(255 - frame) for frame in frames[CUT:]]
    return write_clip(tmp_path / "old.mkv", frames, codec="ffv1", pixel_format="yuv444p")


def tried(clip: Path, folder: Path, seconds: float, models: list[str], settings: Settings, **options: Any) -> Any:
    """What the models make of the left part of the frame at ``seconds``."""
    folder.mkdir(exist_ok=True)
    plan = plan_clip(probe(clip), clip, folder / "out.mkv", [], ClipOptions(**options), settings)
    moment = plan.info.start + Fraction(str(seconds))
    return try_models_on_clip(plan, folder, moment, (0.0, 0.5), models, STEP, download=False, settings=settings)


def shown(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def crops_of(clip: Path, settings: Settings) -> list[NDArray[np.uint8]]:
    plan: ClipPlan = plan_clip(probe(clip), clip, clip.with_name("x.mkv"), [], ClipOptions(cuts=()), settings)
    frames = (frame.pixels[:, :, :HEIGHT] for frame in plan.reader(settings).frames())
    return [(each * 255).round().byte().permute(1, 2, 0).contiguous().numpy() for each in frames]


def test_every_model_gives_what_it_gives_in_the_clip(clip: Path, tmp_path: Path, settings: Settings) -> None:
    """One that uses time with the frames of its own shot, and no more of them than it is to see."""
    result = tried(clip, tmp_path / "r", 0.35, ["built-in", ANIME, TEMPORAL, "edvr-m"], settings, cuts=["0.2", "0.4"])
    assert (result.source_size, result.box, result.scale) == ((WIDTH, HEIGHT), Box(0, 0, HEIGHT, HEIGHT), 2)
    frames = crops_of(clip, settings)
    assert np.array_equal(shown(tmp_path / "r" / result.crop), frames[8])
    built_in, anime, temporal, missing = result.trials
    assert (missing.file, missing.missing, missing.title) == (None, True, "EDVR-M")
    seen = {ANIME: (frames[8:9], 0), "built-in": (frames[8:9], 0), TEMPORAL: (frames[5:10], 3)}
    for trial in (built_in, anime, temporal):
        around, place = seen[trial.model]
        stage = Upscale(model=trial.model, scale=2)
        exact = [
            Frame(torch.from_numpy(each).permute(2, 0, 1).float() / 255, pts=Fraction(index, 25))
            for index, each in enumerate(around)
        ]
        expected = list(restore.restore_frames(exact, [stage], settings=settings, rate=25, cuts=None))[place]
        made = shown(tmp_path / "r" / trial.file).astype(int)
        assert made.shape == (2 * HEIGHT, 2 * HEIGHT, 3)
        assert np.abs(made - (expected.pixels * 255).permute(1, 2, 0).numpy()).max() <= 2
        assert trial.seconds > 0
    (alone,) = restore.restore_frames([frames[8]], [Upscale(model=TEMPORAL, scale=2)], settings=settings)
    assert np.abs(shown(tmp_path / "r" / temporal.file).astype(int) - alone).max() > 2


def test_the_frame_is_the_one_that_is_shown_then(clip: Path, tmp_path: Path, settings: Settings) -> None:
    frames = crops_of(clip, settings)
    for seconds, number in ((0, 0), (0.0399, 0), (0.04, 1), (0.48, 12), (9, 19)):
        result = tried(clip, tmp_path / "r", seconds, ["built-in"], settings)
        assert np.array_equal(shown(tmp_path / "r" / result.crop), frames[number])


def test_hardware_that_is_lent_gets_the_crop_and_the_frames_around_it(
    clip: Path, tmp_path: Path, settings: Settings
) -> None:
    """And what it makes of the one that is shown is the result; without a model nothing is lent."""
    lent: list[int] = []
    frames = crops_of(clip, settings)

    class Lender:
        def run_segment(self, chain: Chain, segment: Segment, given: Sequence[Frame], *_: Any) -> Made:
            lent.append(len(given))
            assert [stage.settings.model for stage in chain.opened] == [[ANIME, TEMPORAL][len(lent) - 1]]
            (place,) = (index for index, frame in enumerate(given) if segment.span.holds(frame.pts) or len(given) == 1)
            assert np.array_equal((given[place].pixels * 255).round().byte().permute(1, 2, 0).numpy(), frames[6])
            made = replace(given[place], pixels=torch.full((3, 2 * HEIGHT, 2 * HEIGHT), len(lent) / 255))
            return Made([made], ({"seconds": 0.5},))

    there = tried(clip, tmp_path / "there", 0.24, [ANIME, TEMPORAL], replace(settings, lender=Lender()), cuts=())
    assert lent == [1, 2 * AROUND + 1]
    for number, trial in enumerate(there.trials, 1):
        assert (shown(tmp_path / "there" / trial.file) == number).all()
        assert trial.seconds == 0.5
    assert shown(tmp_path / "there" / there.plain).std() > 10


def test_what_cannot_be_tried_is_refused(clip: Path, tmp_path: Path, settings: Settings) -> None:
    with pytest.raises(SettingsError, match="no model"):
        tried(clip, tmp_path / "r", 0, [], settings)
    plan = plan_clip(probe(clip), clip, tmp_path / "out.mkv", [], ClipOptions(), settings)
    what: dict[str, Any] = {"download": False, "settings": settings}
    with pytest.raises(SettingsError, match="centre"):
        try_models_on_clip(plan, tmp_path, Fraction(0), (0, 2), [ANIME], STEP, **what)
    stopped = Progress()
    stopped.cancel()
    with pytest.raises(Cancelled):
        try_models_on_clip(plan, tmp_path, Fraction(0), (0, 0), [ANIME], STEP, stopped, **what)
    assert not list(tmp_path.glob("*.png"))
