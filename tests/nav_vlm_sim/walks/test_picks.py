"""Which walks a page shows."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nav_vlm_node.errors import UserError
from nav_vlm_sim.walks.picks import MOST, MOST_BAD, REVERSALS, Kept, kept, picked, pictured
from tests.nav_vlm_sim.walks.made_up import turn, walked

WALKS = st.builds(
    walked,
    st.sampled_from(["model", "oracle", "constant"]),
    st.sampled_from(["A", "B", "C"]),
    arrived=st.booleans(),
    collisions=st.integers(0, 1),
    reversals=st.integers(0, 2),
)


@given(st.lists(WALKS, max_size=150))
def test_bounded_no_walk_twice_and_bad_ones_first(walks: list[Kept]) -> None:
    chosen = picked(walks)
    assert len(chosen) <= MOST
    assert len({id(walk) for walk in chosen}) == len(chosen)
    bad = [walk for walk in walks if walk.bad < 3]
    first = chosen[: min(len(bad), MOST_BAD)]
    assert [walk.bad for walk in first] == sorted(walk.bad for walk in first)
    assert all(walk.bad < 3 for walk in first)
    if len(walks) <= MOST:
        assert len(chosen) == len(walks)


def test_what_rarely_goes_wrong_is_shown_whole() -> None:
    constant = [walked("constant", "A", arrived=False) for _ in range(500)]
    rare = [walked("model", arrived=False), walked("model", reversals=1), walked("oracle", collisions=1)]
    chosen = picked([*constant, *rare])
    assert all(any(walk is one for one in chosen) for walk in rare)
    assert [walk.bad for walk in chosen[:MOST_BAD]] == [0] * (MOST_BAD - 2) + [1, 2]


def test_all_guides_and_classes_are_shown() -> None:
    many = [walked(guide, kind) for guide in ("model", "oracle", "base") for kind in "ABC" for _ in range(90)]
    lost = [walked("random", "B", arrived=False) for _ in range(300)]
    chosen = picked([*lost, *many])
    counts = Counter((walk.guide, walk.episode.walk.kind) for walk in chosen)
    assert len(chosen) == MOST
    assert counts["random", "B"] >= MOST_BAD
    others = [count for (guide, _), count in counts.items() if guide != "random"]
    assert len(others) == 9
    assert max(others) - min(others) <= 1


@given(st.lists(st.sampled_from([True, False, None]), max_size=70), st.integers(REVERSALS + 2, 40))
def test_a_long_walk_has_some_pictures(reversals: list[bool | None], most: int) -> None:
    turns = [turn(reversal=reversal) for reversal in reversals]
    shown = pictured(turns, most)
    assert shown == sorted(set(shown))
    assert len(shown) == min(most, len(turns))
    wrong = [k for k, reversal in enumerate(reversals) if reversal]
    assert set(wrong[:REVERSALS]) <= set(shown)
    if turns:
        assert shown[0] == 0
        assert shown[-1] == len(turns) - 1


def test_keys_are_read_whatever_the_plan_is_called() -> None:
    episode = walked().episode
    named = {"oracle my plans/a 2.yaml 1 501": episode, "model 12 0 12": episode, "base 12 0 12": episode}
    found = kept(named, ("model", "oracle"))
    assert [(w.guide, w.plan, w.number) for w in found] == [("model", "12", 0), ("oracle", "my plans/a 2.yaml", 1)]
    assert kept(dict(reversed(named.items())), ("model", "oracle")) == found
    with pytest.raises(UserError, match="names no walk"):
        kept({"model 12": episode}, ("model",))
