"""A recording through the node, live: `ros2 launch nav_vlm replay.launch.py bag:=walk rig:=d435i`.

Takes every argument of bringup.launch.py, and those of the player below. The player waits until the node is active,
then plays the camera and the questions with /clock, by which the node goes (use_sim_time); with it, the launch ends.
"""

from pathlib import Path

from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, OpaqueFunction, Shutdown
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from launch import LaunchContext, LaunchDescription
from nav_vlm_node.ros import bringup

PLAYER = {
    "bag": ("", "rosbag2 folder, .mcap or .db3"),
    "play_rate": ("1.0", "how fast: 0.5 gives a slow model twice the time"),
}


def player(context: LaunchContext) -> list:
    """Plays the bag in the namespace of the node."""
    values = {name: LaunchConfiguration(name).perform(context) for name in (*PLAYER, "namespace")}
    return [
        Node(
            package="nav_vlm",
            executable="play_node",
            namespace=values["namespace"],
            # A folder that is named like a number or a date is still a string.
            parameters=[{"bag": ParameterValue(values["bag"], value_type=str), "rate": float(values["play_rate"])}],
            output="screen",
            emulate_tty=True,
            on_exit=Shutdown(),
        )
    ]


def generate_launch_description() -> LaunchDescription:
    """Found by `ros2 launch`."""
    own = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, (default, description) in PLAYER.items()
    ]
    shared = [
        DeclareLaunchArgument(
            argument.name,
            default_value="true" if argument.name == "use_sim_time" else argument.default,
            description=argument.description,
            choices=argument.choices or None,
        )
        for argument in bringup.ARGUMENTS
    ]
    include = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(Path(__file__).with_name("bringup.launch.py"))),
        launch_arguments=[(argument.name, LaunchConfiguration(argument.name)) for argument in bringup.ARGUMENTS],
    )
    return LaunchDescription([*own, *shared, include, OpaqueFunction(function=player)])
