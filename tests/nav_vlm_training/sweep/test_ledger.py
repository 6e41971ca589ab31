from __future__ import annotations

import json
import resource
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nav_vlm_node.errors import UserError
from nav_vlm_training.sweep.ledger import FAILED, FINISHED, LEDGER, STARTED, Ledger

FULL = Path("/dev/full")  # every write fails as on a full disk


def test_lines_as_they_were_added(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    assert ledger.lines() == []
    ledger.add(STARTED, "a")
    ledger.add(FAILED, "a", seconds=1.5, reason="two\nlines, äöü")
    Ledger(tmp_path).add(FINISHED, "a")
    lines = Ledger(tmp_path).lines()
    assert [(line["event"], line["trial"]) for line in lines] == [("started", "a"), ("failed", "a"), ("done", "a")]
    assert (lines[1]["seconds"], lines[1]["reason"]) == (1.5, "two\nlines, äöü")
    assert len((tmp_path / LEDGER).read_bytes().splitlines()) == 3
    assert lines[0]["time"].endswith("Z")


def test_a_torn_last_line_is_cut_off(tmp_path: Path) -> None:
    Ledger(tmp_path).add(STARTED, "a")
    whole = (tmp_path / LEDGER).read_bytes()
    for torn in range(1, len(whole)):
        (tmp_path / LEDGER).write_bytes(whole + whole[:torn])
        Ledger(tmp_path)
        assert (tmp_path / LEDGER).read_bytes() == whole
    (tmp_path / LEDGER).write_bytes(whole[:9])
    ledger = Ledger(tmp_path)
    ledger.add(FINISHED, "b")
    assert [line["trial"] for line in ledger.lines()] == ["b"]


def test_a_last_line_that_is_being_written_is_left_out(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.add(STARTED, "a")
    with (tmp_path / LEDGER).open("ab") as file:
        file.write(b'{"event": "do')
    assert [line["trial"] for line in ledger.lines()] == ["a"]


@pytest.mark.parametrize(
    "line", [b"{", b"7", b"[]", b"{}", b"", b"\xff", b'{"event": "done"}', b'{"a": "\r', b"[" * 100_000]
)
def test_a_damaged_line_is_named(line: bytes, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.add(STARTED, "a")
    with (tmp_path / LEDGER).open("ab") as file:
        file.write(line + b"\n")
    ledger.add(STARTED, "b")
    with pytest.raises(UserError, match=f"{LEDGER} line 2 is damaged; delete that line"):
        ledger.lines()


def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    (tmp_path / LEDGER).symlink_to(FULL)
    with pytest.raises(UserError, match=f"cannot write .*{LEDGER}: No space left on device; put that right and give"):
        ledger.add(STARTED, "a")


def test_a_disk_that_fills_up_within_a_line(tmp_path: Path) -> None:
    """What got onto the disk of the line is taken away again, so that the next one is whole."""
    ledger = Ledger(tmp_path)
    ledger.add(STARTED, "a")
    whole = (tmp_path / LEDGER).read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(whole) + 10, hard))
    try:
        with pytest.raises(UserError, match="the disk is full"):
            ledger.add(FINISHED, "a")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (tmp_path / LEDGER).read_bytes() == whole
    ledger.add(FINISHED, "a")
    assert [line["event"] for line in ledger.lines()] == [STARTED, FINISHED]


def test_a_folder_in_its_place_is_one_line(tmp_path: Path) -> None:
    (tmp_path / LEDGER).mkdir()
    with pytest.raises(UserError, match=r"cannot write .*: Is a directory"):
        Ledger(tmp_path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.binary(max_size=60) | st.lists(st.binary(max_size=9)).map(b"\n".join))
def test_any_bytes_are_lines_or_one_line(tmp_path: Path, found: bytes) -> None:
    (tmp_path / LEDGER).write_bytes(found)
    said = " is damaged; delete that line"
    try:
        assert all({"event", "trial"} <= line.keys() for line in Ledger(tmp_path).lines())
    except UserError as error:
        said = str(error)
    assert said.endswith(" is damaged; delete that line")
    assert found.startswith((tmp_path / LEDGER).read_bytes())


def test_the_ledger_is_json_lines(tmp_path: Path) -> None:
    Ledger(tmp_path).add(STARTED, "a", more=[1, None])
    assert json.loads((tmp_path / LEDGER).read_text())["more"] == [1, None]
