"""Trials on this machine: a process each, one or more at a time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from tqdm import tqdm

from nav_vlm_node.errors import UserError
from nav_vlm_training.fit.interruption import Interruption
from nav_vlm_training.sweep.ledger import FAILED, FINISHED, STARTED, STOPPED, Ledger
from nav_vlm_training.sweep.trial import LOG, Job

POLL = 0.1  # seconds
_LIBRARIES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass
class _Working:
    """A process at work on a trial. start: where its part of the log begins."""

    job: Job
    process: subprocess.Popen[bytes]
    log: IO[bytes]
    start: int
    began: float = field(default_factory=time.monotonic)


def run_all(
    jobs: Sequence[Job], ledger: Ledger, *, workers: int, done: int, total: int, lock: int | None = None,
    quiet: bool = False,
) -> dict[str, str]:  # fmt: skip
    """Run those jobs. Returns trial -> reason for each that failed.

    done: how many trials of `total` were there before. lock: a file that the processes keep open as long as they live.
    Raises UserError, and KeyboardInterrupt once every trial has kept what it reached; a second Ctrl-C does not wait.
    """
    waiting, working, failed = deque(jobs), list[_Working](), dict[str, str]()
    with Interruption() as interruption, tqdm(
        total=total, initial=done, unit="trial", desc="sweep", disable=quiet, smoothing=0
    ) as bar:  # fmt: skip
        try:
            while (waiting or working) and not interruption.asked:
                while waiting and len(working) < workers:
                    working.append(_start(waiting.popleft(), ledger, lock))
                    bar.set_postfix_str(", ".join(one.job.trial.name for one in working))
                for one in [one for one in working if one.process.poll() is not None]:
                    working.remove(one)
                    _settle(one, ledger, failed, bar)
                time.sleep(POLL)
        finally:
            _stop(working, ledger)
        if interruption.asked:
            bar.write("interrupted; the same command goes on from here", file=sys.stderr)
            raise KeyboardInterrupt
    return failed


def _start(job: Job, ledger: Ledger, lock: int | None) -> _Working:
    try:
        job.write()
        log = (job.folder / LOG).open("ab")
        start = log.seek(0, os.SEEK_END)
        ledger.add(STARTED, job.trial.name)
        return _Working(job, spawn(job, log, pass_fds=() if lock is None else (lock,)), log, start)
    except OSError as error:
        raise UserError(
            f"cannot start in {job.folder}: {error.strerror or error}; put that right and give the same command again"
        ) from None


def spawn(job: Job, log: IO[bytes], **options: Any) -> subprocess.Popen[bytes]:
    """The process of a trial, which ends when its standard input does."""
    threads = {name: str(job.threads) for name in _LIBRARIES}
    return subprocess.Popen(
        [sys.executable, "-m", "nav_vlm_training.sweep.trial", str(job.folder)],
        stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True,
        env={**os.environ, **threads, "OMP_WAIT_POLICY": "PASSIVE"}, **options,
    )  # fmt: skip


def _settle(one: _Working, ledger: Ledger, failed: dict[str, str], bar: tqdm[Any]) -> None:
    """A process has ended: write down how."""
    _close(one)
    name, seconds, code = one.job.trial.name, round(time.monotonic() - one.began, 1), one.process.returncode
    if code == 0:
        ledger.add(FINISHED, name, seconds=seconds)
        bar.update()
        return
    failed[name] = reason = reason_of(code, one.job.folder / LOG, one.start)
    ledger.add(FAILED, name, seconds=seconds, reason=reason)
    bar.write(f"{name} failed: {reason}", file=sys.stderr)


def reason_of(code: int, log: Path, start: int) -> str:
    """The last line that the process wrote, or the signal that ended it."""
    if code < 0:
        return f"ended by {signal.Signals(-code).name}" + (" (out of memory?)" if code == -signal.SIGKILL else "")
    with log.open("rb") as file:
        file.seek(start)
        lines = [line.strip() for line in file.read().decode(errors="replace").splitlines() if line.strip()]
    return lines[-1].removeprefix("trial: error: ") if lines else f"ended with status {code}"


def _stop(working: Iterable[_Working], ledger: Ledger) -> None:
    """Ask every process to stop and wait for it; those that have not when Ctrl-C comes again are killed."""
    working = list(working)
    for one in working:
        one.process.terminate()
    try:
        for one in working:
            one.process.wait()
    finally:
        for one in working:
            one.process.kill()
            one.process.wait()
            _close(one)
        for one in working:
            event = STOPPED if one.process.returncode else FINISHED
            ledger.add(event, one.job.trial.name, seconds=round(time.monotonic() - one.began, 1))


def _close(one: _Working) -> None:
    one.log.close()
    if one.process.stdin is not None:
        one.process.stdin.close()


def default_threads(workers: int) -> int:
    """Cores that this process may use, by workers."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // workers)
