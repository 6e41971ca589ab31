"""Tiny random vision-language models of several families, each in transformers' own layout with its own processor.

Their answers are noise that depends on the picture and on the question. `git`, `paligemma` and `idefics3` are families
that no line of nav_vlm names: one without image tokens and with learnt positions, one that reads its prompt in both
directions and marks the answer, one with a chat template and pictures in a list per question.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import PreTrainedTokenizerFast

from tests.tiny_models import IMAGE_SIZE, MEAN, NUM_QUERY_TOKENS, STD, tiny_tokenizer

PATCH, WIDTH = 16, 32
PATCHES = (IMAGE_SIZE // PATCH) ** 2
CHAT = (
    "{% for message in messages %}<s>{{ message.role }}:{% for part in message.content %}"
    "{% if part.type == 'image' %}<image>{% else %}{{ part.text }}{% endif %}"
    "{% endfor %}\n{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}"
)


def make_tiny(family: str, path: Path, *, seed: int = 0) -> Path:
    """Write one to `path` and return it."""
    torch.manual_seed(seed)
    model, processor = _FAMILIES[family]()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim >= 2:  # large enough that the answer depends on the question, the picture and itself
                parameter.normal_(std=1.5 * parameter.shape[-1] ** -0.5)
            elif "bias" not in name and "norm" in name.lower():
                parameter.fill_(1.0)
    model.save_pretrained(path)
    processor.save_pretrained(path)
    return path


def _images(kind: str, **options: Any) -> Any:
    made = getattr(transformers, f"{kind}Pil", None) or getattr(transformers, kind)
    return made(image_mean=MEAN, image_std=STD, **options)


def _vision(**more: Any) -> dict[str, Any]:
    return {
        "hidden_size": WIDTH, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2,
        "image_size": IMAGE_SIZE, "patch_size": PATCH, **more,
    }  # fmt: skip


def _text(tokenizer: PreTrainedTokenizerFast, **more: Any) -> dict[str, Any]:
    return {
        "vocab_size": len(tokenizer), "hidden_size": WIDTH, "intermediate_size": 48, "num_hidden_layers": 2,
        "num_attention_heads": 2, "num_key_value_heads": 2, "max_position_embeddings": 512,
        "pad_token_id": tokenizer.pad_token_id, "eos_token_id": tokenizer.eos_token_id,
        "bos_token_id": tokenizer.eos_token_id, **more,
    }  # fmt: skip


def _llava() -> tuple[Any, Any]:
    tokenizer = tiny_tokenizer("t5")  # it ends every text in </s>, behind which no answer could come
    config = transformers.LlavaConfig(
        vision_config=transformers.ViTConfig(**_vision()), text_config=transformers.LlamaConfig(**_text(tokenizer)),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"), vision_feature_layer=-1,
    )  # fmt: skip
    size = {"height": IMAGE_SIZE, "width": IMAGE_SIZE}
    processor = transformers.LlavaProcessor(
        _images("BlipImageProcessor", size=size), tokenizer, patch_size=PATCH,
        vision_feature_select_strategy="default", num_additional_image_tokens=1,
    )  # fmt: skip
    return transformers.LlavaForConditionalGeneration(config), processor


def _instructblip() -> tuple[Any, Any]:
    tokenizer = tiny_tokenizer("t5")
    tokenizer.image_token = "<image>"
    config = transformers.InstructBlipConfig(
        vision_config=transformers.InstructBlipVisionConfig(**_vision()).to_dict(),
        qformer_config=transformers.InstructBlipQFormerConfig(
            vocab_size=len(tokenizer), hidden_size=WIDTH, num_hidden_layers=2, num_attention_heads=2,
            intermediate_size=48, encoder_hidden_size=WIDTH, cross_attention_frequency=1,
        ).to_dict(),
        text_config=transformers.T5Config(
            vocab_size=len(tokenizer), d_model=WIDTH, d_kv=8, num_heads=3, d_ff=48, num_layers=2,
            feed_forward_proj="gated-gelu", pad_token_id=tokenizer.pad_token_id, eos_token_id=tokenizer.eos_token_id,
            decoder_start_token_id=tokenizer.pad_token_id,
        ),
        num_query_tokens=NUM_QUERY_TOKENS, image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
    )  # fmt: skip
    size = {"height": IMAGE_SIZE, "width": IMAGE_SIZE}
    processor = transformers.InstructBlipProcessor(
        _images("BlipImageProcessor", size=size), tokenizer, tiny_tokenizer("t5"), num_query_tokens=NUM_QUERY_TOKENS
    )
    return transformers.InstructBlipForConditionalGeneration(config), processor


def _git() -> tuple[Any, Any]:
    tokenizer = tiny_tokenizer("t5")
    config = transformers.GitConfig(
        vision_config=_vision(),
        **{k: v for k, v in _text(tokenizer).items() if k != "num_key_value_heads"},
    )
    size = {"shortest_edge": IMAGE_SIZE}
    images = _images("CLIPImageProcessor", size=size, crop_size={"height": IMAGE_SIZE, "width": IMAGE_SIZE})
    return transformers.GitForCausalLM(config), transformers.GitProcessor(images, tokenizer)


def _paligemma() -> tuple[Any, Any]:
    tokenizer = tiny_tokenizer("opt")
    text = transformers.GemmaConfig(**_text(tokenizer, head_dim=16, hidden_activation="gelu_pytorch_tanh"))
    config = transformers.PaliGemmaConfig(
        vision_config=transformers.SiglipVisionConfig(**_vision(projection_dim=WIDTH, vision_use_head=False)),
        text_config=text, image_token_index=tokenizer.convert_tokens_to_ids("<image>"), projection_dim=WIDTH,
        hidden_size=WIDTH,
    )  # fmt: skip
    images = _images("SiglipImageProcessor", size={"height": IMAGE_SIZE, "width": IMAGE_SIZE})
    images.image_seq_length = PATCHES
    return transformers.PaliGemmaForConditionalGeneration(config), transformers.PaliGemmaProcessor(images, tokenizer)


def _idefics3() -> tuple[Any, Any]:
    tokenizer = tiny_tokenizer("opt")
    marks = ["<fake_token_around_image>", "<global-img>", "<end_of_utterance>", "<image>"]
    tokenizer.add_tokens(marks, special_tokens=True)
    config = transformers.Idefics3Config(
        vision_config=_vision(patch_size=8), text_config=transformers.LlamaConfig(**_text(tokenizer)),
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"), scale_factor=2, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    images = _images(
        "Idefics3ImageProcessor", size={"longest_edge": IMAGE_SIZE}, max_image_size={"longest_edge": IMAGE_SIZE},
        do_image_splitting=False,
    )  # fmt: skip
    processor = transformers.Idefics3Processor(images, tokenizer, image_seq_len=PATCHES, chat_template=CHAT)
    return transformers.Idefics3ForConditionalGeneration(config), processor


_FAMILIES: dict[str, Callable[[], tuple[Any, Any]]] = {
    "llava": _llava, "instructblip": _instructblip, "git": _git, "paligemma": _paligemma, "idefics3": _idefics3,
}  # fmt: skip
FAMILIES = tuple(_FAMILIES)
