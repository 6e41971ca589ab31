"""All text metrics of a list of answers at once: `text_metrics`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nav_vlm_node.errors import UserError
from nav_vlm_node.score_curves import count_words
from nav_vlm_training.metrics.bertscore import TextEncoder
from nav_vlm_training.metrics.enhanced_paper import DIRECTIONAL_WEIGHT, paper_scores
from nav_vlm_training.metrics.enhanced_strict import strict_scores
from nav_vlm_training.metrics.overlap import overlap
from nav_vlm_training.metrics.pipelines import LanguagePipeline, load_pipeline

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class TextMetrics:
    """answers: name -> [N], one number per answer. corpus: name -> figure over all; NaN where there are no answers.

    Of the corpus, bleu and chrf (0 to 100) are computed over all answers together, contradictions by the paper's rules
    are counted, the others are means. about: what a reader needs to know to compare the figures: encoder, layer,
    language pipeline and whether it is the paper's, sacrebleu's signatures.
    """

    answers: Mapping[str, FloatArray]
    corpus: Mapping[str, float]
    about: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """The corpus figures, null for NaN, and `about`; without the single answers."""
        return {**{k: None if v != v else v for k, v in self.corpus.items()}, "text_metrics": dict(self.about)}


def text_metrics(
    references: Sequence[str],
    candidates: Sequence[str],
    encoder: TextEncoder | Path | None = None,
    *,
    layer: int | None = None,
    pipeline: LanguagePipeline | str | Path | None = None,
    directional_weight: float = DIRECTIONAL_WEIGHT,
    device: str = "cpu",
) -> TextMetrics:
    """BERTScore, its enhanced forms, BLEU, chrF and words of each candidate against the reference at the same place.

    encoder: a directory, None for the default one; or a `TextEncoder`, which is worth keeping for the next system.
    layer: of a directory. pipeline: for the paper's metric, a spaCy model's name or directory; None for en_core_web_md
    where installed; or one from `load_pipeline`, likewise worth keeping.
    Raises UserError for a reference that is empty, unequal numbers, an encoder or spaCy model that cannot be loaded.
    """
    if len(references) != len(candidates):
        raise UserError(f"each answer needs its reference: {len(candidates)} answers, {len(references)} references")
    empty = next((index for index, text in enumerate(references) if not text.strip()), None)
    if empty is not None:
        raise UserError(f"reference {empty + 1} of {len(references)} is empty; there is nothing to hold an answer to")
    if not 0 <= directional_weight <= 1:
        raise UserError(f"the directional weight must be between 0 and 1, not {directional_weight}")
    if not isinstance(encoder, TextEncoder):
        encoder = TextEncoder(encoder, layer, device=device)
    bert = encoder.score(references, candidates)
    if pipeline is None or isinstance(pipeline, (str, Path)):
        pipeline = load_pipeline(encoder.word_vector, encoder.name, pipeline)
    paper = paper_scores(references, candidates, bert.f1, pipeline, directional_weight)
    strict = strict_scores(references, candidates, bert.f1)
    shared = overlap(references, candidates)
    answers = {
        "bertscore_precision": bert.precision,
        "bertscore_recall": bert.recall,
        "bertscore_f1": bert.f1,
        "enhanced_bertscore_paper": paper.weighted,
        "paper_directional": paper.directional,
        "paper_conflicts": paper.conflict.astype(np.float64),
        "paper_sequence_conflicts": paper.sequence_conflict.astype(np.float64),
        "enhanced_bertscore_strict": strict.total,
        "strict_steps": strict.steps,
        "strict_direction": strict.direction,
        "strict_order": strict.order,
        "strict_hazards": strict.hazards,
        "bleu": shared.bleu_each,
        "chrf": shared.chrf_each,
        "words": np.array([count_words(text) for text in candidates], dtype=np.float64),
    }
    corpus = {name: float(values.mean()) if len(values) else float("nan") for name, values in answers.items()}
    corpus |= {"bleu": shared.bleu, "chrf": shared.chrf}
    corpus |= {name: float(answers[name].sum()) for name in ("paper_conflicts", "paper_sequence_conflicts")}
    about = {
        "encoder": encoder.name,
        "encoder_sha256": encoder.sha256,
        "layer": encoder.layer,
        "language_pipeline": pipeline.name,
        "language_pipeline_is_the_papers": pipeline.exact,
        "directional_weight": directional_weight,
        "bleu": shared.signatures[0],
        "chrf": shared.signatures[1],
    }
    return TextMetrics(answers, corpus, about)
