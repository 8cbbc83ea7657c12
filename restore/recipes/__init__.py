"""Recipes: chains of stages as JSON, by name for a kind of material, in a file, or as text for a link."""

from __future__ import annotations

from restore.recipes.files import load_recipe, save_recipe
from restore.recipes.links import decode, decode_chain, encode, refuse_paths
from restore.recipes.named import NamedRecipe, named_recipe, named_recipes

__all__ = [
    "NamedRecipe",
    "decode",
    "decode_chain",
    "encode",
    "load_recipe",
    "named_recipe",
    "named_recipes",
    "refuse_paths",
    "save_recipe",
]
