"""The lab's experiments of computational graphs: what they find, from their numbers."""

import numpy as np
import pytest

import deepfs as dfs
from deepfs.lab.graphs._shared import AddLayer, MulLayer, in_a_row
from lab_results import quick


def test_two_apples_cost_220():
    numbers = quick("two_apples").numbers
    assert numbers["price"] == pytest.approx(220)
    assert numbers["gradient of the price of an apple"] == pytest.approx(2.2)
    assert numbers["gradient of the number"] == pytest.approx(110)
    assert numbers["gradient of the tax"] == pytest.approx(200)


def test_other_apples_have_other_gradients():
    gradients = dfs.lab.two_apples(apple=3.0, number=5.0, tax=2.0).data["gradients"]
    assert gradients == (10, 6, 15)


def test_apples_and_oranges_cost_715():
    result = quick("apples_and_oranges")
    assert result.numbers["price"] == pytest.approx(715)
    np.testing.assert_allclose(result.data["gradients"], [110, 2.2, 3.3, 165, 650], rtol=1e-12)


def test_nodes_multiply_and_add():
    mul, add = MulLayer(), AddLayer()
    assert mul.forward(3, 4) == 12
    assert mul.backward(2) == (8, 6)
    assert add.forward(3, 4) == 7
    assert add.backward(2) == (2, 2)


def test_layers_node_by_node_are_those_of_deepfs():
    data = quick("layers_as_graphs").data
    assert list(data["errors"]) == ["ReLU", "Sigmoid", "Affine", "Softmax with loss"]
    assert max(data["errors"].values()) < 1e-12
    np.testing.assert_allclose(data["da"], [0.3, -0.8, 0.5], atol=1e-12)  # y - t


def test_the_arrows_of_layers_carry_the_gradients_of_the_formulas():
    graphs = quick("layers_as_graphs").data["graphs"]
    arrows = {name: {edge[0]: edge[2:] for edge in edges} for name, (_, edges, _) in graphs.items()}
    x, dx = arrows["ReLU"]["x"]
    np.testing.assert_array_equal(dx, np.where(x > 0, arrows["ReLU"]["ReLU"][1], 0))
    y = arrows["Sigmoid"]["1 / ·"][0]
    np.testing.assert_allclose(arrows["Sigmoid"]["x"][1], y * (1 - y), rtol=1e-12)
    affine = arrows["Affine"]
    dy = affine["+"][1]
    np.testing.assert_allclose(affine["x"][1], dy @ affine["W"][0].T, rtol=1e-12)
    np.testing.assert_allclose(affine["W"][1], affine["x"][0].T @ dy, rtol=1e-12)
    np.testing.assert_allclose(affine["b"][1], dy.sum(axis=0), rtol=1e-12)


def test_graphs_are_laid_out_in_a_row_with_further_inputs_below():
    edges = [("x", "dot", 0, 0), ("W", "dot", 0, 0), ("dot", "y", 0, 0)]
    assert in_a_row(edges) == {
        "x": (0, 1, "x"), "dot": (1, 1, "dot"), "W": (0, 0, "W"), "y": (2, 1, "y")
    }  # fmt: skip


def test_a_gradient_check_finds_the_wrong_layer():
    data = quick("gradient_check").data
    for parameter, (backward, numerical) in data["compared"]["right"].items():
        np.testing.assert_allclose(backward, numerical, atol=1e-8, err_msg=parameter)
        assert np.abs(numerical).max() > 1e-4, parameter
    wrong = data["errors"]["wrong"]
    assert [name for name, error in wrong.items() if error > 0.01] == [
        "dense_1.weight", "dense_1.bias", "dense_2.weight", "dense_2.bias"
    ]  # fmt: skip
    assert max(wrong["dense_3.weight"], wrong["dense_3.bias"]) < 1e-6


@pytest.mark.parametrize("seed", range(1, 4))
def test_the_finding_of_the_gradient_check_does_not_depend_on_the_seed(seed):
    assert dfs.lab.gradient_check(seed=seed, quick=True).found


def test_its_weights_do_not_depend_on_the_seed_of_the_process():
    dfs.set_seed(5)
    assert dfs.lab.gradient_check(quick=True).numbers == quick("gradient_check").numbers
