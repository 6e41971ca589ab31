"""What the texts themselves are worth beside the good guide's, for comparison with work that measures nothing else.

A high figure here does not mean that the wearer is sent the right way; direction_accuracy and reversal_rate say that.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nav_vlm_training.evaluation.judging import Judged
from nav_vlm_training.evaluation.report import TEXT_MEASURES
from nav_vlm_training.metrics.bertscore import TextEncoder
from nav_vlm_training.metrics.bootstrap import bootstrap
from nav_vlm_training.metrics.pipelines import load_pipeline
from nav_vlm_training.metrics.text import text_metrics

WHOLE = ("bleu", "chrf", "words", "paper_conflicts")  # over all answers, see TextMetrics


class Texts:
    """Measures systems one after the other; what was encoded for one is known for the next.

    encoder: the directory of a text encoder, None for the small one. Raises UserError where it cannot be loaded.
    """

    def __init__(self, encoder: Path | None = None) -> None:
        self._encoder = TextEncoder(encoder)
        self._pipeline = load_pipeline(self._encoder.word_vector, self._encoder.name)

    def figures(self, judged: Sequence[Judged]) -> dict[str, Any]:
        """Of what was written, whether or not the guard would keep it back, where there is a good answer to compare.

        TEXT_MEASURES with intervals that take a scene's questions together, and "text": WHOLE, and how it was measured.
        """
        kept = [one for one in judged if one.sample.text.strip()]
        found = text_metrics(
            [one.sample.text for one in kept], [one.text for one in kept], self._encoder, pipeline=self._pipeline
        )
        scenes = [one.sample.scene for one in kept]
        whole = found.to_json()
        return {
            **{name: bootstrap(found.answers[name], scenes).to_json() for name in TEXT_MEASURES},
            "text": {**{name: whole[name] for name in WHOLE}, "about": dict(found.about)},
        }
