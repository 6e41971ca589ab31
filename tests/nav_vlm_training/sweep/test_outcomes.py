from __future__ import annotations

import json
import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nav_vlm_node.errors import UserError
from nav_vlm_node.score import MEASURES, summarise
from nav_vlm_training.data.samples import read_dataset
from nav_vlm_training.evaluation.judging import Judged, judge_text
from nav_vlm_training.sweep.outcomes import FILE, outcomes_of, read_outcomes, write_outcomes
from tests.nav_vlm_training.datasets import make_dataset


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> list[Judged]:
    """Answers of every kind: right, another question's, on the other side, empty, nonsense."""
    samples = read_dataset(make_dataset(tmp_path_factory.mktemp("set") / "set")).samples
    rng = random.Random(0)
    texts = [sample.text for sample in samples]
    answers = [
        rng.choice([text, rng.choice(texts), text.replace("left", "right"), "", "Moo.", "Caution, box ahead at 1 m."])
        for text in texts
    ]
    return [judge_text(sample, text) for sample, text in zip(samples, answers, strict=True)]


def test_shares_are_the_scorer_s(judged: list[Judged]) -> None:
    outcomes = outcomes_of(judged)
    scores = summarise(one.outcome for one in judged)
    for measure in MEASURES:
        value = scores[measure].value
        assert 0 < value < 1 or measure == "unknown_no_direction"  # so that there is something to get wrong
        assert outcomes.share(measure) == pytest.approx(value, abs=1e-12), measure


@given(st.lists(st.integers(0, 95), min_size=1, max_size=8, unique=True))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_so_are_those_of_some_answers(judged: list[Judged], some: list[int]) -> None:
    chosen = [judged[index] for index in some]
    outcomes, scores = outcomes_of(chosen), summarise(one.outcome for one in chosen)
    for measure in MEASURES:
        value, share = scores[measure].value, outcomes.share(measure)
        assert share == pytest.approx(value, abs=1e-12, nan_ok=True), measure


def test_round_trip(judged: list[Judged], tmp_path: Path) -> None:
    outcomes = outcomes_of(judged)
    write_outcomes(tmp_path / FILE, outcomes)
    back = read_outcomes(tmp_path / FILE)
    assert (back.numbers, back.scenes, list(back.parts)) == (outcomes.numbers, outcomes.scenes, list(MEASURES))
    for measure in MEASURES:
        np.testing.assert_array_equal(back.parts[measure], outcomes.parts[measure])
    assert [path.name for path in tmp_path.iterdir()] == [FILE]
    assert (tmp_path / FILE).read_bytes().count(b"\n") == 1


def test_the_file_stays_what_it_is(judged: list[Judged], tmp_path: Path) -> None:
    write_outcomes(tmp_path / FILE, outcomes_of(judged[:2]))
    found = json.loads((tmp_path / FILE).read_text())
    assert list(found) == ["numbers", "scenes", "parts"]
    assert (found["numbers"], found["scenes"]) == ([0, 1], ["0", "0"])
    assert found["parts"].keys() == MEASURES.keys()
    assert np.shape(found["parts"]["direction_accuracy"]) == (2, 2)


def test_of_nothing(tmp_path: Path) -> None:
    write_outcomes(tmp_path / FILE, outcomes_of([]))
    assert math.isnan(read_outcomes(tmp_path / FILE).share("direction_accuracy"))


GOOD: dict[str, Any] = {
    "numbers": [0, 1],
    "scenes": ["a", "b"],
    "parts": {measure: [[0, 1], [1, 1]] for measure in MEASURES},
}


def text(**changed: object) -> str:
    return json.dumps({**GOOD, **changed})


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ("", "Expecting value"), ("[]", ""), ("7", ""), ("{}", ""), (text(parts=[]), ""),
        (text(numbers=[0]), "its columns differ in length"), (text(scenes=["a"]), "its columns differ in length"),
        (text(numbers=["x", 1]), "invalid literal"), (text(numbers=None), ""),
        (text(parts={}), "no direction_accuracy"),
        (text(parts={**GOOD["parts"], "coverage": [[0, 1]]}), "its columns differ in length"),
        (text(parts={**GOOD["parts"], "coverage": [[0, -1], [1, 1]]}), "what it counts is no number from 0 up"),
        (text(parts={**GOOD["parts"], "coverage": [[0, math.nan], [1, 1]]}), "what it counts is no number"),
        (text(parts={**GOOD["parts"], "coverage": [[0, 10**400], [1, 1]]}), "int too"),
        (text(parts={**GOOD["parts"], "coverage": [["x", 1], [1, 1]]}), "could not convert"),
        ("[" * 100_000, ""),
    ],
)  # fmt: skip
def test_a_damaged_file_is_one_line(found: str, said: str, tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(found)
    with pytest.raises(UserError) as caught:
        read_outcomes(tmp_path / FILE)
    line = str(caught.value)
    assert line.startswith(f"{tmp_path / FILE} is damaged ({said}")
    assert line.endswith("; delete its folder and run the sweep again")
    assert "\n" not in line


def test_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"is damaged \(No such file or directory\); delete its folder"):
        read_outcomes(tmp_path / FILE)


@given(st.binary(max_size=80))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_bytes_are_one_line(tmp_path: Path, found: bytes) -> None:
    (tmp_path / FILE).write_bytes(found)
    with pytest.raises(UserError, match="is damaged"):
        read_outcomes(tmp_path / FILE)


def test_nothing_is_left_of_a_write_that_fails(judged: list[Judged], tmp_path: Path) -> None:
    (tmp_path / f".{FILE}.draft").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        write_outcomes(tmp_path / FILE, outcomes_of(judged))
    assert list(tmp_path.iterdir()) == []
