"""The package: levels of the instruction set, lazy imports, docstrings that run."""

import doctest
import importlib
import os
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import cnn_core
import deepfs as dfs
from cnn_core import _cpu

MODULES = [
    name
    for _, name, _ in pkgutil.walk_packages(dfs.__path__, "deepfs.")
    if not name.endswith("__main__")
]
KERNELS = sorted(
    path.stem for path in Path(cnn_core.__file__).parent.glob("*.pyx") if path.stem[0] != "_"
)


def run(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | environment,
    )


@pytest.mark.parametrize("name", ["deepfs", *MODULES])
def test_examples_run(name):
    if name.startswith("deepfs.sklearn"):
        pytest.importorskip("sklearn")
    if name.startswith("deepfs.onnx."):
        pytest.importorskip("onnx")
    if name.startswith("deepfs.tuning."):
        pytest.importorskip("optuna")
    module = importlib.import_module(name)
    if name.startswith("deepfs.plots."):
        pytest.importorskip("matplotlib")
    names = {"np": importlib.import_module("numpy")}
    result = doctest.testmod(module, extraglobs=names, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.failed == 0


def test_readme_runs(tmp_path, monkeypatch, capsys):
    readme = Path(__file__).parents[1] / "README.md"
    code = re.search(r"```python\n(.*?)```", readme.read_text(), re.DOTALL).group(1)
    assert len([line for line in code.splitlines() if line]) <= 20
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(compile(code, str(readme), "exec"), names)
    assert names["history"]["val_accuracy"][-1] > 0.9


@pytest.mark.parametrize("name", dfs.__all__)
def test_every_public_name_is_there_and_documented(name):
    assert getattr(dfs, name).__doc__
    assert name in dir(dfs)


def test_every_kernel_documents_its_functions():
    for name in KERNELS:
        module = importlib.import_module(f"cnn_core.{name}")
        assert module.__doc__
        for function in vars(module).values():
            if callable(function) and getattr(function, "__module__", None) == module.__name__:
                assert function.__doc__, f"cnn_core.{name}.{function.__name__}"


def test_no_such_name():
    with pytest.raises(AttributeError, match="module 'deepfs' has no attribute 'nothing'"):
        dfs.nothing  # noqa: B018


def test_import_loads_neither_kernels_nor_dependencies():
    loaded = run("import sys, deepfs; print(*sys.modules)").stdout.split()
    assert "deepfs" in loaded
    for name in ("cnn_core", "numpy", "tqdm", "safetensors", "pooch", "deepfs.model", "deepfs.lab"):
        assert name not in loaded
    used = run(
        "import sys, deepfs; deepfs.Model; deepfs.datasets.mnist_mini(); print(*sys.modules)"
    )
    for name in ("tqdm", "safetensors", "pooch", "requests"):
        assert name not in used.stdout.split()


def test_kernels_come_from_the_best_level():
    best = "native" if Path(cnn_core.__file__).with_name("_native").is_dir() else _cpu.levels()[0]
    wanted = os.environ.get("DEEPFS_ISA", best)
    assert cnn_core.level == wanted
    gemm = importlib.import_module("cnn_core.gemm")
    assert Path(gemm.__file__).parent.name == f"_{wanted}"


def test_other_levels_load_and_unknown_ones_are_refused():
    script = "import cnn_core.gemm; print(cnn_core.level, cnn_core.gemm.__file__)"
    for folder in Path(cnn_core.__file__).parent.glob("_v?"):
        level = folder.name[1:]
        done = run(script, DEEPFS_ISA=level)
        if level in _cpu.levels():
            assert done.stdout.startswith(f"{level} "), done.stderr
            assert f"_{level}" in done.stdout
    done = run(script, DEEPFS_ISA="v9")
    assert done.returncode == 1
    assert "ImportError: DEEPFS_ISA must be one of" in done.stderr
    assert "got 'v9'" in done.stderr


def test_get_include_finds_the_declarations():
    folder = Path(cnn_core.get_include(), "cnn_core")
    for name in ("gemm.pxd", "types.pxd", "simd.h", "conv.pyx"):
        assert (folder / name).is_file()


def test_no_module_takes_the_place_of_a_function():
    """`deepfs.onnx.load` was the function until someone imported the module of that name."""
    code = (
        "import importlib, pkgutil, types, deepfs\n"
        "for module in pkgutil.walk_packages(deepfs.__path__, 'deepfs.'):\n"
        "    package, _, name = module.name.rpartition('.')\n"
        "    home = importlib.import_module(package)\n"
        "    if name in getattr(home, '__all__', ()) and package != 'deepfs':\n"
        "        importlib.import_module(module.name)\n"
        "        assert not isinstance(getattr(home, name), types.ModuleType), module.name\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
