from __future__ import annotations

import errno
import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nav_vlm_node.errors import UserError
from nav_vlm_training.data import ratings
from nav_vlm_training.data.balance import DIRECTIONS
from nav_vlm_training.data.labelstudio import (
    ANSWER_CONFIG,
    NONE,
    picture_of,
    read_annotations,
    read_labelstudio,
    task_of,
)
from nav_vlm_training.data.reading import Odd
from nav_vlm_training.data.tasks import tasks_of_data, tasks_of_pictures, write_tasks
from tests.nav_vlm_training.data.fuzz import FUZZ, LEAF, VALUE, refusal
from tests.nav_vlm_training.data.labelled import annotation, export, task
from tests.nav_vlm_training.datasets import make_dataset
from tests.nav_vlm_training.indoor67 import make_indoor67

DATA = {"image": "/data/local-files/?d=hall/a.jpg", "picture": "hall/a.jpg", "question": "Where is the exit?"}


@pytest.mark.parametrize(("config", "values"), [(ANSWER_CONFIG, "question"), (ratings.CONFIG, "question answer")])
def test_a_config_is_sound_and_shows_what_the_tasks_hold(config: str, values: str) -> None:
    root = ET.fromstring(config)
    names = {tag.get("name") for tag in root.iter() if tag.get("name")}
    assert all(tag.get("toName") in names for tag in root.iter() if tag.get("toName"))
    shown = {value[1:] for tag in root.iter() if (value := tag.get("value", "")).startswith("$")}
    assert shown == {"image", *values.split()}


def test_the_choices_are_what_is_read_back() -> None:
    offered = {
        tag.get("name"): {choice.get("value") for choice in tag.iter("Choice")}
        for config in (ANSWER_CONFIG, ratings.CONFIG)
        for tag in ET.fromstring(config).iter("Choices")
    }
    assert offered["direction"] == {*DIRECTIONS, NONE}
    assert offered["rating"] == set(ratings.WORTH)


def test_every_annotators_answer_is_kept(tmp_path: Path) -> None:
    path = export(tmp_path / "export.json", [
        task(
            DATA,
            annotation(3, answer="Turn left.", direction="left", hazard="no"),
            annotation({"id": 4, "email": "b@x.org"}, question="How do I get out?", answer="Go left."),
            annotation(None, answer="Walk ahead."),
            number=12,
        ),
    ])  # fmt: skip
    reading = read_labelstudio([path])
    assert [(p.where, p.annotator, p.question, p.text, p.image) for p in reading.pairs] == [
        ("export.json task 12 annotation 1", "3", "Where is the exit?", "Turn left.", "hall/a.jpg"),
        ("export.json task 12 annotation 2", "b@x.org", "How do I get out?", "Go left.", "hall/a.jpg"),
        ("export.json task 12 annotation 3", "unknown", "Where is the exit?", "Walk ahead.", "hall/a.jpg"),
    ]
    (remark,) = reading.remarks
    assert str(remark) == "export.json task 12 annotation 1: annotators send different ways (left, ahead)"


@pytest.mark.parametrize(
    ("made", "why"),
    [
        ({**annotation(1, answer="Turn left."), "was_cancelled": True}, "skipped by its annotator"),
        (annotation(1, direction="left"), "its answer is missing"),
        (annotation(1, answer=" "), "its answer is empty"),
        (annotation(1, answer="Turn left.", direction="right"), "the answer says left and the choice right"),
        ({"completed_by": 1}, 'no "result"'),
        ({"completed_by": 1, "result": [5]}, "not as Label Studio exports it"),
        ({"completed_by": [1], "result": []}, "is no name"),
        (5, "it is no object"),
    ],
)
def test_an_odd_annotation_is_reported_and_kept_with_the_remark(tmp_path: Path, made: Any, why: str) -> None:
    path = export(tmp_path / "export.json", [task(DATA, annotation(1, answer="Turn left.", direction="left"), made)])
    reading = read_labelstudio([path])
    assert len(reading.pairs) == 1
    (remark,) = reading.remarks
    assert remark.where == "export.json task 1 annotation 2"
    assert why in remark.why
    assert remark.raw


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        (5, "it is no object"),
        ({"id": 2, "image": "a.jpg", "answer": "Left"}, "export as JSON, not as JSON-MIN"),
        ({"id": 2, "data": 5, "annotations": []}, "not as Label Studio exports them"),
        ({"id": 2, "data": {}, "annotations": []}, "nobody has worked on it"),
    ],
)
def test_an_odd_task_is_reported(tmp_path: Path, entry: object, why: str) -> None:
    annotations, remarks = read_annotations(export(tmp_path / "e.json", [entry, task(DATA, annotation(1, answer="x"))]))
    assert [one.texts for one in annotations] == [{"answer": "x"}]
    assert [why in remark.why for remark in remarks] == [True]


def test_what_is_no_export_is_one_line(tmp_path: Path) -> None:
    for text in ('{"tasks": []}', "5", "[", ""):
        (tmp_path / "e.json").write_text(text)
        with pytest.raises(UserError, match=r"e.json is no") as raised:
            read_annotations(tmp_path / "e.json")
        assert "\n" not in str(raised.value)


def test_questions_in_dispute_can_be_left_out_and_if_all_are_that_is_said(tmp_path: Path) -> None:
    agreed = task(
        {**DATA, "question": "Where is the door?"}, annotation(1, answer="Left."), annotation(2, answer="Turn left.")
    )
    disputed = task(DATA, annotation(1, answer="Turn left."), annotation(2, answer="Turn right."), number=2)
    reading = read_labelstudio([export(tmp_path / "e.json", [agreed, disputed])], agreed=True)
    assert {pair.question for pair in reading.pairs} == {"Where is the door?"}
    assert [str(r) for r in reading.remarks] == [
        "e.json task 2 annotation 1: annotators send different ways (left, right); left out"
    ]
    path = export(tmp_path / "e.json", [disputed])
    with pytest.raises(UserError, match="annotators disagree on all 1 questions"):
        read_labelstudio([path], agreed=True)
    assert len(read_labelstudio([path]).pairs) == 2


@pytest.mark.parametrize(
    ("data", "picture"),
    [
        ({"picture": "hall/a.jpg", "image": "http://x/b.jpg"}, "hall/a.jpg"),
        ({"image": "/data/local-files/?d=hall/a%20b.jpg"}, "hall/a b.jpg"),
        ({"image": "/data/upload/3/1a2b3c4d-a.jpg"}, "a.jpg"),
        ({"image": "https://x.org/files/a%20b.jpg?size=1"}, "a b.jpg"),
    ],
)
def test_the_picture_of_a_task_is_found_again(data: dict[str, str], picture: str) -> None:
    assert picture_of(data) == picture


@pytest.mark.parametrize(
    "data", [{}, {"picture": "../a.jpg"}, {"image": "/data/local-files/?d=../a"}, {"image": "http://x"}]
)
def test_a_task_without_a_picture_is_odd(data: dict[str, str]) -> None:
    with pytest.raises(Odd):
        picture_of(data)


def test_tasks_of_a_data_set_come_back_as_its_questions(tmp_path: Path) -> None:
    folder = make_dataset(tmp_path / "set", scenes=3)
    tasks = tasks_of_data(folder, "http://x/?d=")
    write_tasks(tmp_path / "out", tasks, ANSWER_CONFIG)
    written = json.loads((tmp_path / "out" / "tasks.json").read_text())
    lines = [json.loads(line) for line in (folder / "questions.jsonl").read_text().splitlines()]
    asked = {(line["image"], line["question"]) for line in lines}
    assert {(one["data"]["picture"], one["data"]["question"]) for one in written} == asked
    assert "text" not in json.dumps(written)
    worked = [{**one, "annotations": [annotation(1, answer="Turn left.")]} for one in written]
    reading = read_labelstudio([export(tmp_path / "export.json", worked)])
    assert {(pair.image, pair.question) for pair in reading.pairs} == asked
    assert {pair.scene for pair in reading.pairs} == {"0", "1", "2"}
    assert len(tasks_of_data(folder, "", limit=4, seed=1)) == 4


def test_tasks_of_a_folder_of_pictures_leave_the_question_to_people(tmp_path: Path) -> None:
    names = make_indoor67(tmp_path / "mit", each=2)
    tasks = tasks_of_pictures(tmp_path / "mit", "/data/local-files/?d=mit/")
    assert sorted(one["data"]["picture"] for one in tasks) == sorted(names)
    assert tasks[0]["data"] == {
        "image": "/data/local-files/?d=mit/corridor/corridor_00.jpg", "picture": "corridor/corridor_00.jpg",
        "question": "", "room": "corridor",
    }  # fmt: skip
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="holds no pictures"):
        tasks_of_pictures(tmp_path / "empty", "")
    with pytest.raises(UserError, match="--limit -1"):
        tasks_of_pictures(tmp_path / "mit", "", limit=-1)


def test_a_full_disk_is_one_line_and_leaves_no_half_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Path.write_text

    def full(self: Path, text: str, **options: Any) -> int:
        real(self, text[:10], **options)
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", full)
        with pytest.raises(UserError, match=r"cannot write to .*: No space left on device; give another --out"):
            write_tasks(tmp_path / "out", [task_of("a.jpg", "Where?")], ANSWER_CONFIG)
    assert not list((tmp_path / "out").iterdir())


def test_a_task_quotes_its_address() -> None:
    assert task_of("a b/ä.jpg", "Where?")["data"]["image"] == "/data/local-files/?d=a%20b/%C3%A4.jpg"


inner = st.one_of(VALUE, st.fixed_dictionaries({"text": VALUE}), st.fixed_dictionaries({"choices": VALUE}))
results = st.lists(st.fixed_dictionaries({"from_name": LEAF, "value": inner}), max_size=2)
made = st.one_of(VALUE, st.fixed_dictionaries({"completed_by": VALUE, "result": st.one_of(VALUE, results)}))
annotations_ = st.one_of(VALUE, st.lists(made, max_size=2))
entry = st.one_of(VALUE, st.fixed_dictionaries({"id": LEAF, "data": VALUE, "annotations": annotations_}))


@FUZZ
@given(tasks=st.lists(entry, max_size=3))
def test_any_export_is_read_or_reported(tasks: list[Any], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = export(tmp_path_factory.getbasetemp() / "fuzz.json", tasks)
    annotations, remarks = read_annotations(path)
    kept = [t["annotations"] for t in tasks if isinstance(t, dict) and isinstance(t.get("annotations"), list)]
    assert len(annotations) <= sum(map(len, kept))
    assert len(annotations) + len(remarks) >= len(tasks)
    reading = read_labelstudio([path])
    json.dumps([remark.to_json() for remark in reading.remarks])


@FUZZ
@given(data=st.binary(max_size=100))
def test_any_bytes_are_read_or_refused(data: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "bytes.json"
    path.write_bytes(data)
    assert "\n" not in refusal(read_labelstudio, [path])
