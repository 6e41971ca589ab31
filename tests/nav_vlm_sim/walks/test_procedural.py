"""Plans by seed: always the same, walkable, and of the class that they say."""

from __future__ import annotations

import functools
import math
from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nav_vlm_node.errors import UserError
from nav_vlm_sim.walks.crowd import Crowd
from nav_vlm_sim.walks.episode import Stage
from nav_vlm_sim.walks.floorplan import EXIT_SIGN, Walk, plan_from_json, plan_to_json
from nav_vlm_sim.walks.layout import KINDS
from nav_vlm_sim.walks.procedural import plan_of, turned
from nav_vlm_sim.walks.space import TIGHT, length_of
from nav_vlm_sim.walks.walker import BODY
from tests.nav_vlm_sim.walks.telling import along, untold

seeds = st.integers(0, 10**8)
FIRST = 10_000_000  # of those that are walked in
CROWDED = (530_000_098, 530_000_110)  # where walks began where somebody stood
drawn = pytest.mark.parametrize("seed", [*range(FIRST, FIRST + 60), *CROWDED])


@functools.cache
def staged(seed: int) -> Stage:
    return Stage(plan_of(seed))


def in_view(stage: Stage, walk: Walk, margin: float) -> bool:
    """Whether a goal can be seen from where a walk begins, past things so far from the line of sight [m]."""
    before = ((item.x + 0.3 * math.cos(item.yaw), item.y + 0.3 * math.sin(item.yaw)) for item in stage.goals(walk.goal))
    return any(stage.space.clear((walk.x, walk.y), to, margin) for to in before)


@drawn
def test_a_body_gets_to_the_goal_of_every_walk(seed: int) -> None:
    stage = staged(seed)
    assert {walk.kind for walk in stage.building.plan.walks} == {"A", "B", "C"}
    for walk in stage.building.plan.walks:
        way = stage.way((walk.x, walk.y), walk.goal)
        assert length_of(way) > 0
        assert stage.arrived(*way[-1], walk.goal)
        assert stage.space.nearest(walk.x, walk.y)[0] > BODY
        assert not any(p.gap(walk.x, walk.y) < BODY for p in Crowd.of(stage.building, stage.space).people), walk
        between = [p for p in along(way, 0.2) if math.dist(p, way[0]) > 0.4 and math.dist(p, way[-1]) > 0.7]
        assert min((stage.space.nearest(*p)[0] for p in between), default=1.0) > TIGHT - 0.06


@drawn
def test_classes_are_what_they_say(seed: int) -> None:
    stage = staged(seed)
    plan = stage.building.plan
    for walk in plan.walks:
        assert in_view(stage, walk, 0.001) if walk.kind == "A" else not in_view(stage, walk, 0.08), walk
        if walk.kind == "B":
            assert untold(stage, stage.way((walk.x, walk.y), walk.goal), walk.goal) == [], walk
        if walk.kind == "C":
            assert walk.goal != "exit" or not any(part.kind == EXIT_SIGN for part in plan.walls), walk


def test_a_sign_that_points_the_other_way_tells_nothing() -> None:
    plan, walk = next(
        (plan, walk)
        for plan in (staged(FIRST + k).building.plan for k in range(60))
        for walk in plan.walks
        if walk.kind == "B" and walk.goal == "exit" and any(room.name == "lobby" for room in plan.rooms)
    )
    other = {"left": "right", "right": "left", "ahead": "left"}
    walls = tuple(replace(part, arrow=other.get(part.arrow, "")) for part in plan.walls)
    stage = Stage(replace(plan, walls=walls))
    assert untold(stage, stage.way((walk.x, walk.y), walk.goal), walk.goal)


@settings(max_examples=4, deadline=None)
@given(seeds, st.sampled_from(KINDS))
def test_a_seed_is_one_plan(seed: int, kind: str) -> None:
    plan = plan_of(seed, kind)
    assert plan_of(seed, kind) == plan
    assert plan.name.startswith(kind)
    assert plan_from_json(plan_to_json(plan)) == plan


@settings(max_examples=3, deadline=None)
@given(seeds, st.integers(1, 3))
@example(48557, 1)
def test_a_turned_plan_is_the_same_building(seed: int, quarters: int) -> None:
    plan = plan_of(seed)
    other = turned(plan, quarters)
    lengths = [
        [length_of(Stage(one).way((walk.x, walk.y), walk.goal)) for walk in one.walks] for one in (plan, other)
    ]  # fmt: skip
    # A gap that is just as wide as a person is open on one grid only.
    assert sum(abs(a - b) > 0.6 for a, b in zip(*lengths, strict=True)) <= 1
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
