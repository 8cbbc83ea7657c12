"""The chain that the names and options of PaddleGAN's video tool stand for.

Source: https://github.com/PaddlePaddle/PaddleGAN, ``applications/tools/video-enhance.py``; its tool runs the models one
after the other, with a clip on the disk after each, and this program in one pass.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from restore.colour.references import for_every_shot
from restore.errors import SettingsError

if TYPE_CHECKING:
    from restore.stages import Stage

RENDER_FACTOR = 32
"""What PaddleGAN takes for DeOldify where nobody says otherwise."""

MINDIM = 360
"""The same of DeepRemaster: the shorter side of the frames that it looks at, in pixels."""


@dataclass(frozen=True)
class Options:
    """The options of PaddleGAN's tool by its own names; ``None`` and ``False`` are those that nobody gave.

    ``time_step`` (DAIN) is one divided by the number of times as many frames; ``remove_duplicates`` (DAIN) leaves out
    frames that repeat the one before. ``artistic`` and ``render_factor`` (DeOldify) choose the bolder model, and the
    size at which it looks. ``colorization``, ``reference_dir`` and ``mindim`` (DeepRemaster) ask for colours, those of
    the pictures in a folder, all of them for every shot whatever they are called, and for the shorter side of the
    frames that it looks at. ``num_frames`` is how many frames go through a recurrent model at a time.
    """

    time_step: float | None = None
    remove_duplicates: bool = False
    artistic: bool = False
    render_factor: int | None = None
    colorization: bool = False
    reference_dir: str | None = None
    mindim: int | None = None
    num_frames: int | None = None


def _dain(options: Options) -> list[dict[str, Any]]:
    given = {"time_step": options.time_step} if options.time_step is not None else {}
    return [{"stage": "interpolate", "model": "dain", **given, "remove_duplicates": options.remove_duplicates}]


def _deoldify(options: Options) -> list[dict[str, Any]]:
    model = "deoldify-artistic" if options.artistic else "deoldify-stable"
    factor = RENDER_FACTOR if options.render_factor is None else options.render_factor
    return [{"stage": "colorize", "model": model, "render_factor": factor}]


def _deepremaster(options: Options) -> list[dict[str, Any]]:
    mindim = {"mindim": MINDIM if options.mindim is None else options.mindim}
    steps = [{"stage": "clean", "model": "deepremaster", **mindim}]
    if options.colorization or options.reference_dir is not None:
        step: dict[str, Any] = {"stage": "colorize", "model": "deepremaster", **mindim}
        if options.reference_dir is not None:
            step["references"] = [each.to_dict() for each in for_every_shot(Path(options.reference_dir))]
        steps.append(step)
    return steps


def _enlarging(model: str, *, recurrent: bool) -> Callable[[Options], list[dict[str, Any]]]:
    def steps(options: Options) -> list[dict[str, Any]]:
        frames = {"num_frames": options.num_frames} if recurrent and options.num_frames is not None else {}
        return [{"stage": "upscale", "model": model, "scale": 4, **frames}]

    return steps


@dataclass(frozen=True)
class _Name:
    """What a name stands for, and the options that have a meaning for it."""

    steps: Callable[[Options], list[dict[str, Any]]]
    options: tuple[str, ...] = ()


_RECURRENT = ("num_frames",)

NAMES: Mapping[str, _Name] = {
    "DAIN": _Name(_dain, ("time_step", "remove_duplicates")),
    "DeepRemaster": _Name(_deepremaster, ("colorization", "reference_dir", "mindim")),
    "DeOldify": _Name(_deoldify, ("artistic", "render_factor")),
    "RealSR": _Name(_enlarging("realsr-df2k", recurrent=False)),
    "EDVR": _Name(_enlarging("edvr-l", recurrent=False)),
    "PPMSVSR": _Name(_enlarging("pp-msvsr", recurrent=True), _RECURRENT),
    "PPMSVSRLarge": _Name(_enlarging("pp-msvsr-l", recurrent=True), _RECURRENT),
    "BasicVSR": _Name(_enlarging("basicvsr", recurrent=True), _RECURRENT),
    "IconVSR": _Name(_enlarging("iconvsr", recurrent=True), _RECURRENT),
    "BasicVSRPlusPlus": _Name(_enlarging("basicvsr-pp", recurrent=True), _RECURRENT),
}
"""Every name that the tool knows, in its order; of the one that it misspells, the right spelling."""

ALIASES: Mapping[str, str] = {"BasiVSRPlusPlus": "BasicVSRPlusPlus", "BasicVSR++": "BasicVSRPlusPlus"}
"""Other spellings; the first is the one that PaddleGAN's tool takes."""

_BY_LOWER = {name.lower(): name for name in NAMES} | {alias.lower(): name for alias, name in ALIASES.items()}


def steps_from_process_order(order: Sequence[str], **options: Any) -> tuple[Stage, ...]:
    """The chain that PaddleGAN's ``--process_order`` stands for, such as ``["DAIN", "DeOldify", "PPMSVSR"]``.

    ``options`` are those of ``Options``. Case does not matter in the names. Raises ``SettingsError`` for a name or an
    option that there is not, for an option that none of the names has a use for, and for a value out of its range.
    """
    from restore.stages import LONGEST_CHAIN, parse_steps  # not above: the help of the command line names the names

    if isinstance(order, str) or not isinstance(order, Sequence) or not order:
        raise SettingsError(f"The process order is {order!r}: give a list of names, such as DAIN DeOldify PPMSVSR.")
    if len(order) > LONGEST_CHAIN:
        raise SettingsError(f"The process order has more than {LONGEST_CHAIN} names: leave some out.")
    names = [_known(name) for name in order]
    chosen = _options(options)
    for field in fields(Options):
        users = [name for name in NAMES if field.name in NAMES[name].options]
        if getattr(chosen, field.name) != field.default and not set(users) & set(names):
            raise SettingsError(
                f"{field.name} is for {', '.join(users)}, which the process order does not have: leave it out."
            )
    return parse_steps([step for name in names for step in NAMES[name].steps(chosen)])


def models_of(name: str) -> tuple[str, ...]:
    """The models that a name can stand for; raises ``SettingsError``."""
    known = _known(name)
    steps = [step for options in (Options(), Options(artistic=True)) for step in NAMES[known].steps(options)]
    return tuple(dict.fromkeys(step["model"] for step in steps))


def _known(name: object) -> str:
    known = _BY_LOWER.get(name.strip().lower()) if isinstance(name, str) else None
    if known is None:
        raise SettingsError(f"The process order has {name!r}, which is no model of it: use {', '.join(NAMES)}.")
    return known


def _options(given: Mapping[str, Any]) -> Options:
    known = [field.name for field in fields(Options)]
    if unknown := [name for name in given if name not in known]:
        raise SettingsError(f"The process order has no option {', '.join(unknown)}; it has {', '.join(known)}.")
    for name in ("remove_duplicates", "artistic", "colorization"):
        if not isinstance(given.get(name, False), bool):
            raise SettingsError(f"{name} is {given[name]!r}: give true or false.")
    if not isinstance(given.get("reference_dir"), str | None):
        raise SettingsError(f"reference_dir is {given['reference_dir']!r}: give the path of a folder as text.")
    return Options(**given)
