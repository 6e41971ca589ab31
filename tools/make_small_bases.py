"""A small BLIP-2 with OPT, beside the embedded one with T5: both kinds of language model, on any machine.

    python tools/make_small_bases.py --out DIR

DIR/opt is a base in transformers' own layout: the embedded model's ViT, Q-Former and query tokens, a new projection and
a new, **untrained** OPT (decoder only; 4 layers of 256) with a byte-level tokenizer of its own, as
Salesforce/blip2-opt-2.7b has them in large. What it says is noise until it is trained. It shows that whatever is done
with the T5 base can be done with an OPT one: `nav-vlm-train fit --model DIR/opt ...`. The T5 base is models/embedded.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nav_vlm_node import paths
from nav_vlm_node.errors import UserError
from nav_vlm_node.vlm.prompt import PROMPT_TEMPLATE, build_prompt

if TYPE_CHECKING:
    from transformers import Blip2ForConditionalGeneration, PreTrainedTokenizerFast

NAME = "opt"
WIDTH, LAYERS, HEADS, INNER = 256, 4, 8, 1024
PIECES, LONGEST = 1000, 512  # of the tokenizer; tokens of a row, pictures' included
SPECIALS = ["<pad>", "</s>", "<unk>", "<image>"]
FROM_THE_BASE = ("vision_model", "qformer", "query_tokens")


def sentences() -> Iterator[str]:
    """What the tokenizer's pieces are learnt from: the simulator's questions, and answers in canonical English."""
    import numpy as np

    from nav_vlm_node.instruction import Action, Step
    from nav_vlm_node.language import quantise, render_canonical
    from nav_vlm_sim.questions import NAMES, PHRASINGS

    rng = np.random.default_rng(0)
    names = sorted({name for some in NAMES.values() for name in some})
    for phrases in PHRASINGS.values():
        for phrase in phrases:
            yield build_prompt(phrase.format(names[int(rng.integers(len(names)))]))
    for name in names * 4:
        bearing, ahead = rng.uniform(-1.5, 1.5, 2)
        distance = float(rng.uniform(0.5, 9))
        hazard = Step(Action.CAUTION, float(ahead), distance / 2, "chair")
        steps = (hazard, Step(Action.TURN, float(bearing)), Step(Action.MOVE, 0.0, distance, name))
        yield " " + render_canonical(quantise(steps))
        yield " " + render_canonical((Step(Action.NOT_VISIBLE, landmark=name), Step(Action.SCAN)))


def new_tokenizer() -> PreTrainedTokenizerFast:
    """OPT's way: pieces of bytes, so that it can write anything; </s> before a text; padded on the left."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=PIECES, special_tokens=SPECIALS, show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    tokenizer.train_from_iterator(sentences(), trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single="</s> $A", special_tokens=[("</s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", bos_token="</s>", unk_token="<unk>",
        padding_side="left", model_max_length=LONGEST,
    )  # fmt: skip


def new_model(
    base: Blip2ForConditionalGeneration, tokenizer: PreTrainedTokenizerFast, seed: int
) -> Blip2ForConditionalGeneration:
    """The vision side of `base`, and a new projection and OPT drawn by `seed`."""
    import torch
    from transformers import Blip2Config, Blip2ForConditionalGeneration, OPTConfig

    given = base.config
    text = OPTConfig(
        vocab_size=len(tokenizer), hidden_size=WIDTH, word_embed_proj_dim=WIDTH, ffn_dim=INNER,
        num_hidden_layers=LAYERS, num_attention_heads=HEADS, max_position_embeddings=LONGEST,
        pad_token_id=tokenizer.pad_token_id, eos_token_id=tokenizer.eos_token_id, bos_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    config = Blip2Config(
        vision_config=given.vision_config, qformer_config=given.qformer_config, text_config=text,
        num_query_tokens=given.num_query_tokens, image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = Blip2ForConditionalGeneration(config)
    state: dict[str, Any] = dict(base.state_dict())
    seen = {name: tensor for name, tensor in state.items() if name.split(".")[0] in FROM_THE_BASE}
    left = model.load_state_dict(seen, strict=False)
    assert not left.unexpected_keys
    assert {name.split(".")[0] for name in left.missing_keys} == {"language_projection", "language_model"}
    return model.eval()


def make(out: Path, embedded: Path, seed: int) -> Path:
    """Writes out/opt, whole or not at all; returns it. Raises UserError and OSError."""
    from transformers import AutoProcessor, Blip2Processor

    from nav_vlm_training.embedded.architecture import load_base

    target, draft = out / NAME, out / f".{NAME}.draft"
    if target.exists():
        raise UserError(f"{target} is there already; give another --out, or delete it")
    base, tokenizer = load_base(embedded), new_tokenizer()
    model = new_model(base, tokenizer, seed)
    images = AutoProcessor.from_pretrained(embedded, local_files_only=True).image_processor
    view = json.loads((embedded / "nav_vlm.json").read_text(encoding="utf-8"))["view"]
    card = {"name": "nav_vlm_small_opt", "view": view, "prompt": PROMPT_TEMPLATE, "adapters": [], "default_adapter": ""}
    shutil.rmtree(draft, ignore_errors=True)
    try:
        model.save_pretrained(draft)
        Blip2Processor(images, tokenizer, num_query_tokens=base.config.num_query_tokens).save_pretrained(draft)
        (draft / "nav_vlm.json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
        draft.rename(target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return target


def main(argv: Sequence[str] | None = None) -> int:
    """Make it; returns the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--embedded", type=Path, metavar="D", help="the T5 base whose eyes it gets (models/embedded)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of its new weights (0)")
    args = parser.parse_args(argv)
    try:
        target = make(args.out, args.embedded or paths.embedded_model(), args.seed)
    except (UserError, OSError) as error:
        print(f"make_small_bases: error: {error}", file=sys.stderr)
        return 2
    print(f"{target}: a small BLIP-2 with an untrained OPT")
    return 0


if __name__ == "__main__":
    sys.exit(main())
