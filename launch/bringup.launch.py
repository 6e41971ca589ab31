"""Starts nav_vlm: `ros2 launch nav_vlm bringup.launch.py rig:=usb_cam`; all arguments: `--show-args`.

The arguments, and what follows from them, are in nav_vlm_node.ros.bringup, which `nav-vlm up` shares.
"""

from launch.actions import DeclareLaunchArgument, LogInfo, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from launch import LaunchContext, LaunchDescription
from nav_vlm_node.ros import bringup


def node_of(node: bringup.NodePlan, plan: bringup.Plan) -> Node:
    """The launch action for one node of the plan."""
    return Node(
        package="nav_vlm",
        executable=node.executable,
        name=node.name,
        namespace=node.namespace,
        # Typed, or launch would read the adapter "1" as a number.
        parameters=[
            {
                name: value if isinstance(value, list) else ParameterValue(value, value_type=type(value))
                for name, value in node.parameters.items()
            }
        ],
        remappings=list(node.remappings),
        arguments=["--ros-args", "--log-level", plan.log_level],
        output="screen",
        emulate_tty=True,  # lines as they are logged, not in blocks
        respawn=plan.respawn,
        respawn_delay=bringup.RESPAWN_DELAY,
    )


def start(context: LaunchContext) -> list:
    """What the arguments ask for. A bad one ends the launch with one line that says which."""
    given = {argument.name: LaunchConfiguration(argument.name).perform(context) for argument in bringup.ARGUMENTS}
    plan = bringup.plan(given)
    return [*(LogInfo(msg=f"nav_vlm: {note}") for note in plan.notes), *(node_of(node, plan) for node in plan.nodes)]


def generate_launch_description() -> LaunchDescription:
    """Found by `ros2 launch`."""
    declared = [
        DeclareLaunchArgument(
            argument.name,
            default_value=argument.default,
            description=argument.description,
            choices=argument.choices or None,
        )
        for argument in bringup.ARGUMENTS
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=start)])
