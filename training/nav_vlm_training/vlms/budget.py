"""As many trained parameters for every family: LoRA on all linear layers of its language model, by a rank that fits."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from nav_vlm_node.errors import UserError
from nav_vlm_node.vlm.quiet import quiet
from nav_vlm_training.variants import attach, trained_counts, variant_of

COMPARED_WITH = "lm_only"
ALPHA = 2  # times the rank, as the variants have it
# A part of a model with one of these words in its name makes visual tokens; it is not the language model's.
_VISUAL = ("vision", "visual", "image", "img", "patch", "pixel", "projector", "projection", "connector", "qformer",
           "merger", "resampler", "perceiver", "multi_modal", "multimodal", "modality", "audio")  # fmt: skip


def usual_parameters(base: Path) -> int:
    """How many parameters `lm_only` trains on the BLIP-2 in a directory that was looked at; no weights are read."""
    from transformers import Blip2Config, Blip2ForConditionalGeneration

    with torch.device("meta"), quiet():
        model = Blip2ForConditionalGeneration(Blip2Config.from_pretrained(base, local_files_only=True))
        model.requires_grad_(False)
        attach(model, variant_of(COMPARED_WITH))
    return sum(trained_counts(model).values())


def language_layers(model: Any) -> dict[str, nn.Module]:
    """The linear layers of the language model in a vision-language model, by name; its output layer is left out.

    The language model is what has the text part of the configuration; where one configuration is for all (Git), it is
    what does not look at the picture by its name. Raises UserError where there is none.
    """
    text = model.config.get_text_config(decoder=True)
    roots = [name for name, module in model.named_modules() if type(getattr(module, "config", None)) is type(text)]
    roots = [root for root in roots if not any(root != other and _inside(root, other) for other in roots)]
    output = model.get_output_embeddings()
    found = {
        name: module
        for name, module in model.named_modules()
        if any(_inside(name, root) for root in roots)
        and _is_linear(module)
        and module is not output
        and not ("" in roots and any(word in name.lower() for word in _VISUAL))
    }
    if not found:
        raise UserError(f"no linear layer of a language model was found in this {model.config.model_type!r} model")
    return found


def per_rank(layers: Mapping[str, nn.Module]) -> int:
    """LoRA parameters of these layers for every unit of rank."""
    return sum(int(size) for module in layers.values() for size in cast(torch.Tensor, module.weight).shape)


def rank_for(layers: Mapping[str, nn.Module], parameters: int) -> int:
    """The rank, from 1 up, whose number of parameters comes nearest to `parameters`."""
    return max(1, round(parameters / per_rank(layers)))


def attach_budget(model: Any, layers: Mapping[str, nn.Module], rank: int, dropout: float) -> Any:
    """LoRA of that rank on those layers of `model`, which is changed in place; returns the PeftModel around it.

    First weights are drawn from torch's global generator. Raises ValueError where peft touches other layers.
    """
    from peft import LoraConfig, get_peft_model

    # task_type stays None: peft's own kinds wrap `forward` in ways that models with pictures do not fit.
    config = LoraConfig(
        r=rank, lora_alpha=ALPHA * rank, lora_dropout=dropout, target_modules=sorted(layers), task_type=None
    )
    with quiet():
        wrapped: Any = get_peft_model(model, config)
    touched = {name for name, module in model.named_modules() if hasattr(module, "lora_A")}
    if touched != set(layers):
        raise ValueError(f"LoRA is on other layers than meant: {sorted(touched ^ set(layers))[:4]}")
    return wrapped


def _inside(name: str, root: str) -> bool:
    return not root or name == root or name.startswith(f"{root}.")


def _is_linear(module: nn.Module) -> bool:
    """Also GPT-2's, which transformers writes as a convolution."""
    return isinstance(module, nn.Linear) or type(module).__name__ == "Conv1D"
