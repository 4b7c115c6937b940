"""What is learned: tasks that draw examples, and streams of their examples addressed by update."""
