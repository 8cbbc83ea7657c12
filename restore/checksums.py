"""The sha256 of files of weights: computed, remembered beside the cache, and compared with the published one.

A file is read anew only if its size, time or inode differ from when it was last read, in this process or an earlier
one. A file of a cache that is not the published one is removed, so that it is downloaded again.
"""

from __future__ import annotations

import hashlib
import json
import logging
from pathlib import Path

from restore import caches
from restore.catalog import Checkpoint
from restore.errors import WeightsError

logger = logging.getLogger(__name__)

_digests: dict[tuple[str, int, int, int], str] = {}


def _identity(path: Path) -> tuple[str, int, int, int]:
    status = path.stat()
    return (str(path.resolve()), status.st_size, status.st_mtime_ns, status.st_ino)


def _note(identity: tuple[str, int, int, int]) -> Path:
    """Where the checksum of a file is written down, so that no start of the program reads all its weights again."""
    key = hashlib.sha256(identity[0].encode()).hexdigest()[:32]
    return caches.own_folder("checksums") / f"{key}.json"


def _write_down(identity: tuple[str, int, int, int], digest: str) -> None:
    _digests[identity] = digest
    note = _note(identity)
    try:
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text(json.dumps({"file": list(identity), "sha256": digest}), encoding="utf-8")
    except OSError as error:  # a read-only cache costs only the time to read the file again in the next process
        logger.debug("The checksum of %s cannot be remembered: %s", identity[0], error)


def _recall(identity: tuple[str, int, int, int]) -> str | None:
    if identity in _digests:
        return _digests[identity]
    try:
        note = json.loads(_note(identity).read_text(encoding="utf-8"))
    except (OSError, ValueError):  # none yet, or one that another process is writing at this moment
        return None
    if isinstance(note, dict) and note.get("file") == list(identity) and isinstance(note.get("sha256"), str):
        return str(note["sha256"])
    return None


def remember(path: Path, digest: str) -> None:
    """Write down that ``digest`` is the sha256 of ``path`` as it is now; raises ``OSError`` if it is not there."""
    _write_down(_identity(path), digest)


def compute(path: Path) -> str:
    """The sha256 of ``path``, read anew whatever is remembered; raises ``OSError``."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_of(path: Path) -> str:
    """The sha256 of ``path``, read only if it is not remembered; raises ``WeightsError`` if it cannot be read."""
    try:
        identity = _identity(path)
        digest = _recall(identity)
        if digest is None:
            digest = compute(path)
            _write_down(identity, digest)
    except OSError as error:
        raise WeightsError(f"The file of weights {path.name} cannot be read: {error.strerror or error}.") from error
    return digest


def is_published(entry: Checkpoint, digest: str) -> bool:
    """Whether ``digest`` is the published one of ``entry``; never so where none is published."""
    return bool(entry.sha256) and digest.startswith(entry.sha256)


def discard(path: Path, digest: str) -> None:
    """Remove the bad file ``path`` with this ``digest`` from a cache; raises ``WeightsError`` if that fails."""
    try:
        _remove(path, digest)
    except FileNotFoundError:
        return  # another process that found the same was quicker
    except OSError as error:
        raise WeightsError(f"The damaged file {path} cannot be removed ({error.strerror}): delete it.") from error


def _remove(path: Path, digest: str) -> None:
    """Remove a bad file from a cache, with the symlinks that lead to it, unless a good one has taken its place."""
    if compute(path) != digest:
        return
    while path.is_symlink():
        target = path.parent / path.readlink()
        path.unlink()
        path = target
    path.unlink(missing_ok=True)


def intact(entry: Checkpoint, path: Path) -> str | None:
    """The sha256 of ``path``, a file of a cache; if it is not the published one, ``None``, and the file is removed."""
    digest = sha256_of(path)
    if entry.sha256 and not is_published(entry, digest):
        logger.warning("%s does not have the published sha256 any more and is removed", path)
        discard(path, digest)
        return None
    return digest
