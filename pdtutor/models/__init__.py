"""Who learns: models whose copies train side by side, and what is asked of them: logits."""
