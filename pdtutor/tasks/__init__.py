"""What is learned: a task draws examples, and knows how to write itself into a trajectory's JSON and back.

A task is anything with `classes`, `sample(generator, n) -> (inputs, labels)` as numpy arrays, and `config()`. Labels
equal to `IGNORED` are not predicted and count in no loss and no accuracy.

A task whose inputs are rows of ids filled up after their end has `padding`, that id, and `lengths(inputs)`: its batches
are made of rows alike in length.

A task whose examples can run out, as text can, has `sample_held_out(generator, n)` besides: examples for evaluations,
made of what `sample` never draws from.

A task may split `sample` into `packed(generator, n)`, a small array, and `unpack(packed)`, which makes the examples,
whatever the leading dimensions: numpy arrays of an array, tensors of a tensor, on its device. So several streams are
unpacked at once, and a GPU makes its examples itself.
"""
