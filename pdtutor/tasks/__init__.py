"""Tasks: what a model learns, as fresh labelled examples drawn from explicit seeds.

`task.py` holds the contract; the tasks are in `parity.py` and `hierarchical.py` (which share `signs.py`), and in
`pcfg.py` and `text.py` (which share `masking.py`). `stream.py` cuts the examples of any task into batches addressed by
update, `build.py` rebuilds a task from its JSON description, and `optimal.py` is the best predictor of a grammar task.
"""
