"""The fixed sentences: what the wearer hears when there is no answer, and what to do about it.

Silence cannot be told from a crash, so every status has one. They are written in English and said through `say`.
"""

from __future__ import annotations

from nav_vlm_node.instruction import Status

SPOKEN: dict[Status, str] = {
    Status.OK: "Done.",  # never without an answer's own text
    Status.NOT_VISIBLE: "It is not in view.",
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
    Status.SEARCHING: "Please turn a little and ask again.",  # never without a way of its own
}
TOO_LATE = "That took too long. Please stand still and ask again."
RETRACTED = "Stop. I am not sure any more. Please turn a little and ask again."
DEADLINE = "The answer took too long. Please ask again."
NO_QUESTION = "I did not hear a question. Please ask again."
LONG_QUESTION = "The question is too long. Please ask in one sentence."
NOTHING_TO_REPEAT = "There is nothing to repeat yet."
LONG_AGO = "That was a while ago. Please ask again."
TOO_DARK = "The view is too dark, or the camera is covered."
TOO_BRIGHT = "The view is too bright."
COVERED = "The camera seems to be covered."
BLURRED = "The view is blurred. Please hold still for a moment."
A_TRY = "This is only a try."
WITHIN_REACH = "It should be within reach."
MAYBE_WITHIN_REACH = "It may be within reach."

_GERMAN = {
    SPOKEN[Status.OK]: "Fertig.",
    SPOKEN[Status.NOT_VISIBLE]: "Es ist nicht in Sicht.",
    SPOKEN[Status.UNSURE]: "Ich bin nicht sicher. Bitte drehen Sie sich ein wenig und fragen Sie noch einmal.",
    SPOKEN[Status.NO_IMAGE]: "Von der Kamera kommt nichts. Bitte prüfen Sie sie.",
    SPOKEN[Status.STALE_IMAGE]: "Die Kamera ist stehen geblieben. Bitte prüfen Sie sie.",
    SPOKEN[Status.POOR_IMAGE]: "Von der Kamera kommt nichts Brauchbares. Bitte prüfen Sie sie.",
    SPOKEN[Status.BUSY]: "Einen Moment, ich antworte noch.",
    SPOKEN[Status.CANCELED]: "Abgebrochen.",
    SPOKEN[Status.INVALID_QUERY]: "Ich habe die Frage nicht verstanden. Bitte fragen Sie noch einmal.",
    SPOKEN[Status.NOT_READY]: "Ich bin noch nicht bereit. Bitte fragen Sie gleich noch einmal.",
    SPOKEN[Status.DISABLED]: "Die Führung ist ausgeschaltet.",
    SPOKEN[Status.ERROR]: "Beim Antworten ist etwas schiefgegangen. Bitte fragen Sie noch einmal.",
    SPOKEN[Status.SEARCHING]: "Bitte drehen Sie sich ein wenig und fragen Sie noch einmal.",
    TOO_LATE: "Das hat zu lange gedauert. Bitte bleiben Sie stehen und fragen Sie noch einmal.",
    RETRACTED: "Halt. Ich bin nicht mehr sicher. Bitte drehen Sie sich ein wenig und fragen Sie noch einmal.",
    DEADLINE: "Die Antwort hat zu lange gedauert. Bitte fragen Sie noch einmal.",
    NO_QUESTION: "Ich habe keine Frage gehört. Bitte fragen Sie noch einmal.",
    LONG_QUESTION: "Die Frage ist zu lang. Bitte fragen Sie in einem Satz.",
    NOTHING_TO_REPEAT: "Es gibt noch nichts zu wiederholen.",
    LONG_AGO: "Das ist eine Weile her. Bitte fragen Sie noch einmal.",
    TOO_DARK: "Es ist zu dunkel, oder die Kamera ist verdeckt.",
    TOO_BRIGHT: "Es ist zu hell.",
    COVERED: "Die Kamera scheint verdeckt zu sein.",
    BLURRED: "Das Bild ist unscharf. Bitte halten Sie einen Moment still.",
    A_TRY: "Das ist nur ein Versuch.",
    WITHIN_REACH: "Es sollte in Reichweite sein.",
    MAYBE_WITHIN_REACH: "Es ist vielleicht in Reichweite.",
    "The guide stopped while answering and is starting again. Please ask again in a moment.": (
        "Die Führung ist beim Antworten ausgefallen und startet neu. Bitte fragen Sie gleich noch einmal."
    ),
    "The guide ran out of memory. Please ask again in a moment.": (
        "Der Speicher hat nicht gereicht. Bitte fragen Sie gleich noch einmal."
    ),
}
TRANSLATIONS: dict[str, dict[str, str]] = {"en": {}, "de": _GERMAN}


def say(sentence: str, language: str) -> str:
    """A fixed sentence in `language`; what is no fixed sentence, or has no translation, comes back as it is."""
    return TRANSLATIONS.get(language, {}).get(sentence, sentence)
