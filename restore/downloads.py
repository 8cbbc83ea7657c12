"""The published file of a checkpoint, downloaded from the pinned revision on the Hub or from another address.

``sources`` says where a checkpoint can be had. A download that broke off goes on where it stopped, and what arrived is
kept only if its sha256 is the published one.
"""

from __future__ import annotations

import os
from collections.abc import Callable
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
)
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import WeakFileLock, tqdm  # type: ignore[attr-defined]

from restore import caches, checksums, hub_mirror
from restore.catalog import Checkpoint
from restore.errors import WeightsError
from restore.transfers import Transfer
from restore.web_file import TIMEOUT_SECONDS, NotTheFileError, receive

# huggingface_hub reads its settings from the environment once, when it is imported; these two have no argument either.
# Its pieces of 10 MiB are too coarse for a progress bar and for a stop button on a slow line, and a transfer by hf_xet
# can be neither stopped nor resumed, where the plain HTTP one can.
constants.DOWNLOAD_CHUNK_SIZE = 64 * 1024
constants.HF_HUB_DISABLE_XET = True


class SourceError(Exception):
    """One source cannot give the file, but another one may; the message is a phrase about that source."""


@dataclass(frozen=True)
class Source:
    """A place that may have a file. ``fetch`` gives the file, downloaded and checked, and its sha256.

    ``fetch`` raises ``SourceError`` if another source is worth trying, ``WeightsError`` if not, ``Cancelled`` when
    stopped.
    """

    origin: str  # as the report calls it
    place: str  # as a message names it
    fetch: Callable[[Transfer], tuple[Path, str]]


def sources(entry: Checkpoint, mirror: str | None = None) -> list[Source]:
    """Where ``entry`` can be downloaded from, in the order to try; none for a model that is only in the package.

    ``mirror`` is a repository on the Hub that may have a copy (``hub_mirror``).
    """
    found: list[Source] = []
    if mirror is not None and (entry.repo is not None or entry.addresses):
        found.append(Source("mirror", f"{endpoint()}/{mirror}", partial(_from_mirror, entry, mirror)))
    if entry.repo is not None:
        found.append(Source("hub", _hub_place(entry), partial(from_hub, entry)))
    found += [Source("url", url, partial(_from_url, entry, url)) for url in entry.addresses]
    return found


def offline() -> bool:
    """Whether the environment forbids downloads."""
    return is_offline_mode() or os.environ.get("HF_HUB_OFFLINE", "").upper() in constants.ENV_VARS_TRUE_VALUES


def endpoint() -> str:
    """The address of the Hub, as the environment has it now."""
    return (os.environ.get("HF_ENDPOINT") or constants.ENDPOINT).rstrip("/")


def _hub_place(entry: Checkpoint) -> str:
    kind = "" if entry.repo_type == "model" else f"{entry.repo_type}s/"
    return f"{endpoint()}/{kind}{entry.repo} (file {entry.hub_file}, revision {entry.revision})"


def _from_mirror(entry: Checkpoint, mirror: str, transfer: Transfer) -> tuple[Path, str]:
    index, _ = from_hub(hub_mirror.index_of(mirror), transfer)
    try:
        copy = hub_mirror.copy_of(entry, mirror, index)
    except (OSError, ValueError) as error:
        raise SourceError(f"{endpoint()}/{mirror}: its index cannot be used ({error})") from error
    if copy is None:
        raise SourceError(f"{endpoint()}/{mirror}: it has no copy of {entry.file}")
    return from_hub(copy.file, transfer)


def from_hub(entry: Checkpoint, transfer: Transfer) -> tuple[Path, str]:
    """``entry`` from its repository on the Hub, as ``Source.fetch`` gives it."""
    assert entry.repo is not None
    hub, cache, place = endpoint(), caches.hub_cache(), _hub_place(entry)
    url = hf_hub_url(entry.repo, entry.hub_file, repo_type=entry.repo_type, revision=entry.revision, endpoint=hub)
    try:
        # hf_hub_download goes on asking a dead server for minutes: one question first, with one answer.
        get_hf_file_metadata(url, timeout=TIMEOUT_SECONDS, endpoint=hub)
        transfer.check()
        file = hf_hub_download(
            entry.repo,
            entry.hub_file,
            repo_type=entry.repo_type,
            revision=entry.revision,
            cache_dir=cache,
            endpoint=hub,
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
        raise SourceError(f"{place}: {_reason(error)}") from error
    path = Path(file)
    digest = checksums.sha256_of(path)
    _check(entry, path, digest, place)
    return path, digest


def _bar(transfer: Transfer) -> type[tqdm]:
    """A progress bar for huggingface_hub that draws nothing, tells ``transfer`` and passes on its request to stop."""

    class Bar(tqdm):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **{**options, "disable": True})  # type: ignore[no-untyped-call]
            transfer.begin(options.get("initial") or 0, options.get("total"))

        def update(self, n: float | None = 1) -> None:
            transfer.add(int(n or 0))

    return Bar


def _from_url(entry: Checkpoint, url: str, transfer: Transfer) -> tuple[Path, str]:
    target = caches.own_file(entry)
    part = target.with_name(target.name + ".incomplete")
    locks = caches.own_folder("locks")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        locks.mkdir(parents=True, exist_ok=True)
        with WeakFileLock(locks / f"{entry.name}.lock"):
            transfer.check()
            found = caches.in_own_cache(entry)
            if found is not None and (digest := checksums.intact(entry, found)) is not None:
                return found, digest  # another process was quicker
            try:
                receive(url, part, transfer, entry.size)
                digest = checksums.compute(part)
                _check(entry, part, digest, url)
                part.replace(target)
            finally:
                part.unlink(missing_ok=True)
            checksums.remember(target, digest)
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
        if _disk_error(error):
            raise WeightsError(f"{entry.file} cannot be stored in {target.parent}: {error}.") from error
        raise SourceError(f"{url}: {_reason(error)}") from error
    except NotTheFileError as error:
        raise SourceError(f"{url}: {error}") from error
    return target, digest


def _check(entry: Checkpoint, path: Path, digest: str, place: str) -> None:
    """Raise ``WeightsError`` if ``path``, which came from ``place``, is not the published file, after removing it."""
    if entry.sha256 and not checksums.is_published(entry, digest):
        checksums.discard(path, digest)
        raise WeightsError(
            f"{entry.file} from {place} is not the published file and was removed (its sha256 is {digest}, not "
            f"{entry.sha256}{'…' if len(entry.sha256) < 64 else ''}): try again later, or get the file from another "
            "place and name its folder in RESTORE_WEIGHTS."
        )


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
