"""How every command ends where its output cannot be written: what is said, and the exit status."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

BEFORE = "import sys; from nav_vlm_node.command_line import guarded; from nav_vlm_node.errors import UserError\n"


def ended(
    body: str, stdout: int, environment: dict[str, str] | None = None, unbuffered: bool = False
) -> tuple[int, str]:
    """(exit status, standard error) of a command whose `run` has this body. stdout: is closed, where it is a file."""
    code = f"{BEFORE}def run():\n    {body}\nsys.exit(guarded('prog', run))"
    own = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    words = [sys.executable, *(["-u"] if unbuffered else []), "-c", code]
    done = subprocess.run(
        words, stdout=stdout, stderr=subprocess.PIPE, text=True, timeout=120, env={**own, **(environment or {})}
    )
    if stdout >= 0:
        os.close(stdout)
    return done.returncode, done.stderr


def no_reader() -> int:
    reading, writing = os.pipe()
    os.close(reading)
    return writing


@pytest.mark.parametrize("unbuffered", [False, True])
def test_a_reader_that_has_gone_is_no_error(unbuffered: bool) -> None:
    assert ended("print('answer'); return 0", no_reader(), unbuffered=unbuffered) == (0, "")


def test_a_failure_keeps_its_status_where_the_reader_has_gone() -> None:
    assert ended("print('answer'); return 1", no_reader()) == (1, "")
    status, said = ended("print('answer'); raise UserError('no such thing: name another')", no_reader())
    assert (status, said) == (2, "prog: error: no such thing: name another\n")


@pytest.mark.parametrize("unbuffered", [False, True])
def test_a_full_disk_is_one_line_and_status_1(unbuffered: bool) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    status, said = ended("print('answer'); return 0", full, unbuffered=unbuffered)
    assert status == 1
    assert said == "prog: error: cannot write: No space left on device; make room and try again\n"


def test_what_the_terminal_cannot_show_is_no_traceback() -> None:
    body = "print('T\\u00fcr \\udcff'); return 0"
    assert ended(body, subprocess.DEVNULL, {"PYTHONIOENCODING": "ascii"}) == (0, "")
    assert ended(body, subprocess.DEVNULL, {"PYTHONIOENCODING": "utf-8"}) == (0, "")
