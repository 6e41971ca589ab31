"""How many pieces of words two texts share: BLEU and chrF, by sacrebleu, on its scale of 0 to 100."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Overlap:
    """bleu, chrf: of all answers together, as others publish them, 0 to 100; NaN for none.

    bleu_each, chrf_each: [N], of single answers; BLEU's then only of the orders of n-grams that the answer has.
    signatures: sacrebleu's own words for what was computed, to be published with the figures.
    """

    bleu: float
    chrf: float
    bleu_each: FloatArray
    chrf_each: FloatArray
    signatures: tuple[str, str]


def overlap(references: Sequence[str], candidates: Sequence[str]) -> Overlap:
    """BLEU and chrF of each candidate against the reference at the same place; case and marks count."""
    together, single, characters = BLEU(), BLEU(effective_order=True), CHRF()
    pairs = list(zip(references, candidates, strict=True))
    bleu = together.corpus_score(list(candidates), [list(references)]).score if pairs else float("nan")
    chrf = characters.corpus_score(list(candidates), [list(references)]).score if pairs else float("nan")
    return Overlap(
        bleu,
        chrf,
        np.array([single.sentence_score(said, [meant]).score for meant, said in pairs], dtype=np.float64),
        np.array([characters.sentence_score(said, [meant]).score for meant, said in pairs], dtype=np.float64),
        (str(together.get_signature()), str(characters.get_signature())) if pairs else ("", ""),
    )
