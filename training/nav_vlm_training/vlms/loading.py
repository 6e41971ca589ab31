"""Any vision-language model of transformers, from a directory, as its `AutoModelForImageTextToText` loads it.

Only safetensors, only local files, and no code that comes with the model. Whatever is wrong is one line.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from nav_vlm_node.errors import UserError
from nav_vlm_node.vlm.card import model_sha256, model_weights, read_json
from nav_vlm_node.vlm.quiet import quiet

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True, kw_only=True)
class OtherModel:
    """A vision-language model of some family, frozen and in eval mode.

    family: transformers' name for it. model: the `...ForConditionalGeneration` itself. processor: of pictures and text.
    seq2seq: whether answers come from a decoder of their own, else they follow the question in one row.
    """

    name: str
    family: str
    model: Any
    processor: Any
    tokenizer: PreTrainedTokenizerBase
    seq2seq: bool
    sha256: str

    @property
    def device(self) -> torch.device:
        """Where its first weights are."""
        return torch.device(next(self.model.parameters()).device)

    @property
    def ends(self) -> tuple[int, ...]:
        """The tokens that end an answer; the last one is what is learnt to be written there."""
        text = self.model.config.get_text_config(decoder=True)
        told = (self.model.generation_config.eos_token_id, getattr(text, "eos_token_id", None))
        ids = [i for one in told if one is not None for i in (one if isinstance(one, (list, tuple)) else (one,))]
        own = self.tokenizer.eos_token_id if self.tokenizer.eos_token_id is not None else self.tokenizer.sep_token_id
        ids += [own] if own is not None else ids[:1]
        if not ids:
            raise UserError(f"{self.name} names no end-of-text token: add `eos_token` to its tokenizer_config.json")
        return tuple(int(i) for i in ids)


def load_other(directory: Path, device: torch.device, dtype: torch.dtype) -> OtherModel:
    """Raises UserError for whatever is no vision-language model, or not whole."""
    from transformers import AutoConfig, AutoModelForImageTextToText
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

    if not directory.is_dir():
        raise UserError(f"no model directory at {directory}: give the path of a saved vision-language model")
    family = str(read_json(directory / "config.json", "the model's configuration").get("model_type"))
    if family not in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES:
        raise UserError(
            f"{directory} holds a {family!r} model, which is not among the vision-language models of transformers: "
            "give one that AutoModelForImageTextToText loads"
        )
    weights = model_weights(directory)
    local = {"local_files_only": True, "trust_remote_code": False}
    config = _loaded(directory, "its config.json", lambda: AutoConfig.from_pretrained(directory, **local))
    processor = _load_processor(directory, local)
    model, loading = _loaded(
        directory, "the model",
        lambda: AutoModelForImageTextToText.from_pretrained(
            directory, config=config, dtype=dtype, use_safetensors=True, output_loading_info=True, **local
        ),
    )  # fmt: skip
    for kind in ("missing_keys", "mismatched_keys"):  # transformers fills them with random numbers and a warning
        if loading[kind]:
            example = sorted(map(str, loading[kind]))[0]
            raise UserError(f"the weights in {directory} lack {len(loading[kind])} tensors ({example}): copy it again")
    tokenizer = processor.tokenizer
    if tokenizer.pad_token_id is None:  # nothing is read where there is padding, so any token will do
        tokenizer.pad_token = tokenizer.eos_token
    text = model.config.get_text_config(decoder=True)
    return OtherModel(
        name=directory.resolve().name, family=family, model=model.requires_grad_(False).to(device).eval(),
        processor=processor, tokenizer=tokenizer,
        seq2seq=bool(getattr(model.config, "is_encoder_decoder", False) or getattr(text, "is_encoder_decoder", False)),
        sha256=model_sha256(weights),
    )  # fmt: skip


def _load_processor(directory: Path, local: dict[str, Any]) -> Any:
    from transformers import AutoProcessor

    processor = _loaded(directory, "its processor", lambda: AutoProcessor.from_pretrained(directory, **local))
    lacking = [part for part in ("tokenizer", "image_processor") if getattr(processor, part, None) is None]
    if lacking:
        raise UserError(
            f"{directory} has no processor for pictures with text (no {lacking[0]}): save the processor there too "
            "(save_pretrained)"
        )
    return processor


def _loaded(directory: Path, what: str, load: Callable[[], Any]) -> Any:
    """What `load` gives. Raises UserError with the first line of whatever goes wrong."""
    with quiet():
        try:
            return load()
        except Exception as error:  # transformers, tokenizers and safetensors raise types of their own
            if isinstance(error, torch.OutOfMemoryError):
                raise UserError(f"{directory} does not fit into memory: use another --device, or bf16") from None
            line = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise UserError(f"{directory} does not load ({what}): {line}") from None
