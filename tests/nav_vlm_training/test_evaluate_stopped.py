"""`evaluate --out` that was killed, and on a disk that is full: one line, nothing lost, the same command goes on."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nav_vlm_training import cli
from nav_vlm_training.evaluation.answering import BOOK
from tests.nav_vlm_training.datasets import make_dataset
from tests.tiny_models import make_tiny_blip2

FULL = Path("/dev/full")  # every write fails as on a full disk
KILLED = """
import os, signal, sys
from nav_vlm_training import cli
from nav_vlm_training.evaluation import answering
calls, write = iter(range(100)), answering.AnswerBook._write
def stopped(self, record):
    if next(calls) == 7:  # in the second batch, in the middle of a line
        self._file.write('{"system": "mod')
        self._file.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    write(self, record)
answering.AnswerBook._write = stopped
cli.main(sys.argv[1:])
"""


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    root = tmp_path_factory.mktemp("set")
    make_tiny_blip2(root / "model", with_adapter=True)
    make_dataset(root / "data", scenes=3, views=1)
    return [
        "evaluate", "--model", str(root / "model"), "--data", str(root / "data"), "--limit", "9", "--batch", "4",
        "--baselines", "constant,shuffled", "--max-new-tokens", "6", "--device", "cpu",
    ]  # fmt: skip


@pytest.fixture(scope="module")
def whole(words: list[str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The report of an evaluation that nothing happened to."""
    out = tmp_path_factory.mktemp("whole")
    assert cli.main([*words, "--out", str(out)]) == 0
    return report(out)


def report(out: Path) -> dict[str, Any]:
    changing = ("seconds", "answers_per_s", "answered_now", "date", "command")
    figures = json.loads((out / "report.json").read_text())
    return {name: value for name, value in figures.items() if name not in changing}


def test_a_killed_evaluation_goes_on(words: list[str], whole: dict[str, Any], tmp_path: Path) -> None:
    command = [*words, "--out", str(tmp_path)]
    done = subprocess.run([sys.executable, "-c", KILLED, *command], capture_output=True, check=False)
    assert done.returncode == -9, done.stderr
    assert [path.name for path in tmp_path.iterdir()] == [BOOK]
    kept = (tmp_path / BOOK).read_bytes()
    assert not kept.endswith(b"\n")
    assert cli.main(command) == 0
    assert (tmp_path / BOOK).read_bytes().startswith(kept[: kept.rindex(b"\n") + 1])
    assert report(tmp_path) == whole


def test_answers_on_a_full_disk(
    words: list[str], whole: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / BOOK).symlink_to(FULL)
    assert cli.main([*words, "--out", str(tmp_path)]) == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last == (
        "nav-vlm-train: error: the answers cannot be kept: No space left on device; free some space and go on"
    )
    (tmp_path / BOOK).unlink()
    assert cli.main([*words, "--out", str(tmp_path)]) == 0
    assert report(tmp_path) == whole


@pytest.mark.parametrize("name", ["report.json", "directions.png", "report.md", "report.html"])
def test_a_report_on_a_full_disk(
    words: list[str], whole: dict[str, Any], name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / f".{name}.draft").symlink_to(FULL)
    assert cli.main([*words, "--out", str(tmp_path)]) == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("nav-vlm-train: error: cannot write ")
    assert "No space left on device; the answers are kept" in last
    assert not (tmp_path / name).exists()
    assert not [path.name for path in tmp_path.iterdir() if path.name.startswith(".")]
    assert cli.main([*words, "--out", str(tmp_path)]) == 0
    assert report(tmp_path) == whole
