"""Indoor scenes with ground truth, a simulated worn camera and walker."""
