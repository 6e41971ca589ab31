from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nav_vlm_node.instruction import Status
from nav_vlm_training.data.samples import Sample, read_dataset
from nav_vlm_training.evaluation.judging import (
    column,
    column_names,
    confusion,
    differences,
    groups,
    judge_text,
    read_answer,
    scores,
)
from tests.nav_vlm_training.datasets import make_dataset


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> tuple[Sample, ...]:
    splits = ("test", "heldout_texture", "heldout_room", "test")
    return read_dataset(make_dataset(tmp_path_factory.mktemp("data") / "set", splits=splits, scenes=12)).samples


def mirrored(text: str) -> str:
    return text.replace("left", "LEFT").replace("right", "left").replace("LEFT", "right")


def test_the_right_answers_are_right(samples: tuple[Sample, ...]) -> None:
    judged = [judge_text(s, s.text) for s in samples]
    assert all(one.right for one in judged), [(j.sample.text, j.outcome.hits) for j in judged if not j.right]
    found = scores(judged)
    assert found["direction_accuracy"]["value"] == found["visibility_accuracy"]["value"] == 1.0
    assert found["reversal_rate"]["value"] == 0.0
    assert found["reversal_rate"]["n"] == sum(
        s.truth.visible and abs(s.truth.bearing) >= math.radians(15) for s in samples
    )


def test_mirrored_answers_are_all_reversals(samples: tuple[Sample, ...]) -> None:
    found = scores([judge_text(s, mirrored(s.text)) for s in samples])
    assert found["reversal_rate"]["value"] == 1.0
    assert found["reversal_rate"]["n"] > 10


@pytest.mark.parametrize(
    "text",
    ["", "lorem ipsum", "Turn left 20 degrees. Turn right 30 degrees.", "No door in view. Move 2 metres to the door."],
)
def test_what_the_guard_keeps_back_gives_no_direction(samples: tuple[Sample, ...], text: str) -> None:
    visible = next(s for s in samples if s.truth.visible)
    one = judge_text(visible, text)
    assert one.why
    assert one.outcome.answer.status is Status.UNSURE
    assert not one.outcome.hits["direction_accuracy"]
    assert not one.outcome.hits["coverage"]


def test_a_warning_survives_the_guard() -> None:
    answer, why = read_answer("Caution, chair ahead at 1 metre. Turn left 20 degrees. Turn right 30 degrees.")
    assert why
    assert [step.landmark for step in answer.steps] == ["chair"]
    assert read_answer("No door in view. Turn slowly to scan.")[0].status is Status.NOT_VISIBLE
    assert read_answer("Move 2 metres.")[0].status is Status.OK


def test_differences_change_one_thing_at_a_time(samples: tuple[Sample, ...]) -> None:
    """Wrong only in held-out words: neither texture nor room may suffer from it."""
    judged = [judge_text(s, mirrored(s.text) if s.phrasing == "heldout" else s.text) for s in samples]
    found = differences(judged)
    assert found["phrasing"]["points"] < -50
    assert found["phrasing"]["low"] <= found["phrasing"]["points"] <= found["phrasing"]["high"]
    assert found["phrasing"]["heldout"]["n"] == found["phrasing"]["train"]["n"]
    assert found["texture"]["points"] == found["room"]["points"] == 0.0
    assert found["texture"]["train"]["n"] == found["room"]["train"]["n"] == found["phrasing"]["train"]["n"]

    judged = [judge_text(s, "Stop." if s.split == "heldout_room" else s.text) for s in samples]
    found = differences(judged)
    assert found["room"]["points"] == -100.0
    assert found["texture"]["points"] == found["phrasing"]["points"] == 0.0


def test_a_difference_needs_both_sides(samples: tuple[Sample, ...]) -> None:
    judged = [judge_text(s, s.text) for s in samples if s.split == "heldout_room"]
    assert differences(judged) == {}


def test_groups_divide_the_questions(samples: tuple[Sample, ...]) -> None:
    found = groups([judge_text(s, s.text) for s in samples])
    assert {name: set(parts) for name, parts in found.items()} == {
        "phrasing": {"train", "heldout"},
        "texture": {"train", "heldout"},
        "room": {"hall", "lounge"},
        "split": {"test", "heldout_texture", "heldout_room"},
    }
    for parts in found.values():
        assert sum(part["n"] for part in parts.values()) == len(samples)


@given(st.floats(-math.pi, math.pi, exclude_min=True))
def test_every_direction_has_a_column(direction: float) -> None:
    names = column_names()
    assert column(direction) in names
    opposite = {"left": "right", "right": "left"}
    side, _, rest = column(direction).partition(" ")
    assert column(-direction) == (f"{opposite[side]} {rest}" if side in opposite else side)


@pytest.mark.parametrize(
    ("degrees", "name"),
    [
        (0, "ahead"),
        (7, "ahead"),
        (8, "left 15"),
        (-22, "right 15"),
        (-23, "right 30"),
        (80, "left 60"),
        (135, "behind"),
    ],
)
def test_columns(degrees: float, name: str) -> None:
    assert column(math.radians(degrees)) == name
    assert column(math.nan) == "none"


def test_confusion_counts_visible_targets_once(samples: tuple[Sample, ...]) -> None:
    judged = [judge_text(s, s.text) for s in samples]
    counts = confusion(judged)
    visible = sum(s.truth.visible for s in samples)
    assert sum(sum(row.values()) for row in counts.values()) == visible
    # canonical text rounds to 5 degrees: neighbours at most
    names = column_names()
    assert all(abs(names.index(row) - names.index(name)) <= 1 for row, found in counts.items() for name in found)
    nowhere = confusion([judge_text(s, "Stop.") for s in samples])
    assert all(set(found) == {"none"} for found in nowhere.values())


def test_worse_is_worse(samples: tuple[Sample, ...]) -> None:
    off = next(
        s for s in samples if s.truth.visible and abs(s.truth.bearing) > math.radians(20) and not s.truth.hazards
    )
    reversal, silent = judge_text(off, mirrored(off.text)), judge_text(off, "Stop.")
    assert reversal.outcome.badness > silent.outcome.badness
    assert not reversal.right
    assert not silent.right


def test_what_the_node_would_not_say_is_not_counted_as_said(samples: tuple[Sample, ...]) -> None:
    """The guard's confidence limit, as in the node: no direction, and so no reversal; a hazard is told all the same."""
    seen = [s for s in samples if s.truth.visible]
    sure = [judge_text(s, mirrored(s.text), 0.9) for s in seen]
    doubtful = [judge_text(s, mirrored(s.text), 0.01) for s in seen]
    assert any(one.outcome.hits.get("reversal_rate") for one in sure)
    assert not any(one.outcome.hits.get("reversal_rate") for one in doubtful)
    assert all(one.outcome.answer.status is Status.UNSURE and "confidence 0.01" in one.why for one in doubtful)
    warned = [one for one in doubtful if one.sample.truth.hazards]
    assert warned
    assert all(one.outcome.cautions == before.outcome.cautions for one, before in zip(doubtful, sure, strict=True))
