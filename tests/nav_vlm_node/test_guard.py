from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nav_vlm_node import guard
from nav_vlm_node.guard import DIRECTIONS, Gate, Limits
from nav_vlm_node.instruction import NAN, Action, Step
from nav_vlm_node.language import Style, complete_clauses, parse, render, render_canonical
from nav_vlm_node.replies import TRANSLATIONS
from nav_vlm_node.vlm import protocol

LIMITS = Limits()
CAUTION = Step(Action.CAUTION, 0.0, 1.0, "chair")

bearings = st.one_of(st.just(NAN), st.floats(-math.pi, math.pi, exclude_min=True))
distances = st.one_of(st.just(NAN), st.floats(0.5, 50.0))
landmarks = st.sampled_from(["door", "exit", "stairs", "chair", "table", "open door"])
steps_of_any_kind = st.builds(Step, st.sampled_from(Action), bearings, distances, landmarks)
answers = st.lists(steps_of_any_kind, max_size=6).map(tuple)


def objection(text: str, confidence: float = 0.9) -> str | None:
    parsed = parse(text)
    return guard.objection(text, parsed.steps, parsed.unparsed, confidence, LIMITS)


@pytest.mark.parametrize(
    "text",
    [
        "Caution, chair 20 degrees left at 1.5 metres. Turn left 35 degrees, then move 4 metres to the door.",
        "Turn left 30 degrees, then move 2 metres, then turn right 90 degrees, then move 3 metres to the exit.",
        "No exit in view. Turn left 35 degrees, then move 4 metres to the open door.",
        "No exit in view. The exit sign points left.",
        "No lift in view. Turn slowly to scan.",
        "Turn around.",
        "Stop.",
        "Caution, stairs ahead at 0.5 metres. Stop.",
        "Door 35 degrees left at 4 metres. Door 60 degrees right at 2 metres.",
        "Nothing found in the way for 3 metres.",
        "I do not know that place.",
    ],
)
def test_a_good_answer_passes(text: str) -> None:
    assert objection(text) is None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "nothing"),
        ("Lorem ipsum dolor.", "nothing|not understood"),
        ("Turn left 30 degrees. Blorf the grue.", "not understood"),
        ("Turn left 30 degrees, then turn right 30 degrees.", "two opposite turns"),
        ("Turn left 30 degrees. Turn right 90 degrees.", "two opposite turns"),
        ("No door in view. Turn left 30 degrees, then move 4 metres to the door.", "not in view"),
        ("No door in view. Door ahead at 4 metres.", "not in view"),
        ("Move 3 metres to the door. Stop.", "STOP and MOVE"),
        ("Turn left 40 degrees, then move 4 metres to the door. Door 40 degrees right at 4 metres.", "other side"),
        ("Caution, chair ahead at 1 metre. Nothing found in the way for 3 metres.", "CAUTION and NO_HAZARD"),
        ("I do not know that place. Turn left 40 degrees.", "not known"),
        ("Move 400 metres to the door.", "400"),
        ("Door ahead at 51 metres.", "51"),
        ("Turn left 5 degrees. " * 20, "steps|twice"),
        ("Move 3 metres to the door. Move 3 metres to the door.", "twice"),
    ],
)
def test_what_cannot_be_right_is_named(text: str, why: str) -> None:
    found = objection(text)
    assert found is not None
    assert any(part in found for part in why.split("|")), found


def test_doubt_withholds_directions_and_all_clear_but_no_warning() -> None:
    assert objection("Turn left 30 degrees.", confidence=0.1) is not None
    assert objection("Nothing found in the way for 3 metres.", confidence=0.1) is not None
    assert objection("Turn left 30 degrees.", confidence=math.nan) is not None
    assert objection("Caution, chair ahead at 1 metre.", confidence=0.0) is None
    assert objection("No door in view. Turn slowly to scan.", confidence=0.0) is None


@pytest.mark.parametrize(
    ("asked", "text", "wrong"),
    [
        ("exit", "Turn left 30 degrees, then move 4 metres to the toilet.", True),
        ("exit", "Turn left 30 degrees, then move 4 metres to the exit.", False),
        ("exit", "No exit in view. Move 4 metres to the open door.", False),
        ("exit", "No exit in view. Move 4 metres to the lift.", False),
        ("door", "Move 4 metres to the open door.", False),
        ("door", "Move 4 metres.", False),
        ("chair", "Caution, table ahead at 1 metre.", False),
        (None, "Move 4 metres to the toilet.", False),
    ],
)
def test_a_walk_to_what_was_not_asked_for(asked: str | None, text: str, wrong: bool) -> None:
    parsed = parse(text)
    found = guard.objection(text, parsed.steps, parsed.unparsed, 0.9, LIMITS, asked)
    assert (found is not None) == wrong, found
    gate = Gate(LIMITS, asked)
    for clause in complete_clauses(text):
        gate.offer(clause, 0.9)
    assert (gate.objection is not None) == wrong


@pytest.mark.parametrize(
    "text",
    [
        "The image shows a nice lobby.",
        "As you can see, a door.",
        "Go over there.",
        "There is something on the left.",
        "It is safe to walk.",
        "Visit https://example.org",
        "Door <b>ahead</b>",
    ],
)
def test_banned_wording(text: str) -> None:
    assert guard.banned_wording(text) is not None


def test_no_sentence_of_our_own_is_banned() -> None:
    replies = [
        *TRANSLATIONS["de"],
        *(e.spoken for e in protocol.EngineError.__subclasses__()),
        protocol.EngineError.spoken,
    ]
    for sentence in replies:
        # About the camera itself, and about what went wrong, they may speak.
        assert guard.banned_wording(sentence.replace("camera", "").replace("Something went", "")) is None, sentence


def test_every_fixed_sentence_has_a_translation() -> None:
    spoken = {e.spoken for e in protocol.EngineError.__subclasses__()} | {protocol.EngineError.spoken}
    for language, table in TRANSLATIONS.items():
        if language != "en":
            assert spoken <= set(table), language


@given(answers)
def test_whatever_canonical_text_the_guard_passes_has_no_opposite_turns_and_no_numbers_out_of_range(
    steps: tuple[Step, ...],
) -> None:
    text = render_canonical(steps)
    parsed = parse(text)
    if guard.objection(text, parsed.steps, parsed.unparsed, 1.0, LIMITS) is not None:
        return
    turned = 0.0
    for step in parsed.steps:
        assert math.isnan(step.distance) or 0 < step.distance <= 50
        if step.action is Action.MOVE:
            turned = 0.0
        elif step.action is Action.TURN:
            assert turned * step.bearing >= 0
            turned = step.bearing
    actions = {step.action for step in parsed.steps}
    assert not {Action.STOP, Action.MOVE} <= actions
    assert not {Action.CAUTION, Action.NO_HAZARD} <= actions


@given(answers, st.sampled_from(["degrees", "clock", "left_right"]), st.sampled_from(["metres", "steps", "feet"]))
def test_what_passes_is_spoken_without_banned_wording(steps: tuple[Step, ...], bearings: str, distances: str) -> None:
    style = Style(bearings=bearings, distances=distances)  # type: ignore[arg-type]  # drawn from its values
    assert guard.banned_wording(render(steps, style)) is None


@given(answers, st.floats(0, 1))
def test_less_confidence_never_lets_more_through(steps: tuple[Step, ...], confidence: float) -> None:
    text = render_canonical(steps)
    parsed = parse(text)
    if guard.objection(text, parsed.steps, parsed.unparsed, confidence, LIMITS) is None:
        assert guard.objection(text, parsed.steps, parsed.unparsed, 1.0, LIMITS) is None


@given(answers, st.floats(0, 1))
def test_the_gate_lets_no_direction_out_that_the_whole_answer_so_far_forbids(
    steps: tuple[Step, ...], confidence: float
) -> None:
    text = render_canonical(steps)
    gate, out = Gate(LIMITS), list[Step]()
    so_far = ""
    for clause in complete_clauses(text):
        so_far = f"{so_far} {clause}".strip()
        out += gate.offer(clause, confidence)
        directions = tuple(step for step in out if step.action in DIRECTIONS)
        assert guard.contradiction(directions) is None
        assert guard.implausibility(directions) is None
        if confidence < LIMITS.min_confidence:
            assert not directions


@given(answers)
def test_the_gate_releases_everything_of_an_answer_that_passes(steps: tuple[Step, ...]) -> None:
    text = render_canonical(steps)
    parsed = parse(text)
    if guard.objection(text, parsed.steps, parsed.unparsed, 1.0, LIMITS) is None:
        gate = Gate(LIMITS)
        released = [step for clause in complete_clauses(text) for step in gate.offer(clause, 1.0)]
        assert repr(tuple(released)) == repr(parsed.steps)
        assert gate.objection is None


def test_after_an_objection_only_cautions_come_out() -> None:
    gate = Gate(LIMITS)
    assert gate.offer("Turn left 30 degrees.", 1.0)
    assert gate.offer("Turn right 90 degrees.", 1.0) == ()
    assert gate.objection == "two opposite turns"
    assert gate.offer("Move 3 metres to the door.", 1.0) == ()
    assert gate.offer("Caution, chair ahead at 1 metre.", 1.0) == (CAUTION,)


def test_a_caution_comes_out_although_the_model_doubts() -> None:
    assert Gate(LIMITS).offer("Caution, chair ahead at 1 metre.", 0.0) == (CAUTION,)
