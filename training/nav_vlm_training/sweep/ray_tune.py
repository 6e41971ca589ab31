"""Trials by Ray Tune, on this machine or on all of a cluster that shares the sweep's folder.

Tune chooses where and when; a trial is the same process in the same folder as without it (`workers.spawn`), so a sweep
may be begun in one way and gone on with in the other.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from nav_vlm_node.cluster import cluster
from nav_vlm_node.errors import UserError
from nav_vlm_training.sweep.ledger import FAILED, FINISHED, STARTED, Ledger
from nav_vlm_training.sweep.trial import LOG, Job, read_job
from nav_vlm_training.sweep.workers import reason_of, spawn

FOLDER = "folder"  # what Tune varies: the folder of a trial, which holds its plan
REASON = "reason"
TUNE = "ray"  # Tune's own files, in the sweep's folder


def run_on_ray(
    jobs: Sequence[Job], ledger: Ledger, out: Path, *, address: str, workers: int, done: int, total: int,
    quiet: bool = False,
) -> dict[str, str]:  # fmt: skip
    """Run those jobs. Returns trial -> reason for each that failed.

    address: of a cluster ("auto" for the one that this machine is in), "" for one of `workers` on this machine.
    done: how many trials of `total` were there before. Raises UserError, KeyboardInterrupt.
    """
    if not jobs:
        return {}
    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")  # the bar is ours
    os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
    for job in jobs:
        try:
            job.write()
        except OSError as error:
            raise UserError(f"cannot write to {job.folder}: {error.strerror or error}; give another --out") from None
    threads, gpus = jobs[0].threads, int(jobs[0].device.startswith("cuda"))
    with cluster(address, workers * threads, quiet=quiet):
        from ray import tune

        with tqdm(total=total, initial=done, unit="trial", desc="sweep", disable=quiet, smoothing=0) as bar:
            noted = _noted(ledger, bar)
            tune.Tuner(
                tune.with_resources(_trial, {"cpu": threads, "gpu": gpus}),
                param_space={FOLDER: tune.grid_search([str(job.folder) for job in jobs])},
                tune_config=tune.TuneConfig(max_concurrent_trials=0 if address else workers),
                run_config=tune.RunConfig(
                    name=out.name, storage_path=str((out / TUNE).resolve()), callbacks=[noted], verbose=0
                ),
            ).fit()
        if not noted.settled.issuperset(job.trial.name for job in jobs):
            raise KeyboardInterrupt  # Tune takes Ctrl-C for itself
        return dict(noted.failed)


def _trial(config: dict[str, str]) -> dict[str, str]:
    """A trial, where Ray has put it. Returns why it failed, or nothing: of what is raised Tune tells no callback."""
    job = read_job(Path(config[FOLDER]))
    with (job.folder / LOG).open("ab") as log:
        start = log.seek(0, os.SEEK_END)
        process = spawn(job, log)
        try:
            code = process.wait()
        finally:  # Ray stops its workers with an exception, or by ending them, which ends standard input
            process.terminate()
            process.wait()
    return {REASON: reason_of(code, job.folder / LOG, start) if code else ""}


def _noted(ledger: Ledger, bar: tqdm[Any]) -> Any:
    """Writes down what Tune tells. failed: trial -> reason; settled: names of those that have ended."""
    from ray.tune import Callback

    class Noted(Callback):  # type: ignore[misc]
        def __init__(self, ledger: Ledger, bar: tqdm[Any]) -> None:
            self._ledger, self._bar = ledger, bar
            self.failed: dict[str, str] = {}
            self.settled: set[str] = set()

        def __getstate__(self) -> dict[str, Any]:
            return {}  # Tune writes its callbacks down to go on by itself; the ledger and the bar are of this process

        def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
            self._ledger.add(STARTED, _name(trial))

        def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
            reason = str(trial.last_result.get(REASON, ""))
            if reason:
                self._failed(trial, reason)
                return
            self._settled(trial, FINISHED)
            self._bar.update()

        def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
            self._failed(trial, f"Ray could not run it, see {LOG} there")

        def _failed(self, trial: Any, reason: str) -> None:
            self.failed[_name(trial)] = reason
            self._settled(trial, FAILED, reason=reason)
            self._bar.write(f"{_name(trial)} failed: {reason}", file=sys.stderr)

        def _settled(self, trial: Any, event: str, **more: Any) -> None:
            self.settled.add(_name(trial))
            self._ledger.add(event, _name(trial), **more)

    return Noted(ledger, bar)


def _name(trial: Any) -> str:
    return Path(trial.config[FOLDER]).name
