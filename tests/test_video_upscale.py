"""``Upscale`` with the models that use time: shot by shot, whatever the windows, and what else a frame carries."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import Any

import av
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

import restore
from restore import Encoding, Frame, Position, Progress, Upscale, catalog, inventory, models, networks
from restore.cli.command_line import parser
from restore.cli.steps import chosen_steps
from restore.errors import Cancelled, SettingsError, WeightsError
from restore.inference import allocator, memory, temporal_runner
from restore.inference.resample import lanczos
from restore.inference.runner import NetworkSource
from restore.inference.windows import needed_bytes
from restore.networks import ppmsvsr
from restore.report import Report
from restore.settings import Settings
from restore.ui.options import CLIP_WORDS, PICTURE_WORDS
from restore.ui.texts import I18N
from tests.clips import Sound, pictures, write_clip
from tests.test_windows import clip, filled

SMALL: dict[str, dict[str, Any]] = {
    "pp-msvsr": {"mid_channels": 8, "num_init_blocks": 1, "num_blocks": 1, "num_reconstruction_blocks": 1},
    "basicvsr": {"num_feat": 8, "num_block": 2},
    "edvr-m": {"num_feat": 8, "num_extract_block": 1, "num_reconstruct_block": 1},
    "realbasicvsr": {"mid_channels": 8, "num_propagation_blocks": 1, "num_cleaning_blocks": 1},
}
WHOLE = 100
"""A context that reaches to the end of every shot here."""


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings with a folder of weights for small networks of the kinds that are published."""
    entries = dict(catalog.checkpoints())
    entries |= {name: replace(entries[name], arguments=numbers) for name, numbers in SMALL.items()}
    monkeypatch.setattr(catalog, "checkpoints", lambda: MappingProxyType(entries))
    folder = tmp_path / "weights"
    folder.mkdir()
    for name in SMALL:
        save_file(filled(networks.build(name)).state_dict(), folder / f"{name}.safetensors")
    return Settings(device="cpu", precision="float32", weights=(folder,))


def frames_of(pixels: list[Tensor], *, cut: int | None = None, bits: int = 8) -> list[Frame]:
    """``pixels`` as the frames of a clip, in uneven times, with a cut before the frame number ``cut``."""
    return [
        Frame(one, None, bits, Fraction(i * i, 24), Fraction(2 * i + 1, 24), shot=int(cut is not None and i >= cut))
        for i, one in enumerate(pixels)
    ]


def run(frames: list[Frame], stage: Upscale, settings: Settings, progress: Progress | None = None) -> list[Frame]:
    return list(restore.restore_frames(frames, [stage], progress, settings=settings, cuts=None))


def stacked(frames: list[Frame]) -> Tensor:
    return torch.stack([frame.pixels for frame in frames])


def whole(name: str, settings: Settings, pixels: list[Tensor]) -> Tensor:
    """What the network as published makes of a clip at once."""
    network = models.NetworkSource(name, "", lambda: filled(networks.build(name)).state_dict()).load()
    with torch.inference_mode():
        result: Tensor = network(torch.stack(pixels)[None])[0].clamp(0, 1)
    return result


@pytest.mark.parametrize("name", SMALL)
def test_a_clip_in_windows_that_see_to_its_end_is_what_the_network_makes_of_it_at_once(
    name: str, settings: Settings
) -> None:
    pixels = clip(8, 21, 34)
    frames = frames_of(pixels)
    stage = Upscale(model=name, num_frames=3, context=WHOLE)
    results = run(frames, stage, settings)
    wanted = whole(name, settings, pixels)
    assert wanted.std() > 0.02
    assert (stacked(results) - wanted).abs().max() <= 1e-5
    assert [(one.pts, one.duration) for one in results] == [(one.pts, one.duration) for one in frames]
    # The network does more than a resize, and windows that see less give something else.
    plain = torch.stack([lanczos(one, 84, 136) for one in pixels])
    assert (wanted - plain).abs().mean() > 0.005
    if name != "edvr-m":
        near = run(frames, Upscale(model=name, num_frames=3, context=0), settings)
        assert (stacked(near) - wanted).abs().max() > 1e-4


def test_nothing_crosses_a_cut(settings: Settings) -> None:
    pixels = clip(9, 24, 20)
    stage = Upscale(model="pp-msvsr", num_frames=2, context=WHOLE)
    results = stacked(run(frames_of(pixels, cut=4), stage, settings))
    alone = [stacked(run(frames_of(part), stage, settings)) for part in (pixels[:4], pixels[4:])]
    assert torch.equal(results, torch.cat(alone))
    together = stacked(run(frames_of(pixels), stage, settings))
    assert (together - results)[[3, 4]].abs().max() > 1e-4


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("count", [1, 2, 3])
def test_clips_of_a_few_frames_of_an_odd_size_work(name: str, count: int, settings: Settings) -> None:
    pixels = clip(count, 19, 13)
    results = run(frames_of(pixels), Upscale(model=name), settings)
    assert (stacked(results) - whole(name, settings, pixels)).abs().max() <= 1e-5


def test_repeated_frames_are_the_same_once_more_and_cost_nothing(settings: Settings) -> None:
    pixels = clip(5, 20, 24)
    frames = frames_of([pixels[i] for i in (0, 0, 1, 2, 2, 2, 3, 4, 4)], cut=5)
    frames = [replace(frame, repeat=number in (1, 4, 5, 8)) for number, frame in enumerate(frames)]
    results = run(frames, Upscale(model="pp-msvsr", num_frames=2, context=WHOLE), settings)
    assert [(one.pts, one.repeat, one.shot) for one in results] == [(one.pts, one.repeat, one.shot) for one in frames]
    # The cut lies inside a picture that stands still; what follows it belongs to the new shot.
    first, second = whole("pp-msvsr", settings, pixels[:3]), whole("pp-msvsr", settings, pixels[3:])
    wanted = torch.cat((first, second))[[0, 0, 1, 2, 2, 2, 3, 4, 4]]
    assert (stacked(results) - wanted).abs().max() <= 1e-5
    assert all(results[i].pixels is results[i - 1].pixels for i in (1, 4, 5, 8))


def test_a_frame_that_says_to_repeat_what_is_not_there_is_enlarged(settings: Settings) -> None:
    pixels = clip(2, 20, 24)
    frames = [replace(frame, repeat=True) for frame in frames_of(pixels)][:1] + frames_of(pixels)[1:]
    assert (
        stacked(run(frames, Upscale(model="basicvsr"), settings)) - whole("basicvsr", settings, pixels)
    ).abs().max() <= 1e-5
    assert run([], Upscale(model="basicvsr"), settings) == []


def test_the_size_that_was_asked_for_comes_from_one_run_and_one_resampling(settings: Settings) -> None:
    pixels = clip(3, 20, 30)
    large = whole("basicvsr", settings, pixels)
    for values, (width, height) in (
        ({"scale": 2}, (60, 40)),
        ({"scale": 1}, (30, 20)),
        ({"scale": 8}, (240, 160)),
        ({"target": "100x100"}, (100, 67)),
    ):
        results = run(frames_of(pixels), Upscale(model="basicvsr", **values), settings)
        wanted = torch.stack([lanczos(one, height, width) for one in large])
        assert (stacked(results) - wanted).abs().max() <= 1e-4
        assert torch.equal(results[0].before, pixels[0])
    half = run(frames_of(pixels), Upscale(model="basicvsr", scale=2, strength=0.5), settings)
    wanted = torch.stack(
        [lanczos(one, 40, 60).lerp(lanczos(two, 40, 60), 0.5) for one, two in zip(pixels, large, strict=True)]
    )
    assert (stacked(half) - wanted).abs().max() <= 1e-4


def test_grey_stays_grey_and_transparency_comes_along(settings: Settings) -> None:
    grey = [one.mean(dim=0, keepdim=True).expand(3, -1, -1) for one in clip(3, 20, 24)]
    alpha = torch.linspace(0, 1, 24).expand(20, 24)
    frames = [replace(frame, alpha=alpha) for frame in frames_of(grey)]
    for result in run(frames, Upscale(model="pp-msvsr", scale=3), settings):
        red, green, blue = result.pixels
        assert torch.equal(red, green)
        assert torch.equal(green, blue)
        assert result.alpha is not None
        assert (result.alpha - lanczos(alpha[None], 60, 72)[0]).abs().max() <= 1e-6


def test_frames_of_another_size_or_depth_begin_anew(settings: Settings) -> None:
    small, large = clip(2, 16, 16), clip(3, 20, 24)
    frames = frames_of(small) + frames_of(large) + frames_of(large, bits=10)
    results = run(frames, Upscale(model="basicvsr"), settings)
    assert (stacked(results[:2]) - whole("basicvsr", settings, small)).abs().max() <= 1e-5
    for part in (results[2:5], results[5:]):
        assert (stacked(part) - whole("basicvsr", settings, large)).abs().max() <= 1e-5
    assert [result.bits for result in results] == [8] * 5 + [10] * 3


def test_two_stages_with_one_model_do_not_wait_for_each_other(settings: Settings) -> None:
    stage = Upscale(model="pp-msvsr", scale=1, num_frames=2)
    results = list(restore.restore_frames(frames_of(clip(5, 16, 16)), [stage, stage], settings=settings, cuts=None))
    assert len(results) == 5


def opened(name: str, settings: Settings, progress: Progress | None = None) -> temporal_runner.TemporalRunner:
    engine = restore.inference.engine.Engine.start(settings, progress or Progress())
    return temporal_runner.TemporalRunner(models.open_model(name, engine).source, engine)


def test_a_lower_precision_is_taken_where_it_keeps_40_db(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    automatic = replace(settings, precision="auto")
    monkeypatch.setattr(temporal_runner, "choose_precision", lambda settings, device: torch.bfloat16)
    pixels = clip(4, 16, 24)
    wanted = whole("pp-msvsr", settings, pixels)

    def enlarged(bits: int = 8) -> tuple[Tensor, dict[str, Any]]:
        runner = opened("pp-msvsr", automatic)
        return torch.stack(list(runner.enlarge(pixels, bits))), runner.plan

    result, plan = enlarged()
    assert plan["precision"] == "bfloat16"
    assert "against float32" in plan["tried"]
    assert 1e-5 < (result - wanted).square().mean() <= 1e-4 or (result - wanted).abs().max() > 1e-5
    assert (result - wanted).square().mean() <= 1e-4

    result, plan = enlarged(bits=10)
    assert plan["precision"] == "float32"
    assert (result - wanted).abs().max() <= 1e-5

    monkeypatch.setattr(temporal_runner, "QUALITY_DB", 1000)
    result, plan = enlarged()
    assert plan["precision"] == "float32"
    assert (result - wanted).abs().max() <= 1e-5


def test_numbers_too_large_for_a_lower_precision_bring_float32_back(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = filled(networks.build("basicvsr")).state_dict()
    # What fusion gives is above what float16 holds, and what comes after it brings it back.
    state["fusion.weight"] *= 1e6
    state["upconv1.weight"] *= 1e-6
    (folder,) = settings.weights
    save_file(state, folder / "basicvsr.safetensors")
    pixels = clip(4, 16, 16)
    wanted = torch.stack(list(opened("basicvsr", settings).enlarge(pixels, 8)))

    runner = opened("basicvsr", replace(settings, precision="float16"))
    result = torch.stack(list(runner.enlarge(pixels, 8)))
    assert (result - wanted).abs().max() <= 2e-3
    assert runner.plan["precision"] == "float32"
    assert "not finite in float16" in runner.engine.warnings[0]

    state["conv_last.bias"][:] = float("nan")
    save_file(state, folder / "basicvsr.safetensors")
    with pytest.raises(WeightsError, match="no finite picture"):
        list(opened("basicvsr", settings).enlarge(pixels, 8))


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, int], list[tuple[int, int]]]:
    """Let memory run out where the network is given more or wider frames than is said; lists what it is given."""

    def make(frames: int, width: int) -> list[tuple[int, int]]:
        given: list[tuple[int, int]] = []
        window = ppmsvsr.PPMSVSR.window

        def short(self: Any, clip: Tensor, state: Any, keep: int, last: bool) -> Generator[Tensor, None, Any]:
            given.append((clip.shape[1], clip.shape[-1]))
            run = window(self, clip, state, keep, last)
            while True:
                try:
                    result = next(run)
                except StopIteration as end:
                    return end.value
                yield result
                if clip.shape[1] > frames or clip.shape[-1] > width:
                    # As cuDNN says it; CUDA itself has an exception of its own.
                    raise RuntimeError("cuDNN error: out of memory")

        monkeypatch.setattr(ppmsvsr.PPMSVSR, "window", short)
        return given

    return make


def test_windows_and_then_tiles_become_smaller_where_memory_runs_out_and_the_plan_tells(
    settings: Settings, narrow: Callable[[int, int], list[tuple[int, int]]]
) -> None:
    pixels = clip(11, 16, 16)
    wanted = whole("pp-msvsr", settings, pixels)
    runner = opened("pp-msvsr", settings)
    runner.num_frames, runner.context = 8, 3
    narrow(6, 1000)
    result = torch.stack(list(runner.enlarge(pixels, 8)))
    (shorter,) = runner.plan["out_of_memory"]
    assert shorter["frame"] == 1
    assert shorter["window"] + shorter["context"] == 5
    assert shorter.items() <= (runner.plan | {"frame": 1}).items()
    assert (result - wanted).abs().mean() < 0.01

    # The next shot does not run into it again.
    given = narrow(6, 1000)
    assert len(list(runner.enlarge(pixels, 8))) == 11
    assert max(frames for frames, _ in given) == 5
    assert len(runner.plan["out_of_memory"]) == 1


def test_what_fits_into_memory_decides_on_windows_and_tiles(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def planned(megabytes: int, height: int, width: int, tile: int | None = None) -> dict[str, Any]:
        monkeypatch.setattr(memory, "available", lambda *_: megabytes * 2**20)
        runner = opened("pp-msvsr", replace(settings, tile=tile))
        monkeypatch.setattr(temporal_runner, "enlarge_shot", lambda network, traits, frames, plan, changed: frames)
        assert len(list(runner.enlarge([torch.rand(3, height, width)], 8))) == 1
        return runner.plan

    much, little = planned(4000, 360, 640), planned(2000, 360, 640)
    assert much["window"] > little["window"]
    assert much["tile"] == little["tile"] == "whole frame"
    assert planned(1500, 540, 960)["tile"] < 540
    assert planned(4000, 360, 640, tile=256)["tile"] == 256
    # More than a good window needs is not taken.
    assert planned(4000, 360, 640) == planned(40_000, 360, 640)


@pytest.mark.parametrize("gigabytes", [8, 24, 500])
@pytest.mark.parametrize(("name", "most"), [("pp-msvsr", 1.75e9), ("basicvsr-pp", 4e9)])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_windows_on_a_processor_stay_modest_however_much_memory_is_free(
    name: str, most: float, dtype: torch.dtype, gigabytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "available", lambda *_: gigabytes * 2**30)
    engine = restore.inference.engine.Engine.start(Settings(device="cpu"), Progress())
    runner = temporal_runner.TemporalRunner(NetworkSource(name, "none", dict), engine)
    chosen = runner._choose(360, 640, dtype)
    assert chosen.tile is None
    assert needed_bytes(runner.traits, 360, 640, chosen.windows.seen, dtype.itemsize) <= most
    small = runner._choose(90, 160, dtype)
    assert small.windows.context == runner.traits.context
    assert small.windows.length >= 15


@pytest.mark.skipif(allocator._glibc() is None, reason="another C library gives holes back itself, or never")
def test_holes_in_memory_are_given_back_where_the_process_holds_more_than_was_planned(settings: Settings) -> None:
    runner = opened("pp-msvsr", settings)
    with allocator.reuse():
        blocks = [torch.ones(2**20) for _ in range(100)]  # 4 MiB each
        del blocks[::2]
        with_holes = allocator.resident_bytes()
        allocator.Bound(with_holes + 2**30).keep()
        assert allocator.resident_bytes() >= with_holes - 2**24, "without need"
        assert len(list(runner.enlarge(clip(2, 16, 16), 8))) == 2
        assert allocator.resident_bytes() <= with_holes - 2**27
        assert all(bool((block == 1).all()) for block in blocks)


def test_a_stop_is_heard_between_two_layers(settings: Settings) -> None:
    pixels = clip(30, 32, 32)
    positions: list[Position] = []

    def listen(position: Position) -> None:
        positions.append(position)
        if position.done > 5:
            progress.cancel()

    progress = Progress(listen)
    runner = opened("pp-msvsr", settings, progress)
    with pytest.raises(Cancelled):
        next(runner.enlarge(pixels, 8))
    assert sum(position.done > 5 for position in positions) == 1
    # Nothing is held any more that the next user of this network would wait for.
    assert len(list(opened("pp-msvsr", settings).enlarge(pixels[:1], 8))) == 1


def test_progress_counts_frames_and_never_goes_back(settings: Settings) -> None:
    shown: list[Position] = []
    stage = Upscale(model="pp-msvsr", num_frames=4, context=2)
    assert len(run(frames_of(clip(11, 24, 24), cut=6), stage, settings, Progress(shown.append))) == 11
    counts = [position.done for position in shown]
    assert counts == sorted(counts)
    assert {position.unit for position in shown} == {"frames"}
    assert {position.total for position in shown} == {11}
    assert counts[-1] == 11
    assert any(0 < count < 4 and count % 1 for count in counts)


def test_a_picture_is_a_clip_of_one_frame(settings: Settings, tmp_path: Path) -> None:
    pixels = clip(1, 18, 22)[0]
    Image.fromarray((pixels.permute(1, 2, 0) * 255).round().to(torch.uint8).numpy()).save(tmp_path / "old.png")
    report = restore.restore_image(
        tmp_path / "old.png", tmp_path / "new.png", [Upscale(model="realbasicvsr")], settings=settings
    )
    with Image.open(tmp_path / "new.png") as picture:
        result = torch.from_numpy(np.asarray(picture).astype(np.float32) / 255).permute(2, 0, 1)
    assert (result - whole("realbasicvsr", settings, [(pixels * 255).round() / 255])[0]).abs().max() <= 0.5 / 255 + 1e-5
    assert report.stages[0].plan["tile"] == "whole frame"


def test_a_clip_from_file_to_file_keeps_its_times_and_its_sound_and_the_report_has_the_plan(
    settings: Settings, tmp_path: Path
) -> None:
    ticks = [0, 40, 75, 121, 160, 200, 290, 320]
    shown = [*pictures(4, 32, 24), *(255 - one for one in pictures(4, 32, 24))]
    source = write_clip(
        tmp_path / "old.mkv", shown, times=ticks, time_base=Fraction(1, 1000), sounds=[Sound()], codec="ffv1"
    )
    target = tmp_path / "new.mkv"
    stage = Upscale(model="pp-msvsr", scale=2, num_frames=3, context=2)

    def restored(**options: Any) -> Report:
        return restore.restore_video(source, target, [stage], settings=settings, encoding=Encoding("ffv1"), **options)

    report = restored(cuts=[Fraction(160, 1000)])
    assert report.clip is not None
    assert report.target_size == (64, 48)
    assert report.clip.cuts == ("4/25",)
    assert report.stages[0].plan | {"tile": "whole frame", "precision": "float32"} == report.stages[0].plan
    assert (report.stages[0].plan["window"], report.stages[0].plan["context"]) == (3, 2)
    assert report.stages[0].models[0].name == "pp-msvsr"
    assert any("aac" in one or "sound" in one.lower() or "audio" in one.lower() for one in report.carried)
    with av.open(str(target)) as container:
        frames = list(container.decode(video=0))
        assert [round(float(frame.pts * frame.time_base * 1000)) for frame in frames] == ticks
        with_cut = [frame.to_ndarray(format="rgb24").astype(int) for frame in frames]
    assert len(with_cut) == 8

    restored(cuts=())
    with av.open(str(target)) as container:
        without = [frame.to_ndarray(format="rgb24").astype(int) for frame in container.decode(video=0)]
    assert np.abs(with_cut[3] - without[3]).max() > 0


@pytest.mark.parametrize("values", [{"num_frames": 0}, {"num_frames": True}, {"context": -1}, {"context": "all"}])
def test_windows_that_make_no_sense_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match=next(iter(values))):
        Upscale(model="pp-msvsr", **values)


def test_only_models_that_use_time_ask_for_shots() -> None:
    assert Upscale(model="basicvsr").uses_shots
    assert not Upscale(model="basicvsr", strength=0).uses_shots
    assert not Upscale(model="built-in").uses_shots
    assert not Upscale().uses_shots
    (stage,) = restore.parse_steps([{"stage": "upscale", "model": "edvr-l", "num_frames": 10.0, "context": 4}])
    assert stage.to_dict()["num_frames"] == 10
    assert restore.parse_steps([stage.to_dict()]) == (stage,)


def test_the_command_line_sets_the_frames_of_a_window_for_one_upscale_as_for_a_chain() -> None:
    for words in (["--model", "pp-msvsr", "--scale", "4"], ["--process-order", "PPMSVSR"]):
        (stage,) = chosen_steps(parser().parse_args(["run", "old.mp4", "new.mp4", *words, "--num-frames", "7"]))
        assert (stage.model, stage.scale, stage.num_frames) == ("pp-msvsr", 4, 7)


def test_pictures_are_offered_models_that_need_nothing_else_and_clips_all_of_them_in_groups() -> None:
    names = models.offered_for("upscale")
    over_time = [name for name in names if networks.uses_time(name)]
    assert {"edvr-m", "edvr-l", "basicvsr", "iconvsr", "basicvsr-pp", "realbasicvsr", "pp-msvsr", "pp-msvsr-l"} <= set(
        over_time
    )
    assert not set(PICTURE_WORDS.models) & set(over_time)
    assert set(CLIP_WORDS.models) == set(names)
    # One group after the other, and each choice says which it is in.
    groups = [networks.uses_time(name) for name in CLIP_WORDS.models]
    assert groups == sorted(groups)
    english = I18N.translations["en"]
    for name, choice in CLIP_WORDS.models.items():
        group = "Uses time" if networks.uses_time(name) else "Per frame"
        assert english[choice.key].startswith(f"{group} · {catalog.checkpoint(name).title} · ")


def test_how_fast_a_model_is_goes_by_its_work() -> None:
    facts = {each.name: each for each in inventory.model_facts(Settings(device="cpu"))}
    assert facts["built-in"].speed == facts["realesr-general-x4v3"].speed == "fast"
    assert facts["pp-msvsr"].speed == facts["basicvsr"].speed == "medium"
    assert facts["RealESRGAN_x4plus"].speed == facts["basicvsr-pp"].speed == facts["edvr-l"].speed == "slow"
    assert facts["gfpgan-1.4"].speed is None
    assert facts["basicvsr"].uses_time
    assert not facts["gfpgan-1.4"].uses_time
