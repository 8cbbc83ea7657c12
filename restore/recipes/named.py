"""The recipes that come with the program, by the kind of material that they are for: ``by_material.toml``."""

from __future__ import annotations

import difflib
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from restore.errors import SettingsError
from restore.stages import Stage, parse_steps, recipe

FILE = Path(__file__).with_name("by_material.toml")


@dataclass(frozen=True)
class NamedRecipe:
    """A chain that suits a kind of material; title and description are one line each, in English and in Chinese."""

    name: str
    title: str
    title_zh: str
    description: str
    description_zh: str
    steps: tuple[Stage, ...]

    def to_dict(self) -> dict[str, Any]:
        """The recipe as JSON has it, with its words in English."""
        return {"title": self.title, "description": self.description, **recipe(self.steps)}


@cache
def named_recipes() -> MappingProxyType[str, NamedRecipe]:
    """All of them by name, in the order in which they are offered."""
    tables = tomllib.loads(FILE.read_text(encoding="utf-8"))
    return MappingProxyType(
        {
            name: NamedRecipe(
                name,
                table["title"],
                table["title_zh"],
                table["description"],
                table["description_zh"],
                parse_steps(table["steps"]),
            )
            for name, table in tables.items()
        }
    )


def named_recipe(name: str) -> NamedRecipe:
    """The recipe ``name``, such as ``"silent-film"`` or ``"Silent film"``; raises ``SettingsError``."""
    known = named_recipes()
    wanted = name.strip().lower().replace(" ", "-").replace("_", "-")
    if wanted not in known:
        near = difflib.get_close_matches(wanted, known, 1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise SettingsError(f"There is no recipe {name!r}: use one of {', '.join(known)}.{hint}")
    return known[wanted]
