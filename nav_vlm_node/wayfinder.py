"""A guide that remembers the way: one picture's answer, completed by the `Session` of the goal that is asked for."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import replace

from nav_vlm_node.frames import Frame
from nav_vlm_node.guide import SILENT, Guide, Listener
from nav_vlm_node.instruction import Instruction, Status
from nav_vlm_node.language import landmark_of
from nav_vlm_node.replies import TOO_LATE, say
from nav_vlm_node.score import told, wrap
from nav_vlm_node.session import Place, Session, one_look_is_enough

AT_ONCE = 3.0  # seconds: who asks again so soon, from the same place, has not done yet what was said
SAME = 0.1, math.radians(3)  # metres, radians, of one place
FORGOTTEN = 120.0  # seconds between two pictures after which what was remembered is not used


class Wayfinder:
    """Answers through a `Guide`; where it is told the place of each picture, what was seen before leads on.

    The memory is of one goal: another goal, a long pause or a clock that was set back begin a new one.
    """

    def __init__(self, guide: Guide) -> None:
        self.guide = guide
        self._goal: str | None = None
        self._session = Session()
        self._stamp = -math.inf
        self._place = Place(0.0, 0.0, 0.0)
        self._told: Instruction | None = None  # where it was a search

    def forget(self) -> None:
        """Begin anew: the clock has jumped, or nobody knows where the wearer is now."""
        self._goal = None

    def answer(
        self,
        frame: Frame,
        query: str,
        place: Place | None,
        *,
        query_id: str = "",
        priority: int = 0,
        now: Callable[[], float] | None = None,
        started: float | None = None,
        timeout: float | None = None,
        listener: Listener = SILENT,
        cancel: threading.Event | None = None,
    ) -> Instruction:
        """As `Guide.answer`. place: where the wearer was when `frame` was taken, by odometry; None where nobody knows.

        An answer that only leads on by memory has the status SEARCHING. With a place, directions are not let out before
        the answer is whole: the memory may know better.
        """
        began = time.monotonic()
        goal = landmark_of(query)
        remembers = place is not None and goal is not None
        instruction = self.guide.answer(
            frame, query, query_id=query_id, priority=priority, now=now, started=started, timeout=timeout,
            listener=listener, cancel=cancel, hold=remembers,
        )  # fmt: skip
        if place is None or goal is None:
            return instruction
        if instruction.status is Status.OK and math.isnan(told(instruction.steps)[0]):
            return instruction  # about what is in the way, or known to nobody: no step towards the goal
        since = frame.stamp - self._stamp
        if goal != self._goal or not 0.0 <= since <= FORGOTTEN:
            self._goal, self._session = goal, Session(self.guide.options.style)
        elif since < AT_ONCE and _same(place, self._place):
            return self._once_more(instruction)
        self._stamp, self._place, self._told = frame.stamp, place, None

        def ask(text: str) -> Instruction:
            left = None if timeout is None else max(0.01, timeout - (time.monotonic() - began))
            return self.guide.answer(frame, text, now=now, timeout=left, cancel=cancel)

        guidance = self._session.heed(instruction, place, ask)
        age = math.nan if now is None else now() - frame.stamp
        if age > self.guide.options.max_answer_age:  # the session's own question took too long
            late = say(TOO_LATE, self.guide.options.style.language)
            why = f"the image was {age:.1f} s old when memory had spoken"
            return replace(
                instruction, status=Status.STALE_IMAGE, text=late, steps=(), confidence=0.0, image_age=age, message=why
            )
        if not guidance.searching:
            return guidance.instruction
        message = f"led on by memory; of this picture alone: {instruction.status.name} {instruction.text}"
        self._told = replace(guidance.instruction, status=Status.SEARCHING, message=message)
        return self._told

    def _once_more(self, instruction: Instruction) -> Instruction:
        """What was said a moment ago, where the picture still does not tell, or not enough to send anybody: nothing has
        come of it yet."""
        doubtful = instruction.status in (Status.NOT_VISIBLE, Status.UNSURE, Status.POOR_IMAGE)
        unsettled = instruction.status is Status.OK and not one_look_is_enough(instruction)
        if self._told is None or not (doubtful or unsettled):
            return instruction
        last = self._told
        return replace(instruction, status=last.status, steps=last.steps, text=last.text, message=last.message)


def _same(a: Place, b: Place) -> bool:
    return math.dist(a[:2], b[:2]) < SAME[0] and abs(wrap(a.yaw - b.yaw)) < SAME[1]
