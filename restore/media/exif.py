"""EXIF as bytes: read it, change single fields, write it back with everything else as it was.

An EXIF block is a small TIFF file without pixels (Exif 3.0, CIPA DC-008, section 4.5). Fields are kept as the bytes
that the camera wrote, so that types that a library would guess, or that it does not know, survive. A maker note often
holds offsets that count from the start of the block; it stays at its own offset wherever the block is written by
itself.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction

PREFIX = b"Exif\0\0"

IMAGE_WIDTH, IMAGE_LENGTH = 0x0100, 0x0101
ORIENTATION = 0x0112
X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = 0x011A, 0x011B, 0x0128
SOFTWARE = 0x0131
EXIF_POINTER, GPS_POINTER, INTEROP_POINTER = 0x8769, 0x8825, 0xA005
IMAGE_HISTORY = 0x9213
MAKER_NOTE = 0x927C
PIXEL_X_DIMENSION, PIXEL_Y_DIMENSION = 0xA002, 0xA003

ASCII, SHORT, LONG, RATIONAL = 2, 3, 4, 5
_LONG8 = 16
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8, 129: 1}

# Tags that point into the block or describe pixels that are not in it: they would point at nothing after a move.
_POINTERS = {0x0111, 0x0117, 0x014A, 0x0144, 0x0145, 0x0201, 0x0202, EXIF_POINTER, GPS_POINTER, INTEROP_POINTER}

# Fields may all claim the same large region; what is copied out of one file is bounded.
_BUDGET = 16 * 2**20
_FURTHEST_MAKER_NOTE = 2**16


@dataclass(frozen=True)
class Field:
    """One field: its TIFF type, the number of values and their bytes, in the byte order of the block."""

    kind: int
    count: int
    data: bytes


Directory = Mapping[int, Field]


@dataclass(frozen=True)
class Exif:
    """The directories of an EXIF block. ``order`` is ``<`` (little-endian) or ``>``.

    ``damaged`` counts the fields that could not be read; ``thumbnail`` says that there was an embedded small picture,
    which is never kept. ``maker_note_at`` is the offset of the maker note in the block that was read.
    """

    order: str = "<"
    image: Directory = field(default_factory=dict)
    photo: Directory = field(default_factory=dict)
    gps: Directory = field(default_factory=dict)
    interop: Directory = field(default_factory=dict)
    maker_note_at: int | None = None
    damaged: int = 0
    thumbnail: bool = False

    def __bool__(self) -> bool:
        return bool(self.image or self.photo or self.gps or self.interop)


@dataclass(frozen=True)
class _Shape:
    """The sizes that differ between classic TIFF and BigTIFF."""

    order: str
    big: bool

    @property
    def count(self) -> struct.Struct:
        return struct.Struct(self.order + ("Q" if self.big else "H"))

    @property
    def offset(self) -> struct.Struct:
        return struct.Struct(self.order + ("Q" if self.big else "L"))

    @property
    def entry(self) -> struct.Struct:
        return struct.Struct(self.order + ("HHQ8s" if self.big else "HHL4s"))

    def table_size(self, fields: int) -> int:
        return self.count.size + fields * self.entry.size + self.offset.size


class _Reader:
    def __init__(self, data: bytes, shape: _Shape) -> None:
        self.data = data
        self.shape = shape
        self.budget = _BUDGET
        self.damaged = 0
        self.maker_note_at: int | None = None

    def directory(self, at: int, wanted: Collection[int] | None = None) -> tuple[dict[int, Field], int]:
        """The fields of the directory at offset ``at``, and the offset of the next directory (0: none)."""
        shape = self.shape
        fields: dict[int, Field] = {}
        if at + shape.count.size > len(self.data):
            self.damaged += 1
            return fields, 0
        (count,) = shape.count.unpack_from(self.data, at)
        at += shape.count.size
        room = (len(self.data) - at) // shape.entry.size
        if count > room:
            self.damaged += 1
            count = room
        for _ in range(count):
            tag, kind, number, inline = shape.entry.unpack_from(self.data, at)
            at += shape.entry.size
            if wanted is not None and tag not in wanted:
                continue
            size = _SIZES.get(kind, 0) * number
            start = at - len(inline) if size <= len(inline) else shape.offset.unpack(inline)[0]
            if not 0 < size <= self.budget or start + size > len(self.data):
                # An empty field is legal, if odd; it holds nothing to keep.
                self.damaged += bool(number)
                continue
            self.budget -= size
            fields[tag] = Field(kind, number, self.data[start : start + size])
            if tag == MAKER_NOTE and size > len(inline):
                self.maker_note_at = start
        end = at + shape.offset.size
        return fields, shape.offset.unpack_from(self.data, at)[0] if end <= len(self.data) else 0

    def child(self, parent: Mapping[int, Field], pointer: int) -> dict[int, Field]:
        if pointer not in parent:
            return {}
        at = _integer(parent[pointer], self.shape.order)
        if at is None:
            self.damaged += 1
            return {}
        return self.directory(at)[0]


def parse_exif(block: bytes, wanted: Collection[int] | None = None) -> Exif:
    """Read an EXIF block, with or without its ``Exif`` prefix, or the first directory of a whole TIFF or BigTIFF file.

    ``wanted`` limits the fields taken from the main directory (the EXIF and GPS directories are always followed). A
    field that lies outside the block is left out and counted. Raises ``ValueError`` if ``block`` is no EXIF at all.
    """
    while block.startswith(PREFIX):
        block = block[len(PREFIX) :]
    order = {b"II": "<", b"MM": ">"}.get(block[:2])
    if order is None or len(block) < 8:
        raise ValueError("no TIFF header")
    (magic,) = struct.unpack_from(order + "H", block, 2)
    if magic not in (42, 43) or (magic == 43 and len(block) < 16):
        raise ValueError(f"unknown TIFF version {magic}")
    shape = _Shape(order, big=magic == 43)
    reader = _Reader(block, shape)
    if wanted is not None:
        wanted = {*wanted, EXIF_POINTER, GPS_POINTER}
    image, following = reader.directory(shape.offset.unpack_from(block, 8 if shape.big else 4)[0], wanted)
    photo = reader.child(image, EXIF_POINTER)
    gps = reader.child(image, GPS_POINTER)
    interop = reader.child(photo, INTEROP_POINTER)
    return Exif(
        order=order,
        image=_without(image, _POINTERS),
        photo=_without(photo, _POINTERS),
        gps=gps,
        interop=interop,
        maker_note_at=reader.maker_note_at,
        damaged=reader.damaged,
        thumbnail=following != 0,
    )


def dump_exif(exif: Exif, *, keep_maker_note_in_place: bool = True) -> bytes:
    """Write an EXIF block, without the ``Exif`` prefix."""
    note = exif.photo.get(MAKER_NOTE)
    hole = None
    if keep_maker_note_in_place and note and exif.maker_note_at and 8 <= exif.maker_note_at < _FURTHEST_MAKER_NOTE:
        hole = range(exif.maker_note_at, exif.maker_note_at + len(note.data))
    layout = _Layout(_Shape(exif.order, big=False), start=8, hole=hole)
    main = layout.place(exif)
    header = struct.pack(exif.order + "2sHL", b"II" if exif.order == "<" else b"MM", 42, main)
    return header + layout.packed()


def dump_directories(exif: Exif, start: int, *, big: bool) -> tuple[bytes, int]:
    """All directories as they are to stand at offset ``start`` of a TIFF file (a BigTIFF file if ``big``).

    Returns the bytes and the offset of the main directory, which has to go into the header of the file.
    """
    layout = _Layout(_Shape(exif.order, big=big), start=start, hole=None)
    main = layout.place(exif)
    return layout.packed(), main


class _Layout:
    """Gives directories and values their places, one after the other, around a hole that is already taken."""

    def __init__(self, shape: _Shape, start: int, hole: range | None) -> None:
        self.shape = shape
        self.start = start
        self.hole = hole
        self.end = start
        self.pieces: dict[int, bytes] = {}

    def place(self, exif: Exif) -> int:
        """Lay out the directories; returns the offset of the main one."""
        photo, image = dict(exif.photo), dict(exif.image)
        if exif.interop:
            photo[INTEROP_POINTER] = self._pointer(0)
        if photo:
            image[EXIF_POINTER] = self._pointer(0)
        if exif.gps:
            image[GPS_POINTER] = self._pointer(0)
        # By the tag that points at them; nothing points at the main one.
        directories = {0: image, EXIF_POINTER: photo, GPS_POINTER: dict(exif.gps), INTEROP_POINTER: dict(exif.interop)}
        directories = {tag: fields for tag, fields in directories.items() if fields or not tag}
        places = {tag: self._allocate(self.shape.table_size(len(fields))) for tag, fields in directories.items()}
        for tag, fields in directories.items():
            fields |= {pointer: self._pointer(places[pointer]) for pointer in fields if pointer in places}
            self.pieces[places[tag]] = self._table(fields)
        return places[0]

    def packed(self) -> bytes:
        size = max(self.end, self.hole.stop if self.hole else 0) - self.start
        out = bytearray(size)
        for at, piece in self.pieces.items():
            out[at - self.start : at - self.start + len(piece)] = piece
        return bytes(out)

    def _allocate(self, size: int) -> int:
        at = self.end + self.end % 2
        if self.hole and at < self.hole.stop and at + size > self.hole.start:
            at = self.hole.stop + self.hole.stop % 2
        self.end = at + size
        return at

    def _pointer(self, value: int) -> Field:
        return Field(_LONG8 if self.shape.big else LONG, 1, self.shape.offset.pack(value))

    def _table(self, fields: Directory) -> bytes:
        shape = self.shape
        room = shape.offset.size
        rows = [shape.count.pack(len(fields))]
        for tag, entry in sorted(fields.items()):
            if len(entry.data) <= room:
                value = entry.data.ljust(room, b"\0")
            else:
                in_hole = tag == MAKER_NOTE and self.hole is not None
                at = self.hole.start if in_hole and self.hole else self._allocate(len(entry.data))
                self.pieces[at] = entry.data
                value = shape.offset.pack(at)
            rows.append(shape.entry.pack(tag, entry.kind, entry.count, value))
        return b"".join(rows) + shape.offset.pack(0)


def orientation_of(exif: Exif) -> int:
    """The orientation, 1 to 8; 1 if there is none or if it makes no sense."""
    entry = exif.image.get(ORIENTATION)
    value = _integer(entry, exif.order) if entry else None
    return value if value is not None and 1 <= value <= 8 else 1


def resolution_of(exif: Exif) -> tuple[float, float] | None:
    """The resolution in dots per inch, (x, y); None if there is none or if its unit is unknown."""
    values = [_rational(exif.image[tag], exif.order) for tag in (X_RESOLUTION, Y_RESOLUTION) if tag in exif.image]
    entry = exif.image.get(RESOLUTION_UNIT)
    unit = _integer(entry, exif.order) if entry else 2
    factor = {2: 1.0, 3: 2.54}.get(unit or 0)
    if len(values) != 2 or values[0] is None or values[1] is None or factor is None:
        return None
    return float(values[0]) * factor, float(values[1]) * factor


def set_upright(exif: Exif) -> Exif:
    """The same with orientation 1, if it has one at all."""
    if ORIENTATION not in exif.image:
        return exif
    return replace(exif, image={**exif.image, ORIENTATION: _short(exif, 1)})


def with_size(exif: Exif, width: int, height: int) -> Exif:
    """The same with those fields corrected that state the size of the picture in pixels."""
    image = {IMAGE_WIDTH: _long(exif, width), IMAGE_LENGTH: _long(exif, height)}
    photo = {PIXEL_X_DIMENSION: _long(exif, width), PIXEL_Y_DIMENSION: _long(exif, height)}
    return replace(
        exif,
        image={**exif.image, **{tag: entry for tag, entry in image.items() if tag in exif.image}},
        photo={**exif.photo, **{tag: entry for tag, entry in photo.items() if tag in exif.photo}},
    )


def with_resolution(exif: Exif, dpi: tuple[float, float]) -> Exif:
    """The same with the resolution ``dpi``, in dots per inch, (x, y)."""
    fields = {X_RESOLUTION: _fraction(exif, dpi[0]), Y_RESOLUTION: _fraction(exif, dpi[1])}
    return replace(exif, image={**exif.image, **fields, RESOLUTION_UNIT: _short(exif, 2)})


def with_recipe(exif: Exif, recipe: str, software: str) -> Exif:
    """The same with ``recipe`` as ImageHistory, and ``software`` as Software if there is none yet."""
    image = dict(exif.image)
    image.setdefault(SOFTWARE, _text(software))
    return replace(exif, image=image, photo={**exif.photo, IMAGE_HISTORY: _text(recipe)})


def _without(fields: Directory, tags: Collection[int]) -> dict[int, Field]:
    return {tag: entry for tag, entry in fields.items() if tag not in tags}


def _integer(entry: Field, order: str) -> int | None:
    code = {1: "B", 3: "H", 4: "L", 13: "L", 16: "Q", 18: "Q"}.get(entry.kind)
    return int(struct.unpack_from(order + code, entry.data)[0]) if code else None


def _rational(entry: Field, order: str) -> Fraction | None:
    if entry.kind != RATIONAL:
        return None
    numerator, denominator = struct.unpack_from(order + "LL", entry.data)
    return Fraction(numerator, denominator) if denominator else None


def _short(exif: Exif, value: int) -> Field:
    return Field(SHORT, 1, struct.pack(exif.order + "H", value))


def _long(exif: Exif, value: int) -> Field:
    return Field(LONG, 1, struct.pack(exif.order + "L", value))


def _fraction(exif: Exif, value: float) -> Field:
    exact = Fraction(value).limit_denominator(10_000)
    return Field(RATIONAL, 1, struct.pack(exif.order + "LL", exact.numerator, exact.denominator))


def _text(value: str) -> Field:
    data = value.encode("ascii", "replace") + b"\0"
    return Field(ASCII, len(data), data)
