from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from transformers import (
    Blip2Config,
    Blip2ForConditionalGeneration,
    Blip2QFormerConfig,
    Blip2VisionConfig,
    OPTConfig,
    T5Config,
)

from nav_vlm_node.errors import UserError
from nav_vlm_node.vlm.adapters import touched_modules
from nav_vlm_training.variants import COMPONENTS, VARIANTS, Stage, attach, describe, trained_counts, variant_of
from tests.tiny_models import Language, tiny_model, tiny_tokenizer

TRAINED = [name for name, variant in VARIANTS.items() if variant.stages]


def flan_t5_xl() -> Any:
    """Salesforce/blip2-flan-t5-xl by its config.json, without weights."""
    text = T5Config(
        vocab_size=32128, d_model=2048, d_kv=64, d_ff=5120, num_layers=24, num_decoder_layers=24, num_heads=32,
        feed_forward_proj="gated-gelu", decoder_start_token_id=0,
    )  # fmt: skip
    return on_meta(text, image_token_index=32100)


def opt_2_7b() -> Any:
    """Salesforce/blip2-opt-2.7b by its config.json, without weights."""
    text = OPTConfig(
        vocab_size=50304, hidden_size=2560, word_embed_proj_dim=2560, ffn_dim=10240, num_hidden_layers=32,
        num_attention_heads=32,
    )  # fmt: skip
    return on_meta(text, image_token_index=50265)


def on_meta(text: Any, image_token_index: int) -> Any:
    config = Blip2Config(
        vision_config=Blip2VisionConfig(
            hidden_size=1408, intermediate_size=6144, num_hidden_layers=39, num_attention_heads=16, patch_size=14
        ),
        qformer_config=Blip2QFormerConfig(
            hidden_size=768, num_hidden_layers=12, intermediate_size=3072, encoder_hidden_size=1408
        ),
        text_config=text,
        num_query_tokens=32,
        image_token_index=image_token_index,
    )
    with torch.device("meta"):
        return Blip2ForConditionalGeneration(config).requires_grad_(False)


def test_the_true_model_has_the_true_size() -> None:
    model = flan_t5_xl()
    sizes = {name: sum(p.numel() for p in part.parameters()) for name, part in model.named_children()}
    head = 32128 * 2048  # a model made from its configuration ties it to the embedding, the one in the file does not
    assert sizes == {
        "vision_model": 985_952_256,
        "qformer": 105_137_664,
        "language_projection": 1_574_912,
        "language_model": 2_849_757_184 - head,
    }


# 16 x (in + out) per layer. T5-XL: 72 attentions; ViT-g: 39; the paper names 9M and its repository's three targets.
@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("lm_only", {"language_model": 9_437_184}),
        ("frames_3", {"language_model": 9_437_184}),
        ("vision_only", {"vision_model": 3_514_368}),
        ("joint", {"vision_model": 3_514_368, "language_model": 9_437_184}),
        ("two_stage", {"vision_model": 3_514_368, "language_model": 9_437_184}),
        ("lm_only_all_linear", {"language_model": 35_389_440}),
        ("qformer", {"qformer": 3_366_912}),
        ("lm_qformer", {"qformer": 3_366_912, "language_model": 9_437_184}),
    ],
)
def test_counts_at_flan_t5_xl(name: str, counts: dict[str, int]) -> None:
    model = flan_t5_xl()
    attach(model, VARIANTS[name])
    assert trained_counts(model) == counts


def test_counts_at_opt() -> None:
    model = opt_2_7b()
    attach(model, VARIANTS["lm_only"])
    assert trained_counts(model) == {"language_model": 32 * 2 * 16 * (2560 + 2560)}


@pytest.mark.parametrize("language", ["t5", "opt"])
@pytest.mark.parametrize("name", TRAINED)
def test_every_variant_trains_what_it_says_and_nothing_else(name: str, language: Language) -> None:
    variant = VARIANTS[name]
    model = tiny_model(tiny_tokenizer(language), language).requires_grad_(False)
    wrapped: Any = attach(model, variant)
    counts = trained_counts(model)
    assert tuple(counts) == variant.parts
    trained = [key for key, parameter in model.named_parameters() if parameter.requires_grad]
    if variant.everything:
        assert len(trained) == len(list(model.parameters()))
        return
    assert all("lora_" in key for key in trained)
    names = variant.targets(decoder_only=language == "opt")
    for module in touched_modules(wrapped, "default"):
        part, *_, last = module.split(".")
        assert last in names[part]


def test_the_names_in_two_components_are_told_apart() -> None:
    model = tiny_model(tiny_tokenizer("opt"), "opt").requires_grad_(False)
    wrapped = attach(model, VARIANTS["lm_only_all_linear"])
    touched = touched_modules(wrapped, "default")
    assert {module.split(".")[0] for module in touched} == {"language_model"}  # the ViT has fc1 and fc2 too
    assert len(touched) == 2 * 6


@pytest.mark.parametrize("name", ["zero_shot", "few_shot"])
def test_some_train_nothing(name: str) -> None:
    model = tiny_model(tiny_tokenizer("t5"), "t5").requires_grad_(False)
    assert attach(model, VARIANTS[name]) is model
    assert trained_counts(model) == {}
    assert VARIANTS[name].parts == ()


def test_two_stages_are_one_adapter() -> None:
    variant = VARIANTS["two_stage"]
    assert set(variant.layers) == set(VARIANTS["joint"].layers)
    assert [stage.parts for stage in variant.stages] == [("language_model",), ("vision_model",)]


def test_the_registry_is_sound() -> None:
    for name, variant in VARIANTS.items():
        assert variant.name == name
        assert variant.about
        assert set(variant.layers) <= set(COMPONENTS)
        assert not variant.stages or sum(stage.share for stage in variant.stages) == pytest.approx(1)
    assert (VARIANTS["lm_only"].rank, VARIANTS["lm_only"].alpha, VARIANTS["lm_only"].dropout) == (16, 32, 0.05)
    with pytest.raises(dataclasses.FrozenInstanceError):
        VARIANTS["joint"].rank = 3  # type: ignore[misc]
    assert Stage(parts=("qformer",)).share == 1.0


def test_another_name_is_refused() -> None:
    with pytest.raises(UserError, match="no variant 'lm': give one of zero_shot, few_shot"):
        variant_of("lm")


def test_it_is_said_what_is_trained() -> None:
    model = tiny_model(tiny_tokenizer("t5"), "t5").requires_grad_(False)
    attach(model, VARIANTS["joint"])
    line = describe(VARIANTS["joint"], trained_counts(model))
    total = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert line.startswith(f"joint: {total:,} parameters (LoRA r 16, alpha 32): vision_model ")
    assert describe(VARIANTS["zero_shot"], {}) == "zero_shot: nothing is trained"
