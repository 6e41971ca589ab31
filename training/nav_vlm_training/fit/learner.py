"""The model as it learns: one update, one evaluation; all that is drawn comes from the seed and the update's number."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import torch

from nav_vlm_training.augment.example import Example
from nav_vlm_training.evaluation.answering import Written
from nav_vlm_training.evaluation.shots import with_shots
from nav_vlm_training.fit.batches import drawn, parts, rows_of
from nav_vlm_training.fit.config import Span, rate_at
from nav_vlm_training.fit.processes import Processes
from nav_vlm_training.fit.scoring import Score, generate, score
from nav_vlm_training.fit.setup import Setup
from nav_vlm_training.fit.step import Batch, Update, answer_loss, set_learning, set_modes, train_step, visual_tokens
from nav_vlm_training.variants import VISION

ADAM_BETAS = (0.9, 0.999)


class Learner:
    """Model, optimiser and schedule of a run. spans: its stages."""

    def __init__(self, setup: Setup, processes: Processes, spans: tuple[Span, ...]) -> None:
        self._setup, self._processes, self._spans = setup, processes, spans
        self.optimizer = _optimizer(setup)

    def enter(self, span: Span) -> None:
        """From now on the components of this stage learn, in train mode, and no other does."""
        set_learning(self._setup.model, self._setup.trained, span.stage.parts)
        set_modes(self._setup.model, span.stage.parts)

    def update(self, span: Span, step: int) -> Update:
        """Update `step`, which lies in the stage `span`."""
        setup, processes, config = self._setup, self._processes, self._setup.config
        for group in self.optimizer.param_groups:
            group["lr"] = rate_at(config, span, step)
        examples = drawn(setup.pool, config.augment, batch=config.batch, step=step, seed=config.seed)
        own = parts(examples, config.micro_batch, processes.rank, processes.world)
        batches = [self._batch(part, step) for part in own]
        with torch.random.fork_rng(devices=_devices(setup.model)):
            torch.manual_seed(_dropout_seed(config.seed, step, processes.rank))
            return train_step(
                self._loss, list(setup.trained.values()), self.optimizer, batches,
                tokens=round(processes.total(sum(batch.tokens for batch in batches))), clip=config.clip,
                gather=processes.add_gradients, total=processes.total,
            )  # fmt: skip

    def evaluate(self, step: int, stop: Callable[[], bool]) -> Score | None:
        """Answers to the validation questions after `step` updates, judged; None where `stop` said so."""
        setup, processes = self._setup, self._processes
        set_modes(setup.model, ())
        asked = [
            Example(sample, with_shots(sample.question.strip(), setup.shots), sample.text.strip())
            for sample in setup.val
        ]
        own = asked[processes.rank :: processes.world]
        answers: list[Written] = []
        loss = tokens = 0.0
        size = 2 * setup.config.micro_batch
        longest = -(-len(asked) // processes.world)  # so that every process asks equally often whether to stop
        for start in range(0, longest, size):
            if processes.any(stop()):
                return None
            part = own[start : start + size]
            if not part:
                continue
            batch = self._batch(part, step)
            with torch.no_grad(), self._numbers():
                visual = visual_tokens(setup.model, batch.seen)
                loss += float(answer_loss(setup.model, batch))
            tokens += batch.tokens
            questions = [example.question for example in part]
            answers += generate(setup.model, setup.tokenizer, visual, questions, setup.config)
        answers = processes.collect(answers, len(asked))
        mean = processes.total(loss) / max(1.0, processes.total(tokens))
        return score(setup.val, answers, mean, setup.config.metric)

    def peak_memory(self) -> dict[str, int]:
        """The most that the GPU held, in bytes."""
        device = self._setup.model.device
        return {"peak_memory_bytes": torch.cuda.max_memory_allocated(device)} if device.type == "cuda" else {}

    def _batch(self, examples: Sequence[Example], step: int) -> Batch:
        setup = self._setup
        device = setup.model.device
        questions, answers = [e.question for e in examples], [e.answer for e in examples]
        rows = rows_of(setup.tokenizer, setup.model.config, questions, answers, setup.variant.frames)
        seen = setup.eyes.features(examples) if self._vision_is_the_bases(step) else setup.eyes.pixels(examples)
        ids, mask, labels = (tensor.to(device) for tensor in rows)
        return Batch(ids, mask, labels, seen)

    def _vision_is_the_bases(self, step: int) -> bool:
        """Whether the vision model has not learnt yet and does not learn now: then its output is worth keeping."""
        return all(VISION not in span.stage.parts for span in self._spans if span.start <= step)

    def _loss(self, batch: Batch) -> torch.Tensor:
        with self._numbers():
            return answer_loss(self._setup.model, batch)

    def _numbers(self) -> AbstractContextManager[Any]:
        """bfloat16 products over float32 weights, where all weights are trained in bf16."""
        mixed = self._setup.config.precision == "bf16" and self._setup.variant.everything
        return torch.autocast(self._setup.model.device.type, torch.bfloat16, enabled=mixed)


def _optimizer(setup: Setup) -> torch.optim.Optimizer:
    """Weights without a gradient (of the other stage) are left alone, decay included."""
    config = setup.config
    parameters = list(setup.trained.values()) or [torch.nn.Parameter(torch.zeros(0))]
    kind = torch.optim.Adam if config.optimizer == "adam" else torch.optim.AdamW
    return kind(parameters, lr=config.rate, betas=ADAM_BETAS, weight_decay=config.weight_decay)


def _dropout_seed(seed: int, step: int, rank: int) -> int:
    return int(np.random.default_rng([seed, 5, step, rank]).integers(2**62))


def _devices(model: Any) -> list[torch.device]:
    return [model.device] if model.device.type == "cuda" else []
