"""A guide that remembers the way: one picture's answer, completed by the `Session` of the goal that is asked for."""

from __future__ import annotations

import copy
import math
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from nav_vlm_node.frames import Frame
from nav_vlm_node.guide import SILENT, Guide, Listener, timely
from nav_vlm_node.instruction import Action, Instruction, Status
from nav_vlm_node.language import landmark_of, render
from nav_vlm_node.replies import TOO_LATE, say
from nav_vlm_node.score import told, wrap
from nav_vlm_node.session import LOOKED, Place, Session, one_look_is_enough
from nav_vlm_node.view import Rig

AT_ONCE = 3.0  # seconds: who asks again so soon, from the same place, has not done yet what was said
SAME = 0.1, math.radians(3)  # metres, radians, of one place
FORGOTTEN = 120.0  # seconds between two pictures after which what was remembered is not used
JUMP = 1.0, 2.5  # metres, metres per second: nobody walks farther; odometry has begun anew
_ABOUT = re.compile(
    r"\b(in (my|the|our) way|in front of (me|us)|how many|any(one|body|thing)|next step)\b", re.IGNORECASE
)


@dataclass(frozen=True, kw_only=True)
class _Memory:
    """What is kept from one answer to the next. Never changed: an answer that nobody hears leaves it as it is."""

    goal: str
    session: Session
    stamp: float  # of the last picture, where the wearer was then, and by which odometry
    place: Place
    epoch: int
    worn: tuple[Rig, float]  # how the camera is worn, and its field of view [rad]: bearings mean nothing to another
    told: Instruction

    def serves(self, other: _Memory) -> bool:
        """Whether what is remembered here can be true for the later picture of `other`."""
        since = other.stamp - self.stamp
        return (
            (self.goal, self.epoch, self.worn) == (other.goal, other.epoch, other.worn)
            and 0.0 <= since <= FORGOTTEN
            and math.dist(other.place[:2], self.place[:2]) <= JUMP[0] + JUMP[1] * since
        )

    def at_once(self, other: _Memory) -> bool:
        """Whether nothing has been done yet of what was told, when `other` is asked."""
        soon = other.stamp - self.stamp < AT_ONCE and _same(other.place, self.place)
        return soon and other.session.style == self.session.style

    def once_more(self, instruction: Instruction) -> Instruction | None:
        """What was said a moment ago, for where this picture sends nobody to the goal either: nothing has come of it
        yet. With what this picture warns of; None where the camera shows nothing any more."""
        last = self.told
        if instruction.status is Status.POOR_IMAGE or last.status is Status.POOR_IMAGE:
            return None
        warned = [step.landmark for step in last.steps if step.action is Action.CAUTION]
        cautions = [s for s in instruction.steps if s.action is Action.CAUTION and s.landmark not in warned]
        steps, spoken = (*cautions, *last.steps), f"{render(cautions, self.session.style)} {last.text}".strip()
        return replace(instruction, status=last.status, steps=steps, text=spoken, message=last.message)


class Wayfinder:
    """Answers through a `Guide`; where it is told the place of each picture, what was seen before leads on.

    The memory is of one goal: another goal, a long pause, a camera that is worn otherwise, or a clock or odometry that
    began anew begin a new one.
    """

    def __init__(self, guide: Guide) -> None:
        self.guide = guide
        self._lock = threading.Lock()  # guards what follows: who forgets is another thread than who answers
        self._memory: _Memory | None = None
        self._forgotten = 0  # times

    def forget(self) -> None:
        """Begin anew: the clock has jumped, or nobody knows where the wearer is now. An answer that is being made is
        not remembered either."""
        with self._lock:
            self._memory = None
            self._forgotten += 1

    def _remember(self, memory: _Memory, forgotten: int) -> None:
        with self._lock:
            if forgotten == self._forgotten:
                self._memory = memory

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
        began, forgotten = time.monotonic(), self._forgotten
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
        options, known = self.guide.options, self._memory
        fresh = _Memory(
            goal=goal, session=Session(options.style, goal), stamp=frame.stamp, place=place, epoch=epoch,
            worn=(options.rig, options.hfov), told=instruction,
        )  # fmt: skip
        if known is not None and not known.serves(fresh):
            known = None
        at_once = known is not None and known.at_once(fresh)
        again = known.once_more(instruction) if known is not None and at_once else None
        if again is not None and not (instruction.status is Status.OK and one_look_is_enough(instruction)):
            return again
        if known is not None:
            fresh = replace(fresh, session=copy.deepcopy(known.session))
        if at_once:
            fresh.session.undone()
        fresh.session.style = options.style

        def ask(text: str) -> Instruction:
            """About the same picture, whose age is looked at when all is said."""
            left = None if timeout is None else max(0.01, timeout - (time.monotonic() - began))
            return self.guide.answer(frame, text, timeout=left, cancel=cancel)

        guidance = fresh.session.heed(instruction, place, ask)
        answer = guidance.instruction
        if guidance.searching:
            message = f"led on by memory; of this picture alone: {instruction.status.name} {instruction.text}"
            answer = replace(answer, status=Status.SEARCHING, message=message)
        age = math.nan if now is None else now() - frame.stamp
        latency = time.monotonic() - (began if started is None else started)
        if now is not None and not timely(age, options):  # the session's own question took too long
            why = f"the image was {age:.1f} s old when memory had spoken"
            return replace(
                instruction, status=Status.STALE_IMAGE, text=say(TOO_LATE, options.style.language), steps=(),
                confidence=0.0, image_age=age, latency=latency, message=why,
            )  # fmt: skip
        if again is not None and guidance.searching:
            return replace(again, image_age=age, latency=latency)
        answer = replace(answer, image_age=age, latency=latency)
        if cancel is None or not cancel.is_set():  # else nobody hears it: nothing was told
            self._remember(replace(fresh, told=answer), forgotten)
        return answer


def _goal_of(query: str) -> str | None:
    """What somebody wants to get to; None where the question is about what is around them."""
    return None if _ABOUT.search(query[:2000]) else landmark_of(query)


def _same(a: Place, b: Place) -> bool:
    return math.dist(a[:2], b[:2]) < SAME[0] and abs(wrap(a.yaw - b.yaw)) < SAME[1]
