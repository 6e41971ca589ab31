"""The simulated camera and nav_vlm: `ros2 launch nav_vlm sim.launch.py`; all arguments: `--show-args`.

Takes every argument of bringup.launch.py, and those of the camera below.
"""

from pathlib import Path

from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, OpaqueFunction
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from launch import LaunchContext, LaunchDescription
from nav_vlm_node.ros import bringup

CAMERA = {
    "seed": ("0", "which scene"),
    "hold_time": ("10.0", "seconds until the next place or scene; 0.0: stay"),
    "rate": ("10.0", "pictures a second"),
}


def camera(context: LaunchContext) -> list:
    """The simulated camera, in the namespace of the rest."""
    values = {name: LaunchConfiguration(name).perform(context) for name in (*CAMERA, "namespace", "use_sim_time")}
    parameters = {"seed": int(values["seed"]), "hold_time": float(values["hold_time"]), "rate": float(values["rate"])}
    if values["use_sim_time"]:
        parameters["use_sim_time"] = values["use_sim_time"] == "true"
    return [
        Node(
            package="nav_vlm_sim",
            executable="sim_camera_node",
            namespace=values["namespace"],
            parameters=[parameters],
            output="screen",
            emulate_tty=True,
        )
    ]


def generate_launch_description() -> LaunchDescription:
    """Found by `ros2 launch`."""
    own = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, (default, description) in CAMERA.items()
    ]
    shared = [
        DeclareLaunchArgument(
            argument.name,
            default_value="sim" if argument.name == "rig" else argument.default,
            description=argument.description,
            choices=argument.choices or None,
        )
        for argument in bringup.ARGUMENTS
    ]
    include = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(Path(__file__).with_name("bringup.launch.py"))),
        launch_arguments=[(argument.name, LaunchConfiguration(argument.name)) for argument in bringup.ARGUMENTS],
    )
    return LaunchDescription([*own, *shared, OpaqueFunction(function=camera), include])
