"""Training speed and memory of LoRA at flan-t5-xl's true size, with random weights: speed does not depend on them.

python3 tools/bench_training.py --device cuda --out docs/results/gpu_training.json
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from pathlib import Path

import torch
from transformers import Blip2Config, Blip2ForConditionalGeneration, T5Config

from nav_vlm_node.vlm.adapters import attach_new

PROMPT, ANSWER, QUERIES = 24, 40, 32  # tokens
VARIANTS = {
    "lm_only": {"language_model": ("q", "v")},
    "joint": {"language_model": ("q", "v"), "vision_model": ("qkv",)},
}
FLAN_T5_XL = {
    "d_model": 2048, "d_kv": 64, "num_heads": 32, "d_ff": 5120, "num_layers": 24, "num_decoder_layers": 24,
    "feed_forward_proj": "gated-gelu", "vocab_size": 32128,
}  # fmt: skip


def measure(variant: str, device: str, batch: int, steps: int) -> dict[str, float]:
    """Samples per second and peak memory [bytes] of forward, backward and update in bf16."""
    config = Blip2Config(text_config=T5Config(**FLAN_T5_XL), image_token_index=32100)
    torch.set_default_dtype(torch.bfloat16)
    with torch.device(device):
        model = Blip2ForConditionalGeneration(config)
    torch.set_default_dtype(torch.float32)
    tuned = attach_new(model, rank=16, alpha=32, dropout=0.05, targets=VARIANTS[variant])
    trained = [p for p in tuned.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-5)
    ids = torch.randint(10, 30000, (batch, QUERIES + PROMPT), device=device)
    ids[:, :QUERIES] = config.image_token_id
    inputs = {
        "pixel_values": torch.randn(batch, 3, 224, 224, device=device, dtype=torch.bfloat16),
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "labels": torch.randint(10, 30000, (batch, ANSWER), device=device),
    }
    torch.cuda.reset_peak_memory_stats()
    began = 0.0
    for step in range(steps + 3):
        if step == 3:  # the first steps load kernels
            torch.cuda.synchronize()
            began = time.perf_counter()
        tuned(**inputs).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    torch.cuda.synchronize()
    return {
        "samples_per_s": batch * steps / (time.perf_counter() - began),
        "peak_memory_bytes": torch.cuda.max_memory_allocated(),
        "trained_parameters": sum(p.numel() for p in trained),
    }


def main() -> None:
    """Measures every variant and writes the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    if not torch.cuda.is_available():
        raise SystemExit("bench_training: error: no CUDA device here; run it on a machine that has one")
    results = {name: measure(name, args.device, args.batch, args.steps) for name in VARIANTS}
    report = {
        "command": f"python3 tools/bench_training.py --device {args.device} --batch {args.batch} --steps {args.steps}",
        "machine": {
            "gpu": torch.cuda.get_device_name(),
            "python": platform.python_version(),
            "torch": torch.__version__,
        },
        "weights": "random, of the shape of blip2-flan-t5-xl",
        "results": results,
    }
    args.out.write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
