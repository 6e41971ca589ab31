"""What the demo asks: every sort of question, in a picture in which it makes sense; the same for the same seed."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest

from nav_vlm_node.errors import UserError
from nav_vlm_node.instruction import Action
from nav_vlm_sim import plan
from nav_vlm_sim.camera import SimulatedCamera
from nav_vlm_sim.demo import cases
from nav_vlm_sim.demo.cases import Case, choose, direction_words
from nav_vlm_sim.demo.run import RIG


@pytest.fixture(scope="module")
def camera() -> Iterator[SimulatedCamera]:
    with SimulatedCamera(160, 120, math.pi / 2, rig=RIG) as made:
        yield made


@pytest.fixture(scope="module")
def ten(camera: SimulatedCamera) -> list[Case]:
    return choose(camera, 3, 10)


def test_every_sort_occurs_and_is_what_it_says(ten: list[Case]) -> None:
    assert [case.sort for case in ten] == [sort for sort, _ in cases.PROGRAMME]
    for case in ten:
        truth, actions = case.truth, [step.action for step in case.truth.steps]
        match case.sort:
            case "something in view":
                assert truth.visible
                assert abs(truth.bearing) >= math.radians(15)
                assert not truth.hazards
            case "something in the way":
                assert truth.visible
                assert truth.hazards
            case "not in view":
                assert not truth.visible
                assert Action.SCAN in actions
            case "anything ahead?":
                assert truth.kind == "hazard"
                assert truth.hazards[0].landmark != "wall"
            case "an exit sign":
                assert truth.target == "exit"
                assert not truth.visible
                assert Action.SIGN in actions
            case "an unknown place":
                assert actions == [Action.UNKNOWN]
            case "nothing ahead":
                assert actions == [Action.NO_HAZARD]
            case other:
                pytest.fail(other)
    assert len({(case.frame.scene.seed, case.frame.index) for case in ten}) == len(ten)
    assert {case.question.heldout_phrasing for case in ten} == {False, True}


def test_equal_for_equal_arguments(camera: SimulatedCamera, ten: list[Case]) -> None:
    again = choose(camera, 3, 10, camera.frame(cases.first_scene(3)))
    assert [case.question for case in again] == [case.question for case in ten]
    assert all(np.array_equal(a.frame.raw, b.frame.raw) for a, b in zip(again, ten, strict=True))
    other = choose(camera, 4, 2)
    assert {case.frame.scene.seed for case in other}.isdisjoint(case.frame.scene.seed for case in ten)


def test_what_is_asked_does_not_hang_on_how_many_are(camera: SimulatedCamera) -> None:
    assert len(choose(camera, 5, 1)) == 1
    assert len(choose(camera, 5, 13)) == 13


def test_no_scene_is_one_of_training_or_of_a_data_set() -> None:
    last = cases.FIRST_WORLD + cases.WORLDS + 5  # a seed may take some worlds more
    assert 1_000_000 <= cases.FIRST_WORLD < last < plan.FIRST_WORLD


@pytest.mark.parametrize(("seed", "count"), [(0, 0), (0, 61), (-1, 5), (1_000_000, 5)])
def test_numbers_that_cannot_be(seed: int, count: int) -> None:
    with pytest.raises(UserError, match=r"^--(questions|seed) -?\d+: give"):
        cases.check(seed, count)


@pytest.mark.parametrize(
    ("degrees", "words"),
    [(0, "ahead"), (0.4, "ahead"), (35, "35 degrees left"), (-90, "90 degrees right"), (180, "behind")],
)
def test_directions_in_words(degrees: float, words: str) -> None:
    assert direction_words(math.radians(degrees)) == words
    assert direction_words(math.nan) == ""
