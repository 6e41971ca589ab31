"""Two small vision-language models of other families, for machines that cannot fetch a published one.

They are made here, from the embedded BLIP-2 and new weights. They are **not** the published LLaVA and InstructBLIP, and
what they score says nothing about those; they show other families going through `nav-vlm-train baseline`.

    llava         `LlavaForConditionalGeneration`: the embedded model's ViT (the same numbers, as transformers' ViT), a
                  new projector, and a new Llama of 4 layers of 256: decoder only, all 100 patches in the prompt
    instructblip  `InstructBlipForConditionalGeneration`: the embedded model's ViT, Q-Former, projection and T5, and new
                  embeddings by which the Q-Former reads the question too: encoder and decoder

Both have the embedded model's tokenizer.
"""

from __future__ import annotations

import copy
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import (
    Blip2ForConditionalGeneration,
    BlipImageProcessorPil,
    InstructBlipConfig,
    InstructBlipForConditionalGeneration,
    InstructBlipProcessor,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
    ViTConfig,
)

from nav_vlm_training.embedded.architecture import VIEW
from nav_vlm_training.embedded.pretrain import MEAN, STD

FAMILIES = ("llava", "instructblip")
IMAGE = "<image>"
LLAMA_WIDTH, LLAMA_LAYERS, LLAMA_INNER = 256, 4, 512
# Part of a ViT's parameter name, by whatever release of transformers -> its name in BLIP-2's ViT.
_OUTSIDE = (
    ("cls_token", "embeddings.class_embedding"),
    ("position_embeddings", "embeddings.position_embedding"),
    ("patch_embeddings", "embeddings.patch_embedding."),
)
_IN_A_LAYER = (
    (r"(query|q_proj)\.", "q"),
    (r"(key|k_proj)\.", "k"),
    (r"(value|v_proj)\.", "v"),
    (r"(attention\.output\.dense|o_proj)\.", "self_attn.projection."),
    (r"layernorm_before\.", "layer_norm1."),
    (r"layernorm_after\.", "layer_norm2."),
    (r"(intermediate\.dense|fc1)\.", "mlp.fc1."),
    (r"(output\.dense|fc2)\.", "mlp.fc2."),
)


def vit_state(vit: torch.nn.Module, blip2_vision: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The weights of BLIP-2's vision model as those of transformers' `ViTModel`; both compute the same numbers.

    A pooler, which nobody asks, keeps its own. Raises KeyError for a parameter that has no counterpart.
    """
    theirs = blip2_vision.state_dict()
    return {name: _counterpart(name, own, theirs) for name, own in vit.state_dict().items()}


def _counterpart(name: str, own: torch.Tensor, theirs: dict[str, torch.Tensor]) -> torch.Tensor:
    kind = name.rsplit(".", 1)[-1]
    if name.startswith("pooler."):
        return own
    if name.startswith("layernorm."):
        return theirs[f"post_layernorm.{kind}"]
    layer = re.search(r"layers?\.(\d+)\.", name)
    if layer is None:
        place = next(place for part, place in _OUTSIDE if part in name)
        return theirs[place + kind if place.endswith(".") else place]
    place = next(place for pattern, place in _IN_A_LAYER if re.search(pattern, name))
    before = f"encoder.layers.{layer[1]}."
    if place in "qkv":
        return theirs[f"{before}self_attn.qkv.{kind}"].chunk(3)["qkv".index(place)]
    return theirs[f"{before}{place}{kind}"]


def make_llava(
    base: Blip2ForConditionalGeneration, tokenizer: PreTrainedTokenizerFast, seed: int = 0
) -> LlavaForConditionalGeneration:
    """The LLaVA with its first weights, vision tower from `base`. Changes torch's global generator."""
    torch.manual_seed(seed)
    vision = base.config.vision_config
    config = LlavaConfig(
        vision_config=ViTConfig(
            hidden_size=vision.hidden_size, intermediate_size=vision.intermediate_size,
            num_hidden_layers=vision.num_hidden_layers, num_attention_heads=vision.num_attention_heads,
            image_size=vision.image_size, patch_size=vision.patch_size, layer_norm_eps=vision.layer_norm_eps,
            hidden_act=vision.hidden_act, qkv_bias=True, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
        ),
        text_config=LlamaConfig(
            vocab_size=len(tokenizer), hidden_size=LLAMA_WIDTH, intermediate_size=LLAMA_INNER,
            num_hidden_layers=LLAMA_LAYERS, num_attention_heads=8, num_key_value_heads=8, max_position_embeddings=512,
            pad_token_id=tokenizer.pad_token_id, eos_token_id=tokenizer.eos_token_id,
            bos_token_id=tokenizer.eos_token_id, tie_word_embeddings=True,
        ),
        image_token_index=tokenizer.convert_tokens_to_ids(IMAGE),
        image_seq_length=(vision.image_size // vision.patch_size) ** 2,
        vision_feature_layer=-1, vision_feature_select_strategy="default", tie_word_embeddings=True,
    )  # fmt: skip
    model = LlavaForConditionalGeneration(config)
    tower = model.model.vision_tower
    tower.load_state_dict(vit_state(tower, base.vision_model))
    return model


@torch.no_grad()
def level_projector(model: LlavaForConditionalGeneration, patches: torch.Tensor) -> None:
    """The projector's first layer takes patch features [N, D] as they are; on these it begins with even outputs.

    LLaVA takes them from before the tower's last normalisation, where they are large and each has a centre of its own.
    """
    first = model.model.multi_modal_projector.linear_1
    mean, spread = patches.mean(0), patches.std(0).clamp_min(1e-3)
    torch.nn.init.normal_(first.weight, std=first.in_features**-0.5)
    first.weight.div_(spread)
    first.bias.copy_(-first.weight @ mean)
    second = model.model.multi_modal_projector.linear_2
    torch.nn.init.normal_(second.weight, std=second.in_features**-0.5)


def make_instructblip(
    base: Blip2ForConditionalGeneration, tokenizer: PreTrainedTokenizerFast, seed: int = 0
) -> InstructBlipForConditionalGeneration:
    """The InstructBLIP with its first weights: all of `base`, and new ones for the question's way into the Q-Former.

    The feed-forward layers that the question goes through there begin as those of the queries.
    """
    torch.manual_seed(seed)
    own = base.config
    others = ("model_type", "use_qformer_text_input")
    qformer = {name: value for name, value in own.qformer_config.to_dict().items() if name not in others}
    vision = {name: value for name, value in own.vision_config.to_dict().items() if name not in others}
    config = InstructBlipConfig(
        vision_config=vision, qformer_config={**qformer, "vocab_size": len(tokenizer)},
        text_config=copy.deepcopy(own.text_config), num_query_tokens=own.num_query_tokens,
        image_token_index=own.image_token_index,
    )  # fmt: skip
    model = InstructBlipForConditionalGeneration(config)
    theirs = dict(base.state_dict())
    for name in list(theirs):
        theirs[re.sub(r"^qformer\.layernorm", "qformer.embeddings.layernorm", name)] = theirs[name]
        if "_query." in name:
            theirs[name.replace("_query.", ".")] = theirs[name]
    state = {name: theirs.get(name, own_weight) for name, own_weight in model.state_dict().items()}
    model.load_state_dict(state)
    return model


def new_tokenizer(directory: Path, *, ends: bool) -> PreTrainedTokenizerFast:
    """The tokenizer of a model directory. ends: whether an encoded text ends in </s>, as an encoder has it."""
    tokenizer: PreTrainedTokenizerFast = PreTrainedTokenizerFast.from_pretrained(directory, local_files_only=True)
    if not ends:
        backend = json.loads(tokenizer.backend_tokenizer.to_str())
        backend["post_processor"] = None
        from tokenizers import Tokenizer

        tokenizer = PreTrainedTokenizerFast(
            tokenizer_object=Tokenizer.from_str(json.dumps(backend)), pad_token=tokenizer.pad_token,
            eos_token=tokenizer.eos_token, unk_token=tokenizer.unk_token, model_max_length=512, padding_side="left",
        )  # fmt: skip
    tokenizer.image_token = IMAGE
    return tokenizer


def new_processor(model: Any, tokenizer: PreTrainedTokenizerFast) -> Any:
    """The family's own processor; pictures as large as the embedded model's view are only normalised."""
    images = BlipImageProcessorPil(
        size={"height": VIEW.height, "width": VIEW.width}, image_mean=MEAN.tolist(), image_std=STD.tolist()
    )
    if model.config.model_type == "llava":
        return LlavaProcessor(
            images, tokenizer, patch_size=int(model.config.vision_config.patch_size),
            vision_feature_select_strategy=model.config.vision_feature_select_strategy, image_token=IMAGE,
            num_additional_image_tokens=1,
        )  # fmt: skip
    reader = copy.deepcopy(tokenizer)
    return InstructBlipProcessor(images, tokenizer, reader, num_query_tokens=int(model.config.num_query_tokens))


def save(model: Any, processor: Any, directory: Path) -> None:
    """In transformers' layout, in full precision; whole or not at all."""
    draft = directory.with_name(f".{directory.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    model.save_pretrained(draft)
    processor.save_pretrained(draft)
    shutil.rmtree(directory, ignore_errors=True)
    draft.rename(directory)


def patch_sample(patches: np.ndarray, most: int = 20000) -> torch.Tensor:
    """Some of the features [N, 1 + P, D] of patches, without the class token's: [M, D] float32."""
    rows = np.linspace(0, len(patches) - 1, min(len(patches), 1 + most // (patches.shape[1] - 1))).astype(int)
    return torch.from_numpy(patches[rows, 1:].astype(np.float32)).flatten(0, 1)
