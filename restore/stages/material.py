"""Which model ``auto`` stands for: by what the picture is of, and by the kind of device."""

from __future__ import annotations

from collections.abc import Mapping

from restore.inference.engine import Engine
from restore.models import BUILT_IN, choose

_MODELS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "photo": (("RealESRGAN_x4plus", "realesr-general-x4v3"), ("realesr-general-x4v3",)),
    "scan": (("realesr-general-x4v3", "RealESRGAN_x4plus"), ("realesr-general-x4v3",)),
    "illustration": (("RealESRGAN_x4plus_anime_6B", "realesr-animevideov3"), ("realesr-animevideov3",)),
    "faithful": (("RealESRNet_x4plus",), ()),
}
"""The models for each material on a graphics card and on a processor, the best first; the built-in one is the last."""

_PLURALS = {
    "photo": "photos",
    "scan": "old scans",
    "illustration": "illustrations",
    "faithful": "results with nothing invented",
}

MATERIALS = tuple(_MODELS)
"""What a picture can be of. A *scan* has noise, dust or JPEG damage; with *faithful* the model must invent nothing."""


def auto_candidates(material: str, device_type: str) -> tuple[str, ...]:
    """The models that ``auto`` takes for ``material`` on a ``"cpu"``, ``"cuda"`` or ``"mps"``, the best first.

    The first one that is on the machine or can be downloaded is taken; the last is the built-in one.
    """
    on_gpu, on_cpu = _MODELS[material]
    return (*(on_cpu if device_type == "cpu" else on_gpu), BUILT_IN)


def choose_for(material: str, engine: Engine) -> tuple[str, str]:
    """The model that ``auto`` takes for ``material``, and the sentence that says why.

    Where it is not the first choice, the warnings say how to get that one.
    """
    candidates = auto_candidates(material, engine.device.type)
    first, kind = candidates[0], _PLURALS[material]
    name, why_not_first = choose(candidates, engine)
    choice = f"the choice for {kind} on a {'processor' if engine.device.type == 'cpu' else 'graphics card'}"
    if why_not_first is None:
        return name, f"auto took {name}: {choice}."
    engine.warn(
        f"{first} is better for {kind} than {name}, which was used: `python -m restore fetch {first}` gets it, "
        "or says why it cannot."
    )
    return name, f"auto took {name}, because {first}, {choice}, {why_not_first}."
