"""What the service `repeat` says: the last thing that was spoken, or that it is not true any more. No ROS here."""

from __future__ import annotations

import threading
import uuid
from dataclasses import replace

from nav_vlm_node import guard
from nav_vlm_node.guide import GuideOptions, refusal, timely
from nav_vlm_node.instruction import Instruction, Status
from nav_vlm_node.replies import LONG_AGO
from nav_vlm_node.ros.queries import Closed


class LastSpoken:
    """The last instruction with a sentence, refusals too: whoever did not catch one must not hear an older one.
    Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last: Instruction | None = None
        self._lapsed = False

    def remember(self, instruction: Instruction) -> None:
        """What has been published, but for what nobody needs to hear again."""
        if instruction.text and instruction.status is not Status.CANCELED:
            with self._lock:
                self._last, self._lapsed = instruction, False

    def forget(self) -> None:
        """What was said is of another time."""
        with self._lock:
            self._lapsed = self._lapsed or self._last is not None
            self._last = None

    def again(self, now: float, options: GuideOptions, closed: Closed | None) -> Instruction | None:
        """What to say at `now` [s], under an id of its own and without steps to act upon; None where nothing was said.

        A direction counts as long as an answer may take to be given, and none where no questions are taken (`closed`).
        """
        with self._lock:
            last, lapsed = self._last, self._lapsed
        if closed is not None:
            return _instead(last, closed.status, closed.message)
        if last is None:
            return _instead(None, Status.STALE_IMAGE, "it was forgotten", LONG_AGO) if lapsed else None
        age = now - last.stamp
        if any(step.action in guard.NEEDS_CONFIDENCE for step in last.steps) and not timely(age, options):
            return _instead(last, Status.STALE_IMAGE, f"its image is {age:.1f} s old", LONG_AGO)
        return replace(last, query_id=_new_id(), steps=(), latency=0.0, image_age=age, message=_message(last))


def _instead(last: Instruction | None, status: Status, why: str, text: str | None = None) -> Instruction:
    query = "" if last is None else last.query
    return refusal(status, query, text=text, query_id=_new_id(), latency=0.0, message=f"{_message(last)}: {why}")


def _message(last: Instruction | None) -> str:
    return f"repeat of question {'(none)' if last is None else last.query_id}"


def _new_id() -> str:
    return uuid.uuid4().hex
