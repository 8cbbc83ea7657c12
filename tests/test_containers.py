"""Opening a clip: what is opened, what is refused and in which words, and that no other file is touched."""

from __future__ import annotations

import re
import zipfile
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

import restore
from restore.errors import InputError, LimitError
from restore.media.clips.containers import main_video, open_clip
from restore.settings import Settings
from tests import clips
from tests.opened import AVAILABLE, opened_in

SETTINGS = Settings()
BINARY = b"# " + b"\xff\x80" * 50 + b"\n"
"""A comment to all those lists that is no text."""


def frames_of(path: Path, settings: Settings = SETTINGS) -> list[tuple[int, int]]:
    """The sizes of the frames that decode."""
    with open_clip(path, settings) as container:
        return [(frame.width, frame.height) for frame in container.decode(main_video(container, path.name))]


LISTS = {
    "hls.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nvictim.ts\n#EXT-X-ENDLIST\n",
    "hls_named.ts": "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{folder}/victim.ts\n#EXT-X-ENDLIST\n",
    "hls_url.mp4": "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nfile://{folder}/victim.ts\n#EXT-X-ENDLIST\n",
    "concat.ffconcat": "ffconcat version 1.0\nfile victim.ts\n",
    "concat_named.mp4": "ffconcat version 1.0\nfile victim.ts\n",
    "manifest.mpd": '<?xml version="1.0"?><MPD><BaseURL>file://{folder}/victim.ts</BaseURL></MPD>',
    "list.pls": "[playlist]\nFile1={folder}/victim.ts\n",
    "list.xspf": '<?xml version="1.0"?><playlist><location>file://{folder}/victim.ts</location></playlist>',
    "stream.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nm=video 9 RTP/AVP 96\n",
}


@pytest.mark.skipif(not AVAILABLE, reason="who opens a file is only told by Linux")
@pytest.mark.parametrize("disguised", [False, True])
@pytest.mark.parametrize("name", LISTS)
def test_lists_of_other_files_are_refused_unopened(tmp_path: Path, name: str, disguised: bool) -> None:
    # Disguised, the list is no text any more, so that only the choice of demuxers stands in its way.
    clips.write_clip(tmp_path / "victim.ts")
    path = tmp_path / name
    path.write_bytes(LISTS[name].format(folder=tmp_path).encode() + (BINARY if disguised else b""))
    with opened_in(tmp_path) as opened, pytest.raises(InputError) as refusal:
        open_clip(path, SETTINGS)
    assert set(opened) == {name}
    assert ("names other files" in str(refusal.value)) != disguised


@pytest.mark.skipif(not AVAILABLE, reason="who opens a file is only told by Linux")
@pytest.mark.parametrize("ending", [b"", BINARY])
def test_such_a_list_would_be_followed_otherwise(tmp_path: Path, ending: bytes) -> None:
    clips.write_clip(tmp_path / "victim.ts")
    path = tmp_path / "concat_named.mp4"
    path.write_bytes(LISTS[path.name].encode() + ending)
    with opened_in(tmp_path) as opened:
        av.open(str(path)).close()
    assert "victim.ts" in opened


@pytest.mark.parametrize(
    "name",
    [
        "colon:name.mp4",
        "file:prefix.mp4",
        "-dash.mp4",
        "percent_%03d.mp4",
        "new\nline.mp4",
        "bare",
        "wrong.txt",
        "映画.avi",
    ],
)
def test_a_name_is_only_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    clips.write_clip(tmp_path / name, format="mp4")
    monkeypatch.chdir(tmp_path)
    assert frames_of(Path(name)) == [(96, 64)] * 12


def test_metadata_need_not_be_utf8(tmp_path: Path) -> None:
    path = clips.write_clip(tmp_path / "clip.mp4", metadata={"title": "nobody"})
    clips.exchange(path, b"nobody", b"\xff\xfebod\xe9")
    with open_clip(path, SETTINGS) as container:
        assert "bod" in container.metadata["title"]


def still(path: Path, format: str | None = None) -> Path:
    Image.fromarray(clips.picture(0)).save(path, format)
    return path


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def archived(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("clip.mp4", BINARY)
    return path


def sound_only(path: Path) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=48000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.rate, frame.pts = 48000, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def scrambled(path: Path) -> Path:
    """A transport stream whose packets with content say that they are encrypted."""
    data = bytearray(clips.write_clip(path, clips.pictures(12, 320, 240)).read_bytes())
    for start in range(0, len(data), 188):
        number = (data[start + 1] & 0x1F) << 8 | data[start + 2]
        if 255 < number < 0x1FFF:
            data[start + 3] |= 0x80
    return written(path, bytes(data))


REFUSALS = {
    "text.mp4": (lambda path: written(path, b"Dear Sir,\nthis is no clip.\n"), "is text"),
    "page.mp4": (lambda path: written(path, b"<!doctype html><html><body>404</body></html>"), "is text"),
    "wide.srt": (lambda path: written(path, "1\n00:00 --> 00:01\nHé\n".encode("utf-16")), "is text"),
    "photo.mp4": (lambda path: still(path, "JPEG"), "is a picture"),
    "photo.png": (lambda path: still(path), "is a picture"),
    "photo.webp": (lambda path: still(path), "is a picture"),
    "photo.avif": (lambda path: still(path), "is a picture"),
    "photo.bmp": (lambda path: still(path), "is a picture"),
    "photo.tif": (lambda path: still(path), "is a picture"),
    "photo.ppm": (lambda path: still(path), "not a clip of a kind"),  # which FFmpeg would take for a clip
    "clip.zip": (archived, "is an archive"),
    "random.mp4": (lambda path: written(path, np.random.default_rng(1).bytes(4096)), "not a clip of a kind"),
    "empty.mkv": (lambda path: written(path, b""), "is empty"),
    "header.mp4": (lambda path: written(path, b"\0\0\0\x10ftypisom\0\0\2\0"), "lacks its index"),
    "cut.mp4": (lambda path: clips.cut_off(clips.write_clip(path, clips.pictures(30)), 0.6), "lacks its index"),
    "broken.mkv": (lambda path: clips.cut_off(clips.write_clip(path), 0.02), "is broken"),
    "song.m4a": (sound_only, "holds sound"),
    "clip.ts": (scrambled, "is encrypted"),
    "strange.mp4": (lambda path: clips.exchange(clips.write_clip(path), b"avc1", b"zzzz"), "not known here"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_what_is_no_clip_is_refused_in_one_sentence(tmp_path: Path, name: str) -> None:
    make, words = REFUSALS[name]
    path = make(tmp_path / name)
    with pytest.raises(InputError, match=words) as refusal:
        open_clip(path, SETTINGS)
    assert str(refusal.value).startswith(name) or f" {name} " in str(refusal.value)
    assert re.search(r"[.]$", str(refusal.value))


def test_too_large_a_picture_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    small = replace(SETTINGS, max_input_pixels=96 * 64 - 1)
    with pytest.raises(LimitError, match=r"96 x 64.*RESTORE_MAX_INPUT_MEGAPIXELS"):
        open_clip(clips.write_clip(tmp_path / "clip.mp4"), small)
    with pytest.raises(LimitError, match="65000 x 65000"):
        open_clip(clips.write_y4m(tmp_path / "bomb.y4m", "W65000 H65000 F25:1"), SETTINGS)


def test_a_file_has_the_limit_of_clips(tmp_path: Path) -> None:
    made = [clips.write_clip(tmp_path / "a.mp4"), clips.write_webp(tmp_path / "b.webp", clips.pictures(2), [40, 40])]
    for path in made:
        size = path.stat().st_size
        assert restore.probe(path, replace(SETTINGS, max_file_bytes=1, max_clip_bytes=size)).size == size
        with pytest.raises(LimitError, match="RESTORE_MAX_CLIP_MB"):
            restore.probe(path, replace(SETTINGS, max_clip_bytes=size - 1))


def test_a_picture_that_grows_beyond_the_limit_is_not_decoded(tmp_path: Path) -> None:
    path = clips.write_clip(tmp_path / "clip.h264", clips.pictures(4), format="h264")
    large = clips.write_clip(tmp_path / "large.h264", clips.pictures(4, 640, 480), format="h264")
    path.write_bytes(path.read_bytes() + large.read_bytes())
    assert (640, 480) in frames_of(path)
    with open_clip(path, replace(SETTINGS, max_input_pixels=96 * 64)) as container:
        sizes = set()
        for packet in container.demux(main_video(container, path.name)):
            try:
                sizes |= {(frame.width, frame.height) for frame in packet.decode()}
            except av.FFmpegError:
                continue
    assert sizes == {(96, 64)}


def test_cover_art_is_not_the_clip(tmp_path: Path) -> None:
    cover = Image.fromarray(clips.picture(0, 640, 480))
    cover.save(tmp_path / "cover.jpg")
    path = clips.write_clip(
        tmp_path / "clip.mkv", attachments=[("cover.jpg", "image/jpeg", (tmp_path / "cover.jpg").read_bytes())]
    )
    with open_clip(path, SETTINGS) as container:
        assert len(container.streams.video) == 2
        assert main_video(container, path.name).width == 96


def test_the_larger_of_two_pictures_is_the_clip(tmp_path: Path) -> None:
    path = clips.write_clip(tmp_path / "clip.mkv", more_video=[clips.pictures(12, 192, 128)])
    with open_clip(path, SETTINGS) as container:
        assert main_video(container, path.name).index == 1


def test_nothing_stays_open_after_a_refusal(tmp_path: Path) -> None:
    path = sound_only(tmp_path / "song.m4a")
    before = len(list(Path("/dev/fd").iterdir()))
    for _ in range(5):
        with pytest.raises(InputError):
            open_clip(path, SETTINGS)
    assert len(list(Path("/dev/fd").iterdir())) == before
