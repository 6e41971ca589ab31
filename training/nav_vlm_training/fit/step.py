"""One update: the loss of some answers, its gradient, and the change of the weights. No state of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import nn

from nav_vlm_node.vlm.blip2 import prompt_embeds
from nav_vlm_node.vlm.prompt import IGNORE

Rows = TypeVar("Rows")  # a part of a batch, of whatever kind: `Batch` here, other families have their own


@dataclass(frozen=True)
class Batch:
    """Rows that go through the model at once; F pictures per row.

    input_ids, attention_mask: [B, T]. labels: [B, L] for T5, [B, T] for OPT, IGNORE where nothing is learnt. seen:
    what the vision model made of the pictures, [B, F, N, D], or the pictures, [B, F, 3, S, S].
    """

    input_ids: torch.Tensor
    attention_mask: torch.Tensor
    labels: torch.Tensor
    seen: torch.Tensor

    @property
    def tokens(self) -> int:
        """How many tokens the loss is about."""
        return int((self.labels != IGNORE).sum())


@dataclass(frozen=True)
class Update:
    """What one update was. loss: mean over the answers' tokens. gradient: its norm before clipping."""

    loss: float
    tokens: int
    gradient: float


def visual_tokens(model: Any, seen: torch.Tensor) -> torch.Tensor:
    """What the language model gets for the pictures of each row, [B, F * Q, D], in the order of the frames.

    seen: as in `Batch`. The model is a Blip2ForConditionalGeneration.
    """
    rows, frames = seen.shape[:2]
    flat = seen.flatten(0, 1)
    features = model.vision_model(pixel_values=flat, return_dict=True).last_hidden_state if seen.ndim == 5 else flat
    queries = model.qformer(
        query_embeds=model.query_tokens.expand(len(features), -1, -1),
        encoder_hidden_states=features,
        encoder_attention_mask=torch.ones(features.shape[:-1], dtype=torch.long, device=features.device),
        return_dict=True,
    ).last_hidden_state
    tokens: torch.Tensor = model.language_projection(queries.to(features.dtype))
    return tokens.unflatten(0, (rows, frames)).flatten(1, 2)


def answer_loss(model: Any, batch: Batch) -> torch.Tensor:
    """Sum over the answers' tokens of the cross entropy, float32."""
    embeds = prompt_embeds(model, batch.input_ids, visual_tokens(model, batch.seen))
    language, labels = model.language_model, batch.labels
    if model.config.use_decoder_only_language_model:
        logits = language(inputs_embeds=embeds, attention_mask=batch.attention_mask).logits[:, :-1]
        labels = labels[:, 1:]
    else:
        before = language.prepare_decoder_input_ids_from_labels(labels=labels)
        logits = language(
            inputs_embeds=embeds, attention_mask=batch.attention_mask, decoder_input_ids=before
        ).logits  # fmt: skip
    return nn.functional.cross_entropy(
        logits.float().flatten(0, 1), labels.flatten(), ignore_index=IGNORE, reduction="sum"
    )


def train_step(
    loss_of: Callable[[Rows], torch.Tensor],
    parameters: Sequence[nn.Parameter],
    optimizer: torch.optim.Optimizer,
    batches: Iterable[Rows],
    *,
    tokens: int,
    clip: float = 0.0,
    gather: Callable[[Sequence[nn.Parameter]], None] = lambda parameters: None,
    total: Callable[[float], float] = lambda value: value,
) -> Update:
    """One update from all of `batches`, as if they were one batch.

    loss_of: a batch to the sum of its tokens' losses. tokens: in all batches of all processes together; each part is
    divided by that and not by its own number, so that a token weighs the same wherever it stands. gather: adds up the
    gradients of all processes; total: a number of theirs.
    """
    optimizer.zero_grad(set_to_none=True)
    loss = 0.0
    for batch in batches:
        share = loss_of(batch) / tokens
        share.backward()
        loss += share.item()
    gather(parameters)
    norm = nn.utils.clip_grad_norm_(parameters, clip or float("inf"))
    optimizer.step()
    return Update(total(loss), tokens, norm.item())


def set_modes(model: nn.Module, learning: Sequence[str]) -> None:
    """Train mode for the components that learn, eval mode for all others: frozen dropout still drops out."""
    model.eval()
    for part in learning:
        module = getattr(model, part)
        if isinstance(module, nn.Module):
            module.train()


def set_learning(model: nn.Module, names: Iterable[str], learning: Sequence[str]) -> None:
    """Of the parameters `names`, those of the components `learning` get a gradient now, the others none."""
    parameters = dict(model.named_parameters())
    for name in names:
        parameters[name].requires_grad_(name.split(".")[0] in learning)
