from __future__ import annotations

import math
import random
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nav_vlm_node.instruction import Action, Step
from nav_vlm_node.language import quantise, render_canonical
from nav_vlm_node.vlm.prompt import build_prompt
from nav_vlm_training.embedded.tokenizer import SPECIALS, train_tokenizer

THINGS = ("door", "exit sign", "lift", "chair", "potted plant")
bearings = st.floats(-0.87, 0.87)
distances = st.floats(0.5, 12.0)
steps = st.one_of(
    st.builds(lambda b, d, t: (Step(Action.CAUTION, b, d, t),), bearings, distances, st.sampled_from(THINGS)),
    st.builds(
        lambda b, d, t: (Step(Action.TURN, b), Step(Action.MOVE, 0.0, d, t)),
        bearings,
        distances,
        st.sampled_from(THINGS),
    ),
    st.builds(lambda t: (Step(Action.NOT_VISIBLE, landmark=t), Step(Action.SCAN)), st.sampled_from(THINGS)),
    st.builds(lambda b: (Step(Action.SIGN, b, landmark="exit sign"),), st.sampled_from([1.571, -1.571, 0.0])),
    st.builds(lambda d: (Step(Action.NO_HAZARD, distance=d),), distances),
    st.just((Step(Action.UNKNOWN),)),
    st.just((Step(Action.STOP),)),
)


@cache
def tokenizer() -> object:
    """Trained on a few thousand sentences such as the embedded model's, numbers as often as they come there."""
    rng = random.Random(0)
    texts = []
    for _ in range(4000):
        thing = rng.choice(THINGS)
        bearing, distance = math.radians(rng.uniform(-50, 50)), rng.uniform(0.5, 10)
        texts.append(build_prompt(f"How do I get to the {thing}?"))
        answer = (
            Step(Action.CAUTION, bearing, distance / 2, "chair"),
            Step(Action.TURN, -bearing),
            Step(Action.MOVE, 0.0, distance, thing),
        )
        texts.append(render_canonical(quantise(answer)))
        texts.append(render_canonical(quantise((Step(Action.NO_HAZARD, distance=distance),))))
    texts += [
        "Turn slowly to scan.",
        "Stop.",
        "The exit sign points left.",
        "I do not know that place.",
        "No lift in view.",
    ]
    return train_tokenizer(texts, vocab_size=400)


def pieces(text: str) -> list[str]:
    return [str(piece) for piece in tokenizer().tokenize(text)]  # type: ignore[attr-defined]


@pytest.mark.parametrize("degrees", range(5, 55, 5))
def test_a_bearing_is_one_token(degrees: int) -> None:
    assert pieces(f"Turn left {degrees} degrees.") == ["▁Turn", "▁left", f"▁{degrees}", "▁degrees", "."]


@pytest.mark.parametrize("halves", range(1, 21))
def test_a_distance_is_one_token(halves: int) -> None:
    number = f"{halves / 2:g}"
    unit = "metre" if halves == 2 else "metres"
    assert pieces(f"Caution, chair ahead at {number} {unit}.")[5:] == [f"▁{number}", f"▁{unit}", "."]


@given(st.lists(steps, min_size=1, max_size=3))
def test_canonical_sentences_come_back_as_they_were(parts: list[tuple[Step, ...]]) -> None:
    text = render_canonical(quantise(tuple(step for part in parts for step in part)))
    made = tokenizer()
    ids = made(text, add_special_tokens=False)["input_ids"]  # type: ignore[operator]
    assert made.decode(ids) == text  # type: ignore[attr-defined]
    assert made.unk_token_id not in ids  # type: ignore[attr-defined]


def test_special_tokens_are_where_the_model_looks_for_them() -> None:
    made = tokenizer()
    assert [made.convert_tokens_to_ids(token) for token in SPECIALS] == [0, 1, 2, 3]  # type: ignore[attr-defined]
    assert made("Stop.")["input_ids"][-1] == made.eos_token_id == 1  # type: ignore[operator, attr-defined]


def test_a_word_that_was_never_seen_is_several_pieces_and_survives() -> None:
    found = pieces("Where is the rakumelo?")
    assert len(found) > 6
    assert "".join(found).replace("▁", " ").strip() == "Where is the rakumelo?"


def test_training_is_deterministic() -> None:
    again = tokenizer.__wrapped__()
    assert again.get_vocab() == tokenizer().get_vocab()  # type: ignore[attr-defined]
