"""Probes: what has a model learned? Each probe asks one question of a model and answers with a table.

`over.py` asks it of every checkpoint of a trajectory, and the answers are a curriculum. The probes are in
`monomials.py` (sparse parity), `nodes.py` (hierarchical parity), `ngrams.py` (masked prediction) and `nonterminals.py`
(grammars); `choose.py` picks the checkpoint C₁ for (2,T)-progressive distillation without labels.
"""
