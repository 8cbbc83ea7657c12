"""From an entry of the catalogue to a file of weights on this machine, and from that file to its tensors.

``find`` looks on this machine only: the folders of ``RESTORE_WEIGHTS``, the package, the cache of the Hugging Face Hub,
and the folder where downloads from official addresses are kept (``$HF_HOME/restore``). ``obtain`` downloads what is not
there, from the user's mirror (``RESTORE_HUB_MIRROR``), from the pinned revision on the Hub or else from the official
address. What was downloaded is used only if its sha256 is the published one, or that of the copy in the mirror; a file
of the user's own is used as it is, and marked as unverified if its sha256 differs. ``load_checkpoint`` reads the
tensors.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path

from restore import caches, catalog, checksums, downloads, hub_mirror
from restore.catalog import Checkpoint
from restore.checkpoint_file import load_checkpoint
from restore.errors import WeightsError
from restore.progress import Progress
from restore.report import ModelUse
from restore.settings import Settings
from restore.transfers import interruptible

__all__ = ["LocalWeights", "find", "load_checkpoint", "obtain"]

logger = logging.getLogger(__name__)

PACKAGE = Path(__file__).parent

ENDINGS = (".safetensors", ".pth", ".pdparams")
"""What a file of the user's own may be: ``<model>`` with one of these, or with the ending of the published file."""

_warned: set[Path] = set()


@dataclass(frozen=True)
class LocalWeights:
    """A file of weights on this machine, and what the report says about it."""

    path: Path
    use: ModelUse


def _local_weights(entry: Checkpoint, path: Path, origin: str, digest: str) -> LocalWeights:
    use = ModelUse(
        name=entry.name,
        file=path.name,
        sha256=digest,
        origin=origin,
        verified=checksums.is_published(entry, digest),
        revision=entry.revision if origin in ("hub", "mirror") else None,
        licence=entry.licence,
        commercial=entry.commercial,
    )
    return LocalWeights(path, use)


def _listing(folder: Path) -> dict[str, Path]:
    """The entries of ``folder`` by their exact names (a file system may not care about case); a warning if it fails."""
    try:
        return {path.name: path for path in sorted(folder.iterdir())}
    except OSError as error:
        if folder not in _warned:
            _warned.add(folder)
            logger.warning("RESTORE_WEIGHTS: the folder %s is left out: %s", folder, error.strerror or error)
        return {}


def _in_folders(entry: Checkpoint, settings: Settings) -> Path | None:
    for name, path in settings.weight_files:
        if name == entry.name:
            return path
    names = (entry.file, *(f"{entry.name}{suffix}" for suffix in (*ENDINGS, Path(entry.file).suffix)))
    for folder in settings.weights:
        here = _listing(folder)
        places = [here, *(_listing(path) for path in here.values() if path.is_dir())]
        for place in places:
            for name in names:
                if name in place and place[name].is_file():
                    return place[name]
    return None


def _mirrored(entry: Checkpoint, settings: Settings) -> LocalWeights | None:
    """The copy of ``entry`` from the mirror of ``settings``, if it is in the Hub's cache."""
    copy = None if settings.hub_mirror is None else hub_mirror.cached(entry, settings.hub_mirror)
    path = None if copy is None else caches.in_hub_cache(copy.file)
    if copy is None or path is None or (digest := checksums.intact(copy.file, path)) is None:
        return None
    local = _local_weights(copy.file, path, "mirror", digest)
    return replace(local, use=replace(local.use, verified=copy.verified))


def find(model: str | Checkpoint, settings: Settings) -> LocalWeights | None:
    """The weights of ``model`` (a name or an entry of the catalogue) if they are on this machine; no network is used.

    The folders of ``settings.weights`` come first: there the file is called as it was published, or ``<model>`` with
    one of ``ENDINGS`` or with the published ending, in the folder itself or one level below. Then come the file in
    the package, the Hub's cache, and earlier downloads from other addresses. A file in a cache that was damaged is
    removed and counts as missing. Raises ``SettingsError`` for an unknown name, ``WeightsError`` for a file that cannot
    be read, or a file of the package that is damaged.
    """
    entry = catalog.checkpoint(model) if isinstance(model, str) else model
    local = _in_folders(entry, settings)
    if local is not None:
        return _local_weights(entry, local, "local", checksums.sha256_of(local))
    if entry.package_file is not None and (packaged := PACKAGE / entry.package_file).is_file():
        digest = checksums.sha256_of(packaged)
        if entry.sha256 and not checksums.is_published(entry, digest):
            raise WeightsError(f"{packaged} is damaged: install the program again.")
        return _local_weights(entry, packaged, "built-in", digest)
    if (copied := _mirrored(entry, settings)) is not None:
        return copied
    for look, origin in ((caches.in_hub_cache, "hub"), (caches.in_own_cache, "url")):
        cached = look(entry)
        if cached is not None and (known := checksums.intact(entry, cached)) is not None:
            return _local_weights(entry, cached, origin, known)
    return None


def obtain(model: str | Checkpoint, settings: Settings, progress: Progress | None = None) -> LocalWeights:
    """The weights of ``model`` (a name or an entry of the catalogue), downloaded if they are not on this machine yet.

    ``progress`` is told the bytes, and its ``cancel`` stops a download at once, with nothing left of it. Environment
    variables of huggingface_hub (``HF_ENDPOINT``, ``HF_HUB_OFFLINE``, ``HF_TOKEN``, ``HF_HOME``) are obeyed as they are
    at the time of the call. Raises ``WeightsError`` with the places that were tried if none of them has the published
    file, ``SettingsError`` for an unknown name, ``Cancelled`` if asked to stop.
    """
    entry = catalog.checkpoint(model) if isinstance(model, str) else model
    progress = progress or Progress()
    progress.check()
    found = find(entry, settings)
    if found is not None:
        return found
    sources = downloads.sources(entry, settings.hub_mirror)
    if not sources:
        raise WeightsError(f"{PACKAGE / (entry.package_file or entry.file)} is missing: install the program again.")
    elsewhere = (
        f"run `python -m restore fetch {entry.name}` on a machine that has access, copy the file into a folder on this "
        "one and name that folder in RESTORE_WEIGHTS"
    )
    if downloads.offline():
        raise WeightsError(
            f"{entry.file} is not on this machine, and HF_HUB_OFFLINE forbids to download it from "
            f"{' or '.join(source.place for source in sources)}: unset HF_HUB_OFFLINE, or {elsewhere}."
        )
    failures: list[downloads.SourceError] = []
    for source in sources:
        try:
            path, digest = interruptible(source.fetch, progress)
        except downloads.SourceError as failure:
            logger.info("%s is not to be had from %s", entry.file, failure)
            failures.append(failure)
            continue
        size = path.stat().st_size
        progress.advance(size, size, "bytes")
        copied = _mirrored(entry, settings) if source.origin == "mirror" else None
        return copied or _local_weights(entry, path, source.origin, digest)
    raise WeightsError(
        f"{entry.file} cannot be downloaded from {', nor from '.join(map(str, failures))}: check the connection and "
        f"try again, or {elsewhere}."
    ) from failures[-1]
