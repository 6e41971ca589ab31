"""The loop: update, evaluate, keep. Read this and `learner.py` to know what a run does.

A run is a folder. The same command goes on with it from its last checkpoint, to the bit: what is drawn (questions,
augmentation, dropout) comes from the seed and the number of the update, and everything else is in the checkpoint.
"""

from __future__ import annotations

import math
import sys
import time
from dataclasses import dataclass
from typing import Any

from tqdm import tqdm

from nav_vlm_node.errors import UserError
from nav_vlm_training.fit.batches import updates_of
from nav_vlm_training.fit.checkpoint import Progress, load_best, load_checkpoint, save_best, save_checkpoint
from nav_vlm_training.fit.config import span_at, timeline
from nav_vlm_training.fit.interruption import Interruption
from nav_vlm_training.fit.learner import Learner
from nav_vlm_training.fit.outcome import write_outcome
from nav_vlm_training.fit.processes import Processes
from nav_vlm_training.fit.record import RunRecord
from nav_vlm_training.fit.scoring import Score
from nav_vlm_training.fit.setup import FitPlan, Setup, device_of, set_up
from nav_vlm_training.fit.step import set_modes
from nav_vlm_training.variants import describe

LOG_EVERY = 10  # updates


@dataclass(frozen=True)
class Fitted:
    """What a run came to. figures: of the best evaluation; step: when it was; updates: done in all."""

    figures: dict[str, Any]
    step: int
    updates: int


def fit(plan: FitPlan) -> Fitted:
    """Train, or go on training, or tell what was reached. Raises UserError, and KeyboardInterrupt once all is kept."""
    processes = Processes(device_of(plan))
    try:
        run = Run(set_up(plan, processes), processes)
        with Interruption() as interruption:
            return run.to_its_end(interruption)
    finally:
        processes.close()


class Run:
    """One run in progress."""

    def __init__(self, setup: Setup, processes: Processes) -> None:
        self.setup, self.processes = setup, processes
        config = setup.config
        self.updates = updates_of(len(setup.pool), config.batch, config.epochs) if setup.variant.stages else 0
        self.every = max(1, round(config.evaluate_every * len(setup.pool) / config.batch))
        self.spans = timeline(setup.variant, self.updates)
        self.learner = Learner(setup, processes, self.spans)
        self.record = RunRecord(setup.plan.run, writes=processes.first)
        self.progress = Progress()

    def to_its_end(self, interruption: Interruption) -> Fitted:
        """The whole run, from where it stands."""
        try:
            self._begin()
            with self._bar() as bar:
                while not self.progress.ended:
                    if self.processes.any(interruption.asked):
                        self._interrupted(bar)
                    if self._evaluation_is_due():
                        judged = self.learner.evaluate(self.progress.step, lambda: interruption.asked)
                        if judged is not None:
                            self._take_note(judged, bar)
                        continue
                    self._update(bar)
            self._finish()
        finally:
            self.record.close()
        evaluations = (line for line in self.record.lines() if line["event"] == "evaluation")
        best = next((line for line in evaluations if line["step"] == self.progress.best_step), {})
        return Fitted(best, self.progress.best_step, self.progress.step)

    def _update(self, bar: tqdm[Any]) -> None:
        """One update; its loss is shown, and every so many updates written down."""
        step, batch = self.progress.step, self.setup.config.batch
        span = span_at(self.spans, step)
        if step == span.start:
            self.learner.enter(span)
            self.record.add("stage", step, parts=list(span.stage.parts), until=span.end)
        began = time.monotonic()
        update = self.learner.update(span, step)
        if not math.isfinite(update.loss):
            raise UserError(
                f"the loss of update {step} is not a number; use a lower --rate, or --precision fp32 in another --run"
            )
        self.progress.step = step + 1
        bar.update(batch)
        bar.set_postfix(loss=f"{update.loss:.3f}", refresh=False)
        if (step + 1) % LOG_EVERY == 0 or step + 1 == self.updates:
            self.record.add(
                "update", step + 1, loss=update.loss, gradient=update.gradient, tokens=update.tokens,
                rate=self.learner.optimizer.param_groups[0]["lr"],
                samples_per_s=round(batch / (time.monotonic() - began), 2), **self.learner.peak_memory(),
            )  # fmt: skip
        if (step + 1) % self.setup.plan.save_every == 0:
            self._save()

    def _evaluation_is_due(self) -> bool:
        step = self.progress.step
        return self.progress.evaluated < step and (step % self.every == 0 or step >= self.updates)

    def _take_note(self, judged: Score, bar: tqdm[Any]) -> None:
        """Is it the best so far? Is it time to end?"""
        progress, config = self.progress, self.setup.config
        progress.evaluated = progress.step
        better = (judged.value, -judged.loss) > (progress.best, -progress.best_loss) or progress.best_step < 0
        if better:
            progress.best, progress.best_loss = judged.value, judged.loss
            progress.best_step, progress.waited = progress.step, 0
            if self.processes.first and self.setup.trained:
                save_best(self.setup.plan.run, self.setup.trained)
        elif self.spans and span_at(self.spans, progress.step).last:
            progress.waited += 1
        self.record.add("evaluation", progress.step, **judged.figures)
        if not self.setup.plan.quiet and self.processes.first:
            best = ", the best so far" if better else ""
            bar.write(f"update {progress.step}: {config.metric} {abs(judged.value):.4f}{best}", file=sys.stderr)
        out_of_patience = 0 < config.patience <= progress.waited
        progress.ended = progress.step >= self.updates or out_of_patience
        if progress.ended:
            self.record.add("end", progress.step, best_step=progress.best_step, early=out_of_patience)
        self._save()
        if not progress.ended:
            self.learner.enter(span_at(self.spans, progress.step))

    # ---- before, after and in between -----------------------------------------------------------

    def _begin(self) -> None:
        """Take up what is there; say what is trained."""
        setup = self.setup
        self.record.start(setup.head)
        found = load_checkpoint(setup.plan.run, setup.trained, self.learner.optimizer)
        self.progress = found or Progress()
        if self.processes.first:
            said = f"{describe(setup.variant, setup.head['trained'])}; {len(setup.pool)} questions"
            print(f"{said}; goes on after update {found.step}" if found else said, file=sys.stderr)
        if self.processes.total(self.progress.step) != self.progress.step * self.processes.world:
            raise UserError(f"not every process finds {setup.plan.run}; put it where all machines see it")
        if self.progress.ended:
            return
        if found or len(self.record.lines()) > 1:
            self.record.go_on(self.progress.step, self.progress.evaluated)
        if self.spans:
            self.learner.enter(span_at(self.spans, self.progress.step))
        forgotten = self.progress.step + 1 if found else 0
        if not self.record.board(setup.plan.run / "tensorboard", forgotten) and not setup.plan.quiet:
            print("no TensorBoard (pip install tensorboard); run.jsonl has the same figures", file=sys.stderr)

    def _interrupted(self, bar: tqdm[Any]) -> None:
        self._save()
        if self.processes.first:
            bar.write(
                f"interrupted after update {self.progress.step}; the same command goes on from here", file=sys.stderr
            )
        raise KeyboardInterrupt

    def _finish(self) -> None:
        """The best weights, as an adapter (or a model) with its card."""
        setup = self.setup
        if setup.trained and self.processes.first:
            load_best(setup.plan.run, setup.trained)
            set_modes(setup.model, ())
            write_outcome(setup, self.progress, self.record.lines())
        self.processes.wait()

    def _save(self) -> None:
        if self.processes.first:
            save_checkpoint(self.setup.plan.run, self.progress, self.setup.trained, self.learner.optimizer)

    def _bar(self) -> tqdm[Any]:
        often = 0.5 if sys.stderr.isatty() else 15.0  # seconds between two lines of a log
        batch = self.setup.config.batch
        return tqdm(
            total=self.updates * batch, initial=self.progress.step * batch, unit="sample", mininterval=often,
            desc=self.setup.variant.name, disable=self.setup.plan.quiet or not self.processes.first,
        )  # fmt: skip
