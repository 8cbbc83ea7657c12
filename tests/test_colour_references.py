"""Reference pictures steer the colours of their shots, in whatever form they are given."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

import restore
from restore import Colorize, Frame, Reference
from restore.colour import deepremaster
from restore.colour.merge import chroma_of
from restore.colour.palette import Recolour, learnt
from restore.colour.references import by_shot, in_ranges
from restore.errors import InputError, SettingsError
from restore.inference.runner import NetworkSource
from restore.models import Model
from restore.stages import colorize
from tests.clips import write_clip
from tests.oracle_runners.case import Case

CPU = restore.Settings(device="cpu")
MODEL = "built-in-colour"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Pictures that are all red, blue or grey, of many tones."""
    ramp = np.tile(np.linspace(20, 200, 64), (48, 1))
    for name, colour in (("red", (50, -20, -20)), ("blue", (-30, -10, 55)), ("grey", (0, 0, 0))):
        pixels = ramp[..., None] + np.array(colour) + np.random.default_rng(1).normal(0, 4, (48, 64, 1))
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(tmp_path / f"{name}.png")
    return tmp_path


def shots(*lengths: int) -> list[np.ndarray]:
    """Grey pictures of shots that differ so much that the cuts are found."""
    found = []
    for number, length in enumerate(lengths):
        ground = np.random.default_rng(number).random((6, 8))
        picture = np.asarray(
            Image.fromarray((ground * 110).astype(np.uint8)).resize((96, 64), Image.Resampling.BICUBIC)
        )
        light = picture.astype(int) + (120 if number % 2 else 10)
        found += [np.repeat((light + index % 2)[..., None], 3, axis=2).astype(np.uint8) for index in range(length)]
    return found


def redness(pictures: Any) -> float:
    """How much more red than blue there is."""
    pixels = np.asarray(pictures, dtype=float)
    return float((pixels[..., 0] - pixels[..., 2]).mean())


def test_each_shot_takes_the_colours_of_its_own_reference_and_the_report_says_which(folder: Path) -> None:
    write_clip(folder / "film.mp4", shots(8, 8, 8), rate=25, options={"qp": "0"})
    places = {"0": str(folder / "red.png"), "0.4": str(folder / "blue.png")}
    step = Colorize(MODEL, references=places)
    report = restore.restore_video(folder / "film.mp4", folder / "out.mkv", [step], settings=CPU)
    assert len(report.clip.cuts) == 2
    notes = " ".join(report.stages[0].notes)
    assert "red.png gave its colours to shot 0." in notes
    assert "blue.png gave its colours to shot 1." in notes

    plain = Colorize(MODEL)
    restore.restore_video(folder / "film.mp4", folder / "plain.mkv", [plain], settings=CPU)
    found, usual = (frames_of(folder / name) for name in ("out.mkv", "plain.mkv"))
    assert redness(found[:8]) > redness(usual[:8]) + 20
    assert redness(found[8:16]) < redness(usual[8:16]) - 20
    assert np.array_equal(found[16:], usual[16:])


def frames_of(path: Path) -> np.ndarray:
    import av

    with av.open(str(path)) as clip:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in clip.decode(video=0)])


def test_a_reference_without_a_place_serves_the_shots_that_have_none(folder: Path) -> None:
    frames = shots(3, 3, 3)
    general, own = Reference(str(folder / "red.png")), Reference(str(folder / "blue.png"), shot=1)
    cuts = [Fraction(3, 24), Fraction(6, 24)]
    warned = Colorize(MODEL, references=[general, own, {"path": str(folder / "grey.png"), "shot": 7}])
    found = list(restore.restore_frames(frames, [warned], cuts=cuts, settings=CPU))
    usual = list(restore.restore_frames(frames, [Colorize(MODEL)], cuts=cuts, settings=CPU))
    change = [redness(found[at : at + 3]) - redness(usual[at : at + 3]) for at in (0, 3, 6)]
    assert change[0] > 20
    assert change[1] < -20
    assert change[2] > 20


def test_times_need_known_cuts(folder: Path) -> None:
    step = Colorize(MODEL, references={0.2: folder / "red.png"})
    with pytest.raises(SettingsError, match="give the cuts"):
        restore.restore_frames(shots(3), [step], settings=CPU)
    found = list(restore.restore_frames(shots(6, 4), [step], cuts=["0.25"], settings=CPU))
    usual = list(restore.restore_frames(shots(6, 4), [Colorize(MODEL)], cuts=["0.25"], settings=CPU))
    assert redness(found[:6]) > redness(usual[:6]) + 20
    assert np.array_equal(found[6:], usual[6:])


def test_pictures_take_references_and_those_that_are_useless_are_said_to_be(folder: Path) -> None:
    Image.fromarray(shots(1)[0]).save(folder / "photo.png")
    step = Colorize(MODEL, references=folder / "blue.png")
    restore.restore_image(folder / "photo.png", folder / "out.png", [step], settings=CPU)
    assert redness(Image.open(folder / "out.png")) < -20
    grey = Colorize(MODEL, references=folder / "grey.png")
    report = restore.restore_image(folder / "photo.png", folder / "out.png", [grey], settings=CPU)
    assert "grey.png has no colours" in " ".join(report.warnings)
    missing = Colorize(MODEL, references=folder / "missing.png")
    with pytest.raises(InputError, match="missing"):
        restore.restore_image(folder / "photo.png", folder / "none.png", [missing], settings=CPU)
    assert not (folder / "none.png").exists()


def test_all_forms_mean_the_same_and_survive_json(folder: Path) -> None:
    named = folder / "named"
    named.mkdir()
    for name in ("2.png", "shot_03.jpg", "12.5.png", "7s.png", "any.webp"):
        Image.open(folder / "red.png").save(named / name)
    (named / "notes.txt").write_text("no picture")
    step = Colorize(references=str(named))
    assert {(Path(each.path).name, each.shot, each.time) for each in step.references} == {
        ("2.png", 2, None),
        ("shot_03.jpg", 3, None),
        ("12.5.png", None, "12.5"),
        ("7s.png", None, "7"),
        ("any.webp", None, None),
    }
    (again,) = restore.parse_steps([step.to_dict()])
    assert again == step
    assert hash(again) == hash(step)
    assert Colorize(references={0: "a.png", "1:02.5": ["b.png", "c.png"]}).references == (
        Reference("a.png", shot=0),
        Reference("b.png", time="1:02.5"),
        Reference("c.png", time="1:02.5"),
    )
    assert Reference("b.png", time="1:02.5").seconds == Fraction("62.5")


@pytest.mark.parametrize(
    "value",
    [5, "", b"a.png", {True: "a.png"}, {"soon": "a.png"}, {-1: "a.png"}, [{"path": "a.png", "when": 1}], [None, 3],
     [{"path": "a.png", "shot": 1, "time": 2}], [{"path": "a.png", "shot": -1}], ["a.png"] * 1001],
)  # fmt: skip
def test_references_that_make_no_sense_are_refused(value: object) -> None:
    with pytest.raises(SettingsError):
        Colorize(references=value)


times = st.fractions(0, 100, max_denominator=50)


@given(st.lists(times, unique=True), times, times)
def test_a_time_means_the_shot_that_is_shown_then(cuts: list[Fraction], begin: Fraction, time: Fraction) -> None:
    cuts = sorted(cuts)
    found = by_shot([Reference("a.png", time=str(time))], cuts, begin)
    # Shots are counted from the first frame that is restored.
    starts = [None, *[cut for cut in cuts if cut > begin]]
    last_before = max([cut for cut in cuts if cut <= begin], default=Fraction(0))
    if time < begin and any(time < cut <= begin for cut in cuts):
        assert found == ()
    else:
        assert time >= begin or time >= last_before
        shot = max(index for index, start in enumerate(starts) if start is None or start <= time)
        assert found == (Reference("a.png", shot=shot),)


def test_ranges_are_written_short() -> None:
    assert in_ranges([0, 2, 3, 4, 7]) == "0, 2 to 4, 7"


def test_frames_with_the_palettes_own_colours_stay_and_others_move_towards_it_by_luma() -> None:
    light = torch.linspace(0.05, 0.95, 2000).view(1, 1, 40, 50)
    chroma = torch.cat((light - 0.5, torch.zeros_like(light), 0.5 - light), dim=1) * 0.3
    chroma[:, 1:2] = -(0.299 * chroma[:, :1] + 0.114 * chroma[:, 2:]) / 0.587
    palette = learnt([(light, chroma)])
    assert (Recolour(palette).recoloured(light, chroma) - chroma).abs().max() < 0.01
    moved = Recolour(palette).recoloured(light, torch.zeros_like(chroma))
    within = ((light - 0.5).abs() < 0.35).expand_as(chroma)
    assert ((moved - chroma).abs() < 0.25 * chroma.abs() + 0.02)[within].all()
    assert torch.einsum("nchw,c->nhw", moved, torch.tensor((0.299, 0.587, 0.114))).abs().max() < 1e-5


def test_deepremaster_sees_blocks_of_a_shot_and_the_references_of_that_shot(
    monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    seen: list[tuple[tuple[int, ...], Tensor | None]] = []

    def colourised(_network: object, frames: Tensor, references: Tensor | None) -> Tensor:
        seen.append((tuple(frames.shape), references))
        return torch.stack((frames[:, 0] + 0.2, frames[:, 1], frames[:, 2]), dim=1).clamp(0, 1)

    @contextmanager
    def opened(*_: object) -> Iterator[None]:
        yield None

    monkeypatch.setattr(colorize, "colourised", colourised)
    monkeypatch.setattr(colorize, "opened", opened)
    monkeypatch.setattr(colorize, "open_model", lambda name, _: Model(NetworkSource(name, "", dict), ()))
    step = Colorize("deepremaster", references={1: [folder / "red.png", folder / "blue.png"]}, mindim=128)
    frames = [
        Frame(torch.from_numpy(each).permute(2, 0, 1) / 255, shot=index // 7) for index, each in enumerate(shots(7, 3))
    ]
    exact = restore.Settings(device="cpu", precision="float32")  # in which nothing is tried beforehand
    found = list(restore.restore_frames(frames, [step], cuts=None, settings=exact))
    assert [shape for shape, _ in seen] == [(5, 3, 128, 192), (2, 3, 128, 192), (3, 3, 128, 192)]
    assert [references is None for _, references in seen] == [True, True, False]
    assert seen[2][1].shape[:3] == (1, 2, 3)
    assert all(chroma_of(frame.pixels[None])[0, 0].mean() > 0.05 for frame in found)
    assert found[0].pixels.shape == frames[0].pixels.shape


@pytest.mark.slow
def test_deepremaster_as_a_stage_gives_the_published_result(tmp_path: Path) -> None:
    case = Case(Path(__file__).parent / "oracles" / "deepremaster", "deepremaster")
    (tmp_path / "weights").mkdir()
    network = case.network()
    save_file(dict(network.state_dict()), tmp_path / "weights" / "deepremaster.safetensors")
    references = []
    for name in sorted(key for key in case.arrays if key.startswith("references_rgb_")):
        Image.fromarray(case.arrays[name]).save(tmp_path / f"{name}.png")
        references.append(tmp_path / f"{name}.png")
    mindim = int(case.meta["pipeline"]["mindim"])
    clip = torch.from_numpy(case.arrays["clip_bgr"][..., ::-1].copy()).permute(0, 3, 1, 2).float() / 255
    rows, columns = deepremaster.working_size(clip.shape[2], clip.shape[3], mindim)
    frames = [Frame(each) for each in deepremaster.resized(clip, rows, columns)]
    settings = restore.Settings(device="cpu", precision="float32", weights=(tmp_path / "weights",))
    step = Colorize("deepremaster", references=references, steadiness=0, keep_luma=False, mindim=mindim)
    found = [frame.pixels for frame in restore.restore_frames(frames, [step], cuts=None, settings=settings)]
    case.compare("color_rgb", (torch.stack(found) * 255).round().permute(0, 2, 3, 1), atol=2)
