"""The plugin that fails a run for a skip that hides a test."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def run(folder: Path, source: str, *options: str) -> tuple[int, str]:
    """Run one test file with the plugin: exit status, output."""
    (folder / "test_it.py").write_text(source, encoding="utf-8")
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-p", "tests.skip_policy", "-q", str(folder), f"--rootdir={folder}"]
    done = subprocess.run(
        [*command, "-c", str(folder / "pytest.ini"), *options], cwd=ROOT, capture_output=True, text=True
    )
    return done.returncode, done.stdout


def source(*reasons: str) -> str:
    skips = (f"@pytest.mark.skip(reason={text!r})\ndef test_{i}(): pass\n" for i, text in enumerate(reasons))
    return "import pytest\n\ndef test_a(): pass\n\n" + "\n".join(skips)


def test_three_things_may_be_missing(tmp_path: Path) -> None:
    code, output = run(tmp_path, source("cuda: no GPU here", "launch tools: absent", "gz: absent", "gz: absent"))
    assert code == 0, output
    assert "skipped: 4" in output
    assert "    1  cuda: no GPU here" in output
    assert "    2  gz: absent" in output


def test_nothing_else_may_be_missing_whoever_runs_the_tests(tmp_path: Path) -> None:
    code, output = run(tmp_path, source("flaky", "cuda:", "gz: absent"), "-n", "1")
    assert code == 1, output
    assert "FAILED: only launch tools, gz and cuda may be missing, not: flaky" in output
    assert "not: cuda:" in output
    assert "not: gz" not in output


def test_a_skipped_module_counts(tmp_path: Path) -> None:
    code, output = run(tmp_path, "import pytest\npytest.importorskip('no_such_module')\n\ndef test_a(): pass\n")
    assert code != 0
    assert "skipped: 1" in output
