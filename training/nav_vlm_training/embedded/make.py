"""Makes the embedded model, stage by stage: frames, perception, base, adapter. Each stage goes on where it stopped.

run/frames/{train,val}   rendered frames            (minutes)
run/frames/walks         what was seen on walks     (minutes; where there are some)
run/perception/          checkpoint of stage 1      (an hour or two on two cores)
run/base/                the base, as shipped       (minutes)
run/eyes/                checkpoint of the adapter's LoRA on the vision side, where it has one
run/base/adapters/guide  the adapter, as shipped    (minutes)
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import Blip2ForConditionalGeneration, Blip2Processor, BlipImageProcessorPil, PreTrainedTokenizerFast

from nav_vlm_node.vlm.adapters import Targets, attach_new, save_adapter
from nav_vlm_node.vlm.card import model_sha256, model_weights
from nav_vlm_node.vlm.prompt import PROMPT_TEMPLATE, build_prompt
from nav_vlm_sim.shards import ShardPlan, render_shards
from nav_vlm_sim.walks.frames import render_walks
from nav_vlm_training.embedded import language
from nav_vlm_training.embedded.architecture import (
    NUM_QUERY_TOKENS,
    VIEW,
    build_model,
    load_base,
    make_config,
    speed_up_patches,
    take_adapter,
)
from nav_vlm_training.embedded.features import Features, extract, joined
from nav_vlm_training.embedded.perception import Heads
from nav_vlm_training.embedded.pretrain import EYES, MEAN, STD, PretrainConfig, pretrain
from nav_vlm_training.embedded.targets import Frames
from nav_vlm_training.embedded.tokenizer import train_tokenizer

NAME = "nav_vlm_embedded"
FIRST_HELD_OUT_WORLD = 900_000
ADAPTER = "guide"
# All linear layers of the language model: at this size q and v alone leave it little room to learn a new way to answer.
ADAPTED: Targets = {"language_model": ("q", "k", "v", "o", "wi_0", "wi_1", "wo")}


@dataclass(frozen=True, kw_only=True)
class MakeConfig:
    """How much of everything.

    worlds: of 144 frames each, from `first_world` on; the last `language_worlds` of them are for the language stages
    alone, and so is every third building of `walks` where the eyes learn from walks too. start: a model to take the
    first weights of the vision side from, "" for new ones. base: a model to adapt, in place of one of perception and
    base, "" for none. adapter: one of that base to train on, "" for a new one. walks: the --out of `nav-vlm-sim
    evaluate`, whose pictures are learned from too, "" for none. headings: more pictures at each place of those walks,
    to other sides. eyes_samples: frames that the adapter's own LoRA on the vision side sees, 0 for an adapter of the
    language model alone. rate, base_rate, eyes_rate, adapter_rate: peaks. passes: forms of every frame in the language
    stages, the first as it is.
    """

    first_world: int = 0
    worlds: int = 1300
    held_out_worlds: int = 8
    start: str = ""
    base: str = ""
    adapter: str = ""
    walks: str = ""
    headings: int = 0
    samples: int = 1_000_000
    rate: float = 2e-3
    language_worlds: int = 208
    passes: int = 2
    base_steps: int = 2200
    base_rate: float = 6e-4
    eyes_samples: int = 0
    eyes_rate: float = 1e-3
    adapter_steps: int = 900
    adapter_rate: float = 8e-4
    rank: int = 16
    alpha: int = 32
    seed: int = 0
    device: str = "cpu"


def make_frames(config: MakeConfig, run: Path) -> None:
    """Stage 0."""
    render_shards(ShardPlan(out=run / "frames/train", first_world=config.first_world, worlds=config.worlds, view=VIEW))
    render_shards(
        ShardPlan(out=run / "frames/val", first_world=FIRST_HELD_OUT_WORLD, worlds=config.held_out_worlds, view=VIEW)
    )
    if config.walks:
        render_walks(Path(config.walks), run / "frames/walks", VIEW, config.headings)


def make_perception(config: MakeConfig, run: Path) -> dict[str, float]:
    """Stage 1."""
    plan = PretrainConfig(
        samples=config.samples, start=config.start, rate=config.rate, seed=config.seed, device=config.device
    )
    return pretrain(plan, _shards(run, "train")[: -config.language_worlds], _shards(run, "val"), run / "perception")


def _shards(run: Path, split: str) -> list[Path]:
    return sorted((run / "frames" / split).glob("w*-*"))


def _frames(config: MakeConfig, run: Path, split: str) -> Frames:
    """For the language stages: of "train", only what perception never saw. There the vision side errs as often as it
    will in new places, and the language model learns how far to trust it."""
    if split != "train":
        return Frames(_shards(run, split), VIEW)
    return Frames([*_shards(run, split)[-config.language_worlds :], *_walks(config, run)[1]], VIEW)


def _walks(config: MakeConfig, run: Path) -> tuple[list[Path], list[Path]]:
    """The shards of walks that the adapter's eyes learn from, and those of the language stages."""
    walks = _shards(run, "walks") if config.walks else []
    if not config.eyes_samples:
        return [], walks
    return [shard for number, shard in enumerate(walks) if number % 3], walks[::3]


def _features_key(config: MakeConfig, run: Path, *, adapted: bool) -> str:
    """Changes with what the vision side is from, and with what is wanted of it."""
    eyes = "base/model.safetensors" if config.base else "perception/checkpoint.pt"
    state = (run / ("eyes/checkpoint.pt" if adapted else eyes)).stat()
    shards = f"{len(_shards(run, 'train'))} {len(_shards(run, 'walks')) if config.walks else 0}"
    key = f"{state.st_mtime_ns} {state.st_size} {shards} {config.language_worlds} {config.passes} {config.seed}"
    return hashlib.sha256(key.encode()).hexdigest()[:12]


def _features(
    config: MakeConfig, run: Path, model: Blip2ForConditionalGeneration, *, adapted: bool = False
) -> tuple[Features, Features]:
    """What the vision model makes of training frames (some as they are, some changed) and of held-out ones.

    adapted: whether it sees through the adapter's eyes.

    Kept in run/features for as long as what it learned from and the plan stay the same.
    """
    train, val = _frames(config, run, "train"), _frames(config, run, "val")
    folder = run / "features" / _features_key(config, run, adapted=adapted)
    kept = Features.load(folder / "train", train), Features.load(folder / "val", val)
    if kept[0] and kept[1]:
        return kept[0], kept[1]
    shutil.rmtree(run / "features", ignore_errors=True)
    rows = np.arange(len(train))
    parts = [extract(model, train, rows, augment=number > 0, seed=number) for number in range(config.passes)]
    features, held_out = joined(parts), extract(model, val, np.arange(len(val)), augment=False)
    features.save(folder / "train")
    held_out.save(folder / "val")
    return features, held_out


def corpus(config: MakeConfig, run: Path, most: int = 4000) -> list[str]:
    """Questions and answers of all kinds, for the tokenizer."""
    frames = _frames(config, run, "train")
    rng = np.random.default_rng(11)
    texts: list[str] = []
    for observation in frames.observations[:most]:
        for make_pair in (language.describing, language.guiding, language.guiding):
            question, answer = make_pair(observation, rng)
            texts += [build_prompt(question), answer]
    return texts


def make_base(config: MakeConfig, run: Path) -> dict[str, Any]:
    """Stage 2: tokenizer, language model and projection; writes run/base as it ships."""
    tokenizer = train_tokenizer(corpus(config, run))
    ids = {
        name: tokenizer.convert_tokens_to_ids(token)
        for name, token in (("image", "<image>"), ("pad", "<pad>"), ("eos", "</s>"))
    }
    model = build_model(make_config(len(tokenizer), ids["image"], ids["pad"], ids["eos"]), config.seed)
    state = torch.load(run / "perception/checkpoint.pt", map_location="cpu", weights_only=True)
    model.vision_model.load_state_dict(state["vision_model"])
    model.qformer.load_state_dict(state["qformer"])
    model.query_tokens.data.copy_(state["query_tokens"])
    heads = Heads()
    heads.load_state_dict(state["heads"])
    model.to(config.device)
    heads.to(config.device)
    speed_up_patches(model)
    features, held_out = _features(config, run, model)
    model.vision_model.requires_grad_(False)
    language.make_queries_distinct(model, features)
    model.train()
    plan = language.LanguageConfig(steps=config.base_steps, rate=config.base_rate, seed=config.seed)
    begun = language.Checkpoint(run / "base_checkpoint.pt", f"{plan} {_features_key(config, run, adapted=False)}")
    language.train_language(model, tokenizer, features, language.describing, plan, begun, heads)
    model.eval()
    scores = language.check(model, tokenizer, held_out)
    export(model, tokenizer, run / "base")
    (run / "base_scores.json").write_text(json.dumps(scores, indent=1))
    begun.path.unlink(missing_ok=True)
    return scores


def take_base(config: MakeConfig, run: Path) -> None:
    """Puts `config.base` where stage 2 would leave one, without its adapters."""
    given, draft = Path(config.base), run / ".base.draft"
    if (run / "base").is_dir() and model_sha256(model_weights(run / "base")) == model_sha256(model_weights(given)):
        return
    shutil.rmtree(draft, ignore_errors=True)
    shutil.copytree(given, draft, ignore=shutil.ignore_patterns("adapters", "README.md"))
    shutil.rmtree(run / "base", ignore_errors=True)
    draft.rename(run / "base")
    shutil.rmtree(run / "eyes", ignore_errors=True)  # those of another base


def export(model: Blip2ForConditionalGeneration, tokenizer: PreTrainedTokenizerFast, out: Path) -> None:
    """Writes a model directory in transformers' layout, in half precision, with processor and nav_vlm.json."""
    draft = out.with_name(f".{out.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    half = Blip2ForConditionalGeneration(model.config)
    half.load_state_dict(model.state_dict())
    half.half().save_pretrained(draft)
    processor = BlipImageProcessorPil(
        size={"height": VIEW.height, "width": VIEW.width}, image_mean=MEAN.tolist(), image_std=STD.tolist()
    )
    Blip2Processor(processor, tokenizer, num_query_tokens=NUM_QUERY_TOKENS).save_pretrained(draft)
    card = {
        "name": NAME,
        "view": VIEW.to_json(),
        "prompt": PROMPT_TEMPLATE,
        "adapters": [f"adapters/{ADAPTER}"],
        "default_adapter": ADAPTER,
    }
    (draft / "nav_vlm.json").write_text(json.dumps(card, indent=2) + "\n")
    shutil.rmtree(out, ignore_errors=True)
    draft.rename(out)


def make_eyes(config: MakeConfig, run: Path) -> dict[str, float]:
    """Stage 3, where wanted: LoRA on the base's vision side, from frames of rooms and of walks."""
    plan = PretrainConfig(
        samples=config.eyes_samples,
        start=str(run / "base"),
        adapter=config.adapter,
        rank=config.rank,
        alpha=config.alpha,
        rate=config.eyes_rate,
        seed=config.seed,
        device=config.device,
    )
    _drop_other(plan, run / "eyes")
    shards = [*_shards(run, "train")[: -config.language_worlds], *_walks(config, run)[0]]
    return pretrain(plan, shards, _shards(run, "val"), run / "eyes")


def _drop_other(plan: PretrainConfig, eyes: Path) -> None:
    """Removes eyes that were begun with another plan: where they are, and for how long they learn, may change."""
    if (eyes / "checkpoint.pt").exists():
        begun = torch.load(eyes / "checkpoint.pt", map_location="cpu", weights_only=True)["config"]
        if {**begun, "samples": plan.samples, "device": plan.device, "start": plan.start} != asdict(plan):
            shutil.rmtree(eyes)


def make_adapter(config: MakeConfig, run: Path) -> dict[str, Any]:
    """The last stage: LoRA on the language model; writes run/base/adapters/guide.

    Where the adapter has eyes of its own, its part of the Q-Former goes on learning, and its vision model does not.
    """
    base = run / "base"
    model = load_base(base).to(config.device)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(base, local_files_only=True)
    sees = bool(config.eyes_samples)
    tuned = attach_new(model, rank=config.rank, alpha=config.alpha, targets={**ADAPTED, **EYES} if sees else ADAPTED)
    if config.adapter:
        take_adapter(tuned, Path(config.adapter))
    heads = take_eyes(model, run).to(config.device) if sees else None
    features, held_out = _features(config, run, model, adapted=sees)
    model.vision_model.requires_grad_(False)
    plan = language.LanguageConfig(steps=config.adapter_steps, rate=config.adapter_rate, seed=config.seed + 1)
    begun = language.Checkpoint(
        run / "adapter_checkpoint.pt", f"{plan} {base_sha256(run)} {_features_key(config, run, adapted=sees)}"
    )
    language.train_language(tuned.base_model.model, tokenizer, features, language.guiding, plan, begun, heads)
    model.eval()
    scores = language.check(tuned.base_model.model, tokenizer, held_out)
    metrics = {k: v["value"] for k, v in scores.items() if isinstance(v, dict) and "value" in v}
    plan_hash = hashlib.sha256(repr(replace(config, device="")).encode()).hexdigest()
    save_adapter(
        tuned,
        base / "adapters" / ADAPTER,
        base_directory=base,
        name=ADAPTER,
        metrics=metrics,
        data_sha256=plan_hash,
        base_name=NAME,
    )
    (run / "adapter_scores.json").write_text(json.dumps(scores, indent=1))
    begun.path.unlink(missing_ok=True)
    return scores


def take_eyes(model: Blip2ForConditionalGeneration, run: Path) -> Heads:
    """Gives a new adapter of `model` the LoRA weights of its vision side; returns the read-outs that go with them."""
    state = torch.load(run / "eyes/checkpoint.pt", map_location="cpu", weights_only=True)
    model.vision_model.load_state_dict(state["vision_model"])
    model.qformer.load_state_dict(state["qformer"])
    heads = Heads()
    heads.load_state_dict(state["heads"])
    return heads


def base_sha256(run: Path) -> str:
    """The hash that an adapter names its base by."""
    return model_sha256(model_weights(run / "base"))
