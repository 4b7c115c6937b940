"""Checkpoints as trajectories: those of pdtutor's own runs, and those of teachers from elsewhere.

`teachable.py` says what every trajectory offers. `trajectory.py` keeps a run's checkpoints on disk. `foreign.py` makes
teachers of functions, and `hub.py` of models saved by the transformers library, in folders or on the Hugging Face hub.
"""
