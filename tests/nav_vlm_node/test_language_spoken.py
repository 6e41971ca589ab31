"""What the wearer hears: in their words, understood again, and never against the rules for spoken instructions."""

import math
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nav_vlm_node.errors import UserError
from nav_vlm_node.instruction import NAN, Action, Step
from nav_vlm_node.language import KNOWN, Style, mirrored, parse, render, resolve
from nav_vlm_node.language.lexicons import LEXICONS

D = math.radians
WAY = (
    Step(Action.TURN, D(35)),
    Step(Action.MOVE, 0.0, 4.2, "door"),
    Step(Action.CAUTION, D(-62), 1.4, "chair"),
)


def number(low: float, high: float) -> st.SearchStrategy[float]:
    return st.one_of(st.just(NAN), st.floats(low, high))


landmarks = st.one_of(st.just(""), st.sampled_from(sorted(KNOWN)))
steps = st.lists(
    st.builds(Step, st.sampled_from(Action), number(-math.pi, math.pi), number(0, 30), landmarks), max_size=6
).map(tuple)
styles = st.builds(
    Style,
    bearings=st.sampled_from(["degrees", "clock", "left_right"]),
    distances=st.sampled_from(["metres", "steps", "feet"]),
    step_length=st.sampled_from([0.5, 0.62, 0.7, 0.9]),
)


@pytest.mark.parametrize(
    ("style", "text"),
    [
        (Style(), "Caution, chair 60 degrees right, 1.5 metres. Turn left 35 degrees, then move 4 metres to the door."),
        (
            Style(bearings="clock", distances="steps", step_length=0.7),
            "Caution, chair at 2 o'clock, 2 steps. Turn to 11 o'clock, then move 6 steps to the door.",
        ),
        (
            Style(bearings="left_right", distances="feet"),
            "Caution, chair ahead on your right, 5 feet. Bear left, then move 14 feet to the door.",
        ),
        (
            Style(language="de"),
            "Vorsicht, Stuhl 60 Grad rechts, 1,5 Meter. "
            "Drehen Sie sich 35 Grad nach links, dann gehen Sie 4 Meter zur Tür.",
        ),
        (
            Style(language="de", bearings="clock", distances="steps"),
            "Vorsicht, Stuhl auf 2 Uhr, 2 Schritte. Drehen Sie sich auf 11 Uhr, dann gehen Sie 6 Schritte zur Tür.",
        ),
    ],
)
def test_one_way_in_the_wearers_words(style: Style, text: str) -> None:
    assert render(WAY, style) == text


@given(steps, styles)
@example((Step(Action.LOCATE, 0.0, 0.7, "stairs"),), Style(distances="steps"))
def test_what_is_said_is_understood(steps: tuple[Step, ...], style: Style) -> None:
    said = render(steps, style)
    parsed = parse(said, step_length=style.step_length)
    assert parsed.unparsed == ()
    # through `resolve` once more, because "move to the door" does not say again that it is straight on after the turn
    heard, expected = resolve(parsed.steps, style), resolve(steps, style)
    assert len(heard) == len(parsed.steps)
    assert [(step.action, step.landmark) for step in heard] == [(step.action, step.landmark) for step in expected]
    for understood, meant in zip(heard, expected, strict=True):
        assert understood.bearing == pytest.approx(meant.bearing, abs=1e-9, nan_ok=True), said
        assert understood.distance == pytest.approx(meant.distance, abs=1e-6, nan_ok=True), said


@given(steps, styles)
def test_what_is_said_is_as_exact_as_the_style_can_be(steps: tuple[Step, ...], style: Style) -> None:
    half = {"degrees": 2.5, "clock": 15.0, "left_right": 22.5}[style.bearings]
    reach = {"metres": 0.5, "steps": style.step_length, "feet": 0.3048}[style.distances]
    for step in steps:
        if step.action is not Action.LOCATE:
            continue
        (said,) = resolve([step], style)
        if not math.isnan(step.bearing):
            assert abs(math.remainder(said.bearing - step.bearing, math.tau)) <= D(half) + 1e-9
        if not math.isnan(step.distance):
            assert abs(said.distance - step.distance) <= reach + 1e-9


@given(steps, styles)
def test_the_mirrored_scene_is_said_mirrored(steps: tuple[Step, ...], style: Style) -> None:
    heard = parse(render(mirrored(steps), style), style.step_length).steps
    meant = mirrored(parse(render(steps, style), style.step_length).steps)
    assert [step.action for step in heard] == [step.action for step in meant]
    assert [step.bearing for step in heard] == pytest.approx([step.bearing for step in meant], nan_ok=True)


@given(steps, styles, st.sampled_from(sorted(LEXICONS)))
def test_the_rules_for_what_is_spoken(steps: tuple[Step, ...], style: Style, language: str) -> None:
    style = Style(bearings=style.bearings, distances=style.distances, language=language)
    said = render(steps, style)
    banned = r"image|photo|picture|bild|foto|\bsee\b|\bsehen\b|something|safe|sicher|over there|walk|[{}]|  | \.|nan"
    assert not re.search(banned, said.lower())
    assert said == "" or (said[0].isupper() and said.endswith("."))
    hazards = [sentence.startswith(("Caution", "Vorsicht")) for sentence in re.findall(r"[^ ].*?[^0-9]\.", said)]
    assert hazards == sorted(hazards, reverse=True)


def test_a_long_way_is_told_in_parts_that_can_be_kept_in_mind() -> None:
    way = [Step(Action.TURN, D(90)), Step(Action.MOVE, 0.0, 2.0)] * 7
    assert render(way).count("move 2 metres") == 4


def test_no_distance_is_said_as_nothing_at_all() -> None:
    near = [Step(Action.MOVE, 0.0, 0.05, "door")]
    assert [render(near, Style(distances=unit)) for unit in ("metres", "steps", "feet")] == [
        "Move 0.5 metres to the door.",
        "Move 1 step to the door.",
        "Move 1 foot to the door.",
    ]


@pytest.mark.parametrize("language", sorted(LEXICONS))
def test_a_language_has_words_for_everything(language: str) -> None:
    words = LEXICONS[language]
    assert set(words.sentences) == set(Action)
    assert set(words.turn_sides) == set(words.place_sides) == {20, 45, 90, 135}
    assert set(words.ways) == {0, 90, -90, 180}
    assert set(words.units) == {"metres", "steps", "feet"}
    if language != "en":
        assert set(words.names) >= set(KNOWN)
        assert set(words.goals) >= {"", *KNOWN} - {"obstacle"}


@pytest.mark.parametrize("language", sorted(LEXICONS))
@pytest.mark.parametrize("bearings", ["degrees", "clock", "left_right"])
def test_different_directions_are_said_differently(language: str, bearings: str) -> None:
    style = Style(bearings=bearings, language=language)  # type: ignore[arg-type]  # one of the three, as a plain string
    for action in (Action.TURN, Action.LOCATE):
        said: dict[str, float] = {}
        for degrees in range(-175, 181, 5):
            (step,) = resolve([Step(action, D(degrees), NAN, "door")], style) or (None,)
            if step is not None:
                assert said.setdefault(render([step], style), step.bearing) == step.bearing
        assert len(said) >= 9


def test_german_has_no_english_left() -> None:
    every = [Step(action, D(90), 2.0, landmark) for action in Action for landmark in KNOWN]
    english = set(re.findall(r"[a-z]+", " ".join(KNOWN) + " turn move left right metres caution ahead then the")) - {
        "person",
        "sofa",
    }
    for step in every:
        said = set(re.findall(r"[a-zäöüß]+", render([step], Style(language="de")).lower()))
        assert not said & english


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ({"bearings": "compass"}, "bearings must be one of degrees, clock, left_right"),
        ({"distances": "miles"}, "distances must be one of metres, steps, feet"),
        ({"language": "xx"}, "language must be one of en, de"),
        ({"step_length": 0.0}, "step_length must be between"),
        ({"step_length": NAN}, "step_length must be between"),
    ],
)
def test_a_style_that_does_not_exist_says_so(bad: dict[str, object], said: str) -> None:
    with pytest.raises(UserError, match=said):
        Style(**bad)  # type: ignore[arg-type]  # wrong on purpose
