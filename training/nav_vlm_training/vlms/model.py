"""A vision-language model at work: the loss of answers, and answers. Whichever family, by what all have in common."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from transformers import LogitsProcessorList

from nav_vlm_node.errors import UserError
from nav_vlm_node.vlm.confidence import confidence
from nav_vlm_node.vlm.decode import TextStream
from nav_vlm_node.vlm.prompt import IGNORE
from nav_vlm_node.vlm.protocol import Token
from nav_vlm_node.vlm.quiet import quiet
from nav_vlm_training.evaluation.answering import Written
from nav_vlm_training.vlms.loading import OtherModel
from nav_vlm_training.vlms.prompts import Row, Taught


def answer_logits(other: OtherModel, taught: Taught) -> torch.Tensor:
    """What the model predicts at each place of `taught.labels`, [B, T, V]; a decoder-only model one place ahead.

    The labels are given to the model although its own loss is not used, for some smooth it: by them an encoder-decoder
    makes its decoder's inputs, and a few families know that they are taught. Raises UserError for what it cannot do.
    """
    device = other.device
    inputs = {name: value.to(device) for name, value in taught.inputs.items()}
    pixels = {name: _as_weights(other, value) for name, value in inputs.items()}
    try:
        logits: torch.Tensor = other.model(**pixels, labels=taught.labels.to(device)).logits
    except (TypeError, ValueError, RuntimeError, IndexError, KeyError) as error:
        if isinstance(error, torch.OutOfMemoryError):
            raise UserError("the GPU's memory is full: give a smaller --micro-batch and --batch") from None
        line = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UserError(f"{other.name} ({other.family}) cannot be asked like this: {line}") from error
    return logits[:, -taught.labels.shape[1] :]  # Git has its picture's places in front


def answer_loss(other: OtherModel, taught: Taught) -> torch.Tensor:
    """Sum over the answers' tokens of the cross entropy, float32."""
    logits, labels = answer_logits(other, taught), taught.labels.to(other.device)
    if not other.seq2seq:
        logits, labels = logits[:, :-1], labels[:, 1:]
    return nn.functional.cross_entropy(
        logits.float().flatten(0, 1), labels.flatten(), ignore_index=IGNORE, reduction="sum"
    )


class _Watch:
    """Among the logits processors; changes nothing and keeps the probability of the most probable token, [B] a step."""

    def __init__(self) -> None:
        self.seen: list[torch.Tensor] = []

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        self.seen.append(scores.float().softmax(-1).amax(-1).cpu())
        return scores


@torch.no_grad()
def answers(other: OtherModel, batch: Row, max_new_tokens: int) -> list[Written]:
    """Greedy answers to rows of one shape (`prompts.joined`), each with its confidence. Raises UserError."""
    watch = _Watch()
    inputs = {name: _as_weights(other, value.to(other.device)) for name, value in batch.items()}
    with quiet():
        try:
            ids = other.model.generate(
                **inputs,
                generation_config=_greedy(other, max_new_tokens),
                logits_processor=LogitsProcessorList([watch]),
            )
        except torch.OutOfMemoryError:
            raise UserError("the GPU's memory is full: give a smaller --batch; the answers so far are kept") from None
        except (TypeError, ValueError, RuntimeError) as error:
            line = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise UserError(f"{other.name} ({other.family}) cannot answer: {line}") from error
    # Some families give the question back before the answer, some do not.
    new = ids[:, -len(watch.seen) :].cpu()
    return [
        _written(other, row.tolist(), [float(step[k]) for step in watch.seen]) for k, row in enumerate(new)
    ]  # fmt: skip


def _greedy(other: OtherModel, max_new_tokens: int) -> Any:
    """The model's own settings (where its answers begin, what it may not say) without sampling, beams and penalties."""
    settings = copy.deepcopy(other.model.generation_config)
    plain = {
        "do_sample": False, "num_beams": 1, "max_new_tokens": max_new_tokens, "max_length": None, "min_length": 0,
        "temperature": None, "top_p": None, "top_k": None, "repetition_penalty": None, "no_repeat_ngram_size": None,
        "pad_token_id": other.tokenizer.pad_token_id, "eos_token_id": list(dict.fromkeys(other.ends)),
    }  # fmt: skip
    for name, value in plain.items():
        setattr(settings, name, value)
    if other.seq2seq and settings.decoder_start_token_id is None:
        text = other.model.config.get_text_config(decoder=True)
        settings.decoder_start_token_id = getattr(text, "decoder_start_token_id", None)
    return settings


def _written(other: OtherModel, ids: Sequence[int], probabilities: Sequence[float]) -> Written:
    stream, tokens = TextStream(other.tokenizer), []
    for token_id, probability in zip(ids, probabilities, strict=True):
        if token_id in other.ends:
            break
        tokens.append(Token(stream.push(token_id), probability))
    if rest := stream.flush():
        tokens.append(Token(rest, tokens[-1].probability))
    return Written("".join(token.text for token in tokens).strip(), confidence(tokens))


def _as_weights(other: OtherModel, value: torch.Tensor) -> torch.Tensor:
    """Pictures in the type of the weights."""
    return value.to(other.model.dtype) if value.is_floating_point() else value
