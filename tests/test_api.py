"""What callers and derived classes use stays public: the tables of docs/api.md are frozen."""

import importlib
import inspect
import re
import types
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[1] / "docs" / "api.md").read_text()
SECTION = re.compile(r"^## `deepfs\.?(\w*)`\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
SECTIONS = dict(SECTION.findall(PAGE))
NAMES = [
    (module, *found)
    for module, body in SECTIONS.items()
    for row in re.findall(r"^\| (`.*?) \|", body, re.MULTILINE)
    for found in re.findall(r"`([\w.]+)(\(.*?\))?`", row)
]


def member(kind, name):
    """Return an attribute of a class; None for one that only its instances have."""
    if hasattr(kind, name):
        return getattr(kind, name)
    annotated = {key for base in kind.__mro__ for key in inspect.get_annotations(base)}
    assert name in annotated, f"{kind.__name__} has no {name}"
    return None


@pytest.mark.parametrize(("module", "name", "arguments"), NAMES)
def test_a_name_of_the_page_is_there(module, name, arguments):
    """With the arguments that the page gives, in this order and by these names."""
    if module == "sklearn":
        pytest.importorskip("sklearn")
    owner, _, attribute = name.partition(".")
    found = getattr(importlib.import_module(f"deepfs.{module}".rstrip(".")), owner)
    if attribute:
        found = member(found, attribute)
    if arguments:
        wanted, takes = re.findall(r"\w+", arguments), inspect.signature(found).parameters
        given = [name for name in takes if name != "self"]
        assert given[: len(wanted)] == wanted
        for more in given[len(wanted) :]:
            optional = takes[more].default is not inspect.Parameter.empty
            assert optional or takes[more].kind in VARIADIC, f"{more} has no default"


@pytest.mark.parametrize(
    "module", sorted(SECTIONS.keys() - {"", "build", "regularizers"})
)  # one file
def test_what_is_public_is_on_the_page(module):
    """A name of a package that has no underscore and is not in `__all__` is for derived classes."""
    if module == "sklearn":
        pytest.importorskip("sklearn")
    package = importlib.import_module(f"deepfs.{module}")
    listed = {name.partition(".")[0] for where, name, _ in NAMES if where == module}
    public = {name for name, value in vars(package).items()
              if name[0] != "_" and not isinstance(value, types.ModuleType)}  # fmt: skip
    assert public - {*package.__all__} <= listed
