from __future__ import annotations

import threading
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nav_vlm_node.guide import refusal
from nav_vlm_node.instruction import Instruction, Status
from nav_vlm_node.ros.queries import IDS_REMEMBERED, URGENT, Desk, Ticket


class Office:
    """A desk whose worker is the test."""

    def __init__(self, opened: bool = True) -> None:
        self.out: list[Instruction] = []
        self.work: list[Ticket] = []
        self.desk = Desk(self.out.append, self.work.append)
        if opened:
            self.desk.open()

    def statuses(self) -> dict[str, Status]:
        return {instruction.query_id: instruction.status for instruction in self.out}


def answer(ticket: Ticket) -> bool:
    return ticket.finish(refusal(Status.OK, ticket.query, query_id=ticket.query_id, text="Stop."))


def test_one_question_one_instruction() -> None:
    office = Office()
    ticket = office.desk.submit("Where?", query_id="a", priority=1)
    assert ticket is not None
    assert office.work == [ticket]
    assert office.desk.counts[Status.OK] == 0
    assert answer(ticket)
    assert not answer(ticket)
    assert not office.desk.cancel("a", "late")
    assert [(i.query_id, i.status) for i in office.out] == [("a", Status.OK)]
    assert not office.desk.busy
    assert office.desk.counts[Status.OK] == 1


def test_before_it_is_open_questions_are_told_so() -> None:
    office = Office(opened=False)
    office.desk.submit("Where?", query_id="a")
    assert office.out[0].status is Status.NOT_READY
    assert "not configured" in office.out[0].message
    assert office.work == []


def test_a_repeated_id_is_not_answered_twice() -> None:
    office = Office()
    first = office.desk.submit("Where?", query_id="a")
    assert office.desk.submit("Where?", query_id="a") is None
    assert first is not None
    answer(first)
    assert office.desk.submit("Something else?", query_id="a") is None
    assert len(office.out) == 1
    assert office.desk.seen("a")


def test_questions_without_id_get_one_each() -> None:
    office = Office()
    ids = {ticket.query_id for _ in range(3) if (ticket := office.desk.submit("Where?"))}
    assert len(ids) == 3
    assert "" not in ids


def test_ids_are_not_remembered_for_ever() -> None:
    office = Office(opened=False)
    for number in range(IDS_REMEMBERED + 1):
        office.desk.submit("Where?", query_id=str(number))
    assert not office.desk.seen("0")
    assert office.desk.seen("1")


def test_preempt_takes_the_place_of_the_older_one() -> None:
    office = Office()
    old = office.desk.submit("Where?", query_id="old")
    new = office.desk.submit("And now?", query_id="new")
    assert old is not None
    assert new is not None
    assert old.cancel.is_set()
    assert not new.cancel.is_set()
    assert office.out[0].status is Status.CANCELED
    assert "superseded by question new" in office.out[0].message
    assert not answer(old)  # the worker was about to
    answer(new)
    assert office.statuses() == {"old": Status.CANCELED, "new": Status.OK}


def test_reject_says_busy() -> None:
    office = Office()
    first = office.desk.submit("Where?", query_id="old", preempt=False)
    office.desk.submit("And now?", query_id="new", preempt=False)
    assert office.statuses() == {"new": Status.BUSY}
    assert office.work == [first]
    assert first is not None
    assert not first.cancel.is_set()


@pytest.mark.parametrize("preempt", [True, False])
def test_urgent_takes_any_place_and_keeps_it_from_what_is_not(preempt: bool) -> None:
    office = Office()
    office.desk.submit("Where?", query_id="old", preempt=preempt)
    office.desk.submit("Help!", query_id="urgent", priority=URGENT, preempt=preempt)
    office.desk.submit("And now?", query_id="new", preempt=preempt)
    assert office.statuses() == {"old": Status.CANCELED, "new": Status.BUSY}
    office.desk.submit("Help me!", query_id="more", priority=URGENT, preempt=preempt)
    assert office.statuses()["urgent"] is Status.CANCELED


def test_what_cannot_be_asked_disturbs_nobody() -> None:
    office = Office()
    good = office.desk.submit("Where?", query_id="good")
    office.desk.submit("", query_id="empty", invalid=("I did not hear a question.", "no words"))
    assert good is not None
    assert not good.done
    assert office.out[0].status is Status.INVALID_QUERY
    assert office.out[0].text == "I did not hear a question."


def test_closing_tells_everyone_why() -> None:
    office = Office()
    office.desk.submit("Where?", query_id="a")
    office.desk.close(Status.NOT_READY, "deactivated", answer_as=Status.CANCELED)
    office.desk.submit("Where?", query_id="b")
    office.desk.close(Status.DISABLED, "switched off")
    office.desk.submit("Where?", query_id="c")
    office.desk.open()
    office.desk.submit("Where?", query_id="d")
    assert office.statuses() == {"a": Status.CANCELED, "b": Status.NOT_READY, "c": Status.DISABLED}


def test_a_deadline_is_kept_without_the_worker() -> None:
    office = Office()
    office.desk.submit("Where?", query_id="slow", deadline=0.0)
    office.desk.expire()
    office.desk.submit("Where?", query_id="fast", deadline=100.0)
    office.desk.expire()
    assert office.statuses() == {"slow": Status.ERROR}
    assert "deadline of 0 s" in office.out[0].message
    assert office.work[0].cancel.is_set()


def test_who_asked_is_told_too() -> None:
    office, told = Office(), list[Instruction]()
    ticket = office.desk.submit("Where?", also_tell=[told.append])
    assert ticket is not None
    answer(ticket)
    assert told == office.out


def test_one_listener_that_fails_does_not_keep_the_answer_from_the_others(caplog: pytest.LogCaptureFixture) -> None:
    office, told = Office(), list[Instruction]()

    def fail(instruction: Instruction) -> None:
        raise RuntimeError("no network")

    ticket = office.desk.submit("Where?", also_tell=[fail, told.append])
    assert ticket is not None
    assert answer(ticket)
    assert told == office.out
    assert ticket.done
    assert "no network" in caplog.text


def test_a_question_is_answered_although_nobody_could_be_told_that_the_older_one_is_not() -> None:
    office = Office()

    def fail(instruction: Instruction) -> None:
        raise RuntimeError("no network")

    office.desk.submit("Where?", query_id="old", also_tell=[fail])
    new = office.desk.submit("And now?", query_id="new")
    assert new is not None
    assert office.work[-1] is new
    assert office.statuses() == {"old": Status.CANCELED}


def test_many_threads_race_and_each_id_has_one_instruction() -> None:
    office = Office()
    start = threading.Barrier(8)

    def ask(number: int) -> None:
        start.wait()
        for turn in range(40):
            office.desk.submit("Where?", query_id=f"{turn}", preempt=number % 2 == 0)
            office.desk.submit("Where?", query_id=f"{number}-{turn}", priority=number % 2)
            if turn % 7 == 0:
                office.desk.close(Status.DISABLED, "off")
                office.desk.open()
            for ticket in office.work[-3:]:
                answer(ticket)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    office.desk.close(Status.NOT_READY, "end")
    ids = Counter(instruction.query_id for instruction in office.out)
    assert len(ids) == 40 + 8 * 40
    assert set(ids.values()) == {1}


commands = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), st.integers(0, 9), st.booleans(), st.integers(0, 1)),
        st.tuples(st.just("answer"), st.integers(0, 9)),
        st.tuples(st.just("cancel"), st.integers(0, 9)),
        st.sampled_from([("close",), ("open",), ("expire",)]),
    ),
    max_size=40,
)


@given(commands)
def test_whatever_happens_each_id_has_exactly_one_instruction_in_the_end(commands: list[tuple[object, ...]]) -> None:
    office, asked = Office(), set[str]()
    for name, *rest in commands:
        if name == "ask":
            number, preempt, priority = rest
            asked.add(str(number))
            office.desk.submit("Where?", query_id=str(number), preempt=bool(preempt), priority=int(str(priority)))
        elif name == "answer":
            for ticket in office.work:
                if ticket.query_id == str(rest[0]):
                    answer(ticket)
        elif name == "cancel":
            office.desk.cancel(str(rest[0]), "canceled")
        elif name == "close":
            office.desk.close(Status.DISABLED, "off")
        elif name == "open":
            office.desk.open()
        else:
            office.desk.expire()
        assert len([ticket for ticket in office.work if not ticket.done]) <= 1  # one at a time
    office.desk.close(Status.NOT_READY, "end")
    assert Counter(instruction.query_id for instruction in office.out) == Counter(asked)
