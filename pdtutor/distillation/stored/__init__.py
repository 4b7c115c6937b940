"""A teacher's targets on disk: written once, then read back while a student trains, which needs no teacher any more.

`Stream` addresses the examples of training by update, so a teacher can be asked beforehand what it says of each. Of
every labelled position the k most probable classes are kept and renormalised, as `Distill(…, top_k=k)` does.
"""
