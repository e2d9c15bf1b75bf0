"""Experiments of the lab about convolution: each finding, in the quick form."""

import numpy as np
from numpy.testing import assert_array_equal

import deepfs as dfs


def test_im2col_steps_have_the_numbers_of_the_textbook():
    result = dfs.lab.im2col_steps(quick=True)
    columns = result.data["columns"]
    assert result.numbers["output"] == "15 16 6 15"
    assert_array_equal(columns[0], [1, 2, 3, 0, 1, 2, 3, 0, 1])
    assert_array_equal(columns[2], [0, 1, 2, 3, 0, 1, 2, 3, 0])
    assert_array_equal(result.data["layer"], [15, 16, 6, 15])
    assert_array_equal(
        result.data["copies"], [[1, 2, 2, 1], [2, 4, 4, 2], [2, 4, 4, 2], [1, 2, 2, 1]]
    )


def test_every_frame_of_the_movie_shows_one_window_more():
    from matplotlib.figure import Figure

    result = dfs.lab.im2col_steps(quick=True)
    for k in range(result.movie.frames):
        figure = Figure()
        result.movie.draw(figure, k)
        matrix, output = figure.axes[2:]
        assert len(matrix.texts) == 9 * (k + 1)
        assert [text.get_text() for text in output.texts] == ["15", "16", "6", "15"][: k + 1]
        window, row, pixel = (figure.axes[i].lines[0].get_xydata() for i in (0, 2, 3))
        assert_array_equal(window.min(axis=0), pixel.min(axis=0))  # the same place
        assert_array_equal(row[:, 1].min(), k - 0.5)
        assert pixel.min(axis=0).tolist() == [k % 2 - 0.5, k // 2 - 0.5]


def test_output_sizes_are_those_of_the_formula():
    result = dfs.lab.output_sizes(quick=True)
    assert list(result.data["sizes"].values()) == [(4, 4), (3, 3), (10, 11)]
    assert result.data["wrong"] == []
    assert len(result.data["settings"]) > 200
    assert result.numbers["pixels of 7 under no window of 3 at stride 3"] == 1


def test_edge_filters_answer_to_edges_of_their_direction():
    result = dfs.lab.edge_filters(quick=True)
    answers = result.data["answers"]
    top, left = answers["horizontal edges"], answers["vertical edges"]
    assert_array_equal(abs(top[[3, 4, 13, 14], 8]), 4)  # inside and outside of each side
    assert_array_equal(top[9, [3, 4, 13, 14]], 0)
    assert_array_equal(left[[3, 4, 13, 14], 8], 0)
    assert_array_equal(abs(left[9, [3, 4, 13, 14]]), 4)
    for answer in (top, left, answers["all edges"]):
        assert abs(answer[6:12, 6:12]).max() < 1e-12  # a flat area
    preference = result.data["of_learned"]
    assert preference.shape == (16,)
    assert (preference < -0.3).any()
    assert (preference > 0.3).any()


def test_learned_filters_are_smooth_where_they_were_noise():
    result = dfs.lab.learned_filters(quick=True)
    before, after = result.data["before"], result.data["after"]
    assert before.shape == after.shape == (30, 1, 5, 5)
    assert abs(before.std() - 0.01) < 0.001

    def roughness(w):  # 1 in noise: how much neighbours differ
        w = w - w.mean(axis=(2, 3), keepdims=True)
        return np.mean(np.diff(w, axis=2) ** 2) / (2 * w.var())

    assert roughness(before) > 0.9
    assert roughness(after) < 0.75


def test_feature_maps_of_deeper_layers_are_sparse_and_separate_classes():
    result = dfs.lab.feature_maps(quick=True)
    zeros, accuracy = result.data["zeros"], result.data["accuracy"]
    assert [shape[1:] for shape in result.data["shapes"].values()] == [
        (16, 28, 28),
        (32, 14, 14),
        (64, 7, 7),
    ]
    assert zeros["relu_1"] + 0.05 < zeros["relu_2"] < zeros["relu_3"] - 0.05
    assert accuracy["pixels"] < 0.95
    assert accuracy["relu_3"] > 0.98


def test_pooling_softens_a_shift():
    data = dfs.lab.pooling_shift(quick=True).data
    for name, values in data.items():
        assert values[0] == 0, name
    at_one = {name: values[1] for name, values in data.items() if name != "shifts"}
    assert at_one["max 4x4"] < at_one["max 2x2"] - 0.05 < at_one["no pooling"] - 0.1
    assert at_one["average 4x4"] < at_one["average 2x2"] - 0.1 < at_one["no pooling"] - 0.15
    assert data["max 4x4"][3] < data["average 4x4"][3] - 0.05
    # by hand: a line of one column keeps its maximum within a window
    image = np.zeros((1, 1, 4, 8))
    image[..., 1] = 1
    pooled = dfs.layers.MaxPool2D(4)
    assert_array_equal(pooled(image), pooled(np.roll(image, 2, axis=3)))
    assert (pooled(image) != pooled(np.roll(image, 3, axis=3))).any()


def test_misclassified_digits_are_those_of_which_the_network_is_less_sure():
    result = dfs.lab.misclassified_digits(quick=True)
    sure, wrong = result.data["sure"], result.data["wrong"]
    assert 10 < wrong.sum() < 150
    assert result.numbers["error rate"] == wrong.mean()
    # of a wrong and a right answer, the wrong one has the lower probability
    assert np.mean(sure[wrong][:, None] < sure[~wrong]) > 0.8


def test_transfer_needs_fewer_images():
    data = dfs.lab.transfer(quick=True).data
    assert_array_equal(data["counts"], [2, 50])
    frozen, new = data["frozen layers"], data["new weights"]
    assert frozen[0] > new[0] + 0.08
    assert frozen[0] > 0.75
    assert frozen[1] > 0.93
    assert 0 < frozen[1] - new[1] < frozen[0] - new[0] - 0.03
