"""What is asked again: the bag's questions with the answers they got, or a YAML file's."""

from __future__ import annotations

import contextlib
import math
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from nav_vlm_node.errors import UserError
from nav_vlm_node.instruction import Action, Instruction, Status, Step
from nav_vlm_node.replay.bags import Bag
from nav_vlm_node.replay.contents import Contents, read_contents
from nav_vlm_node.replay.messages import Decoder
from nav_vlm_node.replay.questions import from_bag, from_yaml, steps_of, truth_of
from tests.bags import START, ns, recording


def given_answer(query_id: str, query: str = "Where?", **more: Any) -> Instruction:
    return Instruction(query_id=query_id, query=query, status=Status.OK, text="Stop.", **more)


def read(path: Path) -> Contents:
    with Bag(path) as bag:
        return read_contents(bag, Decoder(bag.topics), None, "", "")


def test_questions_meet_their_answers(tmp_path: Path) -> None:
    with recording(tmp_path / "bag") as bag:
        bag.query("Where?", ns(1), "a")
        bag.query("Where?", ns(1.1), "a")  # sent twice; the node answers it once
        bag.instruction(given_answer("a"), ns(1.5), ns(1))
        bag.text("Where is the lift?", ns(2))
        bag.instruction(given_answer("made-up", "Where is the lift?"), ns(2.5), ns(2))
        bag.instruction(given_answer("again", "Where is the lift?", message="repeat of question made-up"), ns(3), 0)
        bag.instruction(given_answer("action", "How do I get out?", latency=0.5), ns(4), ns(3.4))
        bag.instruction(given_answer("reflex"), ns(5), 0, topic="/hazard")
    questions = from_bag(read(tmp_path / "bag"))
    assert [(each.query_id, each.text) for each in questions] == [
        ("a", "Where?"), ("made-up", "Where is the lift?"), ("action", "How do I get out?"),
    ]  # fmt: skip
    assert all(each.live is not None for each in questions)
    assert questions[2].time == ns(3.5)


def test_another_wearers_questions_are_not_taken(tmp_path: Path) -> None:
    with recording(tmp_path / "bag") as bag:
        bag.query("Where?", ns(1), "mine", topic="/me/query")
        bag.query("Where?", ns(1), "yours", topic="/you/query")
    with Bag(tmp_path / "bag") as bag_read:
        contents = read_contents(bag_read, Decoder(bag_read.topics), None, "", "/me")
    assert [each.query_id for each in from_bag(contents)] == ["mine"]


def written(folder: Path, content: Any) -> Path:
    path = folder / "questions.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return path


def test_yaml(tmp_path: Path) -> None:
    entries = [
        {"stamp": 1_700_000_009.5, "question": "Where is the door?", "id": "late"},
        {"time": 2, "question": "Where is the door?", "steps": "Turn left 30 degrees, then move 2 metres."},
        {"time": 1, "question": "Where is the lift?", "steps": [{"action": "NOT_VISIBLE", "landmark": "elevator"}]},
    ]
    questions = from_yaml(written(tmp_path, entries), Contents(start=START))
    assert [each.time for each in questions] == [ns(1), ns(2), pytest.approx(ns(9.5), abs=1000)]
    assert [each.query_id for each in questions] == ["question-3", "question-2", "late"]
    first, second, third = (each.truth for each in questions)
    assert first is not None
    assert not first.visible
    assert second is not None
    assert (second.kind, second.visible, second.distance) == ("target", True, 2.0)
    assert second.bearing == pytest.approx(math.radians(30))
    assert third is None


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("- [}", "is not YAML"),
        ("", "is no list; write lines like"),
        ("a: 1", "is no list"),
        ("- 5", "entry 1: give a mapping with time and question"),
        ("- {time: 1}", "entry 1: give a mapping"),
        ("- {question: Where}", "give either time"),
        ("- {question: Where, time: 1, stamp: 1}", "give either time"),
        ("- {question: Where, time: soon}", "the time is 'soon'; give seconds"),
        ("- {question: Where, time: .nan}", "give seconds"),
        ("- {question: Where, time: true}", "give seconds"),
        ("- {question: Where, time: 1, answer: x}", "'answer' is not known; use time"),
        ("- {question: Where, time: 1, steps: Flibber the gibbet.}", "was not understood"),
        ("- {question: Where, time: 1, steps: [{action: FLY}]}", "a step's action must be one of"),
        ("- {question: Where, time: 1, steps: 5}", "steps must be a sentence, or a list"),
        ("- {question: Where, time: 1, truth: 5}", "truth"),
        ("- {question: A, time: 1, id: x}\n- {question: B, time: 2, id: x}", "the id 'x' is there twice"),
    ],
)
def test_bad_yaml_is_one_line(tmp_path: Path, content: str, says: str) -> None:
    with pytest.raises(UserError, match=r"questions .*questions\.yaml") as raised:
        from_yaml(written(tmp_path, content), Contents())
    assert says in str(raised.value)
    assert "\n" not in str(raised.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=20) | st.integers(-10, 10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["time", "steps", "a"]), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["time", "stamp", "question", "id", "steps", "truth"]), JSON))
def test_whatever_stands_there_raises_only_user_errors(entry: dict[str, Any]) -> None:
    from nav_vlm_node.replay.questions import _question

    with contextlib.suppress(UserError):
        _question({"question": "Where is the door?", **entry}, 1, Contents())


def test_truth_of_what_a_person_writes() -> None:
    caution = steps_of("Caution, chair ahead at 1 metre.")
    assert truth_of("Is anything in my way?", caution).kind == "hazard"
    assert truth_of("What is around me?", (Step(Action.STOP),)).kind == "describe"
    assert truth_of("Where is Narnia?", (Step(Action.UNKNOWN),)).kind == "unknown"
