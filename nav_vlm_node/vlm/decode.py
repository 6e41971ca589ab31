"""Greedy generation with a key-value cache, a token at a time, and turning token ids into text as they come.

transformers' own `generate` looks at the image again for every question, cannot be stopped, and has no probabilities
to give as it goes; here the steps are the same and the ids come out equal (a test compares them).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import torch

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class Decoder(Protocol):
    """One generation of B rows: `start` once, then `step` with the tokens chosen."""

    def start(self, embeds: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """embeds [B, T, D], attention mask [B, T] to the first token's logits [B, V]."""

    def step(self, ids: torch.Tensor) -> torch.Tensor:
        """The tokens just chosen, [B], to the next token's logits [B, V]."""


class T5Decoder:
    """Encoder-decoder: the prompt is encoded once, cross-attention keys are kept."""

    def __init__(self, language_model: Any, start_id: int) -> None:
        self._model = language_model
        self._start_id = start_id
        self._encoded: tuple[torch.Tensor] | None = None
        self._mask: torch.Tensor | None = None
        self._cache: Any = None

    def start(self, embeds: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        encoder = self._model.get_encoder()
        self._encoded = (encoder(inputs_embeds=embeds, attention_mask=mask).last_hidden_state,)
        self._mask = mask
        return self.step(torch.full((embeds.shape[0],), self._start_id, dtype=torch.long, device=embeds.device))

    def step(self, ids: torch.Tensor) -> torch.Tensor:
        output = self._model(
            decoder_input_ids=ids[:, None],
            encoder_outputs=self._encoded,
            attention_mask=self._mask,
            past_key_values=self._cache,
            use_cache=True,
        )
        self._cache = output.past_key_values
        logits: torch.Tensor = output.logits[:, -1]
        return logits


class CausalDecoder:
    """Decoder-only (OPT), left-padded: the image and the prompt are prefilled, then one token a step."""

    def __init__(self, language_model: Any) -> None:
        self._model = language_model
        self._mask: torch.Tensor | None = None
        self._cache: Any = None

    def start(self, embeds: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        self._mask = mask
        return self._forward(inputs_embeds=embeds)

    def step(self, ids: torch.Tensor) -> torch.Tensor:
        assert self._mask is not None
        self._mask = torch.cat([self._mask, self._mask.new_ones(self._mask.shape[0], 1)], dim=1)
        return self._forward(input_ids=ids[:, None])

    def _forward(self, **inputs: torch.Tensor) -> torch.Tensor:
        output = self._model(
            **inputs, attention_mask=self._mask, past_key_values=self._cache, use_cache=True, logits_to_keep=1
        )
        self._cache = output.past_key_values
        logits: torch.Tensor = output.logits[:, -1]
        return logits


class Greedy:
    """The most probable token at each step. Iterating yields (ids [B], probabilities [B]) on the CPU, a step each.

    A row that has ended goes on as `pad_id` with probability 1. Ends when all rows have, or after max_new_tokens.
    """

    def __init__(
        self,
        decoder: Decoder,
        embeds: torch.Tensor,
        mask: torch.Tensor,
        *,
        eos_ids: Sequence[int],
        pad_id: int,
        max_new_tokens: int,
    ) -> None:
        self._decoder = decoder
        self._embeds: torch.Tensor | None = embeds
        self._mask = mask
        self._eos = torch.tensor(list(eos_ids), device=embeds.device)
        self._pad_id = pad_id
        self._left = max_new_tokens
        self._done = torch.zeros(embeds.shape[0], dtype=torch.bool, device=embeds.device)
        self._ids: torch.Tensor | None = None

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        return self

    @torch.inference_mode()
    def __next__(self) -> tuple[torch.Tensor, torch.Tensor]:
        if self._left <= 0 or bool(self._done.all()):
            raise StopIteration
        if self._embeds is not None:
            logits = self._decoder.start(self._embeds, self._mask)
            self._embeds = None
        else:
            assert self._ids is not None
            logits = self._decoder.step(self._ids)
        self._left -= 1
        probabilities, ids = torch.softmax(logits.float(), dim=-1).max(dim=-1)
        ids = torch.where(self._done, self._pad_id, ids)
        probabilities = torch.where(self._done, 1.0, probabilities)
        self._done |= torch.isin(ids, self._eos)
        self._ids = ids
        return ids.cpu(), probabilities.cpu()


class TextStream:
    """Token ids in, the text that each one adds out; the pieces joined are the tokenizer's decoding of all of them.

    Ids are never decoded one by one: that loses the blanks between words, and splits characters of several bytes.
    A piece that may still change (half a character) is held back until it is whole, or until `flush`.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer
        self._ids: list[int] = []
        self._given = ""

    def push(self, token_id: int) -> str:
        """The text that this token adds; "" for a special token and while a character is incomplete."""
        self._ids.append(token_id)
        text = self._decode()
        return "" if text.endswith("\ufffd") else self._give(text)

    def flush(self) -> str:
        """What was held back, at the end."""
        return self._give(self._decode())

    def _decode(self) -> str:
        return str(
            self._tokenizer.decode(self._ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        ).lstrip()

    def _give(self, text: str) -> str:
        if not text.startswith(self._given):
            return ""  # the decoder changed its mind about what was given out already; nothing can be taken back
        piece, self._given = text[len(self._given) :], text
        return piece
