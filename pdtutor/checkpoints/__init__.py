"""What a teacher leaves behind: a run's checkpoints, and those of others, as trajectories."""
