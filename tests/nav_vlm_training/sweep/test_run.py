"""Sweeps of tiny models, a real process for each trial."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, Any

import pytest
import torch

from nav_vlm_node.errors import UserError
from nav_vlm_training.sweep import workers
from nav_vlm_training.sweep.ledger import LEDGER
from nav_vlm_training.sweep.outcomes import FILE, read_outcomes
from nav_vlm_training.sweep.run import claimed, status
from nav_vlm_training.sweep.trial import DONE, EVALUATION, FIGURES, LOG, Job, is_done, read_job, run_trial
from nav_vlm_training.sweep.trials import Trial
from tests.nav_vlm_training.sweeps import SMALL, copy_of, events, layout, ledger_of, plan_of, run, write_yaml
from tests.processes import Session

PATIENCE = 200.0  # seconds


def trial_of(done: Path, start: str) -> str:
    """The name of the finished sweep's trial that starts so."""
    (found,) = (path.name for path in (done / "out" / "trials").glob(f"{start}*"))
    return found


def again(out: Path, *names: str) -> None:
    """As if these trials had been stopped between training and evaluation."""
    for name in names:
        (out / "trials" / name / DONE).unlink()


def test_a_sweep_runs_each_trial_once(done: Path) -> None:
    out = done / "out"
    names = sorted(path.name for path in (out / "trials").iterdir())
    assert [name.rpartition("-")[0] for name in names] == [
        "lm_only-n-all-e1-lr0.01-r16-s0", "lm_only-n-all-e1-lr0.01-r16-s1", "zero_shot"
    ]  # fmt: skip
    assert sorted(events(out)) == sorted((event, name) for event in ("started", "done") for name in names)
    # Seed by seed, two at a time.
    assert events(out)[:2] == [("started", trial_of(done, "zero")), ("started", trial_of(done, "lm_only-*-s0"))]
    for name in names:
        folder = out / "trials" / name
        about = json.loads((folder / DONE).read_text())
        figures = json.loads((folder / FIGURES).read_text())
        outcomes = read_outcomes(folder / EVALUATION / FILE)
        assert about["name"] == name
        assert about["seed"] == (None if name.startswith("zero") else int(name.split("-s")[1][0]))
        assert about["trained_parameters"] == sum(about["trained"].values()) == (0 if name.startswith("zero") else 9216)
        assert figures["n"] == len(outcomes.numbers) == 36
        for measure in ("direction_accuracy", "visibility_accuracy"):
            assert outcomes.share(measure) == pytest.approx(figures[measure]["value"], nan_ok=True)
    assert list((out / "features").rglob("*.safetensors"))  # shared by all trials


def test_the_same_command_runs_nothing(done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = copy_of(done, tmp_path / "out")
    (out / LEDGER).write_text("".join(f"{line}\n" for line in (out / LEDGER).read_text().splitlines()[:-1]))
    monkeypatch.setattr(workers, "spawn", None)
    found = run(done / "sweep.yaml", out)
    assert (list(found.trials.values()), found.failed) == ([True, True, True], {})
    assert sorted(events(out)) == sorted(events(done / "out"))  # the end that nobody had noted is noted


def test_a_trial_that_fails_leaves_the_others(done: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    out = copy_of(done, tmp_path / "out")
    bad, good = trial_of(done, "lm_only-*-s0"), trial_of(done, "lm_only-*-s1")
    again(out, bad, good)
    record = out / "trials" / bad / "run" / "run.jsonl"
    kept = record.read_text()
    record.write_text("{\n" + kept)
    found = run(done / "sweep.yaml", out)
    assert found.failed.keys() == {bad}
    assert "run.jsonl" in found.failed[bad]
    assert {name for name, is_done_ in found.trials.items() if not is_done_} == {bad}
    assert f"{bad} failed: {found.failed[bad]}" in capfd.readouterr().err
    last = {line["trial"]: line for line in ledger_of(out)}
    assert (last[bad]["event"], last[bad]["reason"], last[good]["event"]) == ("failed", found.failed[bad], "done")
    record.write_text(kept)
    assert run(done / "sweep.yaml", out).failed == {}
    assert events(out)[-2:] == [("started", bad), ("done", bad)]


def test_a_killed_trial_is_named_and_done_again(done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, name = copy_of(done, tmp_path / "out"), trial_of(done, "zero")
    again(out, name)
    spawn = workers.spawn

    def killed(job: Job, log: IO[bytes], **options: Any) -> subprocess.Popen[bytes]:
        process = spawn(job, log, **options)
        process.kill()
        return process

    with monkeypatch.context() as patched:
        patched.setattr(workers, "spawn", killed)
        found = run(done / "sweep.yaml", out)
    assert found.failed == {name: "ended by SIGKILL (out of memory?)"}
    assert events(out)[-2:] == [("started", name), ("failed", name)]
    assert all(run(done / "sweep.yaml", out).trials.values())
    assert events(out)[-1] == ("done", name)


def test_ctrl_c_keeps_what_was_reached(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    fit = {**SMALL["fit"], "epochs": 150, "evaluate_every": 150, "patience": 0}
    groups = [{"name": "g", "seeds": [0], "grid": {"variant": ["lm_only"]}}]
    file = write_yaml(root, "long.yaml", fit=fit, groups=groups, compare_with=None)
    command = [
        sys.executable, "-m", "nav_vlm_training.cli", "sweep", str(file), "--out", str(out), "--device", "cpu",
    ]  # fmt: skip
    end = time.monotonic() + PATIENCE
    with Session(command) as sweeping:
        while not any('"update"' in path.read_text() for path in out.glob("trials/*/run/run.jsonl")):
            sweeping.still_runs()
            assert time.monotonic() < end
            time.sleep(0.02)
        with pytest.raises(UserError, match=f"another sweep is at work in {out}; wait for it, or give another --out"):
            run(file, out)
        code, _, said = sweeping.interrupt(all_of_it=True)
    assert code == 130
    assert "interrupted; the same command goes on from here" in said
    assert "Traceback" not in said
    ((name, is_done_),) = status(plan_of(file, out)).trials.items()
    assert not is_done_
    assert events(out) == [("started", name), ("stopped", name)]
    reached = updates(out / "trials" / name)
    assert 0 < reached[-1] < 450

    job = read_job(out / "trials" / name)  # what the same command gives to a process
    threads = torch.get_num_threads()
    run_trial(job)
    torch.set_num_threads(threads)
    assert is_done(job.folder, job.trial)
    assert updates(job.folder) == list(range(10, 451, 10))  # none twice, none left out


def updates(folder: Path) -> list[int]:
    lines = [json.loads(line) for line in (folder / "run" / "run.jsonl").read_text().splitlines()]
    assert lines[0]["event"] == "start"
    return [line["step"] for line in lines if line["event"] == "update"]


def test_a_trial_ends_with_the_sweep(done: Path, tmp_path: Path) -> None:
    """Its standard input ends when the sweep was killed."""
    out, name = copy_of(done, tmp_path / "out"), trial_of(done, "zero")
    again(out, name)
    (out / "trials" / name / EVALUATION / "answers.jsonl").unlink()
    with (tmp_path / "log").open("wb") as log:
        process = workers.spawn(read_job(out / "trials" / name), log)
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(PATIENCE) == 130
    assert not (out / "trials" / name / DONE).exists()
    assert b"Traceback" not in (tmp_path / "log").read_bytes()


def test_a_second_sweep_is_refused(done: Path, tmp_path: Path) -> None:
    out = copy_of(done, tmp_path / "out")
    with claimed(out), pytest.raises(UserError, match="another sweep is at work"):
        run(done / "sweep.yaml", out)
    assert all(run(done / "sweep.yaml", out).trials.values())


def test_folders_that_are_not_to_be_had(root: Path, tmp_path: Path) -> None:
    file = write_yaml(root)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(UserError, match="mine is not empty and holds no sweep; give another --out"):
        run(file, tmp_path / "mine")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["letter.txt"]
    with pytest.raises(UserError, match=r"cannot write to .*letter.txt: File exists"):
        run(file, tmp_path / "mine" / "letter.txt")
    with pytest.raises(UserError, match="--workers must be at least 1, --threads at least 0"):
        run(file, tmp_path / "new", workers=0)
    with pytest.raises(UserError, match="no data set at"):
        run(write_yaml(root, "bad.yaml", data="nowhere"), tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_folder_that_takes_no_trial(done: Path, tmp_path: Path) -> None:
    out, name = copy_of(done, tmp_path / "out"), trial_of(done, "zero")
    again(out, name)
    (out / "trials" / name / LOG).unlink()
    (out / "trials" / name / LOG).mkdir()
    with pytest.raises(UserError, match=f"cannot start in .*{name}: Is a directory; put that right"):
        run(done / "sweep.yaml", out)


@pytest.mark.parametrize("found", ["", "[]", "{}", "7", "\xff"])
def test_a_damaged_trial_is_one_line(found: str, done: Path, tmp_path: Path) -> None:
    out, name = copy_of(done, tmp_path / "out"), trial_of(done, "zero")
    (out / "trials" / name / DONE).write_text(found, encoding="latin-1")
    with pytest.raises(UserError, match=r"trial.json is damaged .*; delete it, and the trial is evaluated again"):
        run(done / "sweep.yaml", out)
    (out / "trials" / name / "plan.json").write_text(found, encoding="latin-1")
    with pytest.raises(UserError, match=r"plan.json is damaged .*; run the sweep again"):
        read_job(out / "trials" / name)


def test_another_trial_in_its_folder(done: Path, tmp_path: Path) -> None:
    out, name = copy_of(done, tmp_path / "out"), trial_of(done, "zero")
    about = out / "trials" / name / DONE
    about.write_text(about.read_text().replace('"max_new_tokens": 4', '"max_new_tokens": 5'))
    with pytest.raises(UserError, match=f"{name} holds another trial; give another --out"):
        run(done / "sweep.yaml", out)


@pytest.mark.parametrize("variant", ["few_shot", "full"])
def test_variants_with_solved_questions_and_without_adapter(variant: str, root: Path, tmp_path: Path) -> None:
    groups = [{"name": "g", "seeds": [3], "grid": {"variant": [variant]}}]
    trial: Trial = next(iter(layout(root, f"{variant}.yaml", groups=groups, compare_with=None).trials.values()))
    job = Job(trial=trial, folder=tmp_path, cache=None, device="cpu", threads=torch.get_num_threads())
    job.write()
    assert read_job(tmp_path) == job
    figures = run_trial(job)
    about = json.loads((tmp_path / DONE).read_text())
    assert (about["seed"], figures["n"], is_done(tmp_path, trial)) == (3, 36, True)
    assert (about["trained_parameters"] > 0) == (tmp_path / "run" / "model").is_dir() == (variant == "full")


def test_reasons_of_an_end(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"before\n  5 %|##\rtrial: error: no room \xff\n\n")
    assert workers.reason_of(2, log, 7) == "no room \N{REPLACEMENT CHARACTER}"
    assert workers.reason_of(3, log, log.stat().st_size) == "ended with status 3"
    assert workers.reason_of(-signal.SIGTERM, log, 0) == "ended by SIGTERM"
    assert workers.reason_of(-signal.SIGKILL, log, 0) == "ended by SIGKILL (out of memory?)"


def test_threads_are_shared_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    assert [workers.default_threads(count) for count in (1, 3, 8, 20)] == [8, 2, 1, 1]
