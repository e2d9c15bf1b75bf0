"""The layout of the source: imports, sizes, stems, frames per call, stubs, what is said once."""

import ast
import functools
import importlib
import inspect
import re
import statistics
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

import cnn_core
import deepfs as dfs
from deepfs import layers as L
from deepfs import optimizers, reference
from every_layer import CASES, spread

ROOT = Path(__file__).parents[1]
# as installed: the tests may stand alone, beside a wheel
PACKAGE, KERNELS = Path(dfs.__file__).parent, Path(cnn_core.__file__).parent
in_the_tree = pytest.mark.skipif(not (ROOT / "setup.py").exists(), reason="the tests stand alone")

RULES = [
    name
    for name, kind in vars(optimizers).items()
    if isinstance(kind, type)
    and issubclass(kind, optimizers.Optimizer)
    and name not in ("Optimizer", "Muon")  # Muon is in NumPy
]

# Layers of modules, lowest first: a module imports from the lines above its own, and from its own
# package. A folder stands for all that lies in it.
ORDER = """
    _compile _fields _html _launched _public _repr
    _compiler
    _load_kernel
    build
    _check _labels _names _version _warn reference
    _arrays _elsewhere _settings config random
    _safetensors
    _pictures
    datasets
    _trees initializers preprocessing regularizers schedules
    _table augment metrics
    layers
    _im2col _twins data losses networks optimizers
    _use_reference
    _parts distributed means
    trainer
    inspection
    callbacks saving
    onnx
    plots testing
    training
    inference
    _model_weights
    _model_names
    predictor
    exporter
    inspector
    model
    _load _command compress cross_validation recipes sklearn
    tuning
    __init__
    book
    lab
    commands
    cli
    __main__
"""

# Imports that only type checkers see and that point up, with the reason.
TYPING_ONLY = {("callbacks", "model")}  # the hooks of a callback get the Model that calls fit

# The same for the kernels. Names of one line may cimport each other, as long as the files, a .pyx
# and its .pxd apart, form no circle: gemm's constants are in its .pxd.
KERNEL_ORDER = """
    types threads_watch threads simd
    memory vmath box_muller
    random
    gemm gemm_thin transpose
    add im2col reduce
    dense dropout
    conv_tiles conv_depthwise conv_one_channel conv_winograd_1d conv_winograd_runs conv_winograd
    conv_indirect conv_col2im
    activation_functions argmax_pack pool_windows pool_2x2 pool_few batch_norm_sums group_norm_sums
    optimizer_rule
    activation batch_norm conv group_norm image optimizers pool resize
    softmax
"""


def rank_of(order):
    """Return the number of the line on which each name of a list stands."""
    lines = [line.split() for line in order.strip().splitlines()]
    return {name: rank for rank, names in enumerate(lines) for name in names}


def statements(nodes, typing=False):
    """Yield each statement, those inside of others too, and whether it is under TYPE_CHECKING."""
    for node in nodes:
        yield node, typing
        under = typing or (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test))
        for inside in ("body", "orelse", "finalbody", "handlers", "cases"):
            yield from statements(getattr(node, inside, ()), under)


@functools.cache
def imports_of(path):
    """Return the modules of deepfs that a file imports, as tuples of names below the package.

    Deferred imports count; those under TYPE_CHECKING are a set of their own.
    """
    found, package = (set(), set()), path.relative_to(PACKAGE).parent.parts
    for node, typing in statements(ast.parse(path.read_text()).body):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "deepfs":
                    found[typing].add(module_of(tuple(alias.name.split(".")[1:])))
        elif isinstance(node, ast.ImportFrom) and (node.level or node.module.startswith("deepfs")):
            base = package[: len(package) + 1 - node.level] if node.level else ()
            base += tuple((node.module or "").split(".")) if node.module else ()
            for alias in node.names:
                found[typing].add(module_of((*base[not node.level :], alias.name)))
    return found


@functools.cache
def module_of(names):
    """Return the part of a dotted name that is a module; the rest are names inside of it."""
    for end in range(len(names), 0, -1):
        path = PACKAGE.joinpath(*names[:end])
        if path.is_dir() or path.with_suffix(".py").is_file():
            return tuple(names[:end])
    return ("__init__",)


def circles(graph):
    """Return the nodes from which a way through the graph leads back to them."""

    def reached(start):
        found, left = set(), [start]
        while left:
            new = graph.get(left.pop(), set()) - found
            found |= new
            left.extend(new)
        return found

    return sorted(node for node in graph if node in reached(node))


FILES = sorted(path for path in PACKAGE.rglob("*.py"))


def test_imports_point_down():
    rank = rank_of(ORDER)
    wrong, typing_only = [], set()
    for path in FILES:
        own = path.relative_to(PACKAGE).with_suffix("").parts[0]
        imports, for_types = imports_of(path)
        for there in {names[0] for names in imports} - {own}:
            if rank[there] >= rank[own]:
                wrong.append(f"{path.relative_to(PACKAGE)} imports {there}")
        if own != "__init__":
            typing_only |= {
                (own, names[0])
                for names in for_types
                if names[0] != own and rank[names[0]] >= rank[own]
            }
    assert not wrong
    assert typing_only == TYPING_ONLY
    assert rank.keys() == {path.relative_to(PACKAGE).with_suffix("").parts[0] for path in FILES}


def test_no_circles_of_imports():
    """Nor does a file import the package that it lies in, which imports all of its files."""
    graph = {}
    for path in FILES:
        name = path.relative_to(PACKAGE).with_suffix("").parts
        graph[name] = imports_of(path)[0]
        if path.name != "__init__.py":
            assert name[:-1] not in graph[name], f"{path} imports its own package"
    assert not circles(graph)


def cimports_of(path):
    """Return the kernels that a .pyx or .pxd cimports."""
    text = path.read_text()
    return set(re.findall(r"^from cnn_core\.(\w+) cimport", text, re.MULTILINE)) | set(
        re.findall(r"^cimport cnn_core\.(\w+)", text, re.MULTILINE)
    )


def test_cimports_point_down():
    rank, graph = rank_of(KERNEL_ORDER), {}
    for path in sorted([*KERNELS.glob("*.pyx"), *KERNELS.glob("*.pxd")]):
        if path.stem[0] == "_":
            continue
        used = cimports_of(path) - {path.stem}
        upward = [name for name in used if rank[name] > rank[path.stem]]
        assert not upward, f"{path.name} cimports {upward}"
        graph[path.name] = {f"{name}.pxd" for name in used}
        if path.suffix == ".pyx" and path.with_suffix(".pxd").exists():
            graph[path.name].add(f"{path.stem}.pxd")
    assert not circles(graph)


def test_kernels_know_nothing_of_the_package():
    for path in KERNELS.glob("*.p*"):
        assert not re.search(r"^\s*(from|c?import) +deepfs", path.read_text(), re.MULTILINE), path


def lines(path):
    return len(path.read_text().splitlines())


@in_the_tree
def test_every_package_is_in_the_wheel():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    listed = {name for name in project["tool"]["setuptools"]["packages"] if name != "cnn_core"}
    folders = {path.parent.relative_to(PACKAGE.parent) for path in PACKAGE.rglob("__init__.py")}
    assert {".".join(folder.parts) for folder in folders} <= listed


def test_files_are_short():
    assert lines(PACKAGE / "layers" / "_base.py") < 250
    assert statistics.median(map(lines, (PACKAGE / "layers").glob("[!_]*.py"))) < 120
    assert not [path.name for path in FILES if lines(path) > 450]


def test_kernels_are_short():
    assert not [path.name for path in KERNELS.glob("*.pyx") if lines(path) > 500]


@in_the_tree
def test_the_files_to_read_first_are_short():
    part = (ROOT / "README.md").read_text().split("## Five files to read")[1].split("\n\n")[1]
    paths = re.findall(r"\]\((.*?)\)", part)
    assert len(paths) == 5
    for path in paths:
        assert lines(ROOT / path) < 400, path


STEMS = sorted(p.stem for p in (PACKAGE / "layers").glob("*.py") if p.stem[0] != "_")


@pytest.mark.parametrize("stem", STEMS)
def test_one_stem_finds_a_layer_and_its_test_reference_and_page(stem):
    """`layers/pool.py`: `tests/test_pool.py`, `reference/pool.py`, `docs/maths/pool.md`."""
    module = importlib.import_module(f"deepfs.layers.{stem}")
    public = (getattr(L, name) for name in L.__all__)
    kinds = [kind for kind in public if kind.__module__ == module.__name__]
    assert kinds, f"{stem}.py has no public layer"
    test = (ROOT / "tests" / f"test_{stem}.py").read_text()
    page = (ROOT / "docs" / "maths" / f"{stem}.md").read_text()
    for kind in kinds:
        assert re.search(rf"\b{kind.__name__}\b", test), f"test_{stem}.py does not use it"
        assert f"`{kind.__name__}" in page, f"{stem}.md does not name {kind.__name__}"
        named = re.search(r"NumPy reference:\s+`deepfs\.reference\.(\w+)`", kind.__doc__)
        assert named, f"{kind.__name__} names no reference"
        assert getattr(reference, named[1]).__module__ == f"deepfs.reference.{stem}"


class Frames:
    """Counts the Python frames between a call and the kernels that it reaches.

    Neither the caller counts nor the kernel. What lays out an array for a kernel, in `_arrays`,
    counts as part of the kernel's call. The numbers hold for single layers and flat networks: each
    nested container adds one.
    """

    def __init__(self, monkeypatch):
        self.deepest, self.caller = (), None
        for path in KERNELS.glob("*.pyx"):
            module = importlib.import_module(f"cnn_core.{path.stem}")
            for name, function in list(vars(module).items()):
                ours = getattr(function, "__module__", None) == module.__name__
                if ours and callable(function) and not isinstance(function, type):
                    monkeypatch.setattr(module, name, self.counted(function))

    def counted(self, kernel):
        def call(*args, **kwargs):
            names, frame = [], sys._getframe(1)
            while frame is not None and frame.f_code is not self.caller:
                if not frame.f_code.co_filename.endswith("_arrays.py"):
                    names.append(frame.f_code.co_qualname)
                frame = frame.f_back
            if frame is not None and len(names) > len(self.deepest):
                self.deepest = (*reversed(names), kernel.__name__)
            return kernel(*args, **kwargs)

        return call

    def of(self, function, *args, **kwargs):
        """Return the result of a call; note the longest way to a kernel in `deepest`."""
        self.deepest, self.caller = (), sys._getframe().f_code
        result = function(*args, **kwargs)
        self.caller = None
        return result


@pytest.fixture
def frames(monkeypatch):
    return Frames(monkeypatch)


@pytest.mark.parametrize("training", [False, True], ids=["inference", "training"])
def test_three_frames_from_a_layer_to_its_kernel(training, frames):
    for name, make, shape in CASES:
        layer, x = make(), spread(shape).astype(np.float32)
        if isinstance(layer, L.Container):
            continue
        y = layer(x)
        y, cache = frames.of(layer.forward, x, training)
        assert len(frames.deepest) <= 4, f"{name}: {frames.deepest}"
        frames.of(layer.backward, y, cache)
        assert len(frames.deepest) <= 4, f"{name}: {frames.deepest}"
        frames.of(layer, x)
        assert len(frames.deepest) <= 4, f"{name}: {frames.deepest}"


@pytest.mark.parametrize("name", RULES)
def test_three_frames_from_an_optimizer_to_its_kernel(name, frames):
    optimizer, w = getattr(optimizers, name)(0.1), np.ones(10, np.float32)
    frames.of(optimizer.step, w, w.copy(), optimizer.init(w), 1)
    assert 1 < len(frames.deepest) <= 4, frames.deepest


def test_six_frames_from_a_training_step_to_its_kernels(frames):
    net = L.Sequential(
        [L.Conv2D(4, 3), L.BatchNorm(), L.ReLU(), L.MaxPool2D(), L.Dropout(), L.Dense(3)]
    )
    model = dfs.Model(net, dfs.losses.CrossEntropy(), dfs.optimizers.Adam())
    x, y = spread((4, 2, 8, 8)).astype(np.float32), np.arange(4) % 3
    for _ in range(2):  # the first step builds
        frames.of(model.train_on_batch, x, y)
    assert 1 < len(frames.deepest) <= 7, frames.deepest


MODULES = sorted(path.stem for path in KERNELS.glob("*.pyx"))


def public_functions(module):
    """Return the functions that a kernel module defines; of a fused one the first type's."""
    found = {}
    for name, value in vars(module).items():
        own = callable(value) and getattr(value, "__module__", None) == module.__name__
        if own and not (name.startswith("_") or inspect.isclass(value)):
            found[name] = next(iter(getattr(value, "__signatures__", {"": value}).values()))
    return found


@pytest.mark.parametrize("name", MODULES)
def test_stubs_equal_the_embedded_signatures(name):
    module = importlib.import_module(f"cnn_core.{name}")
    path, compiled = KERNELS / f"{name}.pyi", public_functions(module)
    if not compiled and not path.exists():
        return  # only for other Cython modules
    stub = ast.parse(path.read_text("utf-8"))
    functions = {f.name for f in stub.body if isinstance(f, ast.FunctionDef)}
    assert functions - {"__getattr__"} == {*compiled}
    stub.body = [each for each in stub.body if getattr(each, "name", "") != "__getattr__"]
    for statement in stub.body:
        if isinstance(statement, ast.ClassDef):
            assert inspect.isclass(getattr(module, statement.name))
        elif isinstance(statement, ast.AnnAssign) and statement.value is None:
            assert (
                type(getattr(module, ast.unparse(statement.target))).__name__
                == (ast.unparse(statement.annotation).partition("[")[0])
            )
        elif isinstance(statement, ast.FunctionDef):
            parameters = inspect.signature(compiled[statement.name]).parameters.values()
            written = statement.args
            assert [a.arg for a in written.args] == [p.name for p in parameters]
            assert [ast.literal_eval(d) for d in written.defaults] == [
                p.default for p in parameters if p.default is not p.empty
            ]


def test_what_is_compiled_once_is_said_in_its_first_line():
    level = f"_{cnn_core.level}"
    once = set()
    for name in MODULES:
        if KERNELS.joinpath(f"{name}.pyx").read_text("utf-8").startswith("# compiled once"):
            once.add(name)
        module = importlib.import_module(f"cnn_core.{name}")
        assert Path(module.__file__).parent.name == ("cnn_core" if name in once else level)
    assert {"_cpu", "threads"} <= once


@in_the_tree
def test_no_other_file_lists_what_is_compiled_once():
    for path in (ROOT / "setup.py", KERNELS / "__init__.py"):
        for name in ("add", "dense", "memory", "transpose"):
            assert f'"{name}"' not in path.read_text("utf-8")
