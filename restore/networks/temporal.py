"""What whoever runs a network for clips must know about it, and the one way in which it is run."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import torch
from torch import Tensor, nn

State = TypeVar("State")


@dataclass(frozen=True)
class TemporalTraits:
    """The needs and costs of a network that looks at several frames. Pixels are those of its input."""

    scale: int
    """How many times larger the output is."""

    context: int
    """Frames after a window that the network is given by default and whose results are thrown away."""

    needed_context: int
    """Frames after a window that the network cannot do without; recurrent ones need none, with a loss at the joint."""

    reach: int
    """Pixels around a tile: how far flow and offsets look, roughly; what lies farther away hardly matters."""

    values_per_frame: int
    """Numbers kept for each pixel of each frame of a window, its context included, while the window is worked on."""

    values_at_once: int
    """Numbers for each pixel of a frame that the largest step holds beside those."""

    values_of_block: int
    """Numbers that the last layers hold, which work on a frame block by block, so whatever its size."""

    macs_per_frame: int
    """Multiply-accumulate operations for each pixel of a frame whose result is wanted."""

    macs_per_context_frame: int
    """The same for a frame of the context, which takes no part in the last steps."""

    float32: frozenset[str] = frozenset()
    """Names of the layers that stay in float32 whatever the rest runs in: flow, deformable and last ones."""

    modest_bytes: int = 4 * 10**9
    """What a window takes at most on a processor where nobody has set a limit: other work needs memory too."""

    smallest_window: int = 6
    """Frames of a window, its context included, below which frames are cut into tiles instead; see ``shortest``."""

    @property
    def shortest(self) -> int:
        """Frames that a window has at least, the context that the network cannot do without included."""
        return self.smallest_window + self.needed_context

    @property
    def worth_per_frame(self) -> float:
        """Frames of context for each whose result is wanted, at which everything costs 1.5 times the plain way."""
        return self.macs_per_frame / (2 * max(1, self.macs_per_context_frame))


class WindowedNetwork(Protocol[State]):
    """A network that goes through a shot window by window and hands a state from each to the next."""

    def window(
        self, frames: Tensor, state: State | None, keep: int, last: bool
    ) -> Generator[Tensor, None, State]:  # pragma: no cover - a protocol
        """Enlarge the first ``keep`` of ``frames (N, T, 3, H, W)``, R'G'B' in [0, 1].

        The other frames are context: the next window begins with them. ``state`` is what the window before returned,
        ``None`` at the start of a shot; ``last`` says that the shot ends with these frames. Yields ``(N, 3, 4H, 4W)``,
        not clamped, for each frame in order; the generator's return value is the state for the next window.
        """
        ...


class Recurrence(nn.Module, Generic[State]):
    """Runs a whole clip as a single window; the base of the networks for clips."""

    def window(self, frames: Tensor, state: State | None, keep: int, last: bool) -> Generator[Tensor, None, State]:
        raise NotImplementedError

    def forward(self, clip: Tensor) -> Tensor:
        """``clip (N, T, 3, H, W)``, R'G'B' in [0, 1], to ``(N, T, 3, 4H, 4W)``, not clamped; T may be 1."""
        return torch.stack(list(self.window(clip, None, clip.shape[1], True)), dim=1)
