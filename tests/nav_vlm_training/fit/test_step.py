"""The step, and the traps of BLIP-2 that it could fall into."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch

from nav_vlm_node.vlm.blip2 import image_tokens
from nav_vlm_node.vlm.prompt import IGNORE
from nav_vlm_training.fit.batches import rows_of
from nav_vlm_training.fit.step import Batch, answer_loss, set_learning, set_modes, train_step, visual_tokens
from nav_vlm_training.variants import VARIANTS, attach
from tests.tiny_models import Language, tiny_model, tiny_tokenizer

ASKED = (
    ("Where is the exit?", "Turn left 35 degrees, then move 4 metres to the door."),
    ("Where is the nearest chair, and what is on the way?", "Stop."),
    ("Is the door open?", "No elevator in view. Turn slowly to scan."),
    ("Stairs?", "Caution, chair 20 degrees left at 1.5 metres. Turn right 35 degrees."),
)
Made = Callable[..., tuple[Any, Callable[..., Batch]]]


@pytest.fixture(params=["t5", "opt"])
def made(request: pytest.FixtureRequest) -> Made:
    """A model with a variant on it, whose weights are not nothing, and what makes a batch of some of `ASKED`."""
    language: Language = request.param
    tokenizer = tiny_tokenizer(language)

    def make(variant: str = "lm_only") -> tuple[Any, Callable[..., Batch]]:
        model: Any = tiny_model(tokenizer, language).requires_grad_(False)
        torch.manual_seed(0)
        attach(model, VARIANTS[variant])
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(parameter, std=0.3)
        set_modes(model, ())
        frames = VARIANTS[variant].frames
        pixels = torch.randn(len(ASKED), frames, 3, 32, 32, generator=torch.Generator().manual_seed(1))

        def batch(*rows: int) -> Batch:
            questions, answers = zip(*(ASKED[row] for row in rows), strict=True)
            return Batch(*rows_of(tokenizer, model.config, questions, answers, frames), pixels[list(rows)])

        return model, batch

    return make


def trained(model: Any) -> list[torch.nn.Parameter]:
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def after(model: Any, batches: list[Batch], **options: Any) -> tuple[list[torch.Tensor], Any]:
    """The weights after one update of a copy of the model, and what the update was."""
    model = copy.deepcopy(model)
    optimizer = torch.optim.SGD(trained(model), lr=0.1)
    tokens = sum(batch.tokens for batch in batches)
    update = train_step(lambda b: answer_loss(model, b), trained(model), optimizer, batches, tokens=tokens, **options)
    return [parameter.detach() for parameter in trained(model)], update


def test_parts_are_the_big_batch(made: Made) -> None:
    model, batch = made()
    whole, parted = [batch(0, 1, 2, 3)], [batch(0), batch(1, 2), batch(3)]
    assert len({part.tokens for part in parted}) == 3  # where a mean of means would be something else
    (one, update), (other, other_update) = after(model, whole), after(model, parted)
    for a, b in zip(one, other, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
    assert update.loss == pytest.approx(other_update.loss, rel=1e-5)
    assert update.gradient == pytest.approx(other_update.gradient, rel=1e-4)
    assert update.tokens == other_update.tokens
    means = [answer_loss(model, part).item() / part.tokens for part in parted]
    assert sum(means) / 3 != pytest.approx(update.loss, rel=1e-4)


def test_the_loss_is_transformers_own(made: Made) -> None:
    model, batch = made()
    one = batch(0)
    with torch.no_grad():
        loss = answer_loss(model, one) / one.tokens
        expected = model(
            pixel_values=one.seen[:, 0], input_ids=one.input_ids, attention_mask=one.attention_mask, labels=one.labels
        ).loss  # fmt: skip
    torch.testing.assert_close(loss, expected)


def test_padding_changes_nothing(made: Made) -> None:
    """1, 12: a short question beside a long one costs what it costs alone, so the mask is there and the side right."""
    model, batch = made()
    with torch.no_grad():
        together = answer_loss(model, batch(0, 1, 2, 3))
        alone = sum(answer_loss(model, batch(row)) for row in range(4))
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-4)


def test_without_its_mask_it_would(made: Made) -> None:
    model, batch = made()
    both = batch(1, 3)
    unmasked = Batch(both.input_ids, torch.ones_like(both.attention_mask), both.labels, both.seen)
    with torch.no_grad():
        assert not torch.allclose(answer_loss(model, both), answer_loss(model, unmasked), rtol=1e-3)


def test_the_mask_reaches_the_language_model(made: Made) -> None:
    model, batch = made()
    got: list[Any] = []
    model.language_model.register_forward_pre_hook(
        lambda module, args, kwargs: got.append(kwargs["attention_mask"]), with_kwargs=True
    )
    both = batch(0, 1)
    answer_loss(model, both)
    assert got[0].equal(both.attention_mask)


def test_the_picture_counts(made: Made) -> None:
    """1: too few image tokens are an error, and another picture is another loss."""
    model, batch = made()
    one = batch(0)
    other = Batch(one.input_ids, one.attention_mask, one.labels, one.seen.flip(0, -1) + 0.5)
    with torch.no_grad():
        assert not torch.allclose(answer_loss(model, one), answer_loss(model, other), rtol=1e-4)
    short = Batch(one.input_ids[:, 1:], one.attention_mask[:, 1:], one.labels, one.seen)
    with pytest.raises(ValueError, match="image tokens in every row"):
        answer_loss(model, short)


def test_only_the_answer_is_learnt(made: Made) -> None:
    """11: no label on the image, the question or padding; and what is no label has no gradient."""
    model, batch = made()
    both = batch(0, 1)
    assert both.tokens == int((both.labels != IGNORE).sum())
    with torch.no_grad():
        alone = answer_loss(model, batch(0)) / batch(0).tokens
        nothing = Batch(both.input_ids, both.attention_mask, both.labels.clone(), both.seen)
        nothing.labels[1] = IGNORE
        torch.testing.assert_close(answer_loss(model, nothing) / nothing.tokens, alone, rtol=1e-5, atol=1e-5)


def test_visual_tokens_are_the_engines(made: Made) -> None:
    model, batch = made()
    pixels = batch(0, 1).seen
    with torch.no_grad():
        expected = image_tokens(model, pixels[:, 0])
        torch.testing.assert_close(visual_tokens(model, pixels), expected)
        features = model.vision_model(pixel_values=pixels[:, 0]).last_hidden_state
        torch.testing.assert_close(visual_tokens(model, features[:, None]), expected)


def test_frames_stand_in_their_order(made: Made) -> None:
    model, batch = made("frames_3")
    rows = batch(0, 1)
    assert rows.seen.shape[1] == 3
    with torch.no_grad():
        tokens = visual_tokens(model, rows.seen)
        for frame, part in enumerate(tokens.chunk(3, dim=1)):
            torch.testing.assert_close(part, image_tokens(model, rows.seen[:, frame]))
        turned = Batch(rows.input_ids, rows.attention_mask, rows.labels, rows.seen[:, [2, 1, 0]])
        assert not torch.allclose(answer_loss(model, rows), answer_loss(model, turned), rtol=1e-5)


def test_frozen_parts_do_not_drop_out(made: Made) -> None:
    """10: the Q-Former has a dropout of 0.1, which model.train() would switch on."""
    model, batch = made()
    assert model.config.qformer_config.hidden_dropout_prob > 0
    set_modes(model, ("language_model",))
    assert model.language_model.training
    assert not model.qformer.training
    assert not any(module.training for module in (*model.qformer.modules(), *model.vision_model.modules()))
    pixels = batch(0).seen
    assert visual_tokens(model, pixels).equal(visual_tokens(model, pixels))
    set_modes(model, ("qformer", "query_tokens"))
    assert model.qformer.training
    assert not model.language_model.training
    assert not visual_tokens(model, pixels).equal(visual_tokens(model, pixels))


def test_a_stage_trains_its_own_part_only(made: Made) -> None:
    """9: one adapter over both, of which one part stands still."""
    model, batch = made("two_stage")
    names = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    before = {name: parameter.clone() for name, parameter in model.named_parameters()}
    optimizer = torch.optim.AdamW(trained(model), lr=0.01, weight_decay=0.1)
    for stage in VARIANTS["two_stage"].stages:
        set_learning(model, names, stage.parts)
        parameters = [dict(model.named_parameters())[name] for name in names]
        train_step(lambda b: answer_loss(model, b), parameters, optimizer, [batch(0, 1)], tokens=10)
        changed = {n.split(".")[0] for n, p in model.named_parameters() if not p.equal(before[n])}
        assert changed == set(stage.parts)
        before = {name: parameter.clone() for name, parameter in model.named_parameters()}


def test_the_base_stays_what_it_is(made: Made) -> None:
    """3: T5's head among it, which is not its embedding."""
    model, batch = made("joint")
    before = {n: p.clone() for n, p in model.named_parameters() if "lora_" not in n}
    optimizer = torch.optim.AdamW(trained(model), lr=0.1)
    train_step(lambda b: answer_loss(model, b), trained(model), optimizer, [batch(0, 1)], tokens=10)
    for name, parameter in model.named_parameters():
        assert "lora_" in name or parameter.equal(before[name])
    language = model.language_model
    assert not language.lm_head.weight.equal(language.get_input_embeddings().weight)


def test_the_gradient_is_clipped(made: Made) -> None:
    model, batch = made()
    _, free = after(model, [batch(0, 1)])
    before = [parameter.detach() for parameter in trained(model)]
    weights, clipped = after(model, [batch(0, 1)], clip=free.gradient / 10)
    assert clipped.gradient == pytest.approx(free.gradient)  # as it was
    moved = sum(float(((a - b) ** 2).sum()) for a, b in zip(weights, before, strict=True)) ** 0.5
    assert moved == pytest.approx(0.1 * free.gradient / 10, rel=1e-3)


def test_bfloat16(made: Made) -> None:
    """5: base in bfloat16, adapter in float32, the loss in float32."""
    model, batch = made()
    for name, parameter in model.named_parameters():
        if "lora_" not in name:
            parameter.data = parameter.data.bfloat16()
    one = batch(0, 1)
    low = Batch(one.input_ids, one.attention_mask, one.labels, one.seen.bfloat16())
    loss = answer_loss(model, low)
    assert loss.dtype == torch.float32
    loss.backward()
    assert all(p.dtype == torch.float32 and p.grad is not None for p in trained(model))
    with torch.no_grad():
        precise = answer_loss(made()[0], one)
    assert float(loss.detach()) == pytest.approx(float(precise), rel=0.05)
