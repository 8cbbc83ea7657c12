"""Copies of published models in a repository of the user's own on the Hub, as safetensors with where they come from.

The repository gets a file for each model, an index that ``hub_mirror`` reads, and a model card.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx2
from huggingface_hub import CommitOperationAdd, HfApi
from safetensors.torch import save_file

from restore import checksums, downloads, hub_mirror, networks, weights
from restore.catalog import Checkpoint
from restore.errors import WeightsError
from restore.progress import Progress
from restore.settings import Settings
from restore.transfers import Transfer, interruptible

CARD = """\
---
license: other
tags:
- image-restoration
- video-restoration
---

# Copies of published networks

These files are copies, as safetensors, of weights that others have trained and published. Each stays under the licence
of its authors; `{index}` has the same facts for programs. Restore fetches from here with
`RESTORE_HUB_MIRROR={repository}`.

| file | licence | source | made of | sha256 of that | sha256 of the copy |
| --- | --- | --- | --- | --- | --- |
{rows}
"""


@dataclass(frozen=True)
class Mirror:
    """A repository on the Hub to which copies are uploaded, and what its index says so far."""

    repository: str
    records: Mapping[str, Mapping[str, Any]]

    def has(self, entry: Checkpoint) -> bool:
        """Whether it has a copy of the file that the catalogue means by ``entry``."""
        published = self.records.get(entry.name, {}).get("published", {})
        return entry.sha256 != "" and checksums.is_published(entry, str(published.get("sha256")))


def open_mirror(repository: str, progress: Progress, *, private: bool = False) -> Mirror:
    """The repository of that name, made if it is not there; raises ``WeightsError`` if that may not be."""
    if downloads.offline():
        raise WeightsError(f"HF_HUB_OFFLINE forbids to upload to {repository}: unset it.")

    def look(transfer: Transfer) -> Mapping[str, Mapping[str, Any]]:
        try:
            _api().create_repo(repository, private=private, exist_ok=True)
            index = hub_mirror.index_of(repository)
            if not _api().file_exists(repository, index.file):
                return {}
            path, _ = downloads.from_hub(index, transfer)
            return hub_mirror.records(path)
        except (httpx2.HTTPError, downloads.SourceError, OSError, ValueError) as error:
            raise _refused(repository, error) from error

    return Mirror(repository, interruptible(look, progress))


def publish(entry: Checkpoint, mirror: Mirror, settings: Settings, progress: Progress) -> Mirror:
    """Upload a copy of ``entry`` to ``mirror``, fetched if need be and checked; the mirror with it.

    Raises ``WeightsError`` if the file cannot be had, is not the published one, does not fit its network, or cannot be
    uploaded; ``Cancelled`` if ``progress`` is cancelled.
    """
    found = weights.obtain(entry, settings, progress)
    if entry.sha256 and not found.use.verified:
        raise WeightsError(f"{found.path} is not the published {entry.file}, so no copy of it is made: remove it.")
    with TemporaryDirectory(prefix="restore-mirror-") as folder:
        copy = Path(folder) / hub_mirror.file_of(entry)
        convert(entry, found.path, copy)
        record = {
            "file": copy.name,
            "size": copy.stat().st_size,
            "sha256": checksums.compute(copy),
            "title": entry.title,
            "licence": entry.licence,
            "commercial": entry.commercial,
            "source": entry.source,
            "published": {"file": entry.file, "sha256": found.use.sha256, "verified": found.use.verified},
        }
        changed = Mirror(mirror.repository, {**mirror.records, entry.name: record})
        progress.check()
        interruptible(lambda transfer: _upload(changed, entry, copy), progress)
    return changed


def convert(entry: Checkpoint, path: Path, target: Path) -> None:
    """Write the weights of ``entry`` in its published file at ``path`` to ``target``, as safetensors under our keys.

    Raises ``WeightsError`` if they do not fit the network.
    """
    state = networks.convert(entry.name, weights.load_checkpoint(path, entry.member))
    try:
        networks.build(entry.name).load_state_dict(state, strict=True, assign=True)
    except RuntimeError as error:
        raise WeightsError(
            f"{path.name} does not fit the network of {entry.name}, so no copy of it is made."
        ) from error
    notes = {"format": "pt", "model": entry.name, "licence": entry.licence, "source": entry.source}
    save_file({name: tensor.contiguous().clone() for name, tensor in state.items()}, target, notes)


def card(mirror: Mirror) -> str:
    """The model card: what there is, of what it was made, and under which licence."""
    rows = []
    for _, record in sorted(mirror.records.items()):
        published = record["published"]
        licence = record["licence"] + ("" if record["commercial"] else " (no commercial use)")
        digest = published["sha256"] + ("" if published["verified"] else " (none is published to compare with)")
        cells = (record["file"], licence, record["source"], published["file"], digest, record["sha256"])
        rows.append(f"| {' | '.join(cells)} |")
    return CARD.format(index=hub_mirror.INDEX, repository=mirror.repository, rows="\n".join(rows))


def _api() -> HfApi:
    return HfApi(endpoint=downloads.endpoint())


def _upload(mirror: Mirror, entry: Checkpoint, copy: Path) -> None:
    index = json.dumps({"models": dict(mirror.records)}, indent=1, ensure_ascii=False)
    files: dict[str, Path | bytes] = {
        copy.name: copy,
        hub_mirror.INDEX: index.encode(),
        "README.md": card(mirror).encode(),
    }
    try:
        _api().create_commit(
            mirror.repository,
            [CommitOperationAdd(name, content) for name, content in files.items()],
            commit_message=f"Add {entry.name}",
        )
    except (httpx2.HTTPError, OSError, ValueError) as error:
        raise _refused(mirror.repository, error) from error


def _refused(repository: str, error: Exception) -> WeightsError:
    response = getattr(error, "response", None)
    if isinstance(response, httpx2.Response) and response.status_code in (401, 403):
        return WeightsError(
            f"The Hub does not let you write to {repository}: set HF_TOKEN to a token of yours that may write there."
        )
    return WeightsError(f"{downloads.endpoint()}/{repository} cannot be written to: {error}")
