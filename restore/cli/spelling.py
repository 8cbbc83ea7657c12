"""Words of the command line as PaddleGAN's video tool spells them, in the spelling of this program."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from restore.paddlegan_names import ALIASES

COMMANDS = ("run", "estimate")
"""The commands that take such words."""

OUTPUT = "output"
"""Where PaddleGAN's tool puts its results if nobody says it."""

SPELLINGS: Mapping[str, str] = {
    "--proccess-order": "--process-order",
    **{f"--{alias}-weight": f"--{name}-weight" for alias, name in ALIASES.items()},
}


def spelt_as_here(words: Sequence[str]) -> list[str]:
    """``words`` with hyphens for the underscores of options, and what is given by ``--input`` and ``--output`` first.

    ``--cpu`` becomes ``--device cpu``. What other commands are given stays as it is.
    """
    command, *rest = words or [""]
    if command not in COMMANDS:
        return list(words)
    files: dict[str, str] = {}
    others: list[str] = []
    left = iter(rest)
    for word in left:
        if word == "--":
            others += [word, *left]
        elif not word.startswith("--"):
            others.append(word)
        else:
            _take(word, left, files, others)
    if "--input" in files and command == "run":
        files.setdefault("--output", OUTPUT)
    return [command, *(files[name] for name in ("--input", "--output") if name in files), *others]


def _take(word: str, left: Iterator[str], files: dict[str, str], others: list[str]) -> None:
    """Put an option, with its value where that is one of the files, where it belongs."""
    name, equals, value = word.partition("=")
    name = name.replace("_", "-")
    name = SPELLINGS.get(name, name)
    if name in ("--input", "--output"):
        files[name] = value if equals else next(left, "")
    elif name == "--cpu":
        others += ["--device", "cpu"]
    else:
        others.append(name + equals + value)
