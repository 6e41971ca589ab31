from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nav_vlm_node.errors import UserError
from nav_vlm_training.data.splits import SHARES, Shown, assign, by_lists, check_shares, groups, keys_of, leaks
from tests.nav_vlm_training.data.fuzz import FUZZ, refusal

THIRDS = {"train": 0.5, "val": 0.25, "test": 0.25}


def shown(scene: str, image: str, pixels: str) -> Shown:
    return Shown(scene, (image,), (pixels,))


def test_what_shares_anything_is_one_group() -> None:
    assert groups([["a"], ["b"], ["a", "c"], ["c"], ["d"], []]) == [0, 1, 0, 0, 4, 5]
    assert groups([["a"], ["b"], ["a", "b"]]) == [0, 0, 0]


def test_a_leak_is_found_by_scene_path_and_pixels() -> None:
    a, b, c = shown("s", "a.jpg", "1"), shown("s", "b.jpg", "2"), shown("t", "c.jpg", "2")
    assert leaks([a, b, c], ["train"] * 3) == []
    assert [(leak.what, leak.splits) for leak in leaks([a, b, c], ["train", "test", "test"])] == [
        ("scene", ("train", "test")),
    ]
    (twin,) = leaks([a, b, c], ["train", "train", "val"])
    assert (twin.what, twin.images, str(twin)) == (
        "pixels", ("b.jpg", "c.jpg"), "what b.jpg, c.jpg show is in train and val",
    )  # fmt: skip
    same = leaks([a, a], ["train", "test"], by_scene=False)
    assert [leak.what for leak in same] == ["path", "pixels"]
    assert str(same[0]) == "picture a.jpg is in train and test"


def test_a_picture_from_before_leaks_too() -> None:
    film = Shown("s", ("a.jpg", "b.jpg"), ("1", "2"))
    assert {leak.what for leak in leaks([film, shown("t", "b.jpg", "2")], ["train", "test"])} == {"path", "pixels"}


item = st.builds(shown, st.sampled_from("stuvwxyz"), st.sampled_from("abcdefghijkl"), st.sampled_from("123456789"))


@FUZZ
@given(
    items=st.lists(item, min_size=1, max_size=40), unit=st.sampled_from(["scene", "image", "room"]),
    seed=st.integers(0, 9), room=st.lists(st.sampled_from("pqr"), min_size=40, max_size=40),
)  # fmt: skip
def test_nothing_ever_leaks_whatever_is_divided(items: list[Shown], unit: str, seed: int, room: list[str]) -> None:
    group = groups([keys_of(one, room[i], unit) for i, one in enumerate(items)])
    if len(set(group)) < 3:
        assert "cannot be divided" in refusal(assign, group, THIRDS, seed)
        return
    split = assign(group, THIRDS, seed)
    assert leaks(items, split, by_scene=unit != "image") == []
    assert set(split) == set(THIRDS)
    assert split == assign(group, THIRDS, seed)
    if unit == "room":
        assert all(len({s for s, r in zip(split, room, strict=False) if r == one}) <= 1 for one in "pqr")


def test_shares_are_kept_as_well_as_the_groups_allow() -> None:
    group = [i // 3 for i in range(3000)]
    split = assign(group, SHARES, seed=1)
    assert {name: split.count(name) for name in SHARES} == pytest.approx(
        {"train": 2400, "val": 300, "test": 300}, abs=3
    )
    assert split != assign(group, SHARES, seed=2)
    # one picture with half of the questions does not upset the rest
    group = [0] * 100 + list(range(1, 101))
    split = assign(group, SHARES, seed=3)
    assert split.count("train") >= 100
    assert {"val", "test"} <= set(split)


def test_a_split_that_is_given_is_kept_and_two_are_refused() -> None:
    group = [0, 0, 1, 2, 3, 4]
    split = assign(group, THIRDS, 0, ["test", "", "train", "", "", ""])
    assert split[:3] == ["test", "test", "train"]
    assert set(split) == set(THIRDS)
    with pytest.raises(UserError, match=r"what shows the same into test and train; divide anew: --splits"):
        assign(group, THIRDS, 0, ["test", "train", "", "", "", ""])
    kept = assign([0, 1], SHARES, 0, ["heldout_room", "train"])
    assert kept == ["heldout_room", "train"]


def test_the_lists_test_pictures_take_their_twins_with_them() -> None:
    assert by_lists([0, 1, 1, 2], ["train", "test", "train", ""]) == ["train", "test", "test", "train"]


@pytest.mark.parametrize("shares", [{"train": 0.5}, {"train": 1.5, "test": -0.5}, {"": 1.0}, {}, {"a": float("nan")}])
def test_shares_that_make_no_sense_are_refused(shares: dict[str, float]) -> None:
    with pytest.raises(UserError, match="add up to 1"):
        check_shares(shares)


def test_too_little_to_divide_is_said() -> None:
    with pytest.raises(UserError, match=r"2 pictures or scenes cannot be divided into 3 splits \(train, val, test\)"):
        assign([0, 1, 1], SHARES, 0)
