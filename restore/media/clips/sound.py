"""Sound that a container does not take as it is: decoded, and encoded again without moving it in time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.filter import Graph
from av.packet import Packet
from av.stream import Stream

BITS_PER_CHANNEL = 96_000
"""The bit rate of lossy sound; well above where AAC and Opus are transparent, since this is a second generation."""

SLOWEST_TEMPO = Fraction(1, 2)
"""The least that FFmpeg's filter for time without pitch does at once."""

WORDS = {"aac": "AAC", "libopus": "Opus", "flac": "FLAC", "alac": "ALAC"}


@dataclass(frozen=True)
class SoundPlan:
    """How a stream of sound is encoded, and that in ``words``."""

    encoder: str
    rate: int
    layout: str
    format: str
    bit_rate: int | None
    words: str


def is_lossless(stream: Stream) -> bool:
    codec = stream.codec_context.codec
    return bool(codec.lossless and not codec.lossy)


def plan_sound(stream: Stream, encoder: str) -> SoundPlan:
    """The settings of ``encoder`` (aac, libopus, flac or alac) for the sound of ``stream``."""
    assert isinstance(stream, AudioStream)
    context = stream.codec_context
    known = av.Codec(encoder, "w").audio_rates
    rate = context.sample_rate
    if known and rate not in known:
        rate = min((other for other in known if other > rate), default=max(known))
    layout = context.layout.name
    if encoder in ("flac", "alac"):
        deep = context.format.bytes > 2
        formats = {"flac": ("s16", "s32"), "alac": ("s16p", "s32p")}
        words = f"{WORDS[encoder]}, which is lossless" + (" (24 bits)" if deep else "")
        return SoundPlan(encoder, rate, layout, formats[encoder][deep], None, words)
    bit_rate = BITS_PER_CHANNEL * context.channels
    sample_format = "fltp" if encoder == "aac" else "flt"
    return SoundPlan(encoder, rate, layout, sample_format, bit_rate, f"{WORDS[encoder]}, {bit_rate // 1000} kbit/s")


@dataclass
class ConvertedSound:
    """Sound on its way through a decoder and an encoder; gaps in it become silence. ``broken`` counts lost packets.

    It becomes ``stretch`` times as long, at the same pitch. What begins more than ``longest_gap`` seconds behind all
    that came before is left out: that is a time which damage has put there.
    """

    output: OutputContainer
    stream: AudioStream
    source: AudioStream
    plan: SoundPlan
    stretch: Fraction = Fraction(1)
    longest_gap: Fraction = Fraction(3600)
    broken: int = 0
    # A time on the clock of the source, and the one on that of the new file which it becomes.
    _anchor: tuple[Fraction, Fraction] = (Fraction(0), Fraction(0))
    # How far the times that the filters see lie behind those of the source.
    _offset: Fraction = Fraction(0)
    _heard_until: Fraction | None = None
    _graph: Graph | None = None
    _input: tuple[int, str, str] | None = None

    @classmethod
    def add(
        cls,
        output: OutputContainer,
        source: Stream,
        plan: SoundPlan,
        stretch: Fraction = Fraction(1),
        longest_gap: Fraction = Fraction(3600),
    ) -> ConvertedSound:
        """Add a stream for the sound of ``source`` to ``output``."""
        assert isinstance(source, AudioStream)
        made = output.add_stream(plan.encoder, rate=plan.rate)
        assert isinstance(made, AudioStream)
        made.codec_context.layout = plan.layout
        made.codec_context.format = plan.format
        made.codec_context.time_base = made.time_base = Fraction(1, plan.rate)
        if plan.bit_rate:
            made.codec_context.bit_rate = plan.bit_rate
        return cls(output, made, source, plan, stretch, longest_gap)

    def take(self, packet: Packet[AudioStream], start: Fraction, duration: Fraction) -> None:
        """Decode ``packet``, which begins at ``start`` on the clock of the new file, and mux what comes of it."""
        ticks = packet.pts if packet.pts is not None else packet.dts
        if ticks is not None:
            self._anchor = ticks * packet.time_base, start
        try:
            frames = self.source.decode(packet)
        except av.FFmpegError:
            # One packet that is damaged; the silence in its place is made like that in any other gap.
            self.broken += 1
            return
        for frame in frames:
            self._push(frame)

    def finish(self) -> None:
        """Mux what decoder, filters and encoder still hold."""
        try:
            frames = self.source.decode(None)
        except av.FFmpegError:
            self.broken += 1
            frames = []
        for frame in frames:
            self._push(frame)
        self._end_graph()
        self.output.mux(self.stream.encode(None))

    def _push(self, frame: AudioFrame) -> None:
        if frame.pts is None or frame.time_base is None:
            return
        time = frame.pts * frame.time_base
        if self._heard_until is not None and time > self._heard_until + self.longest_gap:
            self.broken += 1
            return
        self._heard_until = time
        described = (frame.sample_rate, frame.format.name, frame.layout.name)
        if described != self._input:
            self._end_graph()
            self._graph, self._input = self._filters(frame), described
            self._offset = self._new_time(time) + late_by(self.stretch, self.plan.rate) - time
        elif self.stretch == 1:
            self._offset = self._new_time(time) - time
        frame.pts = round((time + self._offset) * frame.sample_rate)
        frame.time_base = Fraction(1, frame.sample_rate)
        assert self._graph is not None
        self._graph.push(frame)
        self._encode()

    def _new_time(self, time: Fraction) -> Fraction:
        there, here = self._anchor
        return here + (time - there) * self.stretch

    def _end_graph(self) -> None:
        if self._graph is not None:
            self._graph.push(None)
            self._encode()
            self._graph = None

    def _encode(self) -> None:
        for frame in self._pulled():
            self.output.mux(self.stream.encode(frame))

    def _pulled(self) -> Iterator[AudioFrame]:
        assert self._graph is not None
        while True:
            try:
                frame = self._graph.pull()
            except (av.BlockingIOError, av.EOFError):
                return
            assert isinstance(frame, AudioFrame)
            yield frame

    def _filters(self, frame: AudioFrame) -> Graph:
        """The way from what the decoder gives to what the encoder takes, with silence where timestamps leave a gap."""
        plan, graph = self.plan, Graph()
        source = graph.add_abuffer(
            sample_rate=frame.sample_rate,
            format=frame.format.name,
            layout=frame.layout.name,
            time_base=Fraction(1, frame.sample_rate),
        )
        size = self.stream.codec_context.frame_size
        nodes = [
            source,
            graph.add("aresample", f"{plan.rate}:async=1:out_chlayout={plan.layout}:out_sample_fmt={plan.format}"),
            *(graph.add("atempo", f"{tempo:.12g}") for tempo in _tempos(1 / self.stretch)),
            graph.add("aformat", f"sample_fmts={plan.format}:channel_layouts={plan.layout}"),
            *([graph.add("asetnsamples", f"n={size}:p=0")] if size else []),
            graph.add("abuffersink"),
        ]
        graph.link_nodes(*nodes).configure()
        return graph


def late_by(stretch: Fraction, rate: int) -> Fraction:
    """Seconds by which sound of ``rate`` samples a second has to come later where it is made ``stretch`` times as long.

    FFmpeg's filter puts the middle of each piece that it moves where it found it, and not where it belongs; a piece is
    the power of two of samples from a 24th of a second on.
    """
    piece = 1 << max(0, rate // 24 - 1).bit_length()
    return (stretch - 1) * piece / (2 * rate) if stretch > 1 else Fraction(0)


def _tempos(tempo: Fraction) -> list[float]:
    """The steps, none of them below what FFmpeg's filter can do, in which sound gets ``tempo`` times as fast."""
    steps = []
    while tempo < SLOWEST_TEMPO:
        steps.append(SLOWEST_TEMPO)
        tempo /= SLOWEST_TEMPO
    return [float(step) for step in (*steps, tempo) if step != 1]
