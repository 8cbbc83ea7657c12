"""How much memory the work may use.

On the CPU there is no out-of-memory error to catch: the system ends the process. So the plan is made from what the
machine has free and from the limit of the process's control group, which is what a container really has.
"""

from __future__ import annotations

from pathlib import Path

import psutil
import torch

from restore.settings import Settings

_CGROUPS = Path("/sys/fs/cgroup")
_UNLIMITED = 2**60


def _number(path: Path) -> int | None:
    try:
        text = path.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None


def _inactive_file(path: Path) -> int:
    """Bytes of the page cache that the kernel drops before it refuses memory."""
    try:
        rows = dict(line.split() for line in path.read_text().splitlines())
    except (OSError, ValueError):
        return 0
    return int(rows.get("total_inactive_file", rows.get("inactive_file", 0)))


def cgroup_available(memberships: str, root: Path = _CGROUPS) -> int | None:
    """Bytes left in the tightest memory control group above the process, or ``None`` where nothing limits it.

    ``memberships`` is the text of ``/proc/self/cgroup``; versions 1 and 2 are understood.
    """
    left: list[int] = []
    for line in memberships.splitlines():
        _, controllers, group = line.split(":", 2)
        if controllers == "":
            base, limit_name, usage_name = root, "memory.max", "memory.current"
        elif "memory" in controllers.split(","):
            base, limit_name, usage_name = root / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes"
        else:
            continue
        # In a container the group's own path is often not visible; the root of the mount is then the group itself.
        for folder in {base, *(base / p for p in (Path(group.lstrip("/")), *Path(group.lstrip("/")).parents))}:
            limit, usage = _number(folder / limit_name), _number(folder / usage_name)
            if limit is not None and usage is not None and limit < _UNLIMITED:
                left.append(max(0, limit - usage + _inactive_file(folder / "memory.stat")))
    return min(left) if left else None


def is_out_of_memory(error: BaseException) -> bool:
    """Whether ``error`` says that memory could not be had: only CUDA has an exception of its own for it."""
    text = str(error)
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and ("out of memory" in text or "can't allocate memory" in text)
    )


def available(settings: Settings, device: torch.device) -> int:
    """Bytes that the work may use on ``device`` from now on, no more than a plan that is obeyed was made for."""
    free = _free(settings, device)
    return free if settings.planned_bytes is None else min(free, settings.planned_bytes)


def _free(settings: Settings, device: torch.device) -> int:
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(free + cached)
    amounts = [psutil.virtual_memory().available]
    try:
        group = cgroup_available(Path("/proc/self/cgroup").read_text())
    except OSError:
        group = None
    if group is not None:
        amounts.append(group)
    if settings.memory_bytes is not None:
        amounts.append(max(0, settings.memory_bytes - psutil.Process().memory_info().rss))
    return min(amounts)
