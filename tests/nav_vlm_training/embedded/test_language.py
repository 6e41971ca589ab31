"""The language stages: what the loss wants of numbers, queries told apart, interrupted and gone on with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import Blip2ForConditionalGeneration, PreTrainedTokenizerFast

from nav_vlm_node.vlm.prompt import IGNORE, encode_targets
from nav_vlm_training.embedded import language, make
from nav_vlm_training.embedded.architecture import VIEW, build_model, make_config, query
from nav_vlm_training.embedded.features import Features, extract
from nav_vlm_training.embedded.language import Checkpoint, LanguageConfig, SoftNumbers, lm_loss, train_language
from nav_vlm_training.embedded.perception import Heads
from nav_vlm_training.embedded.targets import Frames
from nav_vlm_training.embedded.tokenizer import train_tokenizer

SENTENCES = [
    *(f"Turn left {n} degrees, then move {n / 10:g} metres to the door." for n in range(5, 95, 5)),
    *(f"Chair {n} degrees right at {n / 2:g} metres." for n in range(1, 20)),
]


@pytest.fixture(autouse=True)
def few_threads() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return train_tokenizer(SENTENCES * 20, vocab_size=256)


@pytest.fixture
def model(tokenizer: PreTrainedTokenizerFast) -> Blip2ForConditionalGeneration:
    ids = [tokenizer.convert_tokens_to_ids(token) for token in ("<image>", "<pad>", "</s>")]
    made = build_model(make_config(len(tokenizer), *ids), seed=3)
    made.vision_model.requires_grad_(False)
    return made


@pytest.fixture
def features(run: Path, model: Blip2ForConditionalGeneration) -> Features:
    frames = Frames(sorted((run / "frames/train").glob("world-*")), VIEW)
    return extract(model, frames, np.arange(8), augment=True)


def logits_for(tokenizer: PreTrainedTokenizerFast, text: str, sure: float = 20.0) -> torch.Tensor:
    """[1, T, V] of a model that is all but certain to say `text`."""
    labels = encode_targets(tokenizer, [text])
    return sure * torch.nn.functional.one_hot(labels, len(tokenizer)).float()


def loss_of(tokenizer: PreTrainedTokenizerFast, said: str, wanted: str) -> float:
    return float(SoftNumbers(tokenizer).loss(logits_for(tokenizer, said), encode_targets(tokenizer, [wanted])))


@given(st.sampled_from(range(10, 45, 5)), st.sampled_from((-1, 1)))
def test_a_near_number_costs_less_than_a_far_one(
    tokenizer: PreTrainedTokenizerFast, degrees: int, direction: int
) -> None:
    def cost(said: int) -> float:
        sentence = "Turn left {} degrees, then move 3 metres to the door."
        return loss_of(tokenizer, sentence.format(said), sentence.format(degrees))

    far = degrees + 15 * direction if degrees + 15 * direction >= 5 else degrees + 15
    near = degrees + (5 if far > degrees else -5)
    assert cost(degrees) < cost(near) < cost(far)


def test_words_are_wanted_as_they_are(tokenizer: PreTrainedTokenizerFast) -> None:
    wanted = "Turn left 30 degrees, then move 3 metres to the door."
    other_side, next_number = wanted.replace("left", "right"), wanted.replace("30", "35")
    assert loss_of(tokenizer, other_side, wanted) > loss_of(tokenizer, next_number, wanted)
    plain = encode_targets(tokenizer, ["then move to the door."])
    logits = torch.randn(1, plain.shape[1], len(tokenizer), generator=torch.Generator().manual_seed(0))
    usual = torch.nn.functional.cross_entropy(logits.flatten(0, 1), plain.flatten(), reduction="sum")
    assert float(SoftNumbers(tokenizer).loss(logits, plain)) == pytest.approx(float(usual), rel=1e-5)


def test_padding_costs_nothing(tokenizer: PreTrainedTokenizerFast) -> None:
    labels = encode_targets(tokenizer, ["Chair 5 degrees right at 2.5 metres."])
    logits = torch.randn(1, labels.shape[1], len(tokenizer), generator=torch.Generator().manual_seed(1))
    padded = torch.nn.functional.pad(labels, (0, 4), value=IGNORE)
    longer = torch.nn.functional.pad(logits, (0, 0, 0, 4), value=7.0)
    numbers = SoftNumbers(tokenizer)
    assert torch.allclose(numbers.loss(logits, labels), numbers.loss(longer, padded))


def test_chunks_change_no_loss(
    model: Blip2ForConditionalGeneration, tokenizer: PreTrainedTokenizerFast, features: Features
) -> None:
    patches = torch.from_numpy(features.patches[:6].astype(np.float32))
    pairs = [("Where is the door?", text) for text in ("No.", *SENTENCES[:4], "Chair.")]
    numbers = SoftNumbers(tokenizer)
    with torch.no_grad():
        queries = query(model, patches)
        losses = [float(lm_loss(model, tokenizer, numbers, queries, pairs, chunks)) for chunks in (1, 2, 3)]
    assert losses[1:] == pytest.approx(losses[:1] * 2, rel=1e-4)


def told_apart(model: Blip2ForConditionalGeneration, features: Features) -> float:
    """Which share of the variance of what the language model gets says which query it is."""
    with torch.no_grad():
        seen = query(model, torch.from_numpy(features.patches.astype(np.float32)))
        projected = model.language_projection(seen)  # [N, Q, D]
    return float(projected.mean(0).var(0).sum() / projected.flatten(0, 1).var(0).sum())


def test_queries_come_out_distinct(model: Blip2ForConditionalGeneration, features: Features) -> None:
    with torch.no_grad():  # outputs as they are after perception: much about the picture, little about which query
        generator = torch.Generator().manual_seed(2)
        common = torch.randn(1, 1, model.query_tokens.shape[-1], generator=generator)
        model.query_tokens.copy_(model.query_tokens * 0.02 + common)
        patches = np.random.default_rng(0).normal(size=features.patches.shape) * 3
        features.patches = patches.astype(np.float16)
    before = told_apart(model, features)
    language.make_queries_distinct(model, features)
    assert told_apart(model, features) > max(0.3, 2 * before)


def trained(model: Blip2ForConditionalGeneration, heads: Heads) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in (*model.state_dict().items(), *heads.state_dict().items())}


def distance(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    return sum(float((one[name].float() - other[name].float()).abs().sum()) for name in other)


def test_interrupted_and_resumed_is_uninterrupted(
    model: Blip2ForConditionalGeneration,
    tokenizer: PreTrainedTokenizerFast,
    features: Features,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = LanguageConfig(steps=4, rate=1e-3, images=2, each=2, warmup=2)
    heads = Heads()
    first = trained(model, heads)

    def run(name: str) -> dict[str, torch.Tensor]:
        train_language(
            model, tokenizer, features, language.describing, config, Checkpoint(tmp_path / name, "a", every=2), heads
        )
        return trained(model, heads)

    def back_to_the_start() -> None:
        own = set(model.state_dict())
        model.load_state_dict({name: value for name, value in first.items() if name in own})
        heads.load_state_dict({name: value for name, value in first.items() if name not in own})

    whole = run("whole")
    moved = {name.split(".")[0] for name, value in whole.items() if not torch.equal(value, first[name])}
    assert {"qformer", "query_tokens", "language_model", "language_projection", "target"} <= moved
    assert "vision_model" not in moved

    back_to_the_start()
    real, calls = language.lm_loss, []

    def interrupted(*arguments: Any) -> torch.Tensor:
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return real(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(language, "lm_loss", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run("twice")
    back_to_the_start()
    torch.manual_seed(99)
    twice = run("twice")
    assert distance(twice, whole) < 1e-3 * distance(whole, first)  # two runs of fp32 need not agree in the last bit

    other = Checkpoint(tmp_path / "twice", "of something else")
    assert other.resume([], torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))])) == 0


def test_the_base_goes_on_from_its_checkpoint(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A killed base stage leaves a checkpoint, which the next call takes up and removes."""
    config = make.MakeConfig(samples=64, language_worlds=1, passes=1, base_steps=3)
    make.make_perception(config, run)
    started: list[int] = []
    real = Checkpoint.resume

    def resume(self: Checkpoint, parameters: Any, optimizer: Any) -> int:
        started.append(real(self, parameters, optimizer))
        return started[-1]

    monkeypatch.setattr(Checkpoint, "resume", resume)
    monkeypatch.setattr(language, "check", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    monkeypatch.setattr(language, "Checkpoint", lambda path, of: Checkpoint(path, of, every=2))
    with pytest.raises(KeyboardInterrupt):
        make.make_base(config, run)
    assert (run / "base_checkpoint.pt").exists()
    monkeypatch.setattr(language, "check", lambda *_: {})
    make.make_base(config, run)
    assert started == [0, 2]
    assert not (run / "base_checkpoint.pt").exists()


def test_the_language_stages_see_what_perception_never_saw(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Path] = []

    def pretrain(plan: object, shards: list[Path], held_out: list[Path], out: Path) -> dict[str, float]:
        seen.extend(shards)
        return {}

    monkeypatch.setattr(make, "pretrain", pretrain)
    config = make.MakeConfig(language_worlds=1)
    make.make_perception(config, run)
    shards = sorted((run / "frames/train").glob("world-*"))
    assert seen == shards[:1]
    assert make._frames(config, run, "train").observations == Frames(shards[1:], VIEW).observations


def test_a_guide_learns_from_more_warnings_than_there_are(features: Features, monkeypatch: pytest.MonkeyPatch) -> None:
    def share(wary: float) -> float:
        monkeypatch.setattr(language, "WARY", wary)
        rng = np.random.default_rng(3)
        answers = [language.guiding(observation, rng)[1] for observation in features.observations for _ in range(100)]
        return sum("Caution" in answer for answer in answers) / len(answers)

    usual = language.WARY
    assert share(0.0) + 0.02 < share(usual) < share(1.0)
