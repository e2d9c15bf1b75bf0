"""What the site has of each public name: pages of reference, and lists with formula and picture."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import docstrings
import pictures

import deepfs as dfs

ROOT = Path(__file__).parents[2]
# bases and helpers, which compute nothing of their own
NOT_LISTED = {"Layer", "Parameter", "Input", "Loss", "Combined", "FunctionLoss", "Arena", "Group",
              "Optimizer", "StepContext"}  # fmt: skip
LISTS: dict[str, tuple[Callable[[str], str], str]] = {
    "layers": (
        pictures.of_layer,
        "Curves show the function and, dashed, its derivative, as the kernels compute them. Pixels show one input and "
        "its output: blue is positive, white 0, orange negative; each picture has its own scale, and channels are "
        "drawn one below the other.",
    ),
    "losses": (
        pictures.of_loss,
        "The loss of one sample over one of its outputs and, dashed, the gradient that training starts from. The label "
        "is class 0 of two, 1 for `BinaryCrossEntropy`, and 0 for losses of numbers.",
    ),
    "optimizers": (
        pictures.of_optimizer,
        "Each picture has 40 steps of the compiled rule on $(a^2 + 10\\, b^2) / 2$ from one starting point, at a "
        "learning rate that shows its character; the pictures are no contest.",
    ),
}


def modules() -> dict[str, list[str]]:
    """Return the public names of deepfs and of its submodules, by module."""
    found = {
        "deepfs": [name for name in dfs.__all__ if not isinstance(getattr(dfs, name), ModuleType)]
    }
    for name in [*dfs.__all__, "build", "sklearn"]:
        try:
            module = importlib.import_module(f"deepfs.{name}")
        except ImportError:  # not in this version, no module, or scikit-learn is not there
            continue
        local = getattr(module, "__all__", None) or [
            key
            for key, value in vars(module).items()
            if key[0] != "_" and getattr(value, "__module__", None) == module.__name__
        ]
        found[module.__name__] = sorted(local)
    return found


def reference(module: str, names: list[str]) -> str:
    """Return the page of reference of a module."""
    about = inspect.getdoc(importlib.import_module(module)) or ""
    summary = docstrings.inline(about.split("\n\n")[0].replace("``", "`"))
    names = [
        name
        for name in names
        if not isinstance(getattr(importlib.import_module(module), name), ModuleType)
    ]
    return f"# {module}\n\n{summary}\n\n" + "\n".join(_entry(module, name) for name in names)


def _entry(module: str, name: str) -> str:
    value = getattr(importlib.import_module(module), name)
    if callable(value) and getattr(value, "__doc__", None) and hasattr(value, "__qualname__"):
        return f"::: {module}.{name}\n"
    # a constant or a type has no docstring of its own
    text = repr(value) if not hasattr(value, "__mro__") else str(value)
    text = text if len(text) < 400 else text[:400] + " ..."
    return f"## `{name}` {{ #{module}.{name} }}\n\n```text\n{text}\n```\n"


def listed(kind: str) -> list[str]:
    """Return the names on the list of a kind: of layers, losses or optimizers."""
    module = importlib.import_module(f"deepfs.{kind}")
    return sorted(
        (
            name
            for name in module.__all__
            if inspect.isclass(getattr(module, name)) and name not in NOT_LISTED
        ),
        key=str.lower,
    )


def list_of(kind: str) -> str:
    """Return the page that lists layers, losses or optimizers."""
    title, about = f"# {kind.capitalize()}\n\n", LISTS[kind][1]
    return title + about + "\n\n" + "\n".join(_item(kind, name) for name in listed(kind))


def _item(kind: str, name: str) -> str:
    value: Any = getattr(importlib.import_module(f"deepfs.{kind}"), name)
    text = inspect.getdoc(value) or ""
    summary = docstrings.inline(text.split("\n\n")[0].replace("``", "`").replace("\n", " "))
    parts = [
        f"## {name}",
        summary,
        *(f"$$\n{formula}\n$$" for formula in docstrings.formulas(text)),
    ]
    parts.append(f"![{name}](list_pictures/{kind}-{name}.svg){{ .of-list }}")
    links = [f"[Reference](api/deepfs.{kind}.md#deepfs.{kind}.{name})"]
    page = derivation(kind, name)
    if page:
        links.append(f"[derivation](maths/{page})")
    return "\n\n".join([*parts, " · ".join(links), ""])


def derivation(kind: str, name: str) -> str | None:
    """Return the page of mathematics whose beginning names a class, if there is one."""
    if kind in ("losses", "optimizers"):
        return f"{kind}.md"
    best = None
    for page in sorted((ROOT / "docs" / "maths").glob("*.md")):
        place = re.search(rf"`{name}\b", page.read_text(encoding="utf-8")[:700])
        if place and (best is None or place.start() < best[0]):
            best = place.start(), page.name
    return best[1] if best else None
