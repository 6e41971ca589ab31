"""A tiny BERT with fixed weights, written in milliseconds: the same on every machine, with every version of torch."""

from __future__ import annotations

import json
import string
from pathlib import Path

import numpy as np

LAYERS, WIDTH, POSITIONS = 3, 24, 48
WORDS = (
    "turn left right straight ahead move walk go then to the a door exit stairs chair table on your in front of you"
    " behind metres steps degrees caution stop is there no yes and at sign points it near past through around back"
).split()


def make_tiny_bert(path: Path) -> Path:
    """Writes the encoder to `path` and returns it. Its vocabulary: the words above, and pieces of one letter."""
    import torch
    from transformers import BertConfig, BertModel

    signs = [*string.ascii_lowercase, *string.digits, *".,;:!?'-"]
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *signs, *(f"##{sign}" for sign in signs), *WORDS]
    vocabulary = list(dict.fromkeys(vocabulary))
    config = BertConfig(
        vocab_size=len(vocabulary), hidden_size=WIDTH, num_hidden_layers=LAYERS, num_attention_heads=4,
        intermediate_size=32, max_position_embeddings=POSITIONS, type_vocab_size=2,
    )  # fmt: skip
    model = BertModel(config, add_pooling_layer=False).eval()
    random = np.random.RandomState(0)  # whose numbers are the same for ever
    with torch.no_grad():
        for name, weights in sorted(model.named_parameters()):
            around = 1.0 if name.endswith("LayerNorm.weight") else 0.0
            weights.copy_(torch.from_numpy(around + 0.3 * random.standard_normal(tuple(weights.shape))))
    model.save_pretrained(path)
    (path / "vocab.txt").write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
    options = {"tokenizer_class": "BertTokenizer", "do_lower_case": True, "model_max_length": POSITIONS}
    (path / "tokenizer_config.json").write_text(json.dumps(options), encoding="utf-8")
    return path
