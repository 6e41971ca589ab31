"""A guide that remembers the way: one picture's answer, completed by the `Session` of the goal that is asked for."""

from __future__ import annotations

import copy
import math
import re
import threading
import time
from collections.abc import Callable
from dataclasses import replace

from nav_vlm_node.frames import Frame
from nav_vlm_node.guide import SILENT, Guide, Listener
from nav_vlm_node.instruction import Action, Instruction, Status
from nav_vlm_node.language import landmark_of, render
from nav_vlm_node.replies import TOO_LATE, say
from nav_vlm_node.score import told, wrap
from nav_vlm_node.session import LOOKED, Place, Session, one_look_is_enough

AT_ONCE = 3.0  # seconds: who asks again so soon, from the same place, has not done yet what was said
SAME = 0.1, math.radians(3)  # metres, radians, of one place
FORGOTTEN = 120.0  # seconds between two pictures after which what was remembered is not used
JUMP = 1.0, 2.5  # metres, metres per second: nobody walks farther; odometry has begun anew
_ABOUT = re.compile(
    r"\b(in (my|the|our) way|in front of (me|us)|how many|any(one|body|thing)|next step)\b", re.IGNORECASE
)


class Wayfinder:
    """Answers through a `Guide`; where it is told the place of each picture, what was seen before leads on.

    The memory is of one goal: another goal, a long pause, or a clock or odometry that began anew begin a new one.
    """

    def __init__(self, guide: Guide) -> None:
        self.guide = guide
        self._goal: str | None = None
        self._session = Session()
        self._stamp = -math.inf
        self._place = Place(0.0, 0.0, 0.0)
        self._epoch = 0
        self._told: Instruction | None = None  # last

    def forget(self) -> None:
        """Begin anew: the clock has jumped, or nobody knows where the wearer is now."""
        self._goal = None

    def answer(
        self,
        frame: Frame,
        query: str,
        place: Place | None,
        *,
        epoch: int = 0,
        query_id: str = "",
        priority: int = 0,
        now: Callable[[], float] | None = None,
        started: float | None = None,
        timeout: float | None = None,
        listener: Listener = SILENT,
        cancel: threading.Event | None = None,
    ) -> Instruction:
        """As `Guide.answer`. place: where the wearer was when `frame` was taken, by odometry; None where nobody knows.
        epoch: of that odometry: another number says that it has begun anew, and that earlier places mean nothing now.

        An answer that only leads on by memory has the status SEARCHING. With a place, directions are not let out before
        the answer is whole: the memory may know better.
        """
        began = time.monotonic()
        goal = _goal_of(query)
        remembers = place is not None and goal is not None
        instruction = self.guide.answer(
            frame, query, query_id=query_id, priority=priority, now=now, started=started, timeout=timeout,
            listener=listener, cancel=cancel, hold=remembers,
        )  # fmt: skip
        if place is None or goal is None or instruction.status not in LOOKED:
            return instruction
        if instruction.status is Status.OK and math.isnan(told(instruction.steps)[0]):
            return instruction  # about what is in the way, or known to nobody: no step towards the goal
        style, since = self.guide.options.style, frame.stamp - self._stamp
        jumped = epoch != self._epoch or math.dist(place[:2], self._place[:2]) > JUMP[0] + JUMP[1] * since
        before = self._goal, self._session, self._stamp, self._place, self._epoch, self._told
        at_once, sure = False, instruction.status is Status.OK and one_look_is_enough(instruction)
        if goal != self._goal or not 0.0 <= since <= FORGOTTEN or jumped:
            self._goal, self._session, self._told = goal, Session(style, goal), None
        else:
            at_once = since < AT_ONCE and _same(place, self._place) and style == self._session.style
        again = self._once_more(instruction) if at_once else None
        if again is not None and not sure:
            return again
        self._session = copy.deepcopy(self._session)  # so that it can be taken back
        if at_once:
            self._session.undone()
        self._stamp, self._place, self._epoch, self._session.style = frame.stamp, place, epoch, style

        def ask(text: str) -> Instruction:
            """About the same picture, whose age is looked at when all is said."""
            left = None if timeout is None else max(0.01, timeout - (time.monotonic() - began))
            return self.guide.answer(frame, text, timeout=left, cancel=cancel)

        guidance = self._session.heed(instruction, place, ask)
        self._told = guidance.instruction
        if guidance.searching:
            message = f"led on by memory; of this picture alone: {instruction.status.name} {instruction.text}"
            self._told = replace(guidance.instruction, status=Status.SEARCHING, message=message)
        answer = self._told if again is None or not guidance.searching else again
        age = math.nan if now is None else now() - frame.stamp
        if abs(age) > self.guide.options.max_answer_age:  # the session's own question took too long
            why = f"the image was {age:.1f} s old when memory had spoken"
            answer = replace(
                instruction, status=Status.STALE_IMAGE, text=say(TOO_LATE, style.language), steps=(), confidence=0.0,
                image_age=age, message=why,
            )  # fmt: skip
        if answer is not self._told or (cancel is not None and cancel.is_set()):  # nobody hears it: nothing was told
            self._goal, self._session, self._stamp, self._place, self._epoch, self._told = before
        return answer

    def _once_more(self, instruction: Instruction) -> Instruction | None:
        """What was said a moment ago, for where this picture sends nobody to the goal either: nothing has come of it
        yet. With what this picture warns of; None where the camera shows nothing any more."""
        last = self._told
        if last is None or instruction.status is Status.POOR_IMAGE or last.status is Status.POOR_IMAGE:
            return None
        warned = [step.landmark for step in last.steps if step.action is Action.CAUTION]
        cautions = [s for s in instruction.steps if s.action is Action.CAUTION and s.landmark not in warned]
        steps, spoken = (*cautions, *last.steps), f"{render(cautions, self._session.style)} {last.text}".strip()
        return replace(instruction, status=last.status, steps=steps, text=spoken, message=last.message)


def _goal_of(query: str) -> str | None:
    """What somebody wants to get to; None where the question is about what is around them."""
    return None if _ABOUT.search(query[:2000]) else landmark_of(query)


def _same(a: Place, b: Place) -> bool:
    return math.dist(a[:2], b[:2]) < SAME[0] and abs(wrap(a.yaw - b.yaw)) < SAME[1]
