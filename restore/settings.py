"""Every environment variable that this package reads, and every limit, in one place.

Variables of the libraries below (``HF_ENDPOINT``, ``HF_HUB_OFFLINE``, ``HF_TOKEN``, ``HF_HOME``, ``GRADIO_TEMP_DIR``)
keep their own meaning and are not repeated here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from restore.errors import SettingsError

if TYPE_CHECKING:
    from restore.segments.flow import Lender

MEGA = 1_000_000
MEBI = 2**20
GIBI = 2**30
MINUTE = 60
HOUR = 3600


@dataclass(frozen=True)
class Settings:
    """The limits and choices of one process; see ``VARIABLES`` for the names and their meaning.

    ``weight_files`` are the files of single models by their names, which no variable gives.
    """

    max_file_bytes: int = 256 * MEBI
    max_input_pixels: int = 80 * MEGA
    max_output_pixels: int = 300 * MEGA
    max_clip_bytes: int = 20 * GIBI
    max_clip_seconds: int = 3 * HOUR
    min_free_bytes: int = 1000 * MEBI
    memory_bytes: int | None = None
    device: str = "auto"
    precision: str = "auto"
    tile: int | None = None
    weights: tuple[Path, ...] = ()
    weight_files: tuple[tuple[str, Path], ...] = ()
    hub_mirror: str | None = None
    keep_seconds: int = 24 * HOUR
    keep_bytes: int = 10_000 * MEBI
    max_waiting: int = 50
    work_dir: Path | None = None
    work_keep_seconds: int = 7 * 24 * HOUR
    work_keep_bytes: int = 20_000 * MEBI
    segment_seconds: float = 4
    # What a plan was made for that is taken up again, in bytes; no environment variable.
    planned_bytes: int | None = None
    # Who has the hardware for clips where this process has none; no environment variable.
    lender: Lender | None = field(default=None, repr=False, compare=False)
    # The names and passwords of those who may use the page; they belong in no log.
    login: tuple[tuple[str, str], ...] = field(default=(), repr=False)


VARIABLES: Mapping[str, str] = {
    "RESTORE_MAX_FILE_MB": "largest picture file that is opened, in MiB (256)",
    "RESTORE_MAX_INPUT_MEGAPIXELS": "largest picture, or frame of a clip, that is decoded, in millions of pixels (80)",
    "RESTORE_MAX_OUTPUT_MEGAPIXELS": "largest picture or frame that is made, in millions of pixels (300)",
    "RESTORE_MAX_CLIP_MB": "largest clip that is opened, in MiB (20480; 2048 on a Space or with a public link)",
    "RESTORE_MAX_CLIP_MINUTES": "longest clip, or part cut out of one, that is restored, in minutes (180)",
    "RESTORE_MIN_FREE_MB": "room that a restored clip has to leave free on the disk, in MiB (1000)",
    "RESTORE_MEMORY_MB": "memory that the process may use, in MiB (what the machine or its container allows)",
    "RESTORE_DEVICE": "auto, cpu, cuda, cuda:N or mps (auto)",
    "RESTORE_PRECISION": "auto, float32, bfloat16 or float16 for the body of a network (auto)",
    "RESTORE_TILE": "side of a tile in pixels of the input (chosen from the memory that is free)",
    "RESTORE_WEIGHTS": f"folders with local checkpoints, looked in first, separated by {os.pathsep!r} (none)",
    "RESTORE_HUB_MIRROR": "OWNER/REPO on the Hub that has copies of models, asked first (none)",
    "RESTORE_KEEP_HOURS": "how long the page's server keeps uploads and results, in hours (24)",
    "RESTORE_KEEP_MB": "room that the results may take together before the oldest go, in MiB (10000)",
    "RESTORE_QUEUE": "jobs that may wait at once; more are refused (50)",
    "RESTORE_WORK_DIR": "folder for the segments of clips in work, from which a run goes on (restore/work in HF_HOME)",
    "RESTORE_WORK_HOURS": "how long such segments are kept after they were last of use, in hours (168)",
    "RESTORE_WORK_MB": "room that they may take together before the oldest go, in MiB (20000)",
    "RESTORE_SEGMENT_SECONDS": "seconds of a clip after which a segment ends at the next cut (4)",
    "RESTORE_LOGIN": "who may use the page: name:password, several separated by commas (everybody)",
}

PUBLIC_MAX_CLIP_BYTES = 2 * GIBI
"""The largest clip where anybody may send one: what is sent stays on the disk for as long as it is kept."""

REPOSITORY = r"[A-Za-z0-9][\w.-]*/[\w.-]+"
"""What the name of a repository on the Hub looks like."""

PRECISIONS = ("auto", "float32", "bfloat16", "float16")


def is_public(environ: Mapping[str, str]) -> bool:
    """Whether the page is served to everybody: as a Space, or under a link of Gradio's."""
    return "SPACE_ID" in environ or environ.get("GRADIO_SHARE", "").lower() == "true"


def _positive(environ: Mapping[str, str], name: str, factor: int) -> int | None:
    """A variable as a whole number above zero, multiplied by ``factor``; ``None`` where it is not set."""
    text = environ.get(name, "").strip()
    if not text:
        return None
    try:
        value = float(text) * factor
    except ValueError:
        value = float("nan")
    if not 1 <= value < 2**63:
        least = "1 or more" if factor == 1 else "above zero"
        raise SettingsError(f"{name} is {text!r}: give a number, {least} ({VARIABLES[name]}).")
    return int(value)


def _folders(environ: Mapping[str, str], name: str) -> tuple[Path, ...]:
    """The folders that a variable lists, ``~`` made the home folder it stands for."""
    parts = [part for part in environ.get(name, "").split(os.pathsep) if part.strip()]
    try:
        return tuple(Path(part).expanduser() for part in parts)
    except RuntimeError as error:  # what pathlib says of a home folder that is not known
        raise SettingsError(f"{name} names the home folder of somebody unknown: give the whole path.") from error


def _repository(environ: Mapping[str, str], name: str) -> str | None:
    """A repository on the Hub; ``None`` where the variable is not set."""
    text = environ.get(name, "").strip()
    if text and not re.fullmatch(REPOSITORY, text):
        raise SettingsError(f"{name} is {text!r}: give OWNER/REPO, as in the address of the repository.")
    return text or None


def _login(environ: Mapping[str, str], name: str) -> tuple[tuple[str, str], ...]:
    """The pairs of name and password that a variable lists; an error quotes none of it."""
    pairs = [pair.strip().partition(":") for pair in environ.get(name, "").split(",") if pair.strip()]
    if not all(user and password for user, _, password in pairs):
        raise SettingsError(f"{name} has a part that is not name:password: give pairs, separated by commas.")
    return tuple((user, password) for user, _, password in pairs)


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings from ``environ``, by default the process's own; raises ``SettingsError``."""
    environ = os.environ if environ is None else environ
    default = Settings()
    max_clip_bytes = PUBLIC_MAX_CLIP_BYTES if is_public(environ) else default.max_clip_bytes
    precision = environ.get("RESTORE_PRECISION", "").strip().lower() or default.precision
    if precision not in PRECISIONS:
        raise SettingsError(f"RESTORE_PRECISION is {precision!r}: give one of {', '.join(PRECISIONS)}.")
    return Settings(
        max_file_bytes=_positive(environ, "RESTORE_MAX_FILE_MB", MEBI) or default.max_file_bytes,
        max_input_pixels=_positive(environ, "RESTORE_MAX_INPUT_MEGAPIXELS", MEGA) or default.max_input_pixels,
        max_output_pixels=_positive(environ, "RESTORE_MAX_OUTPUT_MEGAPIXELS", MEGA) or default.max_output_pixels,
        max_clip_bytes=_positive(environ, "RESTORE_MAX_CLIP_MB", MEBI) or max_clip_bytes,
        max_clip_seconds=_positive(environ, "RESTORE_MAX_CLIP_MINUTES", MINUTE) or default.max_clip_seconds,
        min_free_bytes=_positive(environ, "RESTORE_MIN_FREE_MB", MEBI) or default.min_free_bytes,
        memory_bytes=_positive(environ, "RESTORE_MEMORY_MB", MEBI) or default.memory_bytes,
        device=environ.get("RESTORE_DEVICE", "").strip().lower() or default.device,
        precision=precision,
        tile=_positive(environ, "RESTORE_TILE", 1) or default.tile,
        weights=_folders(environ, "RESTORE_WEIGHTS"),
        hub_mirror=_repository(environ, "RESTORE_HUB_MIRROR"),
        keep_seconds=_positive(environ, "RESTORE_KEEP_HOURS", HOUR) or default.keep_seconds,
        keep_bytes=_positive(environ, "RESTORE_KEEP_MB", MEBI) or default.keep_bytes,
        max_waiting=_positive(environ, "RESTORE_QUEUE", 1) or default.max_waiting,
        work_dir=next(iter(_folders(environ, "RESTORE_WORK_DIR")), default.work_dir),
        work_keep_seconds=_positive(environ, "RESTORE_WORK_HOURS", HOUR) or default.work_keep_seconds,
        work_keep_bytes=_positive(environ, "RESTORE_WORK_MB", MEBI) or default.work_keep_bytes,
        segment_seconds=_positive(environ, "RESTORE_SEGMENT_SECONDS", 1) or default.segment_seconds,
        login=_login(environ, "RESTORE_LOGIN"),
    )
