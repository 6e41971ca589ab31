"""What a guide remembers while somebody is on the way to one goal, so that looking around ends and nobody circles.

One picture knows nothing of the one before. `Session` does: where the wearer has been and which headings they looked
at, which open doors and signs were seen and passed, where the goal was said to be and is not, and which legs came to
nothing. It changes what one picture's answer leaves open ("turn slowly to scan") into one definite turn or leg, and
never gives a way to the goal itself.
"""

from nav_vlm_node.session.clues import EXIT_SIGN, OPEN_DOOR
from nav_vlm_node.session.looking import LOOKS
from nav_vlm_node.session.memory import LOOKED, Guidance, Session
from nav_vlm_node.session.trail import LEG, TRIES, Place
from nav_vlm_node.session.ways import SURE, one_look_is_enough

__all__ = [
    "EXIT_SIGN",
    "LEG",
    "LOOKED",
    "LOOKS",
    "OPEN_DOOR",
    "SURE",
    "TRIES",
    "Guidance",
    "Place",
    "Session",
    "one_look_is_enough",
]
