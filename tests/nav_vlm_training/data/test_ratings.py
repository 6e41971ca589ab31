from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from nav_vlm_node.errors import UserError
from nav_vlm_training.data.ratings import (
    Answered,
    Rated,
    correlate,
    own_metrics,
    rating_tasks,
    read_answers,
    read_metrics,
    read_ratings,
)
from nav_vlm_training.data.samples import Dataset, read_dataset
from tests.nav_vlm_training.data.labelled import annotation, export, task
from tests.nav_vlm_training.datasets import make_dataset

ONE = {"system": "model", "image": "a.jpg", "question": "Where?", "text": "Turn left.", "confidence": 0.5}


def book(path: Path, *lines: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in ({"identity": {}}, *lines)))
    return path


def test_answers_are_read_from_the_book_that_evaluate_keeps(tmp_path: Path) -> None:
    path = book(tmp_path / "answers.jsonl", ONE, {**ONE, "text": "", "confidence": None})
    path.write_bytes(path.read_bytes() + b'{"system": "mo')  # a killed run's last line
    first, second = read_answers(path)
    assert first == Answered("model", "a.jpg", "Where?", "Turn left.", 0.5)
    assert math.isnan(second.confidence)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "holds no answers"), ('{"identity": {}}\n', "holds no answers"), ("5\n", "line 1 is no JSON object"),
        ("{\n{}\n", "line 1 is not JSON"), ('{"system": 1}\n', "line 1 is no answer"),
    ],
)  # fmt: skip
def test_a_book_that_is_none_is_one_line(tmp_path: Path, text: str, why: str) -> None:
    (tmp_path / "answers.jsonl").write_text(text)
    with pytest.raises(UserError, match=why):
        read_answers(tmp_path / "answers.jsonl")


def test_raters_do_not_see_who_answered_and_rate_an_answer_once() -> None:
    answers = [Answered(system, "a.jpg", "Where?", "Turn left.") for system in ("model", "base")]
    answers += [Answered("model", "b.jpg", "Where?", ""), Answered("base", "a.jpg", "Where?", "Turn right.")]
    tasks = rating_tasks(answers)
    assert len(tasks) == 3
    assert "model" not in json.dumps(tasks)
    assert {one["data"]["answer"] for one in tasks} == {"Turn left.", "(nothing)", "Turn right."}
    assert {one["data"]["id"] for one in tasks} == {answer.id for answer in answers}
    assert rating_tasks(answers, seed=5) == rating_tasks(answers[::-1], seed=5)
    assert len(rating_tasks(answers, limit=2)) == 2
    orders = {tuple(one["data"]["id"] for one in rating_tasks(answers, seed=seed)) for seed in range(20)}
    assert len(orders) > 1


def test_every_raters_rating_is_kept_and_oddities_are_said(tmp_path: Path) -> None:
    path = export(tmp_path / "r.json", [
        task({"id": "x", "image": "i"}, annotation(1, rating="right"), annotation(2, rating="unsafe", why="stairs")),
        task({"id": "y", "image": "i"}, annotation(1, rating="wrong"), annotation(1, rating="right"), annotation(2)),
        task({"image": "i"}, annotation(1, rating="right")),
        task({"id": "z", "image": "i"}, annotation(1, rating="superb")),
    ])  # fmt: skip
    rated, remarks = read_ratings(path)
    assert rated == [Rated("x", {"1": "right", "2": "unsafe"}), Rated("y", {"1": "wrong"})]
    assert len(remarks) == 4
    assert any("rated the same answer twice" in remark.why for remark in remarks)
    with pytest.raises(UserError, match="holds no ratings"):
        read_ratings(export(tmp_path / "none.json", []))


def test_one_who_sees_the_danger_is_enough() -> None:
    both = Rated("x", {"1": "right", "2": "right", "3": "unsafe"})
    assert (both.right, both.unsafe) == (True, True)
    assert both.worth == pytest.approx(1 / 3)
    assert not Rated("x", {"1": "right", "2": "wrong"}).right


def rated_by_truth(data: Dataset) -> tuple[list[Answered], list[Rated]]:
    """Good and bad answers to every question, and a rater who knows which is which."""
    answers, rated = [], []
    for sample in data.samples:
        bad = "Turn around, then move 1 metre."
        for text, rating in ((sample.text, "right"), (bad, "unsafe" if sample.truth.hazards else "wrong")):
            answers.append(Answered("model", sample.image, sample.question, text, 0.5))
            rated.append(Rated(answers[-1].id, {"ann": rating}))
    return answers, rated


def test_a_metric_that_means_what_people_mean_correlates_with_them(tmp_path: Path) -> None:
    data = read_dataset(make_dataset(tmp_path / "set", scenes=6, views=2))
    answers, rated = rated_by_truth(data)
    metrics = own_metrics(answers, data.samples)
    metrics["length"] = {answer.id: float(len(answer.text)) for answer in answers}
    found = correlate(rated, answers, metrics, resamples=60)
    assert found["direction_accuracy"]["right"].value == 1.0
    assert found["direction_accuracy"]["spearman"].value > 0.9
    assert found["false_clear_rate"]["unsafe"].value == 1.0
    assert found["direction_error"]["kendall"].value < -0.5
    assert math.isnan(found["confidence"]["spearman"].value)  # always the same
    middle = found["length"]["spearman"]
    assert middle.low <= middle.value <= middle.high
    assert middle.n == len(rated)
    assert correlate(rated, answers, {"length": metrics["length"]}, resamples=60)["length"] == found["length"]


def test_ratings_of_other_answers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="none of the ratings is about these answers"):
        correlate([Rated("nobody", {"1": "right"})], [Answered("m", "a", "q", "t")], {})


def test_further_metrics_come_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    lines = [{**ONE, "bertscore": 0.5, "note": "x"}, {**ONE, "bertscore": 0.7}]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    id_ = Answered("any", "a.jpg", "Where?", "Turn left.").id
    assert read_metrics(path)["bertscore"] == {id_: pytest.approx(0.6)}
    path.write_text('{"bertscore": 1}\n')
    with pytest.raises(UserError, match='line 1 has no "image"'):
        read_metrics(path)
