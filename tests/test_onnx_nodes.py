"""The node tests of ONNX: operators that deepfs has pass, or docs/onnx_import.md says why not."""

import warnings
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx")

import onnx
from onnx import numpy_helper

import deepfs as dfs
from deepfs.onnx import load
from deepfs.onnx._import_fold import FOLDED
from deepfs.onnx._import_values import READERS

pytestmark = pytest.mark.filterwarnings(
    "ignore:the input"
)  # that an operator takes only the shape of

PAGE = Path(__file__).parents[1] / "docs" / "onnx_import.md"

# Operators of which all inputs are data. Else the first one is, and the file has the others.
SEVERAL = {"Add", "Concat", "Div", "Mean", "Mul", "Sub", "Sum"}
# Operators whose first output alone is compared, in a file that has only that.
FIRST_ONLY = {"Dropout", "LayerNormalization", "MaxPool"}
# What must pass, however many cases there are.
PASSED = {
    "Add", "AveragePool", "BatchNormalization", "Celu", "Clip", "Concat", "Conv", "ConvTranspose",
    "Dropout", "Elu", "Flatten", "Gelu", "Gemm", "GlobalAveragePool", "GlobalMaxPool",
    "GroupNormalization", "HardSigmoid", "HardSwish", "Identity", "InstanceNormalization",
    "LayerNormalization", "LeakyRelu", "LogSoftmax", "MatMul", "MaxPool", "Mean", "Mish", "Mul",
    "Neg", "PRelu", "Relu", "Reshape", "Resize", "Selu", "Sigmoid", "Softmax", "Softplus",
    "Squeeze", "Sub", "Sum", "Swish", "Tanh", "Unsqueeze",
}  # fmt: skip


@pytest.fixture(scope="module")
def cases():
    """The cases of the installed onnx, made by it."""
    from onnx.backend.test.loader import load_model_tests

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy, of numbers that overflow on purpose
        return load_model_tests(kind="node")


def as_file(case):
    """Return the model of a case with weights as arrays of the file, its data, and its outputs."""
    model, (inputs, outputs) = onnx.ModelProto(), case.data_sets[0]
    model.CopyFrom(case.model)
    op, names = model.graph.node[0].op_type, [value.name for value in model.graph.input]
    numbers = [isinstance(array, (np.ndarray, np.generic)) for array in inputs]
    same = all(numbers) and len({np.shape(array) for array in inputs}) == 1
    data = {}
    for i, (name, array) in enumerate(zip(names, inputs, strict=True)):
        if i == 0 or (op in SEVERAL and (same or op == "Concat")) or not numbers[i]:
            data[name] = array
        else:
            model.graph.initializer.append(numpy_helper.from_array(np.asarray(array), name))
    kept = [value for value in model.graph.input if value.name in data]
    del model.graph.input[:]
    model.graph.input.extend(kept)
    if op in FIRST_ONLY:
        del model.graph.output[1:]
        outputs = outputs[:1]
    return model, data, outputs


def result(case, path):
    """Return None if a case passes, else the reason why it is refused."""
    model, data, outputs = as_file(case)
    onnx.save(model, path)
    try:
        net = load(path)
    except (ValueError, dfs.CheckpointError) as error:
        return str(error)
    y = net(data if len(data) > 1 else next(iter(data.values())))
    got = list(y.values()) if isinstance(y, dict) else [y]
    assert len(got) == len(outputs), case.name
    for a, b in zip(got, outputs, strict=True):
        assert a.shape == b.shape, case.name
        np.testing.assert_allclose(a, b, rtol=case.rtol, atol=1e-6, err_msg=case.name)
    return None


def rows():
    """Return the rows of the table of the page: operator, names of cases, reason."""
    table = PAGE.read_text(encoding="utf-8").split("## Node tests")[1]
    lines = [
        line.strip("| \n").split(" | ") for line in table.splitlines() if line.startswith("| `")
    ]
    return [(op.strip("`"), names.strip("`").split("`, `"), reason) for op, names, reason in lines]


def test_node_tests_pass_or_are_refused_as_the_page_says(cases, tmp_path):
    table, used, passed, unknown = rows(), set(), set(), []
    for case in cases:
        ops = {node.op_type for node in case.model.graph.node}
        single = len(ops) == 1 and "expanded" not in case.name
        reason = result(case, tmp_path / "m.onnx")
        op = next(iter(ops)) if single else ""
        if reason is None:
            passed |= {op}
            continue
        if not single or op not in READERS:
            continue  # an operator that deepfs lacks is refused by name: the test below
        fitting = [
            i
            for i, (row, names, why) in enumerate(table)
            if row in (op, "all") and why in reason
            and any(fnmatch(case.name, f"test_{name}") for name in names)
        ]  # fmt: skip
        used |= set(fitting)
        if not fitting:
            unknown.append(f"{op} {case.name}: {reason}")
    assert not unknown, "\n".join(unknown)
    assert passed >= PASSED
    assert [row for i, row in enumerate(table) if i not in used] == []


def test_operators_that_deepfs_lacks_are_named(cases, tmp_path):
    seen = set()
    for case in cases:
        ops = [node.op_type for node in case.model.graph.node]
        if len(ops) != 1 or ops[0] in seen or ops[0] in READERS or ops[0] in FOLDED:
            continue
        reason = result(case, tmp_path / "m.onnx")
        if reason is not None and "operator set" not in reason and "as inputs" not in reason:
            seen.add(ops[0])
            assert f"{ops[0]} giving " in reason or f"{ops[0]} '" in reason or "- input" in reason
    assert len(seen) > 80


def test_indices_of_max_pooling(cases, tmp_path):
    found = [case for case in cases if case.name.startswith("test_maxpool_with_argmax_2d")]
    assert len(found) == 2
    for case in found:
        model, data, _ = as_file(case)
        onnx.save(model, tmp_path / "m.onnx")
        pool, (x,) = load(tmp_path / "m.onnx").layers[0], data.values()
        column_major = "strides" in case.name  # storage_order=1
        y, indices = pool.with_indices(x)
        if column_major:
            indices = indices % x.shape[3] * x.shape[2] + indices // x.shape[3]
        np.testing.assert_array_equal(y, case.data_sets[0][1][0])
        np.testing.assert_array_equal(indices, case.data_sets[0][1][1])
