"""From an entry of the catalogue to a file of weights on this machine, and from that file to its tensors.

``find`` looks on this machine only: the folders of ``RESTORE_WEIGHTS``, the package, the cache of the Hugging Face Hub,
and the folder where downloads from official addresses are kept (``$HF_HOME/restore``). ``obtain`` downloads what is not
there, from the pinned revision on the Hub or else from the official address. What was downloaded is used only if its
sha256 is the published one; a file of the user's own is used as it is, and marked as unverified if its sha256 differs.
"""

from __future__ import annotations

import contextvars
import hashlib
import json
import logging
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
from huggingface_hub import (
    constants,
    get_hf_file_metadata,
    hf_hub_download,
    hf_hub_url,
    is_offline_mode,
    try_to_load_from_cache,
)
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import WeakFileLock, tqdm  # type: ignore[attr-defined]

from restore import catalog
from restore.catalog import Checkpoint
from restore.errors import Cancelled, ResourceError, WeightsError
from restore.progress import Progress
from restore.report import ModelUse
from restore.settings import Settings

logger = logging.getLogger(__name__)

PACKAGE = Path(__file__).parent
TIMEOUT_SECONDS = 10.0  # to connect, and between two pieces of an answer
RETRIES = 3  # of a broken download, in a row without a single new byte
RETRY_SECONDS = 1.0
POLL_SECONDS = 0.1  # how often a waiting caller looks for news of its download, and for a request to stop
TIDY_SECONDS = 2.0  # what a stopped download gets to remove its temporary file

# huggingface_hub reads its settings from the environment once, when it is imported; these two have no argument either.
# Its pieces of 10 MiB are too coarse for a progress bar and for a stop button on a slow line, and a transfer by hf_xet
# can be neither stopped nor resumed, where the plain HTTP one can.
constants.DOWNLOAD_CHUNK_SIZE = 64 * 1024
constants.HF_HUB_DISABLE_XET = True


@dataclass(frozen=True)
class LocalWeights:
    """A file of weights on this machine, and what the report says about it."""

    path: Path
    use: ModelUse


class _SourceError(Exception):
    """One source cannot give the file, but another one may; the message is a phrase about that source."""


class _Transfer:
    """What a download and the thread that waits for it share: bytes so far, bytes in all, and a request to stop."""

    def __init__(self) -> None:
        self.done = 0
        self.total = 0
        self.stop = threading.Event()

    def begin(self, done: int, total: int | None) -> None:
        self.check()
        self.done, self.total = done, total or 0

    def add(self, count: int) -> None:
        self.check()
        self.done += count

    def check(self) -> None:
        if self.stop.is_set():
            raise Cancelled("The download was stopped.")


# --- where things are ----------------------------------------------------------------------------------------------


def _hf_home() -> Path:
    """``HF_HOME`` as it is now; huggingface_hub itself looks only once, when it is imported."""
    home = os.environ.get("HF_HOME")
    if not home:
        home = os.path.join(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "huggingface")  # noqa: PTH118
    return Path(os.path.expandvars(home)).expanduser()


def _hub_cache() -> Path:
    folder = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE")
    return Path(os.path.expandvars(folder)).expanduser() if folder else _hf_home() / "hub"


def _endpoint() -> str:
    return (os.environ.get("HF_ENDPOINT") or constants.ENDPOINT).rstrip("/")


def _offline() -> bool:
    return is_offline_mode() or os.environ.get("HF_HUB_OFFLINE", "").upper() in constants.ENV_VARS_TRUE_VALUES


def _url_file(entry: Checkpoint) -> Path:
    return _hf_home() / "restore" / "weights" / entry.name / entry.file


# --- checksums -----------------------------------------------------------------------------------------------------

_digests: dict[tuple[str, int, int, int], str] = {}


def _identity(path: Path) -> tuple[str, int, int, int]:
    status = path.stat()
    return (str(path.resolve()), status.st_size, status.st_mtime_ns, status.st_ino)


def _note(identity: tuple[str, int, int, int]) -> Path:
    """Where the checksum of a file is written down, so that no start of the program reads all its weights again."""
    key = hashlib.sha256(identity[0].encode()).hexdigest()[:32]
    return _hf_home() / "restore" / "checksums" / f"{key}.json"


def _remember(identity: tuple[str, int, int, int], digest: str) -> None:
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


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest(path: Path) -> str:
    """The sha256 of ``path``, read anew only if its size, time or inode differ from when it was last read."""
    try:
        identity = _identity(path)
        digest = _recall(identity)
        if digest is None:
            digest = _hash(path)
            _remember(identity, digest)
    except OSError as error:
        raise WeightsError(f"The file of weights {path} cannot be read: {error.strerror or error}.") from error
    return digest


def _published(entry: Checkpoint, digest: str) -> bool:
    return bool(entry.sha256) and digest.startswith(entry.sha256)


def _local_weights(entry: Checkpoint, path: Path, origin: str, digest: str) -> LocalWeights:
    use = ModelUse(
        name=entry.name,
        file=path.name,
        sha256=digest,
        origin=origin,
        verified=_published(entry, digest),
        revision=entry.revision if origin == "hub" else None,
        licence=entry.licence,
        commercial=entry.commercial,
    )
    return LocalWeights(path, use)


def _remove(path: Path, digest: str) -> None:
    """Remove a bad file from a cache, with the symlinks that lead to it, unless a good one has taken its place."""
    if _hash(path) != digest:
        return
    while path.is_symlink():
        target = path.parent / path.readlink()
        path.unlink()
        path = target
    path.unlink(missing_ok=True)


# --- on this machine -----------------------------------------------------------------------------------------------

_warned: set[Path] = set()


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
    names = (entry.file, f"{entry.name}.safetensors", f"{entry.name}.pth")
    for folder in settings.weights:
        here = _listing(folder)
        places = [here, *(_listing(path) for path in here.values() if path.is_dir())]
        for place in places:
            for name in names:
                if name in place and place[name].is_file():
                    return place[name]
    return None


def _in_hub_cache(entry: Checkpoint) -> Path | None:
    if entry.repo is None:
        return None
    path = try_to_load_from_cache(
        entry.repo, entry.hub_file, cache_dir=_hub_cache(), revision=entry.revision, repo_type=entry.repo_type
    )
    return Path(path) if isinstance(path, str) else None


def _in_own_cache(entry: Checkpoint) -> Path | None:
    path = _url_file(entry)
    return path if entry.url is not None and path.is_file() else None


def _trusted(entry: Checkpoint, path: Path | None, origin: str) -> LocalWeights | None:
    """``path`` of a cache if its checksum is the published one; a damaged file is removed."""
    if path is None:
        return None
    digest = _digest(path)
    if entry.sha256 and not _published(entry, digest):
        logger.warning("%s does not have the published sha256 any more and is removed", path)
        _discard(path, digest)
        return None
    return _local_weights(entry, path, origin, digest)


def _discard(path: Path, digest: str) -> None:
    try:
        _remove(path, digest)
    except FileNotFoundError:
        return  # another process that found the same was quicker
    except OSError as error:
        raise WeightsError(f"The damaged file {path} cannot be removed ({error.strerror}): delete it.") from error


def find(model: str | Checkpoint, settings: Settings) -> LocalWeights | None:
    """The weights of ``model`` (a name or an entry of the catalogue) if they are on this machine; no network is used.

    The folders of ``settings.weights`` come first: there the file is called as it was published, or
    ``<model>.safetensors``, or ``<model>.pth``, in the folder itself or one level below. Then come the file in the
    package, the Hub's cache, and earlier downloads from the official address. A file in a cache that was damaged is
    removed and counts as missing. Raises ``SettingsError`` for an unknown name, ``WeightsError`` for a file that cannot
    be read, or a file of the package that is damaged.
    """
    entry = catalog.checkpoint(model) if isinstance(model, str) else model
    local = _in_folders(entry, settings)
    if local is not None:
        return _local_weights(entry, local, "local", _digest(local))
    if entry.package_file is not None and (packaged := PACKAGE / entry.package_file).is_file():
        digest = _digest(packaged)
        if entry.sha256 and not _published(entry, digest):
            raise WeightsError(f"{packaged} is damaged: install the program again.")
        return _local_weights(entry, packaged, "built-in", digest)
    return _trusted(entry, _in_hub_cache(entry), "hub") or _trusted(entry, _in_own_cache(entry), "url")


# --- downloads -----------------------------------------------------------------------------------------------------


def _bar(transfer: _Transfer) -> type[tqdm]:
    """A progress bar for huggingface_hub that draws nothing, tells ``transfer`` and passes on its request to stop."""

    class Bar(tqdm):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **{**options, "disable": True})  # type: ignore[no-untyped-call]
            transfer.begin(options.get("initial") or 0, options.get("total"))

        def update(self, n: float | None = 1) -> None:
            transfer.add(int(n or 0))

    return Bar


def _reason(error: Exception) -> str:
    """A phrase for a failed request."""
    response = getattr(error, "response", None)
    if isinstance(error, RepositoryNotFoundError):
        return "there is no such repository, or it is private"
    if isinstance(error, RevisionNotFoundError):
        return "there is no such revision"
    if isinstance(response, httpx2.Response):
        if response.status_code in (404, 410):
            return "there is no such file"
        return f"the server answered with status {response.status_code}"
    if isinstance(error, httpx2.TimeoutException):
        return f"no answer within {TIMEOUT_SECONDS:.0f} seconds"
    if isinstance(error, httpx2.ConnectError):
        return f"no connection ({error})"
    if isinstance(error, httpx2.InvalidURL | httpx2.UnsupportedProtocol):
        return "that is not the address of a server"
    if isinstance(error, EntryNotFoundError):  # what huggingface_hub makes of a server that stopped to answer
        return "no connection"
    return f"the download broke off ({error})"


def _disk_error(error: Exception) -> bool:
    return isinstance(error, OSError) and not isinstance(error, httpx2.HTTPError) and error.errno is not None


def _checked(entry: Checkpoint, path: Path, origin: str, digest: str, place: str) -> LocalWeights:
    """``path`` as weights; raises ``WeightsError`` after removing it if it is not the published file."""
    if entry.sha256 and not _published(entry, digest):
        _discard(path, digest)
        raise WeightsError(
            f"{entry.file} from {place} is not the published file and was removed (its sha256 is {digest}, not "
            f"{entry.sha256}{'…' if len(entry.sha256) < 64 else ''}): try again later, or get the file from another "
            "place and name its folder in RESTORE_WEIGHTS."
        )
    return _local_weights(entry, path, origin, digest)


def _hub_place(entry: Checkpoint) -> str:
    kind = "" if entry.repo_type == "model" else f"{entry.repo_type}s/"
    return f"{_endpoint()}/{kind}{entry.repo} (file {entry.hub_file}, revision {entry.revision})"


def _from_hub(entry: Checkpoint, transfer: _Transfer) -> LocalWeights:
    assert entry.repo is not None
    endpoint, cache, place = _endpoint(), _hub_cache(), _hub_place(entry)
    url = hf_hub_url(entry.repo, entry.hub_file, repo_type=entry.repo_type, revision=entry.revision, endpoint=endpoint)
    try:
        # hf_hub_download goes on asking a dead server for minutes: one question first, with one answer.
        get_hf_file_metadata(url, timeout=TIMEOUT_SECONDS, endpoint=endpoint)
        transfer.check()
        path = hf_hub_download(
            entry.repo,
            entry.hub_file,
            repo_type=entry.repo_type,
            revision=entry.revision,
            cache_dir=cache,
            endpoint=endpoint,
            etag_timeout=TIMEOUT_SECONDS,
            tqdm_class=_bar(transfer),
        )
    except GatedRepoError as error:
        raise WeightsError(
            f"{entry.file} is in a gated repository, {place}: accept its conditions on that page, then set HF_TOKEN to "
            "a token of your account and try again."
        ) from error
    except (httpx2.HTTPError, httpx2.InvalidURL, EntryNotFoundError, OSError) as error:
        if _disk_error(error):
            raise WeightsError(f"{entry.file} cannot be stored in {cache}: {error}.") from error
        raise _SourceError(f"{place}: {_reason(error)}") from error
    return _checked(entry, Path(path), "hub", _digest(Path(path)), place)


def _receive(url: str, part: Path, transfer: _Transfer) -> None:
    """Download ``url`` into ``part``, going on from the bytes that it has; raises ``httpx2.HTTPError``.

    A connection that broke is taken up again as long as that brings new bytes; one that never gave any is not.
    """
    broken = 0  # attempts in a row that brought nothing
    alive = False
    while True:
        have = _size(part)
        try:
            _receive_once(url, part, have, transfer)
            return
        except httpx2.TransportError as error:
            gained = _size(part) - have
            alive = alive or gained > 0
            broken = 0 if gained > 0 else broken + 1
            if not alive or broken > RETRIES:
                raise
            logger.info("%s broke off after %d bytes (%s), going on from there", url, have + gained, error)
            transfer.stop.wait(RETRY_SECONDS)
            transfer.check()


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _receive_once(url: str, part: Path, have: int, transfer: _Transfer) -> None:
    headers = {"Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    with httpx2.stream("GET", url, headers=headers, timeout=TIMEOUT_SECONDS, follow_redirects=True) as response:
        if have and response.status_code == 416:  # nothing is left to get; the checksum says whether it is all
            return
        response.raise_for_status()
        resumed = response.status_code == 206 and response.headers.get("Content-Range", "").startswith(f"bytes {have}-")
        start = have if resumed else 0
        length = response.headers.get("Content-Length", "")
        transfer.begin(start, start + int(length) if length.isdigit() else None)
        with part.open("ab" if resumed else "wb") as file:
            for piece in response.iter_bytes():
                transfer.add(len(piece))
                file.write(piece)


def _from_url(entry: Checkpoint, transfer: _Transfer) -> LocalWeights:
    assert entry.url is not None
    target = _url_file(entry)
    part = target.with_name(target.name + ".incomplete")
    locks = _hf_home() / "restore" / "locks"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        locks.mkdir(parents=True, exist_ok=True)
        with WeakFileLock(locks / f"{entry.name}.lock"):
            transfer.check()
            if (found := _trusted(entry, _in_own_cache(entry), "url")) is not None:
                return found  # another process was quicker
            try:
                _receive(entry.url, part, transfer)
                digest = _hash(part)
                _checked(entry, part, "url", digest, entry.url)
                part.replace(target)
            finally:
                part.unlink(missing_ok=True)
            _remember(_identity(target), digest)
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
        if _disk_error(error):
            raise WeightsError(f"{entry.file} cannot be stored in {target.parent}: {error}.") from error
        raise _SourceError(f"{entry.url}: {_reason(error)}") from error
    return _local_weights(entry, target, "url", digest)


def _interruptible(work: Callable[[_Transfer], LocalWeights], progress: Progress) -> LocalWeights:
    """Do ``work`` in a thread of its own, so that a request to stop is obeyed at once whatever it waits for."""
    transfer = _Transfer()
    future: Future[LocalWeights] = Future()

    def run() -> None:
        try:
            future.set_result(work(transfer))
        except BaseException as error:
            future.set_exception(error)

    thread = threading.Thread(target=contextvars.copy_context().run, args=(run,), name="restore-download", daemon=True)
    thread.start()
    try:
        while not wait([future], timeout=POLL_SECONDS).done:
            progress.check()
            if transfer.total:
                progress.advance(transfer.done, transfer.total, "bytes")
        return future.result()
    except BaseException:
        transfer.stop.set()
        thread.join(TIDY_SECONDS)
        raise


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
    sources: dict[str, Callable[[Checkpoint, _Transfer], LocalWeights]] = {}
    if entry.repo is not None:
        sources[_hub_place(entry)] = _from_hub
    if entry.url is not None:
        sources[entry.url] = _from_url
    if not sources:
        raise WeightsError(f"{PACKAGE / (entry.package_file or entry.file)} is missing: install the program again.")
    elsewhere = (
        f"run `python -m restore fetch {entry.name}` on a machine that has access, copy the file into a folder on this "
        "one and name that folder in RESTORE_WEIGHTS"
    )
    if _offline():
        raise WeightsError(
            f"{entry.file} is not on this machine, and HF_HUB_OFFLINE forbids to download it from "
            f"{' or '.join(sources)}: unset HF_HUB_OFFLINE, or {elsewhere}."
        )
    failures: list[_SourceError] = []
    for source in sources.values():
        try:
            weights = _interruptible(partial(source, entry), progress)
        except _SourceError as failure:
            logger.info("%s is not to be had from %s", entry.file, failure)
            failures.append(failure)
            continue
        size = weights.path.stat().st_size
        progress.advance(size, size, "bytes")
        return weights
    raise WeightsError(
        f"{entry.file} cannot be downloaded from {', nor from '.join(map(str, failures))}: check the connection and "
        f"try again, or {elsewhere}."
    ) from failures[-1]


# --- reading -------------------------------------------------------------------------------------------------------

_loading = threading.Lock()


def load_checkpoint(path: Path) -> dict[str, Any]:
    """The content of a file of weights, with its tensors on the CPU; nothing in the file is ever executed.

    ``.safetensors`` is read by safetensors, anything else by ``torch.load`` with ``weights_only=True``. The keys are
    those of the file: a container such as ``params_ema`` is not opened. Raises ``WeightsError`` for a file that is
    broken, is no checkpoint, or holds more than tensors and plain values; ``ResourceError`` if memory is too small.
    """
    import datetime

    import torch  # here, because looking for files and fetching them does not need its seconds to start
    from safetensors.torch import load_file

    # Values without behaviour that published files hold beside their tensors: slice in DeOldify's, datetime in Super
    # SloMo's. torch keeps this list for the whole process, so two threads must not put on and take off at once.
    harmless: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [slice, datetime.datetime]
    try:
        if path.suffix == ".safetensors":
            content: object = load_file(path)
        else:
            with _loading, torch.serialization.safe_globals(harmless):
                content = torch.load(path, map_location="cpu", weights_only=True)
    except MemoryError as error:
        raise ResourceError(f"There is not enough memory to read {path}.") from error
    except OSError as error:
        raise WeightsError(f"The file of weights {path} cannot be read: {error.strerror or error}.") from error
    except Exception as error:  # a damaged or hostile file can make a reader of pickles raise nearly anything
        raise WeightsError(
            f"{path} is not used: it is damaged, or no checkpoint, or holds more than tensors and plain values, which "
            "could run a program; get the file from its publisher again."
        ) from error
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise WeightsError(f"{path} is no checkpoint: it does not hold tensors by name.")
    return content
