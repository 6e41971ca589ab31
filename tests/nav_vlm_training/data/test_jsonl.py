from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nav_vlm_node.errors import UserError
from nav_vlm_training.data.jsonl import read_dataset_lines, read_jsonl
from nav_vlm_training.data.reading import numbered_lines
from tests.nav_vlm_training.data.fuzz import FUZZ, VALUE
from tests.nav_vlm_training.datasets import make_dataset

PLAIN = {"image": "a/1.jpg", "question": "Where?", "answer": "Turn left."}


def test_plain_lines_and_what_they_may_have_more(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    more = {"scene": 7, "room": "hall", "split": "test", "annotator": "ann", "earlier": ["a/0.jpg"]}
    lines = [PLAIN, {**PLAIN, **more}, {"path": "b.png", "query": "Where?", "text": "Ahead."}]
    path.write_text("\n".join(map(json.dumps, lines)))
    reading = read_jsonl([path])
    assert not reading.remarks
    first, second, third = reading.pairs
    assert (first.image, first.question, first.text, first.scene, first.line) == (
        "a/1.jpg", "Where?", "Turn left.", "", None,
    )  # fmt: skip
    assert (second.scene, second.room, second.split, second.annotator, second.earlier) == (
        "7", "hall", "test", "ann", ("a/0.jpg",),
    )  # fmt: skip
    assert (third.where, third.image, third.text) == ("data.jsonl:3", "b.png", "Ahead.")


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{", "not JSON"),
        ("[1]", "no JSON object"),
        ('{"image": "a.png", "image": "b.png"}', "'image' is there twice"),
        (json.dumps({**PLAIN, "answer": None}), "its answer is missing"),
        (json.dumps({**PLAIN, "question": 5}), "its question is no text"),
        (json.dumps({**PLAIN, "image": "../a.png"}), "outside"),
        (json.dumps({**PLAIN, "question": "\ud800"}), "characters that are no text"),
        (json.dumps({**PLAIN, "scene": [1]}), "is no name"),
        (json.dumps({**PLAIN, "earlier": "a"}), "no list of images"),
        (json.dumps({**PLAIN, "truth": {"kind": "else"}}), "kind must be one of"),
        (json.dumps({**PLAIN, "truth": {"kind": "target"}, "steps": 5}), "not as in a data set"),
        (json.dumps({**PLAIN, "truth": {"kind": "target", "origin": "hearsay"}}), "origin must be one of"),
        (json.dumps({**PLAIN, "camera": {"width": 5}}), "not as in a data set"),
        (json.dumps({**PLAIN, "camera": "wide"}), "not as in a data set"),
        (
            json.dumps({**PLAIN, "camera": None, "truth": {"kind": "describe"}, "rig": {"image_rotation": 7}}),
            "image_rot",
        ),
        (json.dumps({**PLAIN, "weight": float("nan")}), "not JSON (NaN is no number)"),
    ],
)
def test_a_broken_line_is_reported_with_its_place(tmp_path: Path, line: str, why: str) -> None:
    path = tmp_path / "data.jsonl"
    path.write_text(f"{json.dumps(PLAIN)}\n{line}\n{json.dumps({**PLAIN, 'question': 'And?'})}\n")
    reading = read_jsonl([path])
    assert [pair.where for pair in reading.pairs] == ["data.jsonl:1", "data.jsonl:3"]
    (remark,) = reading.remarks
    assert remark.where == "data.jsonl:2"
    assert why in remark.why
    assert "\n" not in str(remark)


def test_a_data_set_keeps_its_truth_and_its_card(tmp_path: Path) -> None:
    folder = make_dataset(tmp_path / "set", scenes=2)
    reading = read_dataset_lines(folder)
    lines = [json.loads(line) for line in (folder / "questions.jsonl").read_text().splitlines()]
    assert [pair.line for pair in reading.pairs] == lines
    assert reading.about["command"] == "make-data"
    assert {pair.split for pair in reading.pairs} == {"test"}
    with pytest.raises(UserError, match="no data set at"):
        read_dataset_lines(tmp_path)


keys = ("image", "question", "answer", "scene", "split", "truth", "camera", "rig", "earlier", "steps")
line = st.one_of(
    st.binary(max_size=40),
    st.dictionaries(st.sampled_from(keys), st.one_of(VALUE, st.floats()), max_size=3).map(
        lambda some: json.dumps({**PLAIN, **some}).encode()
    ),
)


@FUZZ
@given(lines=st.lists(line, max_size=5))
def test_every_line_of_anything_is_a_pair_or_a_remark(
    lines: list[bytes], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.jsonl"
    data = b"\n".join(lines)
    path.write_bytes(data)
    reading = read_jsonl([path])
    left_out = sum(remark.left_out for remark in reading.remarks)
    assert len(reading.pairs) + left_out == len(list(numbered_lines(data)))
    json.dumps([remark.to_json() for remark in reading.remarks])
