"""How a model in training does: it answers the validation questions, and its answers are judged as in `evaluate`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from nav_vlm_node.errors import UserError
from nav_vlm_node.score_shares import clustered
from nav_vlm_node.vlm.blip2 import prompt_embeds
from nav_vlm_node.vlm.confidence import confidence
from nav_vlm_node.vlm.decode import CausalDecoder, Decoder, Greedy, T5Decoder, TextStream
from nav_vlm_node.vlm.prompt import encode_prompts
from nav_vlm_node.vlm.protocol import Token
from nav_vlm_training.augment.steps import says_the_same
from nav_vlm_training.data.samples import Sample
from nav_vlm_training.evaluation.answering import Written
from nav_vlm_training.evaluation.judging import judge_text, scores
from nav_vlm_training.fit.config import DIRECTION, LOSS, SAME_STEPS, FitConfig

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class Score:
    """figures: for the record, the measures of `evaluate` and more. value: of the metric, higher is better. loss: mean
    over the tokens of the good answers, which decides between equal values."""

    figures: dict[str, Any]
    value: float
    loss: float


def resolve_metric(metric: str, samples: Sequence[Sample]) -> str:
    """What "auto" is for these validation questions. Raises UserError where a named metric cannot be had from them."""
    visible = any(sample.truth.kind == "target" and sample.truth.visible for sample in samples)
    if metric == DIRECTION and not visible:
        raise UserError(
            f"no validation question has a visible target, so there is no {DIRECTION}; give --metric {SAME_STEPS}"
        )
    return metric if metric != "auto" else DIRECTION if visible else SAME_STEPS


def score(samples: Sequence[Sample], answers: Sequence[Written], loss: float, metric: str) -> Score:
    """Answers to validation questions, judged. loss: mean over the tokens of the good answers."""
    judged = [judge_text(s, a.text, a.confidence) for s, a in zip(samples, answers, strict=True)]
    same = [float(says_the_same(sample.text, answer.text)) for sample, answer in zip(samples, answers, strict=True)]
    share = clustered(same, [1.0] * len(same), [sample.scene for sample in samples])
    figures = {**scores(judged), SAME_STEPS: share.to_json(), LOSS: loss}
    value = -loss if metric == LOSS else figures[metric]["value"]
    return Score(figures, value if value is not None and math.isfinite(value) else -math.inf, loss)


def generate(
    model: Any, tokenizer: PreTrainedTokenizerBase, visual: torch.Tensor, questions: Sequence[str], config: FitConfig
) -> list[Written]:
    """Answers to questions about pictures of which the language model gets `visual`, [B, F * Q, D].

    One beam is what the engine does, token for token; more are transformers' beam search, for comparison with others,
    and know no confidence: it is 1.
    """
    causal = bool(model.config.use_decoder_only_language_model)
    side: Any = "left" if causal else "right"
    ids, mask = encode_prompts(tokenizer, questions, visual.shape[1], model.config.image_token_id, side)
    ids, mask = ids.to(visual.device), mask.to(visual.device)
    with torch.inference_mode():
        embeds = prompt_embeds(model, ids, visual)
        if config.beams > 1 or config.no_repeat_ngram:
            return _beams(model.language_model, tokenizer, embeds, mask, config)
        language, text_config = model.language_model, model.config.text_config
        start_id = None if causal else text_config.decoder_start_token_id
        pad_id = tokenizer.pad_token_id
        decoder: Decoder = (
            CausalDecoder(language) if causal else T5Decoder(language, pad_id if start_id is None else start_id)
        )
        eos_ids = _eos_ids(language, text_config, tokenizer)
        steps = Greedy(
            decoder, embeds, mask, eos_ids=eos_ids, pad_id=int(pad_id or 0), max_new_tokens=config.max_new_tokens
        )
        return _written(steps, tokenizer, len(questions), eos_ids)


def _beams(
    language: Any, tokenizer: PreTrainedTokenizerBase, embeds: torch.Tensor, mask: torch.Tensor, config: FitConfig
) -> list[Written]:
    ids = language.generate(
        inputs_embeds=embeds,
        attention_mask=mask,
        num_beams=config.beams,
        do_sample=False,
        max_new_tokens=config.max_new_tokens,
        min_length=1,
        no_repeat_ngram_size=config.no_repeat_ngram,
    )
    texts = tokenizer.batch_decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return [Written(text.strip(), 1.0) for text in texts]


def _written(steps: Greedy, tokenizer: PreTrainedTokenizerBase, count: int, eos_ids: Sequence[int]) -> list[Written]:
    streams = [TextStream(tokenizer) for _ in range(count)]
    tokens: list[list[Token]] = [[] for _ in range(count)]
    ended = [False] * count
    for ids, probabilities in steps:
        for row, (token_id, probability) in enumerate(zip(ids.tolist(), probabilities.tolist(), strict=True)):
            ended[row] = ended[row] or token_id in eos_ids
            if not ended[row]:
                tokens[row].append(Token(streams[row].push(token_id), probability))
    for stream, row_tokens in zip(streams, tokens, strict=True):
        if rest := stream.flush():
            row_tokens.append(Token(rest, row_tokens[-1].probability))
    return [Written("".join(token.text for token in row), confidence(row)) for row in tokens]


def _eos_ids(language: Any, text_config: Any, tokenizer: PreTrainedTokenizerBase) -> tuple[int, ...]:
    """As the engine has them: the generation's own, the configuration's, the tokenizer's."""
    for ids in (language.generation_config.eos_token_id, text_config.eos_token_id, tokenizer.eos_token_id):
        if ids is not None:
            return tuple(ids) if isinstance(ids, (list, tuple)) else (int(ids),)
    raise UserError("the model's configuration names no end-of-text token: set eos_token_id in config.json")
