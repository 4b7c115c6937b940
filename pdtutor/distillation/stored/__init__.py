"""A teacher's predictions on disk: written once by `store.py`, then read by `targets.py` while a student trains.

The examples of an update are known before training (see `tasks/stream.py`), so a teacher can be asked about them in
advance. At every labelled position the k most probable classes are kept and renormalised, as by `Distill(…, top_k=k)`.
`format.py` describes the files.
"""
