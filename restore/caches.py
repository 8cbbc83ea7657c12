"""Where weights are kept between two runs of the program: the cache of the Hugging Face Hub, and our own beside it.

Our own is ``$HF_HOME/restore``: downloads from official addresses, the checksums that were computed, and locks. The
environment is obeyed as it is at the time of the call.
"""

from __future__ import annotations

import os
from pathlib import Path

from huggingface_hub import try_to_load_from_cache

from restore.catalog import Checkpoint


def _hf_home() -> Path:
    """``HF_HOME`` as it is now; huggingface_hub itself looks only once, when it is imported."""
    home = os.environ.get("HF_HOME")
    if not home:
        home = os.path.join(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "huggingface")  # noqa: PTH118
    return Path(os.path.expandvars(home)).expanduser()


def hub_cache() -> Path:
    """The folder of the Hub's cache; it may not exist yet."""
    folder = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE")
    return Path(os.path.expandvars(folder)).expanduser() if folder else _hf_home() / "hub"


def own_folder(name: str) -> Path:
    """The folder ``name`` of our own cache, as ``weights``, ``checksums`` or ``locks``; it may not exist yet."""
    return _hf_home() / "restore" / name


def own_file(entry: Checkpoint) -> Path:
    """Where the file of ``entry`` is kept if it comes from its official address, whether it is there or not."""
    return own_folder("weights") / entry.name / entry.file


def in_hub_cache(entry: Checkpoint) -> Path | None:
    """The file of ``entry`` in the Hub's cache, at the pinned revision, if it is there."""
    if entry.repo is None:
        return None
    path = try_to_load_from_cache(
        entry.repo, entry.hub_file, cache_dir=hub_cache(), revision=entry.revision, repo_type=entry.repo_type
    )
    return Path(path) if isinstance(path, str) else None


def in_own_cache(entry: Checkpoint) -> Path | None:
    """The file of ``entry`` that was downloaded from one of its addresses outside the Hub, if it is there."""
    path = own_file(entry)
    return path if entry.addresses and path.is_file() else None
