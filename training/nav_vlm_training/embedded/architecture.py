"""The embedded model's shape: a real BLIP-2, small enough to ship and to train on two cores."""

from __future__ import annotations

import math
from collections.abc import Container
from pathlib import Path

import torch
from peft import PeftModel, get_peft_model_state_dict, set_peft_model_state_dict
from safetensors import SafetensorError
from safetensors.torch import load_file
from transformers import Blip2Config, Blip2ForConditionalGeneration, Blip2QFormerConfig, Blip2VisionConfig, T5Config

from nav_vlm_node.errors import UserError
from nav_vlm_node.view import View
from nav_vlm_node.vlm.adapters import COMPONENTS
from nav_vlm_node.vlm.card import read_model_card

VIEW = View()
PATCH = 16
VISION_WIDTH = 192
NUM_QUERY_TOKENS = 24


def make_config(vocab_size: int, image_token_id: int, pad_token_id: int, eos_token_id: int) -> Blip2Config:
    """ViT 6 x 192, Q-Former 4 x 192 that cross-attends in every layer, T5 3 + 3 x 256."""
    vision = Blip2VisionConfig(
        hidden_size=VISION_WIDTH,
        intermediate_size=4 * VISION_WIDTH,
        num_hidden_layers=6,
        num_attention_heads=6,
        image_size=VIEW.width,
        patch_size=PATCH,
        initializer_range=0.02,  # transformers' default, 1e-10, is for loading weights
    )
    qformer = Blip2QFormerConfig(
        vocab_size=2,
        hidden_size=VISION_WIDTH,
        encoder_hidden_size=VISION_WIDTH,
        num_hidden_layers=4,
        num_attention_heads=6,
        intermediate_size=4 * VISION_WIDTH,
        cross_attention_frequency=1,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    text = T5Config(
        vocab_size=vocab_size,
        d_model=256,
        d_kv=32,
        num_heads=8,
        d_ff=768,
        num_layers=3,
        num_decoder_layers=3,
        feed_forward_proj="gated-gelu",
        dropout_rate=0.0,
        pad_token_id=pad_token_id,
        eos_token_id=eos_token_id,
        decoder_start_token_id=pad_token_id,
        tie_word_embeddings=True,
    )
    return Blip2Config(
        vision_config=vision,
        qformer_config=qformer,
        text_config=text,
        num_query_tokens=NUM_QUERY_TOKENS,
        image_token_index=image_token_id,
    )


def build_model(config: Blip2Config, seed: int = 0) -> Blip2ForConditionalGeneration:
    """The model with its first weights.

    The query tokens must differ (transformers starts them all at zero: they would stay identical), and
    patch positions start as sines and cosines, without which directions are learned very slowly.
    """
    torch.manual_seed(seed)
    model = Blip2ForConditionalGeneration(config)
    model.set_attn_implementation("eager")  # at this size twice as fast on a CPU as sdpa
    torch.nn.init.normal_(model.query_tokens, std=0.5)
    grid = VIEW.width // PATCH
    with torch.no_grad():
        model.vision_model.embeddings.position_embedding[0, 1:] = 0.3 * _sin_cos(grid, VISION_WIDTH)
    return model


def load_base(directory: Path) -> Blip2ForConditionalGeneration:
    """A model that was written by `make.export`, in full precision. Raises UserError where it is not one."""
    card = read_model_card(directory)
    model: Blip2ForConditionalGeneration = Blip2ForConditionalGeneration.from_pretrained(
        card.directory, dtype=torch.float32, local_files_only=True
    )
    model.set_attn_implementation("eager")
    speed_up_patches(model)
    return model


def take_adapter(tuned: PeftModel, folder: Path, components: Container[str] = COMPONENTS) -> None:
    """Gives a new adapter the weights that another one has on these components. Raises UserError where it is of
    another shape."""
    try:
        weights = load_file(folder / "adapter_model.safetensors")
    except (OSError, SafetensorError) as error:
        raise UserError(f"{folder} is no adapter ({error}); give a folder as peft writes it") from None
    weights = {name: weight for name, weight in weights.items() if name.split(".")[2] in components}
    wanted = {name: weight.shape for name, weight in get_peft_model_state_dict(tuned).items()}
    if not all(wanted.get(name) == weight.shape for name, weight in weights.items()):
        raise UserError(
            f"{folder} adapts other weights, or with another --rank; give an adapter of this base, and --eyes-samples "
            "for one that has eyes of its own"
        )
    set_peft_model_state_dict(tuned, weights)


def speed_up_patches(model: Blip2ForConditionalGeneration) -> None:
    """Makes the patch embedding a plain product of the same weights: the same numbers, and backwards on a CPU far
    faster than a convolution with one output per stride."""
    convolution = model.vision_model.embeddings.patch_embedding

    def forward(pixel_values: torch.Tensor) -> torch.Tensor:
        b, c, h, w = pixel_values.shape
        rows, columns = h // PATCH, w // PATCH
        patches = (
            pixel_values.view(b, c, rows, PATCH, columns, PATCH)
            .permute(0, 2, 4, 1, 3, 5)
            .reshape(b, rows * columns, -1)
        )
        out = torch.nn.functional.linear(patches, convolution.weight.flatten(1), convolution.bias)
        return out.transpose(1, 2).unflatten(2, (rows, columns))

    convolution.forward = forward


def _sin_cos(grid: int, width: int) -> torch.Tensor:
    """[grid * grid, width] two-dimensional sine-cosine positions (Vaswani et al. 2017, per axis)."""
    at = torch.arange(grid).float()
    frequency = 100.0 ** -(torch.arange(width // 4) / (width // 4))
    axes = [(p[:, None] * frequency) for p in (at.repeat_interleave(grid), at.repeat(grid))]
    return torch.cat([f(a) for a in axes for f in (torch.sin, torch.cos)], dim=1)


def perceive(model: Blip2ForConditionalGeneration, pixel_values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """pixel_values [B, 3, H, W] -> patch features [B, 1 + patches, D], query outputs [B, Q, D]."""
    patches = model.vision_model(pixel_values).last_hidden_state
    return patches, query(model, patches)


def query(model: Blip2ForConditionalGeneration, patches: torch.Tensor) -> torch.Tensor:
    """Patch features [B, 1 + patches, D] -> query outputs [B, Q, D]."""
    tokens = model.query_tokens.expand(len(patches), -1, -1)
    return model.qformer(query_embeds=tokens, encoder_hidden_states=patches).last_hidden_state


def mixed_precision(device: torch.device) -> torch.autocast:
    """bfloat16 where the device multiplies in it; one without AVX-512 takes ten times as long with it."""
    quick = device.type != "cpu" or torch.backends.cpu.get_cpu_capability().startswith("AVX512")
    return torch.autocast(device.type, torch.bfloat16, enabled=quick)


def _positions(grid: int) -> torch.Tensor:
    """[grid * grid, 16] sines and cosines of row and column at four scales: a patch is asked to know its place."""
    at = torch.arange(grid).float()
    columns = [
        f(axis * math.pi * k / (grid - 1))
        for axis in (at.repeat_interleave(grid), at.repeat(grid))
        for k in (0.5, 1, 2, 4)
        for f in (torch.sin, torch.cos)
    ]
    return torch.stack(columns, dim=1)


GRID_POSITIONS = _positions(VIEW.width // PATCH)
