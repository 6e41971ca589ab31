"""A model and an adapter made one, and asked again: what is handed out has been measured as it is."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nav_vlm_node.errors import UserError
from nav_vlm_node.vlm.adapters import merge_adapter
from nav_vlm_node.vlm.card import CARD, check_safetensors, finite, read_json, read_model_card, write_json
from nav_vlm_training.evaluation.evaluate import Evaluation, EvaluationPlan, evaluate

WHOLE = ("F32", "F16", "BF16", "F64")  # safetensors' names of the types that a sum can be cast back to
LARGEST = 0.02  # difference of direction_accuracy that rounding explains


@dataclass(frozen=True, kw_only=True)
class MergePlan:
    """model: the base. adapter: its directory. out: must not be there yet. data, split, limit, seed: what both are
    asked. dtype: of the weights that are written."""

    model: Path
    adapter: Path
    out: Path
    data: Path
    split: str = "val"
    limit: int = 256
    seed: int = 0
    dtype: str = "float32"
    device: str = "auto"
    batch: int = 64
    quiet: bool = False


def merge(plan: MergePlan) -> dict[str, Any]:
    """Merge, score before and after, and write the model with its figures; nothing is written where it went wrong.

    Returns {"before", "after": the measures of `evaluate`, "same_answers": share}. Raises UserError.
    """
    if plan.out.exists():
        raise UserError(f"{plan.out} is there already; give another --out, or delete it")
    refuse_quantised(plan.model)
    draft = plan.out.with_name(f".{plan.out.name}.unscored")
    shutil.rmtree(draft, ignore_errors=True)
    try:
        before = _ask(plan, plan.model, str(plan.adapter))
        merge_adapter(plan.model, plan.adapter, draft, dtype=plan.dtype)
        after = _ask(plan, draft, "")
        figures = _compared(before, after)
        card = read_json(draft / CARD, "the card that was just written")
        source = {"base": read_model_card(plan.model).name, "adapter": plan.adapter.resolve().name}
        write_json(draft / CARD, {**card, "merged_from": source, "metrics": _values(figures["after"])})
        draft.rename(plan.out)
    except OSError as error:
        raise UserError(f"cannot write {plan.out}: {error.strerror or error}; give another --out") from None
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return figures


def refuse_quantised(model: Path) -> None:
    """Raises UserError for a base of 8-bit or 4-bit weights: what is added to them is mostly rounded away."""
    card = read_model_card(model)
    config = read_json(card.directory / "config.json", "the model's configuration")
    kinds = {str(tensor["dtype"]) for path in card.weights for tensor in check_safetensors(path).values()}
    odd = sorted(kinds - set(WHOLE))
    if config.get("quantization_config") or odd:
        named = "has a quantization_config" if config.get("quantization_config") else f"holds {', '.join(odd)}"
        raise UserError(
            f"{model} is quantised (it {named}), and an adapter merged into it would be rounded away: merge into the "
            "base as it was before, then quantise"
        )


def _ask(plan: MergePlan, model: Path, adapter: str) -> Evaluation:
    return evaluate(
        EvaluationPlan(
            data=plan.data, model=model, adapter=adapter, splits=(plan.split,), limit=plan.limit, seed=plan.seed,
            baselines=(), batch=plan.batch, device=plan.device, dtype="float32" if plan.dtype == "float32" else "auto",
            quiet=plan.quiet,
        )
    )  # fmt: skip


def _compared(before: Evaluation, after: Evaluation) -> dict[str, Any]:
    same = sum(a.text == b.text for a, b in zip(before.judged, after.judged, strict=True))
    figures: dict[str, Any] = {
        "before": before.figures, "after": after.figures, "same_answers": same / len(before.judged),
    }  # fmt: skip
    was, now = (figures[side]["direction_accuracy"]["value"] for side in ("before", "after"))
    if was is not None and was - now > LARGEST:
        raise UserError(
            f"merged, it is right in {now:.3f} of the directions, before in {was:.3f}: give --dtype float32, or keep "
            "the adapter apart"
        )
    return figures


def _values(figures: Mapping[str, Any]) -> dict[str, Any]:
    shares = {name: share for name, share in figures.items() if isinstance(share, Mapping) and "value" in share}
    return finite({name: share["value"] for name, share in shares.items()})
