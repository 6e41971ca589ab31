from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nav_vlm_node.errors import UserError
from nav_vlm_node.score import MEASURES
from nav_vlm_training.evaluation.report import TEXT_MEASURES
from nav_vlm_training.sweep.intervals import difference, interval
from nav_vlm_training.sweep.outcomes import FILE, Outcomes
from nav_vlm_training.sweep.report import markdown, write_sweep
from nav_vlm_training.sweep.rows import DoneRow, DoneTrial, is_sweep, merged, read_layout, read_rows
from nav_vlm_training.sweep.table import figures_of, over_seeds
from nav_vlm_training.sweep.trial import DONE, EVALUATION, FIGURES
from tests.nav_vlm_training.sweeps import copy_of

WRITTEN = ("sweep.json", "sweep.md", "sweep.png", "sweep.svg")
PNG = b"\x89PNG\r\n\x1a\n"
M = "direction_accuracy"


def trial(seed: int | None, hits: Sequence[int], *, data: str = "d", trained: int = 10, **figures: Any) -> DoneTrial:
    part = np.array([hits, [1] * len(hits)], dtype=np.float64)
    numbers = tuple(range(len(hits)))
    outcomes = Outcomes(numbers, tuple(f"{number // 2}" for number in numbers), dict.fromkeys(MEASURES, part))
    about = {
        "name": f"t{seed}", "seed": seed, "identity": {"data_sha256": data}, "trained": {"language_model": trained},
        "trained_parameters": trained,
    }  # fmt: skip
    return DoneTrial(
        about=about, figures={"n": len(hits), "words_per_answer": {"mean": 7.0}, **figures}, outcomes=outcomes
    )


def row(group: str, label: str, *trials: DoneTrial, id: str = "", wanted: Sequence[str] = ()) -> DoneRow:
    return DoneRow(
        group=group, label=label, id=id or f"{group}/{label}", data="set", config={"variant": "lm_only"},
        wanted=wanted or [str(one.about["name"]) for one in trials],
        trials={one.about["seed"]: one for one in trials},
    )  # fmt: skip


def figures(*rows: DoneRow, compare_with: str = "") -> dict[str, Any]:
    return figures_of({"name": "s", "compare_with": compare_with}, rows)


def said(found: Mapping[str, Any]) -> str:
    return markdown({**found, "command": "nav-vlm-train sweep", "commit": "c" * 40, "date": "2026-01-02T03:04:05Z"})


def test_what_a_finished_sweep_writes(done: Path) -> None:
    out = done / "out"
    found = json.loads((out / "sweep.json").read_text())
    zero, ours = found["rows"]
    assert (zero["name"], zero["groups"], zero["seeds"]) == ("variants/zero_shot", ["variants/zero_shot"], [])
    assert (ours["name"], ours["groups"], ours["seeds"]) == (
        "variants/lm_only", ["variants/lm_only", "again/rank 16"], [0, 1]
    )  # fmt: skip
    assert (zero["trained_parameters"], ours["trained_parameters"], ours["questions"]) == (0, 9216, 36)
    assert (found["missing"], len(found["trials"]), found["command"]) == ([], 3, "sweep")
    (against,) = found["differences"]
    assert (against["row"], against["against"], against["seeds"]) == ("variants/zero_shot", "variants/lm_only", 2)
    rows = {each.name: each for each in read_rows(out, read_layout(out))}
    for name in MEASURES:
        assert ours[name] == interval(rows["variants/lm_only"].outcomes, name).to_json()
    text = (out / "sweep.md").read_text()
    assert text.startswith("# tiny\n\n2 rows, 3 trials, seeds 0, 1.")
    assert "| variants/lm_only, again/rank 16 | 9,216 | 2 | 36 |" in text
    assert "![direction_accuracy against trained parameters](sweep.svg)" in text
    assert (out / "sweep.png").read_bytes().startswith(PNG)
    svg = (out / "sweep.svg").read_text()
    for words in ("zero_shot, nothing trained", "lm_only, 9.22 k", "trained parameters", "direction_accuracy, %"):
        assert words in svg
    assert not [path.name for path in out.iterdir() if path.name.endswith(".draft")]


def test_written_twice_is_the_same_but_for_the_date(done: Path, tmp_path: Path) -> None:
    out = copy_of(done, tmp_path / "out")
    write_sweep(out, "sweep")
    for name in WRITTEN[1:]:
        assert (out / name).read_bytes() == (done / "out" / name).read_bytes(), name
    first, second = (json.loads((where / "sweep.json").read_text()) for where in (done / "out", out))
    assert {**first, "date": ""} == {**second, "date": ""}


def test_rows_of_the_same_trials_are_one_with_all_seeds() -> None:
    rows = [row("a", "x", trial(1, [1, 1]), id="same"), row("b", "y", trial(0, [0, 0]), id="same"), row("b", "none")]
    ((one, names),) = merged(rows)
    assert (names, list(one.trials)) == (["a/x", "b/y"], [0, 1])
    (found,) = figures(*rows)["rows"]
    assert (found["seeds"], found[M]["value"], found[M]["seeds"]) == ([0, 1], 0.5, 2)


def test_differences_are_from_the_first_of_the_group_and_from_one_row() -> None:
    best = row("a", "best", trial(0, [1, 1, 1, 1]))
    other = row("a", "other", trial(0, [1, 1, 0, 0]))
    third = row("b", "third", trial(0, [0, 0, 0, 0]))
    last = row("b", "last", trial(0, [1, 1, 1, 0]))
    elsewhere = row("b", "elsewhere", trial(0, [1, 1, 1, 1], data="e"))
    found = figures(best, other, third, last, elsewhere, compare_with="a/other")["differences"]
    assert [(one["group"], one["row"], one["against"], one["value"]) for one in found] == [
        ("a", "a/best", "a/other", 0.5),
        ("b", "b/third", "a/other", -0.5),
        ("b", "b/last", "b/third", 0.75),
        ("b", "b/last", "a/other", 0.25),
    ]
    assert found[2].items() >= difference(last.outcomes, third.outcomes, M).to_json().items()
    assert [one["against"] for one in figures(best, other)["differences"]] == ["a/best"]


def test_what_is_not_done_is_said() -> None:
    found = figures(row("a", "x", trial(0, [1, 0]), wanted=["t0", "t1"]), row("a", "y", wanted=["t2", "t1"]))
    assert found["missing"] == ["t1", "t2"]
    text = said(found)
    assert "**Not done:** 2 of 3 trials, named at the end." in text
    assert "## Not done\n\n- `t1`\n- `t2`\n\nWritten by" in text
    assert "Not done" not in said(figures(row("a", "x", trial(0, [1, 0]))))


def test_every_measure_stands_in_one_table_of_the_page() -> None:
    text: dict[str, Any] = {name: {"value": 0.5, "n": 2} for name in TEXT_MEASURES}
    page = said(figures(row("a", "x", trial(0, [1, 0], **text))))
    tables = [part.splitlines() for part in page.split("\n\n") if part.startswith("| row |")]
    heads = [head.strip() for lines in tables for head in lines[0].split("|")]
    assert {name: heads.count(name) for name in (*MEASURES, *TEXT_MEASURES)} == dict.fromkeys(
        (*MEASURES, *TEXT_MEASURES), 1
    )
    assert all({line.count(" | ") for line in lines} == {lines[0].count(" | ")} for lines in tables)
    assert "| 50.0 % |" in page.partition("## Texts")[2]


def test_data_are_named_where_there_are_several() -> None:
    one, other = row("a", "x", trial(0, [1, 0])), row("a", "y", trial(0, [1, 1], data="e"))
    found = figures(one, other)
    assert "| row | trained parameters |" in said(found)
    found["rows"][1]["data"] = "elsewhere"
    assert "| row | data | trained parameters |" in said(found)
    assert "| a/y | elsewhere |" in said(found)


def test_text_measures_are_means_from_the_smallest_to_the_largest() -> None:
    text: dict[str, Any] = {"bertscore_f1": {"value": 0.5, "low": 0.4, "high": 0.6, "n": 2}}
    one = row("a", "x", trial(0, [1, 0], **text), trial(1, [1, 0], bertscore_f1={"value": 0.7, "n": 2}))
    (found,) = figures(one)["rows"]
    assert found["bertscore_f1"] == {"value": pytest.approx(0.6), "low": 0.5, "high": 0.7, "seeds": 2, "n": 2}
    assert over_seeds([text["bertscore_f1"], None]) == text["bertscore_f1"]
    assert over_seeds([None, {"value": None}]) is None
    assert "60.0 % (50.0 to 70.0)" in said(figures(one))


def test_baselines_have_a_table() -> None:
    beside: dict[str, Any] = {"baselines": {"constant": {M: {"value": 0.25, "low": 0.1, "high": 0.5, "n": 4}}}}
    assert "| a/x | constant | 25.0 % (10.0 to 50.0) |" in said(figures(row("a", "x", trial(0, [1, 0], **beside))))


def test_a_single_scene_has_no_interval() -> None:
    text = said(figures(row("a", "x", trial(0, [1, 0])), row("a", "y", trial(0, [1, 1]))))
    assert "| 50.0 % |" in text
    assert "| a/y | a/x | +50.0 | – | 2 | 1 | 1 |" in text


@pytest.mark.parametrize("name", WRITTEN)
def test_a_full_disk_is_one_line(name: str, done: Path, tmp_path: Path) -> None:
    out = copy_of(done, tmp_path / "out")
    (out / name).unlink()
    (out / f".{name}.draft").symlink_to("/dev/full")
    with pytest.raises(UserError, match=r"cannot write to .*: No space left on device; the trials are kept"):
        write_sweep(out, "sweep")
    assert not (out / name).exists()
    assert not (out / f".{name}.draft").is_symlink()
    write_sweep(out, "sweep")
    assert (out / name).is_file()


@pytest.mark.parametrize(
    ("file", "text", "match"),
    [
        (DONE, "{}", r"is damaged \(not all is there\); delete trial.json there and run the sweep again"),
        (DONE, "[", "is damaged .*; delete trial.json there"),
        (FIGURES, "[]", r"is damaged \(not all is there\)"),
        (f"{EVALUATION}/{FILE}", "{}", "outcomes.json is damaged .*; delete its folder and run the sweep again"),
    ],
)
def test_damaged_files_are_one_line(file: str, text: str, match: str, done: Path, tmp_path: Path) -> None:
    out = copy_of(done, tmp_path / "out")
    (folder,) = (out / "trials").glob("zero*")
    (folder / file).write_text(text)
    with pytest.raises(UserError, match=match):
        write_sweep(out, "sweep")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"name": "", "compare_with": "", "rows": [{}]}', '{"rows": 7}'])
def test_a_damaged_layout_is_one_line(text: str, tmp_path: Path) -> None:
    (tmp_path / "layout.json").write_text(text)
    assert is_sweep(tmp_path)
    with pytest.raises(UserError, match=r"layout.json is damaged .*; run the sweep again"):
        write_sweep(tmp_path, "sweep")


def test_folders_without_a_sweep_or_a_trial(done: Path, tmp_path: Path) -> None:
    assert not is_sweep(tmp_path)
    with pytest.raises(UserError, match=r"holds no sweep .no layout.json.; run nav-vlm-train sweep first"):
        write_sweep(tmp_path, "sweep")
    shutil.copy(done / "out" / "layout.json", tmp_path)
    with pytest.raises(UserError, match=r"no trial in .* is done; run nav-vlm-train sweep first"):
        write_sweep(tmp_path, "sweep")
    assert [path.name for path in tmp_path.iterdir()] == ["layout.json"]
