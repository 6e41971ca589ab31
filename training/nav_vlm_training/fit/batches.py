"""Which questions make up update k, and what of them goes through the model at once.

Everything is a function of the seed and of k: a run goes on with exactly the sample that would have come next, and
however many processes and parts a batch is split into, it holds the same samples.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nav_vlm_node.vlm.prompt import encode_causal, encode_prompts, encode_targets
from nav_vlm_training.augment.example import Example
from nav_vlm_training.augment.plan import Augment, Pool

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerBase


def updates_of(questions: int, batch: int, epochs: int) -> int:
    """How many updates it takes to see every question `epochs` times; the last batch may begin another pass."""
    return -(-questions * epochs // batch)


def drawn(pool: Pool, augment: Augment, *, batch: int, step: int, seed: int) -> list[Example]:
    """The questions of update `step`. Every pass over the data is a new order, without gap from one to the next.

    With weights a pass is as many questions as there are, drawn by them: some come twice, some not at all.
    """
    places = range(step * batch, (step + 1) * batch)
    rows = [(place // len(pool), place % len(pool)) for place in places]
    return [
        pool.draw(int(_order(len(pool), seed, epoch, pool.weights)[row]), epoch, augment, seed) for epoch, row in rows
    ]


def parts(examples: Sequence[Example], micro_batch: int, rank: int = 0, world: int = 1) -> list[list[Example]]:
    """What process `rank` of `world` has of a batch, in parts that go through the model at once."""
    own = list(examples[rank::world])
    return [own[start : start + micro_batch] for start in range(0, len(own), micro_batch)]


def rows_of(
    tokenizer: PreTrainedTokenizerBase, config: Any, questions: Sequence[str], answers: Sequence[str], frames: int = 1
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """`input_ids`, `attention_mask` and `labels` of questions with answers, int64.

    config: the Blip2Config. T5: prompts [B, T], labels [B, L]. OPT: all [B, T], the answer behind the prompt. There are
    `frames` times the query tokens of one picture at the front of every row. Raises UserError for a question that is
    too long.
    """
    image_tokens = config.num_query_tokens * frames
    if config.use_decoder_only_language_model:
        return encode_causal(tokenizer, questions, answers, image_tokens, config.image_token_id)
    ids, mask = encode_prompts(tokenizer, questions, image_tokens, config.image_token_id, "right")
    return ids, mask, encode_targets(tokenizer, answers)


def without_tokens(tokenizer: PreTrainedTokenizerBase, answers: Sequence[str]) -> list[int]:
    """The places of answers with letters that the tokenizer has no token for: a model learns <unk> in their place."""
    unknown = tokenizer.unk_token_id
    if unknown is None or not answers:
        return []
    rows = tokenizer(list(answers), add_special_tokens=False)["input_ids"]
    return [place for place, row in enumerate(rows) if unknown in row]


@functools.lru_cache(maxsize=4)
def _order(count: int, seed: int, epoch: int, weights: tuple[float, ...] | None) -> npt.NDArray[np.int64]:
    rng = np.random.default_rng([seed, 3, epoch])
    if weights is None:
        return rng.permutation(count)
    return rng.choice(count, count, p=np.array(weights) / sum(weights))
