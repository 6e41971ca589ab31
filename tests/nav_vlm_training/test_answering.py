from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from nav_vlm_node.errors import UserError
from nav_vlm_node.vlm.protocol import EngineOutOfMemory, EngineUnavailable, Token
from nav_vlm_training.data.samples import Pictures, Sample, read_dataset
from nav_vlm_training.evaluation.answering import BOOK, AnswerBook, Job, Written, answer_all
from tests.nav_vlm_training.datasets import VIEW, SeeingEngine, make_dataset


@pytest.fixture
def samples(tmp_path: Path) -> tuple[Sample, ...]:
    return read_dataset(make_dataset(tmp_path / "set")).samples


@pytest.fixture
def engine(samples: object, tmp_path: Path) -> SeeingEngine:
    return SeeingEngine(tmp_path / "set")


def answered(engine: Any, samples: Sequence[Sample], book: AnswerBook, folder: Path, batch: int = 8) -> list[int]:
    done: list[int] = []
    jobs = [Job("model", s, s) for s in samples]
    answer_all(engine, Pictures(folder, VIEW), jobs, book, batch=batch, max_new_tokens=9, done=done.append)
    return done


def test_every_answer_is_there_and_batches_are_bounded(
    samples: tuple[Sample, ...], engine: SeeingEngine, tmp_path: Path
) -> None:
    with AnswerBook(None, {}) as book:
        done = answered(engine, samples, book, tmp_path / "set")
        assert sum(done) == len(samples)
        assert all(book[Job("model", s, s)] == Written(s.text, 0.8) for s in samples)
    assert max(size for _, size in engine.calls) == 8
    assert engine.largest <= 2, "12 questions share a picture: at most two pictures in a batch of eight"


def test_what_is_in_the_book_is_not_asked_again(
    samples: tuple[Sample, ...], engine: SeeingEngine, tmp_path: Path
) -> None:
    folder, out = tmp_path / "set", tmp_path / "out"
    with AnswerBook(out, {"model": 1}) as book:
        answered(engine, samples[:30], book, folder)
    engine.calls.clear()
    with AnswerBook(out, {"model": 1}) as book:
        assert len(book) == 30
        assert sum(answered(engine, samples, book, folder)) == len(samples) - 30
        assert book[Job("model", samples[0], samples[0])].text == samples[0].text
    assert len((out / BOOK).read_text().splitlines()) == len(samples) + 1


class Interrupted(SeeingEngine):
    """Ctrl-C comes in the third batch."""

    def encode_batch(self, images: Sequence[npt.NDArray[np.uint8]]) -> list[Any]:
        if len(self.calls) == 2:
            raise KeyboardInterrupt
        return super().encode_batch(images)


def test_an_interruption_loses_nothing(samples: tuple[Sample, ...], tmp_path: Path) -> None:
    folder, out = tmp_path / "set", tmp_path / "out"
    with pytest.raises(KeyboardInterrupt), AnswerBook(out, {}) as book:
        answered(Interrupted(folder), samples, book, folder)
    with AnswerBook(out, {}) as book:
        assert len(book) == 16


def test_a_line_that_was_cut_off_is_dropped_and_asked_again(
    samples: tuple[Sample, ...], engine: SeeingEngine, tmp_path: Path
) -> None:
    folder, out = tmp_path / "set", tmp_path / "out"
    with AnswerBook(out, {}) as book:
        answered(engine, samples[:5], book, folder)
    whole = (out / BOOK).read_bytes()
    (out / BOOK).write_bytes(whole[:-7])
    with AnswerBook(out, {}) as book:
        assert len(book) == 4
        answered(engine, samples[:5], book, folder)
    assert (out / BOOK).read_bytes() == whole


def test_the_book_of_another_model_is_refused(tmp_path: Path) -> None:
    with AnswerBook(tmp_path, {"model": 1, "prompt": "q"}):
        pass
    with pytest.raises(UserError, match=r"another evaluation \(model differ\)"):
        AnswerBook(tmp_path, {"model": 2, "prompt": "q"})


def test_a_damaged_book_is_named(tmp_path: Path) -> None:
    with AnswerBook(tmp_path, {}):
        pass
    with (tmp_path / BOOK).open("a") as file:
        file.write('{"system": "model"}\n')
    with pytest.raises(UserError, match="line 2 is damaged"):
        AnswerBook(tmp_path, {})


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write to"):
        AnswerBook(tmp_path / "file" / "out", {})


class Small(SeeingEngine):
    """Has memory for three questions."""

    def generate_batch(
        self, visuals: Sequence[Any], queries: Sequence[str], *, max_new_tokens: int
    ) -> list[tuple[str, list[Token]]]:
        if len(queries) > 3:
            raise EngineOutOfMemory("out of memory")
        return super().generate_batch(visuals, queries, max_new_tokens=max_new_tokens)


def test_out_of_memory_makes_smaller_batches(samples: tuple[Sample, ...], tmp_path: Path) -> None:
    engine = Small(tmp_path / "set")
    with AnswerBook(None, {}) as book:
        assert sum(answered(engine, samples, book, tmp_path / "set", batch=64)) == len(samples)
    assert max(size for _, size in engine.calls) == 2


class Broken(SeeingEngine):
    def encode_batch(self, images: Sequence[npt.NDArray[np.uint8]]) -> list[Any]:
        raise EngineUnavailable("the engine is closed")


def test_an_engine_that_fails_is_one_line(samples: tuple[Sample, ...], tmp_path: Path) -> None:
    with AnswerBook(None, {}) as book, pytest.raises(UserError, match="the engine is closed"):
        answered(Broken(tmp_path / "set"), samples, book, tmp_path / "set")


def test_systems_and_shown_pictures_do_not_mix(samples: tuple[Sample, ...], tmp_path: Path) -> None:
    a, b = samples[0], samples[-1]
    assert len({Job("model", a, a).key, Job("base", a, a).key, Job("model", a, b).key}) == 3
    with AnswerBook(tmp_path / "out", {}) as book:
        book.add([(Job("model", a, b), Written("x", 0.5))])
        assert Job("model", a, b) in book
        assert Job("model", a, a) not in book
    record = json.loads((tmp_path / "out" / BOOK).read_text().splitlines()[1])
    assert record["image"] == b.image


def test_a_book_is_written_by_one_process_at_a_time(tmp_path: Path) -> None:
    with AnswerBook(tmp_path, {}), pytest.raises(UserError, match="another evaluation is at work in"):
        AnswerBook(tmp_path, {})
    with AnswerBook(tmp_path, {}) as book:
        assert len(book) == 0
