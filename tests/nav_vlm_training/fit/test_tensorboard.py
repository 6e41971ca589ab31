"""What TensorBoard itself reads of a run is what its record says, also of one that was stopped in between."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from nav_vlm_node.errors import UserError
from nav_vlm_training.fit import learner as learner_module
from nav_vlm_training.fit import loop as loop_module
from nav_vlm_training.fit.checkpoint import save_checkpoint
from nav_vlm_training.fit.loop import fit
from nav_vlm_training.fit.record import RECORD, RunRecord
from nav_vlm_training.fit.step import train_step
from tests.nav_vlm_training.fit.conftest import Planned

Curves = dict[str, list[tuple[int, float]]]  # name -> (step, value)
OPTIONS: dict[str, Any] = {"epochs": 3, "patience": 0, "evaluate_every": 0.67, "save_every": 2}


def read_back(run: Path) -> Curves:
    events = EventAccumulator(str(run / "tensorboard"))
    events.Reload()
    return {name: [(point.step, point.value) for point in events.Scalars(name)] for name in events.Tags()["scalars"]}


def recorded(run: Path) -> Curves:
    """Every number of run.jsonl, but the settings."""
    curves: Curves = {}
    for line in map(json.loads, (run / RECORD).read_text().splitlines()):
        event, step = line.pop("event"), line.pop("step", 0)
        line.pop("seconds", None)
        for name, value in line.items() if event != "start" else ():
            number = value.get("value") if isinstance(value, dict) else value
            if isinstance(number, (int, float)):
                curves.setdefault(f"{event}/{name}", []).append((step, float(number)))
    return curves


def assert_same(run: Path) -> None:
    shown, kept = read_back(run), recorded(run)
    assert shown.keys() == kept.keys()
    for name, points in kept.items():
        assert [step for step, _ in shown[name]] == [step for step, _ in points], name
        assert [value for _, value in shown[name]] == pytest.approx([value for _, value in points], rel=1e-6), name


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop_module, "LOG_EVERY", 1)


def test_a_run_is_shown_as_it_was(plan: Planned) -> None:
    done = plan(**OPTIONS)
    fit(done)
    assert {"update/loss", "update/rate", "evaluation/direction_accuracy", "evaluation/loss", "end/best_step"} <= set(
        read_back(done.run)
    )
    assert len(read_back(done.run)["update/loss"]) == 9  # 24 questions, eight at a time, three times
    assert_same(done.run)


def test_a_run_that_was_interrupted_is_shown_as_one(plan: Planned, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped = plan(**OPTIONS)
    done = [0]

    def interrupted(*args: Any, **options: Any) -> Any:
        done[0] += 1
        if done[0] == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return train_step(*args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(learner_module, "train_step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fit(stopped)
    assert_same(stopped.run)  # nothing that was shown waits for the end
    fit(stopped)
    assert_same(stopped.run)


def test_what_a_killed_run_did_after_its_checkpoint_is_shown_once(
    plan: Planned, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed = plan(**{**OPTIONS, "evaluate_every": 3.0})

    def save(run: Path, progress: Any, *rest: Any) -> None:
        if progress.step == 4:
            raise RuntimeError("killed")
        save_checkpoint(run, progress, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(loop_module, "save_checkpoint", save)
        with pytest.raises(RuntimeError, match="killed"):
            fit(killed)
    assert len(read_back(killed.run)["update/loss"]) == 4
    fit(killed)
    assert [step for step, _ in read_back(killed.run)["update/loss"]] == list(range(1, 10))
    assert_same(killed.run)


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "board").write_text("a file")
    with pytest.raises(UserError, match=r"cannot write .*board: File exists; put that right"):
        RunRecord(tmp_path).board(tmp_path / "board", 0)


def test_a_disk_that_fills_up_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = RunRecord(tmp_path)
    assert record.board(tmp_path / "board", 0)

    def full(*args: Any, **options: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(record._board, "add_scalar", full)
    with pytest.raises(UserError, match=r"cannot write .*board: No space left on device"):
        record.add("update", 1, loss=0.5)
    board = record._board
    assert board is not None
    with monkeypatch.context() as patch:
        patch.setattr(board, "close", full)
        record.close()
        record.close()
    board.close()  # or its thread would go on writing
    shutil.rmtree(tmp_path / "board")
