"""The two small models that are made here: what they take over, that they learn what they are asked, how they go on."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from transformers import Blip2ForConditionalGeneration

from nav_vlm_node import paths
from nav_vlm_node.vlm.prompt import IGNORE
from nav_vlm_training.embedded.architecture import load_base
from nav_vlm_training.embedded.features import Features
from nav_vlm_training.embedded.language import Checkpoint
from nav_vlm_training.embedded.pretrain import to_pixels
from nav_vlm_training.vlms import describing, small
from nav_vlm_training.vlms.budget import language_layers, per_rank, rank_for, usual_parameters
from nav_vlm_training.vlms.checks import checked_prompts
from nav_vlm_training.vlms.describing import LOSSES, DescribeConfig, learn_to_describe, pack
from nav_vlm_training.vlms.loading import load_other
from nav_vlm_training.vlms.model import answer_loss

EMBEDDED = paths.embedded_model()
PAIRS = (
    ("Where is the door?", "Door 20 degrees left at 3 metres."),
    ("Is anything in my way?", "Nothing found in the way for 4 metres."),
    ("How do I get to the exit, please?", "No exit in view."),
)


class PlainNumbers:
    """In place of SoftNumbers: cross entropy, as an adapter learns."""

    def loss(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return nn.functional.cross_entropy(
            logits.float().flatten(0, 1), labels.flatten(), ignore_index=IGNORE, reduction="sum"
        )


@pytest.fixture(autouse=True)
def few_threads() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def base() -> Blip2ForConditionalGeneration:
    return load_base(EMBEDDED).eval()


@pytest.fixture(scope="module")
def pictures() -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).integers(0, 256, (2, 160, 160, 3), np.uint8)


@pytest.fixture(scope="module")
def patches(base: Blip2ForConditionalGeneration, pictures: np.ndarray[Any, Any]) -> torch.Tensor:
    """What the embedded ViT makes of them, from before its last normalisation."""
    after, base.vision_model.post_layernorm = base.vision_model.post_layernorm, nn.Identity()
    with torch.no_grad():
        found: torch.Tensor = base.vision_model(to_pixels(torch.from_numpy(pictures))).last_hidden_state
    base.vision_model.post_layernorm = after
    return found


@pytest.fixture(params=small.FAMILIES)
def made(request: pytest.FixtureRequest, base: Blip2ForConditionalGeneration, patches: torch.Tensor) -> tuple[Any, Any]:
    """A model with its first weights, and its tokenizer."""
    tokenizer = small.new_tokenizer(EMBEDDED, ends=request.param != "llava")
    if request.param == "instructblip":
        return small.make_instructblip(base, tokenizer).eval(), tokenizer
    model = small.make_llava(base, tokenizer).eval()
    small.level_projector(model, patches[:, 1:].flatten(0, 1))
    return model, tokenizer


def test_the_tower_computes_what_the_embedded_one_does(
    base: Blip2ForConditionalGeneration, pictures: np.ndarray[Any, Any], patches: torch.Tensor
) -> None:
    model = small.make_llava(base, small.new_tokenizer(EMBEDDED, ends=False)).eval()
    with torch.no_grad():
        seen = model.model.vision_tower(to_pixels(torch.from_numpy(pictures)), output_hidden_states=True)
    assert (seen.hidden_states[-1] - patches).abs().max() < 1e-4 * patches.abs().max()


def test_the_projector_begins_with_even_outputs(base: Blip2ForConditionalGeneration, patches: torch.Tensor) -> None:
    model = small.make_llava(base, small.new_tokenizer(EMBEDDED, ends=False))
    flat = patches[:, 1:].flatten(0, 1)
    assert flat.std(0).max() > 3 * flat.std(0).min()
    assert flat.mean(0).abs().max() > 10
    small.level_projector(model, flat)
    out = model.model.multi_modal_projector.linear_1(flat).detach()
    assert out.mean(0).abs().max() < 1e-3 * flat.abs().max()
    assert out.std(0).max() < 4 * out.std(0).min()


def test_the_other_one_takes_over_all_there_is(base: Blip2ForConditionalGeneration) -> None:
    model = small.make_instructblip(base, small.new_tokenizer(EMBEDDED, ends=True))
    own, theirs = model.state_dict(), base.state_dict()
    taken = {name for name in theirs if name in own and torch.equal(own[name], theirs[name])}
    assert {name for name in theirs if not name.startswith("qformer.layernorm")} == taken
    first = "qformer.encoder.layer.0."
    assert own[f"{first}intermediate.dense.weight"].equal(theirs[f"{first}intermediate_query.dense.weight"])
    assert own["qformer.embeddings.layernorm.weight"].equal(theirs["qformer.layernorm.weight"])
    new = {name.split(".")[2] for name in own if name.startswith("qformer.embeddings")}
    assert new == {"word_embeddings", "position_embeddings", "layernorm"}


def test_what_it_learns_from_is_what_it_is_asked_later(
    made: tuple[Any, Any], pictures: np.ndarray[Any, Any], patches: torch.Tensor, tmp_path: Path
) -> None:
    """Packed rows on kept features, and one question at a time through the saved processor: the same loss."""
    model, tokenizer = made
    numbers: Any = PlainNumbers()
    asked = [list(PAIRS), [PAIRS[2], PAIRS[0], PAIRS[1]]]
    with torch.no_grad():
        packed = LOSSES[model.config.model_type](model, tokenizer, numbers, patches, asked)
    small.save(model, small.new_processor(model, tokenizer), tmp_path / "model")
    other = load_other(tmp_path / "model", torch.device("cpu"), torch.float32)
    prompts = checked_prompts(other, pictures[0])
    total, tokens = 0.0, 0
    for picture, pairs in zip(pictures, asked, strict=True):
        for question, answer in pairs:
            taught = prompts.taught([prompts.row(picture, question)], [answer])
            with torch.no_grad():
                total += float(answer_loss(other, taught))
            tokens += taught.tokens
    assert float(packed) == pytest.approx(total / tokens, rel=2e-3)
    layers = language_layers(other.model)
    wanted = usual_parameters(EMBEDDED)
    assert abs(rank_for(layers, wanted) * per_rank(layers) - wanted) <= per_rank(layers) / 2


def test_a_packed_question_sees_its_picture_and_itself_only() -> None:
    tokenizer = small.new_tokenizer(EMBEDDED, ends=False)
    packed = pack(tokenizer, [PAIRS, PAIRS[:1]], image_tokens=3)
    assert packed.ids.shape == packed.positions.shape == packed.wanted.shape == packed.group.shape
    mask, group = packed.mask[0, 0], packed.group[0]
    for at, own in enumerate(group.tolist()):
        seen = {int(group[j]) for j in range(len(group)) if mask[at, j]}
        assert seen == ({0} if own == 0 else {0, own})
        assert not mask[at, at + 1 :].any()
    starts = [int((group == k).nonzero()[0]) for k in (1, 2, 3)]
    assert packed.positions[0, starts].tolist() == [3, 3, 3]
    told = [packed.wanted[0][(group == k) & (packed.wanted[0] != IGNORE)].tolist() for k in (1, 2, 3)]
    assert [tokenizer.decode(ids, skip_special_tokens=True).strip() for ids in told] == [a for _, a in PAIRS]
    assert {ids[-1] for ids in told} == {tokenizer.eos_token_id}


def test_describing_is_learnt_and_goes_on_where_it_was_stopped(
    made: tuple[Any, Any], patches: torch.Tensor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, tokenizer = made
    first = {name: weight.clone() for name, weight in model.state_dict().items()}
    monkeypatch.setattr(describing, "describing", lambda observation, rng: PAIRS[int(rng.integers(3))])
    features = Features(
        patches.numpy().astype(np.float16),
        np.arange(2),
        np.zeros(2, bool),
        np.zeros(2),
        [None] * 2,  # type: ignore[list-item]
    )
    config = DescribeConfig(steps=6, rate=1e-3, images=2, each=2, warmup=1)
    plain = [_loss(model, tokenizer, patches)]
    learn_to_describe(model, tokenizer, features, config, Checkpoint(tmp_path / "whole.pt", "one"), quiet=True)
    plain += [_loss(model, tokenizer, patches)]
    whole = {name: weight.clone() for name, weight in model.state_dict().items()}
    assert plain[1] < plain[0]
    assert all(whole[name].equal(first[name]) for name in first if "vision" in name)

    def killed(*args: Any) -> Any:
        if (tmp_path / "stopped.pt").exists():
            raise KeyboardInterrupt
        return original(*args)

    begun = Checkpoint(tmp_path / "stopped.pt", "one", every=3)
    original = LOSSES[model.config.model_type]
    model.load_state_dict(first)
    with monkeypatch.context() as patch:
        patch.setitem(LOSSES, model.config.model_type, killed)
        with pytest.raises(KeyboardInterrupt):
            learn_to_describe(model, tokenizer, features, config, begun, quiet=True)
    model.load_state_dict(first)
    loss = learn_to_describe(model, tokenizer, features, config, begun, quiet=True)
    assert math.isfinite(loss)
    # Not to the bit: where a gradient is nothing but rounding, Adam makes it large.
    assert _distance(model.state_dict(), whole) < 1e-3 * _distance(first, whole)


def _distance(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    return sum(float((one[name] - other[name]).abs().sum()) for name in other)


@torch.no_grad()
def _loss(model: Any, tokenizer: Any, patches: torch.Tensor) -> float:
    loss_of: Any = LOSSES[model.config.model_type]
    return float(loss_of(model, tokenizer, PlainNumbers(), patches, [PAIRS, PAIRS]))
