"""The model's card, README.md beside its weights, from facts: its files, the run that made it, what was measured."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nav_vlm_node.errors import UserError
from nav_vlm_node.vlm.card import (
    ADAPTER_CONFIG,
    ADAPTER_WEIGHTS,
    ModelCard,
    check_safetensors,
    model_sha256,
    read_json,
    read_model_card,
)
from nav_vlm_training.evaluation.evaluate import adapter_sha256
from nav_vlm_training.evaluation.report import DIFFERENCE_HEADS, difference_rows, system_rows, table

NAME = "README.md"
PARTS = {"vision_model": "ViT", "qformer": "Q-Former", "language_projection": "projection", "language_model": "T5"}
LIMITS = """\
- **For simulation and development only. It is not for guiding people**: it has never seen a real room, and no person
  has walked by its words.
- It has learnt from drawn pictures: no lens distortion, blur, shadows, reflections, crowds, glass, or steps down.
- It knows thirteen things (doors, open doors, exits, exit signs, toilets, lifts, stairs, tables, chairs, sofas, boxes,
  plants, people) and English. Asked for anything else it should say that it does not know the place; the table says
  how often it does.
- One picture at a time: no memory, no motion. Distances beyond about 10 metres are rounded to whole metres.
- "Nothing found in the way" is not a promise: see false_clear_rate.
- Its probabilities are not calibrated."""


def write_card(model: Path, figures_path: Path, runs: Sequence[Path] = ()) -> Path:
    """Writes README.md into the model's directory and returns its path.

    runs: the folders of the runs that made it, the latest last; in place of one whose folder is no more, a JSON file of
    what `read_run` returns. Raises UserError where the figures are not of this model with its default adapter.
    """
    card = read_model_card(model)
    figures = read_json(figures_path, "the figures of `nav-vlm-train evaluate --results`")
    try:
        _check(card, figures, figures_path)
        text = render(card, figures, merged(map(read_run, runs)))
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{figures_path} lacks {error}; measure again with: nav-vlm-train evaluate --results") from None
    path = model / NAME
    path.write_text(text, encoding="utf-8")
    return path


def read_run(run: Path) -> dict[str, Any]:
    """What a run has recorded: {"settings", "stages", "perception", "eyes"}; a part that is not there is left out."""
    if run.is_file():
        return read_json(run, "the record of a run")
    if not run.is_dir():
        raise UserError(f"no run at {run}; give the folder that `nav-vlm-train embedded --run` wrote, or leave it out")
    facts: dict[str, Any] = {}
    if (run / "run.json").is_file():
        facts.update(read_json(run / "run.json", "the record of the run"))
    for part in ("perception", "eyes"):
        log = run / part / "log.jsonl"
        if not log.is_file():
            continue
        records = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines() if line.strip()]
        started = [record for record in records if record.get("event")]
        measured = [record for record in records if "bearing_mean" in record]
        if started and measured:
            facts[part] = {"started": started[-1], "last": measured[-1]}
    return facts


def merged(runs: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The facts of several runs as those of one, whose "stages" are (name, record) of each, run after run."""
    facts: dict[str, Any] = {"stages": []}
    for run in runs:
        facts = {**facts, **run, "stages": [*facts["stages"], *run.get("stages", {}).items()]}
    return facts


def render(card: ModelCard, figures: Mapping[str, Any], run: Mapping[str, Any]) -> str:
    """The whole card, Markdown."""
    heads, rows = system_rows(figures)
    parts = [
        "---\nlicense: apache-2.0\nlibrary_name: transformers\npipeline_tag: image-text-to-text\n"
        "tags: [blip-2, lora, navigation, simulation]\n---",
        f"# {card.name}",
        "A small BLIP-2 (`Blip2ForConditionalGeneration`), trained from nothing on simulated indoor scenes, and a LoRA"
        " adapter that turns its descriptions into walking instructions. It is what nav_vlm uses when no other model"
        " is named, so that the whole system can be run, tested and measured offline.",
        "## Limits\n\n" + LIMITS,
        "## What it is\n\n" + _shape(card),
        "## What it was measured to do\n\n" + _measured(figures) + "\n\n" + table(heads, rows),
    ]
    if figures["differences"]:
        parts.append(
            "What new words, textures and rooms cost (direction_accuracy):\n\n"
            + table(DIFFERENCE_HEADS, difference_rows(figures))
        )
    parts += ["## How it was made\n\n" + _made(run), "## How to make it again\n\n" + _again(run, figures)]
    return "\n\n".join(parts) + "\n"


def _check(card: ModelCard, figures: Mapping[str, Any], path: Path) -> None:
    there = (model_sha256(card.weights), adapter_sha256(card.directory, "default", card.default_adapter))
    if (figures["model_sha256"], figures["adapter_sha256"]) != there:
        raise UserError(f"{path} was measured on other weights than those in {card.directory}; evaluate again")


def _shape(card: ModelCard) -> str:
    config = read_json(card.directory / "config.json", "the model's configuration")
    vision, qformer, text = config["vision_config"], config["qformer_config"], config["text_config"]
    counts: Counter[str] = Counter()
    for weights in card.weights:
        for name, tensor in check_safetensors(weights).items():
            counts[PARTS.get(name.split(".")[0], "query tokens")] += math.prod(tensor["shape"])
    size = sum(weights.stat().st_size for weights in card.weights)
    shapes = {
        "ViT": f"{vision['num_hidden_layers']} layers of {vision['hidden_size']}, {vision['image_size']} pixels in"
        f" patches of {vision['patch_size']}",
        "Q-Former": f"{qformer['num_hidden_layers']} layers of {qformer['hidden_size']}, {config['num_query_tokens']}"
        " queries",
        "T5": f"{text['num_layers']} + {text.get('num_decoder_layers', text['num_layers'])} layers of"
        f" {text['d_model']}, {text['vocab_size']} tokens of its own",
    }
    rows = [[part, f"{count:,}", shapes.get(part, "")] for part, count in counts.items()]
    view = card.view
    lines = [
        table(["part", "parameters", "shape"], [*rows, ["all", f"{counts.total():,}", f"{size / 1e6:.1f} MB"]]),
        f"It looks at an upright, level {view.projection} view, {math.degrees(view.hfov):.0f} x"
        f" {math.degrees(view.vfov):.0f} degrees, centred {math.degrees(-view.elevation):.0f} degrees below the"
        " horizon; nav_vlm makes that view from any camera. Prompt: `" + card.prompt + "`.",
    ]
    if card.default_adapter:
        directory = card.adapters[card.default_adapter]
        lora = read_json(directory / ADAPTER_CONFIG, "the adapter's configuration")
        tensors = check_safetensors(directory / ADAPTER_WEIGHTS)
        count = sum(math.prod(tensor["shape"]) for tensor in tensors.values())
        lines.append(
            f"Adapter `{card.default_adapter}`: LoRA, r = {lora['r']}, alpha = {lora['lora_alpha']}, on"
            f" {_adapted(tensors)}, {count:,} parameters,"
            f" {(directory / ADAPTER_WEIGHTS).stat().st_size / 1e6:.1f} MB."
        )
    return "\n\n".join(lines)


def _adapted(tensors: Iterable[str]) -> str:
    """The layers that an adapter changes, by the names of its tensors as peft writes them."""
    of: dict[str, dict[str, None]] = {}
    for name in tensors:
        module = name.split(".lora_")[0].removeprefix("base_model.model.")
        of.setdefault(module.split(".")[0], {})[module.rsplit(".", 1)[-1]] = None
    spoken = {"vision_model": "vision model", "qformer": "Q-Former", "language_model": "language model"}
    return "; ".join(f"{_listed(list(of[part]))} of the {name}" for part, name in spoken.items() if part in of)


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(f"`{name}`" for name in names[:-1]), f"`{names[-1]}`")))


def _measured(figures: Mapping[str, Any]) -> str:
    data = figures["data"]
    machine = figures["machine"]
    return (
        f"`{figures['command']}`, {figures['date'][:10]}, commit {figures['commit'][:12]}, on"
        f" {machine.get('gpu') if figures['device'].startswith('cuda') else machine['cpu']} ({machine['cores']} cores,"
        f" {figures['dtype']}).\n\n"
        f"{figures['n']} questions about {data['images']} pictures of {data['scenes']} simulated scenes that it was not"
        f" trained on (data set of seed {data['seed']}, splits {', '.join(data['splits'])}, sha256"
        f" {data['sha256'][:12]}); {data['visible_off_centre']} are about visible things at least 15 degrees off"
        " centre. Shares with 95 % intervals. What each counts stands in `nav_vlm_node/score.py`."
    )


def _made(run: Mapping[str, Any]) -> str:
    lines = [
        "All data come from the simulator in this repository, `nav_vlm_sim`; its licence is this repository's.",
        "1. **Perception**: ViT and Q-Former, by dense truth per patch (class, depth, position) and a set loss on the"
        " queries (each landmark: in view, bearing, distance, what is in the way).",
        "2. **Base**: T5, projection and Q-Former learn to describe, on the frozen ViT, the set loss going on: where a"
        " thing is, what is on the way, what a sign says.",
        "3. **Adapter**: LoRA on the frozen base learns to guide: hazards first, then the turn, then the distance.",
    ]
    found = run.get("perception")
    if found:
        config, last = found["started"]["config"], found["last"]
        lines.append(
            f"Perception saw {last['seen']:,} frames (of {found['started']['frames']:,} different ones, mirrored,"
            f" shifted and relit) in batches of {config['batch']}, on {config['device']}, in"
            f" {last['seconds'] / 3600:.1f} hours, seed {config['seed']}. On held-out frames its read-outs then had a"
            f" mean bearing error of {last['bearing_mean']:.1f} degrees and told in view from not in view in"
            f" {100 * last['visible']:.1f} %."
        )
        if config.get("start"):
            lines.append(
                "ViT and Q-Former did not begin new: they began with those of the model that was here before, which had"
                " been made the same way."
            )
    if seen := run.get("eyes"):
        config, last = seen["started"]["config"], seen["last"]
        lines.append(
            f"The adapter has eyes of its own: before it learned to guide, LoRA on ViT and Q-Former saw"
            f" {last['seen']:,} frames, of {seen['started']['frames']:,} different ones of rooms and of walks in drawn"
            f" buildings, in batches of {config['batch']}, in {last['seconds'] / 3600:.1f} hours, and learned as"
            f" perception did. On held-out frames of rooms its read-outs then had a mean bearing error of"
            f" {last['bearing_mean']:.1f} degrees and told in view from not in view in {100 * last['visible']:.1f} %."
        )
        if config.get("adapter"):
            lines.append(
                "Those eyes did not begin new: they began with those of the adapter that was here before, which had"
                " been made the same way."
            )
    stages = run["stages"]
    if stages:
        rows = [
            [name, f"{stage['seconds'] / 60:.0f}", _processor(stage), stage["date"][:10], stage["commit"][:12]]
            for name, stage in stages
        ]
        lines.append(table(["stage", "minutes", "on", "finished", "commit"], rows))
    return "\n\n".join(lines)


def _processor(record: Mapping[str, Any]) -> str:
    return str(record["machine"].get("gpu") or record["machine"]["cpu"])


def _again(run: Mapping[str, Any], figures: Mapping[str, Any]) -> str:
    settings = run.get("settings", {})
    if not settings and run.get("perception"):
        settings = {name: run["perception"]["started"]["config"][name] for name in ("samples", "seed", "device")}
    words = ["nav-vlm-train", "embedded", "--run", "runs/embedded"]
    if not settings.get("start"):  # else in one go, from nothing, as much as both runs had: the defaults
        for name, value in settings.items():
            if value != "":
                words += [f"--{name.replace('_', '-')}", str(value)]
    data = figures["data"]["command"] or f"# a data set of seed {figures['data']['seed']}"
    return (
        "```\n"
        + " ".join(words)
        + "     # goes on where it was stopped\n"
        + data
        + "\n"
        + figures["command"]
        + "\n```\n\n"
        "On one GPU, in pieces: `tools/gpu_checks.sh runs/embedded`."
    )
