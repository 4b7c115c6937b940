"""Training: one loop for teachers and students, the engines that run its updates, and what a run leaves on disk.

`train` is in `loop.py`; it uses `settings.py` (checked arguments), `session.py` (evaluates and saves), `evaluate.py`,
`run.py` (a run's files), `optim.py`, and the engines in `engines.py` and `captured.py`. `compare.py` trains students
with several supervisions side by side.
"""
