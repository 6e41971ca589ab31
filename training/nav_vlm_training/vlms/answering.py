"""Many questions to another family's model, in batches that need no padding; every answer is kept as it comes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nav_vlm_training.data.samples import Pictures
from nav_vlm_training.evaluation.answering import AnswerBook, Job
from nav_vlm_training.vlms.loading import OtherModel
from nav_vlm_training.vlms.model import answers
from nav_vlm_training.vlms.prompts import Prompts, Row, Shapes, joined, shapes


def answer_jobs(
    other: OtherModel,
    prompts: Prompts,
    pictures: Pictures,
    jobs: Sequence[Job],
    book: AnswerBook,
    *,
    batch: int,
    max_new_tokens: int,
    done: Callable[[int], object] = lambda count: None,
) -> None:
    """Put to the model what the book does not have yet, in batches of questions that need no padding.

    done: told how many were answered, as they are. Raises UserError.
    """
    waiting = {job.key: job for job in reversed(jobs) if job not in book}
    todo = sorted(waiting.values(), key=lambda job: (_length(other, job), job.shown.image, job.sample.number))
    for start in range(0, len(todo), batch):
        alike: dict[Shapes, list[tuple[Job, Row]]] = {}
        for job in todo[start : start + batch]:
            row = prompts.row(pictures(job.shown), job.sample.question.strip())
            alike.setdefault(shapes(row), []).append((job, row))
        for part in alike.values():
            written = answers(other, joined([row for _, row in part]), max_new_tokens)
            book.add(zip([job for job, _ in part], written, strict=True))
            done(len(part))


def _length(other: OtherModel, job: Job) -> int:
    return len(other.tokenizer(job.sample.question.strip())["input_ids"])
