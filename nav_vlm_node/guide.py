"""Frame and question to `Instruction`: the whole pipeline, without ROS.

    check question and picture -> rectify -> encode -> stream -> guard clause by clause, then the whole -> render

`nav-vlm ask`, the node, replay and the walker all answer through `Guide.answer`, so they answer the same.
"""

from __future__ import annotations

import math
import threading
import time
import unicodedata
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from nav_vlm_node import guard
from nav_vlm_node.errors import UserError
from nav_vlm_node.frames import Frame, Image, QualityLimits, quality_problem
from nav_vlm_node.guard import Limits
from nav_vlm_node.instruction import NAN, Action, Instruction, Status, Step
from nav_vlm_node.language import Style, complete_clauses, landmark_of, parse, render
from nav_vlm_node.replies import LONG_QUESTION, NO_QUESTION, RETRACTED, SPOKEN, TOO_LATE, say
from nav_vlm_node.view import Camera, Rectifier, Rig, View
from nav_vlm_node.vlm.confidence import confidence as confidence_of
from nav_vlm_node.vlm.protocol import (
    MAX_NEW_TOKENS,
    Engine,
    EngineCancelled,
    EngineError,
    EngineUnavailable,
    Token,
    VisualTokens,
    VisualTokensExpired,
)

ENCODINGS_KEPT = 4


@dataclass(frozen=True, kw_only=True)
class GuideOptions:
    """How the wearer carries the camera, how they want to be told, and when to keep quiet.

    hfov: radians across the delivered picture's width, used where the frame brings no camera.
    max_image_age, max_answer_age: seconds by the frame's clock, before looking and when the answer is ready.
    """

    rig: Rig = Rig()
    hfov: float = math.radians(70)
    style: Style = Style()
    limits: Limits = Limits()
    quality: QualityLimits = QualityLimits()
    max_query_length: int = 500
    max_new_tokens: int = MAX_NEW_TOKENS
    max_image_age: float = 0.5
    max_answer_age: float = 3.0


@dataclass(frozen=True, kw_only=True)
class Listener:
    """Who watches an answer being made; called on the thread that answers.

    on_stage: "looking", "answering", "checking". on_text: the UNCHECKED text so far, for a screen.
    on_clause: a checked clause in the wearer's words, which may be spoken.
    """

    on_stage: Callable[[str], None] = lambda stage: None
    on_text: Callable[[str], None] = lambda text: None
    on_clause: Callable[[str], None] = lambda clause: None


SILENT = Listener()
DEFAULTS = GuideOptions()


@dataclass
class _Answer:
    """An answer while it is made."""

    query: str
    query_id: str
    priority: int
    started: float  # time.monotonic()
    frame: Frame | None
    now: Callable[[], float] | None
    language: str
    hold: bool
    model: str = ""
    adapter: str = ""
    text: str = ""
    tokens: list[Token] = field(default_factory=list)
    released: list[str] = field(default_factory=list)
    sent_somewhere: bool = False  # a released clause gave a direction

    @property
    def image_age(self) -> float:
        return NAN if self.now is None or self.frame is None else self.now() - self.frame.stamp

    def expired(self, options: GuideOptions) -> str | None:
        """Why an answer that comes now is about another time; None if it is not, or where age does not matter."""
        if self.now is None or timely(age := self.image_age, options):
            return None
        return f"the image was {age:.1f} s old by then; max_answer_age is {options.max_answer_age:g} s"

    def instruction(
        self,
        status: Status,
        text: str = "",
        *,
        steps: tuple[Step, ...] = (),
        confidence: float = 0.0,
        message: str = "",
    ) -> Instruction:
        return Instruction(
            query_id=self.query_id,
            query=self.query,
            status=status,
            text=say(text or SPOKEN[status], self.language),
            steps=steps,
            confidence=confidence,
            priority=self.priority,
            latency=time.monotonic() - self.started,
            image_age=self.image_age,
            stamp=NAN if self.frame is None else self.frame.stamp,
            frame_id="" if self.frame is None else self.frame.frame_id,
            model=self.model,
            adapter=self.adapter,
            message=message,
            released=tuple(self.released),
        )


def timely(age: float, options: GuideOptions) -> bool:
    """Whether an answer about a picture that is so old [s] may be given now."""
    # Negative where the clock was set back meanwhile (a bag that starts again): nobody knows how old it is.
    return -options.max_image_age <= age <= options.max_answer_age


def query_problem(query: str, max_length: int) -> tuple[str, str] | None:
    """(sentence to speak, reason for the log) where `query` is no question; None where it can be asked."""
    if len(query) > max_length:
        return LONG_QUESTION, f"the question has {len(query)} characters; send at most {max_length}"
    if not any(character.isalnum() for character in query):
        return NO_QUESTION, "the question has no words; send some"
    for character in query.strip():
        if unicodedata.category(character) in ("Cc", "Cs") and character not in "\t\r\n":
            return SPOKEN[
                Status.INVALID_QUERY
            ], f"the question has the control character {character!r}; send plain text"
    return None


def refusal(
    status: Status,
    query: str,
    *,
    text: str | None = None,
    query_id: str = "",
    priority: int = 0,
    latency: float = NAN,
    message: str = "",
) -> Instruction:
    """The instruction for a question that is not looked at, and why. text: None for the status's own sentence."""
    return Instruction(
        query_id=query_id,
        query=query[:1000],
        status=status,
        text=SPOKEN[status] if text is None else text,
        priority=priority,
        latency=latency,
        message=message,
    )


class Guide:
    """Answers questions about frames with one engine, one at a time; `options` may be replaced in between."""

    def __init__(self, engine: Engine, options: GuideOptions = DEFAULTS) -> None:
        self.engine = engine
        self.options = options
        self._rectifiers: dict[tuple[Camera, Rig, View], Rectifier] = {}
        self._encodings: deque[tuple[Frame, GuideOptions, VisualTokens]] = deque(maxlen=ENCODINGS_KEPT)

    def warm_up(self) -> None:
        """Go once through everything that loads or compiles lazily, so that the wearer's first question does not wait.

        Raises UserError or EngineError where the engine does not work.
        """
        noise = np.random.default_rng(0).integers(0, 256, (240, 320, 3), np.uint8)
        quality_problem(noise, self.options.quality)
        visual = self.engine.encode(self._rectified(Frame(noise)))
        for token in self.engine.stream(visual, "Where is the door?", max_new_tokens=2):
            complete_clauses(token.text)

    def forget(self) -> None:
        """Drop what is kept of earlier frames: time has jumped, or the engine is another."""
        self._encodings.clear()

    def answer(
        self,
        frame: Frame,
        query: str,
        *,
        query_id: str = "",
        priority: int = 0,
        now: Callable[[], float] | None = None,
        started: float | None = None,
        timeout: float | None = None,
        listener: Listener = SILENT,
        cancel: threading.Event | None = None,
        hold: bool = False,
    ) -> Instruction:
        """What to tell the wearer. Never raises for what a camera, a question or an engine can do.

        now: the clock of `frame.stamp`, seconds; None where age does not matter (a file).
        started: time.monotonic() when the question arrived. timeout: seconds from now that the engine may take.
        cancel: looked at before each token. hold: let out nothing but warnings before the answer is whole.
        """
        began = time.monotonic() if started is None else started
        answer = _Answer(query, query_id, priority, began, frame, now, self.options.style.language, hold)
        problem = query_problem(query, self.options.max_query_length)
        if problem is not None:
            spoken, why = problem
            return replace(answer.instruction(Status.INVALID_QUERY, spoken, message=why), query=query[:1000])
        if (
            not -self.options.max_image_age <= (age := answer.image_age) <= self.options.max_image_age
            and now is not None
        ):
            return answer.instruction(Status.STALE_IMAGE, message=_stale(age, self.options.max_image_age))
        try:
            return self._look_and_answer(answer, frame, listener, cancel, timeout)
        except EngineCancelled as error:
            return answer.instruction(Status.CANCELED, message=str(error))
        except EngineUnavailable as error:
            return answer.instruction(Status.NOT_READY, message=f"{type(error).__name__}: {error}")
        except EngineError as error:
            return answer.instruction(Status.ERROR, error.spoken, message=f"{type(error).__name__}: {error}")

    def _look_and_answer(
        self, answer: _Answer, frame: Frame, listener: Listener, cancel: threading.Event | None, timeout: float | None
    ) -> Instruction:
        end = None if timeout is None else time.monotonic() + timeout
        listener.on_stage("looking")
        problem = quality_problem(frame.image, self.options.quality)
        if problem is not None:
            return answer.instruction(Status.POOR_IMAGE, problem, message=problem)
        info = self.engine.info
        answer.model, answer.adapter = info.model, info.adapter
        try:
            visual = self._encode(frame, end)
        except UserError as error:
            return answer.instruction(Status.POOR_IMAGE, message=str(error))
        listener.on_stage("answering")
        try:
            try:
                count = self._stream(answer, visual, listener, cancel, end)
            except VisualTokensExpired:  # the engine was restarted since this frame was encoded
                self.forget()
                answer.text, answer.tokens = "", []
                count = self._stream(answer, self._encode(frame, end), listener, cancel, end)
        except UserError as error:
            return answer.instruction(Status.INVALID_QUERY, message=str(error))
        listener.on_stage("checking")
        return self._judge(answer, truncated=count >= self.options.max_new_tokens)

    def _encode(self, frame: Frame, end: float | None) -> VisualTokens:
        for known, options, visual in list(self._encodings):  # `forget` is called on another thread
            if known is frame and options == self.options:
                return visual
        visual = self.engine.encode(self._rectified(frame), timeout=_left(end))
        self._encodings.append((frame, self.options, visual))
        return visual

    def _rectified(self, frame: Frame) -> Image:
        height, width = frame.image.shape[:2]
        camera = frame.camera or Camera.from_fov(width, height, self.options.hfov)
        key = (camera, self.options.rig, self.engine.info.view)
        if key not in self._rectifiers:
            if len(self._rectifiers) >= 8:  # a camera whose calibration changes with every frame
                self._rectifiers.clear()
            self._rectifiers[key] = Rectifier(*key)
        return self._rectifiers[key](frame.image)

    def _stream(
        self,
        answer: _Answer,
        visual: VisualTokens,
        listener: Listener,
        cancel: threading.Event | None,
        end: float | None,
    ) -> int:
        """Fill in `answer`, letting clauses out as they are complete; returns the number of tokens."""
        options = self.options
        gate = guard.Gate(options.limits, landmark_of(answer.query), hold=answer.hold)
        offered = 0
        tokens = self.engine.stream(
            visual, answer.query.strip(), max_new_tokens=options.max_new_tokens, cancel=cancel, timeout=_left(end)
        )
        for token in tokens:
            answer.tokens.append(token)
            answer.text += token.text
            if not token.text:
                continue
            listener.on_text(answer.text)
            clauses = complete_clauses(answer.text)
            for clause in clauses[offered:]:
                steps = gate.offer(clause, confidence_of(answer.tokens))
                if steps and answer.expired(options) is None:
                    answer.released.append(render(steps, options.style))
                    answer.sent_somewhere |= guard.gives_direction(steps)
                    listener.on_clause(answer.released[-1])
            offered = len(clauses)
        return len(answer.tokens)

    def _judge(self, answer: _Answer, *, truncated: bool) -> Instruction:
        """The whole answer against the guard, once it is there."""
        options = self.options
        parsed = parse(answer.text)
        confidence = confidence_of(answer.tokens)
        expired = answer.expired(options)
        if expired is not None:
            return answer.instruction(Status.STALE_IMAGE, TOO_LATE, message=expired)
        why_not = "the answer was cut off" if truncated else None
        asked = landmark_of(answer.query)
        why_not = why_not or guard.objection(
            answer.text, parsed.steps, parsed.unparsed, confidence, options.limits, asked
        )
        spoken = render(parsed.steps, options.style)
        why_not = why_not or guard.banned_wording(spoken)
        if why_not is not None:
            return self._unsure(answer, parsed.steps, confidence, why_not)
        unseen = any(step.action is Action.NOT_VISIBLE for step in parsed.steps)
        status = Status.NOT_VISIBLE if unseen else Status.OK
        return answer.instruction(status, spoken, steps=parsed.steps, confidence=confidence)

    def _unsure(self, answer: _Answer, steps: tuple[Step, ...], confidence: float, why: str) -> Instruction:
        """No direction, but the warnings: they cost little if they are wrong."""
        cautions = tuple(step for step in steps if step.action is Action.CAUTION)
        if guard.implausibility(cautions, self.options.limits.farthest) is not None:
            cautions = ()
        reply = RETRACTED if answer.sent_somewhere else SPOKEN[Status.UNSURE]
        style = self.options.style
        text = f"{render(cautions, style)} {say(reply, style.language)}".strip()
        message = f"{why}; the model wrote {answer.text[:200]!r}"
        return answer.instruction(Status.UNSURE, text, steps=cautions, confidence=confidence, message=message)


def _left(end: float | None) -> float | None:
    return None if end is None else max(0.01, end - time.monotonic())


def _stale(age: float, limit: float) -> str:
    if math.isnan(age):
        return "the image carries no usable stamp"
    if age < 0:
        return (
            f"the image is stamped {-age:.1f} s in the future; the camera's clock and the node's (use_sim_time?) differ"
        )
    return f"the newest image is {age:.1f} s old; max_image_age is {limit:g} s"
