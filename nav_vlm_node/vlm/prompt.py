"""The one prompt template, and how prompts and targets become token ids for BLIP-2.

Training and the node both go through here, so that neither can drop the image tokens or the attention mask. A row is

    T5    [image x Q] [text </s>] [pad ...]        the answer is tokenised apart, `encode_targets`
    OPT   [image x Q] [pad ...] [</s> text]        left-padded: the last position is real in every row

which is what transformers' Blip2Processor makes. A row with fewer than Q image tokens runs without complaint and
ignores the image, so the count is asserted on every row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from nav_vlm_node.errors import UserError

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerBase

PROMPT_TEMPLATE = "Question: {query} Answer:"
MAX_PROMPT_TOKENS = 256  # of text; the image tokens come on top
IGNORE = -100  # the label that the loss skips

PaddingSide = Literal["left", "right"]


def prompt_of(frames: int) -> str:
    """The prompt template as a card has it: what an adapter that looks at several pictures is marked with."""
    return PROMPT_TEMPLATE if frames == 1 else f"[{frames} pictures, three a second] {PROMPT_TEMPLATE}"


def build_prompt(query: str) -> str:
    """The prompt text for one question; runs of blanks and control characters become one blank."""
    printable = "".join(c if c.isprintable() else " " for c in query)
    return PROMPT_TEMPLATE.format(query=" ".join(printable.split()))


def encode_prompts(
    tokenizer: PreTrainedTokenizerBase,
    queries: Sequence[str],
    num_query_tokens: int,
    image_token_id: int,
    padding_side: PaddingSide,
    *,
    max_prompt_tokens: int = MAX_PROMPT_TOKENS,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Questions to `input_ids`, `attention_mask`, both int64 [B, num_query_tokens + longest text].

    padding_side: "right" for T5, "left" for OPT (or any decoder-only language model).
    Raises UserError if a prompt has more than max_prompt_tokens tokens of text.
    """
    import torch

    rows = [_text_ids(tokenizer, query, max_prompt_tokens) for query in queries]
    pad = _pad_id(tokenizer)
    width = max(len(row) for row in rows)
    input_ids = torch.full((len(rows), num_query_tokens + width), pad, dtype=torch.long)
    attention_mask = torch.zeros_like(input_ids)
    input_ids[:, :num_query_tokens] = image_token_id
    attention_mask[:, :num_query_tokens] = 1
    for i, row in enumerate(rows):
        start = num_query_tokens + (width - len(row) if padding_side == "left" else 0)
        input_ids[i, start : start + len(row)] = torch.tensor(row, dtype=torch.long)
        attention_mask[i, start : start + len(row)] = 1
    check_image_tokens(input_ids, num_query_tokens, image_token_id)
    return input_ids, attention_mask


def check_image_tokens(input_ids: torch.Tensor, num_query_tokens: int, image_token_id: int) -> None:
    """Raise ValueError unless every row of input_ids [B, T] has exactly num_query_tokens image tokens.

    With fewer, transformers answers without looking at the image and says nothing.
    """
    counts = (input_ids == image_token_id).sum(dim=1)
    if not bool((counts == num_query_tokens).all()):
        raise ValueError(f"expected {num_query_tokens} image tokens in every row, found {counts.tolist()}")


def encode_targets(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> torch.Tensor:
    """Answers to T5 labels, int64 [B, longest], each ending in </s>, padded with -100."""
    import torch

    eos = _eos_id(tokenizer)
    rows = [_plain_ids(tokenizer, text) + [eos] for text in texts]
    labels = torch.full((len(rows), max(len(row) for row in rows)), IGNORE, dtype=torch.long)
    for i, row in enumerate(rows):
        labels[i, : len(row)] = torch.tensor(row, dtype=torch.long)
    return labels


def encode_causal(
    tokenizer: PreTrainedTokenizerBase,
    queries: Sequence[str],
    texts: Sequence[str],
    num_query_tokens: int,
    image_token_id: int,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Questions and answers to `input_ids`, `attention_mask`, `labels` for OPT, all int64 [B, T].

    Rows are [image x Q] [pad ...] [</s> question] [answer </s>]; only the answer and its </s> carry labels.
    """
    import torch

    eos, pad = _eos_id(tokenizer), _pad_id(tokenizer)
    questions = [_text_ids(tokenizer, query, MAX_PROMPT_TOKENS) for query in queries]
    # A byte-level vocabulary has the blank inside the token: the answer follows "Answer:" as " Turn left", not "Turn".
    answers = [_plain_ids(tokenizer, " " + text) + [eos] for text in texts]
    width = num_query_tokens + max(len(q) + len(a) for q, a in zip(questions, answers, strict=True))
    input_ids = torch.full((len(questions), width), pad, dtype=torch.long)
    attention_mask = torch.zeros_like(input_ids)
    labels = torch.full_like(input_ids, IGNORE)
    input_ids[:, :num_query_tokens] = image_token_id
    attention_mask[:, :num_query_tokens] = 1
    for i, (question, answer) in enumerate(zip(questions, answers, strict=True)):
        row = question + answer
        input_ids[i, width - len(row) :] = torch.tensor(row, dtype=torch.long)
        attention_mask[i, width - len(row) :] = 1
        labels[i, width - len(answer) :] = torch.tensor(answer, dtype=torch.long)
    check_image_tokens(input_ids, num_query_tokens, image_token_id)
    return input_ids, attention_mask, labels


def _text_ids(tokenizer: PreTrainedTokenizerBase, query: str, max_prompt_tokens: int) -> list[int]:
    for added in tokenizer.added_tokens_decoder.values():  # "<image>" in a question must not become an image token
        if added.special:
            query = query.replace(added.content, " ")
    # One character is seldom more than one token here, and never when it matters: do not tokenise a book to refuse it.
    if len(query) > 64 * max_prompt_tokens:
        raise UserError(f"the question is too long ({len(query)} characters): ask in one sentence")
    ids = list(tokenizer(build_prompt(query), add_special_tokens=True)["input_ids"])
    if len(ids) > max_prompt_tokens:
        raise UserError(
            f"the question is too long ({len(ids)} tokens, at most {max_prompt_tokens}): ask in one sentence"
        )
    return ids


def _plain_ids(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def _pad_id(tokenizer: PreTrainedTokenizerBase) -> int:
    if tokenizer.pad_token_id is None:
        raise UserError("the model's tokenizer has no pad token: add `pad_token` to its tokenizer_config.json")
    return int(tokenizer.pad_token_id)


def _eos_id(tokenizer: PreTrainedTokenizerBase) -> int:
    if tokenizer.eos_token_id is None:
        raise UserError("the model's tokenizer has no end-of-text token: add `eos_token` to its tokenizer_config.json")
    return int(tokenizer.eos_token_id)
