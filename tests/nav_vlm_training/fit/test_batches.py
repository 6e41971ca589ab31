from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nav_vlm_node.vlm.prompt import IGNORE, encode_prompts
from nav_vlm_training.augment.example import Example
from nav_vlm_training.augment.plan import Augment, Pool
from nav_vlm_training.data.samples import read_dataset
from nav_vlm_training.fit.batches import drawn, parts, rows_of, updates_of, without_tokens
from tests.nav_vlm_training.datasets import make_dataset
from tests.tiny_models import NUM_QUERY_TOKENS, Language, tiny_model, tiny_tokenizer


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> list[Example]:
    folder: Path = make_dataset(tmp_path_factory.mktemp("set") / "set", scenes=2)
    return [Example(sample, sample.question, sample.text) for sample in read_dataset(folder).samples]


def pool_of(examples: list[Example], may: bool = True) -> Pool:
    return Pool(examples, [may] * len(examples), {})


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 9), batch=st.integers(1, 60), epochs=st.integers(1, 3))
def test_every_question_is_seen_once_a_pass(examples: list[Example], seed: int, batch: int, epochs: int) -> None:
    pool = pool_of(examples)
    updates = updates_of(len(pool), batch, epochs)
    seen = [e for step in range(updates) for e in drawn(pool, Augment(), batch=batch, step=step, seed=seed)]
    for epoch in range(epochs):
        one_pass = seen[epoch * len(pool) : (epoch + 1) * len(pool)]
        assert sorted(e.sample.number for e in one_pass) == sorted(e.sample.number for e in examples)
    assert len(seen) - epochs * len(pool) < batch


def test_a_batch_depends_on_seed_and_number_only(examples: list[Example]) -> None:
    pool, augment = pool_of(examples), Augment(mirror=True, light=3)
    once, again, other, later = (
        drawn(pool, augment, batch=8, step=step, seed=seed) for step, seed in ((5, 1), (5, 1), (5, 2), (6, 1))
    )
    assert once == again
    assert once != other
    assert once != later


def test_augmentation_changes_from_pass_to_pass_and_only_where_it_may(examples: list[Example]) -> None:
    augment = Augment(mirror=True, light=2)
    passes = [pool_of(examples).draw(0, epoch, augment, 0) for epoch in range(40)]
    assert {example.mirrored for example in passes} == {False, True}
    assert {example.light for example in passes} == {0, 1, 2}
    assert not any(pool_of(examples, may=False).draw(0, epoch, augment, 0).mirrored for epoch in range(40))
    assert {pool_of(examples).draw(0, epoch, Augment(), 0) for epoch in range(9)} == {examples[0]}


def test_in_balance_what_is_seldom_comes_as_often(examples: list[Example]) -> None:
    common, seldom = examples[:9], examples[9:10]
    weights = (*(1.0,) * 9, 9.0)
    pool = Pool([*common, *seldom], [False] * 10, {}, weights)
    seen = [e for step in range(400) for e in drawn(pool, Augment(), batch=5, step=step, seed=0)]
    assert 0.45 < sum(e in seldom for e in seen) / len(seen) < 0.55
    assert drawn(pool, Augment(), batch=5, step=7, seed=0) == seen[35:40]


def test_other_words_are_drawn_beside_the_answers_own(examples: list[Example]) -> None:
    told = examples[0].told
    pool = Pool(examples, [False] * len(examples), {told: ("One.", "Two.")})
    drawn_words = {pool.draw(0, epoch, Augment(rephrase=2), 0).told for epoch in range(40)}
    assert drawn_words == {told, "One.", "Two."}
    assert {pool.draw(0, epoch, Augment(rephrase=1), 0).told for epoch in range(40)} == {told, "One."}


@settings(max_examples=30, deadline=None)
@given(count=st.integers(1, 40), micro=st.integers(1, 9), world=st.integers(1, 4))
def test_processes_and_parts_share_a_batch_out(examples: list[Example], count: int, micro: int, world: int) -> None:
    batch = (examples * 2)[:count]
    shared = [parts(batch, micro, rank, world) for rank in range(world)]
    assert all(len(part) <= micro for own in shared for part in own)
    together = [example for own in shared for part in own for example in part]

    def key(example: Example) -> tuple[int, str]:
        return example.sample.number, example.said

    assert sorted(together, key=key) == sorted(batch, key=key)


@pytest.mark.parametrize("frames", [1, 3])
@pytest.mark.parametrize("language", ["t5", "opt"])
def test_rows_learn_the_answer_and_nothing_else(language: Language, frames: int) -> None:
    tokenizer = tiny_tokenizer(language)
    config = tiny_model(tokenizer, language).config
    questions = ["Where is the exit?", "Where is the nearest chair, and what is on the way to it?"]
    answers = ["Turn left 35 degrees, then move 4 metres to the door.", "Stop."]
    ids, mask, labels = rows_of(tokenizer, config, questions, answers, frames)
    assert ids.shape == mask.shape
    assert ((ids == config.image_token_id).sum(1) == frames * NUM_QUERY_TOKENS).all()
    assert (mask == 0).any()  # the shorter question is padded, and that is masked
    for row, answer in enumerate(answers):
        learnt = labels[row][labels[row] != IGNORE].tolist()
        assert learnt[-1] == tokenizer.eos_token_id
        assert learnt.count(tokenizer.eos_token_id) == 1
        assert tokenizer.pad_token_id not in learnt
        assert tokenizer.decode(learnt, skip_special_tokens=True).strip() == answer
    if language == "t5":
        prompt, prompt_mask = encode_prompts(
            tokenizer, questions, frames * NUM_QUERY_TOKENS, config.image_token_id, "right"
        )
        assert ids.equal(prompt)
        assert mask.equal(prompt_mask)
    else:
        assert (labels[:, : frames * NUM_QUERY_TOKENS] == IGNORE).all()
        assert (mask[:, -1] == 1).all()  # on the left: the last place is real in every row


def test_answers_that_the_model_cannot_spell(language: Language) -> None:
    tokenizer = tiny_tokenizer(language)
    spelled_in_bytes = language == "opt"
    found = without_tokens(tokenizer, ["Turn left.", "向左转。", "Move 2 metres."])
    assert found == ([] if spelled_in_bytes else [1])
    assert without_tokens(tokenizer, []) == []
