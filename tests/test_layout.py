"""What is said in one place: signatures, and which modules are compiled once."""

import ast
import importlib
import inspect
from pathlib import Path

import pytest

import cnn_core

KERNELS = Path(cnn_core.__file__).parent
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
    assert {f.name for f in stub.body if isinstance(f, ast.FunctionDef)} == {*compiled}
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


SETUP = Path(__file__).parents[1] / "setup.py"


@pytest.mark.skipif(not SETUP.exists(), reason="the tests stand alone, beside an installed wheel")
def test_no_other_file_lists_what_is_compiled_once():
    for path in (SETUP, KERNELS / "__init__.py"):
        for name in ("add", "dense", "memory", "transpose"):
            assert f'"{name}"' not in path.read_text("utf-8")
