"""The C interface: what other packages compile against is frozen, and works from outside."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import c_interface
import cnn_core
from cnn_core import activation, batch_norm, conv, gemm, group_norm, optimizer_rule
from cnn_core import softmax as softmax_kernels
from cnn_core import threads as kernel_threads
from deepfs import _compile, build

HERE = Path(__file__).parent
FROZEN = HERE.joinpath("data", "c_api.txt").read_text("utf-8").splitlines()
PAGE = HERE.parent / "docs" / "c_api.md"


def test_nothing_that_other_packages_compile_against_has_changed():
    """If this must fail: raise API_VERSION, write data/c_api.txt anew, say so in docs/c_api.md."""
    now = c_interface.interface()
    assert [line for line in FROZEN if line not in now] == []
    assert now == FROZEN


def test_the_page_names_each_file_and_function():
    page = PAGE.read_text("utf-8")
    for name in c_interface.PUBLIC:
        assert f"`{name}.pxd`" in page, name
    functions = {line.split()[1].split("[")[0] for line in FROZEN if line.startswith("function")}
    for function in functions:
        assert f"`{function.split('.')[1]}`" in page, function
    assert f"`API_VERSION` is {cnn_core.API_VERSION}" in page


def test_no_signature_holds_a_vector():
    """Their width differs between levels, and with it the meaning of a call."""
    exported = [line for line in FROZEN if line.startswith(("function", "struct"))]
    assert exported
    assert not [line for line in exported if re.search(r"\bvec", line)]


@pytest.fixture(scope="module")
def outside(tmp_path_factory):
    """All public .pxd in one module, compiled with the directives that Cython has by default."""
    pytest.importorskip("Cython")
    pytest.importorskip("setuptools")
    if shutil.which("gcc") is None and shutil.which("clang") is None:
        pytest.skip("there is no C compiler")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_compile, "directives", dict)
        patch.setattr(_compile, "compiler_flags", lambda: ["-O1", "-Werror=implicit"])
        return build.load(HERE / "c_api.pyx", cache=tmp_path_factory.mktemp("build"))


def test_what_is_compiled_in_is_what_is_frozen(outside):
    facts = outside.facts()
    for name in ("Piece", "Settings", "Window"):
        assert any(f".{name} = {facts[name]} bytes" in line for line in FROZEN), name
    numbers = {name: value for name, value in facts.items() if "." in name}
    assert len(numbers) == 8
    for name, value in numbers.items():
        assert f"enum {name} = {value}" in FROZEN
    assert facts["VBYTES"] in (16, 32, 64)


def test_every_public_file_is_cimported():
    text = HERE.joinpath("c_api.pyx").read_text("utf-8")
    assert set(re.findall(r"^from cnn_core\.(\w+) cimport", text, re.MULTILINE)) == {
        *c_interface.PUBLIC
    }


def tolerance(dtype):
    return {
        "rtol": 2e-5 if dtype == np.float32 else 1e-13,
        "atol": 1e-6 if dtype == np.float32 else 1e-14,
    }


def arrays(rng, dtype, *shapes):
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


def test_functions_of_vectors(outside, rng, dtype):
    (x,) = arrays(rng, dtype, 37)
    exp, silu = np.empty_like(x), np.empty_like(x)
    outside.functions(x, exp, silu)
    np.testing.assert_allclose(exp, np.exp(x), **tolerance(dtype))
    np.testing.assert_allclose(silu, x / (1 + np.exp(-x)), **tolerance(dtype))


def test_activations(outside, rng, dtype):
    x, dy = arrays(rng, dtype, 37, 37)
    y, dx, y0, dx0 = (np.empty_like(x) for _ in range(4))
    outside.activation(x, dy, y, dx)
    activation.forward(activation.silu, x, y0)
    activation.backward(activation.silu, x, dy, dx0)
    np.testing.assert_array_equal(y, y0)
    np.testing.assert_array_equal(dx, dx0)


def test_sums_products_and_transposes(outside, rng, dtype):
    a, b, m, k = arrays(rng, dtype, 37, 37, (5, 9), (9, 7))
    y, c, transposed, total = (
        np.empty_like(a),
        np.empty((5, 7), dtype),
        np.empty((9, 5), dtype),
        m[0] * 0,
    )
    outside.add(a, b, y)
    np.testing.assert_array_equal(y, a + b)
    outside.matrix_product(m, k, c)
    np.testing.assert_allclose(c, np.maximum(m @ k, 0), **tolerance(dtype))
    outside.packed_product(m, k, c)
    expected = np.empty_like(c)
    gemm.gemm(m, k, expected)
    np.testing.assert_allclose(c, expected, **tolerance(dtype))
    outside.transpose(m, transposed)
    np.testing.assert_array_equal(transposed, m.T)
    outside.column_sums(m, total)
    np.testing.assert_allclose(total, m.sum(0), **tolerance(dtype))


def test_columns_to_images(outside, rng, dtype):
    (col,) = arrays(rng, dtype, (3 * 2, 2 * 3 * 2))  # an output of 3 x 2, windows of 2 x 3
    dx, expected = np.zeros((4, 4, 2), dtype), np.zeros((4, 4, 2), dtype)
    for i, window in enumerate(col.reshape(6, 2, 3, 2)):
        expected[i // 2 : i // 2 + 2, i % 2 : i % 2 + 3] += window
    outside.columns_to_image(col, dx, 2, 3)
    np.testing.assert_allclose(dx, expected, **tolerance(dtype))


def test_random_words(outside):
    from cnn_core import random

    one, many, expected = np.empty(4, np.uint32), np.empty(64, np.uint32), np.empty(4, np.uint32)
    outside.random_words(7, 3, 2, 1, one, many)
    np.testing.assert_array_equal(many[:4], one)
    expected[:] = 3, 0, 2, 1
    random.philox(expected, 7, 0)
    np.testing.assert_array_equal(one, expected)


def test_softmax_and_cross_entropy(outside, rng, dtype):
    x, dy = arrays(rng, dtype, (3, 11), (3, 11))
    out, expected = np.empty((4, 3, 11), dtype), np.empty((4, 3, 11), dtype)
    outside.softmax(x, dy, out)
    for logarithm in (False, True):
        softmax_kernels.softmax(x, expected[2 * logarithm], logarithm)
        softmax_kernels.softmax_backward(
            expected[2 * logarithm], dy, expected[2 * logarithm + 1], logarithm
        )
    np.testing.assert_array_equal(out, expected)
    p, dx = np.empty(11, dtype), np.empty(11, dtype)
    loss = outside.cross_entropy(x[0], 4, p, dx)
    assert loss == pytest.approx(-out[2, 0, 4], rel=1e-5)
    np.testing.assert_array_equal(p, out[0, 0])
    np.testing.assert_allclose(dx, 0.5 * (p - np.eye(11)[4]), **tolerance(dtype))


@pytest.mark.parametrize("request_", ["auto", "direct"])
def test_convolutions(outside, rng, dtype, request_):
    x, weight, bias, dy = arrays(rng, dtype, (2, 6, 6, 8), (3, 3, 8, 9), 9, (2, 6, 6, 9))
    y, dx, dweight, dbias = np.empty_like(dy), np.empty_like(x), weight * 0, bias * 0
    outside.convolution(x, weight, bias, dy, y, dx, dweight, dbias, request_)
    window = 1, 1, 1, 1, 1, 1, 1, request_
    expected = [np.empty_like(dy), np.empty_like(x), weight * 0, bias * 0]
    conv.conv2d_forward(x, weight, bias, expected[0], *window)
    conv.conv2d_backward_input(dy, weight, expected[1], *window, x, x)
    conv.conv2d_backward_weight(x, dy, expected[2], expected[3], *window)
    for got, wanted in zip([y, dx, dweight, dbias], expected, strict=True):
        np.testing.assert_array_equal(got, wanted)


def test_normalisations(outside, rng, dtype):
    x, dy, gamma, beta = arrays(rng, dtype, (3, 37), (3, 37), 37, 37)
    statistics, y, dx = np.empty((2, 3), dtype), np.empty_like(x), np.empty_like(x)
    dgamma, dbeta = gamma * 0, beta * 0
    outside.layer_norm(x, dy, gamma, beta, 1e-5, statistics, y, dx, dgamma, dbeta)
    expected, again = np.empty((3, 1, 37), dtype), np.empty((2, 3, 1), dtype)
    group_norm.group_norm_forward(x[:, None], gamma[None], beta[None], 1e-5, again, expected)
    np.testing.assert_array_equal(y, expected[:, 0])
    sums = np.zeros((2, 1, 37), dtype)
    group_norm.group_norm_backward(x[:, None], dy[:, None], gamma[None], again, expected, *sums)
    np.testing.assert_array_equal(dx, expected[:, 0])
    np.testing.assert_allclose([dgamma, dbeta], sums[:, 0], **tolerance(dtype))
    given = rng.standard_normal((7, 37)).astype(dtype)
    outside.batch_norm(x, dy, given, y, dx)
    expected = np.empty_like(x)
    batch_norm.batch_norm_forward(x, given[0], given[1], beta * 0 + 1, given[2], expected)
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_allclose(
        dx, given[6] * (dy - given[4] - given[5] * (x - given[3])), **tolerance(dtype)
    )


def test_a_rule_of_an_optimizer(outside, dtype):
    w, g, state = (np.full(37, value, dtype) for value in (1, 2, 4))
    pieces, groups = np.array([[0, 37, 0, 0]]), np.array([[1.0, 0, 0, 0, 0]])
    optimizer_rule.step(
        outside.halving, w, g, state, None, None, None, pieces, groups, None, None, 0.5, np.inf, ()
    )
    np.testing.assert_array_equal(state, np.full(37, 3))
    np.testing.assert_array_equal(w, np.full(37, -0.5))


@pytest.fixture(params=[1, 2, 3])
def several(request):
    before = kernel_threads.get_num_threads(), kernel_threads.get_break_even()
    kernel_threads.set_num_threads(request.param)
    kernel_threads.set_break_even(0)
    yield request.param if kernel_threads.has_openmp() else 1
    kernel_threads.set_num_threads(before[0])
    kernel_threads.set_break_even(before[1])


@pytest.mark.parametrize("n", [1, 2, 3, 7, 1000])
def test_parallel_comes_once_to_each_index(outside, several, n):
    times, tiny = np.zeros(n, np.int32), np.full(n, 3e-38, np.float32)
    assert outside.visits(times, tiny, 1e9) == 0
    np.testing.assert_array_equal(times, np.ones(n))
    times[:] = 0
    # on several threads, what is called in the body stays on its thread
    assert outside.visits(times, tiny, 1e9, True) == (1 if several > 1 and n > 1 else min(n, 1))
    np.testing.assert_array_equal(times, np.ones(n))


def test_parallel_makes_parts_of_nearly_one_size(outside, several):
    sizes = np.zeros(1000, np.intp)
    outside.part_sizes(sizes, 1e9)
    parts = sizes[sizes > 0]
    assert len(parts) == several
    assert parts.sum() == 1000
    assert np.ptp(parts) <= 1


def test_small_work_stays_on_one_thread(outside):
    sizes = np.zeros(1000, np.intp)
    outside.part_sizes(sizes, 100.0)
    assert sizes[0] == 1000
    assert outside.threads_of(100.0) == (1, 3, 2)


def test_denormal_numbers_are_zero_on_each_thread(outside, several):
    times, tiny = np.zeros(64, np.int32), np.full(64, 1.2e-38, np.float32)
    outside.visits(times, tiny, 1e9)
    assert not tiny.any()
    assert np.float32(1.2e-38) * np.float32(0.5) > 0  # the caller's mode is put back


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_parallel_works_in_a_forked_process(outside):
    code = f"""if 1:
        import os, sys
        from importlib.machinery import ExtensionFileLoader as Loader
        from importlib.util import module_from_spec, spec_from_file_location
        import numpy as np
        from cnn_core import threads
        path = {outside.__file__!r}
        spec = spec_from_file_location("c_api", path, loader=Loader("c_api", path))
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
        threads.set_num_threads(2)
        threads.set_break_even(0)
        sizes = np.zeros(100, np.intp)
        module.part_sizes(sizes, 1e9)
        child = os.fork()
        if child == 0:
            module.part_sizes(sizes, 1e9)
            os._exit(int(sizes[0] != 100))
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], timeout=60, check=False)
    assert done.returncode == 0
