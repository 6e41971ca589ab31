"""LoRA on another family's language model: the same questions, in the same order, as `nav-vlm-train fit` would have.

The weights are chosen by the loss on the validation questions. A run is a folder; the same command goes on with it from
its last checkpoint, to the bit. All that is frozen stays in eval mode: of the whole model only LoRA drops anything out.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from nav_vlm_node.errors import UserError
from nav_vlm_training.augment.example import Example
from nav_vlm_training.augment.plan import Augment, Pool
from nav_vlm_training.data.samples import Pictures, Sample
from nav_vlm_training.fit.batches import drawn, updates_of
from nav_vlm_training.fit.checkpoint import Progress, load_best, load_checkpoint, save_best, save_checkpoint
from nav_vlm_training.fit.config import FitConfig, rate_at, span_at, timeline
from nav_vlm_training.fit.interruption import Interruption
from nav_vlm_training.fit.record import RunRecord
from nav_vlm_training.fit.step import Update, train_step
from nav_vlm_training.vlms.loading import OtherModel
from nav_vlm_training.vlms.model import answer_loss
from nav_vlm_training.vlms.prompts import Prompts, Taught

LOG_EVERY = 10  # updates
ADAM_BETAS = (0.9, 0.999)


@dataclass(frozen=True, kw_only=True)
class Tuning:
    """All that does not change while it goes on. trained: the LoRA weights, by name. head: first line of the record.
    save_every: updates between checkpoints."""

    other: OtherModel
    prompts: Prompts
    pictures: Pictures
    learnt: Sequence[Sample]
    val: Sequence[Sample]
    trained: Mapping[str, nn.Parameter]
    config: FitConfig
    run: Path
    head: Mapping[str, Any]
    save_every: int = 50
    quiet: bool = False


def tune(tuning: Tuning) -> Progress:
    """Train, or go on, or find that it is done; the best weights are in the model then.

    Raises UserError, and KeyboardInterrupt once all is kept.
    """
    with Interruption() as interruption:
        return _Tuner(tuning).to_its_end(interruption)


class _Tuner:
    """A run in progress."""

    def __init__(self, tuning: Tuning) -> None:
        self.tuning, config = tuning, tuning.config
        examples = [Example(sample, sample.question.strip(), sample.text.strip()) for sample in tuning.learnt]
        self.pool = Pool(examples, [False] * len(examples), {})
        self.updates = updates_of(len(examples), config.batch, config.epochs)
        self.every = max(1, round(config.evaluate_every * len(examples) / config.batch))
        self.spans = timeline(config.plan, self.updates)
        self.parameters = list(tuning.trained.values())
        kind = torch.optim.Adam if config.optimizer == "adam" else torch.optim.AdamW
        self.optimizer = kind(self.parameters, lr=config.rate, betas=ADAM_BETAS, weight_decay=config.weight_decay)
        self.record = RunRecord(tuning.run)
        self.progress = Progress()

    def to_its_end(self, interruption: Interruption) -> Progress:
        """The whole run, from where it stands."""
        with closing(self.record):
            return self._go_on(interruption)

    def _go_on(self, interruption: Interruption) -> Progress:
        tuning, progress = self.tuning, self._begin()
        often = 0.5 if sys.stderr.isatty() else 15.0  # seconds between two lines of a log
        with tqdm(
            total=self.updates * tuning.config.batch, initial=progress.step * tuning.config.batch, unit="sample",
            mininterval=often, desc=tuning.other.name, disable=tuning.quiet,
        ) as bar:  # fmt: skip
            while not progress.ended:
                if interruption.asked:
                    self._save()
                    bar.write(
                        f"interrupted after update {progress.step}; the same command goes on from here", file=sys.stderr
                    )
                    raise KeyboardInterrupt
                if progress.evaluated < progress.step and (
                    progress.step % self.every == 0 or progress.step >= self.updates
                ):
                    self._validate(interruption, bar)
                    continue
                loss = self._update()
                bar.update(tuning.config.batch)
                bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
        load_best(tuning.run, tuning.trained)
        return progress

    def _begin(self) -> Progress:
        self.record.start(self.tuning.head)
        found = load_checkpoint(self.tuning.run, self.tuning.trained, self.optimizer)
        self.progress = found or self.progress
        if not self.progress.ended and (found or len(self.record.lines()) > 1):
            self.record.go_on(self.progress.step, self.progress.evaluated)
        return self.progress

    def _update(self) -> float:
        """One update; returns its loss."""
        config, step = self.tuning.config, self.progress.step
        for group in self.optimizer.param_groups:
            group["lr"] = rate_at(config, span_at(self.spans, step), step)
        examples = drawn(self.pool, Augment(), batch=config.batch, step=step, seed=config.seed)
        parts = [examples[start : start + config.micro_batch] for start in range(0, len(examples), config.micro_batch)]
        batches = [self._taught([example.sample for example in part]) for part in parts]
        _set_dropout(self.tuning.other.model, on=True)
        device = self.tuning.other.device
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(int(np.random.default_rng([config.seed, 5, step, 0]).integers(2**62)))
            update: Update = train_step(
                lambda batch: answer_loss(self.tuning.other, batch), self.parameters, self.optimizer, batches,
                tokens=sum(batch.tokens for batch in batches), clip=config.clip,
            )  # fmt: skip
        if not math.isfinite(update.loss):
            raise UserError(f"the loss of update {step} is not a number; use a lower --rate, or --precision fp32")
        self.progress.step = step + 1
        if self.progress.step % LOG_EVERY == 0 or self.progress.step == self.updates:
            self.record.add("update", self.progress.step, loss=update.loss, gradient=update.gradient)
        if self.progress.step % self.tuning.save_every == 0:
            self._save()
        return update.loss

    def _validate(self, interruption: Interruption, bar: tqdm[Any]) -> None:
        """The loss on the validation questions; the best weights so far are kept. Not finished, it is not noted."""
        tuning, progress = self.tuning, self.progress
        _set_dropout(tuning.other.model, on=False)
        loss = tokens = 0.0
        size = 2 * tuning.config.micro_batch
        for start in range(0, len(tuning.val), size):
            if interruption.asked:
                return
            batch = self._taught(tuning.val[start : start + size])
            with torch.no_grad():
                loss += float(answer_loss(tuning.other, batch))
            tokens += batch.tokens
        mean = loss / max(1.0, tokens)
        progress.evaluated = progress.step
        better = progress.best_step < 0 or mean < progress.best_loss
        if better:
            progress.best, progress.best_loss, progress.best_step = -mean, mean, progress.step
            save_best(tuning.run, tuning.trained)
        self.record.add("evaluation", progress.step, loss=mean)
        if not tuning.quiet:
            said = f"update {progress.step}: loss {mean:.4f}{', the best so far' if better else ''}"
            bar.write(said, file=sys.stderr)
        progress.ended = progress.step >= self.updates
        if progress.ended:
            self.record.add("end", progress.step, best_step=progress.best_step)
        self._save()

    def _taught(self, samples: Sequence[Sample]) -> Taught:
        rows = [self.tuning.prompts.row(self.tuning.pictures(s), s.question.strip()) for s in samples]
        return self.tuning.prompts.taught(rows, [s.text.strip() for s in samples])

    def _save(self) -> None:
        save_checkpoint(self.tuning.run, self.progress, self.tuning.trained, self.optimizer)


def _set_dropout(model: nn.Module, *, on: bool) -> None:
    """LoRA's own dropout, and no other."""
    model.eval()
    for name, module in model.named_modules():
        if "lora_dropout" in name:
            module.train(on)
