"""A tiny random BLIP-2, built from its config in well under a second, with its own tokenizer and processor.

It is the real `Blip2ForConditionalGeneration` in the real `save_pretrained` layout, so whatever loads it loads any
other. Its answers are noise that depends on the image and on the question.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from nav_vlm_node.view import View
from nav_vlm_node.vlm.prompt import PROMPT_TEMPLATE

if TYPE_CHECKING:
    from transformers import Blip2ForConditionalGeneration, PreTrainedTokenizerFast

IMAGE_SIZE = 32
NUM_QUERY_TOKENS = 4
MEAN, STD = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
TEXTS = (
    "Question: How do I get to the exit? Answer:",
    "Question: Where is the nearest chair? Answer:",
    "Caution, chair 20 degrees left at 1.5 metres. Turn right 35 degrees, then move 4 metres to the door.",
    "No elevator in view. Turn slowly to scan. The exit sign points left. Stop.",
    "Nothing found in the way for 3 metres. I do not know that place. Turn around. Door ahead at 0.5 metres.",
)
SPECIALS = ["<pad>", "</s>", "<unk>", "<image>"]
Language = Literal["t5", "opt"]


def make_tiny_blip2(
    path: Path | str, language: Language = "t5", *, seed: int = 0, with_adapter: bool = False, card: bool = True
) -> Path:
    """Write a tiny BLIP-2 to `path` and return it.

    with_adapter: also <path>/adapters/guide, a LoRA adapter with random weights that is not the identity.
    card: write nav_vlm.json; without it the directory is a plain BLIP-2.
    """
    path = Path(path)
    tokenizer = tiny_tokenizer(language)
    model = tiny_model(tokenizer, language, seed)
    model.save_pretrained(path)
    _save_processor(path, tokenizer)
    if card:
        view = View(projection="squash", width=IMAGE_SIZE, height=IMAGE_SIZE).to_json()
        names = ["guide"] if with_adapter else []
        data = {
            "name": f"tiny-{language}",
            "view": view,
            "prompt": PROMPT_TEMPLATE,
            "adapters": [f"adapters/{name}" for name in names],
            "default_adapter": names[0] if names else "",
        }
        (path / "nav_vlm.json").write_text(json.dumps(data, indent=2))
    if with_adapter:
        make_tiny_adapter(path, "guide", seed=seed + 1)
    return path


def make_tiny_adapter(base: Path, name: str, *, seed: int = 1) -> Path:
    """Write <base>/adapters/<name>: LoRA on the language model's q and v with random weights."""
    import torch
    from transformers import Blip2ForConditionalGeneration

    from nav_vlm_node.vlm.adapters import attach_new, save_adapter

    model = Blip2ForConditionalGeneration.from_pretrained(base, local_files_only=True)
    peft_model = attach_new(model, rank=2, alpha=4)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for key, parameter in peft_model.named_parameters():
            if "lora_" in key:
                parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
    directory = base / "adapters" / name
    save_adapter(peft_model, directory, base_directory=base, name=name, metrics={"direction_accuracy": 0.5})
    return directory


def tiny_model(tokenizer: PreTrainedTokenizerFast, language: Language, seed: int = 0) -> Blip2ForConditionalGeneration:
    """The model itself, on the CPU, float32, in eval mode."""
    import torch
    from transformers import (
        Blip2Config,
        Blip2ForConditionalGeneration,
        Blip2QFormerConfig,
        Blip2VisionConfig,
        OPTConfig,
        T5Config,
    )

    vision = Blip2VisionConfig(
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        image_size=IMAGE_SIZE,
        patch_size=8,
        initializer_range=0.1,
    )
    qformer = Blip2QFormerConfig(
        vocab_size=2,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        cross_attention_frequency=1,
        initializer_range=0.3,
    )
    ids = {
        "pad_token_id": tokenizer.pad_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "bos_token_id": tokenizer.eos_token_id,
    }
    text: T5Config | OPTConfig
    if language == "t5":
        text = T5Config(
            vocab_size=len(tokenizer),
            d_model=24,
            d_kv=8,
            num_heads=3,
            d_ff=32,
            num_layers=2,
            num_decoder_layers=2,
            feed_forward_proj="gated-gelu",
            decoder_start_token_id=tokenizer.pad_token_id,
            **ids,
        )
    else:
        text = OPTConfig(
            vocab_size=len(tokenizer),
            hidden_size=24,
            word_embed_proj_dim=24,
            ffn_dim=32,
            num_hidden_layers=2,
            num_attention_heads=3,
            max_position_embeddings=512,
            tie_word_embeddings=False,
            **ids,
        )
    config = Blip2Config(
        vision_config=vision,
        qformer_config=qformer,
        text_config=text,
        num_query_tokens=NUM_QUERY_TOKENS,
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
    )
    rng_state = torch.get_rng_state()
    torch.manual_seed(seed)
    model = Blip2ForConditionalGeneration(config)
    with torch.no_grad():
        torch.nn.init.normal_(model.query_tokens, std=0.5)
        torch.nn.init.normal_(model.language_projection.weight, std=1.0)
        head = torch.nn.Linear(24, len(tokenizer), bias=False)  # a head of its own, as FLAN-T5 has
        model.language_model.lm_head = head
        for parameter in model.language_model.parameters():
            if parameter.ndim == 2:  # large enough that the answer depends on the question, the image and itself
                parameter.normal_(std=1.5 * parameter.shape[1] ** -0.5)
        model.language_model.get_input_embeddings().weight.normal_(std=1.0)
        head.weight[: len(SPECIALS)] *= 0.3  # seldom the end: answers of some length
    torch.set_rng_state(rng_state)
    return model.eval()


def tiny_tokenizer(language: Language) -> PreTrainedTokenizerFast:
    """A few hundred pieces learnt from `TEXTS`: T5's way ("▁" before a word, </s> after a text) or OPT's (bytes,
    </s> before a text, padded on the left)."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    if language == "t5":
        tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
        tokenizer.decoder = decoders.Metaspace()
        alphabet = list("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,?!':-")
        template = "$A </s>"
    else:
        tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        template = "</s> $A"
    trainer = trainers.BpeTrainer(
        vocab_size=380, special_tokens=SPECIALS, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single=template, special_tokens=[("</s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="</s>",
        bos_token="</s>" if language == "opt" else None,
        unk_token="<unk>",
        padding_side="left" if language == "opt" else "right",
        model_max_length=256,
    )


def _save_processor(path: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    import transformers
    from transformers import Blip2Processor

    # The PIL one has that name where there is a torchvision one too (transformers 5.21 on).
    kind = getattr(transformers, "BlipImageProcessorPil", None) or transformers.BlipImageProcessor
    image_processor = kind(size={"height": IMAGE_SIZE, "width": IMAGE_SIZE}, image_mean=MEAN, image_std=STD)
    Blip2Processor(image_processor, tokenizer, num_query_tokens=NUM_QUERY_TOKENS).save_pretrained(path)
