import pytest
import torch

from pdtutor.models import MLP, build_model, select_copies


def test_each_copy_computes_what_torch_s_own_layers_compute():
    model = MLP(5, width=[7, 4], classes=3, seed=[0, 1])
    x = torch.randn(2, 6, 5)
    logits = model(x)  # (copies, batch, classes)
    assert logits.shape == (2, 6, 3)
    for copy in range(2):
        hidden = x[copy]
        for layer in model.layers[:-1]:
            hidden = torch.relu(torch.nn.functional.linear(hidden, layer.weight[copy], layer.bias[copy]))
        expected = torch.nn.functional.linear(hidden, model.layers[-1].weight[copy], model.layers[-1].bias[copy])
        torch.testing.assert_close(logits[copy], expected)


def test_initial_weights_are_torch_s_default_and_depend_on_the_seed_alone():
    model = MLP(25, width=4000, seed=[3, 4, 3])
    first = model.layers[0]
    assert torch.equal(first.weight[0], first.weight[2])
    assert not torch.equal(first.weight[0], first.weight[1])
    assert torch.equal(first.weight[1], MLP(25, width=4000, seed=4).layers[0].weight[0])
    reference = torch.nn.Linear(25, 4000)  # uniform on ±1/√25
    for ours, theirs in ((first.weight[0], reference.weight), (first.bias[0], reference.bias)):
        assert ours.abs().max() <= 0.2
        assert ours.std().item() == pytest.approx(theirs.std().item(), rel=0.05)


def test_copies_can_be_selected_and_models_rebuilt():
    model = MLP(5, width=3, seed=[7, 8, 9])
    one = select_copies(model, [2])
    x = torch.randn(1, 4, 5)
    assert one.seeds == [9]
    torch.testing.assert_close(one(x)[0], model(x)[2])
    assert build_model(model.config()).config() == model.config()
    with pytest.raises(ValueError, match="unknown model"):
        build_model({"class": "Nope"})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"d": 0, "width": 3}, "d must be a whole number"),
        ({"d": 4, "width": 0}, "width must be a whole number of at least 1, got 0"),
        ({"d": 4, "width": [3, 0]}, "width"),
        ({"d": 4, "width": []}, "at least one hidden layer"),
        ({"d": 4, "width": 3, "seed": []}, "one seed"),
        ({"d": 4, "width": 3, "seed": -2}, "seed"),
        ({"d": 4, "width": 3, "classes": 0}, "classes"),
    ],
)
def test_bad_sizes_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        MLP(**arguments)
