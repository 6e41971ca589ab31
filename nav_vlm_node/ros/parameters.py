"""What is made of the parameter table: declaration, validation, `config/nav_vlm.yaml`, the README's table.

python -m nav_vlm_node.ros.parameters    # what config/nav_vlm.yaml holds
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from nav_vlm_node.errors import UserError
from nav_vlm_node.frames import QualityLimits
from nav_vlm_node.guard import Limits
from nav_vlm_node.guide import GuideOptions
from nav_vlm_node.language import Style
from nav_vlm_node.ros.parameter_table import BY_NAME, PARAMETERS, Value
from nav_vlm_node.view import Rig

if TYPE_CHECKING:
    from rclpy.node import Node
    from rclpy.parameter import Parameter


def defaults() -> dict[str, Value]:
    """A new dict of every parameter's default."""
    return {spec.name: spec.default for spec in PARAMETERS}


def guide_options(values: Mapping[str, Value]) -> GuideOptions:
    """What of the parameters the guide needs. Raises UserError where they do not go together."""
    v = {**defaults(), **values}
    if float(v["max_answer_age"]) < float(v["max_image_age"]):
        raise UserError(
            f"max_answer_age ({v['max_answer_age']} s) is under max_image_age ({v['max_image_age']} s): raise it"
        )
    return GuideOptions(
        rig=Rig(
            camera_yaw=float(v["camera_yaw"]),
            camera_pitch=float(v["camera_pitch"]),
            camera_height=float(v["camera_height"]),
            image_rotation=int(v["image_rotation"]),
            mirrored=bool(v["mirrored"]),
        ),
        hfov=float(v["camera_hfov"]),
        style=Style(
            bearings=cast(Any, v["bearings"]),  # checked by Style itself
            distances=cast(Any, v["distances"]),
            step_length=float(v["step_length"]),
            language=str(v["language"]),
        ),
        limits=Limits(min_confidence=float(v["min_confidence"])),
        quality=QualityLimits(
            darkness=float(v["darkness"]),
            brightness=float(v["brightness"]),
            contrast=float(v["contrast"]),
            sharpness=float(v["sharpness"]),
        ),
        max_query_length=int(v["max_query_length"]),
        max_new_tokens=int(v["max_new_tokens"]),
        max_image_age=float(v["max_image_age"]),
        max_answer_age=float(v["max_answer_age"]),
    )


def objection(changed: Mapping[str, object], current: Mapping[str, Value]) -> str | None:
    """Why these values cannot be set beside the current ones, in one line; None if they can.

    Names that are not in the table are let by.
    """
    known = {name: value for name, value in changed.items() if name in BY_NAME}
    found = next(filter(None, (BY_NAME[name].objection(value) for name, value in known.items())), None)
    if found is not None or len({**current, **known}) < len(PARAMETERS):  # while declaring: one is not there yet
        return found
    try:
        guide_options({**current, **known})  # type: ignore[dict-item]  # every value's type was checked above
    except UserError as error:
        return str(error)
    return None


def declare(node: Node) -> None:
    """Declare every parameter on `node`, checked now and at every later change.

    Raises rclpy's InvalidParameterValueException or InvalidParameterTypeException for a bad value given at start.
    """
    from rcl_interfaces.msg import SetParametersResult

    from nav_vlm_node.ros.declaring import declare_table

    def check(changed: list[Parameter]) -> SetParametersResult:
        why = objection({parameter.name: parameter.value for parameter in changed}, values_of(node))
        return SetParametersResult(successful=why is None, reason=why or "")

    node.add_on_set_parameters_callback(check)
    declare_table(node, PARAMETERS)


def values_of(node: Node) -> dict[str, Value]:
    """Every declared parameter's value now."""
    return {spec.name: node.get_parameter(spec.name).value for spec in PARAMETERS if node.has_parameter(spec.name)}


def _yaml_value(value: Value) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else repr(value)


def to_yaml() -> str:
    """The text of config/nav_vlm.yaml."""
    lines = [
        "# Every parameter of the node with its default. Generated: python -m nav_vlm_node.ros.parameters",
        "/**/nav_vlm:",
        "  ros__parameters:",
    ]
    for spec in PARAMETERS:
        notes = [note for note in (spec.unit, spec.allowed, "read-only" if spec.read_only else "") if note]
        lines.append(f"    # {spec.description}" + (f" [{'; '.join(notes)}]" if notes else ""))
        lines.append(f"    {spec.name}: {_yaml_value(spec.default)}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(to_yaml())
