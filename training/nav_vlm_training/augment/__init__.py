"""More data from the same data: mirrored scenes, other light, other words."""
