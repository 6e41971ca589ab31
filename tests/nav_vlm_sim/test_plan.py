"""Which scenes a data set has: every one in one split, none that a model was trained on."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nav_vlm_node.errors import UserError
from nav_vlm_sim import cli
from nav_vlm_sim.plan import FIRST_WORLD, MOST_SEED, SHARES, Plan, blocks_of, phrasings_of, scenes_of
from nav_vlm_sim.world import SCENES_PER_WORLD

TRAINED_ON = 1_000_000 * SCENES_PER_WORLD  # `shards` renders worlds under a million
patient = settings(deadline=None)
some_seeds = st.integers(0, MOST_SEED)
some_shares = st.dictionaries(st.sampled_from(list(SHARES)), st.floats(0.01, 10), min_size=1)


@patient
@given(st.integers(1, 3000), some_seeds, some_shares)
def test_splits_share_no_scene_and_no_surfaces(scenes: int, seed: int, shares: dict[str, float]) -> None:
    plan = Plan(scenes=scenes, seed=seed, shares=tuple(shares.items()))
    blocks = blocks_of(plan)
    numbers = [scene for block in blocks for scene in block.seeds()]
    assert len(numbers) == len(set(numbers)) == scenes
    assert len({block.world for block in blocks}) == len(blocks)
    assert min(numbers) >= TRAINED_ON
    assert max(numbers) < 2**53
    counts = scenes_of(plan)
    total = sum(shares.values())
    for split, share in shares.items():
        assert abs(counts[split] - scenes * share / total) < 1
        assert sum(block.count for block in blocks if block.split == split) == counts[split]


@patient
@given(some_seeds, some_seeds, st.integers(1, 2000))
def test_seeds_share_no_scene(one: int, other: int, scenes: int) -> None:
    ranges = [{block.world for block in blocks_of(Plan(scenes=scenes, seed=seed))} for seed in (one, other)]
    assert one == other or not ranges[0] & ranges[1]
    assert min(map(min, ranges)) >= FIRST_WORLD


def test_the_usual_shares() -> None:
    assert scenes_of(Plan(scenes=1000, seed=0)) == {
        "train": 700, "val": 100, "test": 100, "heldout_texture": 50, "heldout_room": 50,
    }  # fmt: skip
    assert sum(scenes_of(Plan(scenes=3, seed=0)).values()) == 3


def test_held_out_material_is_in_held_out_splits_alone() -> None:
    for block in blocks_of(Plan(scenes=600, seed=1)):
        assert (block.family == "heldout") == (block.split == "heldout_texture")
        assert (block.room == "lounge") == (block.split == "heldout_room")
    for family, room, split in (
        ("heldout", "", "heldout_texture"), ("", "lounge", "heldout_room"), ("heldout", "lounge", "heldout_both"),
    ):  # fmt: skip
        assert {b.split for b in blocks_of(Plan(scenes=30, seed=1, family=family, room=room))} == {split}
        with pytest.raises(UserError, match="held-out material"):
            Plan(scenes=30, seed=1, family=family, room=room, shares=(("train", 1.0),))
    corridors = blocks_of(Plan(scenes=600, seed=1, room="corridor"))
    assert {b.room for b in corridors} == {"corridor"}
    assert {b.split for b in corridors} == set(SHARES) - {"heldout_room"}
    assert "heldout_texture" not in {b.split for b in blocks_of(Plan(scenes=600, seed=1, family="train"))}


def test_words() -> None:
    both = Plan(scenes=1, seed=0)
    assert {split: phrasings_of(both, split) for split in SHARES} == {
        "train": (False,), "val": (False,), "test": (False, True),
        "heldout_texture": (False,), "heldout_room": (False,),
    }  # fmt: skip
    assert phrasings_of(Plan(scenes=1, seed=0, phrasing="train"), "test") == (False,)
    assert phrasings_of(Plan(scenes=1, seed=0, phrasing="heldout"), "val") == (True,)


@pytest.mark.parametrize(
    "plan",
    [
        Plan(scenes=5, seed=9),
        Plan(scenes=5, seed=9, views=1, questions=2, family="heldout", phrasing="train"),
        Plan(scenes=5, seed=9, room="corridor", shares=(("train", 0.5), ("test", 0.5))),
    ],
)
def test_the_command_on_the_card_makes_the_same_plan(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Plan] = []

    def make(plan: Plan, out: Path, workers: int | None) -> dict[str, dict[str, int]]:
        seen.append(plan)
        return {"counts": {"questions": 0, "images": 0, "scenes": 0}}

    monkeypatch.setattr("nav_vlm_sim.dataset.make", make)
    assert cli.main(shlex.split(plan.command())[1:]) == 0
    assert json.dumps(seen[0].to_json()) == json.dumps(plan.to_json())


@pytest.mark.parametrize(
    ("wrong", "names"),
    [
        ({"scenes": 0}, "--scenes"), ({"scenes": 10**9}, "--scenes"), ({"seed": -1}, "--seed"),
        ({"views": 0}, "--views"), ({"questions": 99}, "--questions"), ({"family": "x"}, "--family"),
        ({"room": "cellar"}, "lounge"),
        ({"phrasing": "x"}, "--phrasing"), ({"shares": (("x", 1.0),)}, "heldout_texture"),
        ({"shares": (("train", -1.0),)}, "train=-1"), ({"shares": (("train", 0.0),)}, "above 0"),
        ({"shares": (("train", float("nan")),)}, "train=nan"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(wrong: dict[str, object], names: str) -> None:
    with pytest.raises(UserError, match=names):
        Plan(**{"scenes": 5, "seed": 1, **wrong})  # type: ignore[arg-type]
