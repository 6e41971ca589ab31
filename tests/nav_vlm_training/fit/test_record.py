from __future__ import annotations

import json
from pathlib import Path

import pytest

from nav_vlm_node.errors import UserError
from nav_vlm_training.fit.record import RECORD, RunRecord

HEAD = {"config": {"rate": 0.1}, "learnt": 3}


@pytest.mark.parametrize("there", [b'{"event": "st', json.dumps({"event": "start", **HEAD}).encode() + b'\n{"event'])
def test_a_line_that_a_full_disk_cut_off_does_not_spoil_the_next(tmp_path: Path, there: bytes) -> None:
    (tmp_path / RECORD).write_bytes(there)
    record = RunRecord(tmp_path)
    record.start(HEAD)
    record.add("evaluation", 0, loss=1.0)
    record.close()
    assert [line["event"] for line in RunRecord(tmp_path).lines()] == ["start", "evaluation"]


def test_other_words_for_the_answers_are_another_run(tmp_path: Path) -> None:
    record = RunRecord(tmp_path)
    record.start({**HEAD, "rephraser": "a" * 64})
    record.close()
    with pytest.raises(UserError, match=r"other settings \(rephraser differ\)"):
        RunRecord(tmp_path).start({**HEAD, "rephraser": None})


def test_a_folder_is_for_one_process_at_a_time(tmp_path: Path) -> None:
    first, second = RunRecord(tmp_path / "run"), RunRecord(tmp_path / "run")
    first.start(HEAD)
    with pytest.raises(UserError, match=r"another process trains in .*run; wait for it, or give another --run"):
        second.start(HEAD)
    RunRecord(tmp_path / "run", writes=False).start(HEAD)  # the others of several processes
    first.close()
    second.start(HEAD)
    second.close()
    assert len(second.lines()) == 1
