"""The simulator on ROS 2: the only place of this package that imports rclpy."""
