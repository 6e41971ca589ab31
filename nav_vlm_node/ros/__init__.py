"""Everything that imports rclpy: the node, conversions between messages and plain data, parameters, diagnostics."""
