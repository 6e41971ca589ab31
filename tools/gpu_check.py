"""What only a GPU can show, one piece at a time; `tools/gpu_checks.sh` runs them all.

    python3 tools/gpu_check.py tests|precision|latency --out F.json [--device cuda]

tests      the tests that need a CUDA device
precision  loss and gradients of an update on the device, in float32 and bfloat16, beside float32 on the CPU
latency    how long the engine takes for a picture, for the first token and for an answer

Each writes one JSON file, whole or not at all. Exit status 1: it was measured, and is not as it should be.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nav_vlm_node import paths, results
from nav_vlm_node.errors import UserError
from nav_vlm_training.variants import attach, variant_of

if TYPE_CHECKING:
    import torch

ROOT = Path(__file__).resolve().parents[1]
NEEDS_CUDA = re.compile(r'reason="cuda: ')  # how tests/skip_policy.py knows them
VARIANTS = ("lm_only", "joint")
PAIRS = (
    ("How do I get to the exit?", "Caution, chair ahead at 1 metre. Turn left 35 degrees, then move 4 metres."),
    ("Where is the nearest door?", "Turn right 20 degrees, then move 3 metres to the door."),
    ("Is there anything in my way?", "Nothing found in the way for 3 metres."),
    ("Where is the moon?", "I do not know that place."),
)
# relative difference of the loss, and what the gradient's cosine must reach, beside float32 on the CPU. TF32 is in the
# first: convolutions use it. bfloat16 has 8 bits.
LIMITS = {"fp32": (1e-3, 0.999), "bf16": (3e-2, 0.95)}


def run_tests(device: str, small: bool) -> tuple[dict[str, Any], bool]:
    """The tests that are skipped where there is no CUDA device. Raises UserError where they cannot be run."""
    files = [path for path in sorted((ROOT / "tests").rglob("test_*.py")) if NEEDS_CUDA.search(path.read_text())]
    names = [path.relative_to(ROOT).as_posix() for path in files]
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}", *names]
        done = subprocess.run(command, cwd=ROOT, check=False, stdout=sys.stderr)
        if not report.is_file():
            raise UserError(f"pytest ended with status {done.returncode} before any test; see what it said above")
        suite = next(ElementTree.parse(report).getroot().iter("testsuite")).attrib
    counts = {name: int(suite[name]) for name in ("tests", "failures", "errors", "skipped")}
    counts["passed"] = counts["tests"] - counts["failures"] - counts["errors"] - counts["skipped"]
    return {"files": names, **counts}, done.returncode == 0


def gradients(device: torch.device, precision: str, variant: str) -> tuple[float, dict[str, torch.Tensor]]:
    """The mean loss of some answers on the embedded base, and its gradient by component, flat, float32 on the CPU.

    Everything that is drawn (pictures, first LoRA weights, none of them zero) is drawn on the CPU.
    """
    import torch

    from nav_vlm_node.vlm.card import read_model_card
    from nav_vlm_node.vlm.load import load_model, load_tokenizer
    from nav_vlm_training.fit.batches import rows_of
    from nav_vlm_training.fit.step import Batch, answer_loss, set_learning, set_modes

    number = torch.bfloat16 if precision == "bf16" else torch.float32
    card, plan = read_model_card(paths.embedded_model()), variant_of(variant)
    model: Any = load_model(card, "cpu", number)
    tokenizer = load_tokenizer(card, model)
    torch.manual_seed(0)
    attach(model, plan)
    trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    with torch.no_grad():
        for name, parameter in trained.items():
            if "lora_B" in name:
                parameter.normal_(std=0.02)
    size = int(model.config.vision_config.image_size)
    pixels = torch.randn(len(PAIRS), 1, 3, size, size)
    model.to(device)
    set_learning(model, trained, plan.parts)
    set_modes(model, ())  # no dropout: it would draw other numbers on another device
    ids, mask, labels = (
        tensor.to(device) for tensor in rows_of(tokenizer, model.config, *map(list, zip(*PAIRS, strict=True)))
    )
    batch = Batch(ids, mask, labels, pixels.to(device, number))
    loss = answer_loss(model, batch) / batch.tokens
    loss.backward()
    flat: dict[str, list[torch.Tensor]] = {}
    for name, parameter in trained.items():
        assert parameter.grad is not None
        flat.setdefault(name.split(".")[0], []).append(parameter.grad.float().cpu().flatten())
    return float(loss), {part: torch.cat(tensors) for part, tensors in flat.items()}


def run_precision(device: str, small: bool) -> tuple[dict[str, Any], bool]:
    """Both variants in both types of numbers."""
    import torch

    from nav_vlm_node.vlm.load import choose_device

    where, found, fine = choose_device(device), {}, True
    for variant in VARIANTS:
        loss, wanted = gradients(torch.device("cpu"), "fp32", variant)
        found[variant] = {"cpu_fp32": {"loss": loss}}
        for precision, (apart, alike) in LIMITS.items():
            other, got = gradients(where, precision, variant)
            cosine = {p: float(torch.cosine_similarity(wanted[p], got[p], dim=0)) for p in wanted}
            ratio = {p: float(got[p].norm() / wanted[p].norm()) for p in wanted}
            difference = abs(other - loss) / loss
            equal = difference <= apart and min(cosine.values()) >= alike
            found[variant][precision] = {
                "loss": other, "loss_difference": difference, "gradient_cosine": cosine,
                "gradient_norm_ratio": ratio, "within_limits": equal,
            }  # fmt: skip
            fine &= equal
    limits = {name: {"loss_difference": apart, "gradient_cosine": alike} for name, (apart, alike) in LIMITS.items()}
    return {"device": str(where), "limits": limits, "variants": found}, fine


def run_latency(device: str, small: bool) -> tuple[dict[str, Any], bool]:
    """The embedded model with its adapter, one question at a time, in this process."""
    import numpy as np
    import torch

    from nav_vlm_node.vlm.load import load_engine

    began = time.perf_counter()
    engine = load_engine(paths.embedded_model(), device=device)
    load = time.perf_counter() - began
    view, cuda = engine.info.view, engine.info.device.startswith("cuda")
    rng = np.random.default_rng(0)
    times: dict[str, list[float]] = {"encode_s": [], "first_token_s": [], "total_s": []}
    tokens = 0
    for number in range((3 if small else 50) + 2):
        image = rng.integers(0, 256, (view.height, view.width, 3), np.uint8)
        began = time.perf_counter()
        visual = engine.encode(image)
        if cuda:
            torch.cuda.synchronize()
        marks, count = [time.perf_counter()], 0
        for token in engine.stream(visual, PAIRS[number % len(PAIRS)][0]):
            if not count:
                marks.append(time.perf_counter())
            count += bool(token)
        marks.append(time.perf_counter())
        if number >= 2:  # the first answers load kernels
            tokens += count
            for name, mark in zip(times, (marks[0], marks[1], marks[-1]), strict=True):
                times[name].append(mark - began)
    engine.close()
    spread = {
        name: {"p50": statistics.median(some), "p95": sorted(some)[int(0.95 * (len(some) - 1))], "n": len(some)}
        for name, some in times.items()
    }
    writing = sum(times["total_s"]) - sum(times["encode_s"])
    peak = torch.cuda.max_memory_allocated() if cuda else None
    about = {"model": engine.info.model, "adapter": engine.info.adapter, "device": engine.info.device}
    return {
        **about, "dtype": engine.info.dtype, "load_s": load, **spread, "tokens_per_s": tokens / writing,
        "peak_memory_bytes": peak,
    }, True  # fmt: skip


PIECES: dict[str, Callable[[str, bool], tuple[dict[str, Any], bool]]] = {
    "tests": run_tests,
    "precision": run_precision,
    "latency": run_latency,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one piece; returns the exit status."""
    words = sys.argv[1:] if argv is None else list(argv)
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("piece", choices=PIECES)
    parser.add_argument("--device", default="cuda", help="cuda, cuda:N, cpu, auto (%(default)s)")
    parser.add_argument("--small", action="store_true", help="fewer rounds, to see that it runs")
    parser.add_argument("--out", type=Path, required=True, metavar="F.json")
    args = parser.parse_args(words)
    try:
        figures, fine = PIECES[args.piece](args.device, args.small)
        record = results.record(results.command_line("tools/gpu_check.py", words))
        results.write(args.out, {**record, **figures, "fine": fine})
    except (UserError, OSError) as error:
        print(f"gpu_check: error: {error}", file=sys.stderr)
        return 2
    print(json.dumps(figures, indent=1))
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
