"""One grammar of navigation instructions: text to steps, steps to text.

`parse` reads canonical and free English; `render_canonical` writes what the model is trained on, and `quantise` says
what of the steps that keeps; `render` writes what the wearer hears; `complete_clauses` cuts a text that is still being
streamed; `landmark_of` says which known landmark a question asks for.
"""

from nav_vlm_node.language.canonical import mirrored, quantise, render_canonical
from nav_vlm_node.language.landmarks import KNOWN, landmark_of
from nav_vlm_node.language.parsing import STEP_LENGTH, Parsed, parse
from nav_vlm_node.language.sentences import complete_clauses
from nav_vlm_node.language.spoken import Style, render, resolve

__all__ = [
    "KNOWN",
    "STEP_LENGTH",
    "Parsed",
    "Style",
    "complete_clauses",
    "landmark_of",
    "mirrored",
    "parse",
    "quantise",
    "render",
    "render_canonical",
    "resolve",
]
