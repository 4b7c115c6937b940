"""What a model has learned: each probe asks one question; over a trajectory, its answers are a curriculum."""
