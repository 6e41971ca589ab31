"""What the service `repeat` says: the last thing that was spoken, or that it is not true any more. No ROS here."""

from __future__ import annotations

import math
import threading
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING

from nav_vlm_node import guard
from nav_vlm_node.guide import GuideOptions, refusal, timely
from nav_vlm_node.instruction import Instruction, Status
from nav_vlm_node.replies import LONG_AGO
from nav_vlm_node.ros.queries import Closed
from nav_vlm_node.score import wrap

if TYPE_CHECKING:
    from nav_vlm_node.ros.odometry import Known

WHILE = 10.0  # seconds that a direction holds for somebody who stands still: to be spoken takes some of them
STILL = 0.3, math.radians(10)  # metres, radians of somebody who stands still, by odometry


class LastSpoken:
    """The last instruction with a sentence, refusals too: whoever did not catch one must not hear an older one.
    Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last: Instruction | None = None
        self._place: Known | None = None  # of its picture
        self._lapsed = False

    def remember(self, instruction: Instruction, place: Known | None) -> None:
        """What has been published, but for what nobody needs to hear again. place: of its picture, where one knows."""
        if instruction.text and instruction.status is not Status.CANCELED:
            with self._lock:
                self._last, self._place, self._lapsed = instruction, place, False

    def forget(self) -> None:
        """What was said is of another time."""
        with self._lock:
            self._lapsed = self._lapsed or self._last is not None
            self._last = self._place = None

    def again(
        self, now: float, options: GuideOptions, closed: Closed | None, place: Known | None
    ) -> Instruction | None:
        """What to say at `now` [s], under an id of its own and without steps to act upon; None where nothing was said.

        A direction counts as long as an answer may take to be given, or WHILE seconds for somebody who is at the same
        `place` by the same odometry; none does where no questions are taken (`closed`).
        """
        with self._lock:
            last, lapsed, there = self._last, self._lapsed, self._place
        if closed is not None:
            return _instead(last, closed.status, closed.message)
        if last is None:
            return _instead(None, Status.STALE_IMAGE, "it was forgotten", LONG_AGO) if lapsed else None
        age = now - last.stamp
        holds = timely(age, options) or (0.0 <= age <= WHILE and _still(there, place))
        if any(step.action in guard.NEEDS_CONFIDENCE for step in last.steps) and not holds:
            return _instead(last, Status.STALE_IMAGE, f"its image is {age:.1f} s old", LONG_AGO)
        return replace(last, query_id=_new_id(), steps=(), latency=0.0, image_age=age, message=_message(last))


def _still(there: Known | None, here: Known | None) -> bool:
    if there is None or here is None or there.epoch != here.epoch:
        return False
    moved, turned = math.dist(there.place[:2], here.place[:2]), abs(wrap(here.place.yaw - there.place.yaw))
    return moved < STILL[0] and turned < STILL[1]


def _instead(last: Instruction | None, status: Status, why: str, text: str | None = None) -> Instruction:
    query = "" if last is None else last.query
    return refusal(status, query, text=text, query_id=_new_id(), latency=0.0, message=f"{_message(last)}: {why}")


def _message(last: Instruction | None) -> str:
    return f"repeat of question {'(none)' if last is None else last.query_id}"


def _new_id() -> str:
    return uuid.uuid4().hex
