"""`nav-vlm camera`: arguments that cannot be are one line, said before anything is started."""

from __future__ import annotations

from pathlib import Path

import pytest

from nav_vlm_node import cli


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--namespace", "my rig"], "namespace 'my rig' is not valid; use letters, digits, _ and /"),
        (["--namespace", "h\u00e4user"], "is not valid; use letters, digits, _ and /"),
        (["--topic", "my picture"], "'my picture' is no topic name"),
        (["--hfov", "200"], "--hfov is 200 degrees: use 1 to 177"),
        (["--hfov", "nan"], "--hfov is nan degrees"),
        (["--rate", "-1"], "--rate"),
    ],
)
def test_bad_arguments(words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["camera", "--source", str(tmp_path), *words]) == 2
    error = capsys.readouterr().err
    assert error.startswith("nav-vlm: error: ")
    assert error.count("\n") == 1
    assert message in error
