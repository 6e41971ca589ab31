"""What a run is for: an adapter with its card, or where all weights were trained, a model."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nav_vlm_node.errors import UserError
from nav_vlm_node.vlm.adapters import save_adapter
from nav_vlm_node.vlm.card import CARD, WEIGHTS_INDEX, read_json, write_json
from nav_vlm_node.vlm.prompt import prompt_of
from nav_vlm_node.vlm.quiet import quiet
from nav_vlm_training.fit.checkpoint import Progress
from nav_vlm_training.fit.setup import Setup
from nav_vlm_training.variants import describe

ADAPTER, MODEL, README = "adapter", "model", "README.md"
SHOWN = (
    "direction_accuracy", "reversal_rate", "coverage", "visibility_accuracy", "hazard_recall", "false_clear_rate",
    "distance_within_25", "same_steps",
)  # fmt: skip


def write_outcome(setup: Setup, progress: Progress, lines: Sequence[Mapping[str, Any]]) -> Path:
    """Writes <run>/adapter (or <run>/model) from the model as it is now, whole, in place of what was there.

    Raises UserError where it cannot be written.
    """
    best = _evaluation_at(lines, progress.best_step)
    directory = setup.plan.run / (MODEL if setup.variant.everything else ADAPTER)
    metrics = {name: best[name]["value"] for name in SHOWN if isinstance(best.get(name), Mapping)}
    draft, old = (directory.with_name(f".{directory.name}.{word}") for word in ("new", "old"))
    try:
        for left in (draft, old):
            shutil.rmtree(left, ignore_errors=True)
        if setup.variant.everything:
            _save_model(setup, draft)
        else:
            save_adapter(
                setup.wrapped, draft, base_directory=setup.card.directory, name=setup.variant.name,
                metrics=metrics, data_sha256=setup.data.sha256, base_name=setup.card.name,
            )  # fmt: skip
        _complete_card(setup, draft, progress)
        (draft / README).write_text(render(setup, progress, lines), encoding="utf-8")
        if directory.exists():
            directory.rename(old)
        draft.rename(directory)
    except OSError as error:
        raise UserError(
            f"cannot write {directory}: {error.strerror or error}; put that right and give the same command again"
        ) from None
    finally:
        for left in (draft, old):
            shutil.rmtree(left, ignore_errors=True)
    return directory


def render(setup: Setup, progress: Progress, lines: Sequence[Mapping[str, Any]]) -> str:
    """The model card, Markdown."""
    head, best, start = setup.head, _evaluation_at(lines, progress.best_step), _evaluation_at(lines, 0)
    config = setup.config
    name = setup.variant.name
    kind = "model" if setup.variant.everything else "LoRA adapter"
    last = max((int(line.get("step", 0)) for line in lines), default=0)
    updates = [line for line in lines if line["event"] == "update"]
    settings = "\n".join(f"| {key} | {value} |" for key, value in head["config"].items())
    shares = "\n".join(f"| {measure} | {_share(best, measure)} | {_share(start, measure)} |" for measure in SHOWN)
    loss = f" The loss was then {best['loss']:.3f} on those questions" if best.get("loss") is not None else ""
    learnt = f", {updates[-1]['loss']:.3f} on the last batch that was learnt" if updates and loss else ""
    tags = "tags: [blip-2, navigation]" if setup.variant.everything else "tags: [blip-2, lora, navigation]"
    return "\n".join(
        [
            f"---\nlibrary_name: {'transformers' if setup.variant.everything else 'peft'}",
            f"base_model: {head['model']}\npipeline_tag: image-text-to-text\n{tags}\n---\n",
            f"# {name}, on {head['model']}\n",
            f"A {kind} that makes a BLIP-2 answer with walking instructions: {setup.variant.about}.\n",
            "## Limits\n",
            "- It supplements cane, dog and training; it never says that a way is safe.",
            f"- It knows what its data show ({head['data']}), and was measured on questions of the same source only.",
            "- Its probabilities are not calibrated.\n",
            "## What it is\n",
            f"{describe(setup.variant, head['trained'])}.\n",
            f"Base: `{head['model']}`, sha256 `{head['model_sha256'][:12]}`."
            f" Prompt: `{prompt_of(setup.variant.frames)}`.",
            f"Data: `{head['data']}`, sha256 `{head['data_sha256'][:12]}`; {head['learnt']} questions to learn from,"
            f" {head['validated']} to choose by.\n",
            "## What it was measured to do\n",
            f"On the {head['validated']} validation questions, which chose the weights (so these figures are a little"
            f" too good), after update {progress.best_step} of {last}, by {config.metric}; beside it, the base before"
            " training. Shares with 95 % intervals; what each counts stands in `nav_vlm_node/score.py`."
            f"{loss}{learnt}{'.' if loss else ''}\n",
            f"| measure | this | before |\n|---|---|---|\n{shares}\n",
            "## How to make it again\n",
            f"```\n{head['command']}\n```\n",
            f"Commit {head['commit'][:12] or 'unknown'}, {head['date'][:10]}, {head['machine']['cpu']}"
            f"{', ' + head['machine']['gpu'] if head['machine'].get('gpu') else ''};"
            f" {', '.join(f'{package} {version}' for package, version in head['versions'].items())}.\n",
            f"| setting | value |\n|---|---|\n{settings}\n",
        ]
    )


def _evaluation_at(lines: Sequence[Mapping[str, Any]], step: int) -> Mapping[str, Any]:
    return next((line for line in lines if line["event"] == "evaluation" and line["step"] == step), {})


def _share(figures: Mapping[str, Any], measure: str) -> str:
    share = figures.get(measure)
    if not isinstance(share, Mapping) or share.get("value") is None:
        return "-"
    return f"{share['value']:.3f} ({share['low']:.3f} to {share['high']:.3f}, n {share['n']})"


def _complete_card(setup: Setup, directory: Path, progress: Progress) -> None:
    card = read_json(directory / CARD, "the card that was just written")
    card["prompt"] = prompt_of(setup.variant.frames)
    card["variant"], card["frames"] = setup.variant.name, setup.variant.frames
    card["fit"] = {"config": setup.head["config"], "best_step": progress.best_step, "commit": setup.head["commit"]}
    write_json(directory / CARD, card)


def _save_model(setup: Setup, directory: Path) -> None:
    """In transformers' layout, beside it what the base has of tokenizer and processor."""
    with quiet():
        setup.model.save_pretrained(str(directory))
    for path in setup.card.directory.iterdir():
        kept = path.suffix in (".json", ".model", ".txt") and path.name not in (CARD, WEIGHTS_INDEX)
        if path.is_file() and kept and not (directory / path.name).exists():
            shutil.copyfile(path, directory / path.name)
    card = {"name": f"{setup.card.name}-{setup.variant.name}", "view": setup.card.view.to_json(), "adapters": []}
    write_json(directory / CARD, card)
