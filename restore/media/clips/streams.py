"""Everything of a clip but its picture, carried over into another file: sound, subtitles, chapters, words, fonts.

What the new container takes goes over as it is, packet by packet. What it does not take is converted, or written
beside it, or left out, and each of these has its line in ``carried`` or ``dropped``.
"""

from __future__ import annotations

import contextlib
import heapq
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import count
from pathlib import Path
from typing import Any, Literal, Protocol

import av
from av.audio.codeccontext import AudioCodecContext
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import AttachmentStream, Discard, Disposition, Stream
from av.subtitles.stream import SubtitleStream

from restore.media.clips import subtitles
from restore.media.clips.encoders import KINDS, TITLES, Codec, Container
from restore.media.clips.facts import Chapter, ClipInfo
from restore.media.clips.sound import ConvertedSound, is_lossless, plan_sound
from restore.media.clips.timing import NewClock
from restore.report import Dropped

COPIED_SOUND: Mapping[Container, frozenset[str]] = {
    # What players of these expect to find there; FFmpeg would also write Vorbis and PCM into MP4, which few play.
    "mp4": frozenset({"aac", "mp3", "mp2", "ac3", "eac3", "alac", "flac", "opus", "dts"}),
    "mov": frozenset({"aac", "mp3", "mp2", "ac3", "eac3", "alac", "amr_nb", "amr_wb"}),
    "webm": frozenset({"opus", "vorbis"}),
}
"""The sound that goes over unchanged. MOV takes PCM as well, and MKV all that FFmpeg writes into it."""

COPIED_SUBTITLES: Mapping[Container, frozenset[str]] = {
    "mp4": frozenset({"mov_text", "dvd_subtitle"}),
    "mov": frozenset({"mov_text"}),
    "mkv": frozenset({"subrip", "ass", "webvtt", "hdmv_pgs_subtitle", "dvd_subtitle", "dvb_subtitle"}),
    "webm": frozenset(),
}

TEXT_ENCODER: Mapping[Container, str | None] = {"mp4": "mov_text", "mov": "mov_text", "mkv": "subrip", "webm": None}
"""What other subtitles that are text are converted to; for WebM they are written to a file beside it."""

COVERS = {"mjpeg": ("cover.jpg", "image/jpeg"), "png": ("cover.png", "image/png")}
"""Pictures for the cover that MP4 and Matroska know, and how Matroska calls them."""

PLAIN_KEYS = frozenset(
    {
        "title",
        "artist",
        "album_artist",
        "composer",
        "album",
        "date",
        "comment",
        "genre",
        "copyright",
        "grouping",
        "lyrics",
        "description",
        "synopsis",
        "show",
        "episode_id",
        "network",
        "keywords",
        "encoder",
        "media_type",
        "hd_video",
        "gapless_playback",
        "compilation",
        "track",
        "disc",
    }
)
"""The keys of iTunes's way to write metadata, which MP4 needs for cover art and which takes no others."""

OWN_KEYS = frozenset(
    {
        "major_brand",
        "minor_version",
        "compatible_brands",
        "encoder",
        "duration",
        "timecode",
        "vendor_id",
        "handler_name",
        "number_of_frames",
        "number_of_bytes",
        "bps",
    }
)
"""Metadata that describe the old file itself; the new one has its own. The timecode is dropped, see ``dropped``."""

MOV_LANGUAGES = {"deu": "ger", "fre": "fra", "nld": "dut", "swe": "sve", "ell": "gre", "isl": "ice", "zho": "chi"}
"""The names of languages that FFmpeg knows in MOV, which has a list of its own, for others of the same."""

PRIMING = Fraction(1, 10)
"""Sound that begins less than this before zero is what a codec needs to start up, and is not meant to be heard."""

AHEAD_BYTES = 64 * 2**20
"""How much of badly interleaved files is held while the streams are put in order."""

PEEKED = 400
"""Packets that are looked at for the first timestamp of each stream."""

Action = Literal["copy", "convert", "save", "cover", "drop"]

Sound = Literal["keep", "stretch", "drop"]
"""What the sound of a clip becomes: it stays as it is, or as long as pictures that run slower, or is left out."""


@dataclass(frozen=True)
class Passage:
    """What becomes of one stream: the ``action``, the ``encoder`` of what is converted, and the ``why`` of the rest."""

    index: int
    what: str
    action: Action
    encoder: str | None = None
    why: str = ""


def plan_streams(source: InputContainer, picture: int, container: Container, sound: Sound = "keep") -> list[Passage]:
    """Decide what becomes of every stream of ``source`` but number ``picture`` in a file of the kind ``container``.

    Attachments and data are planned too; chapters and metadata are not streams.
    """
    takes = _muxed(container)
    passages: list[Passage] = []
    for stream in source.streams:
        if stream.index == picture:
            continue
        what = describe(stream)
        title = TITLES[container]
        match stream.type:
            case "audio":
                passages.append(_sound(stream, what, container, takes, sound))
            case "subtitle":
                passages.append(_subtitles(stream, what, container))
            case "video" if _is_cover(stream):
                fits = _name(stream) in COVERS and container in ("mp4", "mkv")
                why = "" if fits else f"{title} cannot hold it"
                passages.append(Passage(stream.index, what, "cover" if fits else "drop", why=why))
            case "video":
                passages.append(Passage(stream.index, what, "drop", why="one stream of pictures is restored"))
            case "attachment":
                fits = container == "mkv"
                why = "" if fits else f"{title} cannot hold attachments; MKV can"
                passages.append(Passage(stream.index, what, "copy" if fits else "drop", why=why))
            case _:
                # The timecode is reported with the picture.
                if "timecode" not in stream.metadata and not _is_chapters(source, stream):
                    passages.append(Passage(stream.index, what, "drop", why="data of this kind is not carried over"))
    return passages


def choose_container(codec: Codec, source: InputContainer | None = None, picture: int = 0) -> Container:
    """The container in which the least of ``source`` is lost or converted; of several, the one most widely played."""
    kind = KINDS[codec]
    if source is None:
        return kind.containers[0]

    def losses(container: Container) -> tuple[int, int]:
        actions = [passage.action for passage in plan_streams(source, picture, container)]
        return actions.count("drop"), actions.count("save")

    return min(kind.containers, key=losses)


def describe(stream: Stream) -> str:
    """A stream in words: ``sound 1 (AAC, eng)``; numbers count streams of the same kind from 1."""
    names = {"audio": "sound", "subtitle": "subtitles", "video": "video", "attachment": "attachment", "data": "data"}
    same = [
        other
        for other in stream.container.streams
        if other.type == stream.type and _is_cover(other) == _is_cover(stream)
    ]
    word = "cover art" if _is_cover(stream) else names.get(stream.type, "stream")
    number = 1 + sum(other.index < stream.index for other in same)
    details = [_name(stream) or "unknown", stream.metadata.get("language"), stream.metadata.get("title")]
    if isinstance(stream, AttachmentStream):
        details = [stream.metadata.get("filename"), stream.mimetype]
    known = [detail for detail in details if detail and detail != "und"]
    return f"{word} {number} ({', '.join(known)})" if known else f"{word} {number}"


class Carrier(Protocol):
    """Takes the packets of one stream of the source to where they belong."""

    def take(self, packet: Packet[Any], start: Fraction, duration: Fraction) -> None:
        """``start`` and ``duration`` are in seconds on the clock of the new file."""
        ...

    def finish(self) -> None: ...


@dataclass
class CopiedStream:
    """Packets that go over as they are, but for their timestamps."""

    output: OutputContainer
    stream: Stream
    source: Stream
    last: int | None = None
    due: Fraction | None = None
    latest_duration: Fraction = Fraction(0)

    def take(self, packet: Packet[Any], start: Fraction, duration: Fraction) -> None:
        base = self.stream.time_base or Fraction(1, 1000)
        start, duration = self._smoothed(start, duration)
        # A packet at the end of a file may come without, and MP4 would not play it then.
        self.latest_duration = duration = duration or self.latest_duration
        ticks = round(start / base)
        if self.last is not None:
            ticks = max(ticks, self.last + 1)
        self.last = ticks
        packet.stream, packet.time_base = self.stream, base
        packet.pts = packet.dts = ticks
        packet.duration = round(duration / base)
        self.output.mux_one(packet)

    def finish(self) -> None:
        """Nothing is held back."""

    def _smoothed(self, start: Fraction, duration: Fraction) -> tuple[Fraction, Fraction]:
        """Times of a packet of sound by the samples before it, where the source rounded them to coarser units."""
        tick, context = self.source.time_base, self.source.codec_context
        if not isinstance(context, AudioCodecContext) or not tick:
            return start, duration
        # The size is not known of sound that lies far behind in the file; that of AAC is nearly always this one.
        samples = context.frame_size or (1024 if _name(self.source) == "aac" else 0)
        length = Fraction(samples, context.sample_rate)
        # Most sound begins with one packet for the codec to start up.
        due = -length if self.due is None else self.due
        if samples and abs(due - start) <= tick:
            start = due
        if samples and (not duration or abs(length - duration) <= tick):
            duration = length
        self.due = start + duration
        return start, duration


@dataclass
class ConvertedText:
    """Subtitles that are text, on their way into another codec."""

    output: OutputContainer
    stream: SubtitleStream
    last: int = -1

    def take(self, packet: Packet[Any], start: Fraction, duration: Fraction) -> None:
        data = subtitles.recode(packet, self.stream.codec_context)
        if data is None:
            return
        base = self.stream.time_base or Fraction(1, 1000)
        made: Packet[Any] = Packet(data)
        made.stream, made.time_base = self.stream, base
        made.pts = made.dts = self.last = max(round(start / base), self.last + 1)
        made.duration = round(duration / base)
        self.output.mux_one(made)

    def finish(self) -> None:
        """Nothing is held back."""


@dataclass
class SavedText:
    """Subtitles that are text, on their way into a file beside the clip."""

    file: subtitles.TextFile

    def take(self, packet: Packet[Any], start: Fraction, duration: Fraction) -> None:
        self.file.add(packet, start, duration)

    def finish(self) -> None:
        """The file is written when the clip has its name, see ``OtherStreams.save_beside``."""


@dataclass
class OtherStreams:
    """All of the clip ``source`` but its picture, on its way into a file of the kind ``container``.

    ``source`` is opened for this alone, and its caller closes it; ``info`` is what ``probe`` said of it. Of the time
    from ``start`` to ``end`` in seconds of the source's clock, ``start`` becomes zero; without one, the clock stays.
    Pictures that are shown ``stretch`` times as long have their sound, subtitles and chapters with them, unless the
    sound is to be left out (``keeps_sound``).
    ``carried``, ``dropped`` and ``notes`` are complete after ``finish`` and ``save_beside``.
    """

    source: InputContainer
    info: ClipInfo
    container: Container
    start: Fraction | None = None
    end: Fraction | None = None
    stretch: Fraction = Fraction(1)
    keeps_sound: bool = True
    carried: list[str] = field(default_factory=list)
    dropped: list[Dropped] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    shift: Fraction = Fraction(0)
    _carriers: dict[int, Carrier] = field(default_factory=dict)
    _files: list[tuple[Passage, subtitles.TextFile]] = field(default_factory=list)
    _covers: dict[int, bytes] = field(default_factory=dict)
    _peeked: deque[Packet[Any]] = field(default_factory=deque)
    _held: list[tuple[Fraction, int, Fraction, Packet[Any]]] = field(default_factory=list)
    _held_bytes: int = 0
    _read_to: dict[int, Fraction] = field(default_factory=dict)
    _ended: bool = False
    _broken: int = 0

    def __post_init__(self) -> None:
        sound: Sound = "keep" if self.stretch == 1 else "stretch"
        sound = sound if self.keeps_sound else "drop"
        self._clock = NewClock.of(self.info.start, self.start, self.stretch)
        self._passages = plan_streams(self.source, self.info.video.index, self.container, sound)
        self._order = count()
        chosen = [self.source.streams[entry.index] for entry in self._passages if entry.action != "drop"]
        moving = [stream for stream in chosen if stream.type in ("audio", "subtitle", "video")]
        wanted = {stream.index for stream in moving}
        for stream in self.source.streams:
            if stream.index not in wanted:
                stream.discard = Discard.all
        self._moving = wanted
        self._steady = {stream.index for stream in moving if stream.type == "audio"}
        if self.start is not None and self.start > 1 and self._steady:
            # A file that cannot be searched is read from its beginning, and what lies before the start passed over.
            with contextlib.suppress(av.FFmpegError):
                self.source.seek(int((self.start - 1) * av.time_base))
        self._packets = self._read(moving)
        self._peek()

    @property
    def zero(self) -> Fraction:
        """What becomes zero, on the clock of frames whose times were multiplied by ``stretch``; before ``shift``."""
        return self._clock.zero

    @property
    def earliest(self) -> Fraction:
        """The first time that is meant to be heard, or zero if that is not negative; before ``shift``."""
        return min(
            (
                self._clock.at(first + self._origin)
                for index, first in self._firsts().items()
                if not self._is_priming(self.source.streams[index], first)
            ),
            default=Fraction(0),
        )

    def add_to(self, output: OutputContainer, words: Mapping[str, str]) -> dict[str, str]:
        """Add the streams and chapters to ``output``, before its header is written; ``shift`` has to be set by then.

        ``words`` are metadata to add to those of the source; returned are the options that the muxer needs for them.
        """
        for entry in self._passages:
            stream = self.source.streams[entry.index]
            match entry.action:
                case "drop":
                    self.dropped.append(Dropped(entry.what, entry.why))
                case "cover":
                    self._add_cover(output, entry, stream)
                case "save":
                    assert isinstance(stream, SubtitleStream)
                    file = subtitles.TextFile(stream)
                    self._files.append((entry, file))
                    self._carriers[entry.index] = SavedText(file)
                case "copy" if isinstance(stream, AttachmentStream):
                    name = stream.metadata.get("filename") or f"attachment {entry.index}"
                    output.add_attachment(name, stream.mimetype or "application/octet-stream", bytes(stream.data))
                    self.carried.append(entry.what)
                case "copy":
                    if self.container == "mkv" and _starts_up(stream, self._firsts().get(entry.index)):
                        made = add_primed(output, stream)
                    else:
                        made = output.add_stream_from_template(stream, opaque=True)
                    self.label(stream, made)
                    self._carriers[entry.index] = CopiedStream(output, made, stream)
                    self.carried.append(f"{entry.what}, unchanged")
                case "convert":
                    self._add_converted(output, entry, stream)
        self.dropped += beside_the_picture(self.info)
        self._add_chapters(output)
        return self._add_words(output, words)

    def begin(self, output: OutputContainer) -> None:
        """Mux what comes before anything else; the header has been written."""
        for index, data in self._covers.items():
            packet: Packet[Any] = Packet(data)
            packet.stream = output.streams[index]
            packet.pts = packet.dts = 0
            output.mux_one(packet)

    def mux_until(self, time: Fraction) -> None:
        """Mux the packets that begin no later than ``time``, in seconds on the clock of the new file."""
        while not self._ended and self._held_bytes < AHEAD_BYTES and self._behind(time):
            packet = self._peeked.popleft() if self._peeked else next(self._packets, None)
            if packet is None:
                self._ended = True
            else:
                self._hold(packet)
        while self._held and (self._held[0][0] <= time or self._held_bytes >= AHEAD_BYTES):
            start, _, duration, packet = heapq.heappop(self._held)
            self._held_bytes -= packet.size
            self._carriers[packet.stream.index].take(packet, start, duration)

    def finish(self) -> None:
        """Mux what is left."""
        while not self._ended or self._held:
            # A damaged file may name a time far behind all others.
            latest = max((*self._read_to.values(), *(start for start, *_ in self._held)), default=Fraction(0))
            self.mux_until(latest + 10)
        for carrier in self._carriers.values():
            carrier.finish()
            if isinstance(carrier, ConvertedSound) and carrier.broken:
                self.notes.append(f"{carrier.broken} packets of sound could not be decoded and are silent.")
        if self._broken:
            self.notes.append("The file is damaged: its sound and subtitles end where they could not be read on.")

    def save_beside(self, target: Path) -> list[Path]:
        """Write the subtitles that the container cannot hold beside ``target``; raises ``OutputError``."""
        paths: set[Path] = set()
        for entry, file in self._files:
            path = subtitles.beside(target, file.source.metadata.get("language"), paths)
            paths.add(path)
            file.write(path)
            self.carried.append(f"{entry.what}, saved beside as {path.name}")
        return sorted(paths)

    @property
    def _longest_gap(self) -> Fraction:
        """Longer than any gap in the sound, also where nobody knows exactly how long the clip is."""
        return (self.info.duration or Fraction(3600)) + 60

    @property
    def _origin(self) -> Fraction:
        return self.start or Fraction(0)

    def _read(self, streams: list[Stream]) -> Iterator[Packet[Any]]:
        """The packets of ``streams`` that fall into the time wanted, as far as the file can be read."""
        if not streams:
            return
        ended: set[int] = set()
        try:
            for packet in self.source.demux(streams):
                index, time = packet.stream.index, _time(packet)
                if _is_cover(packet.stream):
                    if packet.size:
                        yield packet
                elif time is None:
                    continue
                elif self.end is not None and time >= self.end:
                    ended.add(index)
                    if ended >= self._steady and self._steady:
                        return
                elif self._wanted(packet, time):
                    yield packet
        except av.FFmpegError:
            self._broken += 1

    def _wanted(self, packet: Packet[Any], time: Fraction) -> bool:
        if self.start is None:
            return True
        if packet.stream.index in self._steady and self.container in ("mkv", "webm"):
            # These have no times before zero, so what begins before the cut and reaches into it stays out.
            return time >= self.start
        return time + _duration(packet) > self.start

    def _peek(self) -> None:
        """Read on until every stream of sound has shown its first packet, and the cover art is there."""
        covers = {entry.index for entry in self._passages if entry.action == "cover"}
        missing = self._steady | covers
        while missing and len(self._peeked) < PEEKED and (packet := next(self._packets, None)) is not None:
            missing.discard(packet.stream.index)
            if packet.stream.index in covers:
                self._covers[packet.stream.index] = bytes(packet)
            else:
                self._peeked.append(packet)

    def _firsts(self) -> dict[int, Fraction]:
        """When each stream of sound begins, before ``shift``."""
        firsts: dict[int, Fraction] = {}
        for packet in self._peeked:
            time = _time(packet)
            if time is not None and packet.stream.index in self._steady:
                firsts.setdefault(packet.stream.index, time - self._origin)
        return firsts

    def _is_priming(self, stream: Stream, first: Fraction) -> bool:
        """Whether what begins before zero is left to the container, which marks it as not to be heard."""
        if first >= 0:
            return True
        if self.container in ("mp4", "mov"):
            return first > -PRIMING or self.info.container == "mov"
        # Matroska says in its header how much is priming, which comes over from another Matroska file and from Opus.
        known = self.info.container == "matroska" or _name(stream) == "opus"
        return (known and first > -PRIMING) or (self.container == "mkv" and _starts_up(stream, first))

    def _behind(self, time: Fraction) -> bool:
        """Whether there may be more packets, not yet read, that begin before ``time``."""
        if self._steady:
            return any(self._read_to.get(index, time) <= time for index in self._steady)
        return max(self._read_to.values(), default=time) <= time

    def _hold(self, packet: Packet[Any]) -> None:
        time = _time(packet)
        if time is None or packet.stream.index not in self._carriers:
            return
        duration = _duration(packet) * self.stretch
        start = self._clock.at(time) + self.shift
        self._read_to[packet.stream.index] = start
        if packet.stream.type == "subtitle":
            late = max(Fraction(0), -start)
            start, duration = start + late, duration - late
            if self.end is not None:
                duration = min(duration, self._clock.at(self.end) + self.shift - start)
        heapq.heappush(self._held, (start, next(self._order), duration, packet))
        self._held_bytes += packet.size

    def _add_converted(self, output: OutputContainer, entry: Passage, stream: Stream) -> None:
        assert entry.encoder is not None
        if isinstance(stream, SubtitleStream):
            made = output.add_stream(entry.encoder)
            assert isinstance(made, SubtitleStream)
            made.time_base = made.codec_context.time_base = Fraction(1, 1000)
            made.codec_context.subtitle_header = subtitles.header(stream)
            self._carriers[entry.index] = ConvertedText(output, made)
            self.carried.append(f"{entry.what}, converted to {entry.encoder}")
        else:
            plan = plan_sound(stream, entry.encoder)
            sound = ConvertedSound.add(output, stream, plan, self.stretch, self._longest_gap)
            made = sound.stream
            self._carriers[entry.index] = sound
            how = "" if self.stretch == 1 else f"made {float(self.stretch):g} times as long at the same pitch, "
            self.carried.append(f"{entry.what}, {how}converted to {plan.words}")
        self.label(stream, made)

    def _add_cover(self, output: OutputContainer, entry: Passage, stream: Stream) -> None:
        data = self._covers.pop(entry.index, None)
        if data is None:
            self.dropped.append(Dropped(entry.what, "the file names it and does not have it"))
            return
        self.carried.append(entry.what)
        if self.container == "mkv":
            name, kind = COVERS[_name(stream)]
            output.add_attachment(name, kind, data)
            return
        made = output.add_stream_from_template(stream, opaque=True)
        made.disposition = Disposition.attached_pic
        self._covers[made.index] = data

    def label(self, source: Stream, made: Stream) -> None:
        """Give a stream the words and the dispositions of the one it comes from."""
        words = stream_words(source.metadata)
        if self.container == "mov" and "language" in words:
            words["language"] = MOV_LANGUAGES.get(words["language"], words["language"])
        made.metadata.update(words)
        made.disposition = source.disposition

    def _add_chapters(self, output: OutputContainer) -> None:
        kept = [chapter for chapter in self.info.chapters if self._overlaps(chapter)]
        base = Fraction(1, 1_000_000)
        end = self._clock.at(self.end) if self.end is not None else None
        entries: list[Any] = []
        for number, chapter in enumerate(kept, 1):
            first = max(Fraction(0), self._clock.at(chapter.start))
            last = self._clock.at(chapter.end)
            last = last if end is None else min(last, end)
            metadata = dict(chapter.metadata) | ({"title": chapter.title} if chapter.title else {})
            times = {"start": round((first + self.shift) / base), "end": round((last + self.shift) / base)}
            entries.append({"id": number, "time_base": base, "metadata": metadata, **times})
        if entries:
            output.set_chapters(entries)
            self.carried.append(f"{len(entries)} chapters" if len(entries) > 1 else "1 chapter")
        if len(kept) < len(self.info.chapters):
            missing = len(self.info.chapters) - len(kept)
            self.dropped.append(Dropped(f"{missing} chapters", "they lie outside of the part that was cut out"))

    def _overlaps(self, chapter: Chapter) -> bool:
        return (self.start is None or chapter.end > self.start) and (self.end is None or chapter.start < self.end)

    def _add_words(self, output: OutputContainer, words: Mapping[str, str]) -> dict[str, str]:
        kept: dict[str, str] = {}
        for key, value in self.info.metadata.items():
            if key.lower() not in OWN_KEYS:
                kept[key.lower() if key.lower() in PLAIN_KEYS else key] = value
        options: dict[str, str] = {}
        added = dict(words)
        if self.container in ("mp4", "mov"):
            if self._covers:
                for key in sorted(set(kept) - PLAIN_KEYS):
                    del kept[key]
                    self.dropped.append(Dropped(f"metadata {key}", "MP4 with cover art has no place for it"))
                for key in sorted(set(added) - PLAIN_KEYS):
                    value = added.pop(key)
                    if "comment" in kept:
                        self.dropped.append(Dropped(f"metadata {key}", "MP4 with cover art has no place for it"))
                    else:
                        added["comment"] = value
            else:
                options["movflags"] = "use_metadata_tags"
        output.metadata.update(kept | added)
        if kept:
            self.carried.append(f"metadata ({', '.join(sorted(kept))})")
        return options


def add_primed(output: OutputContainer, source: Stream) -> Stream:
    """Add a stream for the packets of ``source``, AAC, whose header says that its first packet is priming.

    PyAV cannot say that of packets that are copied, but FFmpeg's encoder of AAC says it of its own. So the stream gets
    an encoder, which never encodes anything, and the description of the source's packets.
    """
    assert isinstance(source, AudioStream)
    made = output.add_stream("aac", rate=source.codec_context.sample_rate)
    assert isinstance(made, AudioStream)
    made.codec_context.layout = source.codec_context.layout
    made.codec_context.open()
    made.codec_context.extradata = source.codec_context.extradata
    return made


def beside_the_picture(info: ClipInfo) -> list[Dropped]:
    """What comes with the frames of a clip and does not survive their being made anew."""
    video = info.video
    again = "it belongs to the old frames, and is not written again"
    lost = []
    if video.captions:
        lost.append(Dropped("closed captions inside the picture", again))
    if video.hdr10_plus:
        lost.append(Dropped("HDR10+", again))
    if video.dolby_vision:
        lost.append(Dropped("Dolby Vision", again))
    if video.timecode:
        lost.append(Dropped(f"timecode {video.timecode}", "timecode is not carried over"))
    return lost


def stream_words(metadata: Mapping[str, str]) -> dict[str, str]:
    """What is to be kept of the metadata of a stream: not what counts its bytes, nor what names its old muxer."""
    words = {
        key: value
        for key, value in metadata.items()
        if key.lower() not in OWN_KEYS and not key.startswith("_STATISTICS") and key.split("-")[0] != "BPS"
    }
    # MP4 calls the title of a stream its name.
    if "title" not in words and "name" in words:
        words["title"] = words.pop("name")
    return words


def _sound(stream: Stream, what: str, container: Container, takes: frozenset[str], wanted: Sound) -> Passage:
    if wanted == "drop":
        return Passage(stream.index, what, "drop", why="the pictures run slower, and it was to be left out")
    if stream.codec_context is None:
        return Passage(stream.index, what, "drop", why="its codec is not known here")
    name = _name(stream)
    by_muxer = container == "mkv" or (container == "mov" and name.startswith("pcm_"))
    as_it_is = wanted == "keep"
    if as_it_is and (name in COPIED_SOUND.get(container, ()) or (by_muxer and stream.codec_context.name in takes)):
        return Passage(stream.index, what, "copy")
    if container == "webm":
        return Passage(stream.index, what, "convert", "libopus")
    if is_lossless(stream):
        return Passage(stream.index, what, "convert", "flac" if container in ("mp4", "mkv") else "alac")
    return Passage(stream.index, what, "convert", "aac")


def _subtitles(stream: Stream, what: str, container: Container) -> Passage:
    if stream.codec_context is None:
        return Passage(stream.index, what, "drop", why="its codec is not known here")
    if _name(stream) in COPIED_SUBTITLES[container]:
        return Passage(stream.index, what, "copy")
    if not stream.codec_context.codec.text_sub:
        return Passage(
            stream.index, what, "drop", why=f"they are pictures, which {TITLES[container]} cannot hold; MKV can"
        )
    encoder = TEXT_ENCODER[container]
    return Passage(stream.index, what, "convert" if encoder else "save", encoder)


def _muxed(container: Container) -> frozenset[str]:
    """The names of all codecs that FFmpeg writes into ``container``."""
    with av.open("null", "w", format={"mkv": "matroska"}.get(container, container)) as output:
        return frozenset(output.supported_codecs)


def _name(stream: Stream) -> str:
    """FFmpeg's name of the codec, not of the decoder."""
    return stream.codec_context.codec.canonical_name if stream.codec_context is not None else ""


def _starts_up(stream: Stream, first: Fraction | None) -> bool:
    """Whether ``stream`` is AAC whose ``first`` time leaves room for one packet, with which most encoders start up."""
    if not isinstance(stream, AudioStream) or _name(stream) != "aac" or stream.codec_context.frame_size != 1024:
        return False
    return first == Fraction(-1024, stream.codec_context.sample_rate)


def _is_cover(stream: Stream) -> bool:
    return stream.type == "video" and bool(stream.disposition & Disposition.attached_pic)


def _is_chapters(source: InputContainer, stream: Stream) -> bool:
    """Whether a stream of data is the list of chapters, as MP4 stores it a second time."""
    return stream.type == "data" and stream.name == "bin_data" and bool(source.chapters())


def _time(packet: Packet[Any]) -> Fraction | None:
    ticks = packet.pts if packet.pts is not None else packet.dts
    return None if ticks is None or packet.time_base is None else ticks * packet.time_base


def _duration(packet: Packet[Any]) -> Fraction:
    return (packet.duration or 0) * packet.time_base
