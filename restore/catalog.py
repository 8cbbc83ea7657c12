"""The catalogue of published checkpoints: what there is, where it comes from, and under which licence.

The data are in ``checkpoints/``, one file for each family of models and in it one table for each checkpoint, named as
users name the model. They are checked in full when they are read, so the rest of the program can rely on them.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from functools import cache
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any

from restore.errors import SettingsError

FOLDER = Path(__file__).with_name("checkpoints")
FAMILIES = ("upscale", "faces", "video", "interpolation", "colour")
"""The files of the catalogue, in the order in which models are listed."""
FIXED_SCALES = dict.fromkeys(
    ("compact-x4", "edvr", "basicvsr", "iconvsr", "basicvsr-pp", "realbasicvsr", "pp-msvsr"), 4
)
"""How many times the networks enlarge that have no argument for it, because they can do nothing else."""

REPO_TYPES = ("model", "space", "dataset")


@dataclass(frozen=True)
class Checkpoint:
    """One published file of weights, with the fields that its table in the catalogue has.

    - ``title``, ``description``: one line each, for the person who chooses; ``title_zh`` where the title is not a name
      that is the same in every language, ``description_zh`` in any case for a model that a stage offers
    - ``stages``: the stages that offer it; none for a file that is only used beside another one
    - ``network``, ``arguments``: what ``networks.build`` makes, and the numbers that belong to this checkpoint
    - ``container``: the key of the weights inside the published file, if it does not hold them bare
    - ``companions``: other entries that this one can work with, role = name of the entry
    - ``file``: the name as published; its ending says how it is read
    - ``member``: the name of the file of weights inside ``file``, where that is a zip archive
    - ``size``, ``sha256``: bytes, and the published hash: 64 digits, or the first 8 or more where only those are known,
      or nothing where nothing is published (the file then counts as unverified)
    - ``size_estimate``: where the size is not published, about how many bytes it will be, from the network's own
    - ``repo``, ``revision``: its home on the Hub, always pinned to a full commit; ``repo_type`` and ``repo_file`` where
      they differ from "model" and from ``file``
    - ``url``: the official address, the second source or the only one; one of Google Drive works as well
    - ``mirrors``: other addresses of the same bytes, tried last; only with a ``sha256``
    - ``package_file``: the path inside the package, for a model that is built in
    - ``licence``, ``commercial``: SPDX name where there is one; false where it forbids commercial use
    - ``source``: where the model comes from, the authors' repository or paper
    """

    name: str
    title: str
    description: str
    stages: tuple[str, ...]
    network: str
    file: str
    licence: str
    commercial: bool
    source: str
    arguments: Mapping[str, Any] = field(default_factory=dict, hash=False)
    title_zh: str | None = None
    description_zh: str | None = None
    container: str | None = None
    companions: Mapping[str, str] = field(default_factory=dict, hash=False)
    member: str | None = None
    size: int | None = None
    size_estimate: int | None = None
    sha256: str = ""
    repo: str | None = None
    repo_type: str = "model"
    repo_file: str | None = None
    revision: str | None = None
    url: str | None = None
    mirrors: tuple[str, ...] = ()
    package_file: str | None = None

    @property
    def addresses(self) -> tuple[str, ...]:
        """Every address outside the Hub, in the order to try."""
        return (*([] if self.url is None else [self.url]), *self.mirrors)

    @property
    def download_bytes(self) -> int | None:
        """How much there is to download, at least about; ``None`` where nobody knows."""
        return self.size or self.size_estimate

    @property
    def hub_file(self) -> str:
        """The path of the file inside ``repo``."""
        return self.repo_file or self.file

    @property
    def scale(self) -> int | None:
        """How many times the model enlarges, ``None`` for one that does not; known without making its network."""
        known = self.arguments.get("scale", self.arguments.get("upscale"))
        return FIXED_SCALES.get(self.network) if known is None else int(known)


_TYPES: Mapping[str, tuple[type, ...]] = {
    "stages": (list,),
    "arguments": (dict,),
    "companions": (dict,),
    "mirrors": (list,),
    "size": (int,),
    "size_estimate": (int,),
    "commercial": (bool,),
}
_PATTERNS: Mapping[str, tuple[str, str]] = {
    "name": (r"[A-Za-z0-9][A-Za-z0-9._+-]*", "letters, digits and . _ + -, because it becomes the name of a folder"),
    "file": (r"[A-Za-z0-9][A-Za-z0-9._+-]*", "a plain file name"),
    "member": (r"[A-Za-z0-9][A-Za-z0-9._+-]*", "a plain file name"),
    "sha256": (r"[0-9a-f]{8,64}", "8 to 64 lower-case hexadecimal digits"),
    "repo": (r"[A-Za-z0-9][\w.-]*/[\w.-]+", "owner/name on the Hub"),
    "revision": (r"[0-9a-f]{40}", "a full commit of 40 hexadecimal digits"),
    "url": (r"https?://\S+", "a web address"),
    "source": (r"https?://\S+", "a web address"),
}


def _entry(name: str, table: Mapping[str, Any]) -> Checkpoint:
    def wrong(problem: str) -> SettingsError:
        return SettingsError(f"The model catalogue is wrong at [{name}]: {problem}.")

    known = {f.name: f for f in fields(Checkpoint) if f.name != "name"}
    if unknown := sorted(set(table) - set(known)):
        raise wrong(f"unknown field {', '.join(unknown)}")
    needed = [f.name for f in known.values() if f.default is MISSING and f.default_factory is MISSING]
    if missing := [key for key in needed if key not in table]:
        raise wrong(f"missing field {', '.join(missing)}")
    for key, value in table.items():
        types = _TYPES.get(key, (str,))
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types) or value == "":
            raise wrong(f"{key} is {value!r}, which is not a value of type {types[0].__name__}")
    for key, (pattern, meaning) in _PATTERNS.items():
        value = name if key == "name" else table.get(key)
        if value is not None and not re.fullmatch(pattern, value):
            raise wrong(f"{key} is {value!r} and must be {meaning}")
    if not all(isinstance(stage, str) for stage in table["stages"]):
        raise wrong("stages must be a list of names")
    if table["stages"] and "description_zh" not in table:
        raise wrong("missing field description_zh, because a stage offers the model")
    for key in ("size", "size_estimate"):
        if table.get(key, 1) <= 0:
            raise wrong(f"{key} must be above zero")
    if ("member" in table) != table["file"].endswith(".zip"):
        raise wrong("a file that is a zip archive, and no other, needs the member that holds the weights")
    if not all(
        isinstance(mirror, str) and re.fullmatch(_PATTERNS["url"][0], mirror) for mirror in table.get("mirrors", [])
    ):
        raise wrong("mirrors must be a list of web addresses")
    if table.get("mirrors") and "sha256" not in table:
        raise wrong("mirrors need a sha256, which tells that they have the same file")
    if table.get("repo_type", "model") not in REPO_TYPES:
        raise wrong(f"repo_type must be one of {', '.join(REPO_TYPES)}")
    for key in ("repo_file", "package_file"):
        path = PurePosixPath(table.get(key, "x"))
        if path.is_absolute() or ".." in path.parts:
            raise wrong(f"{key} must be a relative path without '..'")
    if not {"repo", "url", "package_file"} & set(table):
        raise wrong("it needs a repo, a url or a package_file")
    if ("repo" in table) != ("revision" in table):
        raise wrong("repo and revision belong together")
    if {"repo_type", "repo_file"} & set(table) and "repo" not in table:
        raise wrong("repo_type and repo_file need a repo")

    lists = {key: tuple(value) for key, value in table.items() if isinstance(value, list)}
    return Checkpoint(name=name, **{**table, **lists})


def _tables(path: Path) -> Mapping[str, Mapping[str, Any]]:
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"The model catalogue {path} cannot be read: {error}.") from error
    if strays := [name for name, table in tables.items() if not isinstance(table, dict)]:
        raise SettingsError(f"The model catalogue is wrong: {strays[0]} stands outside any entry.")
    return tables


def read_catalogue(*paths: Path) -> Mapping[str, Checkpoint]:
    """Read and check the files of a catalogue together; the mapping is read-only and in the order of the files.

    Raises ``SettingsError`` that names the entry and the field for anything unknown, missing, malformed or twice there.
    """
    entries: dict[str, Checkpoint] = {}
    for path in paths:
        for name, table in _tables(path).items():
            if name in entries:
                raise SettingsError(f"The model catalogue is wrong at [{name}]: {path.name} has it a second time.")
            entries[name] = _entry(name, table)
    for entry in entries.values():
        for role, other in entry.companions.items():
            if not isinstance(other, str) or other not in entries:
                raise SettingsError(f"The model catalogue is wrong at [{entry.name}]: {role} is {other!r}, no entry.")
    return MappingProxyType(entries)


@cache
def checkpoints() -> Mapping[str, Checkpoint]:
    """Every checkpoint of the catalogue by name, read once."""
    return read_catalogue(*(FOLDER / f"{family}.toml" for family in FAMILIES))


def checkpoint(name: str) -> Checkpoint:
    """The checkpoint called ``name``; raises ``SettingsError`` with the closest names if there is none."""
    known = checkpoints()
    if name in known:
        return known[name]
    lower = {other.lower(): other for other in known}
    close = [lower[match] for match in difflib.get_close_matches(name.lower(), lower, n=3, cutoff=0.5)]
    hint = f"did you mean {' or '.join(close)}?" if close else "`python -m restore models` lists them all."
    raise SettingsError(f"There is no model called {name!r}: {hint}")
