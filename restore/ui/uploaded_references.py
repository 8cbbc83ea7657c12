"""Reference pictures that came over HTTP: uploads, and which shot each of them is for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from restore.colour.references import MOST, Reference
from restore.errors import InputError, SettingsError
from restore.ui.uploads import name_among_uploads, still_there, uploaded


@dataclass(frozen=True)
class ServedReference(Reference):
    """A reference that lies on the server: nobody is told where."""

    def to_dict(self) -> dict[str, Any]:
        # Not under "path": what has a path counts as a file to Gradio's clients, which would ask for it.
        place = {name: value for name, value in super().to_dict().items() if name != "path"}
        return {"picture": Path(self.path).name, **place}


def as_kept(references: Sequence[Reference]) -> list[dict[str, Any]]:
    """What a job keeps of references that lie among the uploads, as JSON has it."""
    return [{"file": name_among_uploads(Path(each.path)), "shot": each.shot, "time": each.time} for each in references]


def kept_references(values: Sequence[Mapping[str, Any]]) -> tuple[Reference, ...]:
    """The references of which ``as_kept`` made ``values``; raises ``InputError`` where one is not kept any more."""
    found = []
    for value in values:
        path = still_there(value["file"])
        if path is None:
            raise InputError("A reference picture of this job is not kept any more: choose it again and run the same.")
        found.append(ServedReference(str(path), shot=value["shot"], time=value["time"]))
    return tuple(found)


def uploaded_references(
    files: Sequence[object] | None, shots: Sequence[object] | None = None, times: Sequence[object] | None = None
) -> tuple[Reference, ...]:
    """The references that a script uploaded: ``files`` are Gradio's file data.

    ``shots``, counted from 0, or ``times``, from the beginning of the clip, say for each of them which shot it is for;
    ``None`` among them is for every shot that has no other. Raises ``InputError`` for what is no upload, and
    ``SettingsError`` for places that do not belong to the files.
    """
    files = files or ()
    if len(files) > MOST:
        raise SettingsError(f"There are {len(files)} references, and at most {MOST} are used: leave some out.")
    for name, places in (("reference_shots", shots), ("reference_times", times)):
        if places is not None and len(places) != len(files):
            raise SettingsError(
                f"{name} has {len(places)} entries for {len(files)} references: give one for each, or null for none."
            )
    if any(None not in both for both in zip(shots or (), times or (), strict=False)):
        raise SettingsError("A reference has a shot and a time: give one of them, and null for the other.")
    return tuple(
        ServedReference(
            str(uploaded(file, "reference picture")),
            shot=None if shots is None else shots[number],  # type: ignore[arg-type]  # it says itself what is wrong
            time=None if times is None else times[number],  # type: ignore[arg-type]  # as above
        )
        for number, file in enumerate(files)
    )
