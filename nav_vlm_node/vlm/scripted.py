"""`ScriptedEngine`: a stand-in for tests. It has no model and looks at nothing; it says what it is told to say."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from nav_vlm_node.errors import UserError
from nav_vlm_node.view import View
from nav_vlm_node.vlm.protocol import (
    MAX_NEW_TOKENS,
    EngineCancelled,
    EngineDeadline,
    EngineInfo,
    EngineUnavailable,
    Token,
    VisualTokens,
)

Answers = Mapping[str, str] | Callable[[npt.NDArray[np.uint8], str], str] | str


@dataclass(frozen=True)
class ScriptedVisual(VisualTokens):
    """The image itself."""

    image: npt.NDArray[np.uint8]


class ScriptedEngine:
    """For tests only: answers from a table, a function of (image, query), or with one sentence.

    answers: a question that the table lacks gets "I do not know that place.".
    delay: seconds before each token (a word with the blank before it); a cancel wakes it.
    encode_delay: seconds that an encode takes.
    on_token: called with the index of each token before it is given out; it may block or raise.
    """

    def __init__(
        self,
        answers: Answers,
        *,
        view: View | None = None,
        delay: float = 0.0,
        encode_delay: float = 0.0,
        probability: float = 0.9,
        adapters: tuple[str, ...] = (),
        on_token: Callable[[int], None] | None = None,
    ) -> None:
        self._answers = answers
        self._delay = delay
        self._encode_delay = encode_delay
        self._probability = probability
        self._on_token = on_token
        view = view or View(projection="squash", width=64, height=64)
        self._info = EngineInfo("scripted", "", "none", "none", view, adapters)
        self._closed = False
        self.encoded = 0  # calls so far
        self.queries: list[str] = []  # asked so far

    @property
    def info(self) -> EngineInfo:
        return self._info

    def encode(self, image: npt.NDArray[np.uint8], *, timeout: float | None = None) -> VisualTokens:
        self._check_open()
        view = self._info.view
        if image.shape != (view.height, view.width, 3) or image.dtype != np.uint8:
            raise UserError(f"the image is {image.dtype} {image.shape}, not uint8 {(view.height, view.width, 3)}")
        if timeout is not None and timeout < self._encode_delay:
            time.sleep(timeout)
            raise EngineDeadline(f"encoding took longer than {timeout:g} s")
        time.sleep(self._encode_delay)
        self.encoded += 1
        return ScriptedVisual(image)

    def stream(
        self,
        visual: VisualTokens,
        query: str,
        *,
        max_new_tokens: int = MAX_NEW_TOKENS,
        cancel: threading.Event | None = None,
        timeout: float | None = None,
    ) -> Iterator[Token]:
        assert isinstance(visual, ScriptedVisual)
        self._check_open()
        self.queries.append(query)
        end = None if timeout is None else time.monotonic() + timeout
        for i, piece in enumerate(re.findall(r"\s*\S+", self._answer(visual.image, query))[:max_new_tokens]):
            if self._on_token is not None:
                self._on_token(i)
            cancel = cancel or threading.Event()
            wait = self._delay if end is None else min(self._delay, max(0.0, end - time.monotonic()))
            if cancel.wait(wait):
                raise EngineCancelled("canceled")
            if end is not None and time.monotonic() >= end:
                raise EngineDeadline(f"the answer took longer than {timeout:g} s")
            self._check_open()
            yield Token(piece, self._probability)

    def set_adapter(self, name: str) -> None:
        self._check_open()
        if name and name not in self._info.adapters:
            raise UserError(f"no adapter {name!r}: there are {', '.join(self._info.adapters) or 'none'}")
        self._info = replace(self._info, adapter=name)

    def close(self) -> None:
        self._closed = True

    def _answer(self, image: npt.NDArray[np.uint8], query: str) -> str:
        if isinstance(self._answers, str):
            return self._answers
        if callable(self._answers):
            return self._answers(image, query)
        return self._answers.get(query, "I do not know that place.")

    def _check_open(self) -> None:
        if self._closed:
            raise EngineUnavailable("the engine is closed")


def scripted_engine(answers: str | dict[str, str], **options: Any) -> ScriptedEngine:
    """A factory for the engine process: `SupervisedEngine.from_factory("nav_vlm_node.vlm.scripted:scripted_engine",
    {"answers": "Turn left 35 degrees.", "delay": 0.05})`. Options that are JSON-ready only."""
    if "adapters" in options:
        options["adapters"] = tuple(options["adapters"])
    return ScriptedEngine(answers, **options)
