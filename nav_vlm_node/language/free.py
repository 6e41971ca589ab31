"""Free English to steps: sentences into clauses, and what one clause leaves for the next."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from nav_vlm_node.instruction import Action, Step
from nav_vlm_node.language import clauses
from nav_vlm_node.language.phrases import BEAR, PLAIN, Where, find_where, name_at, name_in, side_at
from nav_vlm_node.language.words import (
    BE,
    BOUNDARY,
    FILLERS,
    HAZARD_WORDS,
    MOVE_VERBS,
    NEGATIONS,
    PREPOSITIONS,
    VERBS,
    Token,
    tokens_of,
    word_set,
)

_LONGEST_CLAUSE = 80  # words; what is longer is no instruction, and no reader of clauses needs to be fast on it
_LONGEST_WORD = 40  # letters
_YES = word_set("yes yeah yep yup correct affirmative")
_NO = word_set("no nope")
_IF = word_set("if unless otherwise whether")
_MODALS = word_set("should can must will could may might would")
_NO_VERB_AFTER = word_set("to the a an your you")  # "the turn", "to reach the door"
_STARTS = word_set("it's there's there it you you'll don't do never not beware")


def split_clauses(tokens: Sequence[Token]) -> list[list[Token]]:
    """The clauses of one sentence, without the marks and the words that join them. Linear."""
    found: list[list[Token]] = []
    clause: list[Token] = []
    for index, token in enumerate(tokens):
        joins = token.word == "then" or (token.word in ("and", "but", "or") and _starts(tokens, index))
        if joins or token.word in BOUNDARY:
            found.append(clause)
            clause = []
        else:
            clause.append(token)
    found.append(clause)
    return [clause for clause in found if clause]


def _starts(tokens: Sequence[Token], joint: int) -> bool:
    """Whether a new clause begins after the "and" at `joint`, and not only another noun ("brushes and paints")."""
    after = joint + 1
    while after < min(joint + 4, len(tokens)) and tokens[after].word in FILLERS:
        after += 1
    words = [token.word for token in tokens[after : after + 7]]
    if not words or words[0] in VERBS or words[0] in HAZARD_WORDS or words[0] in _STARTS:
        return True
    if tokens[joint].word == "or":
        return False
    if words[0] in ("left", "right"):
        before = tokens[joint - 1].word if joint else ""
        return before not in ("left", "right") or before == words[0]
    ends = next((index for index, word in enumerate(words) if word in BOUNDARY or word == "and"), len(words))
    return any(word in BE for word in words[1:ends])


def _only_leads(word: str, after: str, index: int) -> bool:
    if word in FILLERS:
        return (word, after) != ("next", "to") and not (word == "there" and (index == 0 or after in BE))
    return word in ("let's", "be") and after in VERBS


def _strip(words: list[str]) -> list[str]:
    """`words` without what only leads up to them: "please", "then", "you should", "start by"."""
    start = 0
    while start < len(words):
        word = words[start]
        after = words[start + 1] if start + 1 < len(words) else ""
        if word in ("you", "i") and after in _MODALS:
            start += 2
        elif word == "you" and after in ("need", "have", "want") and words[start + 2 : start + 3] == ["to"]:
            start += 3
        elif word == "you" and after in VERBS:
            start += 1
        elif word in ("start", "begin", "try") and (after.endswith("ing") or after in ("to", "by")):
            start += 2 if after in ("to", "by") else 1
        elif _only_leads(word, after, start):
            start += 1
        else:
            break
    return words[start:]


class FreeReader:
    """Reads sentences of free English one after the other; `steps` and `unparsed` grow. step_length: metres."""

    def __init__(self, step_length: float) -> None:
        self.steps: list[Step] = []
        self.unparsed: list[str] = []
        self._step_length = step_length
        self._answer = ""  # "yes" or "no", where one of them began the text
        self._begin_sentence()

    def _begin_sentence(self) -> None:
        self._first = len(self.steps)  # of this sentence
        self._hazard = self._conditional = False
        self._where: Where | None = None  # said before what it is about: "On your left, there is a door."
        self._place = ""  # likewise: "At the door, turn left."

    def read(self, sentence: str) -> None:
        """Understand one sentence. Never raises; linear in its length."""
        tokens = tokens_of(sentence)
        if any(token.word == "?" for token in tokens[-3:]):  # a question asks, it does not tell
            self.unparsed.append(sentence.strip())
            return
        self._begin_sentence()
        held_back = ""
        for clause in split_clauses(tokens):
            words = [token.word for token in clause]
            text = sentence[clause[0].start : clause[-1].end]
            if len(words) > _LONGEST_CLAUSE or max(map(len, words)) > _LONGEST_WORD or not self._clause(words):
                self.unparsed.append(text)
            elif self._place:
                held_back = held_back or text
        if self._where is not None:
            self.steps.append(Step(Action.LOCATE, self._where.bearing, self._where.distance))
        elif self._place:
            self.unparsed.append(held_back)
        elif self._hazard and len(self.steps) == self._first:
            self.steps.append(Step(Action.CAUTION, landmark=clauses.OBSTACLE))

    def finish(self) -> None:
        """A bare yes or no answers "Is anything in my way?"; with more said, that decides."""
        going_on = all(step.action is Action.MOVE for step in self.steps)
        if self._answer == "no" and going_on:  # "No. You can go straight."
            self.steps.insert(0, Step(Action.NO_HAZARD))
        if self._answer == "yes" and not self.steps:
            self.steps.append(Step(Action.CAUTION, landmark=clauses.OBSTACLE))

    def _clause(self, words: list[str]) -> bool:
        """Whether the clause was understood; its steps are added."""
        words = _strip(words)
        if not words or all(word[0] in "0123456789" for word in words):
            return True
        if words[0] in _IF:
            self._conditional = True
        if self._conditional:
            return False
        if words[0] in _YES or (
            words[0] in _NO and (len(words) == 1 or words[1] in ("it's", "there", "the", "there's"))
        ):
            self._answer = "yes" if words[0] in _YES else "no"
            return len(words) == 1 or self._clause(words[1:])
        for marker in ("instead", "rather"):
            if marker in words[1:-1] and words[words.index(marker) + 1] in ("of", "than"):
                words = words[: words.index(marker)]
        return self._meaning(words)

    def _meaning(self, words: list[str]) -> bool:
        stock = clauses.read_stock_phrase(words, self._step_length)
        if stock is not None:
            return self._add(stock)
        if (negated := self._negated(words)) is not None:
            return negated
        warning = self._warning(words)
        if warning is not None:
            words = _strip(warning)
            if not words:
                return True
        elif (words[0] not in PREPOSITIONS or side_at(words, 0)) and not self._places_last(words):
            acted = clauses.read_verb(words, self._step_length)
            if acted is not None:
                if self._where is not None:
                    self._add((Step(Action.LOCATE, self._where.bearing, self._where.distance),))
                    self._where = None
                return self._add(acted)
        if words[0] in PREPOSITIONS or find_where(words, self._step_length).at == 0 or words[0][0] in "0123456789":
            return self._fragment(words)
        where, self._where = self._where, None
        moving = any(step.action in (Action.TURN, Action.MOVE) for step in self.steps)
        answer = "" if moving else self._answer
        stated = clauses.read_statement(words, self._step_length, self._hazard, answer)
        if where is not None and not stated and (name := name_in(words)):
            stated = (Step(Action.LOCATE, where.bearing, where.distance, name),)
        elif where is not None and stated and math.isnan(stated[0].bearing):
            stated = (dataclasses.replace(stated[0], bearing=where.bearing),)
        self._hazard = self._hazard and not stated
        return self._add(stated) or self._fragment(words)

    def _places_last(self, words: list[str]) -> bool:
        """Whether "straight ahead" says where the thing before it is, and not where to go."""
        last = self.steps[-1] if len(self.steps) > self._first else None
        placeable = last is not None and last.action in (Action.LOCATE, Action.CAUTION) and math.isnan(last.bearing)
        return placeable and words[:2] == ["straight", "ahead"]

    def _negated(self, words: list[str]) -> bool | None:
        """None if the clause forbids nothing. "Do not move" is a stop; what else is forbidden is not a step."""
        at = next((index for index, word in enumerate(words[:5]) if word in NEGATIONS), -1)
        if at < 0 or words[at + 1 : at + 2] == ["far"]:
            return None
        rest = words[at + 1 :]
        where = find_where(rest, self._step_length)
        free = not where.sided and not name_in(rest, 1) and math.isnan(where.distance)
        if rest and rest[0] in MOVE_VERBS and free:
            return self._add((Step(Action.STOP),))
        return False

    def _warning(self, words: list[str]) -> list[str] | None:
        """What is warned of, where the clause begins with a warning; None where it does not."""
        start = 1 if words[0] == "be" else 0
        if words[start : start + 2] in (["look", "out"], ["take", "care"]) or (
            words[start:] and words[start] in HAZARD_WORDS
        ):
            self._hazard = True
            rest = words[start + 1 :]
            while rest and rest[0] in ("out", "care", "for", "of", "with", "about", "your", "when", "as"):
                rest = rest[1:]
            return rest
        return None

    def _fragment(self, words: list[str]) -> bool:
        """A clause without a verb: it says more of the last step, or of what comes next in the sentence."""
        where = find_where(words, self._step_length)
        verb = next((i for i in range(2, len(words)) if words[i] in VERBS and words[i - 1] not in _NO_VERB_AFTER), -1)
        if verb > 0 and words[0] in PREPOSITIONS:
            return self._fragment(words[:verb]) and self._meaning(words[verb:])
        if words[0] in ("after", "in") and where.distance_at == 1:
            return self._add((Step(Action.MOVE, 0.0, where.distance),))
        last = self.steps[-1] if len(self.steps) > self._first else None
        if last is not None and self._places_last(words):
            self._say_more(last, where)
            return True
        name = name_in(words[: where.at] if where.at > 0 else words)
        if where.nothing:
            if words[0] not in PREPOSITIONS:
                return False
            if last is None:
                self._place = name_at(words, 1) or "place"
            return True
        onward = where.distance_at == 0 and where.sided and "to" in words[: where.at]
        if onward and last is not None and last.action is Action.MOVE:  # "..., then 2 steps to the right"
            return self._add((Step(Action.MOVE, where.bearing, where.distance),))
        if name and words[0] not in ("on", "to", "at", "in", "about", "around", "just", "right", "from"):
            return self._add((Step(Action.LOCATE, where.bearing, where.distance, name),))
        if last is None:
            if self._hazard and name:
                return self._add((Step(Action.CAUTION, where.bearing, where.distance, name),))
            self._where = where
            return True
        self._say_more(last, where)
        return True

    def _say_more(self, last: Step, where: Where) -> None:
        """Where and how far the last step is, said after a comma: "Table ahead, 3 steps.", "Turn left, 35 degrees."."""
        if last.action is Action.TURN and not math.isnan(where.angle):
            self.steps[-1] = dataclasses.replace(last, bearing=math.copysign(where.angle, last.bearing))
            return
        distance = where.distance if math.isnan(last.distance) else last.distance
        settled = last.action in (Action.LOCATE, Action.CAUTION) or (last.action is Action.MOVE and not where.sided)
        if settled and math.isnan(last.bearing):
            self.steps[-1] = dataclasses.replace(last, bearing=where.bearing, distance=distance)
        elif settled and (math.isnan(where.bearing) or where.bearing == last.bearing):
            self.steps[-1] = dataclasses.replace(last, distance=distance)
        elif settled and last.bearing == 0 and where.sided:
            size = BEAR if abs(where.bearing) == PLAIN else abs(where.bearing)
            self.steps[-1] = dataclasses.replace(last, bearing=math.copysign(size, where.bearing), distance=distance)
        else:
            self.steps.append(Step(Action.LOCATE, where.bearing, where.distance, last.landmark))

    def _add(self, steps: Sequence[Step]) -> bool:
        if steps and self._place:
            if steps[0].action is Action.TURN and not steps[0].landmark and self._place != "place":
                steps = (dataclasses.replace(steps[0], landmark=self._place), *steps[1:])
            self._place = ""
        self.steps.extend(steps)
        return bool(steps)
