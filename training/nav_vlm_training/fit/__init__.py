"""Training: batches, features, the step, the loop, checkpoints, and what a run leaves behind."""
