"""From a received question to exactly one Instruction: who is answered, who is refused, who makes way. No ROS here.

A `Ticket` is one question. Whoever has its answer first (the worker, a cancel, a newer question, the deadline, a
shutdown) finishes it, and later answers are dropped: so each id gets one Instruction, whatever races.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from nav_vlm_node.guide import SILENT, Listener, refusal
from nav_vlm_node.instruction import Instruction, Status
from nav_vlm_node.replies import DEADLINE

logger = logging.getLogger(__name__)

URGENT = 1  # nav_vlm_msgs/Query.PRIORITY_URGENT
IDS_REMEMBERED = 4096
Answered = Callable[[Instruction], None]


@dataclass(eq=False)
class Ticket:
    """One question on its way. `cancel` stops the model at its next token. Times are time.monotonic()."""

    query: str
    query_id: str
    priority: int
    received: float
    deadline: float
    listener: Listener
    answered: tuple[Answered, ...]
    cancel: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _done: bool = False

    @property
    def done(self) -> bool:
        """Whether its Instruction is out."""
        return self._done

    def finish(self, instruction: Instruction) -> bool:
        """Give the answer, unless there is one already; returns whether this one was it."""
        with self._lock:
            if self._done:
                return False
            self._done = True
        self.cancel.set()
        for tell in self.answered:
            try:
                tell(instruction)
            except Exception:  # theirs: the others hear it all the same, and whoever answers goes on
                logger.exception("question %s: somebody could not be told the answer", self.query_id)
        return True

    def refuse(self, status: Status, message: str, text: str | None = None) -> bool:
        """`finish` without an answer. text: None for the status's own sentence."""
        latency = time.monotonic() - self.received
        return self.finish(
            refusal(
                status,
                self.query,
                text=text,
                query_id=self.query_id,
                priority=self.priority,
                latency=latency,
                message=message,
            )
        )


@dataclass(frozen=True)
class Closed:
    """Why no questions are taken."""

    status: Status
    message: str


class Desk:
    """Takes questions in, hands each to the worker, and sees that each is answered once. Thread-safe.

    publish: called once with every Instruction. start: hands a ticket to the worker; the worker answers one at a time.
    """

    def __init__(self, publish: Answered, start: Callable[[Ticket], None]) -> None:
        self._publish = publish
        self._start = start
        self._lock = threading.RLock()
        self._closed: Closed | None = Closed(Status.NOT_READY, "the node is not configured")
        self._open: list[Ticket] = []  # in the order in which they came
        self._seen: OrderedDict[str, None] = OrderedDict()
        self.counts: dict[Status, int] = dict.fromkeys(Status, 0)

    @property
    def closed(self) -> Closed | None:
        """Why no questions are taken; None while they are."""
        return self._closed

    @property
    def busy(self) -> bool:
        """Whether a question is being answered."""
        return bool(self._unanswered())

    def open(self) -> None:
        """Take questions from now on."""
        with self._lock:
            self._closed = None

    def close(self, status: Status, message: str, answer_as: Status | None = None) -> None:
        """Refuse questions from now on, and the unanswered ones as `answer_as` (the same status if None)."""
        with self._lock:
            self._closed = Closed(status, message)
            waiting = self._unanswered()
        for ticket in waiting:
            ticket.refuse(answer_as or status, message)

    def seen(self, query_id: str) -> bool:
        """Whether a question with this id has come before."""
        return query_id in self._seen

    def submit(
        self,
        query: str,
        *,
        query_id: str = "",
        priority: int = 0,
        deadline: float = 15.0,
        preempt: bool = True,
        invalid: tuple[str, str] | None = None,
        listener: Listener = SILENT,
        also_tell: Iterable[Answered] = (),
    ) -> Ticket | None:
        """Take a question; its Instruction comes through `publish` and `also_tell`. None for an id seen before.

        query_id: "" for a new one. deadline: seconds until it is answered in any case.
        preempt: a question that comes while another is being answered takes its place (CANCELED), else it is refused
        (BUSY). An urgent one always takes it, and only an urgent one takes an urgent one's.
        invalid: (spoken, why) of a question that cannot be asked; it is refused and disturbs nobody.
        """
        now = time.monotonic()
        ticket = Ticket(
            query,
            query_id or uuid.uuid4().hex,
            priority,
            now,
            now + deadline,
            listener,
            (self._count, self._publish, *also_tell),
        )
        with self._lock:
            if query_id and query_id in self._seen:
                return None
            self._remember(ticket.query_id)
            closed, older = self._closed, self._unanswered()
            urgent = any(other.priority >= URGENT for other in older)
            makes_way = priority >= URGENT or (preempt and not urgent)
            taken = closed is None and invalid is None and (makes_way or not older)
            if taken:
                self._open.append(ticket)
        if taken:
            for other in older:
                other.refuse(Status.CANCELED, f"superseded by question {ticket.query_id}", text="")  # they know
            self._start(ticket)
        elif invalid is not None:
            spoken, why = invalid
            ticket.refuse(Status.INVALID_QUERY, why, spoken)
        elif closed is not None:
            ticket.refuse(closed.status, closed.message)
        else:
            ticket.refuse(Status.BUSY, f"question {older[-1].query_id} is being answered")
        return ticket

    def cancel(self, query_id: str, message: str) -> bool:
        """Finish a question as CANCELED; False if it is not waiting for an answer."""
        found = [ticket for ticket in self._unanswered() if ticket.query_id == query_id]
        return any(ticket.refuse(Status.CANCELED, message) for ticket in found)

    def expire(self) -> None:
        """Answer for every question whose deadline has passed: the net under a worker that hangs."""
        now = time.monotonic()
        for ticket in self._unanswered():
            if now >= ticket.deadline:
                seconds = ticket.deadline - ticket.received
                ticket.refuse(
                    Status.ERROR,
                    f"not answered within the deadline of {seconds:g} s",
                    DEADLINE,
                )

    def _count(self, instruction: Instruction) -> None:
        with self._lock:
            self.counts[instruction.status] += 1

    def _unanswered(self) -> list[Ticket]:
        with self._lock:
            self._open = [ticket for ticket in self._open if not ticket.done]
            return list(self._open)

    def _remember(self, query_id: str) -> None:
        self._seen[query_id] = None
        while len(self._seen) > IDS_REMEMBERED:
            self._seen.popitem(last=False)
