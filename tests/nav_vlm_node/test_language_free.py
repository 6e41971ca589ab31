"""Free English: what people say is understood, what is not a direction is not taken for one, nothing breaks it."""

import math
import re
import sys
from collections import Counter
from types import FrameType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nav_vlm_node.instruction import Step
from nav_vlm_node.language import canonical, clauses, free, landmark_of, landmarks, parse, phrases, sentences, words


def short(step: Step) -> str:
    """Like "MOVE 0 3.5m door": action, degrees, metres, landmark, as far as they are stated."""
    parts = [step.action.name]
    if not math.isnan(step.bearing):
        parts.append(f"{math.degrees(step.bearing):.0f}")
    if not math.isnan(step.distance):
        parts.append(f"{step.distance:.3g}m")
    return " ".join([*parts, step.landmark]).rstrip()


def understood(text: str) -> list[str]:
    return [short(step) for step in parse(text).steps]


TURNS = {
    "make a left": "TURN 90",
    "Take a right.": "TURN -90",
    "Take the second left.": "TURN 90",
    "Hang a left at the plant.": "TURN 90 plant",
    "Make a sharp right turn.": "TURN -135",
    "Turn slightly to your left.": "TURN 20",
    "bear right at the door": "TURN -45 door",
    "Veer left around the table.": "TURN 45",
    "Keep left.": "TURN 45",
    "Keep to the right.": "TURN -45",
    "Turn 35 degrees to the left.": "TURN 35",
    "Turn left by thirty-five degrees.": "TURN 35",
    "Turn 35° left.": "TURN 35",
    "Turn left, about 35 degrees.": "TURN 35",
    "Turn left 270 degrees.": "TURN -90",
    "Rotate 45 degrees clockwise.": "TURN -45",
    "Turn to your two o'clock.": "TURN -60",
    "Turn toward 11 o’clock.": "TURN 30",
    "turn around": "TURN 180",
    "Turn right around.": "TURN 180",
    "Turn back.": "TURN 180",
    "Make a U-turn.": "TURN 180",
    "Turn 180 degrees.": "TURN 180",
    "Left.": "TURN 90",
    "Right, please.": "TURN -90",
    "Slight left at the chair.": "TURN 20 chair",
    "You should turn right.": "TURN -90",
    "At the door, turn left.": "TURN 90 door",
    "At the back wall turn left.": "TURN 90 wall",
    "I would turn left here.": "TURN 90",
    "Turn right near the door.": "TURN -90 door",
    "Right around the box.": "TURN -90",
}

MOVES = {
    "go straight": "MOVE 0",
    "Straight ahead.": "MOVE 0",
    "Keep going.": "MOVE 0",
    "Continue down the corridor.": "MOVE 0 corridor",
    "Please go directly.": "MOVE 0",
    "Walk 10 feet.": "MOVE 0 3.05m",
    "Walk ten yards to the elevator.": "MOVE 0 9.14m lift",
    "Walk about five steps.": "MOVE 0 3.5m",
    "Walk 3 to 5 steps.": "MOVE 0 2.8m",
    "Walk one and a half metres.": "MOVE 0 1.5m",
    "Move half a metre forward.": "MOVE 0 0.5m",
    "Go 3m.": "MOVE 0 3m",
    "Walk a couple of metres.": "MOVE 0 2m",
    "Go a few steps ahead.": "MOVE 0",
    "Walk twenty five meters toward the large wooden desk.": "MOVE 0 25m table",
    "Walk down the aisle.": "MOVE aisle",
    "Go left.": "MOVE 90",
    "Step to your right.": "MOVE -90",
    "Move a little to the right.": "MOVE -20",
    "Head towards 1 o'clock.": "MOVE -30",
    "Go back.": "MOVE 180",
    "Walk backwards two steps.": "MOVE 180 1.4m",
    "Take the stairs on your right.": "MOVE -90 stairs",
    "Use the right door.": "MOVE -90 door",
    "Take the elevator or stairs to the upper floor.": "MOVE lift",
    "Make your way to the exit.": "MOVE exit",
    "Walk until you reach the door.": "MOVE door",
}

PLACES = {
    "the exit is on your left": "LOCATE 90 exit",
    "Door on the right-hand side.": "LOCATE -90 door",
    "It’s on the left side.": "LOCATE 90",
    "The exit is right in front of you.": "LOCATE 0 exit",
    "The gates are ahead on the right.": "LOCATE -45 gates",
    "The door is behind you.": "LOCATE 180 door",
    "The lift is at your 3 o'clock, 4 metres away.": "LOCATE -90 4m lift",
    "Exit at ten o'clock.": "LOCATE 60 exit",
    "On your left, there is a door.": "LOCATE 90 door",
    "You will find the washroom on your right.": "LOCATE -90 toilet",
    "Table ahead, 3 steps.": "LOCATE 0 2.1m table",
    "Three steps ahead there is a couch.": "LOCATE 0 2.1m sofa",
    "Keep the wall on your right.": "LOCATE -90 wall",
    "Stairs are at the back-right corner.": "LOCATE -45 stairs",
    "Just on your left.": "LOCATE 90",
    "The chair is to the left of the table.": "LOCATE chair",
    "The table is on the left side of the chair.": "LOCATE table",
    "Yes, there is an exit on your left.": "LOCATE 90 exit",
    "The piano is on the left side of the stage.": "LOCATE 90 piano",
}

HAZARDS = {
    "Yes, there is a table.": "CAUTION table",
    "Yes, there's a chair on your left.": "CAUTION 90 chair",
    "Yes. A table is in front of you.": "CAUTION 0 table",
    "Yes, the stairs are on your right.": "CAUTION -90 stairs",
    "No, there's a table blocking your way.": "CAUTION table",
    "No. But there is a table.": "CAUTION table",
    "Yes.": "CAUTION obstacle",
    "Yes, take care.": "CAUTION obstacle",
    "Watch out for the chair on your left!": "CAUTION 90 chair",
    "Careful, box ahead.": "CAUTION 0 box",
    "Caution: chair at 2 o'clock, 1.5 meters.": "CAUTION -60 1.5m chair",
    "There's an obstacle ahead of you.": "CAUTION 0 obstacle",
    "The path is blocked by a sofa.": "CAUTION sofa",
    "The path is not clear.": "CAUTION obstacle",
    "There is a table in the way.": "CAUTION table",
    "Mind the step.": "CAUTION stairs",
    "No.": "NO_HAZARD",
    "No obstacles.": "NO_HAZARD",
    "No, there are no obstacles.": "NO_HAZARD",
    "No, the path is clear.": "NO_HAZARD",
    "There is nothing in your way.": "NO_HAZARD",
    "The path ahead is clear for about 3 metres.": "NO_HAZARD 3m",
    "There are no chairs in the way.": "NO_HAZARD",
}

OTHERS = {
    "Stop!": "STOP",
    "Wait.": "STOP",
    "Do not move.": "STOP",
    "Don't go any further.": "STOP",
    "Come to a stop.": "STOP",
    "Turn slowly.": "SCAN",
    "Look around.": "SCAN",
    "The exit is not visible.": "NOT_VISIBLE exit",
    "I can't see the exit.": "NOT_VISIBLE exit",
    "There is no door here.": "NOT_VISIBLE door",
    "No elevator in sight.": "NOT_VISIBLE lift",
    "I don't know that place.": "UNKNOWN",
    "The exit sign points to the left.": "SIGN 90 exit sign",
    "The arrow is pointing right.": "LOCATE -90 arrow",
    "Arrow points right.": "SIGN -90 arrow",
}


@pytest.mark.parametrize(
    ("text", "step"), [*TURNS.items(), *MOVES.items(), *PLACES.items(), *HAZARDS.items(), *OTHERS.items()]
)
def test_one_thing_said_is_one_step(text: str, step: str) -> None:
    assert understood(text) == [step]


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("bear right at the door, then walk about 5 steps", ["TURN -45 door", "MOVE 0 3.5m"]),
        ("Walk straight; gates are ahead on the right.", ["MOVE 0", "LOCATE -45 gates"]),
        ("Move straight past the glass walls on your left.", ["MOVE 0", "LOCATE 90 wall"]),
        ("Follow the wall on your left.", ["MOVE wall", "LOCATE 90 wall"]),
        ("After 3 metres turn left.", ["MOVE 0 3m", "TURN 90"]),
        ("Turn right in 5 metres.", ["MOVE 0 5m", "TURN -90"]),
        ("Go ahead, then left.", ["MOVE 0", "TURN 90"]),
        ("Take 3 steps forward, then 2 steps to the right.", ["MOVE 0 2.1m", "MOVE -90 1.4m"]),
        ("1. Turn left\n2. Walk 3 metres", ["TURN 90", "MOVE 0 3m"]),
        ("Walk to the couch and chairs and turn left", ["MOVE sofa", "TURN 90"]),
        ("The door is on the left, and the stairs are on the right.", ["LOCATE 90 door", "LOCATE -90 stairs"]),
        ("Yes, go straight and it's on your right.", ["MOVE 0", "LOCATE -90"]),
        ("No, you can go straight.", ["NO_HAZARD", "MOVE 0"]),
        ("Caution, chair ahead at 1 metre. make a left", ["CAUTION 0 1m chair", "TURN 90"]),
    ],
)
def test_several_things_are_several_steps_in_their_order(text: str, steps: list[str]) -> None:
    parsed = parse(text)
    assert [short(step) for step in parsed.steps] == steps
    assert parsed.unparsed == ()


@pytest.mark.parametrize(
    "text",
    [
        "The door is on your left.",
        "It is right away.",
        "Come right away.",
        "The exit is right in front of you.",
        "The table is right next to the door.",
        "You are on the right way.",
        "All right.",
        "Two chairs are left over.",
        "The chair is to the left of the table.",
        "Go straight, the exit is right ahead.",
        "The left door is open.",
        "Look left.",
        "Turn your head left.",
        "Is the door on your left?",
    ],
)
def test_what_is_no_turn_is_not_taken_for_one(text: str) -> None:
    assert not [step for step in understood(text) if step.startswith(("TURN", "MOVE 90", "MOVE -90"))]


@pytest.mark.parametrize(
    ("text", "steps", "unparsed"),
    [
        ("do not turn left", [], ["do not turn left"]),
        ("Never go left.", [], ["Never go left"]),
        ("Do not turn left, turn right.", ["TURN -90"], ["Do not turn left"]),
        ("Turn right, not left.", ["TURN -90"], ["not left"]),
        ("Turn right instead of left.", ["TURN -90"], []),
        ("The door is not on your left.", [], ["The door is not on your left"]),
        ("The big door of that old room is not on your left.", ["LOCATE door"], []),
        ("All right, go straight.", ["MOVE 0"], ["All right"]),
        ("Turn your head left.", [], ["Turn your head left"]),
        ("Turn left or right.", [], ["Turn left or right"]),
        ("Left/right stairs.", ["LOCATE stairs"], []),
        ("The stairs are on either side.", ["LOCATE stairs"], []),
        ("If the door is closed, turn left.", [], ["If the door is closed", "turn left"]),
        ("Is it on your left?", [], ["Is it on your left?"]),
        ("Bananas sing. Turn left.", ["TURN 90"], ["Bananas sing"]),
        ("Turn around the corner.", [], ["Turn around the corner"]),
        ("Turn towards the door.", [], ["Turn towards the door"]),
        ("!?", [], ["!?"]),
        ("", [], []),
        ("  \n", [], []),
    ],
)
def test_what_is_forbidden_asked_or_not_understood_is_said(text: str, steps: list[str], unparsed: list[str]) -> None:
    parsed = parse(text)
    assert [short(step) for step in parsed.steps] == steps
    assert list(parsed.unparsed) == unparsed


def test_steps_are_counted_in_the_wearers_length() -> None:
    assert parse("Walk 10 steps.", step_length=0.5).steps[0].distance == 5.0
    assert parse("Table ahead, 10 steps.", step_length=0.9).steps[0].distance == pytest.approx(9.0)


# Sentences with a side, of every kind, to be mirrored.
_SIDED = [
    "Turn {s}.",
    "make a {s}",
    "bear {s} at the door",
    "Keep {s}.",
    "Turn slightly {s}.",
    "Go {s} for 3 metres.",
    "The door is on your {s}.",
    "Chair ahead on the {s}, 2 steps.",
    "Take the stairs on the {s} side.",
    "{s} at the plant",
    "Yes, there is a table to your {s}.",
    "Walk straight; it's on the {s}.",
    "Turn 35 degrees {s}.",
    "Exit sign points {s}.",
    "Watch out, box on your {s}.",
    "Turn {s}, not {o}.",
    "Behind you on your {s}.",
    "the {s}most door is ahead",
    "Caution, chair 20 degrees {s} at 1.5 metres.",
    "Step to the {s}.",
    "Turn {s} or {o}.",
    "do not turn {s}",
]


@given(st.lists(st.tuples(st.sampled_from(_SIDED), st.booleans()), min_size=1, max_size=6))
def test_mirrored_text_means_mirrored_steps(chosen: list[tuple[str, bool]]) -> None:
    sides = ("left", "right")
    text = " ".join(f"{form.format(s=sides[flip], o=sides[not flip])} ." for form, flip in chosen)
    mirror = " ".join(f"{form.format(s=sides[not flip], o=sides[flip])} ." for form, flip in chosen)
    here, there = parse(text).steps, parse(mirror).steps
    assert [(step.action, step.distance, step.landmark) for step in here] == [
        (step.action, step.distance, step.landmark) for step in there
    ]
    for step, other in zip(here, there, strict=True):
        sided = step.bearing not in (0.0, math.pi)
        assert other.bearing == pytest.approx(-step.bearing if sided else step.bearing, nan_ok=True)


def test_nearly_every_sided_form_is_understood() -> None:
    silent = [form for form in _SIDED if not parse(form.format(s="left", o="right")).steps]
    assert silent == ["Turn {s} or {o}.", "do not turn {s}"]


_VOCABULARY = sorted(
    words.FUNCTION_WORDS
    | words.VERBS
    | words.PREPOSITIONS
    | set(landmarks.KNOWN)
    | {"left", "right", "3", "°", ",", "."}
)


@given(st.one_of(st.text(max_size=300), st.lists(st.sampled_from(_VOCABULARY), max_size=40).map(" ".join)))
def test_no_text_breaks_it(text: str) -> None:
    parsed = parse(text)
    for step in parsed.steps:
        assert math.isnan(step.bearing) or -math.pi < step.bearing <= math.pi
        assert math.isnan(step.distance) or step.distance >= 0
    assert parsed.steps or parsed.unparsed or not text.strip()
    landmark_of(text)


@given(
    st.lists(st.sampled_from(_VOCABULARY), max_size=25).map(" ".join),
    st.sampled_from([str.upper, str.title, str.lower]),
)
def test_capitals_do_not_matter(text: str, case: Any) -> None:
    assert [short(step) for step in parse(case(text)).steps] == [short(step) for step in parse(text).steps]


ADVERSARIAL = {
    "letters": "a" * 1000,
    "blanks": " " * 1000,
    "digits": "1" * 1000,
    "dots": ". " * 500,
    "commas": "left," * 200,
    "points after digits": "1.1." * 250,
    "and": "and " * 250,
    "or left": "or left " * 125,
    "sides": "left side of the " * 60,
    "numbers": "one hundred and a half " * 45,
    "articles": "the " * 250,
    "degrees": "5 degrees " * 100,
    "verbs": "turn " * 200,
    "to": "to the " * 150,
    "prepositions": "after in at near " * 60,
    "not": "not " * 250,
    "canonical": "caution, chair chair chair " * 40,
    "canonical chain": "move 1 metre, then " * 55,
    "nothing in the way": "nothing is found is " * 50,
    "path": "path is all completely " * 45,
    "sentences": "Turn left at the door. " * 45,
    "clauses": "walk 3 steps, then turn left, " * 35,
    "controls": "\x00\x1b[0m\u202e\ud800" * 160,
    "newlines": "\n" * 1000,
    "dashes": "a-" * 500,
    "apostrophes": "o'" * 500,
}


def lines_run(text: str) -> int:
    """How many lines of this package run to parse `text`; unlike time, the same on every machine."""
    counted: Counter[str] = Counter()

    def trace(frame: FrameType, event: str, _: object) -> Any:
        if "language" not in frame.f_code.co_filename:
            return None
        counted[event] += 1
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        parse(text)
        landmark_of(text)
    finally:
        sys.settrace(before)
    return counted["line"]


@pytest.mark.parametrize("name", ADVERSARIAL)
def test_the_work_grows_no_faster_than_the_text(name: str) -> None:
    text = ADVERSARIAL[name]
    once, four_times = lines_run(text), lines_run(4 * text)
    assert four_times <= 4.5 * once + 2000


class Spy:
    """A compiled pattern that remembers the longest text it was given."""

    def __init__(self, pattern: re.Pattern[str], longest: Counter[str]) -> None:
        self._pattern = pattern
        self._longest = longest

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._pattern, name)

        def watched(text: str, *rest: Any) -> Any:
            key = self._pattern.pattern
            self._longest[key] = max(self._longest[key], len(text))
            return method(text, *rest)

        return watched


# One pass each: every alternative begins with another character, and nothing is tried twice.
SINGLE_PASS = {sentences._END, sentences._HAS_LETTER, words._TOKEN}


@pytest.mark.parametrize("name", ADVERSARIAL)
def test_patterns_that_could_try_again_never_meet_a_long_text(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    longest: Counter[str] = Counter()
    for module in (canonical, clauses, free, landmarks, phrases, sentences, words):
        for attribute, value in vars(module).items():
            if isinstance(value, re.Pattern) and value not in SINGLE_PASS:
                monkeypatch.setattr(module, attribute, Spy(value, longest))
    forms = tuple((action, Spy(form, longest)) for action, form in canonical._FORMS)
    monkeypatch.setattr(canonical, "_FORMS", forms)
    text = ADVERSARIAL[name] * 20
    parse(text)
    landmark_of(text)
    assert max(longest.values(), default=0) <= 4000


def test_a_hundred_kilobytes_are_read_whole() -> None:
    text = "Turn left at the door. " * 4500
    assert len(parse(text).steps) == 4500
