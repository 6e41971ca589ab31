"""What wearers ask, in many words, and the right answer to it in a given picture.

One phrasing in five is held out of training (by its place in the list, so that every sort of question
keeps some), and so is one unknown place in three: they measure what new words cost.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from nav_vlm_node.instruction import Step
from nav_vlm_sim.truth import (
    Observation,
    ahead_steps,
    decided,
    describe_steps,
    guide_steps,
    locate_steps,
)

Rng = np.random.Generator


class Kind(enum.Enum):
    """What a question is about."""

    TARGET = "target"  # the way to a known thing
    HAZARD = "hazard"  # what is in the way, straight ahead
    UNKNOWN = "unknown"  # the way to something this system does not know
    DESCRIBE = "describe"  # what is there


# Every fifth entry (index 4, 9, 14, ...) is held out.
PHRASINGS: dict[Kind, tuple[str, ...]] = {
    Kind.TARGET: (
        "How do I get to the {}?",
        "Where is the {}?",
        "Take me to the {}.",
        "Guide me to the {}.",
        "Which way is the {}?",
        "How can I reach the {}?",
        "I want to go to the {}.",
        "Find the {}.",
        "Please lead me to the {}.",
        "Can you tell me the way to the {}?",
        "Where can I find the {}?",
        "Is there a way to the {}?",
        "I need the {}.",
        "Direct me to the {}.",
        "I am looking for the {}.",
        "Show me the way to the {}.",
        "Help me find the {}.",
        "Where do I go for the {}?",
        "How to reach the {}?",
        "What is the way to the {}?",
        "Go to the {}.",
        "Walk me to the {}.",
        "Is the {} near here?",
        "Tell me how to get to the {}.",
        "In which direction is the {}?",
        "I have to get to the {}.",
        "Bring me to the {}.",
        "Could you take me to the {}?",
        "Can you guide me to the {}?",
        "Do you see the {}?",
        "Is there any {} here?",
        "Can you see the {}?",
        "I would like to go to the {}.",
        "Where do I find the {}?",
        "Which direction is the {}?",
        "Point me to the {}.",
        "Which way should I go to reach the {}?",
        "Let us go to the {}.",
        "To the {}, please.",
        "Get me to the {}.",
        "What is the best way to the {}?",
        "Navigate to the {}.",
        "Where would the {} be?",
        "Head for the {}.",
        "I am trying to find the {}.",
        "How do I find the {}?",
        "Where exactly is the {}?",
        "The {}, where is it?",
        "Could you help me get to the {}?",
        "Which way to the {}?",
        "Please find the {} for me.",
        "Please tell me where the {} is.",
        "Do you know where the {} is?",
        "Could you show me the {}?",
        "I must reach the {}.",
        "I want the {}.",
        "Show the {}.",
        "Send me towards the {}.",
        "Can I get to the {} from here?",
        "How can I find the {}?",
    ),
    Kind.HAZARD: (
        "Is there anything in my way?",
        "Is the way ahead free?",
        "Are there any obstacles in front of me?",
        "What is in front of me?",
        "Anything blocking my path?",
        "Can I walk straight on?",
        "Is something in my way?",
        "Can I go forward?",
        "Is there an obstacle ahead?",
        "What stands in my way?",
        "Is my path clear?",
        "Is it safe to walk forward?",
        "Am I going to bump into something?",
        "What is blocking me?",
        "Is the way in front of me clear?",
        "Is there something in front of me?",
        "Will I hit anything if I walk on?",
        "Any obstacles?",
        "What is ahead of me?",
        "Is the path free?",
        "Can I keep walking?",
        "Is anything straight ahead?",
        "Are there things in my way?",
        "Is it clear ahead?",
        "May I go straight on?",
        "Check the way ahead.",
        "Is the floor ahead free?",
        "Anything in front?",
        "Do I have room to walk ahead?",
        "Is the path in front of me blocked?",
    ),
    Kind.DESCRIBE: (
        "Describe the view.",
        "What is around me?",
        "What is here?",
        "Tell me what is there.",
        "What do you notice?",
        "Describe the room.",
        "What things are near me?",
        "Describe what is around me.",
        "What is in this room?",
        "Tell me about this place.",
        "What do you see?",
        "What can you see here?",
        "Look around and tell me.",
        "Give me an overview.",
        "What is in view?",
        "Describe my surroundings.",
        "What objects are here?",
        "Tell me what you see.",
        "What is nearby?",
        "Describe this place.",
        "List what is here.",
        "What am I looking at?",
        "Tell me what is around me.",
        "What is there to see?",
        "Give me a description.",
        "Describe what you see.",
        "What is in the picture?",
        "What surrounds me?",
        "Which things are here?",
        "What can be seen?",
    ),
}
PHRASINGS[Kind.UNKNOWN] = PHRASINGS[Kind.TARGET]

NAMES: dict[str, tuple[str, ...]] = {
    "door": ("door", "doorway", "nearest door"),
    "open door": ("open door", "open doorway"),
    "exit": ("exit", "way out", "emergency exit", "nearest exit"),
    "toilet": ("toilet", "restroom", "bathroom", "washroom"),
    "lift": ("lift", "elevator", "lifts"),
    "stairs": ("stairs", "staircase", "steps"),
    "exit sign": ("exit sign", "emergency exit sign"),
    "table": ("table", "desk", "nearest table"),
    "chair": ("chair", "seat", "nearest chair"),
    "sofa": ("sofa", "couch"),
    "box": ("box", "carton", "boxes"),
    "plant": ("plant", "potted plant"),
    "person": ("person", "man", "woman", "nearest person"),
    "cash machine": ("cash machine", "ATM", "cashpoint"),
    "trolley": ("trolley", "luggage trolley"),
}

# Every third entry is held out.
UNKNOWN_PLACES = (
    "swimming pool", "fish tank", "printer", "spaceship", "coffee machine", "bakery", "fountain", "piano",
    "fire extinguisher", "train platform", "library", "kitchen", "garden", "taxi", "ticket machine", "pharmacy",
    "reception", "vending machine", "moon", "bus stop", "museum", "bank", "escalator", "car park", "school",
    "radio", "window", "fridge", "bicycle", "doctor", "cash register", "gate twelve", "lamp", "mirror",
    "post office", "clock", "bridge", "computer", "hotel", "parking meter", "church", "tree", "bed", "shower",
    "ball", "telephone", "supermarket", "river", "camera", "book shelf", "laundry", "dog", "meeting room",
    "wardrobe", "fireplace", "barber", "playground", "atrium", "cinema", "tram",
    "airport", "aquarium", "attic", "bag", "balcony", "bakery shop", "bandage", "bar", "barn", "basement", "basin",
    "basket", "bath tub", "battery", "beach", "bell", "bench", "bin", "blackboard", "blanket", "blender", "boat",
    "boiler", "bottle", "bowl", "breakfast", "broom", "bucket", "buffet", "bus", "butcher", "cable", "cafe",
    "cafeteria", "calendar", "candle", "canteen", "carpet", "castle", "cat", "ceiling", "cellar", "chapel", "charger",
    "charging station", "check in counter", "chimney", "cloakroom", "coat", "coat hook", "concert hall",
    "conference room", "control room", "copier", "corridor five", "counter", "courtyard", "cup", "cupboard",
    "curtain", "customs", "defibrillator", "dentist", "departure gate", "desert", "dining hall", "dish washer",
    "display", "dressing room", "drinking fountain", "drum", "dustbin", "engine", "exhibition", "factory", "fan",
    "farm", "ferry", "first aid kit", "fitting room", "flag", "flower shop", "food court", "football", "fork",
    "forest", "fruit stand", "gallery", "games room", "garage", "gift shop", "glass", "goal", "gym", "hairdresser",
    "hammer", "harbour", "hat", "headphones", "heater", "helmet", "hospital", "ice cream",
    "island", "jacket", "jewellery", "kettle", "keyboard", "keys", "kiosk", "ladder", "lake",
    "laptop", "lawn", "lecture hall", "light switch", "locker", "loudspeaker", "luggage", "magazine",
    "market", "mattress", "microphone", "microwave", "milk", "monitor", "mountain", "music room", "needle",
    "news stand", "nurse", "oven", "packing station", "painting", "pan", "paper", "park", "passport control",
    "pavement", "pen", "petrol station", "phone", "photograph", "pillow", "platform two", "police", "pond", "poster",
    "projector", "pub", "pump", "quiet room", "rack", "radiator", "railway", "ring", "roof", "room twelve", "rope",
    "rubbish", "safe", "sandwich", "scissors", "screen", "server room", "shelf", "ship", "shoe", "shopping cart",
    "sink", "skeleton", "smoke detector", "soap", "socket", "spoon", "stadium", "stage", "star", "statue", "stove",
    "street", "suitcase", "sunglasses", "surgery", "switch", "tap", "tea", "teacher", "television", "temple", "tent",
    "theatre", "thermostat", "ticket office", "towel", "tower", "toy", "tractor", "traffic light", "train", "tunnel",
    "turnstile", "umbrella", "vacuum cleaner", "vase", "violin", "waiter", "waiting room", "wall clock", "wallet",
    "ward seven", "washing machine", "watch", "water cooler", "weighing scale", "workshop", "x ray", "yard", "zebra",
    "zoo",
)  # fmt: skip

_CONSONANTS, _VOWELS = "bcdfghjklmnprstvwz", "aeiou"


def invented_place(rng: Rng) -> str:
    """A word that means nothing ("rakumelo"): no list of places is ever complete."""
    return "".join(rng.choice(list(_CONSONANTS)) + rng.choice(list(_VOWELS)) for _ in range(int(rng.integers(2, 5))))


def held_out(index: int, every: int = 5) -> bool:
    """Whether the entry at this index is kept out of training."""
    return index % every == every - 1


def choose(rng: Rng, entries: tuple[str, ...], *, from_held_out: bool, every: int = 5) -> str:
    """One entry of the asked-for part of the list."""
    part = [e for i, e in enumerate(entries) if held_out(i, every) == from_held_out]
    return part[int(rng.integers(len(part)))]


@dataclass(frozen=True, slots=True)
class Question:
    """One question about one picture. guide: what a guide says; plain: what a describer says.

    target: the known thing asked for; for UNKNOWN the words themselves; else "".
    """

    kind: Kind
    text: str
    target: str
    heldout_phrasing: bool
    guide: tuple[Step, ...]
    plain: tuple[Step, ...]


def target_question(observation: Observation, name: str, rng: Rng, *, new_words: bool = False) -> Question:
    """The way to `name`, one of the observation's targets."""
    words = NAMES[name][int(rng.integers(len(NAMES[name])))]
    text = choose(rng, PHRASINGS[Kind.TARGET], from_held_out=new_words).format(words)
    return Question(Kind.TARGET, text, name, new_words, guide_steps(observation, name), locate_steps(observation, name))


def unknown_question(observation: Observation, rng: Rng, *, new_words: bool = False) -> Question:
    """The way to something that is none of the known targets."""
    words = invented_place(rng) if rng.random() < 0.5 else choose(rng, UNKNOWN_PLACES, from_held_out=new_words, every=3)
    text = choose(rng, PHRASINGS[Kind.UNKNOWN], from_held_out=new_words).format(words)
    steps = guide_steps(observation, words)
    return Question(Kind.UNKNOWN, text, words, new_words, steps, steps)


def hazard_question(observation: Observation, rng: Rng, *, new_words: bool = False) -> Question:
    """What is in the way straight ahead; ask only where `observation.ahead_known`."""
    text = choose(rng, PHRASINGS[Kind.HAZARD], from_held_out=new_words)
    steps = ahead_steps(observation)
    return Question(Kind.HAZARD, text, "", new_words, steps, steps)


def describe_question(observation: Observation, rng: Rng, *, new_words: bool = False) -> Question:
    """What is there; ask only where something is."""
    text = choose(rng, PHRASINGS[Kind.DESCRIBE], from_held_out=new_words)
    steps = describe_steps(observation)
    return Question(Kind.DESCRIBE, text, "", new_words, steps, steps)


def reworded(question: Question, observation: Observation, rng: Rng, *, new_words: bool) -> Question:
    """The same question about the same picture in other words; an unknown place is another unknown place."""
    if question.kind is Kind.TARGET:
        return target_question(observation, question.target, rng, new_words=new_words)
    again = {Kind.HAZARD: hazard_question, Kind.UNKNOWN: unknown_question, Kind.DESCRIBE: describe_question}
    return again[question.kind](observation, rng, new_words=new_words)


def ask(
    observation: Observation, rng: Rng, *, visible_share: float = 0.65, new_words: bool = False
) -> Iterator[Question]:
    """An endless mixture of questions that have one right answer in this picture.

    Of the questions about known things, `visible_share` are about something in view, where there is any;
    a target that hides nothing and blocks nothing is as likely as any other.
    """
    can = [n for n in observation.targets if decided(observation, n)]
    shown = [n for n in can if observation.targets[n].visible]
    hidden = [n for n in can if not observation.targets[n].visible]
    things = describe_steps(observation)
    while True:
        u = rng.random()
        if u < 0.72 and can:
            pool = shown if shown and (rng.random() < visible_share or not hidden) else hidden
            yield target_question(observation, pool[int(rng.integers(len(pool)))], rng, new_words=new_words)
        elif u < 0.84 and observation.ahead_known:
            yield hazard_question(observation, rng, new_words=new_words)
        elif u < 0.92:
            yield unknown_question(observation, rng, new_words=new_words)
        elif things:
            yield describe_question(observation, rng, new_words=new_words)
