"""What every engine does: encode an image once, then stream the answer to a question about it.

Nothing here imports torch. An engine answers one call at a time; calls from several threads wait for each other.
Mistakes that the user can put right (an unknown adapter, a question that is too long) are `UserError`; everything that
goes wrong while answering is an `EngineError`, whose `spoken` is a sentence that the wearer may hear.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from nav_vlm_node.view import View

MAX_NEW_TOKENS = 96


class Token(NamedTuple):
    """One generated token: the piece of text it adds (may be "") and the probability the model gave it, 0..1."""

    text: str
    probability: float


@dataclass(frozen=True)
class EngineInfo:
    """What is loaded. `adapter` is "" for the base model; `adapters` are the names that `set_adapter` takes."""

    model: str
    adapter: str
    device: str
    dtype: str
    view: View
    adapters: tuple[str, ...] = ()


class VisualTokens:
    """An encoded image, opaque: good for any number of questions to the engine that made it, under any adapter
    that leaves the vision side alone."""


class EngineError(RuntimeError):
    """An answer could not be given, or not to its end. The message is one line for a log."""

    spoken: ClassVar[str] = "Something went wrong while I was answering. Please ask again."


class EngineCancelled(EngineError):
    """The caller's `cancel` event was set; the tokens before it were real, the answer is not whole."""

    spoken = "Canceled."


class EngineDeadline(EngineError):
    """The call did not finish within its `timeout`."""

    spoken = "The answer took too long. Please ask again."


class EngineCrashed(EngineError):
    """The engine process died during the call; it is being started again."""

    spoken = "The guide stopped while answering and is starting again. Please ask again in a moment."


class EngineUnavailable(EngineError):
    """The engine is starting, starting again, or closed."""

    spoken = "The guide is not ready yet. Please ask again in a moment."


class EngineOutOfMemory(EngineError):
    """The device ran out of memory."""

    spoken = "The guide ran out of memory. Please ask again in a moment."


class VisualTokensExpired(EngineError):
    """These visual tokens are gone (the engine was restarted, or newer images took their place): encode again."""


@runtime_checkable
class Engine(Protocol):
    """A vision-language model that answers questions about an image."""

    @property
    def info(self) -> EngineInfo:
        """What is loaded now."""

    def encode(self, image: npt.NDArray[np.uint8], *, timeout: float | None = None) -> VisualTokens:
        """Encode an image once.

        image: uint8 [view.height, view.width, 3], RGB, already rectified to `info.view`.
        timeout: seconds from the call; None for no limit.
        Raises UserError for an image of another shape or type, EngineError.
        """

    def stream(
        self,
        visual: VisualTokens,
        query: str,
        *,
        max_new_tokens: int = MAX_NEW_TOKENS,
        cancel: threading.Event | None = None,
        timeout: float | None = None,
    ) -> Iterator[Token]:
        """Yield the answer's tokens as they are generated; the joined texts are the answer.

        cancel: looked at before each token; when set, EngineCancelled is raised.
        timeout: seconds from the call for the whole answer; None for no limit.
        Raises UserError for a question that does not fit, EngineError. Closing the iterator stops the generation.
        """

    def set_adapter(self, name: str) -> None:
        """Answer with this adapter from the next question on; "" is the base model. Raises UserError if unknown."""

    def close(self) -> None:
        """Free the model. Later calls raise EngineUnavailable. Safe to call twice."""
