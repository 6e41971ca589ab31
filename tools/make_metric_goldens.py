"""The files that the text metrics are tested against: what others' code computes on sentences of our own.

    python tools/make_metric_goldens.py bertscore --out FILE
    python tools/make_metric_goldens.py paper --notebook FILE --spacy-model DIR --out FILE

`bertscore` needs the package bert-score (0.3.13); it scores a tiny encoder that is made on the spot, the same
everywhere. `paper` runs the functions in a notebook of github.com/Shaw-git/VLM_Navigation, with spaCy and its model
en_core_web_md, and keeps what spaCy said, so that the test needs neither. Nothing of the notebook is kept but numbers.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PAIRS = 200

TURNS = (
    "Turn left", "turn right", "Make a left turn", "take a right", "veer left", "bear right", "Turn around",
    "make a U-turn", "rotate 360 degrees", "turn left slightly", "hang a right", "swing left at the counter",
)  # fmt: skip
MOVES = (
    "go straight", "walk to the door", "move forward 3 metres", "Head toward the exit", "continue past the tables",
    "enter the hallway", "proceed along the corridor", "go left", "move right", "walk around the chair", "go up",
    "walk downstairs", "follow the aisle", "walking ahead", "moved to the bench", "go",
)  # fmt: skip
PLACES = (
    "The exit is on your left.", "the exit is on your right.", "A seat is in front of you.", "The stage is behind you.",
    "the bar is at the back", "The bar is at the front.", "There is a table next to the wall.", "Yes.", "No", "",
    "No obstacles nearby.", "Yes, there are stairs going down.", "It is near the podium, between two chairs.",
    "Above the doorway.", "Zxqv blorf.", "The room is quiet", "Straight ahead!", "To your left",
    # words that spaCy's vectors put near "navigate", "guide", "steer" and the others of their group
    "Navigating: the campaigns have rules.", "An expert, in this case; cross the fencing.",
    "In that case go to the exit door.",
)  # fmt: skip
JOINTS = (", then ", " and ", ", next ", ". ", " after that ", "; ")


def sentences(generator: random.Random) -> str:
    """One to three instructions, some without any."""
    kind = generator.random()
    if kind < 0.25:
        return generator.choice(PLACES)
    parts = [generator.choice(TURNS if generator.random() < 0.4 else MOVES) for _ in range(generator.randint(1, 3))]
    text = parts[0] + "".join(generator.choice(JOINTS) + part for part in parts[1:])
    return text + generator.choice((".", "", "."))


def swapped(text: str) -> str:
    """Left and right exchanged."""
    return re.sub(r"left|right", lambda match: {"left": "right", "right": "left"}[match[0]], text)


def reversed_parts(text: str) -> str:
    """The first and the last instruction exchanged."""
    parts = re.split("(" + "|".join(map(re.escape, JOINTS)) + ")", text.rstrip("."))
    parts[0], parts[-1] = parts[-1], parts[0]
    return "".join(parts) + "."


def make_pairs(count: int = PAIRS, seed: int = 0) -> list[tuple[str, str]]:
    """References and answers: others, the same, swapped, reversed, changed in one word."""
    generator = random.Random(seed)
    made: list[tuple[str, str]] = []
    while len(made) < count:
        reference = sentences(generator)
        change = generator.randrange(6)
        candidate = {
            0: reference,
            1: swapped(reference),
            2: reversed_parts(reference),
            3: reference.replace("go", "move").replace("walk", "head"),
        }.get(change) or sentences(generator)
        made.append((reference, candidate))
    return made


def bertscore(out: Path) -> None:
    """Precision, recall and F1 of all pairs, by layer of the tiny encoder."""
    import bert_score

    from tests.nav_vlm_training.metrics.encoders import LAYERS, make_tiny_bert

    pairs = [pair for pair in make_pairs() if all(text.strip() for text in pair)]  # the library fails on empty ones
    scores: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        encoder = make_tiny_bert(Path(folder) / "encoder")
        for layer in range(1, LAYERS + 1):
            found = bert_score.score(
                [candidate for _, candidate in pairs],
                [reference for reference, _ in pairs],
                model_type=str(encoder),
                num_layers=layer,
                batch_size=1,  # in a batch, padding counts as a token of similarity 0
            )
            scores[str(layer)] = [[round(float(number), 7) for number in part] for part in found]
    write(out, {"library": f"bert-score {bert_score.__version__}", "pairs": pairs, "scores": scores})


def functions_of(notebook: Path, spacy_model: str) -> dict[str, Any]:
    """What the cell of the notebook with the metric defines, with `spacy_model` for its language model."""
    import spacy

    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    source = next("".join(c["source"]) for c in cells if "def has_directional_conflict" in "".join(c["source"]))
    start, end = source.index("def build_directional_synonym_dictionary"), source.index("def visualize_results")
    found: dict[str, Any] = {"re": re, "Counter": Counter, "nlp": spacy.load(spacy_model)}
    exec(compile(source[start:end], str(notebook), "exec"), found)
    return found


class Recorder:
    """A pipeline that keeps what it was asked and what it said."""

    def __init__(self, pipeline: Any) -> None:
        self._pipeline = pipeline
        self.name, self.exact = pipeline.name, pipeline.exact
        self.said: dict[str, dict[str, Any]] = {"words": {}, "has_vector": {}, "similarity": {}}

    def words(self, text: str) -> Any:
        """Of the pipeline."""
        return self.said["words"].setdefault(text, self._pipeline.words(text))

    def has_vector(self, text: str) -> bool:
        """Of the pipeline."""
        return self.said["has_vector"].setdefault(text, self._pipeline.has_vector(text))

    def similarity(self, first: str, second: str) -> float:
        """Of the pipeline, to nine digits."""
        value = round(self._pipeline.similarity(first, second), 9)
        return self.said["similarity"].setdefault(first, {}).setdefault(second, value)


def paper(notebook: Path, spacy_model: str, out: Path) -> None:
    """D, weighted score and contradictions of all pairs, at made-up values of BERTScore F1."""
    import numpy as np
    import spacy

    from nav_vlm_training.metrics.enhanced_paper import DIRECTIONAL_WEIGHT, paper_scores
    from nav_vlm_training.metrics.pipelines import SpacyPipeline

    theirs = functions_of(notebook, spacy_model)
    dictionary, flat = theirs["build_directional_synonym_dictionary"]()
    nlp = theirs["nlp"]
    pairs = make_pairs()
    f1 = [round(random.Random(f"{pair}").uniform(0.3, 1.0), 6) for pair in pairs]
    directional = [
        float(theirs["calculate_enhanced_directional_score"](*pair, dictionary, flat, nlp)[0]) for pair in pairs
    ]
    weighted = [(1 - DIRECTIONAL_WEIGHT) * b + DIRECTIONAL_WEIGHT * d for b, d in zip(f1, directional, strict=True)]
    recorder = Recorder(SpacyPipeline(nlp, spacy.__version__))
    ours = paper_scores(*zip(*pairs, strict=True), np.array(f1), recorder)
    print(f"largest difference: {np.abs(ours.directional - directional).max():.2g}", file=sys.stderr)
    write(
        out,
        {
            "pipeline": recorder.name,
            "pairs": pairs,
            "bert_f1": f1,
            "directional": [round(value, 9) for value in directional],
            "weighted": [round(value, 9) for value in weighted],
            "conflict": [int(theirs["has_directional_conflict"](*pair)) for pair in pairs],
            "sequence_conflict": [int(theirs["has_sequence_conflict"](*pair, nlp)) for pair in pairs],
            **recorder.said,
        },
    )


def write(out: Path, data: dict[str, Any]) -> None:
    """One line per key, so that changes can be seen."""
    lines = (f"{json.dumps(key)}: {json.dumps(value, separators=(',', ':'))}" for key, value in data.items())
    out.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def main() -> int:
    """Make what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=("bertscore", "paper"))
    parser.add_argument("--notebook", type=Path, help="a notebook of the paper's repository")
    parser.add_argument("--spacy-model", help="name or directory of en_core_web_md")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    sys.path.insert(0, str(ROOT))  # for the tests' encoder
    if args.what == "bertscore":
        bertscore(args.out)
    elif args.notebook is None or args.spacy_model is None:
        parser.error("paper needs --notebook and --spacy-model")
    else:
        paper(args.notebook, args.spacy_model, args.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
