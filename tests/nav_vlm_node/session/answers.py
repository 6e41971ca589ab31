"""Answers to put to a session, and what comes back."""

from __future__ import annotations

import math

from nav_vlm_node.instruction import Action, Instruction, Status, Step
from nav_vlm_node.language import render
from nav_vlm_node.score import told, wrap
from nav_vlm_node.session import LEG, Guidance, Place

HERE = Place(0.0, 0.0, 0.0)
MISSING = Step(Action.NOT_VISIBLE, landmark="exit")


def said(status: Status, *steps: Step, confidence: float = 1.0) -> Instruction:
    query = "Where is the exit?"
    return Instruction(query_id="1", query=query, status=status, text=render(steps), steps=steps, confidence=confidence)


def way(degrees: float, distance: float, landmark: str) -> tuple[Step, Step]:
    return Step(Action.TURN, math.radians(degrees)), Step(Action.MOVE, 0.0, distance, landmark)


NOTHING = said(Status.NOT_VISIBLE, MISSING, Step(Action.SCAN))
UNSURE = said(Status.UNSURE)


def turn_of(guidance: Guidance) -> float:
    return told(guidance.instruction.steps)[0]


def door(degrees: float, distance: float) -> Instruction:
    return said(Status.NOT_VISIBLE, MISSING, *way(degrees, distance, "open door"))


def leg_from(place: Place, guidance: Guidance) -> Place:
    """Where somebody is who does what was told, and nothing more than one leg."""
    direction, distance = told(guidance.instruction.steps)
    heading, length = place.yaw + direction, 0.0 if math.isnan(distance) else min(distance, LEG)
    return Place(place.x + length * math.cos(heading), place.y + length * math.sin(heading), wrap(heading))


def moves(guidance: Guidance) -> bool:
    return any(step.action is Action.MOVE for step in guidance.instruction.steps)
