"""Whole walks in a small building, and what is measured of them."""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nav_vlm_node.instruction import Action, Instruction, Status, Step
from nav_vlm_node.score import wilson
from nav_vlm_node.vlm.scripted import ScriptedEngine
from nav_vlm_sim.walks import episode as module
from nav_vlm_sim.walks import records
from nav_vlm_sim.walks.episode import MOST_QUESTIONS, Episode, Situation, Stage, Turn, far_end, run
from nav_vlm_sim.walks.floorplan import FloorPlan, OnWall, Room, Thing, Walk
from nav_vlm_sim.walks.guides import ConstantGuide, DelayedGuide, ModelGuide, OracleGuide, RandomGuide
from nav_vlm_sim.walks.metrics import by_class, differences, ndtw, share, spaced, spl, summarise
from nav_vlm_sim.walks.painter import Painter
from nav_vlm_sim.walks.space import length_of
from nav_vlm_sim.walks.walker import BODY, SLOW, Moment, Touches

WALK = Walk(x=1.0, y=1.5, yaw=0.0, goal="exit", kind="B")
PLAN = FloorPlan(
    name="two rooms",
    rooms=(Room(name="west", x=(0.0, 5.0), y=(0.0, 4.0)), Room(name="east", x=(5.2, 10.0), y=(0.0, 4.0))),
    walls=(
        OnWall(kind="open door", room="west", wall="east", at=2.0, to="east"),
        OnWall(kind="exit", room="east", wall="north", at=8.5),
    ),
    things=(Thing(kind="box", x=3.0, y=0.6),),
    walks=(WALK,),
)


@pytest.fixture(scope="module")
def stage() -> Stage:
    return Stage(PLAN)


class WrongWay(OracleGuide):
    """For tests: the oracle mirrored."""

    def tell(self, situation: Situation) -> Instruction:
        instruction = super().tell(situation)
        steps = tuple(replace(s, bearing=-s.bearing) if s.action is Action.TURN else s for s in instruction.steps)
        return replace(instruction, steps=steps)


def test_the_oracle_arrives_by_the_door(stage: Stage) -> None:
    for seed in range(6):
        episode = run(stage, WALK, OracleGuide(), seed)
        assert episode.arrived
        assert episode.touches.collisions == 0
        assert spl(episode) > 0.6
        assert summarise([episode])["reversal_rate"]["value"] in (0.0, None)


def test_the_way_leads_through_the_door_up_to_the_goal(stage: Stage) -> None:
    way = stage.way((WALK.x, WALK.y), "exit")
    assert any(abs(x - 5.1) < 0.2 and 1.6 < y < 2.4 for x, y in spaced(way))
    assert min(stage.space.nearest(x, y)[0] for x, y in spaced(way)[:-2]) > BODY
    assert stage.arrived(*way[-1], "exit")
    assert not stage.arrived(*way[-2], "exit")
    assert stage.way((WALK.x, WALK.y), "lift") == []


def test_a_wall_between_is_not_arrived(stage: Stage) -> None:
    assert stage.arrived(8.5, 3.2, "exit")
    assert not stage.arrived(8.5, 4.6, "exit")  # behind it, outside


def test_a_chair_is_not_reached_through_a_wall() -> None:
    """It stands with its back to a wall; on the other side of it, or beside the door there, nobody has arrived."""
    rooms = (Room(name="hall", x=(0.0, 8.0), y=(0.0, 3.0)), Room(name="ward", x=(0.0, 8.0), y=(3.2, 7.0)))
    walls = (OnWall(kind="open door", room="ward", wall="south", at=5.0, to="hall"),)
    chair = Thing(kind="chair", x=3.9, y=2.65, yaw=-90.0)
    walk = Walk(x=1.0, y=6.0, yaw=0.0, goal="chair", kind="C")
    stage = Stage(FloorPlan(name="wards", rooms=rooms, walls=walls, things=(chair,), walks=(walk,)))
    ward = [(x / 10, y / 10) for x in range(30, 56, 2) for y in range(35, 42, 2)]
    reached = [here for here in ward if stage.arrived(*here, "chair")]
    assert all(stage.space.in_sight(here, (chair.x, chair.y)) for here in reached)
    assert not stage.arrived(3.9, 3.5, "chair")
    assert not stage.arrived(4.3, 3.5, "chair"), "who sees only the floor beside it"
    assert stage.arrived(3.9, 1.7, "chair")
    end = stage.way((walk.x, walk.y), "chair")[-1]
    assert end[1] < 3.2
    assert stage.space.in_sight(end, (chair.x, chair.y))


def test_the_same_seed_is_the_same_walk(stage: Stage) -> None:
    one, two = (run(stage, WALK, RandomGuide(), 5) for _ in range(2))
    assert records.to_json(one) == records.to_json(two)
    assert records.to_json(run(stage, WALK, RandomGuide(), 6)) != records.to_json(one)


def test_a_guide_that_sends_the_wrong_way_reverses(stage: Stage) -> None:
    turned = replace(WALK, yaw=-60.0)
    episodes = [run(stage, turned, WrongWay(), seed) for seed in range(3)]
    found = summarise(episodes)
    assert found["reversal_rate"]["value"] > 0.5
    assert found["spl"]["value"] < 0.5


def test_the_way_goes_to_where_a_wall_hides_it_and_not_to_its_last_bend() -> None:
    """A bench stands between somebody and the door ahead, and the way goes round it to the left."""
    rooms = (Room(name="room", x=(0.0, 8.0), y=(0.0, 6.0)), Room(name="hall", x=(8.2, 18.0), y=(-4.0, 6.0)))
    walls = (
        OnWall(kind="open door", room="room", wall="east", at=1.5, to="hall"),
        OnWall(kind="exit", room="hall", wall="south", at=16.5),
    )
    bench = tuple(Thing(kind="table", x=4.0, y=y, yaw=0.0) for y in (0.4, 1.2, 2.0, 2.8))
    walk = Walk(x=2.0, y=1.5, yaw=0.0, goal="exit", kind="B")
    plan = FloorPlan(name="bench", rooms=rooms, walls=walls, things=bench, walks=(walk,))
    stage = Stage(plan)
    way = stage.way((2.0, 1.5), "exit")
    assert max(y for _, y in way) > 3.0
    bends = [bend for bend in way if stage.space.in_sight((2.0, 1.5), bend)]
    assert bends[-1][0] < 5.0, "the end of the bench"
    end = far_end(stage.space, way)
    assert end is not None
    assert end[0] > 8.0, "it is seen on through the door"
    wanted = run(stage, walk, ConstantGuide(), 0).turns[0].wanted
    assert wanted == pytest.approx(math.atan2(end[1] - 1.5, end[0] - 2.0))
    assert far_end(stage.space, []) is None


def test_another_goal_of_that_name_in_sight_is_no_wrong_way() -> None:
    """Two chairs: the nearer one is behind a table, the farther one in plain view to the other side."""
    room = Room(name="room", x=(0.0, 10.0), y=(0.0, 6.0))
    chairs = (Thing(kind="chair", x=4.5, y=4.6), Thing(kind="chair", x=6.5, y=0.8))
    walk = Walk(x=3.0, y=3.0, yaw=0.0, goal="chair", kind="A")

    class Other(ConstantGuide):
        def tell(self, situation: Situation) -> Instruction:
            steps = (Step(Action.TURN, math.atan2(-2.2, 3.5)), Step(Action.MOVE, 0.0, 2.0))
            return replace(super().tell(situation), steps=steps)

    for things, wrong in ((chairs, False), (chairs[:1], True)):
        plan = FloorPlan(name="chairs", rooms=(room,), walls=(), things=things, walks=(walk,))
        turn = run(Stage(plan), walk, Other(), 0).turns[0]
        assert turn.wanted > math.radians(15)
        assert turn.reversal is wrong


def test_an_open_door_in_sight_is_a_door_from_both_sides() -> None:
    """Who asks for a door may have the open one of the next room, which is to the other side than the nearest one."""
    rooms = (Room(name="hall", x=(0.0, 10.0), y=(0.0, 4.0)), Room(name="room", x=(0.0, 10.0), y=(4.2, 8.0)))
    walls = (
        OnWall(kind="door", room="hall", wall="south", at=4.2),
        OnWall(kind="open door", room="room", wall="south", at=6.5, to="hall"),
    )
    walk = Walk(x=3.0, y=3.2, yaw=0.0, goal="door", kind="A")

    class ToTheOpenOne(ConstantGuide):
        def tell(self, situation: Situation) -> Instruction:
            steps = (Step(Action.TURN, math.atan2(0.9, 3.5)), Step(Action.MOVE, 0.0, 2.0))
            return replace(super().tell(situation), steps=steps)

    for parts, wrong in ((walls, False), (walls[:1], True)):
        plan = FloorPlan(name="doors", rooms=rooms, walls=parts, things=(), walks=(walk,))
        turn = run(Stage(plan), walk, ToTheOpenOne(), 0).turns[0]
        assert turn.wanted < -math.radians(15)
        assert turn.reversal is wrong


@pytest.mark.parametrize(("y", "beside"), [(1.0, 3.7), (7.0, 4.5)], ids=["behind", "before"])
def test_an_open_door_is_reached_from_both_sides(y: float, beside: float) -> None:
    """Also by somebody who stands close to it at its side, and the way ends on the side that they come from."""
    rooms = (Room(name="hall", x=(0.0, 10.0), y=(0.0, 4.0)), Room(name="room", x=(0.0, 10.0), y=(4.2, 8.0)))
    walls = (OnWall(kind="open door", room="room", wall="south", at=6.5, to="hall"),)
    walk = Walk(x=3.0, y=y, yaw=0.0, goal="door", kind="A")
    stage = Stage(FloorPlan(name="doors", rooms=rooms, walls=walls, walks=(walk,)))
    assert stage.arrived(5.4, beside, "door")
    assert not stage.arrived(4.6, beside, "door")
    way = stage.way((walk.x, walk.y), "door")
    assert length_of(way) < math.dist((walk.x, walk.y), (6.5, 4.1))
    assert (way[-1][1] < 4.1) == (y < 4.1)


@pytest.mark.parametrize(
    ("goal", "signed", "wrong"), [("exit", True, False), ("exit", False, True), ("chair", True, True)]
)
def test_an_exit_sign_in_sight_is_no_wrong_way_to_the_exit(goal: str, signed: bool, wrong: bool) -> None:
    """It is on the other side of the room than what is asked for, and a table stands under it."""
    room = Room(name="room", x=(0.0, 10.0), y=(0.0, 6.0))
    walls = [OnWall(kind="exit", room="room", wall="north", at=3.0)]
    walls += [OnWall(kind="exit sign", room="room", wall="east", at=0.8, arrow="left")] if signed else []
    things = (Thing(kind="chair", x=3.5, y=5.0), Thing(kind="table", x=9.4, y=0.8, yaw=90.0))
    walk = Walk(x=3.0, y=3.0, yaw=0.0, goal=goal, kind="A")

    class ToSign(ConstantGuide):
        def tell(self, situation: Situation) -> Instruction:
            steps = (Step(Action.TURN, math.atan2(-2.2, 7.0)), Step(Action.MOVE, 0.0, 2.0))
            return replace(super().tell(situation), steps=steps)

    plan = FloorPlan(name="signed", rooms=(room,), walls=tuple(walls), things=things, walks=(walk,))
    turn = run(Stage(plan), walk, ToSign(), 0).turns[0]
    assert turn.wanted > math.radians(15)
    assert turn.reversal is wrong


@pytest.mark.parametrize(
    ("sent", "away", "reversal"), [(0, False, None), (80, False, None), (100, True, None), (180, True, None)]
)
def test_a_direction_away_from_the_way_is_counted_on_whatever_side(
    sent: int, away: bool, reversal: bool | None
) -> None:
    room = Room(name="room", x=(0.0, 10.0), y=(0.0, 6.0))
    walk = Walk(x=3.0, y=3.0, yaw=0.0, goal="exit", kind="A")
    walls = (OnWall(kind="exit", room="room", wall="east", at=3.0),)

    class Sent(ConstantGuide):
        def tell(self, situation: Situation) -> Instruction:
            steps = (Step(Action.TURN, math.radians(sent)), Step(Action.MOVE, 0.0, 2.0))
            return replace(super().tell(situation), steps=steps)

    episode = run(Stage(FloorPlan(name="bare", rooms=(room,), walls=walls, walks=(walk,))), walk, Sent(), 0)
    assert (episode.turns[0].away, episode.turns[0].reversal, episode.turns[0].leg) == (away, reversal, True)
    first = replace(episode, turns=episode.turns[:1])
    assert (summarise([first])["away_rate"]["value"], summarise([first])["away_rate"]["n"]) == (float(away), 1)


def test_somebody_gives_up(stage: Stage) -> None:
    class Silent(ConstantGuide):
        def tell(self, situation: Situation) -> Instruction:
            return replace(super().tell(situation), status=Status.UNSURE, steps=(), text="I am not sure.")

    episode = run(stage, WALK, Silent(), 0)
    assert not episode.arrived
    assert len(episode.turns) <= MOST_QUESTIONS
    assert episode.length == 0
    assert summarise([episode])["abstention_rate"]["value"] == 1.0
    assert spl(episode) == 0.0


def test_who_arrives_by_the_last_answer_has_arrived(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = run(stage, WALK, OracleGuide(), 1)
    assert whole.arrived
    for limit, value in (("MOST_QUESTIONS", len(whole.turns)), ("MOST_TIME", whole.time)):
        with monkeypatch.context() as patch:
            patch.setattr(module, limit, value)
            assert records.to_json(run(stage, WALK, OracleGuide(), 1)) == records.to_json(whole)
            patch.setattr(module, limit, value - 1)
            assert not run(stage, WALK, OracleGuide(), 1).arrived


def test_the_model_guide_is_shown_what_is_there_and_asked_the_question(stage: Stage) -> None:
    engine = ScriptedEngine({"How do I get to the exit?": "Move 2 metres to the exit."})
    with Painter() as painter:
        drawn = Stage(PLAN, painter)
        episode = run(drawn, replace(WALK, x=8.5, y=1.2, yaw=90.0), ModelGuide(engine), 1)
    assert episode.arrived
    assert set(engine.queries) == {"How do I get to the exit?"}
    assert engine.encoded == len(episode.turns)


def test_a_late_answer_costs_the_way_that_was_walked_meanwhile(stage: Stage) -> None:
    stands = run(stage, WALK, OracleGuide(), 1)
    late = [run(stage, WALK, DelayedGuide(OracleGuide(), seconds), 1, thinking=0.0) for seconds in (0.0, 1.0, 3.0)]
    heard = [next(m for m in e.track if m.time >= e.turns[0].late - 1e-9) for e in late]
    gone = [math.dist((WALK.x, WALK.y), (m.x, m.y)) for m in heard]
    assert gone == pytest.approx([0.0, SLOW * 1.0, SLOW * 3.0], abs=0.02)
    assert stands.turns[0].late == 0.0
    assert [e.turns[0].late for e in late] == pytest.approx([0.0, 1.0, 3.0])


class Seeing(OracleGuide):
    """For tests: keeps where everybody was when it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[float, float, float, list[float]]] = []

    def tell(self, situation: Situation) -> Instruction:
        body, people = situation.body, situation.body.crowd.people
        self.asked.append((situation.time, body.x, body.y, [round(v, 3) for p in people for v in (p.x, p.y)]))
        return super().tell(situation)


def test_a_late_answer_is_kept_with_the_place_of_its_picture_and_judged_where_it_is_heard() -> None:
    """The exit is to the left in front of them when they ask, and behind them when they hear it."""
    walker = Thing(kind="person", x=2.0, y=0.6, yaw=0.0, speed=0.8)
    walk = Walk(x=2.0, y=2.0, yaw=0.0, goal="exit", kind="A")
    exits = (OnWall(kind="exit", room="room", wall="north", at=3.5),)
    room = Room(name="room", x=(0.0, 12.0), y=(0.0, 6.0))
    stage = Stage(FloorPlan(name="late", rooms=(room,), walls=exits, things=(walker,), walks=(walk,)))
    guide = Seeing()
    episode = run(stage, walk, DelayedGuide(guide, 8.0), 1, thinking=0.0)
    kept = [(t.time, t.x, t.y, [v for p in t.people for v in p[:2]]) for t in episode.turns]
    assert kept == guide.asked
    first = episode.turns[0]
    assert math.radians(60) < first.direction < math.radians(80)
    assert first.wanted > math.radians(100), "from where it is heard"
    assert first.away is False
    assert first.late == pytest.approx(8.0)


def test_an_answer_that_is_heard_at_the_goal_is_not_judged(stage: Stage) -> None:
    """They walk on into its reach while they wait."""
    near = replace(WALK, x=8.5, y=1.5, yaw=90.0)
    episode = run(stage, near, DelayedGuide(ConstantGuide(), 6.0), 1, thinking=0.0)
    assert episode.arrived
    (turn,) = episode.turns
    assert (turn.reversal, turn.away, turn.astray) == (None, None, None)
    assert math.isnan(turn.wanted)
    assert episode.words == 0, "nobody needs it any more"
    assert episode.time == pytest.approx(6.0)


def test_who_walks_on_stops_before_what_the_cane_finds(stage: Stage) -> None:
    blind = run(stage, replace(WALK, yaw=180.0), DelayedGuide(ConstantGuide(), 20.0), 1, thinking=0.0)
    assert blind.turns[0].x > BODY
    assert blind.touches.collisions == 0


def test_pictures_differ_with_the_place(stage: Stage) -> None:
    seen = []

    class Looking(OracleGuide):
        def tell(self, situation: Situation) -> Instruction:
            seen.append(situation.picture())
            return super().tell(situation)

    with Painter() as painter:
        run(Stage(PLAN, painter), WALK, Looking(), 1)
    assert len(seen) > 2
    assert all(picture.std() > 5 for picture in seen[:2])
    assert np.abs(seen[0].astype(int) - seen[1]).mean() > 2


def test_records_are_read_back(stage: Stage) -> None:
    episode = run(stage, WALK, RandomGuide(), 2)
    there = json.loads(json.dumps(records.to_json(episode), allow_nan=False))
    back = records.from_json(there)
    assert records.to_json(replace(back, track=[])) == records.to_json(replace(episode, track=[]))
    assert back.track[-1].time == pytest.approx(episode.track[-1].time)
    assert math.isclose(ndtw(back), ndtw(episode), rel_tol=0.05)


def straight(length: float, *, arrived: bool = True) -> Episode:
    track = [Moment(k * 0.1, k * 0.1, 0.0, 0.0) for k in range(round(length * 10) + 1)]
    return Episode("p", 0, WALK, arrived=arrived, length=length, shortest=4.0, track=track, reference=[(0, 0), (4, 0)])


def test_spl_and_ndtw_of_known_walks() -> None:
    assert spl(straight(4.0)) == 1.0
    assert spl(straight(8.0)) == 0.5
    assert spl(straight(3.5)) == 1.0  # shorter than the safe path is not better
    assert spl(straight(4.0, arrived=False)) == 0.0
    assert ndtw(straight(4.0)) == pytest.approx(1.0)
    assert ndtw(straight(8.0)) < ndtw(straight(5.0)) < 1.0
    assert ndtw(replace(straight(0.0), reference=[])) == 0.0, "without a way nobody is near it"


def test_classes_are_told_apart_and_c_is_not_counted() -> None:
    lost = replace(straight(4.0, arrived=False), walk=replace(WALK, kind="C"))
    found = by_class({"model": [straight(4.0), straight(4.0), lost]}, "AB")["model"]
    assert found["success_rate"]["value"] == 1.0
    assert found["success_rate"]["n"] == 2
    assert found["classes"]["C"]["success_rate"]["value"] == 0.0
    assert length_of(lost.reference) == 4.0


def test_guides_are_compared_walk_by_walk() -> None:
    """Where both lose the same walks, nothing is between them, however few arrive."""
    ends = [True, True, False, True, False, True, True, False]
    ours = [replace(straight(4.0, arrived=end), seed=k) for k, end in enumerate(ends)]
    longer = [replace(episode, length=8.0) for episode in ours]
    same = differences(ours, longer)
    assert same["success_rate"] == {"value": 0.0, "low": 0.0, "high": 0.0, "n": 8}
    assert same["spl"]["value"] == pytest.approx(5 / 16)
    assert 0 < same["spl"]["low"] < 5 / 16 < same["spl"]["high"]
    assert differences(longer, ours)["spl"]["value"] == pytest.approx(-5 / 16)
    assert differences(ours, longer[::-1])["spl"]["value"] == same["spl"]["value"], "in any order"
    some = differences(ours, longer[2:5])
    assert some["spl"]["n"] == 3, "the walks of a run that was stopped"
    assert some["spl"]["value"] == pytest.approx(1 / 6)
    assert differences(ours, [])["spl"] == {"value": None, "low": None, "high": None, "n": 0}
    lost = replace(straight(4.0), walk=replace(WALK, kind="C"))
    found = by_class({"model": [*ours, lost], "base": [*longer, replace(lost, arrived=False)]}, "AB")
    assert found["base"]["first_more"] == same
    assert "first_more" not in found["model"]


def test_wrong_ways_to_a_goal_in_view_are_counted_by_themselves() -> None:
    def turn(status: Status, reversal: bool | None) -> Turn:
        return Turn(0.0, 0.0, 0.0, 0.0, status.name, "", 0.5, 0.5, reversal)

    turns = [
        turn(Status.OK, False), turn(Status.OK, True), turn(Status.OK, None), turn(Status.NOT_VISIBLE, True),
        turn(Status.NOT_VISIBLE, True), turn(Status.SEARCHING, None),
    ]  # fmt: skip
    found = summarise([replace(straight(4.0), turns=turns)])
    assert (found["reversal_rate"]["value"], found["reversal_rate"]["n"]) == (0.75, 4)
    assert (found["goal_reversal_rate"]["value"], found["goal_reversal_rate"]["n"]) == (0.5, 2)
    assert found["search_reversal_rate"]["n"] == 0
    assert (found["reversals_per_question"]["value"], found["reversals_per_question"]["n"]) == (0.5, 6)
    looks = [replace(turns[-1], astray=astray, leg=leg) for astray, leg in ((True, True), (False, True), (True, False))]
    searched = summarise([replace(straight(4.0), turns=[*turns, *looks])])
    assert (searched["search_reversal_rate"]["value"], searched["search_reversal_rate"]["n"]) == (
        pytest.approx(2 / 3),
        3,
    )
    assert (searched["search_leg_reversal_rate"]["value"], searched["search_leg_reversal_rate"]["n"]) == (0.5, 2)
    ahead = [replace(turn, wanted=0.1) for turn in turns]
    assert summarise([replace(straight(4.0), turns=ahead)])["reversals_per_question"]["n"] == 0


def test_what_a_search_says_is_counted_by_itself() -> None:
    name = Status.SEARCHING.name
    turns = [Turn(0.0, 0.0, 0.0, 0.0, name, "", math.nan, 0.5, None, astray) for astray in (True, False, None)]
    found = summarise([replace(straight(4.0), turns=turns)])
    assert (found["search_reversal_rate"]["value"], found["search_reversal_rate"]["n"]) == (0.5, 2)
    assert found["reversal_rate"]["n"] == 0


@pytest.mark.parametrize("thinking", [0.0, 1.0])
def test_silence_is_all_the_time_without_a_word_or_a_step(thinking: float) -> None:
    """Of who is told to turn, in three words and two seconds late, and of who is led: also the time of turning, of
    standing until an answer comes, and of feeling for a way around something."""
    room = Room(name="room", x=(0.0, 12.0), y=(0.0, 6.0))
    walk = Walk(x=6.0, y=3.0, yaw=0.0, goal="exit", kind="A")
    exits = (OnWall(kind="exit", room="room", wall="west", at=0.8),)
    stage = Stage(FloorPlan(name="still", rooms=(room,), walls=exits, walks=(walk,)))

    class Turning(ConstantGuide):
        def tell(self, situation: Situation) -> Instruction:
            situation.body.wait(2.0)
            return replace(super().tell(situation), steps=(Step(Action.TURN, math.pi / 2),), text="Turn left now.")

    episode = run(stage, walk, Turning(), 1, thinking=thinking)
    assert episode.length == 0.0
    assert episode.silent == pytest.approx(episode.time - len(episode.turns), abs=0.06 * len(episode.turns))
    walked = run(stage, walk, OracleGuide(), 1, thinking=thinking)
    moving = sum(b.time - a.time for a, b in itertools.pairwise(walked.track) if (a.x, a.y) != (b.x, b.y))
    assert moving > 2.0
    assert walked.silent == pytest.approx(walked.time - moving - walked.words / 3.0)


def test_an_empty_summary_has_no_figures() -> None:
    found = summarise([])
    assert found["spl"]["value"] is None
    assert found["success_rate"]["value"] is None
    json.dumps(found, allow_nan=False)


def test_what_never_happened_is_not_certain_never_to_happen() -> None:
    """The chance of no event in 400 walks is 2.5 % where the mean is the upper end."""
    none = summarise([straight(4.0)] * 400)
    for name in ("collisions_per_episode", "contacts_per_episode", "near_misses_per_episode"):
        assert (none[name]["value"], none[name]["low"]) == (0.0, 0.0)
        assert math.exp(-400 * none[name]["high"]) == pytest.approx(0.025)
    assert none["length_m"]["low"] == none["length_m"]["high"] == 4.0
    once = summarise([replace(straight(4.0), touches=Touches(collisions=1)), *[straight(4.0)] * 9])
    assert 0.1 < once["collisions_per_episode"]["high"] < 1
    assert summarise([])["collisions_per_episode"]["high"] is None


def test_walks_without_a_length_alone_are_no_infinity_of_words_to_a_metre() -> None:
    there = replace(straight(0.0), shortest=0.0, words=9)
    found = summarise([there, there, replace(straight(4.0), words=4)])["words_per_metre"]
    assert found["value"] == pytest.approx(22 / 4)
    assert found["high"] == pytest.approx((9 + 9 + 4) / 4)


def test_words_are_counted(stage: Stage) -> None:
    episode = run(stage, WALK, OracleGuide(), 1)
    assert episode.words == sum(len(turn.text.split()) for turn in episode.turns)
    assert all(turn.text for turn in episode.turns)


def asked(*sides: bool | None) -> Episode:
    turns = [Turn(0.0, 0.0, 0.0, 0.0, Status.OK.name, "", 0.5, 0.5, side) for side in sides]
    return replace(straight(4.0), turns=turns)


def test_turns_of_one_walk_say_less_than_those_of_many() -> None:
    """Korn and Graubard's effective number of turns, worked out by hand."""
    together = [asked(True, True, True, True), *[asked(False, False, False, False, None)] * 9]
    spread = [asked(True, False, False, False)] * 4 + [asked(False, False, False, False)] * 6
    lone = share(spread, lambda turn: turn.reversal)
    assert lone == wilson(4, 40), "independent turns are counted as they are"
    found = share(together, lambda turn: turn.reversal)
    # each walk's h - p n: 3.6 once, -0.4 nine times; their variance 10 / 9 * 14.4 / 40 ** 2, over 0.1 * 0.9 / 40
    alike = (10 / 9 * 14.4 / 1600) / (0.09 / 40)
    assert alike == pytest.approx(4.444, abs=1e-3)
    expected = wilson(4 / alike, 40 / alike)
    assert (found.value, found.low, found.high, found.n) == pytest.approx((0.1, expected.low, expected.high, 40))
    assert found.high > 1.5 * lone.high
    assert summarise(together)["reversal_rate"] == found.to_json()
    none = share([asked(False, False, False, False)] * 10, lambda turn: turn.reversal)
    assert none == replace(wilson(0, 10), n=40), "where none is wrong, one walk's turns may all be alike"


@given(st.lists(st.lists(st.sampled_from([True, False, None]), max_size=5), max_size=8))
def test_a_share_of_turns_holds_its_value_and_is_never_surer_than_of_independent_ones(
    walks: list[list[bool | None]],
) -> None:
    found = share([asked(*sides) for sides in walks], lambda turn: turn.reversal)
    known = [side for sides in walks for side in sides if side is not None]
    alone = wilson(sum(known), len(known))
    assert found.n == alone.n
    if known:
        assert found.value == pytest.approx(alone.value)
        assert 0 <= found.low <= found.value <= found.high <= 1
        assert found.high - found.low >= alone.high - alone.low - 1e-9
