from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from nav_vlm_node import results


def test_a_record_says_where_a_figure_comes_from() -> None:
    record = results.record("nav-vlm-train evaluate", seeds={"data": 3})
    assert set(record) == {"command", "commit", "date", "machine", "versions", "seeds"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", record["date"])
    assert record["seeds"] == {"data": 3}
    assert record["machine"]["cores"] >= 1
    assert record["machine"]["cpu"]
    assert record["machine"]["memory_gib"] > 0
    assert {"python", "numpy"} <= set(record["versions"])
    json.dumps(record, allow_nan=False)


def test_packages_that_are_not_there_are_left_out() -> None:
    assert set(results.versions(["numpy", "no-such-package"])) == {"python", "numpy"}


def test_no_path_of_this_machine_is_in_a_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = [
        "evaluate",
        "--data",
        str(tmp_path / "sets/a b"),
        "--out=/var/else/out",
        "--model",
        "models/m",
        "--limit",
        "5",
    ]
    assert results.command_line("nav-vlm-train", [*words, "/else/where"]) == (
        "nav-vlm-train evaluate --data 'sets/a b' --out=out --model models/m --limit 5 where"
    )


def git(folder: Path, *words: str) -> None:
    identity = ["-c", "user.name=x", "-c", "user.email=x@y.z", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(folder), *identity, *words], check=True, capture_output=True)


def test_the_commit_and_whether_the_code_differs_from_it(tmp_path: Path) -> None:
    assert results.commit(tmp_path) == ""
    git(tmp_path, "init", "-q")
    (tmp_path / "file").write_text("a")
    git(tmp_path, "add", "file")
    git(tmp_path, "commit", "-q", "-m", "x")
    clean = results.commit(tmp_path)
    assert re.fullmatch(r"[0-9a-f]{40,64}", clean)
    (tmp_path / "untracked").write_text("")
    assert results.commit(tmp_path) == clean
    (tmp_path / "file").write_text("b")
    assert results.commit(tmp_path) == clean + "+changes"


def test_a_result_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "docs" / "results" / "x.json"
    results.write(path, {"a": 1.5})
    assert json.loads(path.read_text()) == {"a": 1.5}
    with pytest.raises(ValueError, match="JSON compliant"):
        results.write(path, {"a": float("nan")})
    assert json.loads(path.read_text()) == {"a": 1.5}
    assert [p.name for p in path.parent.iterdir()] == ["x.json"]
