"""Plans by seed: always the same, walkable, and of the class that they say."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nav_vlm_node.errors import UserError
from nav_vlm_sim.walks.episode import Stage
from nav_vlm_sim.walks.floorplan import Walk, plan_from_json, plan_to_json
from nav_vlm_sim.walks.layout import KINDS
from nav_vlm_sim.walks.procedural import plan_of, turned
from nav_vlm_sim.walks.space import TIGHT, length_of
from nav_vlm_sim.walks.walker import BODY

seeds = st.integers(0, 10**8)


def in_view(stage: Stage, walk: Walk, margin: float) -> bool:
    """Whether a goal can be seen from where a walk begins, past things so far from the line of sight [m]."""
    before = ((item.x + 0.3 * math.cos(item.yaw), item.y + 0.3 * math.sin(item.yaw)) for item in stage.goals(walk.goal))
    return any(stage.space.clear((walk.x, walk.y), to, margin) for to in before)


@settings(max_examples=12, deadline=None)
@given(seeds)
def test_every_walk_can_be_walked(seed: int) -> None:
    plan = plan_of(seed)
    stage = Stage(plan)
    assert {walk.kind for walk in plan.walks} == {"A", "B", "C"}
    for walk in plan.walks:
        way = stage.way((walk.x, walk.y), walk.goal)
        assert length_of(way) > 0
        assert stage.arrived(*way[-1], walk.goal)
        assert stage.space.nearest(walk.x, walk.y)[0] > BODY
        for point in way[1:-1]:
            assert stage.space.nearest(*point)[0] > TIGHT - 0.06


@settings(max_examples=6, deadline=None)
@given(seeds, st.sampled_from(KINDS))
def test_a_seed_is_one_plan(seed: int, kind: str) -> None:
    plan = plan_of(seed, kind)
    assert plan_of(seed, kind) == plan
    assert plan.name.startswith(kind)
    assert plan_from_json(plan_to_json(plan)) == plan


@settings(max_examples=8, deadline=None)
@given(seeds)
def test_classes_are_what_they_say(seed: int) -> None:
    plan = plan_of(seed)
    stage = Stage(plan)
    for walk in plan.walks:
        assert in_view(stage, walk, 0.001) if walk.kind == "A" else not in_view(stage, walk, 0.08), walk


@settings(max_examples=5, deadline=None)
@given(seeds, st.integers(1, 3))
def test_a_turned_plan_is_the_same_building(seed: int, quarters: int) -> None:
    plan = plan_of(seed)
    other = turned(plan, quarters)
    lengths = [
        [length_of(Stage(one).way((walk.x, walk.y), walk.goal)) for walk in one.walks] for one in (plan, other)
    ]  # fmt: skip
    assert lengths[0] == pytest.approx(lengths[1], abs=0.6)
    assert min(room.x[0] for room in other.rooms) == pytest.approx(0)


def test_more_rooms_than_fit_are_drawn_again() -> None:
    """Seed 299 draws a short building with many rooms first."""
    assert plan_of(299).rooms


def test_an_unknown_kind_is_one_line() -> None:
    with pytest.raises(UserError, match="no buildings of kind 'castle'"):
        plan_of(1, "castle")


def test_paths_keep_away_and_are_short() -> None:
    stage = Stage(plan_of(77))
    walk = next(walk for walk in stage.building.plan.walks if walk.kind == "C")
    way = stage.way((walk.x, walk.y), walk.goal)
    assert length_of(way) >= math.dist(way[0], way[-1])
    assert stage.space.path((walk.x, walk.y), []) == []
