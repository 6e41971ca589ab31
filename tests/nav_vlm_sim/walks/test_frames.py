"""Pictures of walks to learn from: where questions were asked, once each, with what is true there."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest

from nav_vlm_node.errors import UserError
from nav_vlm_node.view import View
from nav_vlm_sim.records import observation_from_json
from nav_vlm_sim.truth import MEMBERS, TARGETS
from nav_vlm_sim.walks import frames
from nav_vlm_sim.walks.building import build
from nav_vlm_sim.walks.episode import Turn
from nav_vlm_sim.walks.evaluate import EPISODES, FIRST_LEARNED_SEED, SETTINGS, Settings, evaluate
from nav_vlm_sim.walks.frames import render_walks, turns_of
from nav_vlm_sim.walks.procedural import plan_of

VIEW = View()


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Walks of the oracle and of nobody, on plans to learn from."""
    out = tmp_path_factory.mktemp("walked") / "out"
    evaluate(Settings(episodes=2, seed=FIRST_LEARNED_SEED, guides=("oracle", "constant")), out, workers=1, quiet=True)
    return out


@pytest.fixture(scope="module")
def drawn(walked: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("drawn")
    render_walks(walked, out, VIEW, processes=1)
    return out


def test_no_two_places_are_alike(walked: Path) -> None:
    for turns in turns_of(walked).values():
        assert len(turns) > 1
        for k, a in enumerate(turns):
            for b in turns[:k]:
                turned = abs(math.remainder(a.yaw - b.yaw, math.tau))
                assert math.dist((a.x, a.y), (b.x, b.y)) >= frames.ALIKE[0] or turned >= frames.ALIKE[1]


def test_a_shard_of_each_plan_with_the_truth_of_each_place(walked: Path, drawn: Path) -> None:
    turns = turns_of(walked)
    shards = sorted(drawn.glob("walk-*"))
    assert [shard.name for shard in shards] == [f"walk-{plan:09d}" for plan in sorted(turns)]
    seen = 0
    for shard, plan in zip(shards, sorted(turns), strict=True):
        rgb, lines = np.load(shard / "rgb.npy"), (shard / "truth.jsonl").read_text().splitlines()
        assert rgb.shape == (len(turns[plan]), VIEW.height, VIEW.width, 3)
        assert len(lines) == len(turns[plan])
        assert all(picture.std() > 5 for picture in rgb)
        doors = [item for item in build(plan_of(plan)).scene.items if item.kind in MEMBERS["door"]]
        for line, turn in zip(lines, turns[plan], strict=True):
            goal = observation_from_json(json.loads(line)).targets["door"]
            if goal.visible:
                bearings = [math.atan2(i.y - turn.y, i.x - turn.x) - turn.yaw for i in doors]
                off = min(abs(math.remainder(bearing - goal.bearing, math.tau)) for bearing in bearings)
                assert off < math.radians(15), "it is true of where the question was asked"
                seen += 1
    assert seen > 0, "some door is in view somewhere"


def test_the_goal_is_where_the_walk_says(walked: Path) -> None:
    """The oracle knows where the goal is in sight of; where the picture shows it too, the bearings agree."""
    plan, turns = next(iter(turns_of(walked).items()))
    shown = [f.observation for f in frames.frames_of_turns(plan, turns, VIEW)]
    doors = [(o.targets["open door"], t) for o, t in zip(shown, turns, strict=True) if o.targets["open door"].visible]
    assert doors
    openings = [item for item in build(plan_of(plan)).scene.items if item.kind == "open door"]
    for door, turn in doors:
        bearings = [math.atan2(i.y - turn.y, i.x - turn.x) - turn.yaw for i in openings]
        assert min(abs(math.remainder(b - door.bearing, math.tau)) for b in bearings) < math.radians(40)


def test_more_headings_are_pictures_from_the_same_places(walked: Path, drawn: Path, tmp_path: Path) -> None:
    """Also over shards that were drawn with fewer of them; each place's own picture is the first."""
    shutil.copytree(drawn, tmp_path / "more")
    render_walks(walked, tmp_path / "more", VIEW, headings=2, processes=1)
    for shard in sorted(drawn.glob("walk-*")):
        plain, more = (np.load(folder / shard.name / "rgb.npy") for folder in (drawn, tmp_path / "more"))
        assert len(more) == 3 * len(plain)
        assert all(np.abs(more[::3].astype(int) - plain).mean(axis=(1, 2, 3)) < 2)
        assert all(np.abs(more[k::3].astype(int) - plain).mean() > 10 for k in (1, 2)), "to other sides"


def test_a_second_call_draws_nothing_and_a_cut_one_goes_on(
    walked: Path, drawn: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shards = sorted(drawn.glob("walk-*"))
    before = {path: path.stat().st_mtime_ns for path in drawn.rglob("*")}
    render_walks(walked, drawn, VIEW, processes=1)
    assert {path: path.stat().st_mtime_ns for path in drawn.rglob("*")} == before
    kept = (shards[0] / "truth.jsonl").read_bytes(), np.load(shards[0] / "rgb.npy")
    shards[0].rename(drawn / f".{shards[0].name}.1")  # as an interrupted run leaves it
    render_walks(walked, drawn, VIEW, processes=1)
    assert not list(drawn.glob(".walk-*"))
    assert (shards[0] / "truth.jsonl").read_bytes() == kept[0]
    assert np.abs(np.load(shards[0] / "rgb.npy").astype(int) - kept[1]).max() <= 1


@pytest.mark.parametrize("seed", [0, FIRST_LEARNED_SEED - 1])
def test_walks_that_guides_are_measured_on_are_refused(walked: Path, tmp_path: Path, seed: int) -> None:
    out = tmp_path / "measured"
    shutil.copytree(walked, out)
    settings = json.loads((out / SETTINGS).read_text())
    (out / SETTINGS).write_text(json.dumps({**settings, "seed": seed}))
    with pytest.raises(UserError, match="measured on"):
        turns_of(out)
    (out / SETTINGS).write_text(json.dumps({**settings, "plans": ["home.yaml"]}))
    with pytest.raises(UserError, match=r"measured on.*without --plan$"):
        turns_of(out)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"seed": "x", "plans": []}'])
def test_a_folder_without_walks_is_named(tmp_path: Path, text: str) -> None:
    with pytest.raises(UserError, match="holds no walks"):
        turns_of(tmp_path)
    (tmp_path / SETTINGS).write_text(text)
    with pytest.raises(UserError, match="holds no walks"):
        turns_of(tmp_path)
    (tmp_path / SETTINGS).write_text(json.dumps({"seed": FIRST_LEARNED_SEED, "plans": []}))
    (tmp_path / EPISODES).write_text("damaged\n")
    with pytest.raises(UserError, match="damaged"):
        turns_of(tmp_path)


def test_what_only_buildings_have_is_called_by_what_training_knows() -> None:
    plan = next(n for n in range(510_000_000, 510_000_200) if any(t.kind == "trolley" for t in plan_of(n).things))
    thing = next(t for t in plan_of(plan).things if t.kind == "trolley")
    turns = [
        Turn(float(k), thing.x - 1.5 * math.cos(a), thing.y - 1.5 * math.sin(a), a, "OK", "", 0.0, 0.0, None)
        for k, a in enumerate(np.linspace(-3, 3, 12).tolist())
    ]
    shown = [frame.observation for frame in frames.frames_of_turns(plan, turns, VIEW)]
    named = {h.landmark for o in shown for t in o.targets.values() for h in t.hazards} | {
        o.ahead.landmark for o in shown if o.ahead
    }
    assert "box" in named
    assert named <= {*TARGETS, "wall"}
