"""The English words that the parser knows by what they do, and the cutting of text into words."""

from __future__ import annotations

import re
from typing import NamedTuple


def word_set(words: str) -> frozenset[str]:
    """The words of a list written as one text."""
    return frozenset(words.split())


# Words that end a noun: "the table near the window" is about the table, "the box office" is not about a box.
FUNCTION_WORDS = word_set(
    """
    a about above accessible across after again against ahead all along also am an and another any anywhere
    approximately are around as at away be because before behind below beneath beside between beyond blocked
    blocking blocks but by can close could did directly do does down either exactly far farther fast first for
    forward forwards from front further go have he here how i if immediately in inside into is isn't it it's its
    just leading leads leave left located lying me more my near nearby nearest next no not now obstructing of off ok
    on onto opposite or our out outside over past please pointing quickly right roughly safely she should sitting
    situated slightly so some somewhere standing still straight than thanks that that's the their then there there's
    these they this those through to today toward towards under underneath until up us via was we were what when
    where which while who why will with within without would yes yet you your
    """
)
ARTICLES = word_set("a an the your my our some another any this that these those its their")
PREPOSITIONS = word_set(
    """
    above across after against along around as at before behind below beneath beside between beyond by down for from
    in inside into near next of off on onto opposite out outside over past since through to toward towards under
    underneath until up via where which with within without accessible adjacent just right close
    """
)

TURN_VERBS = word_set("turn turning bear bearing veer veering rotate pivot swing swivel spin face facing curve angle")
TAKE_A_TURN = word_set("make making take taking hang do")  # "make a left"
KEEP_VERBS = word_set("keep keeping stay staying")
MOVE_VERBS = word_set(
    """
    move moving walk walking go going head heading proceed proceeding continue continuing advance advancing step
    stepping travel follow following enter entering take taking use using pass passing cross crossing climb climbing
    approach approaching come coming descend descending ascend ascending pick choose stroll carry reach return
    """
)
STOP_VERBS = word_set("stop stopping halt wait pause freeze stand")
LOOK_VERBS = word_set("look looking check find see notice spot locate scan pan search")
HAZARD_WORDS = word_set("caution careful carefully beware mind watch warning attention danger avoid hazard alert")
VERBS = TURN_VERBS | TAKE_A_TURN | KEEP_VERBS | MOVE_VERBS | STOP_VERBS | LOOK_VERBS
BE = word_set("is are was were it's that's there's isn't lies stands sits exists you'll there're they're")
FILLERS = word_set(
    """
    please now okay ok sure well so then also first firstly next secondly thirdly finally lastly simply just
    carefully slowly alright and but or again once there afterwards afterward quickly gently instead immediately
    actually certainly when
    """
)
NEGATIONS = word_set("not don't dont never cannot can't cant isn't aren't won't doesn't shouldn't couldn't")

# What may follow "right" as an adverb: "right away", "right in front", "right next to". "left" has no such use.
AFTER_ADVERB_RIGHT = word_set(
    """
    away now ahead in behind next beside by there here up down through past under over above opposite across outside
    inside near where along out after before underneath below between against
    """
)
# "the right door" and "the right side" are on the right; "the right way" is the correct one.
SIDED_NOUNS = word_set(
    """
    side hand corner wall edge end lane row aisle corridor hallway door doors staircase stairs stair exit lift
    elevator escalator turn half part section path fork branch passage
    """
)

BOUNDARY = frozenset(".,;:!?—–()\n|")
_TOKEN = re.compile(r"[0-9]+(?:\.[0-9]+)?|[^\W\d_](?:[\w'’]|-(?=\w))*|[.,;:!?—–()\n|°/]|(?<=\s)-(?=\s)")


_READ_AS = {"-": "—", "/": "or"}


class Token(NamedTuple):
    """A word, number or mark in lower case, and where in the text it stands."""

    word: str
    start: int
    end: int


def tokens_of(text: str) -> list[Token]:
    """The words, numbers and marks of `text`. Linear in its length."""
    found: list[Token] = []
    for match in _TOKEN.finditer(text):
        word = match.group().lower().replace("’", "'")
        found.append(Token(_READ_AS.get(word, word), match.start(), match.end()))
    return found
