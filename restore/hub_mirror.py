"""A repository of the user's own on the Hub that has copies of published models, as ``hub_upload`` makes it.

``index.json`` in it says which models there are, of which published file each is a copy, and the sha256 of the copy. A
copy is used only if it has that sha256 and was made of the file that the catalogue means.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from restore import caches, checksums
from restore.catalog import Checkpoint

INDEX = "index.json"
BRANCH = "main"


@dataclass(frozen=True)
class Copy:
    """A model in a mirror: ``file`` is what to fetch and to check, ``verified`` whether it was made of the real one."""

    file: Checkpoint
    verified: bool


def index_of(mirror: str) -> Checkpoint:
    """The index of the repository ``mirror`` as a file that can be fetched."""
    return Checkpoint(
        name=mirror.replace("/", "--"),
        title=mirror,
        description="The index of a mirror",
        stages=(),
        network="",
        file=INDEX,
        repo=mirror,
        revision=BRANCH,
        licence="",
        commercial=False,
        source=f"https://huggingface.co/{mirror}",
    )


def records(index: Path) -> dict[str, Mapping[str, Any]]:
    """What the index at ``index`` says, by the names of the models; raises ``ValueError`` if that makes no sense."""
    content = json.loads(index.read_text(encoding="utf-8"))
    models = content.get("models") if isinstance(content, dict) else None
    if not isinstance(models, dict) or not all(isinstance(record, dict) for record in models.values()):
        raise ValueError("it does not list models")
    return models


def file_of(entry: Checkpoint) -> str:
    """What the copy of ``entry`` is called in a mirror."""
    return f"{entry.name}.safetensors"


def copy_of(entry: Checkpoint, mirror: str, index: Path) -> Copy | None:
    """The copy of ``entry`` in ``mirror`` that its index at ``index`` lists; ``None`` if it has none of that file.

    ``index`` lies in the Hub's cache, where the folder of a file is called after its commit. Raises ``ValueError`` if
    the index makes no sense.
    """
    record = records(index).get(entry.name)
    if record is None:
        return None
    published = record.get("published")
    sha256, size = record.get("sha256"), record.get("size")
    if not isinstance(published, dict) or not isinstance(sha256, str) or len(sha256) != 64 or not isinstance(size, int):
        raise ValueError(f"it says too little about {entry.name}")
    if entry.sha256 and not checksums.is_published(entry, str(published.get("sha256"))):
        return None
    file = replace(
        entry,
        file=file_of(entry),
        member=None,
        size=size,
        size_estimate=None,
        sha256=sha256,
        repo=mirror,
        repo_type="model",
        repo_file=None,
        revision=index.parent.name,
        url=None,
        mirrors=(),
    )
    return Copy(file, bool(published.get("verified")) and bool(entry.sha256))


def cached(entry: Checkpoint, mirror: str) -> Copy | None:
    """The copy of ``entry`` in ``mirror`` that the index in the Hub's cache lists, if there is one."""
    index = caches.in_hub_cache(index_of(mirror))
    try:
        return None if index is None else copy_of(entry, mirror, index)
    except (OSError, ValueError):  # then the index is fetched again, which says what is wrong with it
        return None
