from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nav_vlm_node.frames import Frame, Image
from nav_vlm_node.guard import Limits
from nav_vlm_node.guide import Guide, GuideOptions, Listener, query_problem
from nav_vlm_node.instruction import Action, Instruction, Status
from nav_vlm_node.language import Style
from nav_vlm_node.replies import RETRACTED, SPOKEN, TOO_DARK, TOO_LATE, say
from nav_vlm_node.view import Camera, Rig, View
from nav_vlm_node.vlm.protocol import (
    EngineCrashed,
    EngineDeadline,
    EngineError,
    Token,
    VisualTokens,
    VisualTokensExpired,
)
from nav_vlm_node.vlm.scripted import ScriptedEngine
from tests.pictures import room

GOOD = "Caution, chair ahead at 1 metre. Turn left 35 degrees, then move 4 metres to the door."
FRAME = Frame(room(), stamp=100.0, frame_id="camera_optical")


def ask(answer: str, query: str = "Where is the door?", **options: Any) -> Instruction:
    return Guide(ScriptedEngine(answer), GuideOptions(**options)).answer(FRAME, query)


def test_a_good_answer() -> None:
    instruction = Guide(ScriptedEngine(GOOD, adapters=("guide",), probability=0.8)).answer(
        FRAME, " Where is the door?\n", query_id="7", priority=1
    )
    assert instruction.status is Status.OK
    assert [step.action for step in instruction.steps] == [Action.CAUTION, Action.TURN, Action.MOVE]
    assert instruction.steps[1].bearing == pytest.approx(math.radians(35))
    assert instruction.text.startswith("Caution, chair ahead")
    assert instruction.confidence == pytest.approx(0.8)
    assert (instruction.query_id, instruction.priority) == ("7", 1)
    assert (instruction.stamp, instruction.frame_id) == (100.0, "camera_optical")
    assert (instruction.model, instruction.adapter) == ("scripted", "")
    assert instruction.latency > 0
    assert math.isnan(instruction.image_age)  # a file has no age


def test_the_wearers_words() -> None:
    style = Style(bearings="clock", distances="steps", step_length=0.5)
    text = ask("Door 30 degrees left at 4 metres.", style=style).text
    assert "11 o'clock" in text
    assert "8 steps" in text
    assert "metre" not in text


def test_what_is_forgotten_while_it_is_looked_up_stops_no_answer() -> None:
    guide = Guide(ScriptedEngine(GOOD))

    class Meanwhile(GuideOptions):
        """Options of an earlier answer; while they are looked at, another thread lets the guide forget."""

        def __eq__(self, other: object) -> bool:
            guide.forget()
            return False

        __hash__ = GuideOptions.__hash__

    guide._encodings.append((FRAME, Meanwhile(), VisualTokens()))
    assert guide.answer(FRAME, "Where is the door?").status is Status.OK


def test_german() -> None:
    instruction = ask("", style=Style(language="de"))
    assert instruction.status is Status.UNSURE
    assert instruction.text == say(SPOKEN[Status.UNSURE], "de") != SPOKEN[Status.UNSURE]


def test_clauses_are_released_as_soon_as_they_are_complete_and_hazards_come_first() -> None:
    seen: list[tuple[str, str]] = []
    listener = Listener(
        on_stage=lambda stage: seen.append(("stage", stage)),
        on_text=lambda text: seen.append(("text", text)),
        on_clause=lambda clause: seen.append(("clause", clause)),
    )
    instruction = Guide(ScriptedEngine(GOOD)).answer(FRAME, "Where is the door?", listener=listener)
    clauses = [text for kind, text in seen if kind == "clause"]
    assert len(clauses) == 2
    assert clauses[0].startswith("Caution")
    assert instruction.released == tuple(clauses)
    assert " ".join(clauses) == instruction.text
    assert [text for kind, text in seen if kind == "stage"] == ["looking", "answering", "checking"]
    first = seen.index(("clause", clauses[0]))
    assert seen[first - 1] == ("text", "Caution, chair ahead at 1 metre.")  # nothing more was written by then
    assert [text for kind, text in seen if kind == "text"][-1] == GOOD


@pytest.mark.parametrize(
    ("query", "spoken"),
    [("", "did not hear"), ("  \n", "did not hear"), ("?!", "did not hear"), ("x" * 501, "too long"),
     ("a" * 100_000, "too long"), ("where\x00 is it", "did not understand"), ("a\x1b[31m", "did not understand"),
     ("a \ud800 b", "did not understand")],
)  # fmt: skip
def test_what_is_no_question_is_not_asked(query: str, spoken: str) -> None:
    engine = ScriptedEngine(GOOD)
    instruction = Guide(engine).answer(FRAME, query)
    assert instruction.status is Status.INVALID_QUERY
    assert spoken in instruction.text
    assert instruction.message
    assert len(instruction.query) <= 1000
    assert engine.encoded == 0


@given(st.text(max_size=600))
def test_any_text_is_asked_or_refused_with_a_reason(query: str) -> None:
    problem = query_problem(query, 500)
    if problem is None:
        assert query.strip()
        assert len(query) <= 500
        assert "\x00" not in query
    else:
        spoken, why = problem
        assert spoken.endswith(".")
        assert "\n" not in why


def test_unknown_things_get_the_fixed_sentence_and_no_direction() -> None:
    instruction = ask("I do not know that place.", "Where is the cathedral?")
    assert instruction.status is Status.OK
    assert instruction.text == "I do not know that place."
    assert [step.action for step in instruction.steps] == [Action.UNKNOWN]
    withheld = ask("I do not know that place. Turn left 30 degrees.", "Where is the cathedral?")
    assert withheld.status is Status.UNSURE
    assert withheld.steps == ()


def test_not_in_view() -> None:
    instruction = ask("No exit in view. Turn slowly to scan.", "Where is the exit?")
    assert instruction.status is Status.NOT_VISIBLE
    assert [step.action for step in instruction.steps] == [Action.NOT_VISIBLE, Action.SCAN]


@pytest.mark.parametrize("text", ["Turn left 30 degrees, then turn right 30 degrees.", "a white room with a chair", ""])
def test_what_the_guard_withholds_is_unsure_without_a_direction(text: str) -> None:
    instruction = ask(text)
    assert instruction.status is Status.UNSURE
    assert instruction.steps == ()
    assert instruction.text == SPOKEN[Status.UNSURE]
    assert repr(text) in instruction.message


def test_doubt_is_unsure_but_the_warning_is_given() -> None:
    instruction = Guide(ScriptedEngine(GOOD, probability=0.1)).answer(FRAME, "Where is the door?")
    assert instruction.status is Status.UNSURE
    assert [step.action for step in instruction.steps] == [Action.CAUTION]
    assert instruction.text.startswith("Caution, chair ahead")
    assert instruction.text.endswith(SPOKEN[Status.UNSURE])
    assert instruction.released == (instruction.text.removesuffix(f" {SPOKEN[Status.UNSURE]}"),)
    assert instruction.confidence == pytest.approx(0.1)
    bold = Guide(ScriptedEngine(GOOD, probability=0.1), GuideOptions(limits=Limits(min_confidence=0.0)))
    assert bold.answer(FRAME, "Where is the door?").status is Status.OK


def test_a_direction_that_was_spoken_and_then_contradicted_is_taken_back() -> None:
    instruction = ask("Turn left 30 degrees. Turn right 90 degrees.")
    assert instruction.released == ("Turn left 30 degrees.",)
    assert instruction.status is Status.UNSURE
    assert instruction.text == RETRACTED


def test_an_answer_to_another_question_is_unsure() -> None:
    instruction = ask("Turn left 30 degrees, then move 4 metres to the toilet.", "Where is the exit?")
    assert instruction.status is Status.UNSURE
    assert "exit was asked for" in instruction.message
    assert instruction.released == ()


def test_an_engine_that_is_starting_is_not_ready() -> None:
    engine = ScriptedEngine(GOOD)
    engine.close()
    instruction = Guide(engine).answer(FRAME, "Where is the door?")
    assert instruction.status is Status.NOT_READY
    assert "EngineUnavailable" in instruction.message


def test_an_answer_that_was_cut_off_is_unsure() -> None:
    instruction = ask(GOOD, max_new_tokens=9)  # "... Turn left 35"
    assert instruction.status is Status.UNSURE
    assert "cut off" in instruction.message
    assert [step.action for step in instruction.steps] == [Action.CAUTION]


def test_a_dark_picture() -> None:
    engine = ScriptedEngine(GOOD)
    instruction = Guide(engine).answer(Frame(np.zeros((48, 64, 3), np.uint8)), "Where is the door?")
    assert instruction.status is Status.POOR_IMAGE
    assert instruction.text == TOO_DARK
    assert engine.encoded == 0


def test_a_camera_that_does_not_fit_the_picture() -> None:
    frame = Frame(room(), camera=Camera.from_fov(640, 480, 1.2))
    instruction = Guide(ScriptedEngine(GOOD, view=View())).answer(frame, "Where is the door?")
    assert instruction.status is Status.POOR_IMAGE
    assert "camera_info" in instruction.message


@pytest.mark.parametrize(
    ("now", "status"), [(100.4, Status.OK), (100.6, Status.STALE_IMAGE), (99.0, Status.STALE_IMAGE)]
)
def test_an_old_picture_is_not_looked_at(now: float, status: Status) -> None:
    engine = ScriptedEngine("Stop.")
    instruction = Guide(engine).answer(FRAME, "Where is the door?", now=lambda: now)
    assert instruction.status is status
    assert engine.encoded == (status is Status.OK)
    assert instruction.image_age == pytest.approx(now - 100.0)
    assert ("future" in instruction.message) == (now < 100)


@pytest.mark.parametrize("later", [104.0, 20.0])
def test_an_answer_that_comes_too_late_or_in_another_time_is_withheld(later: float) -> None:
    clock = [100.1]

    def slow(image: Image, query: str) -> str:
        clock[0] = later
        return GOOD

    clauses: list[str] = []
    guide = Guide(ScriptedEngine(slow), GuideOptions(max_answer_age=3.0))
    instruction = guide.answer(
        FRAME, "Where is the door?", now=lambda: clock[0], listener=Listener(on_clause=clauses.append)
    )
    assert instruction.status is Status.STALE_IMAGE
    assert instruction.text == TOO_LATE
    assert instruction.steps == ()
    assert clauses == []


def test_cancel_stops_at_the_next_token() -> None:
    cancel, texts = threading.Event(), list[str]()

    def on_text(text: str) -> None:
        texts.append(text)
        cancel.set()

    instruction = Guide(ScriptedEngine(GOOD)).answer(
        FRAME, "Where is the door?", listener=Listener(on_text=on_text), cancel=cancel
    )
    assert instruction.status is Status.CANCELED
    assert texts == ["Caution,"]


@pytest.mark.parametrize("error", [EngineCrashed("lost: signal 9"), EngineDeadline("5 s")])
def test_a_failing_engine_is_told_and_the_next_question_is_answered(error: EngineError) -> None:
    failing = [True]

    def fail(index: int) -> None:
        if failing[0] and index == 3:
            raise error

    guide = Guide(ScriptedEngine(GOOD, on_token=fail))
    instruction = guide.answer(FRAME, "Where is the door?")
    assert instruction.status is Status.ERROR
    assert instruction.text == error.spoken
    assert str(error) in instruction.message
    failing[0] = False
    assert guide.answer(FRAME, "Where is the door?").status is Status.OK


def test_a_deadline_reaches_the_engine() -> None:
    guide = Guide(ScriptedEngine(GOOD, delay=0.05))
    instruction = guide.answer(FRAME, "Where is the door?", timeout=0.1)
    assert instruction.status is Status.ERROR
    assert "EngineDeadline" in instruction.message


def test_a_frame_is_encoded_once() -> None:
    engine = ScriptedEngine(GOOD)
    guide = Guide(engine)
    for query in ("Where is the door?", "Where is the exit?"):
        guide.answer(FRAME, query)
    assert engine.encoded == 1
    guide.answer(Frame(room(), stamp=101.0), "Where is the door?")
    assert engine.encoded == 2
    guide.options = GuideOptions(rig=Rig(camera_yaw=0.3))  # another rig shows the model another picture
    guide.answer(FRAME, "Where is the door?")
    assert engine.encoded == 3
    guide.forget()
    guide.answer(FRAME, "Where is the door?")
    assert engine.encoded == 4


def test_tokens_that_expired_with_the_engine_are_encoded_again() -> None:
    class Restarting(ScriptedEngine):
        lives = 0

        def stream(self, visual: VisualTokens, query: str, **options: Any) -> Iterator[Token]:
            if self.lives == 0:
                self.lives += 1
                raise VisualTokensExpired("gone")
            return super().stream(visual, query, **options)

    engine = Restarting(GOOD)
    instruction = Guide(engine).answer(FRAME, "Where is the door?")
    assert instruction.status is Status.OK
    assert engine.encoded == 2
    assert instruction.text.count("Caution") == 1


# What the model is shown. The engine looks for a red post and answers with the bearing of its column of the view.

STRAIGHT = Rig()
VIEW = View(width=180, height=90, hfov=math.radians(120), vfov=math.radians(60), elevation=0.0)


def post_at(camera: Camera, bearing: float) -> Image:
    """A picture of `camera`, held level and straight ahead, with a red post at `bearing` (left positive)."""
    image = room(camera.height, camera.width)
    column = camera.cx - camera.fx * math.tan(bearing)
    width = camera.width / 60
    image[:, max(0, round(column - width)) : round(column + width)] = (255, 0, 0)
    return image


def seen_bearing(image: Image) -> float:
    reds = np.flatnonzero((image[image.shape[0] // 2].astype(int) @ [1, -1, -1]) > 100)
    return float(VIEW.bearings()[reds].mean())


def shown(camera: Camera, image: Image, rig: Rig = STRAIGHT, hfov: float | None = None) -> float:
    """The bearing at which the model is shown the post."""
    found: list[float] = []

    def answer(view: Image, query: str) -> str:
        found.append(seen_bearing(view))
        return "Stop."

    options = GuideOptions(rig=rig) if hfov is None else GuideOptions(rig=rig, hfov=hfov)
    frame = Frame(image, camera=camera if hfov is None else None)
    assert Guide(ScriptedEngine(answer, view=VIEW), options).answer(frame, "Where is the door?").status is Status.OK
    return found[0]


@pytest.mark.parametrize("hfov", [60, 90, 110])
@pytest.mark.parametrize("size", [(640, 480), (1280, 720)])
@pytest.mark.parametrize("bearing", [-25, -10, 0, 20])
def test_a_thing_is_shown_where_it_is_whatever_the_field_of_view(
    size: tuple[int, int], hfov: int, bearing: int
) -> None:
    camera = Camera.from_fov(*size, math.radians(hfov))
    image = post_at(camera, math.radians(bearing))
    assert math.degrees(shown(camera, image)) == pytest.approx(bearing, abs=1.0)
    assert math.degrees(shown(camera, image, hfov=math.radians(hfov))) == pytest.approx(bearing, abs=1.0)


@pytest.mark.parametrize("yaw", [-30, 15])
def test_a_camera_that_does_not_look_ahead(yaw: int) -> None:
    camera = Camera.from_fov(640, 480, math.radians(90))
    image = post_at(camera, math.radians(10))
    rig = Rig(camera_yaw=math.radians(yaw))
    assert math.degrees(shown(camera, image, rig)) == pytest.approx(10 + yaw, abs=1.0)


def test_a_mirrored_camera() -> None:
    camera = Camera.from_fov(640, 480, math.radians(90))
    image = np.ascontiguousarray(post_at(camera, math.radians(20))[:, ::-1])
    assert math.degrees(shown(camera, image, Rig(mirrored=True))) == pytest.approx(20, abs=1.0)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_camera_that_is_worn_turned(turns: int) -> None:
    upright = Camera.from_fov(640, 640, math.radians(90))
    image = np.ascontiguousarray(np.rot90(post_at(upright, math.radians(20)), turns))  # counterclockwise
    rig = Rig(image_rotation=90 * turns)
    assert math.degrees(shown(upright, image, rig)) == pytest.approx(20, abs=1.0)
