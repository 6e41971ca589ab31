from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from nav_vlm_training import cli
from nav_vlm_training.sweep import workers
from tests.nav_vlm_training.sweeps import SMALL, copy_of, events, finished, write_yaml


@pytest.fixture(scope="session")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finished(tmp_path_factory.getbasetemp())


@pytest.fixture
def out(done: Path, tmp_path: Path) -> Path:
    """A copy of a finished sweep, without its report."""
    found = copy_of(done, tmp_path / "out")
    for path in found.glob("sweep.*"):
        path.unlink()
    return found


def words(done: Path, out: Path, *more: str, file: str = "sweep.yaml") -> list[str]:
    return ["sweep", str(done / file), "--out", str(out), "--device", "cpu", *more]


def test_the_same_command_again_reports(
    done: Path, out: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "spawn", None)
    assert cli.main(words(done, out, "--json")) == 0
    printed = capsys.readouterr()
    found = json.loads(printed.out)
    assert found.keys() >= {"name", "rows", "differences", "missing", "trials", "command", "commit", "date", "failed"}
    assert (found["failed"], found["missing"]) == ({}, [])
    assert found["rows"][0].keys() >= {
        "name",
        "groups",
        "trained_parameters",
        "seeds",
        "questions",
        "direction_accuracy",
    }
    assert found["rows"][0]["direction_accuracy"].keys() == {"value", "low", "high", "n", "scenes", "seeds"}
    assert found["command"].startswith("nav-vlm-train sweep ")
    assert {path.name for path in out.glob("sweep.*")} == {"sweep.json", "sweep.md", "sweep.png", "sweep.svg"}
    assert cli.main(words(done, out)) == 0
    assert capsys.readouterr().out.strip() == str(out / "sweep.md")


def test_list_and_report_run_nothing(
    done: Path, out: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "spawn", None)
    before = (out / "layout.json").read_bytes()
    (zero,) = (out / "trials").glob("zero*")
    (zero / "trial.json").unlink()
    assert cli.main(words(done, out, "--list")) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert f"to do  {zero.name}" in lines
    assert sum(line.startswith("done   lm_only-") for line in lines) == 2
    assert cli.main(words(done, out, "--list", "--json")) == 0
    assert sorted(json.loads(capsys.readouterr().out)["trials"].values()) == [False, True, True]
    assert (out / "layout.json").read_bytes() == before
    assert not list(out.glob("sweep.*"))
    assert cli.main(words(done, out, "--report", "--json")) == 0
    assert json.loads(capsys.readouterr().out)["missing"] == [zero.name]
    assert f"## Not done\n\n- `{zero.name}`\n" in (out / "sweep.md").read_text()


def test_report_has_the_rows_that_the_yaml_has_now(done: Path, out: Path, tmp_path: Path) -> None:
    for name in ("model", "set"):
        (tmp_path / name).symlink_to(done / name)
    groups = [{**SMALL["groups"][0], "name": "renamed"}]
    write_yaml(tmp_path, groups=groups, compare_with=None)
    assert cli.main(words(tmp_path, out, "--report")) == 0
    rows = json.loads((out / "sweep.json").read_text())["rows"]
    assert [row["groups"] for row in rows] == [["renamed/zero_shot"], ["renamed/lm_only"]]


def test_report_with_nothing_done(done: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "new"
    assert cli.main(words(done, out, "--report")) == 2
    printed = capsys.readouterr()
    assert printed.err == (
        f"nav-vlm-train: error: no trial in {out} is done; run the sweep first, without --report\n"
    )  # fmt: skip
    assert printed.out == ""
    assert cli.main(words(done, out, "--list")) == 0
    assert capsys.readouterr().out.count("to do") == 3
    assert not out.exists()


def test_a_trial_that_fails_is_status_2(done: Path, out: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (zero,) = (out / "trials").glob("zero*")
    (zero / "trial.json").unlink()
    shutil.rmtree(zero / "evaluation")
    (zero / "evaluation").write_text("no folder")
    assert cli.main(words(done, out, "--json")) == 2
    printed = capfd.readouterr()
    found = json.loads(printed.out)
    assert found["failed"].keys() == {zero.name}
    assert found["missing"] == [zero.name]
    lines = printed.err.splitlines()
    assert f"failed: {zero.name}: {found['failed'][zero.name]}" in lines
    assert "File exists" in found["failed"][zero.name]
    assert lines[-1] == "2 of 3 trials are done; the same command tries the others again"
    assert events(out)[-1] == ("failed", zero.name)


@pytest.mark.parametrize(
    ("changed", "added", "said"),
    [
        ({"groups": []}, [], "groups is empty; give a list of groups"),
        ({"sedes": [0]}, [], "no key 'sedes'"),
        ({}, ["--workers", "0"], "--workers must be at least 1"),
        ({}, ["--out"], "argument --out: expected one argument"),
    ],
)
def test_mistakes_are_one_line(
    changed: dict[str, Any], added: list[str], said: str, done: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    for name in ("model", "set"):
        (tmp_path / name).symlink_to(done / name)
    write_yaml(tmp_path, **changed)
    assert cli.main([*words(tmp_path, tmp_path / "out"), *added]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
    assert not (tmp_path / "out").exists()


def test_without_matplotlib(
    done: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert cli.main(words(done, tmp_path / "out")) == 2
    assert "matplotlib is missing, which the plot is drawn with" in capsys.readouterr().err
