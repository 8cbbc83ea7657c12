"""Tell from the first bytes of a file that it is no clip, and what it is instead, so that the refusal can say so.

Nothing here decides what is safe to open: that is the list of demuxers in ``containers.py``. This only finds the words.
"""

from __future__ import annotations

from typing import BinaryIO

PREFIX = 32_768
"""How many bytes of a file are looked at."""

_PLAYLISTS = (b"#EXTM3U", b"ffconcat", b"[playlist]", b"v=0", b"<ASX", b"[Reference]")
_XML_PLAYLISTS = (b"<MPD", b"<playlist", b"<smil", b"<SmoothStreamingMedia")
_PNG = b"\x89PNG\r\n\x1a\n"
_STILL_SIGNATURES = (
    b"\xff\xd8\xff",  # JPEG
    b"II*\0",  # TIFF, in both orders of bytes and with 64 bits
    b"MM\0*",
    b"II+\0",
    b"MM\0+",
    b"8BPS",  # Photoshop
    b"\xff\x0a",  # JPEG XL, bare and in a container
    b"\0\0\0\x0cJXL \r\n\x87\n",
)
# The major brands of HEIC and AVIF. Sequences of pictures have others and are clips, with tracks like any MP4.
_STILL_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"mif1", b"mif2", b"avif")
_ANIMATION_FLAG = 0x02
_TS_SYNC = 0x47
_CONTAINERS = (b"\x1aE\xdf\xa3", b"FLV\x01", b"OggS", b"GIF8", b"\x06\x0e+4", b"0&\xb2u", b"YUV4MPEG2 ", _PNG)
_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")


def what_instead(prefix: bytes) -> str | None:
    """What a file that begins with ``prefix`` is and what to do, as the end of a sentence, where it is clearly no clip.

    That is a playlist, other text, a picture that does not move, or an archive; else ``None``.
    """
    if _is_playlist(prefix):
        return "is a list that names other files, which are not opened: give the clip itself"
    if _is_text(prefix):
        return "is text and holds no pictures: give the clip itself"
    if _is_still(prefix):
        return "is a picture and not a clip: restore it as a picture"
    if prefix.startswith((b"PK\x03\x04", b"\x1f\x8b", b"7z\xbc\xaf\x27\x1c", b"Rar!")):
        return "is an archive: unpack it and give the clip that is in it"
    return None


def is_container(prefix: bytes) -> bool:
    """Whether a file that begins with ``prefix`` is, or was, of one of the kinds that clips come in."""
    riff = prefix[:4] == b"RIFF" and prefix[8:12] == b"AVI "
    return riff or prefix.startswith(_CONTAINERS) or prefix[4:8] in _BOXES


def y4m_parameters(prefix: bytes) -> dict[str, str]:
    """The words in the first line of a Y4M file by their letter (``W`` for the width); empty for another file."""
    if not prefix.startswith(b"YUV4MPEG2 "):
        return {}
    words = prefix.split(b"\n", 1)[0].decode("ascii", "replace").split(" ")[1:]
    return {word[0]: word[1:] for word in words if word}


def is_scrambled(prefix: bytes) -> bool:
    """Whether most packets with content of an MPEG transport stream that begins with ``prefix`` are encrypted."""
    for length, offset in ((188, 0), (192, 4), (204, 0)):
        packets = [prefix[at : at + 4] for at in range(offset, len(prefix) - 3, length)]
        if len(packets) >= 8 and all(packet[0] == _TS_SYNC for packet in packets):
            # The lowest numbers are tables and the highest only fill up.
            marked = [packet[3] >> 6 for packet in packets if 31 < (packet[1] & 0x1F) << 8 | packet[2] < 0x1FFF]
            return 2 * sum(mark >= 2 for mark in marked) > len(marked) > 0
    return False


def is_animated_webp(prefix: bytes) -> bool:
    """Whether a file that begins with ``prefix`` is a WebP picture with several frames."""
    return _is_webp(prefix) and prefix[12:16] == b"VP8X" and len(prefix) > 20 and bool(prefix[20] & _ANIMATION_FLAG)


def lacks_index(file: BinaryIO) -> bool:
    """Whether ``file`` is an MP4 or MOV file without its index, as one is whose recording or copying was cut off.

    Only the boxes at the top are visited, at most 10,000 of them.
    """
    file.seek(0, 2)
    size = file.tell()
    position, seen = 0, set()
    for _ in range(10_000):
        file.seek(position)
        header = file.read(16)
        if len(header) < 8:
            break
        length = int.from_bytes(header[:4], "big")
        if length == 1:
            length = int.from_bytes(header[8:16], "big")
        seen.add(header[4:8])
        if length < 8 or position + length > size:
            break
        position += length
    return b"ftyp" in seen and b"moov" not in seen


def _is_webp(prefix: bytes) -> bool:
    return prefix[:4] == b"RIFF" and prefix[8:12] == b"WEBP"


def _is_still(prefix: bytes) -> bool:
    if prefix.startswith(_PNG):
        return b"acTL" not in prefix
    if _is_webp(prefix):
        return not is_animated_webp(prefix)
    if prefix[4:8] == b"ftyp":
        return prefix[8:12] in _STILL_BRANDS
    return prefix.startswith(_STILL_SIGNATURES) or (prefix[:2] == b"BM" and prefix[14:18] == b"\x28\0\0\0")


def _is_playlist(prefix: bytes) -> bool:
    start = prefix.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not _is_text(prefix):
        return False
    return start[:16].lower().startswith(tuple(word.lower() for word in _PLAYLISTS)) or (
        start.startswith(b"<") and any(word in start for word in _XML_PLAYLISTS)
    )


def _is_text(prefix: bytes) -> bool:
    if prefix.startswith(b"YUV4MPEG2 "):
        return False
    if prefix.startswith((b"\xff\xfe", b"\xfe\xff")):
        return _decodes(prefix[: len(prefix) // 2 * 2], "utf-16")
    return _decodes(prefix, "utf-8")


def _decodes(data: bytes, encoding: str) -> bool:
    """Whether ``data`` is text in ``encoding`` with no control characters but those of lines."""
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        if error.start < len(data) - 4:  # a character cut in two at the end is none of the file's faults
            return False
        text = data[: error.start].decode(encoding)
    return bool(text) and all(character.isprintable() or character in "\t\r\n\f" for character in text)
