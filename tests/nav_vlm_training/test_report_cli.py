"""`nav-vlm-train report`, from what an evaluation with the real engine kept."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from nav_vlm_training import cli
from nav_vlm_training.evaluation.answering import BOOK
from tests.nav_vlm_training.datasets import make_dataset
from tests.tiny_models import make_tiny_blip2

REPORTS = ("report.json", "report.md", "report.html", "directions.png")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("set")
    make_tiny_blip2(root / "model", with_adapter=True)
    make_dataset(root / "data", scenes=3, views=1)
    words = ["evaluate", "--model", str(root / "model"), "--data", str(root / "data"), "--limit", "9"]
    words += [
        "--baselines",
        "constant,shuffled",
        "--max-new-tokens",
        "6",
        "--device",
        "cpu",
        "--out",
        str(root / "out"),
    ]
    assert cli.main(words) == 0
    return root


@pytest.fixture
def kept(root: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(root / "out", tmp_path / "out"))


def test_the_same_reports_without_a_model(root: Path, kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = {name: (kept / name).read_bytes() for name in REPORTS}
    for name in REPORTS[1:]:
        (kept / name).unlink()
    assert cli.main(["report", str(kept), "--data", str(root / "data")]) == 0
    assert capsys.readouterr().out == f"{kept / 'report.html'}\n"
    assert {name: (kept / name).read_bytes() for name in REPORTS} == whole


def test_measures_are_of_the_answers_that_are_there(root: Path, kept: Path) -> None:
    lines = [json.loads(line) for line in (kept / BOOK).read_text().splitlines()]
    for line in lines[1:]:
        line["text"], line["confidence"] = "Move 2 metres ahead to the door.", 1.0
    (kept / BOOK).write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert cli.main(["report", str(kept), "--data", str(root / "data")]) == 0
    assert json.loads((kept / "report.json").read_text())["coverage"]["value"] == 1.0


def test_two_are_put_side_by_side(root: Path, kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["report", str(root / "out"), str(kept), "--data", str(root / "data")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[3] == f"| measure | {root / 'out'} | {kept} |"
    assert any(line.startswith("| direction_accuracy | ") for line in lines)


def test_what_is_missing_or_damaged_is_one_line(
    root: Path, kept: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def said(*words: str) -> str:
        assert cli.main(["report", *words]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        return line

    data = ["--data", str(root / "data")]
    assert "is not where its command has it; name it with --data" in said(str(kept))
    other = make_dataset(tmp_path / "other", scenes=3, views=1, seed=5)
    assert "is not the data set that" in said(str(kept), "--data", str(other))
    assert "holds no evaluation and no sweep" in said(str(root / "data"), *data)
    lines = (kept / BOOK).read_text().splitlines(keepends=True)
    (kept / BOOK).write_text("".join(lines[:4]))
    assert "has 3 of 9 answers" in said(str(kept), *data)
    (kept / BOOK).write_text("".join([*lines[:3], "{\n"]))
    assert "line 4 is damaged" in said(str(kept), *data)
    (kept / "report.json").write_text("[]")
    assert "report.json is damaged" in said(str(kept), *data)
