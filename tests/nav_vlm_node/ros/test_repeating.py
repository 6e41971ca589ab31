"""`repeat`: a direction is said again while it holds for where the wearer is, and for no one else."""

from __future__ import annotations

import math

import pytest

from nav_vlm_node.guide import GuideOptions
from nav_vlm_node.instruction import NAN, Action, Instruction, Status, Step
from nav_vlm_node.replies import LONG_AGO
from nav_vlm_node.ros.odometry import Known
from nav_vlm_node.ros.repeating import STILL, WHILE, LastSpoken
from nav_vlm_node.session import Place

OPTIONS = GuideOptions()
SENT = Instruction(
    query_id="q", query="?", status=Status.OK, text="Turn left.", stamp=100.0, steps=(Step(Action.TURN, math.pi / 2),)
)


def known(x: float = 0.0, degrees: float = 0.0, epoch: int = 0) -> Known:
    return Known(100.0, Place(x, 0.0, math.radians(degrees)), epoch, ("odom", "base_link"))


def said_again(seconds: float, there: Known | None, here: Known | None) -> str:
    last = LastSpoken()
    last.remember(SENT, there)
    again = last.again(SENT.stamp + seconds, OPTIONS, None, here)
    assert again is not None
    return again.text


@pytest.mark.parametrize("seconds", [OPTIONS.max_answer_age + 0.5, WHILE])
@pytest.mark.parametrize(
    ("there", "here", "holds"),
    [
        (known(), known(), True),
        (known(), known(STILL[0] - 0.01, 9), True),
        (known(), known(STILL[0] + 0.01), False),
        (known(0.0, -175), known(0.0, 176), True),
        (known(), known(0.0, 11), False),
        (known(), known(epoch=1), False),
        (known(), None, False),
        (None, known(), False),
    ],
)
def test_who_has_stood_still_hears_a_direction_again(
    seconds: float, there: Known | None, here: Known | None, holds: bool
) -> None:
    assert said_again(seconds, there, here) == (SENT.text if holds else LONG_AGO)


@pytest.mark.parametrize("seconds", [WHILE + 0.1, -1.0, NAN])
def test_not_for_ever_and_by_no_other_clock(seconds: float) -> None:
    assert said_again(seconds, known(), known()) == LONG_AGO


def test_what_is_new_enough_needs_no_odometry() -> None:
    assert said_again(OPTIONS.max_answer_age, None, None) == SENT.text
