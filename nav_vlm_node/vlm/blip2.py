"""`Blip2Engine`: BLIP-2 with T5 or OPT, in this process. Made by `nav_vlm_node.vlm.load.load_engine`."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from nav_vlm_node.errors import UserError
from nav_vlm_node.vlm.decode import CausalDecoder, Decoder, Greedy, T5Decoder, TextStream
from nav_vlm_node.vlm.preprocess import Preprocessor
from nav_vlm_node.vlm.prompt import PaddingSide, check_image_tokens, encode_prompts
from nav_vlm_node.vlm.protocol import (
    MAX_NEW_TOKENS,
    EngineCancelled,
    EngineDeadline,
    EngineError,
    EngineInfo,
    EngineOutOfMemory,
    EngineUnavailable,
    Token,
    VisualTokens,
    VisualTokensExpired,
)

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import Blip2ForConditionalGeneration, PreTrainedTokenizerBase


@dataclass(frozen=True)
class Blip2Visual(VisualTokens):
    """embeds: [Q, D], of F pictures [F * Q, D], what the language model gets in place of the image tokens. `vision`:
    the adapter that shaped them, "" where none touches the vision side."""

    embeds: torch.Tensor
    owner: object
    vision: str


class Blip2Engine:
    """Encode once, answer any number of questions. Thread-safe: streams may interleave, a token at a time.

    model: in eval mode, frozen, on its device, with `peft_model` wrapped around it if there are adapters.
    vision_adapters: the adapters that change anything before the language model. frames: how many pictures each
    adapter was trained on at a time, one where nothing is said.
    """

    def __init__(
        self,
        model: Blip2ForConditionalGeneration,
        tokenizer: PreTrainedTokenizerBase,
        preprocessor: Preprocessor,
        info: EngineInfo,
        *,
        peft_model: PeftModel | None = None,
        vision_adapters: frozenset[str] = frozenset(),
        frames: Mapping[str, int] | None = None,
    ) -> None:
        self._model: Any = model
        self._tokenizer = tokenizer
        self._preprocessor = preprocessor
        self._peft_model: Any = peft_model
        self._vision_adapters = vision_adapters
        self._frames = dict(frames or {})
        self._info = info
        self._device = next(model.parameters()).device
        self._dtype = model.language_projection.weight.dtype
        self._lock = threading.Lock()  # held for one forward pass, never across a yield
        self._closed = False
        self._active: str | None = None  # the adapter that the modules are switched to
        language = model.language_model
        self._causal = bool(model.config.use_decoder_only_language_model)
        config = model.config.text_config
        self._eos_ids = _ids(language.generation_config.eos_token_id, config.eos_token_id, tokenizer.eos_token_id)
        self._pad_id = _ids(tokenizer.pad_token_id, config.pad_token_id, 0)[0]
        self._start_id = 0 if self._causal else _ids(config.decoder_start_token_id, self._pad_id)[0]
        # Learned positions end: OPT's table is a hard limit, T5's relative positions have none.
        self._max_positions = int(config.max_position_embeddings) if self._causal else None

    @property
    def info(self) -> EngineInfo:
        return self._info

    @property
    def frames(self) -> int:
        """How many pictures, three a second, the adapter that is set was trained on at a time: see `joined`."""
        return self._frames.get(self._info.adapter, 1)

    def encode(self, image: npt.NDArray[np.uint8], *, timeout: float | None = None) -> Blip2Visual:
        end = _end(timeout)
        visual = self.encode_batch([image])[0]
        _check_deadline(end)
        return visual

    def encode_batch(self, images: Sequence[npt.NDArray[np.uint8]]) -> list[Blip2Visual]:
        """Encode images, each uint8 [view.height, view.width, 3]. Raises UserError, EngineError."""
        view = self._info.view
        for image in images:
            if image.shape != (view.height, view.width, 3) or image.dtype != np.uint8:
                raise UserError(
                    f"the image is {image.dtype} {image.shape}, the model wants uint8 {(view.height, view.width, 3)}: "
                    "rectify it to the model's view first"
                )
        adapter = self._info.adapter
        with self._working(adapter), torch.inference_mode():
            pixel_values = self._preprocessor(images, self._device).to(self._dtype)
            embeds = image_tokens(self._model, pixel_values)
        vision = adapter if adapter in self._vision_adapters else ""
        return [Blip2Visual(row, self._model, vision) for row in embeds]

    def joined(self, visuals: Sequence[Blip2Visual]) -> Blip2Visual:
        """Several pictures as one, in this order: the oldest first, as training has them."""
        if len({(id(visual.owner), visual.vision) for visual in visuals}) != 1:
            raise VisualTokensExpired("these visual tokens are of different engines or adapters: encode again")
        return replace(visuals[0], embeds=torch.cat([visual.embeds for visual in visuals]))

    def check_length(self, queries: Sequence[str], *, pictures: int = 1, max_new_tokens: int = MAX_NEW_TOKENS) -> None:
        """Raises UserError where a question is too long to be asked with so many pictures."""
        for query in queries:
            self._rows([query], pictures * int(self._model.config.num_query_tokens), max_new_tokens)

    def stream(
        self,
        visual: VisualTokens,
        query: str,
        *,
        max_new_tokens: int = MAX_NEW_TOKENS,
        cancel: threading.Event | None = None,
        timeout: float | None = None,
    ) -> Iterator[Token]:
        """As in `Engine`; the adapter of the whole answer is the one that is set now."""
        adapter = self._info.adapter
        steps = self._greedy([visual], [query], max_new_tokens, adapter)
        return self._tokens(steps, adapter, cancel, _end(timeout))

    def _tokens(
        self, steps: Greedy, adapter: str, cancel: threading.Event | None, end: float | None
    ) -> Iterator[Token]:
        text = TextStream(self._tokenizer)
        probability = 1.0
        while True:
            if cancel is not None and cancel.is_set():
                raise EngineCancelled("canceled by the caller")
            _check_deadline(end)
            with self._working(adapter):
                step = next(steps, None)
            if step is None or int(step[0]) in self._eos_ids:
                break
            probability = float(step[1])
            self._check(probability)
            yield Token(text.push(int(step[0])), probability)
        if rest := text.flush():
            yield Token(rest, probability)

    def generate_batch(
        self, visuals: Sequence[VisualTokens], queries: Sequence[str], *, max_new_tokens: int = MAX_NEW_TOKENS
    ) -> list[tuple[str, list[Token]]]:
        """Answer queries[i] about visuals[i], all at once, for evaluation.

        Returns for each the whole text and its tokens: the same as one by one, up to the rounding of a batched matrix
        product.
        """
        adapter = self._info.adapter
        steps = self._greedy(visuals, queries, max_new_tokens, adapter)
        texts = [TextStream(self._tokenizer) for _ in queries]
        tokens: list[list[Token]] = [[] for _ in queries]
        ended = [False] * len(queries)
        while True:
            with self._working(adapter):
                step = next(steps, None)
            if step is None:
                break
            for row, (token_id, probability) in enumerate(zip(step[0].tolist(), step[1].tolist(), strict=True)):
                ended[row] = ended[row] or token_id in self._eos_ids
                if not ended[row]:
                    self._check(probability)
                    tokens[row].append(Token(texts[row].push(token_id), probability))
        for text, row_tokens in zip(texts, tokens, strict=True):
            if rest := text.flush():
                row_tokens.append(Token(rest, row_tokens[-1].probability))
        return [("".join(token.text for token in row_tokens), row_tokens) for row_tokens in tokens]

    def _check(self, probability: float) -> None:
        if not probability > 0.0:
            whole = self._info.dtype == "float32"
            advice = "its weights, or the adapter's, are damaged: copy them again" if whole else "load it in float32"
            raise EngineError(f"the model's output is not a number ({self._info.dtype}): {advice}")

    def set_adapter(self, name: str) -> None:
        if name and name not in self._info.adapters:
            raise UserError(f"no adapter {name!r}: there are {', '.join(self._info.adapters) or 'none'}")
        self._info = replace(self._info, adapter=name)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._model = self._peft_model = None
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    def _greedy(
        self, visuals: Sequence[VisualTokens], queries: Sequence[str], max_new_tokens: int, adapter: str
    ) -> Greedy:
        if self._closed:
            raise EngineUnavailable("the engine is closed")
        vision = adapter if adapter in self._vision_adapters else ""
        rows = []
        for visual in visuals:
            if not isinstance(visual, Blip2Visual) or visual.owner is not self._model or visual.vision != vision:
                raise VisualTokensExpired("these visual tokens are another engine's or another adapter's: encode again")
            rows.append(visual.embeds)
        ids, mask = self._rows(queries, rows[0].shape[0], max_new_tokens)
        with self._working(adapter), torch.inference_mode():
            ids, mask = ids.to(self._device), mask.to(self._device)
            embeds = prompt_embeds(self._model, ids, torch.stack(rows))
        language = self._model.language_model
        decoder: Decoder = CausalDecoder(language) if self._causal else T5Decoder(language, self._start_id)
        return Greedy(decoder, embeds, mask, eos_ids=self._eos_ids, pad_id=self._pad_id, max_new_tokens=max_new_tokens)

    def _rows(
        self, queries: Sequence[str], image_tokens: int, max_new_tokens: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """`input_ids` and `attention_mask` [B, T] with so many image tokens in each row. Raises UserError."""
        side: PaddingSide = "left" if self._causal else "right"
        ids, mask = encode_prompts(self._tokenizer, queries, image_tokens, self._model.config.image_token_id, side)
        if self._max_positions is not None and ids.shape[1] + max_new_tokens > self._max_positions:
            raise UserError(f"the question and {max_new_tokens} new tokens exceed the model's {self._max_positions}")
        return ids, mask

    @contextmanager
    def _working(self, adapter: str) -> Iterator[None]:
        """One forward pass under `adapter`: alone, and its failures as EngineError."""
        with self._lock:
            if self._closed:
                raise EngineUnavailable("the engine is closed")
            self._switch(adapter)
            try:
                yield
            except (MemoryError, RuntimeError) as error:
                if is_out_of_memory(error):
                    raise EngineOutOfMemory(f"out of memory on {self._info.device}: {_first_line(error)}") from error
                raise EngineError(f"the model failed: {_first_line(error)}") from error

    def _switch(self, adapter: str) -> None:
        if self._peft_model is None or adapter == self._active:
            return
        if adapter:
            self._peft_model.base_model.enable_adapter_layers()
            self._peft_model.set_adapter(adapter, inference_mode=True)
        else:
            self._peft_model.base_model.disable_adapter_layers()
        self._active = adapter


def image_tokens(model: Any, pixel_values: torch.Tensor) -> torch.Tensor:
    """pixel_values [B, 3, S, S] to the language model's image tokens [B, Q, D], as Blip2 computes them."""
    image_embeds = model.vision_model(pixel_values=pixel_values, return_dict=True).last_hidden_state
    query_output = model.qformer(
        query_embeds=model.query_tokens.expand(image_embeds.shape[0], -1, -1),
        encoder_hidden_states=image_embeds,
        encoder_attention_mask=torch.ones(image_embeds.shape[:-1], dtype=torch.long, device=image_embeds.device),
        return_dict=True,
    ).last_hidden_state
    projected: torch.Tensor = model.language_projection(query_output.to(image_embeds.dtype))
    return projected


def prompt_embeds(model: Any, input_ids: torch.Tensor, visual: torch.Tensor) -> torch.Tensor:
    """input_ids [B, T] with Q image tokens each, visual [B, Q, D] to the language model's input [B, T, D]."""
    check_image_tokens(input_ids, visual.shape[1], model.config.image_token_id)
    embeds: torch.Tensor = model.get_input_embeddings()(input_ids)
    is_image = (input_ids == model.config.image_token_id).unsqueeze(-1)
    return embeds.masked_scatter(is_image, visual.to(embeds.dtype))


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a device, or this machine, had too little memory; torch has no type of its own for the latter."""
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "can't allocate memory" in str(error)


def _ids(*candidates: int | list[int] | None) -> tuple[int, ...]:
    """The first candidate that is not None, as a tuple."""
    for value in candidates:
        if value is not None:
            return tuple(value) if isinstance(value, (list, tuple)) else (int(value),)
    raise UserError("the model's configuration names no end-of-text token: set eos_token_id in config.json")


def _end(timeout: float | None) -> float | None:
    return None if timeout is None else time.monotonic() + timeout


def _check_deadline(end: float | None) -> None:
    if end is not None and time.monotonic() > end:
        raise EngineDeadline("the time allowed for the call is over")


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
