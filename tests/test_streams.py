"""Sound, subtitles, chapters, words and fonts arrive in the new clip, or have a line that says why not."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.codec.codec import Codec
from av.stream import Disposition
from numpy.typing import NDArray

from restore.media.clips.containers import open_clip
from restore.media.clips.encoders import Encoding, Picture, plan_encoding
from restore.media.clips.probe import probe
from restore.media.clips.reader import ClipReader
from restore.media.clips.streams import OtherStreams, choose_container
from restore.media.clips.writer import ClipWriter
from tests.clips import Sound, Subtitles, corrupt, pictures, write_clip

SMALL = pictures(50, 64, 48)
TWO = (
    Sound("aac", 2, metadata={"language": "ger", "title": "Ton"}),
    Sound("aac", 2, metadata={"language": "jpn", "title": "音楽"}),
)
LINES = Subtitles(((500, 500, "Eins <b>zwei</b>"), (1500, 400, "Drei")), metadata={"language": "deu"})
FONT = ("font.ttf", "font/ttf", bytes(range(256)))
PARTS = ((0, 1, "Erster"), (1, 2, "Zweiter"))


@dataclass
class Result:
    path: Path
    writer: ClipWriter

    @property
    def dropped(self) -> dict[str, str]:
        return {entry.what: entry.why for entry in self.writer.dropped}


def rewrite(source: Path, target: Path, start: Fraction | None = None, end: Fraction | None = None) -> Result:
    """Decode ``source`` and write it to ``target`` with all that belongs to it."""
    info = probe(source)
    reader = ClipReader(source, info, start=start, end=end)
    video = info.video
    picture = Picture(*reader.size, reader.layout, reader.colour, video.frame_rate, video.time_base)
    encoding = Encoding("av1", preset="11") if target.suffix == ".webm" else Encoding(preset="ultrafast")
    plan = plan_encoding(encoding, target, picture)
    with open_clip(source) as others:
        streams = OtherStreams(others, info, plan.container, start, end)
        with ClipWriter(target, plan, streams, words={"restore": "{}"}) as writer:
            for frame in reader.frames():
                writer.write(frame)
    return Result(target, writer)


def packets(path: Path, kind: str, number: int = 0) -> list[tuple[bytes, Fraction, Fraction]]:
    """The packets of a stream with their time and length in seconds."""
    with av.open(str(path)) as container:
        stream = [stream for stream in container.streams if stream.type == kind][number]
        return [
            (bytes(packet), packet.pts * packet.time_base, (packet.duration or 0) * packet.time_base)
            for packet in container.demux(stream)
            if packet.pts is not None
        ]


def samples(path: Path, number: int = 0) -> NDArray[Any]:
    with av.open(str(path)) as container:
        stream = container.streams.audio[number]
        return np.concatenate([frame.to_ndarray().reshape(-1) for frame in container.decode(stream)])


def texts(path: Path, number: int = 0) -> list[tuple[str, float, float]]:
    """What the subtitles say, from when on and for how long."""
    shown = []
    with av.open(str(path)) as container:
        stream = container.streams.subtitles[number]
        for packet in container.demux(stream):
            for line in packet.decode() if packet.pts is not None and packet.size > 2 else ():
                assert isinstance(line, av.subtitles.subtitle.AssSubtitle)
                words = re.sub(r"{[^}]*}", "", line.dialogue.decode())
                start, length = (float((ticks or 0) * packet.time_base) for ticks in (packet.pts, packet.duration))
                shown.append((words, start, length))
    return shown


def spread(path: Path) -> Fraction:
    """By how many seconds pictures and sound lie apart in the file, at most."""
    latest = {"video": Fraction(0), "audio": Fraction(0)}
    apart = Fraction(0)
    with av.open(str(path)) as container:
        for packet in container.demux():
            if packet.dts is not None:
                latest[packet.stream.type] = packet.dts * packet.time_base
                apart = max(apart, abs(latest["video"] - latest["audio"]))
    return apart


def video_starts(path: Path) -> list[Fraction]:
    return sorted(start for _, start, _ in packets(path, "video"))


@pytest.mark.parametrize("target", ["b.mp4", "b.mov", "b.mkv"])
@pytest.mark.parametrize("source", ["a.mp4", "a.mkv"])
def test_sound_goes_over_bit_for_bit_and_stays_in_step(tmp_path: Path, source: str, target: str) -> None:
    late = Sound("aac", 1, start=Fraction(1, 2), metadata={"language": "fra"})
    clip = write_clip(tmp_path / source, SMALL, sounds=[*TWO, late])
    result = rewrite(clip, tmp_path / target)
    assert video_starts(result.path)[0] == video_starts(clip)[0]
    assert result.writer.notes == []
    for number in range(3):
        before, after = packets(clip, "audio", number), packets(result.path, "audio", number)
        assert [data for data, *_ in after] == [data for data, *_ in before]
        differences = [new - old for (_, old, _), (_, new, _) in zip(before, after, strict=True)]
        assert max(map(abs, differences)) <= Fraction(1, 1000)
        # What a codec needs to start up is heard no more than before; MP4 has words for that only at zero.
        if number < 2:
            assert np.array_equal(samples(result.path, number), samples(clip, number))
    with av.open(str(result.path)) as container:
        assert [stream.language for stream in container.streams.audio] == ["ger", "jpn", "fra"]
        titles = [stream.metadata.get("title", stream.metadata.get("name")) for stream in container.streams.audio]
        assert titles == ["Ton", "音楽", None]
    assert result.writer.dropped == []
    assert sum("unchanged" in line for line in result.writer.carried) == 3


def test_sound_that_begins_before_zero_puts_everything_off(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4", SMALL, sounds=[Sound("libmp3lame", 2, rate=44100)])
    result = rewrite(clip, tmp_path / "b.mkv")
    early = packets(clip, "audio")[0][1]
    assert early < 0
    assert abs(video_starts(result.path)[0] + early) <= Fraction(1, 1000)
    assert packets(result.path, "audio")[0][1] == 0
    assert "put off" in result.writer.notes[0]


def test_matroska_keeps_everything(tmp_path: Path) -> None:
    clip = full_clip(tmp_path / "a.mkv")
    result = rewrite(clip, tmp_path / "b.mkv")
    assert result.writer.dropped == []
    with av.open(str(clip)) as before, av.open(str(result.path)) as after:
        assert [stream.type for stream in after.streams] == [stream.type for stream in before.streams]
        assert [stream.disposition for stream in after.streams] == [stream.disposition for stream in before.streams]
        for new, old in zip(after.streams, before.streams, strict=True):
            for key in ("language", "title", "filename", "mimetype"):
                assert new.metadata.get(key) == old.metadata.get(key)
        assert after.streams.attachments[0].data == FONT[2]
        assert [
            (entry["start"] * (entry["time_base"] or 0), entry["metadata"]["title"]) for entry in after.chapters()
        ] == [(0, "Erster"), (1, "Zweiter")]
        assert after.metadata["title"] == "Titel"
        assert after.metadata["RESTORE"] == "{}"
    assert packets(result.path, "subtitle") == packets(clip, "subtitle")


def test_mp4_gets_its_own_kind_of_subtitles_and_says_what_it_cannot_hold(tmp_path: Path) -> None:
    clip = full_clip(tmp_path / "a.mkv")
    result = rewrite(clip, tmp_path / "b.mp4")
    assert texts(result.path) == [("Eins zwei", 0.5, 0.5), ("Drei", 1.5, 0.4)]
    with av.open(str(result.path)) as container:
        assert container.streams.subtitles[0].codec_context.name == "mov_text"
        assert container.streams.subtitles[0].language == "deu"
        cover = container.streams.video[1]
        assert cover.disposition & Disposition.attached_pic
        assert bytes(next(container.demux(cover))) == cover_picture()
        assert container.metadata["title"] == "Titel"
        assert [entry["metadata"]["title"] for entry in container.chapters()] == ["Erster", "Zweiter"]
    assert list(result.dropped) == ["attachment 1 (font.ttf, font/ttf)", "metadata MOOD"]
    assert "subtitles 1 (subrip, deu), converted to mov_text" in result.writer.carried


def test_subtitles_are_saved_beside_a_webm(tmp_path: Path) -> None:
    result = rewrite(full_clip(tmp_path / "a.mkv"), tmp_path / "b.webm")
    assert (tmp_path / "b.deu.srt").read_text() == (
        "1\n00:00:00,500 --> 00:00:01,000\nEins <b>zwei</b>\n\n2\n00:00:01,500 --> 00:00:01,900\nDrei\n"
    )
    assert "subtitles 1 (subrip, deu), saved beside as b.deu.srt" in result.writer.carried
    assert {"attachment 1 (font.ttf, font/ttf)", "cover art 1 (png)"} == set(result.dropped)
    with av.open(str(result.path)) as container:
        assert [stream.codec_context.name for stream in container.streams.audio] == ["opus"]
    heard, meant = samples(result.path), samples(tmp_path / "a.mkv")
    # The same tone, not put off in time: it does not matter which way its waves are cut into packets.
    assert abs(len(heard) / 2 - len(meant) / 2) < 4000


@pytest.mark.parametrize(("target", "codec"), [("b.mp4", "flac"), ("b.mov", "pcm_s16le"), ("b.mkv", "pcm_s16le")])
def test_uncompressed_sound_keeps_every_sample(tmp_path: Path, target: str, codec: str) -> None:
    clip = write_clip(tmp_path / "a.mov", SMALL, sounds=[Sound("pcm_s16le", 2, start=Fraction(1, 4))])
    result = rewrite(clip, tmp_path / target)
    with av.open(str(result.path)) as container:
        assert container.streams.audio[0].codec_context.name == codec
    assert np.array_equal(samples(result.path), samples(clip))
    assert abs(packets(result.path, "audio")[0][1] - Fraction(1, 4)) <= Fraction(1, 1000)
    assert result.writer.dropped == []


@pytest.mark.parametrize(
    ("sound", "target", "words"),
    [
        (Sound("pcm_mulaw", 1.5, start=Fraction(1, 2), rate=8000, layout="mono"), "b.mp4", "converted to AAC"),
        (Sound("aac", 1.5, start=Fraction(1, 2), rate=44100), "b.webm", "converted to Opus"),
    ],
)
def test_sound_that_is_not_taken_is_converted_and_stays_in_step(
    tmp_path: Path, sound: Sound, target: str, words: str
) -> None:
    result = rewrite(write_clip(tmp_path / "a.mov", SMALL, sounds=[sound]), tmp_path / target)
    assert any(words in line for line in result.writer.carried)
    with av.open(str(result.path)) as container:
        frames = list(container.decode(audio=0))
        first = frames[0].time or 0.0
        heard = np.concatenate([frame.to_ndarray()[0] for frame in frames])
        onset = first + int(np.argmax(np.abs(heard) > 0.05)) / frames[0].sample_rate
    assert abs(onset - 0.5) < 0.05
    assert abs(len(heard) - 1.5 * frames[0].sample_rate) < 3 * 1024


@pytest.mark.parametrize("target", ["b.mp4", "b.mkv"])
def test_a_part_has_the_sound_subtitles_and_chapters_of_that_part(tmp_path: Path, target: str) -> None:
    clip = write_clip(tmp_path / "a.mkv", pictures(100, 64, 48), sounds=[Sound("aac", 4)], subtitles=[LINES])
    start, end = Fraction(7, 10), Fraction(17, 10)
    result = rewrite(clip, tmp_path / target, start, end)
    starts = video_starts(result.path)
    assert starts[0] == 0
    assert starts[-1] < 1
    whole, part = packets(clip, "audio"), packets(result.path, "audio")
    offset = [data for data, *_ in whole].index(part[0][0])
    matching = whole[offset : offset + len(part)]
    assert [data for data, *_ in part] == [data for data, *_ in matching]
    # Packets of 1024 samples: at most one of them is missing or too many at each end.
    packet = Fraction(1024, 48000)
    assert abs(part[0][1]) <= packet
    assert abs(part[-1][1] + packet - 1) <= packet
    for (_, new, _), (_, old, _) in zip(part, matching, strict=True):
        assert abs(new - (old - start)) <= Fraction(1, 1000)
    assert [(words, at) for words, at, _ in texts(result.path)] == [("Eins zwei", 0), ("Drei", pytest.approx(0.8))]


def test_sound_lies_beside_its_pictures_in_the_file(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4", pictures(200, 64, 48), sounds=[Sound("aac", 8)])
    result = rewrite(clip, tmp_path / "b.mkv")
    assert spread(result.path) < 1


def test_sound_that_lies_behind_all_pictures_is_put_beside_them(tmp_path: Path) -> None:
    clip = tmp_path / "a.mkv"
    whole = write_clip(tmp_path / "whole.mkv", pictures(200, 64, 48), sounds=[Sound("aac", 8)])
    with (
        av.open(str(whole)) as source,
        # Without waiting for the other streams, so that packets lie as they come.
        av.open(str(clip), "w", options={"max_interleave_delta": "1"}) as behind,
    ):
        made = [behind.add_stream_from_template(stream, opaque=True) for stream in source.streams]
        for packet in sorted(source.demux(), key=lambda packet: packet.stream.index):
            if packet.pts is not None:
                packet.stream = made[packet.stream.index]
                behind.mux(packet)
    for target in ("b.mp4", "b.mkv"):
        result = rewrite(clip, tmp_path / target)
        assert [data for data, *_ in packets(result.path, "audio")] == [data for data, *_ in packets(clip, "audio")]
        assert spread(result.path) < 1
    assert spread(clip) > 5


def test_damaged_sound_does_not_keep_the_clip_from_being_written(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mkv", SMALL, sounds=[Sound("aac", 2), Sound("pcm_s16le", 2)])
    corrupt(clip, 0.3, 0.9, 400)
    result = rewrite(clip, tmp_path / "b.mp4")
    assert len(packets(result.path, "audio", 1)) > 5
    assert probe(result.path).video.frames


def test_a_timecode_and_a_second_picture_are_reported(tmp_path: Path) -> None:
    clip = write_clip(
        tmp_path / "a.mov", SMALL, video_metadata={"timecode": "01:00:00:00"}, more_video=[pictures(50, 32, 16)]
    )
    result = rewrite(clip, tmp_path / "b.mov")
    assert [what for what in result.dropped if "timecode 01:00:00:00" in what]
    assert [what for what in result.dropped if what.startswith("video 2")]
    with av.open(str(result.path)) as container:
        assert [stream.type for stream in container.streams] == ["video"]


@pytest.mark.parametrize(
    ("codec", "sounds", "extra", "container"),
    [
        ("h264", ["aac"], False, "mp4"),
        ("h264", ["aac"], True, "mkv"),
        ("prores", ["pcm_s16le"], False, "mov"),
        ("ffv1", ["aac"], False, "mkv"),
    ],
)
def test_the_container_is_the_one_that_loses_least(
    tmp_path: Path, codec: Any, sounds: Sequence[str], extra: bool, container: str
) -> None:
    attachments = [FONT] if extra else []
    clip = write_clip(
        tmp_path / "a.mkv", SMALL, sounds=[Sound(name) for name in sounds], attachments=attachments, subtitles=[LINES]
    )
    with open_clip(clip) as source:
        assert choose_container(codec, source, 0) == container


def cover_picture() -> bytes:
    encoder = Codec("png", "w").create("video")
    encoder.width = encoder.height = 16
    encoder.pix_fmt, encoder.time_base = "rgb24", Fraction(1, 1)
    frame = av.VideoFrame.from_ndarray(np.full((16, 16, 3), 90, np.uint8), format="rgb24")
    return b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])


def full_clip(path: Path) -> Path:
    return write_clip(
        path,
        SMALL,
        sounds=[TWO[0]],
        subtitles=[LINES],
        chapters=PARTS,
        attachments=[FONT, ("cover.png", "image/png", cover_picture())],
        metadata={"title": "Titel", "MOOD": "heiter"},
        video_metadata={"language": "eng", "title": "Bild"},
    )
