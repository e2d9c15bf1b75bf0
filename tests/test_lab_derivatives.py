"""The lab's experiments of derivatives: what they find, from their numbers."""

import numpy as np
import pytest

import deepfs as dfs
from lab_results import quick


def test_errors_of_differences_form_a_v():
    data, numbers = quick("difference_errors").data, quick("difference_errors").numbers
    h, forward, central = data["h"], data["forward"], data["central"]
    right = (h > 1e-4) & (h < 0.1)  # where truncation rules: h f''/2 and h^2 f'''/6
    np.testing.assert_allclose(forward[right], h[right] * np.e / 2, rtol=0.1)
    np.testing.assert_allclose(central[right], h[right] ** 2 * np.e / 6, rtol=0.1)
    assert forward[h < 1e-12].max() > 1e-5
    assert 1e-9 < numbers["best h, forward difference"] < 1e-7
    assert 1e-6 < numbers["best h, central difference"] < 1e-4


def test_tangents_have_the_slopes_of_the_textbook():
    numbers, data = quick("tangent_line").numbers, quick("tangent_line").data
    assert numbers["slope at 5"] == pytest.approx(0.2, rel=1e-8)
    assert numbers["slope at 10"] == pytest.approx(0.3, rel=1e-8)
    np.testing.assert_allclose(data["distances"], 0.01 * data["steps"] ** 2, rtol=1e-6)
    np.testing.assert_allclose(data["secants"], 0.2 + 0.01 * data["steps"], rtol=1e-9)


def test_partial_derivatives_at_3_and_4_are_6_and_8():
    numbers, data = quick("partial_derivatives").numbers, quick("partial_derivatives").data
    assert numbers["partial derivative by x0"] == pytest.approx(6, rel=1e-8)
    assert numbers["partial derivative by x1"] == pytest.approx(8, rel=1e-8)
    angles = data["angles"]
    np.testing.assert_allclose(
        data["along"], 6 * np.cos(angles) + 8 * np.sin(angles), rtol=0, atol=1e-7
    )


@pytest.mark.parametrize(("x0", "x1", "gradient"), [(0, 2, [0, 4]), (3, 0, [6, 0])])
def test_partial_derivatives_elsewhere_are_those_of_the_textbook(x0, x1, gradient):
    result = dfs.lab.partial_derivatives(x0, x1, quick=True)
    np.testing.assert_allclose(result.data["gradient"], gradient, atol=1e-8)
    assert result.found


def test_the_gradient_of_the_bowl_points_to_its_minimum_and_that_of_a_valley_does_not():
    data = quick("gradient_field").data
    points, arrows = data["points"], data["arrows"]
    np.testing.assert_allclose(arrows["bowl"], -2 * points, atol=1e-8)
    np.testing.assert_allclose(arrows["valley"], points * [-0.1, -2], atol=1e-8)
    assert data["angles"]["bowl"].max() < 0.01
    assert 60 < data["angles"]["valley"].max() < 70
    # tan a = y / x, tan b = 20 y / x: the angle between them is largest where y / x = 20^(-1/2)
    assert data["angles"]["valley"].max() < np.degrees(np.arctan(19 / (2 * 20**0.5))) + 1e-6


def test_gradient_descent_needs_a_rate_that_is_neither_small_nor_large():
    result = quick("gradient_descent")
    for name, rate in (("good", 0.1), ("small", 0.002), ("large", 1.03)):
        expected = 5 * np.abs(1 - 2 * rate) ** np.arange(101)
        np.testing.assert_allclose(result.data["distances"][name], expected, rtol=1e-9)
    numbers = result.numbers
    assert numbers["distance after 100 steps, good rate: 0.1"] < 1e-8
    assert 3 < numbers["distance after 100 steps, small rate: 0.002"] < 4
    assert numbers["distance after 100 steps, large rate: 1.03"] > 1000
    assert 0.9 < numbers["largest rate that comes closer"] < 1
    assert result.movie.frames <= 60


def test_gradient_descent_with_the_rates_of_the_textbook():
    """Section 4.4: 0.1 arrives, 1e-10 does not move, 10 leaves."""
    paths = dfs.lab.gradient_descent(small=1e-10, large=10, quick=True).data["paths"]
    np.testing.assert_allclose(paths["good"][-1], [-6.11e-10, 8.15e-10], rtol=1e-2)
    np.testing.assert_allclose(paths["small"][-1], [-2.99999994, 3.99999992], rtol=1e-9)
    assert np.abs(paths["large"][-1]).min() > 1e13


def test_the_movie_shows_as_many_steps_as_the_picture_at_its_end():
    figures = pytest.importorskip("matplotlib.figure")
    result = quick("gradient_descent")
    lengths = {}
    for k in (0, result.movie.frames - 1):
        figure = figures.Figure(figsize=result.size)
        result.movie.draw(figure, k)
        lengths[k] = len(figure.axes[3].lines[0].get_xdata())
    assert lengths == {0: 3, result.movie.frames - 1: 101}
