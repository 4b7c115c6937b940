"""Models: networks of which several copies, one per seed, train side by side.

`model.py` holds the contract, `network.py` makes a model of any torch module, and `build.py` rebuilds a model from its
JSON description; `logits.py` computes a model's logits piece by piece. The paper's models are in `mlp.py` (compiled in
`kernels.py` and `sign_logits.py`) and `transformer.py` (`attention.py`, `vectors.py`), both made of `layers.py`; models
of the transformers library are in `pretrained.py` (`architectures.py`, `saved.py`), with `tied.py` for tied parameters.
`ids.py` checks rows of token ids for both.
"""
