"""The fixed sentences: what the wearer hears when there is no answer, and what to do about it.

Silence cannot be told from a crash, so every status has one.
"""

from __future__ import annotations

from nav_vlm_node.instruction import Status

SPOKEN: dict[Status, str] = {
    Status.UNSURE: "I am not sure. Please turn a little and ask again.",
    Status.NO_IMAGE: "The camera is not sending anything. Please check it.",
    Status.STALE_IMAGE: "The camera has stopped. Please check it.",
    Status.POOR_IMAGE: "The camera is not sending anything useful. Please check it.",
    Status.BUSY: "One moment, I am still answering.",
    Status.CANCELED: "Canceled.",
    Status.INVALID_QUERY: "I did not understand the question. Please ask again.",
    Status.NOT_READY: "The guide is not ready yet. Please ask again in a moment.",
    Status.DISABLED: "The guide is switched off.",
    Status.ERROR: "Something went wrong while I was answering. Please ask again.",
}

TOO_LATE = "That took too long. Please stand still and ask again."
NO_QUESTION = "I did not hear a question. Please ask again."
LONG_QUESTION = "The question is too long. Please ask in one sentence."
NOTHING_TO_REPEAT = "There is nothing to repeat yet."
