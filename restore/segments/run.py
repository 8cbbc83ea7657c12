"""Work on a clip segment by segment: what is done is kept, and what was done before is not done again.

Decoding, the chain and encoding overlap across the segments, as they do in one stream. What is in a segment follows
from the plan and from its bounds alone: the chain begins anew for each of them, with the frames around it that it
looks at, and so does the encoder. Therefore it makes no difference where a run was interrupted, or how often.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, field, replace
from fractions import Fraction
from typing import Any

from restore import checksums
from restore.chain import (
    DECODE,
    DECODED_AHEAD,
    ENCODE,
    ENCODED_BEHIND,
    Clock,
    cropped,
    kept_memory,
    prepared,
)
from restore.clip_plan import ClipPlan
from restore.errors import BusyError, Cancelled, OutputError, Paused
from restore.frame import Frame
from restore.inference import memory
from restore.inference.engine import Engine
from restore.media.clips.clip_file import ClipFile
from restore.media.clips.encoders import Plan
from restore.media.clips.reader import ClipReader
from restore.media.clips.timing import Picture
from restore.media.clips.writer import ClipWriter
from restore.progress import ClipProgress
from restore.segments.flow import Chain, Flow, Lender, networks_of
from restore.segments.folder import Record, Shelf, WorkFolder
from restore.segments.join import join, order_of
from restore.segments.master import frames_of_master, master_plan
from restore.segments.room import check_room
from restore.segments.split import Bounds, Splitter, context_bytes, needs_of
from restore.segments.walk import Item, Segment, Walk
from restore.settings import MEBI
from restore.stages import OpenStage
from restore.stages.base import each_once
from restore.streaming import Closed, Sink, ahead

READ = ("frames", "repeats", "damaged", "resized")
"""What a reader counts of the frames that it gives out, and not of those that it passes over."""

PLANNED_SHARE, PLANNED_STEP = 0.9, 256 * MEBI
"""A plan is made for this share of the memory that is free, in such steps, so that as much will be free later on."""

WHERE = "What is done is kept: run the same again to go on from there."


@dataclass(frozen=True)
class Done:
    """How far the work is: ``segments`` that are whole, and up to which second from the beginning of the source."""

    segments: int
    until: Fraction


@dataclass(frozen=True)
class _End:
    """What comes behind the last frame of a segment: what there is to say of it."""

    bounds: Bounds
    read: Mapping[str, int]
    stages: tuple[Mapping[str, Any], ...]
    decoding: float
    warnings: tuple[str, ...]


@dataclass
class SegmentRun:
    """The work ``plan`` on a clip, in the folder ``folder``; ``opened`` are its stages.

    A segment has at most ``most`` frames. Where there is a ``lender``, it has the hardware for the chain.

    With ``keep_master`` lossless segments are kept too, from which those in the final encoding are made; they are also
    used where an earlier run kept them. ``again`` counts the segments that were made in this run, ``whole`` says after
    it what there is to say of the clip as a whole.
    """

    plan: ClipPlan
    opened: Sequence[OpenStage]
    engine: Engine
    parts: ClipProgress
    folder: WorkFolder
    seconds: Fraction
    most: int | None = None
    lender: Lender | None = None
    again: int = 0
    whole: dict[str, Any] = field(default_factory=dict)
    sink: Sink[Frame | Segment | _End] | None = None

    def steps(self) -> Generator[Done, None, ClipFile]:
        """Do the work, one segment at a time, and join them in the end.

        Raises ``Paused`` where it is stopped, or nobody lends the hardware for it now, and ``OutputError`` where the
        disk is full, both with the word that what is done is kept, ``BusyError`` where somebody else is at it, and what
        the stages, the reader and the listener raise.
        """
        with self.folder.held():
            try:
                self._obey()
                yield from self._make()
                return join(self.plan, self.folder.encoded, self.records, self.engine.settings, self._check_target)
            except Cancelled as error:
                raise Paused(f"The work was stopped before it was finished. {WHERE}") from error
            except BusyError as error:
                raise Paused(f"{error.for_visitors} {WHERE}") from error
            except OutputError as error:
                raise OutputError(f"{error.for_visitors} {WHERE}", setting=error.setting, keeps_work=True) from error

    def join_done(self) -> Done:
        """Write what is done so far to the target of the plan; raises ``OutputError`` where there is nothing."""
        join(self.plan, self.folder.encoded, self.records, self.engine.settings, self._check_target)
        return self._done()

    @property
    def cuts(self) -> Sequence[Fraction]:
        """When a new shot begins, on the clip's own clock."""
        return [Fraction(cut) for cut in self.whole["cuts"]]

    @property
    def records(self) -> Sequence[Record]:
        """The segments that are whole, from the first one on, in the final encoding."""
        return self.folder.done(self.folder.encoded)

    def _obey(self) -> None:
        """Make the plan, or take the one that was made when the work began."""
        plan, settings = self.folder.plan, self.engine.settings
        if "memory" not in plan:
            free = PLANNED_SHARE * (memory.available(settings, self.engine.device) - self._context_bytes())
            plan["memory"] = max(PLANNED_STEP, int(free // PLANNED_STEP) * PLANNED_STEP)
            self.folder.save()
        self.engine = replace(self.engine, settings=replace(settings, planned_bytes=plan["memory"]))
        self.whole = plan.get("whole", {})
        # Those that are not where the clip is cut now are of no use.
        for shelf in (self.folder.encoded, self.folder.master):
            for number, record in list(shelf.records.items()):
                if number >= len(self.folder.bounds) or self.folder.bounds[number] != record.bounds:
                    shelf.drop(number)
        self._source = self.folder.master if plan.get("master") else self.folder.encoded

    def _context_bytes(self) -> int:
        """What the frames around a segment take of the memory that is planned for."""
        if self.engine.device.type != "cpu":
            return 0
        return context_bytes(needs_of(self.plan.stages, self.plan.rates), self.plan.sizes)

    def _make(self) -> Generator[Done]:
        """Make the segments that are missing."""
        for record in self._source.records.values():
            self._count(record)
        if self._source is self.folder.master:
            for record in sorted(self.folder.master.records.values(), key=lambda record: record.bounds.number):
                if record.bounds.number not in self.folder.encoded.records:
                    self._from_master(record)
                    yield self._done()
        self._needs = needs_of(self.plan.stages, self.plan.rates)
        self._ranges = self._missing()
        if self.whole and not self._ranges:
            self.parts.finish()
            return
        self.shots = self.plan.shots()
        self.reader: ClipReader = self.plan.reader(self.engine.settings, self.shots)
        self._decoding = 0.0
        self._begin: Fraction | None = None
        kept = set(self._source.records)
        with ExitStack() as stack:
            stack.enter_context(kept_memory(self.engine))
            items = self._decoded()
            if self.lender is None:
                self.sink = stack.enter_context(Sink(self._encode, ENCODED_BEHIND, check=self.parts.tick, name=ENCODE))
                items = ahead(items, DECODED_AHEAD, check=self.parts.tick, name=DECODE)
            stack.enter_context(closing(items))
            walk = Walk(items, self._needs[0])
            while (segment := walk.next_segment(kept)) is not None:
                if self.lender is None:
                    self._run_chain(segment, walk)
                else:
                    self._lend(segment, walk, self.lender)
                yield self._done()
        if not self.whole:
            self._note_whole()
        self.parts.finish()

    def _count(self, record: Record) -> None:
        """Take a segment that is kept for work that is done."""
        frames = [record.bounds.frames, *(stage["frames"] for stage in record.stages), len(record.times)]
        for part, count in enumerate(frames):
            self.parts.done[part] += count

    def _done(self) -> Done:
        records, plan = self.records, self.plan
        begin = plan.info.video.start if plan.start is None else max(plan.start, plan.info.video.start)
        until = records[-1].bounds.end if records else begin
        if until is None:  # the last one of the clip
            pts, duration = records[-1].times[-1] if records[-1].times else (records[-1].bounds.start, Fraction(0))
            until = (pts + duration) / plan.stretch
        return Done(len(records), plan.since_beginning(until))

    def _missing(self) -> list[tuple[int, int | None]]:
        """From which frame of the source to which they are needed; the last one goes on to the end of the clip."""
        needs = self._needs[0]
        ranges: list[tuple[int, int | None]] = []
        for bounds in self.folder.bounds:
            if bounds.number not in self._source.records:
                ranges.append((bounds.first - needs.before, bounds.first + bounds.frames + max(1, needs.after)))
        last = self.folder.bounds[-1] if self.folder.bounds else None
        if last is None:
            return [(0, None)]
        if last.end is not None:
            ranges.append((last.first + last.frames - needs.before, None))
        return ranges

    # --- decoding, in a thread of its own

    def _decoded(self) -> Generator[Item]:
        """The frames that are needed, as the first stage gets them; all others are only passed by."""
        reader, splitter = self.reader, Splitter(self.seconds, self.most)
        said: deque[tuple[int, int, bool]] = deque()
        last = self._ranges[-1][1] if self._ranges else None

        def needed() -> Iterator[Picture]:
            number, shot = -1, None
            for index, picture in enumerate(reader.pictures()):
                if self._begin is None:
                    self._begin = picture.pts
                cut = shot is not None and picture.shot != shot
                shot = picture.shot
                number += splitter.begins(picture.pts, cut=cut)
                if any(first <= index and (end is None or index < end) for first, end in self._ranges):
                    said.append((index, number, cut))
                    yield picture
                elif self.whole and last is not None and index >= last:
                    return

        frames = each_once(reader.converted(needed()), lambda frame: prepared(frame, self.plan))
        before: Counter[str] = Counter()
        while True:
            began = time.monotonic()
            frame = next(frames, None)
            self._decoding += time.monotonic() - began
            if frame is None:
                return
            counted = Counter({name: getattr(reader.counts, name) for name in READ})
            index, number, cut = said.popleft()
            yield Item(frame, index, number, cut, counted - before)
            before = counted
            del frame

    def _note_whole(self) -> None:
        """Write down what there is to say of the clip, all of which has been read."""
        read: Counter[str] = Counter()
        for record in self.folder.done(self._source):
            read.update(record.read)
        for name in READ:
            setattr(self.reader.counts, name, read[name])
        self.reader.check_any()
        until = self.reader.counts.read_until
        self.whole = {
            "counts": {**asdict(self.reader.counts), "read_until": None if until is None else str(until)},
            "notes": self.reader.notes,
            "cuts": [str(cut) for cut in self.shots.cuts],
        }
        self.folder.plan["whole"] = self.whole
        self.folder.save()

    # --- the chain

    def _run_chain(self, segment: Segment, walk: Walk) -> None:
        """Give the frames of ``segment`` to the encoder as its stages make them, and what there is to say of it."""
        assert self.sink is not None
        begun, note = self.parts.done[0], self._noted()
        flow = Flow(self._chain, segment, self.engine, self.parts)
        self.sink.put(segment)
        with closing(flow.run(walk.frames(segment))) as frames:
            for frame in frames:
                self.parts.done[0] = begun + segment.frames
                self.engine.progress.show(frame)
                self.sink.put(frame)
                del frame
        self.parts.done[0] = begun + segment.frames
        self.sink.put(note(segment, flow.stages()))

    def _lend(self, segment: Segment, walk: Walk, lender: Lender) -> None:
        """Make ``segment``, with the stages that have networks on hardware that is lent, one thing after the other.

        So nothing else takes the processors while somebody's time on that hardware runs, and whatever keeps the next
        segment from being made, this one is kept.
        """
        begun, note = self.parts.done[0], self._noted()
        chain, networks = self._chain, networks_of(self.opened)

        def decoded() -> Generator[Frame]:
            for frame in walk.frames(segment):
                self.parts.done[0] = begun + segment.frames
                self.parts.tick()
                yield frame

        before = Flow(chain, segment, self.engine, self.parts, last=networks.start)
        frames = list(before.run(decoded()))
        made = lender.run_segment(chain, segment, frames, self.engine, self.parts)
        del frames
        behind = Flow(chain, segment, self.engine, self.parts, first=networks.stop)

        def items() -> Iterator[Frame | Segment | _End]:
            with closing(behind.run(each for each in made.frames)) as results:
                for frame in results:
                    self.engine.progress.show(frame)
                    self.parts.tick()
                    yield frame
            yield note(segment, (*before.stages(), *made.stages, *behind.stages()))

        self._encode_one(segment.number, items())

    @property
    def _chain(self) -> Chain:
        assert self._begin is not None
        return Chain(tuple(self.opened), tuple(self.plan.rates), self._needs, self._begin)

    def _noted(self) -> Callable[[Segment, tuple[Mapping[str, Any], ...]], _End]:
        """To be called when a segment has come through the chain: notes where it ends, and says all there is to say."""
        decoding, warned = self._decoding, len(self.engine.warnings)

        def note(segment: Segment, stages: tuple[Mapping[str, Any], ...]) -> _End:
            bounds = segment.bounds
            if bounds not in self.folder.bounds:
                del self.folder.bounds[bounds.number :]
                self.folder.bounds.append(bounds)
                self.folder.save()
            self.again += 1
            warnings = tuple(self.engine.warnings[warned:])
            return _End(bounds, segment.read, stages, self._decoding - decoding, warnings)

        return note

    # --- encoding, in a thread of its own

    def _encode(self, items: Iterator[Frame | Segment | _End]) -> None:
        """Make files of the segments that come, each with its frames and its end behind it."""
        for item in items:
            assert isinstance(item, Segment)
            self._encode_one(item.number, items)

    def _encode_one(self, number: int, items: Iterator[Frame | Segment | _End]) -> None:
        master = self._source is self.folder.master
        encoder = master_plan(self.plan.encoder) if master else self.plan.encoder
        record = self._write(number, items, self._source, encoder, counted=True)
        if master:
            self._from_master(record)

    def _write(
        self, number: int, items: Iterator[Frame | Segment | _End], shelf: Shelf, encoder: Plan, *, counted: bool
    ) -> Record:
        """Encode the frames among ``items``, up to the end of segment ``number``, and put them on ``shelf``."""
        shelf.drop(number)
        path, clock = shelf.clip(number), Clock()
        times: list[tuple[Fraction, Fraction]] = []
        end: _End | None = None
        with ExitStack() as stack:
            writer: ClipWriter | None = None
            for item in items:
                if isinstance(item, _End):
                    end = item
                    break
                assert isinstance(item, Frame)
                began = time.monotonic()
                if writer is None:
                    plan = replace(encoder, container="mkv")
                    writer = stack.enter_context(ClipWriter(path, plan, start=item.pts, check=self._check_encoding))
                writer.write(cropped(item, self.plan))
                times.append((item.pts, item.duration))
                clock.seconds += time.monotonic() - began
                self.parts.done[-1] += counted
                del item
            assert end is not None
            if writer is not None:
                writer.ends_alone = end.bounds.end is None
            began = time.monotonic()
        clock.seconds += time.monotonic() - began
        record = Record(
            bounds=end.bounds,
            times=tuple(times),
            order=order_of(path) if times else (),
            sha256=checksums.compute(path) if times else "",
            read=end.read,
            stages=end.stages,
            seconds={DECODE: end.decoding, ENCODE: clock.seconds},
            warnings=end.warnings,
        )
        shelf.put(record)
        return record

    def _from_master(self, record: Record) -> None:
        """Encode the frames of a lossless segment, which ``record`` describes, and which were counted before."""
        path = self.folder.master.clip(record.bounds.number)
        end = _End(record.bounds, record.read, record.stages, record.seconds[DECODE], record.warnings)

        def items() -> Iterator[Frame | Segment | _End]:
            yield from frames_of_master(path, record, self.engine.settings)
            yield end

        self._write(record.bounds.number, items(), self.folder.encoded, self.plan.encoder, counted=False)

    def _check_encoding(self) -> None:
        """Give up where nobody wants the result any more, or the disk is about to be full."""
        if self.sink is None:
            self.parts.progress.check()
        elif self.sink.dropped:
            raise Closed
        check_room(self.folder.path, self.engine.settings)

    def _check_target(self) -> None:
        self.parts.progress.check()
        check_room(self.plan.target.resolve().parent, self.engine.settings)
