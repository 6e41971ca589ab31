"""Floor plans for Gazebo: the geometry that MuJoCo draws, as SDF, with a worn camera and a bridge to ROS 2."""
