"""Training speed and memory at the true size of a base, with random weights: speed does not depend on them.

    python3 tools/bench_training.py --variant lm_only --precision bf16 --out docs/results/gpu/training_lm_only_bf16.json

The variant is that of `nav_vlm_training.variants` and the update is `nav_vlm_training.fit.step.train_step`: what is
measured is what `nav-vlm-train fit` does once pictures and texts are tensors. Where the vision model is frozen, the
update is measured twice: `recomputed`, from pixels, and `cached`, from kept features.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nav_vlm_node import paths, results
from nav_vlm_node.errors import UserError
from nav_vlm_training.variants import VISION, Variant, attach, trained_counts, variant_of

if TYPE_CHECKING:
    import torch

    from nav_vlm_training.fit.step import Batch

PROMPT, ANSWER = 24, 40  # tokens: a question with its frame, an answer of a sentence or two
WARM = 3  # updates that load kernels and do not count
BASES = ("flan-t5-xl", "opt-2.7b", "small")
RATE = 3e-4


def config_of(base: str) -> Any:
    """The Blip2Config of a base on the hub, by its config.json; "small": of the embedded model."""
    from transformers import Blip2Config, Blip2QFormerConfig, Blip2VisionConfig, OPTConfig, T5Config

    if base == "small":
        return Blip2Config.from_pretrained(paths.embedded_model(), local_files_only=True)
    text: Any
    if base == "flan-t5-xl":
        image = 32100
        text = T5Config(
            vocab_size=32128, d_model=2048, d_kv=64, d_ff=5120, num_layers=24, num_decoder_layers=24, num_heads=32,
            feed_forward_proj="gated-gelu", decoder_start_token_id=0,
        )  # fmt: skip
    else:
        image = 50265
        text = OPTConfig(
            vocab_size=50304, hidden_size=2560, word_embed_proj_dim=2560, ffn_dim=10240, num_hidden_layers=32,
            num_attention_heads=32,
        )  # fmt: skip
    vision = Blip2VisionConfig(
        hidden_size=1408, intermediate_size=6144, num_hidden_layers=39, num_attention_heads=16, patch_size=14,
        image_size=224,
    )  # fmt: skip
    qformer = Blip2QFormerConfig(
        hidden_size=768, num_hidden_layers=12, intermediate_size=3072, encoder_hidden_size=1408
    )
    return Blip2Config(
        vision_config=vision, qformer_config=qformer, text_config=text, num_query_tokens=32, image_token_index=image
    )


def build(base: str, variant: Variant, device: torch.device, precision: str) -> Any:
    """A frozen base with random weights, with what the variant trains on it, as `fit` has it."""
    import torch
    from transformers import Blip2ForConditionalGeneration

    low = precision == "bf16" and not variant.everything
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16 if low else torch.float32)
    try:
        with torch.device(device):
            model = Blip2ForConditionalGeneration(config_of(base))
    finally:
        torch.set_default_dtype(before)
    model.requires_grad_(False).eval()
    attach(model, variant)
    return model


def random_batch(model: Any, variant: Variant, rows: int, *, cached: bool) -> Batch:
    """Rows of the usual length; `seen` is pixels, or what the vision model makes of them where that is kept."""
    import torch

    from nav_vlm_training.fit.step import Batch

    config, device = model.config, model.device
    queries, vision = config.num_query_tokens * variant.frames, config.vision_config
    vocabulary = config.text_config.vocab_size
    causal = config.use_decoder_only_language_model
    ids = torch.randint(5, vocabulary, (rows, queries + PROMPT + (ANSWER if causal else 0)), device=device)
    ids[ids == config.image_token_id] = 4
    ids[:, :queries] = config.image_token_id
    labels = torch.randint(5, vocabulary, (rows, ANSWER), device=device)
    if causal:
        labels = torch.cat([torch.full((rows, queries + PROMPT), -100, device=device), ids[:, -ANSWER:]], dim=1)
    size, patches = vision.image_size, (vision.image_size // vision.patch_size) ** 2 + 1
    shape = (patches, vision.hidden_size) if cached else (3, size, size)
    seen = torch.randn(rows, variant.frames, *shape, device=device, dtype=model.language_projection.weight.dtype)
    return Batch(ids, torch.ones_like(ids), labels, seen)


def measure(
    model: Any, variant: Variant, *, batch: int, micro_batch: int, steps: int, precision: str, cached: bool
) -> dict[str, Any]:
    """Samples per second of `steps` updates after some that do not count, and the peak of the GPU's memory [bytes]."""
    import torch

    from nav_vlm_training.fit.step import answer_loss, set_learning, set_modes, train_step

    device = model.device
    cuda = device.type == "cuda"
    trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    set_learning(model, trained, variant.parts)
    set_modes(model, variant.parts)
    optimizer = torch.optim.AdamW(trained.values(), lr=RATE)
    parts = [
        random_batch(model, variant, min(micro_batch, batch - start), cached=cached)
        for start in range(0, batch, micro_batch)
    ]

    def loss_of(part: Batch) -> torch.Tensor:
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16" and variant.everything):
            return answer_loss(model, part)

    wait = partial(torch.cuda.synchronize, device) if cuda else lambda: None
    if cuda:
        torch.cuda.reset_peak_memory_stats(device)
    tokens = sum(part.tokens for part in parts)
    times = []
    for _ in range(WARM + steps):
        wait()
        began = time.perf_counter()
        train_step(loss_of, list(trained.values()), optimizer, parts, tokens=tokens, clip=1.0)
        wait()
        times.append(time.perf_counter() - began)
    counted = sorted(times[WARM:])
    memory = torch.cuda.max_memory_allocated(device) if cuda else None
    return {
        "samples_per_s": batch / (sum(counted) / steps),
        "update_s": {"p50": counted[steps // 2], "max": counted[-1], "n": steps},
        "peak_memory_bytes": memory, "batch": batch, "micro_batch": micro_batch,
    }  # fmt: skip


def fitting(model: Any, variant: Variant, *, micro_batch: int, **options: Any) -> dict[str, Any]:
    """`measure` with the largest part of a batch, `micro_batch` or a half of a half of it, that fits into memory."""
    import torch

    while True:
        try:
            return measure(model, variant, micro_batch=micro_batch, **options)
        except torch.OutOfMemoryError as error:
            if micro_batch == 1:
                raise UserError(f"one sample does not fit into memory ({str(error).splitlines()[0]})") from None
        micro_batch //= 2  # outside of the handler, which would keep what did not fit
        torch.cuda.empty_cache()


def figures_of(
    base: str, variant: Variant, device: str, *, precision: str, batch: int, micro_batch: int, steps: int
) -> dict[str, Any]:
    """All that is measured of a variant. Raises UserError."""
    import torch

    from nav_vlm_node.vlm.load import choose_device

    where = choose_device(device)
    torch.manual_seed(0)
    model = build(base, variant, where, precision)
    counts = trained_counts(model)
    found = {}
    for name, cached in (("recomputed", False), ("cached", True)):
        if cached and VISION in variant.parts:
            continue
        found[name] = fitting(
            model, variant, micro_batch=micro_batch, batch=batch, steps=steps, precision=precision, cached=cached
        )
        print(f"{variant.name} {precision} {name}: {found[name]['samples_per_s']:.1f} samples/s", file=sys.stderr)
    return {
        "base": base, "weights": "random", "variant": variant.name, "precision": precision, "device": str(where),
        "trained": counts, "trained_parameters": sum(counts.values()),
        "base_parameters": sum(p.numel() for p in model.parameters()) - sum(counts.values()),
        "tokens": {"prompt": PROMPT, "answer": ANSWER, "pictures": int(model.config.num_query_tokens * variant.frames)},
        **found,
    }  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Measure one variant and write it down; returns the exit status."""
    words = sys.argv[1:] if argv is None else list(argv)
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--base", choices=BASES, default=BASES[0], help="whose size (%(default)s)")
    parser.add_argument("--variant", default="lm_only", help="of the registry (%(default)s)")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="bf16", help="(%(default)s)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N (auto)")
    parser.add_argument("--batch", type=int, default=32, metavar="N", help="samples per update (%(default)s)")
    parser.add_argument("--micro-batch", type=int, metavar="N", help="of them at once (all, and fewer if they must)")
    parser.add_argument("--steps", type=int, default=20, metavar="N", help="updates that count (%(default)s)")
    parser.add_argument("--out", type=Path, required=True, metavar="F.json", help="where the figures go")
    args = parser.parse_args(words)
    try:
        if min(args.batch, args.micro_batch or args.batch, args.steps) < 1:
            raise UserError("--batch, --micro-batch and --steps: give numbers from 1 up")
        variant = variant_of(args.variant)
        if not variant.stages:
            raise UserError(f"--variant {args.variant} trains nothing; give one that does, such as lm_only")
        figures = figures_of(
            args.base, variant, args.device, precision=args.precision, batch=args.batch,
            micro_batch=args.micro_batch or args.batch, steps=args.steps,
        )  # fmt: skip
        results.write(args.out, {**results.record(results.command_line("tools/bench_training.py", words)), **figures})
    except (UserError, OSError) as error:
        print(f"bench_training: error: {error}", file=sys.stderr)
        return 2
    print(json.dumps(figures, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
