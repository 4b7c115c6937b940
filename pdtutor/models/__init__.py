"""Who learns. Every model here carries a leading *copies* dimension in its inputs, its logits and all its parameters.

So many seeds or methods train side by side in one pass, each exactly as it would alone: no parameter of one copy
enters the output of another. A model offers `seeds` (one per copy) and `config()`, from which `build_model` rebuilds
it. `Pretrained`, of the transformers library, is the exception: one copy, whose parameters have no such dimension.
"""
