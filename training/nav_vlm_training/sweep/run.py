"""A sweep in its folder: lay out, run what is not done, report. One at a time per folder."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nav_vlm_node import results
from nav_vlm_node.errors import UserError
from nav_vlm_training.sweep.ledger import FINISHED, Ledger
from nav_vlm_training.sweep.ray_tune import run_on_ray
from nav_vlm_training.sweep.reading import read_sweep
from nav_vlm_training.sweep.rows import LAYOUT, TRIALS
from nav_vlm_training.sweep.trial import Job, is_done
from nav_vlm_training.sweep.trials import Layout, lay_out
from nav_vlm_training.sweep.workers import default_threads, run_all

LOCK, FEATURES = ".lock", "features"


@dataclass(frozen=True, kw_only=True)
class SweepPlan:
    """file: the YAML. out: everything is kept there. workers: trials at a time; threads: of each, 0 for its share of
    the cores. cached, cache: as in FitPlan, shared by all trials; None for the sweep's own folder.
    ray: None for this machine alone, "" for a Ray of its own, else the address of one."""

    file: Path
    out: Path
    workers: int = 1
    threads: int = 0
    cached: bool = True
    cache: Path | None = None
    device: str = "auto"
    ray: str | None = None
    command: str = ""
    quiet: bool = False


@dataclass(frozen=True)
class Swept:
    """trials: name -> whether it is done. failed: trial -> reason."""

    trials: dict[str, bool]
    failed: dict[str, str] = field(default_factory=dict)


def sweep(plan: SweepPlan) -> Swept:
    """Run the trials that are not done. Raises UserError, KeyboardInterrupt once all is kept."""
    if plan.workers < 1 or plan.threads < 0:
        raise UserError("--workers must be at least 1, --threads at least 0")
    layout = lay_out(read_sweep(plan.file))
    with claimed(plan.out) as lock:
        _write_layout(plan, layout)
        jobs = _jobs(plan, layout)
        ledger = Ledger(plan.out)
        todo = [job for job in jobs if not is_done(job.folder, job.trial)]
        _note_finished(ledger, [job for job in jobs if job not in todo])
        count = {"workers": plan.workers, "done": len(jobs) - len(todo), "total": len(jobs)}
        if plan.ray is None:
            failed = run_all(todo, ledger, lock=lock, quiet=plan.quiet, **count)
        else:
            failed = run_on_ray(todo, ledger, plan.out, address=plan.ray, quiet=plan.quiet, **count)
        return _status(jobs, failed)


def status(plan: SweepPlan, *, report: bool = False) -> Swept:
    """Which trials there are and which are done, while a sweep may be at work. Raises UserError.

    report: there will be one, with the rows that the YAML has now; UserError where no trial is done.
    """
    layout = lay_out(read_sweep(plan.file))
    found = _status(_jobs(plan, layout), {})
    if report and not any(found.trials.values()):
        raise UserError(f"no trial in {plan.out} is done; run the sweep first, without --report")
    if report:
        _write_layout(plan, layout)
    return found


def _status(jobs: Sequence[Job], failed: dict[str, str]) -> Swept:
    return Swept({job.trial.name: is_done(job.folder, job.trial) for job in jobs}, failed)


def _write_layout(plan: SweepPlan, layout: Layout) -> None:
    try:
        results.write(plan.out / LAYOUT, layout_to_json(layout, plan.command))
    except OSError as error:
        raise _cannot_write(plan.out, error) from None


def layout_to_json(layout: Layout, command: str) -> dict[str, Any]:
    """What the report needs to know of the YAML: rows, and the folders of their trials."""
    rows = [
        {
            "group": row.group, "label": row.label, "id": row.id, "trials": [trial.name for trial in row.trials],
            "data": row.trials[0].data.name, "config": row.trials[0].identity["config"],
        }
        for row in layout.rows
    ]  # fmt: skip
    return {"name": layout.name, "compare_with": layout.compare_with, "rows": rows, "command": command}


@contextlib.contextmanager
def claimed(out: Path) -> Iterator[int]:
    """Makes `out`, for one sweep at a time; the lock's file number, for the processes to hold as long as they live.

    Raises UserError where it is not to be had.
    """
    try:
        if out.is_dir() and any(out.iterdir()) and not (out / LOCK).exists():
            raise UserError(f"{out} is not empty and holds no sweep; give another --out")
        out.mkdir(parents=True, exist_ok=True)
        lock = (out / LOCK).open("w")
    except OSError as error:
        raise _cannot_write(out, error) from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"another sweep is at work in {out}; wait for it, or give another --out") from None
        except OSError as error:
            raise _cannot_write(out, error) from None
        yield lock.fileno()


def _jobs(plan: SweepPlan, layout: Layout) -> list[Job]:
    """Seed by seed, so that there is something of every row early."""
    trials = sorted(layout.trials.items(), key=lambda kept: kept[1].seed or 0)
    cache = (plan.cache or plan.out / FEATURES).resolve() if plan.cached else None
    threads = plan.threads or default_threads(plan.workers)
    return [
        Job(
            trial=trial, folder=(plan.out / TRIALS / name).resolve(), cache=cache, device=plan.device, threads=threads,
            command=plan.command,
        )
        for name, trial in trials
    ]  # fmt: skip


def _note_finished(ledger: Ledger, done: Sequence[Job]) -> None:
    """A trial may have finished when nobody was there to write it down."""
    noted = {line["trial"] for line in ledger.lines() if line["event"] == FINISHED}
    for job in done:
        if job.trial.name not in noted:
            ledger.add(FINISHED, job.trial.name)


def _cannot_write(out: Path, error: OSError) -> UserError:
    return UserError(
        f"cannot write to {out}: {error.strerror or error}; put that right and give the same command again"
    )
