"""One trial, from its plan to its figures: `python -m nav_vlm_training.sweep.trial FOLDER`.

FOLDER/plan.json says what to do. Training is in run/, the evaluation in evaluation/ with outcomes.json beside it; both
go on where they were stopped. trial.json is written last: where it is, the trial is done.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nav_vlm_node import results
from nav_vlm_node.command_line import guarded
from nav_vlm_node.errors import UserError
from nav_vlm_training.sweep.outcomes import FILE, outcomes_of, write_outcomes
from nav_vlm_training.sweep.trials import Trial, trial_from_json

PLAN, DONE, LOG = "plan.json", "trial.json", "log.txt"
RUN, EVALUATION = "run", "evaluation"
FIGURES = f"{EVALUATION}/report.json"


@dataclass(frozen=True, kw_only=True)
class Job:
    """A trial and where it is worked on. cache: of what the vision model sees, None for none. threads: of torch."""

    trial: Trial
    folder: Path
    cache: Path | None
    device: str = "auto"
    threads: int = 1
    command: str = ""

    def write(self) -> None:
        """plan.json. Raises OSError."""
        results.write(
            self.folder / PLAN,
            {
                **self.trial.to_json(), "cache": str(self.cache) if self.cache else None, "device": self.device,
                "threads": self.threads, "command": self.command,
            },
        )  # fmt: skip


def read_job(folder: Path) -> Job:
    """What `Job.write` wrote. Raises UserError."""
    try:
        found = json.loads((folder / PLAN).read_text(encoding="utf-8"))
        return Job(
            trial=trial_from_json(found), folder=folder, cache=Path(found["cache"]) if found["cache"] else None,
            device=found["device"], threads=found["threads"], command=found["command"],
        )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{folder / PLAN} is damaged ({error}); run the sweep again") from None


def is_done(folder: Path, trial: Trial) -> bool:
    """Whether the trial in that folder was finished. Raises UserError where the folder is another trial's."""
    try:
        identity = json.loads((folder / DONE).read_text(encoding="utf-8"))["identity"]
    except FileNotFoundError:
        return False
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{folder / DONE} is damaged ({error}); delete it, and the trial is evaluated again") from None
    if identity != trial.identity:
        raise UserError(f"{folder} holds another trial; give another --out")
    return True


def run_trial(job: Job) -> Mapping[str, Any]:
    """Train, evaluate, keep; the figures of the evaluation. Raises UserError, KeyboardInterrupt."""
    import torch

    torch.set_num_threads(job.threads)
    began = time.monotonic()
    trained = _train(job) if job.trial.trains else {"trained": {}}
    figures = _evaluate(job)
    try:
        results.write(
            job.folder / DONE,
            {
                "name": job.trial.name, "identity": job.trial.identity, "seed": job.trial.seed, **trained,
                "trained_parameters": sum(trained["trained"].values()),
                "seconds": round(time.monotonic() - began, 1), **results.record(job.command),
            },
        )  # fmt: skip
    except OSError as error:
        raise _cannot_write(job.folder, error) from None
    return figures


def _train(job: Job) -> dict[str, Any]:
    from nav_vlm_training.fit.loop import fit
    from nav_vlm_training.fit.record import RECORD
    from nav_vlm_training.fit.setup import FitPlan

    trial, run = job.trial, job.folder / RUN
    fitted = fit(
        FitPlan(
            data=trial.data, run=run, config=trial.config, model=trial.model, cached=job.cache is not None,
            cache=job.cache, device=job.device, command=job.command,
        )
    )  # fmt: skip
    with (run / RECORD).open(encoding="utf-8") as record:
        head = json.loads(record.readline())
    return {"trained": head["trained"], "best_step": fitted.step, "updates": fitted.updates, "learnt": head["learnt"]}


def _evaluate(job: Job) -> Mapping[str, Any]:
    from nav_vlm_training.evaluation.evaluate import EvaluationPlan, evaluate

    trial, asked, out = job.trial, job.trial.asked, job.folder / EVALUATION
    everything = trial.config.plan.everything
    shots: dict[str, Any] = {"shots": trial.shots, "seed": trial.seed} if trial.shots else {"seed": asked.seed}
    evaluation = evaluate(
        EvaluationPlan(
            data=trial.data, out=out, splits=asked.splits, limit=asked.limit, text=asked.text,
            model=job.folder / RUN / "model" if everything else trial.model, adapter=_adapter(job),
            encoder=Path(asked.encoder) if asked.encoder else None, baselines=asked.baselines, batch=asked.batch,
            max_new_tokens=asked.max_new_tokens, device=job.device, dtype=asked.dtype, **shots,
        )
    )  # fmt: skip
    figures = {**evaluation.figures, **results.record(job.command, seeds={"evaluate": shots["seed"]})}
    try:
        write_outcomes(out / FILE, outcomes_of(evaluation.judged))
        results.write(job.folder / FIGURES, figures)
    except OSError as error:
        raise _cannot_write(out, error) from None
    return figures


def _adapter(job: Job) -> str:
    plan = job.trial.config.plan
    if plan.everything:
        return "default"
    return str(job.folder / RUN / "adapter") if job.trial.trains else ""


def _cannot_write(folder: Path, error: OSError) -> UserError:
    return UserError(f"cannot write to {folder}: {error.strerror or error}; put that right and run the sweep again")


def main(argv: Sequence[str]) -> int:
    """The process of a trial. It ends, with what it reached kept, on SIGTERM and with the process that started it."""

    def run() -> int:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the sweep, which then asks its trials to stop
        threading.Thread(target=_end_with_parent, daemon=True).start()
        run_trial(read_job(Path(argv[0])))
        return 0

    return guarded("trial", run)


def _end_with_parent() -> None:
    """Standard input ends when whoever holds its other end is no more."""
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
