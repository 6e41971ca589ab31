"""What the wearer hears, one table per language. Another language is another `Lexicon` in `LEXICONS`.

What holds for every table: the wearer's own left and right, or the clock face; "move", not "walk"; short; no word about
pictures or seeing; never that a way is safe, only that nothing was found.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nav_vlm_node.instruction import Action


@dataclass(frozen=True, kw_only=True)
class Lexicon:
    """The words and sentences of one language.

    `sentences` and `moves` hold templates without a full stop, in lower case; what they are given begins with its own
    blank or comma, or is empty:
        {name}   the landmark (`names`, else its English name)        {goal}   like " to the door"
        {where}  like " on your left" (`places`), for CAUTION, LOCATE   {far}    like ", 3 metres"
        {turn}   like "left 35 degrees", for TURN                      {way}    like "left", for SIGN
    sectors: by degrees, left positive: what "left_right" says for a turn and for a place, on one side.
    """

    names: Mapping[str, str]
    goals: Mapping[str, str]  # landmark -> " to the door"; "" for any other landmark, with {name}
    sentences: Mapping[Action, str]
    move_on: str  # MOVE without distance and goal
    clear_for: str  # NO_HAZARD with a distance
    in_view: str  # LOCATE without bearing and distance
    at_distance: str  # LOCATE without bearing, with {far}
    joint: str  # between the clauses of one sentence
    turn_degrees: tuple[str, str]  # left, right; with {n}
    turn_clock: str  # with {n}
    turn_sides: Mapping[int, tuple[str, str]]  # degrees -> left, right
    turn_around: str
    ahead: str
    behind: str
    place_degrees: tuple[str, str]
    place_clock: str
    place_sides: Mapping[int, tuple[str, str]]
    ways: Mapping[int, str]  # SIGN: degrees -> word
    units: Mapping[str, tuple[str, str]]  # unit -> one, many; with {n}
    point: str  # the decimal mark


ENGLISH = Lexicon(
    names={},
    goals={"": " to the {name}"},
    sentences={
        Action.TURN: "{turn}",
        Action.MOVE: "move{far}{goal}",
        Action.STOP: "stop",
        Action.CAUTION: "caution, {name}{where}{far}",
        Action.LOCATE: "{name}{where}{far}",
        Action.NOT_VISIBLE: "no {name} in view",
        Action.SCAN: "turn slowly to scan",
        Action.SIGN: "the {name} points {way}",
        Action.NO_HAZARD: "nothing found in the way",
        Action.UNKNOWN: "I do not know that place",
    },
    move_on="move ahead",
    clear_for="nothing found in the way for {far}",
    in_view=" in view",
    at_distance=" at {far}",
    joint=", then ",
    turn_degrees=("turn left {n} degrees", "turn right {n} degrees"),
    turn_clock="turn to {n} o'clock",
    turn_sides={
        20: ("turn slightly left", "turn slightly right"),
        45: ("bear left", "bear right"),
        90: ("turn left", "turn right"),
        135: ("turn sharply left", "turn sharply right"),
    },
    turn_around="turn around",
    ahead=" ahead",
    behind=" behind you",
    place_degrees=(" {n} degrees left", " {n} degrees right"),
    place_clock=" at {n} o'clock",
    place_sides={
        20: (" slightly left", " slightly right"),
        45: (" ahead on your left", " ahead on your right"),
        90: (" on your left", " on your right"),
        135: (" behind on your left", " behind on your right"),
    },
    ways={0: "ahead", 90: "left", -90: "right", 180: "back"},
    units={"metres": ("{n} metre", "{n} metres"), "steps": ("{n} step", "{n} steps"), "feet": ("{n} foot", "{n} feet")},
    point=".",
)

GERMAN = Lexicon(
    names={
        "door": "Tür", "open door": "offene Tür", "stairs": "Treppe", "lift": "Aufzug", "exit": "Ausgang",
        "exit sign": "Ausgangsschild", "toilet": "Toilette", "table": "Tisch", "chair": "Stuhl", "sofa": "Sofa",
        "box": "Kiste", "plant": "Pflanze", "person": "Person", "wall": "Wand", "obstacle": "Hindernis",
        "cash machine": "Geldautomat", "trolley": "Wagen",
        "place": "Ziel", "sign": "Schild",
    },
    goals={
        "": " Richtung {name}", "door": " zur Tür", "open door": " zur offenen Tür", "stairs": " zur Treppe",
        "lift": " zum Aufzug", "exit": " zum Ausgang", "exit sign": " zum Ausgangsschild", "toilet": " zur Toilette",
        "table": " zum Tisch", "chair": " zum Stuhl", "sofa": " zum Sofa", "box": " zur Kiste", "plant": " zur Pflanze",
        "person": " zur Person", "wall": " zur Wand", "place": " zum Ziel",
        "cash machine": " zum Geldautomaten", "trolley": " zum Wagen",
    },
    sentences={
        Action.TURN: "{turn}",
        Action.MOVE: "gehen Sie{far}{goal}",
        Action.STOP: "bleiben Sie stehen",
        Action.CAUTION: "Vorsicht, {name}{where}{far}",
        Action.LOCATE: "{name}{where}{far}",
        Action.NOT_VISIBLE: "{name} nicht gefunden",
        Action.SCAN: "drehen Sie sich langsam um sich selbst",
        Action.SIGN: "{name} zeigt {way}",
        Action.NO_HAZARD: "nichts im Weg gefunden",
        Action.UNKNOWN: "diesen Ort kenne ich nicht",
    },
    move_on="gehen Sie geradeaus",
    clear_for="nichts im Weg gefunden auf {far}",
    in_view=" in der Nähe",
    at_distance=" in {far} Entfernung",
    joint=", dann ",
    turn_degrees=("drehen Sie sich {n} Grad nach links", "drehen Sie sich {n} Grad nach rechts"),
    turn_clock="drehen Sie sich auf {n} Uhr",
    turn_sides={
        20: ("drehen Sie sich etwas nach links", "drehen Sie sich etwas nach rechts"),
        45: ("drehen Sie sich halb links", "drehen Sie sich halb rechts"),
        90: ("drehen Sie sich nach links", "drehen Sie sich nach rechts"),
        135: ("drehen Sie sich scharf nach links", "drehen Sie sich scharf nach rechts"),
    },
    turn_around="drehen Sie sich um",
    ahead=" geradeaus",
    behind=" hinter Ihnen",
    place_degrees=(" {n} Grad links", " {n} Grad rechts"),
    place_clock=" auf {n} Uhr",
    place_sides={
        20: (" etwas links", " etwas rechts"),
        45: (" vorne links", " vorne rechts"),
        90: (" links von Ihnen", " rechts von Ihnen"),
        135: (" hinten links", " hinten rechts"),
    },
    ways={0: "geradeaus", 90: "nach links", -90: "nach rechts", 180: "zurück"},
    units={
        "metres": ("{n} Meter", "{n} Meter"), "steps": ("{n} Schritt", "{n} Schritte"), "feet": ("{n} Fuß", "{n} Fuß"),
    },
    point=",",
)  # fmt: skip

LEXICONS: dict[str, Lexicon] = {"en": ENGLISH, "de": GERMAN}
