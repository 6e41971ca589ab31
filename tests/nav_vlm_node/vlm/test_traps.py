"""Known ways in which BLIP-2 goes wrong without saying so. Each is a test, here or where the subject is.

 1 too few image tokens: the image is ignored        here; test_prompt (count, any question keeps the layout)
 2 image_token_index None, resized vocabulary        test_load.test_image_token_index_is_needed; here (no resize)
 3 T5's head tied to its embedding                   here
 4 Trainer multiplies the loss by accumulation       of training, not of the engine
 5 float16 overflows in T5                           test_load.test_float16; test_generation (NaN is an error, bf16)
 6 task_type wraps generate and forward wrongly      here
 7 LoRA by suffix hits other components              here
 8 query_tokens are dropped from an adapter          test_adapters.test_not_lora
 9 an adapter's file and its config disagree         test_adapters.test_config_that_names_fewer_modules_...
10 frozen is not eval: dropout                       here
11 labels on the image, the question or padding      test_prompt (targets, causal labels)
12 OPT padded on the right, mask dropped             here; test_generation.test_equals_transformers_generate
13 OPT echoes its prompt                             here
14 merging in bfloat16                               here
15-18 checkpointing, Jetson, removed APIs, flips     not of the engine
19 torchvision and PIL resize differently            test_preprocess
20 the network; adapters that are still trainable    test_load.test_no_network_...; test_adapters
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import Blip2ForConditionalGeneration

from nav_vlm_node.vlm import adapters as adapters_module
from nav_vlm_node.vlm import blip2 as blip2_module
from nav_vlm_node.vlm.adapters import attach_new, merge_adapter, target_regex, touched_modules
from nav_vlm_node.vlm.blip2 import image_tokens, prompt_embeds
from nav_vlm_node.vlm.card import read_model_card
from nav_vlm_node.vlm.load import keep_own_head, load_engine, load_model
from nav_vlm_node.vlm.prompt import encode_prompts
from tests.nav_vlm_node.vlm.conftest import picture
from tests.tiny_models import NUM_QUERY_TOKENS

HEAD, EMBEDDING = "language_model.lm_head.weight", "language_model.shared.weight"
QUERY = "Where is the exit?"


def blip2(model: Path) -> Any:
    return Blip2ForConditionalGeneration.from_pretrained(model).eval()


def test_1_the_image_reaches_the_language_model(tiny: Path) -> None:
    engine = load_engine(tiny, device="cpu")
    answers = {
        engine.generate_batch([engine.encode(picture(seed))], [QUERY], max_new_tokens=16)[0][0] for seed in range(4)
    }
    assert len(answers) == 4


@pytest.mark.parametrize("count", [NUM_QUERY_TOKENS - 1, NUM_QUERY_TOKENS + 1, 0])
def test_1_a_prompt_with_another_number_of_image_tokens_is_an_error(
    tiny: Path, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = load_engine(tiny, device="cpu")
    visual = engine.encode(picture(0))

    def wrong(tokenizer: Any, queries: Any, number: int, *rest: Any) -> Any:
        return encode_prompts(tokenizer, queries, count, *rest)

    monkeypatch.setattr(blip2_module, "encode_prompts", wrong)
    with pytest.raises(ValueError, match="image tokens in every row"):
        engine.stream(visual, QUERY)


def test_2_the_vocabulary_is_not_resized(tiny: Path) -> None:
    engine = load_engine(tiny, adapter="", device="cpu")
    name = "language_model.shared.weight" if "t5" in tiny.name else "language_model.model.decoder.embed_tokens.weight"
    assert engine._model.get_input_embeddings().weight.shape == load_file(tiny / "model.safetensors")[name].shape


def test_3_a_head_of_its_own_stays_so(copied: Callable[[str], Path], tmp_path: Path) -> None:
    model = copied("t5")
    assert json.loads((model / "config.json").read_text())["text_config"].get("tie_word_embeddings", True)
    on_disk = load_file(model / "model.safetensors")
    assert not torch.equal(on_disk[HEAD], on_disk[EMBEDDING])
    card = read_model_card(model)
    loaded: Any = load_model(card, "cpu", torch.float32)
    assert torch.equal(loaded.language_model.lm_head.weight, on_disk[HEAD])

    language = loaded.language_model
    language.lm_head.weight = language.shared.weight  # what tie_weights() and resizing do
    keep_own_head(loaded, card)
    assert torch.equal(language.lm_head.weight, on_disk[HEAD])
    assert torch.equal(language.shared.weight, on_disk[EMBEDDING])

    merge_adapter(model, model / "adapters" / "guide", tmp_path / "merged")
    merged = load_file(tmp_path / "merged" / "model.safetensors")
    assert torch.equal(merged[HEAD], on_disk[HEAD])


def test_3_loading_that_ties_is_undone(tiny_models: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    original = Blip2ForConditionalGeneration.from_pretrained

    def tying(*args: Any, **options: Any) -> Any:
        model, loading = original(*args, **options)
        model.language_model.lm_head.weight = model.language_model.shared.weight
        return model, loading

    monkeypatch.setattr(Blip2ForConditionalGeneration, "from_pretrained", tying)
    loaded: Any = load_model(read_model_card(tiny_models["t5"]), "cpu", torch.float32)
    assert torch.equal(loaded.language_model.lm_head.weight, load_file(tiny_models["t5"] / "model.safetensors")[HEAD])


def test_3_a_tied_head_stays_tied(copied: Callable[[str], Path]) -> None:
    model = copied("t5")
    tensors = load_file(model / "model.safetensors")
    del tensors[HEAD]
    save_file(tensors, model / "model.safetensors", metadata={"format": "pt"})
    loaded: Any = load_model(read_model_card(model), "cpu", torch.float32)
    assert loaded.language_model.lm_head.weight is loaded.language_model.shared.weight
    assert torch.equal(loaded.language_model.lm_head.weight, tensors[EMBEDDING])


def test_6_no_task_type(tiny: Path) -> None:
    assert attach_new(blip2(tiny)).peft_config["default"].task_type is None
    assert json.loads((tiny / "adapters" / "guide" / "adapter_config.json").read_text())["task_type"] is None


def test_7_lora_is_on_exactly_the_modules_meant(tiny: Path) -> None:
    model = blip2(tiny)
    names = ("q", "v") if "t5" in tiny.name else ("q_proj", "v_proj")
    meant = {
        name
        for name, layer in model.named_modules()
        if isinstance(layer, torch.nn.Linear) and name.startswith("language_model.") and name.split(".")[-1] in names
    }
    # T5: self-attention of 2 + 2 blocks and cross-attention of 2; OPT: self-attention of 2.
    assert len(meant) == (12 if "t5" in tiny.name else 4)
    peft_model = attach_new(model)
    assert touched_modules(peft_model, "default") == meant
    trainable = {name for name, parameter in peft_model.named_parameters() if parameter.requires_grad}
    assert len(trainable) == 2 * len(meant)
    assert all(".lora_" in name for name in trainable)


def test_7_a_suffix_that_two_components_share(tiny_models: dict[str, Path]) -> None:
    """fc1 and fc2 are OPT's and the vision model's."""
    peft_model = attach_new(blip2(tiny_models["opt"]), targets={"language_model": ("fc1", "fc2")})
    touched = touched_modules(peft_model, "default")
    assert len(touched) == 4
    assert all(name.startswith("language_model.") for name in touched)
    assert target_regex({"language_model": ("q",)}) == r"(?:language_model\.(?:.+\.)?(?:q))"


def test_7_other_modules_than_meant_are_an_error(tiny_models: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapters_module, "target_regex", lambda targets: ["fc1"])  # a suffix, as peft's examples have
    with pytest.raises(ValueError, match=r"on other modules than meant.*vision_model"):
        attach_new(blip2(tiny_models["opt"]), targets={"language_model": ("fc1",)})


def test_10_dropout_is_off(tiny: Path) -> None:
    engine = load_engine(tiny, device="cpu")
    assert engine._model.config.qformer_config.hidden_dropout_prob > 0
    assert torch.equal(engine.encode(picture(0)).embeds, engine.encode(picture(0)).embeds)


def test_12_padding_and_mask(tiny: Path) -> None:
    """A short question beside a long one has the answer that it has alone; without its mask it has not."""
    engine = load_engine(tiny, adapter="", device="cpu")
    model, tokenizer = engine._model, engine._tokenizer
    side: Any = "left" if "opt" in tiny.name else "right"
    visual = engine.encode_batch([picture(0), picture(0)])
    queries = ["Stairs?", "How do I get to the nearest chair, which is left of the door and right of the exit?"]
    alone, together = (engine.generate_batch(visual[:n], queries[:n], max_new_tokens=16)[0][0] for n in (1, 2))
    assert alone == together
    ids, mask = encode_prompts(tokenizer, queries, NUM_QUERY_TOKENS, model.config.image_token_id, side)
    assert (mask[0] == 0).any()
    with torch.inference_mode():
        embeds = prompt_embeds(model, ids, torch.stack([v.embeds for v in visual]))
        logits = []
        for kept in (mask, torch.ones_like(mask)):
            start = {"decoder_input_ids": torch.zeros(2, 1, dtype=torch.long)} if side == "right" else {}
            logits.append(model.language_model(inputs_embeds=embeds, attention_mask=kept, **start).logits[0, -1])
    assert not torch.allclose(logits[0], logits[1], atol=1e-3)


def test_13_the_prompt_is_not_echoed(tiny_models: dict[str, Path]) -> None:
    engine = load_engine(tiny_models["opt"], device="cpu")
    tokens = list(engine.stream(engine.encode(picture(0)), QUERY, max_new_tokens=5))
    assert len([token for token in tokens if token.text]) <= 6
    assert "Question:" not in "".join(token.text for token in tokens)


def test_14_merging_is_in_float32(copied: Callable[[str], Path], tmp_path: Path) -> None:
    """Of a base kept in bfloat16 too: adding a small LoRA there would round most of it away."""
    from nav_vlm_node.vlm.card import model_sha256, write_json

    model = copied("t5")
    tensors = {key: tensor.bfloat16() for key, tensor in load_file(model / "model.safetensors").items()}
    save_file(tensors, model / "model.safetensors", metadata={"format": "pt"})
    guide = model / "adapters" / "guide"
    card = json.loads((guide / "nav_vlm.json").read_text())
    write_json(guide / "nav_vlm.json", {**card, "base_sha256": model_sha256((model / "model.safetensors",))})
    merge_adapter(model, guide, tmp_path / "merged")
    lora = load_file(guide / "adapter_model.safetensors")
    merged = load_file(tmp_path / "merged" / "model.safetensors")
    config = json.loads((guide / "adapter_config.json").read_text())
    name = "language_model.encoder.block.0.layer.0.SelfAttention.q"
    a, b = (lora[f"base_model.model.{name}.lora_{half}.weight"] for half in "AB")
    expected = tensors[f"{name}.weight"].float() + config["lora_alpha"] / config["r"] * b @ a
    assert merged[f"{name}.weight"].dtype == torch.float32
    torch.testing.assert_close(merged[f"{name}.weight"], expected, rtol=0, atol=1e-6)


def test_image_tokens_are_blip2s_own(tiny: Path) -> None:
    model = blip2(tiny)
    pixel_values = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        expected = model.get_image_features(pixel_values).pooler_output
        torch.testing.assert_close(image_tokens(model, pixel_values), expected)
