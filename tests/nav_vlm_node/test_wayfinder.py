"""A guide that remembers: what one picture leaves open is completed, for one goal at a time, and only with odometry."""

from __future__ import annotations

import math
import threading
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nav_vlm_node.frames import Frame
from nav_vlm_node.guide import Guide, Listener
from nav_vlm_node.instruction import Action, Instruction, Status
from nav_vlm_node.language import Style
from nav_vlm_node.replies import TOO_DARK, TOO_LATE
from nav_vlm_node.score import told
from nav_vlm_node.session import Place
from nav_vlm_node.view import Rig
from nav_vlm_node.vlm.scripted import ScriptedEngine
from nav_vlm_node.wayfinder import FORGOTTEN, Wayfinder
from tests.pictures import room

HERE = Place(0.0, 0.0, 0.0)
EXIT, LIFT = "How do I get to the exit?", "How do I get to the lift?"
NOT_THERE = {
    EXIT: "Caution, chair ahead at 1 metre. No exit in view. Turn slowly to look around.",
    LIFT: "No lift in view. Turn slowly to look around.",
    "Where is the open door?": "No open door in view.",
    "Is anything in my way to the exit?": "Caution, chair ahead at 1 metre.",
}


def finder(answers: Any = NOT_THERE, probability: float = 1.0) -> tuple[Wayfinder, ScriptedEngine]:
    engine = ScriptedEngine(answers, probability=probability)
    return Wayfinder(Guide(engine)), engine


def look(
    wayfinder: Wayfinder, query: str = EXIT, place: Place | None = HERE, stamp: float = 1.0, epoch: int = 0
) -> Instruction:
    return wayfinder.answer(Frame(room(), stamp=stamp), query, place, epoch=epoch)


def heading(instruction: Instruction) -> float:
    return told(instruction.steps)[0]


def test_nobody_who_says_where_is_no_memory() -> None:
    wayfinder, engine = finder()
    alone = Guide(ScriptedEngine(NOT_THERE)).answer(Frame(room(), stamp=1.0), EXIT)
    for _ in range(2):
        found = look(wayfinder, place=None)
        assert (found.status, found.text, found.steps) == (Status.NOT_VISIBLE, alone.text, alone.steps)
    assert engine.queries == [EXIT, EXIT]


def test_a_search_has_a_status_of_its_own_and_keeps_the_warning() -> None:
    found = look(finder()[0])
    assert found.status is Status.SEARCHING
    assert heading(found) == pytest.approx(math.radians(60))
    assert found.steps[0].action is Action.CAUTION
    assert "NOT_VISIBLE" in found.message
    assert Action.SCAN not in [step.action for step in found.steps]


def test_what_was_looked_at_is_remembered_for_this_goal_alone() -> None:
    wayfinder, _ = finder()
    first = look(wayfinder)
    there = Place(0.0, 0.0, heading(first))
    second = look(wayfinder, place=there, stamp=5.0)
    assert heading(second) > 0, "the search goes round the same way"
    back = Place(0.0, 0.0, math.radians(-60))
    assert heading(look(wayfinder, place=back, stamp=9.0)) < 0, "what was looked at is not looked at again"
    fresh = look(wayfinder, LIFT, place=back, stamp=13.0)
    assert heading(fresh) > 0, "another goal: nothing was looked at yet"


def test_who_asks_again_at_once_is_told_the_same_and_nothing_is_counted() -> None:
    """Somebody who did not listen has not walked into anything either."""
    wayfinder, _ = finder()
    first = look(wayfinder)
    for k in range(5):
        again = look(wayfinder, stamp=1.5 + 0.2 * k)
        assert (again.status, again.steps, again.text) == (first.status, first.steps, first.text)
    person = {EXIT: "Caution, person ahead at 1 metre. Move 4 metres to the exit."}
    impatient, _ = finder(person)
    answers = [look(impatient, stamp=1.0 + 0.5 * k) for k in range(6)]
    assert {answer.status for answer in answers} == {Status.OK}
    patient, _ = finder(person)
    answers = [look(patient, stamp=1.0 + 5.0 * k) for k in range(6)]
    assert Status.SEARCHING in {answer.status for answer in answers}, "who waited is stopped by something"


def test_who_asks_again_at_once_was_stopped_by_nothing() -> None:
    wayfinder, _ = finder({EXIT: "Move 4 metres to the exit."})
    for stamp, stopped in ((1.0, False), (2.0, False), (9.0, True)):  # who had the time to go was
        look(wayfinder, stamp=stamp)
        assert wayfinder._memory is not None
        assert wayfinder._memory.session._trail.stopped == stopped


def test_who_asks_again_at_once_is_not_sent_by_what_one_look_left_open() -> None:
    half_sure, _ = finder({EXIT: "Move 4 metres to the exit."}, probability=0.9)
    first = look(half_sure)
    assert first.status is Status.SEARCHING
    again = look(half_sure, stamp=1.5)
    assert (again.status, again.steps) == (first.status, first.steps)
    assert look(half_sure, place=Place(1.0, 0.0, 0.0), stamp=9.0).status is Status.OK, "another look agrees"


def test_who_asks_again_at_once_is_not_sent_to_a_goal_that_was_found_not_to_be_there() -> None:
    """What memory has ruled out stays so, however sure one picture is."""
    answers = {EXIT: "Move 0.5 metres to the exit."}
    wayfinder, _ = finder(answers)
    first = look(wayfinder)
    assert first.text == "Move 0.5 metres. It may be within reach."
    again = look(wayfinder, stamp=1.5)
    assert (again.status, again.text) == (first.status, first.text)
    answers[EXIT] = "Move 2 metres to the exit."
    found = look(wayfinder, stamp=2.0)
    assert (found.status, found.text) == (Status.OK, answers[EXIT]), "another one, which is believed"


@pytest.mark.parametrize("stamp", [1.0 + FORGOTTEN + 1, 0.5])
def test_a_long_pause_or_a_clock_set_back_forgets(stamp: float) -> None:
    wayfinder, _ = finder()
    look(wayfinder)
    looked = Place(0.0, 0.0, math.radians(-60))
    assert heading(look(wayfinder, place=looked, stamp=stamp)) > 0


def test_forget_forgets() -> None:
    wayfinder, _ = finder()
    look(wayfinder)
    wayfinder.forget()
    assert heading(look(wayfinder, place=Place(0.0, 0.0, math.radians(-60)), stamp=2.0)) > 0


def test_a_warning_or_an_unknown_place_is_told_as_it_is() -> None:
    wayfinder, _ = finder()
    warned = look(wayfinder, "Is anything in my way to the exit?")
    assert warned.status is Status.OK
    assert [step.action for step in warned.steps] == [Action.CAUTION]
    unknown = look(wayfinder, "Where is the helicopter?")
    assert unknown.status is Status.OK
    assert [step.action for step in unknown.steps] == [Action.UNKNOWN]


@pytest.mark.parametrize("place", [HERE, None])
def test_directions_are_held_back_until_memory_has_spoken(place: Place | None) -> None:
    wayfinder, _ = finder({EXIT: "Caution, chair ahead at 1 metre. Turn left 35 degrees. Move 4 metres to the exit."})
    clauses: list[str] = []
    found = wayfinder.answer(
        Frame(room(), stamp=1.0), EXIT, place, listener=Listener(on_clause=clauses.append), query_id="q", priority=1
    )
    assert found.status is (Status.OK if place is None else Status.SEARCHING)
    assert found.released == tuple(clauses)
    assert (found.query_id, found.priority) == ("q", 1)
    assert any("chair" in clause for clause in clauses)
    assert any("left" in clause for clause in clauses) == (place is None)


def test_one_look_sends_nobody_aside_however_often_it_is_asked_about() -> None:
    answers = {EXIT: "Turn left 35 degrees. Move 4 metres to the exit."}
    wayfinder, _ = finder(answers)
    for stamp in (1.0, 1.5, 2.0):
        found = look(wayfinder, stamp=stamp)
        assert (found.status, found.text) == (Status.SEARCHING, "Turn left 35 degrees.")
    answers[EXIT] = "Move 4 metres to the exit."
    found = look(wayfinder, place=Place(0.0, 0.0, math.radians(35)), stamp=3.0)
    assert (found.status, found.text) == (Status.OK, "Move 4 metres to the exit.")


def test_who_asks_again_at_once_hears_what_has_come_into_their_way() -> None:
    answers = dict(NOT_THERE)
    wayfinder, _ = finder(answers)
    look(wayfinder)
    answers[EXIT] = "Caution, person ahead at 0.5 metres. No exit in view. Turn slowly to look around."
    again = look(wayfinder, stamp=2.5)
    assert [s.landmark for s in again.steps if s.action is Action.CAUTION] == ["person", "chair"]
    assert again.text.startswith("Caution, person ahead, 0.5 metres. Caution, chair ahead, 1 metre. No exit in view.")


def test_a_camera_that_is_covered_is_said_at_once_and_so_is_what_it_sees_again() -> None:
    wayfinder, _ = finder()
    searching = look(wayfinder)
    dark = wayfinder.answer(Frame(np.zeros((60, 80, 3), np.uint8), stamp=1.5), EXIT, HERE)
    assert (dark.status, dark.text) == (Status.POOR_IMAGE, TOO_DARK)
    assert look(wayfinder, stamp=2.0).status is searching.status


def test_who_asks_again_after_an_answer_that_was_canceled_meanwhile_hears_it_afresh() -> None:
    cancel, answers = threading.Event(), dict(NOT_THERE)

    def canceled(image: Any, query: str) -> str:
        if query != EXIT:
            cancel.set()
        return answers[query]

    wayfinder, _ = finder(canceled)
    first = wayfinder.answer(Frame(room(), stamp=0.5), EXIT, Place(5.0, 0.0, 0.0), cancel=threading.Event())
    cancel.clear()
    wayfinder.answer(Frame(room(), stamp=1.0), EXIT, Place(4.0, 0.0, 1.0), cancel=cancel)
    assert look(wayfinder, place=Place(5.0, 0.0, 0.0), stamp=1.5).text == first.text
    wayfinder.forget()
    cancel.clear()
    wayfinder.answer(Frame(room(), stamp=1.0), EXIT, HERE, cancel=cancel)
    answers[EXIT] = "No exit in view. Move 4 metres to the open door."
    assert "open door" in look(wayfinder, stamp=2.0).text


def test_a_try_that_is_asked_about_again_is_still_called_one() -> None:
    answers = dict(NOT_THERE)
    answers[EXIT] = "No exit in view. Turn left 50 degrees, then move 4 metres to the open door."
    wayfinder, _ = finder(answers)
    look(wayfinder)
    answers[EXIT] = "No exit in view. Turn right 10 degrees, then move 4 metres to the open door."
    tried = look(wayfinder, stamp=5.0)
    assert tried.text.startswith("This is only a try.")
    answers[EXIT] = "Caution, box ahead at 1 metre. No exit in view."
    again = look(wayfinder, stamp=6.0)
    assert again.text == f"Caution, box ahead, 1 metre. {tried.text}"


def test_who_asks_again_where_a_warning_has_gone_is_not_answered_with_nothing() -> None:
    answers = {EXIT: "Caution, box ahead at 1 metre. Move 0.5 metres to the exit."}
    wayfinder, _ = finder(answers)
    first = look(wayfinder)
    assert first.text == "Caution, box ahead, 1 metre. Move 0.5 metres. It may be within reach."
    answers[EXIT] = "No exit in view."
    assert look(wayfinder, stamp=1.5).text == first.text


@pytest.mark.parametrize("status", [Status.CANCELED, Status.ERROR])
@pytest.mark.parametrize("query", [EXIT, LIFT])
def test_an_answer_that_was_not_given_changes_nothing(status: Status, query: str) -> None:
    answers = {EXIT: "Turn left 50 degrees, then move 4 metres to the exit."}
    wayfinder, _ = finder(answers, probability=0.85)
    first = look(wayfinder)
    assert (first.status, first.text) == (Status.SEARCHING, "Turn left 50 degrees.")
    guide, wayfinder.guide = wayfinder.guide, Failing(status)
    assert look(wayfinder, query, stamp=2.0).status is status
    wayfinder.guide = guide
    again = look(wayfinder, stamp=2.5)
    assert (again.status, again.text) == (first.status, first.text)


class Failing(Guide):
    """A guide for tests whose answers all come to nothing."""

    def __init__(self, status: Status) -> None:
        super().__init__(ScriptedEngine({}))
        self._status = status

    def answer(self, frame: Frame, query: str, **_: Any) -> Instruction:
        return Instruction(query_id="", query=query, status=self._status, text="Not now.", stamp=frame.stamp)


def test_a_sure_answer_that_was_just_given_is_not_turned_round_by_half_a_look() -> None:
    answers = {EXIT: "Turn left 10 degrees, then move 4 metres to the exit."}
    wayfinder, _ = finder(answers)
    first = look(wayfinder)
    assert first.status is Status.OK
    answers[EXIT] = "Turn right 50 degrees, then move 2 metres to the exit."
    again = look(wayfinder, stamp=2.0)
    assert (again.status, again.text) == (first.status, first.text)


def test_odometry_that_begins_anew_leads_nobody_by_memory() -> None:
    answers = {EXIT: "Move 8 metres to the exit."}
    wayfinder, _ = finder(answers)
    look(wayfinder, place=Place(20.0, 5.0, 0.0))
    answers.update(NOT_THERE)
    found = look(wayfinder, place=HERE, stamp=5.0)
    assert found.text.endswith("No exit in view. Turn left 60 degrees.")
    walked, _ = finder(answers := {EXIT: "Move 8 metres to the exit."})
    look(walked, place=HERE)
    answers.update(NOT_THERE)
    assert "move" in look(walked, place=Place(4.0, 0.0, 1.0), stamp=6.0).text, "who walked is still led"


@pytest.mark.parametrize(("place", "stamp"), [(Place(20.0, 5.0, 0.0), 21.0), (Place(0.3, 0.0, math.pi / 2), 2.0)])
def test_another_odometry_leads_nobody_by_memory_however_far_somebody_may_have_walked(
    place: Place, stamp: float
) -> None:
    answers = {EXIT: "Move 8 metres to the exit."}
    wayfinder, _ = finder(answers)
    look(wayfinder, place=place, epoch=1)
    answers.update(NOT_THERE)
    found = look(wayfinder, stamp=stamp, epoch=2)
    assert found.text.endswith("No exit in view. Turn left 60 degrees.")
    back = Place(0.0, 0.0, math.radians(-60))
    assert heading(look(wayfinder, place=back, stamp=stamp + 5.0, epoch=2)) < 0, "and from then on it is remembered"


def test_the_second_question_is_asked_however_slow_the_first_answer_was() -> None:
    """Its picture was fresh when it was looked at; how old it is counts when all is said."""
    clock = [1.0]
    seconds = {EXIT: 0.9, "Where is the open door?": 0.3}

    def answers(image: Any, query: str) -> str:
        clock[0] += seconds[query]
        return NOT_THERE[query]

    wayfinder, engine = finder(answers)
    found = wayfinder.answer(Frame(room(), stamp=1.0), EXIT, HERE, now=lambda: clock[0])
    assert found.status is Status.SEARCHING
    assert engine.queries == [EXIT, "Where is the open door?"]


@pytest.mark.parametrize("way", ["late", "before its time", "canceled"])
def test_what_nobody_heard_is_no_look_and_no_leg(way: str) -> None:
    clock, cancel = [1.0], threading.Event()
    late = {"late": 9.0, "before its time": -9.0, "canceled": 0.1}[way]

    def answers(image: Any, query: str) -> str:
        if query != EXIT:
            clock[0] += late
            if way == "canceled":
                cancel.set()
        return NOT_THERE[query]

    wayfinder, _ = finder(answers)
    for k in range(7):
        stamp = clock[0] = 100.0 + 5.0 * k
        place = Place(0.0, 0.0, math.radians(60 * k - 180))
        found = wayfinder.answer(Frame(room(), stamp=stamp), EXIT, place, now=lambda: clock[0], cancel=cancel)
        cancel.clear()
        assert (found.status is Status.STALE_IMAGE) == (way != "canceled")
    late = 0.1
    way = ""
    clock[0] = 140.0
    heard = wayfinder.answer(Frame(room(), stamp=140.0), EXIT, HERE, now=lambda: clock[0])
    assert heard.text.endswith("No exit in view. Turn left 60 degrees."), "the first look that was told"


@pytest.mark.parametrize("late", [0.2, 9.0])
def test_age_and_latency_are_those_of_when_the_answer_is_given(late: float, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])

    def answers(image: Any, query: str) -> str:
        clock[0] += 0.1 if query == EXIT else late
        return NOT_THERE[query]

    wayfinder, _ = finder(answers)
    found = wayfinder.answer(Frame(room(), stamp=99.9), EXIT, HERE, now=lambda: clock[0], started=99.0)
    assert found.status is (Status.SEARCHING if late < 1.0 else Status.STALE_IMAGE)
    assert found.image_age == pytest.approx(0.2 + late)
    assert found.latency == pytest.approx(1.1 + late)


@pytest.mark.parametrize("ahead", [2.0, 4.0])
def test_a_clock_that_is_set_back_while_memory_speaks_makes_the_picture_one_of_another_time(ahead: float) -> None:
    """As it does for one picture's answer: nobody knows how old it is."""
    clock = [100.0]

    def answers(image: Any, query: str) -> str:
        if query != EXIT:
            clock[0] -= ahead
        return NOT_THERE[query]

    found = finder(answers)[0].answer(Frame(room(), stamp=100.0), EXIT, HERE, now=lambda: clock[0])
    assert (found.status, found.steps) == (Status.STALE_IMAGE, ())


@pytest.mark.parametrize("when", [EXIT, "Where is the open door?"])
def test_what_is_forgotten_while_an_answer_is_made_stays_so(when: str) -> None:
    forgetting = [False]

    def answers(image: Any, query: str) -> str:
        if forgetting[0] and query == when:
            thread = threading.Thread(target=wayfinder.forget)
            thread.start()
            thread.join()
        return NOT_THERE[query]

    wayfinder, _ = finder(answers)
    look(wayfinder)
    forgetting[0] = True
    wayfinder.answer(Frame(room(), stamp=2.0), EXIT, Place(0.0, 0.0, math.radians(30)))
    forgetting[0] = False
    assert heading(look(wayfinder, place=Place(0.0, 0.0, math.radians(-60)), stamp=9.0)) > 0


def test_who_changes_their_language_hears_it_at_once() -> None:
    wayfinder, _ = finder()
    assert look(wayfinder).text.endswith("Turn left 60 degrees.")
    options = wayfinder.guide.options
    wayfinder.guide.options = replace(options, style=Style(language="de", bearings="clock"))
    assert look(wayfinder, stamp=2.0).text.endswith("Drehen Sie sich auf 10 Uhr.")


@pytest.mark.parametrize(
    "change",
    [{"rig": Rig(mirrored=True)}, {"rig": Rig(camera_yaw=0.3)}, {"rig": Rig(camera_pitch=0.1)}, {"hfov": 1.0}],
)
def test_a_camera_that_is_worn_otherwise_begins_a_new_memory(change: dict[str, Any]) -> None:
    answers = {EXIT: "Turn left 40 degrees, then move 4 metres to the exit."}
    wayfinder, _ = finder(answers)
    look(wayfinder)
    answers[EXIT] = "No exit in view. Turn right 40 degrees, then move 4 metres to the open door."
    wayfinder.guide.options = replace(wayfinder.guide.options, **change)
    assert "right 40 degrees" in look(wayfinder, stamp=2.0).text
    assert heading(look(wayfinder, stamp=9.0)) == pytest.approx(math.radians(-40))


@pytest.mark.parametrize(
    "question", ["Is anyone in front of me?", "How many steps to the exit?", "Is there a chair in my way?"]
)
def test_a_question_about_what_is_around_is_no_new_goal(question: str) -> None:
    answers = {EXIT: "Move 8 metres to the exit.", question: "No person in view."}
    wayfinder, _ = finder(answers)
    look(wayfinder)
    assert look(wayfinder, question, stamp=5.0).status is not Status.SEARCHING
    answers.update(NOT_THERE)
    assert "ove" in look(wayfinder, place=Place(2.0, 0.0, 1.0), stamp=9.0).text, "the exit is still known"


def test_what_memory_says_too_late_is_not_said() -> None:
    """The picture is fresh when its answer is there, and old when the second question about it is answered."""
    ages = {EXIT: 0.1, "Where is the open door?": 9.0}
    clock = [1.0]

    def answers(image: Any, query: str) -> str:
        clock[0] = 1.0 + ages[query]
        return NOT_THERE[query]

    found = finder(answers)[0].answer(Frame(room(), stamp=1.0), EXIT, HERE, now=lambda: clock[0])
    assert found.status is Status.STALE_IMAGE
    assert found.steps == ()
    assert found.text == TOO_LATE
    assert found.image_age == pytest.approx(9.0)
