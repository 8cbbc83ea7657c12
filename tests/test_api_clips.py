"""Clips at the public endpoints: called as scripts call them, at the real program."""

from __future__ import annotations

import json
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

import restore
from tests.clips import Sound, cut_off, pictures, write_clip
from tests.server import Server, running
from tests.test_api import job_of, wait_for

BUILT_IN = {"model": "built-in", "api_name": "/upscale_video"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("api"), RESTORE_MAX_CLIP_MINUTES="1") as server:
        yield server
        assert "Traceback" not in server.log.read_text()


@pytest.fixture(scope="module")
def client(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Client:
    return Client(server.url, verbose=False, download_files=tmp_path_factory.mktemp("downloads"))


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """Ten frames with a tone."""
    return write_clip(tmp_path / "clip.mp4", pictures(10, 64, 48), sounds=[Sound(seconds=0.4)])


@pytest.fixture
def long(tmp_path: Path) -> Path:
    """Half a minute or more of work on a machine without a graphics card."""
    return write_clip(tmp_path / "long.mp4", pictures(40, 480, 360))


def packets(path: Path, kind: str) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(**{kind: 0}) if packet.size]


def test_a_clip_comes_back_with_its_times_and_its_sound(client: Client, small: Path, tmp_path: Path) -> None:
    file, report = client.predict(handle_file(small), **BUILT_IN)

    assert Path(file).name == "clip_restored.mp4"
    step = {"stage": "upscale", "model": "built-in", "scale": 2}
    expected = json.loads(restore.restore_video(small, tmp_path / "expected.mp4", [step]).to_json())
    for name in ("codec", "container", "frames", "frame_rate", "encoder", "pixel_format"):
        assert report["clip"][name] == expected["clip"][name]
    assert report["recipe"] == expected["recipe"]
    assert report["target_size"] == [128, 96]
    assert packets(Path(file), "audio") == packets(small, "audio")
    with av.open(file) as result:
        frames = list(result.decode(video=0))
    assert [frame.pts * frame.time_base for frame in frames] == [Fraction(number, 25) for number in range(10)]
    assert (frames[0].width, frames[0].height) == (128, 96)


def test_part_codec_container_and_chain_are_those_asked_for(client: Client, small: Path) -> None:
    steps = [{"stage": "upscale", "scale": 1, "strength": 0}]
    file, report = client.predict(
        handle_file(small),
        steps=steps,
        codec="ffv1",
        container="mkv",
        start=0.08,
        end="0:00.2",
        api_name="/upscale_video",
    )
    assert Path(file).name == "clip_restored.mkv"
    assert (report["clip"]["codec"], report["clip"]["start"], report["clip"]["end"]) == ("ffv1", "2/25", "1/5")
    assert report["clip"]["frames"] == 3
    again, _ = client.predict(id=report["job"], api_name="/job_result")
    assert Path(again).read_bytes() == Path(file).read_bytes()


def test_progress_counts_frames_and_a_cancelled_run_stops(client: Client, server: Server, long: Path) -> None:
    run = client.submit(handle_file(long), **BUILT_IN)
    id = job_of(run)
    (frames,) = wait_for(lambda: (found := run.status().progress_data) and found[0].unit == "frames" and found)
    assert (frames.length, frames.desc) == (40, "encode")
    parts = wait_for(
        lambda: (now := client.predict(id=id, api_name="/job")["progress"]) and now[-1]["per_second"] and now
    )
    assert [part["stage"] for part in parts] == ["decode", "upscale", "encode"]
    assert {part["unit"] for part in parts} == {"frames"}
    run.cancel()
    wait_for(lambda: client.predict(id=id, api_name="/job")["state"] == "paused")
    # What was asked is kept, for whoever wants it to go on.
    assert [path.name for path in (server.files / f"restore-{id}").iterdir()] == ["asked.json"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"video": None}, "There is no clip yet"),
        ({"scale": 99}, "scale is 99"),
        ({"crf": 60}, "crf is 60"),
        ({"codec": "prores", "crf": 20}, "ProRes has no setting for quality"),
        ({"codec": "prores", "container": "mp4"}, "MP4 cannot hold ProRes"),
        ({"start": 5}, "start lies behind the end of clip.mp4"),
        ({"start": "late"}, "start is 'late'"),
        ({"target": "4k"}, "choose a smaller target"),
        ({"steps": [{"stage": "upscale"}], "scale": 3}, "Give either steps or scale"),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_sentence(
    client: Client, server: Server, small: Path, arguments: dict[str, Any], sentence: str
) -> None:
    before = server.jobs()
    with pytest.raises(AppError) as refused:
        client.predict(**{"video": handle_file(small), "api_name": "/upscale_video", **arguments})
    assert sentence in str(refused.value)
    assert server.jobs() == before


def test_what_is_too_long_or_no_clip_is_refused(client: Client, server: Server, tmp_path: Path) -> None:
    long = write_clip(tmp_path / "hour.mp4", pictures(8, 16, 16), times=range(0, 80, 10), time_base=Fraction(1, 1))
    with pytest.raises(AppError, match=r"hour.mp4 lasts 1.\d minutes and at most 1 are restored") as refused:
        client.predict(handle_file(long), **BUILT_IN)
    # The setting is for whoever runs the server.
    assert "RESTORE_" not in str(refused.value)
    assert "RESTORE_MAX_CLIP_MINUTES sets this limit" in server.log.read_text()
    broken = cut_off(write_clip(tmp_path / "broken.mp4"), 0.3)
    with pytest.raises(AppError, match=r"broken\.mp4"):
        client.predict(handle_file(broken), **BUILT_IN)


def test_a_file_is_probed_whatever_it_is(client: Client, small: Path, tmp_path: Path) -> None:
    clip = client.predict(handle_file(small), api_name="/probe")
    assert clip == {"kind": "clip", **restore.probe(small).to_dict()}
    frames = [Image.fromarray(frame) for frame in pictures(3, 20, 10)]
    frames[0].save(tmp_path / "photo.png")
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:], duration=100)
    picture = client.predict(handle_file(tmp_path / "photo.png"), api_name="/probe")
    size = (tmp_path / "photo.png").stat().st_size
    expected = {"kind": "picture", "name": "photo.png", "format": "PNG", "width": 20, "height": 10, "frames": 1}
    assert picture == {**expected, "size": size}
    assert client.predict(handle_file(tmp_path / "moving.gif"), api_name="/probe")["kind"] == "clip"
    for name, sentence in (("text.png", "not a picture"), ("text.mp4", "text.mp4")):
        (tmp_path / name).write_text("Dear all,\n" * 20)
        with pytest.raises(AppError, match=sentence):
            client.predict(handle_file(tmp_path / name), api_name="/probe")
