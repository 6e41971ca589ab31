from __future__ import annotations

import math
from typing import Any

import pytest
import yaml
from rcl_interfaces.srv import DescribeParameters, SetParameters
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.parameter import Parameter

from nav_vlm_node.guide import GuideOptions
from nav_vlm_node.paths import config
from nav_vlm_node.ros import parameters
from nav_vlm_node.ros.parameter_table import BY_NAME, PARAMETERS
from tests.conftest import Graph


def test_the_committed_yaml_is_the_generated_one() -> None:
    assert (config() / "nav_vlm.yaml").read_text() == parameters.to_yaml(), (
        "run: python -m nav_vlm_node.ros.parameters > config/nav_vlm.yaml"
    )


def test_the_yaml_holds_every_default() -> None:
    values = yaml.safe_load(parameters.to_yaml())["/**/nav_vlm"]["ros__parameters"]
    assert values == parameters.defaults()
    assert {name: type(value) for name, value in values.items()} == {p.name: type(p.default) for p in PARAMETERS}


def test_names_are_unique_and_defaults_are_allowed() -> None:
    assert len(BY_NAME) == len(PARAMETERS)
    for spec in PARAMETERS:
        assert spec.objection(spec.default) is None
        assert spec.description
        assert not spec.description.endswith(".")
    assert parameters.objection(parameters.defaults(), {}) is None


def test_the_defaults_are_the_guides() -> None:
    made, own = parameters.guide_options({}), GuideOptions()
    assert made.hfov == pytest.approx(own.hfov, abs=1e-3)
    assert (made.rig, made.style, made.limits, made.quality) == (own.rig, own.style, own.limits, own.quality)
    assert (made.max_image_age, made.max_answer_age) == (own.max_image_age, own.max_answer_age)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"max_image_age": math.nan}, "use 0.01 to 60"),
        ({"max_image_age": -1.0}, "use 0.01 to 60"),
        ({"max_image_age": 1}, "must be of type double, not int"),
        ({"mirrored": 1}, "must be of type bool"),
        ({"image_rotation": 45}, "use one of 0, 90, 180, 270"),
        ({"bearings": "compass"}, "use one of degrees, clock, left_right"),
        ({"max_answer_age": 0.2}, "under max_image_age"),
        ({"camera_pitch": 2.0}, "camera_pitch"),
        ({"max_new_tokens": 0}, "use 1 to 512"),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason(changed: dict[str, Any], says: str) -> None:
    why = parameters.objection(changed, parameters.defaults())
    assert why is not None
    assert says in why
    assert "\n" not in why


def test_parameters_that_only_work_together() -> None:
    together = {"max_image_age": 5.0, "max_answer_age": 8.0}
    assert parameters.objection(together, parameters.defaults()) is None
    assert parameters.objection({"max_image_age": 5.0}, parameters.defaults()) is not None
    assert parameters.objection({"somebody_elses": 3}, parameters.defaults()) is None


def declared(ros: Graph, **values: Any) -> Any:
    overrides = [Parameter(name, value=value) for name, value in values.items()]
    node = ros.node("nav_vlm", parameter_overrides=overrides)
    parameters.declare(node)
    return node


def test_declared_with_types_ranges_and_descriptions(ros: Graph) -> None:
    declared(ros)
    probe = ros.node("probe")
    request = DescribeParameters.Request(names=[spec.name for spec in PARAMETERS])
    descriptors = ros.call(probe, DescribeParameters, "nav_vlm/describe_parameters", request).descriptors
    for spec, descriptor in zip(PARAMETERS, descriptors, strict=True):
        assert spec.description in descriptor.description
        assert descriptor.read_only == spec.read_only
        ranges = [*descriptor.floating_point_range, *descriptor.integer_range]
        if spec.low is not None:
            assert [(r.from_value, r.to_value) for r in ranges] == [(spec.low, spec.high)]
        if spec.choices:
            assert str(spec.choices[-1]) in descriptor.additional_constraints


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("bearings", "compass", "use one of"),
        ("max_image_age", -1.0, "range|use 0.01"),
        ("max_image_age", "soon", "type"),
        ("model", "/elsewhere", "read-only"),
        ("max_answer_age", 0.1, "under max_image_age"),
    ],
)
def test_set_parameters_says_why_not(ros: Graph, name: str, value: object, says: str) -> None:
    node = declared(ros)
    before = node.get_parameter(name).value
    probe = ros.node("probe")
    request = SetParameters.Request(parameters=[Parameter(name, value=value).to_parameter_msg()])
    (result,) = ros.call(probe, SetParameters, "nav_vlm/set_parameters", request).results
    assert not result.successful
    assert any(part in result.reason for part in says.split("|")), result.reason
    assert node.get_parameter(name).value == before


def test_set_parameters_takes_what_can_be(ros: Graph) -> None:
    node = declared(ros)
    probe = ros.node("probe")
    request = SetParameters.Request(parameters=[Parameter("bearings", value="clock").to_parameter_msg()])
    (result,) = ros.call(probe, SetParameters, "nav_vlm/set_parameters", request).results
    assert result.successful, result.reason
    assert parameters.guide_options(parameters.values_of(node)).style.bearings == "clock"


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("bearings", "compass", InvalidParameterValueException),
        ("max_image_age", -1.0, InvalidParameterValueException),
        ("max_image_age", "soon", InvalidParameterTypeException),
    ],
)
def test_a_bad_value_at_start_is_refused(ros: Graph, name: str, value: object, error: type[Exception]) -> None:
    with pytest.raises(error, match=name):
        declared(ros, **{name: value})
