"""Whether the steps of an answer stand in the order of the good one."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nav_vlm_node.instruction import Action, Step
from nav_vlm_node.language import parse
from nav_vlm_node.score import Answer, Truth, in_order, judge

GOOD = "Caution, chair ahead at 1 metre. Turn left 30 degrees, then move 4 metres to the door."
ROUTE = "Turn left 90 degrees, then move 3 metres, then turn right 90 degrees, then move 2 metres."
LISTED = "Door ahead at 4 metres. Chair 30 degrees left at 2 metres."


def kept(text: str, good: str) -> bool | None:
    return judge(Answer(parse(text).steps), Truth("describe", steps=parse(good).steps)).hits.get("step_order_accuracy")


@pytest.mark.parametrize(
    ("text", "good", "expected"),
    [
        (GOOD, GOOD, True),
        ("Caution, table ahead at 2 metres. Turn right 20 degrees, then move 1 metre.", GOOD, True),
        ("Turn left 30 degrees, then move 4 metres to the door. Caution, chair ahead at 1 metre.", GOOD, False),
        ("Caution, chair ahead at 1 metre. Move 4 metres, then turn left 30 degrees.", GOOD, False),
        ("Turn left 30 degrees, then move 4 metres.", GOOD, True),
        ("Turn left 30 degrees.", GOOD, False),
        ("", GOOD, False),
        ("Stop. Turn left 30 degrees, then move 4 metres.", GOOD, True),
        (ROUTE, ROUTE, True),
        ("Turn right 90 degrees, then move 2 metres, then turn left 90 degrees, then move 3 metres.", ROUTE, False),
        (LISTED, LISTED, True),
        ("Chair 30 degrees left at 2 metres. Door ahead at 4 metres.", LISTED, False),
        ("Turn left 30 degrees.", "Turn left 30 degrees.", None),
        ("Turn left 30 degrees.", "", None),
    ],
)
def test_order(text: str, good: str, expected: bool | None) -> None:
    assert kept(text, good) is expected


steps = st.lists(
    st.builds(
        Step,
        st.sampled_from([Action.TURN, Action.MOVE, Action.CAUTION, Action.LOCATE]),
        st.sampled_from([-1.0, 0.0, 1.0]),
        st.just(2.0),
        st.sampled_from(["door", "chair"]),
    ),
    max_size=7,
)


@settings(deadline=None)
@given(steps, steps)
def test_what_any_two_lists_keep(said: list[Step], meant: list[Step]) -> None:
    common, ordered = in_order(said, meant)
    assert 0 <= ordered <= common <= min(len(said), len(meant))
    assert (common > 0) == (ordered > 0)
    assert in_order(meant, meant) == (len(meant), len(meant))
    assert in_order(said + meant, meant) == (len(meant), len(meant)), "what is said besides does not matter"
