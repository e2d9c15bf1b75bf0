"""Everything public is documented: sections, settings, examples, references, a page.

Names come from ``__all__``, so what is new is asked for these without a word here. Rows in the
tables of the common tests are asked for beside the tables; the examples run in `test_package`.
"""

import dataclasses
import inspect
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

import deepfs
from cnn_core import conv
from deepfs import (
    Model,
    augment,
    callbacks,
    initializers,
    layers,
    losses,
    metrics,
    networks,
    optimizers,
    preprocessing,
    reference,
    regularizers,
    schedules,
)
from deepfs.testing import check_optimizer
from network_cases import CASES

PAGES = Path(__file__).parents[1] / "docs"
BASES = layers.Layer, optimizers.Optimizer, schedules.Schedule  # explain what all of them have
HELPERS = {  # have no settings of a kind, and no mathematics
    *(
        "layers.Parameter",
        "callbacks.Callback",
        "optimizers.Arena",
        "optimizers.Group",
        "initializers.fans",
    ),
    *("optimizers.StepContext", "optimizers.zeros_like"),
    *("initializers.get", "losses.get", "metrics.get", "metrics.without_ignored", "optimizers.get"),
    *("losses.Combined", "losses.FunctionLoss"),
    *("preprocessing.Preprocess", "preprocessing.get"),
}


def public():
    """Return all classes that can be built and all functions, by home and name."""
    modules = (
        layers,
        losses,
        initializers,
        metrics,
        optimizers,
        schedules,
        regularizers,
        callbacks,
        augment,
        preprocessing,
    )
    found = {
        f"{module.__name__.removeprefix('deepfs.')}.{name}": getattr(module, name)
        for module in modules
        for name in module.__all__
    }
    return {
        where: kind
        for where, kind in found.items()
        if inspect.isroutine(kind) or (isinstance(kind, type) and not inspect.isabstract(kind))
    }


PUBLIC = public()
every = pytest.mark.parametrize(
    ("where", "kind"), [pytest.param(*item, id=item[0]) for item in PUBLIC.items()]
)


def settings(kind):
    """Return the names that a docstring must explain: those a public base explains left out."""
    if not dataclasses.is_dataclass(kind):
        return set(inspect.signature(kind).parameters)
    shared = {field.name for base in BASES if issubclass(kind, base)
              for field in dataclasses.fields(base) if field.kw_only}  # fmt: skip
    own = {field.name for field in dataclasses.fields(kind) if field.init} - shared
    for base in kind.__mro__[1:]:
        own -= explained(base) if base in PUBLIC.values() else set()
    return own


def explained(kind):
    """Return the names under Parameters."""
    lines = sections(inspect.getdoc(kind)).get("Parameters", "")
    return {
        name
        for line in re.findall(r"^([\w, *]+) : ", lines, re.MULTILINE)
        for name in line.split(", ")
    }


def sections(doc):
    """Return the text under each underlined heading."""
    parts = re.split(r"^(\w+)\n-+$", doc, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@every
def test_has_every_section(where, kind):
    if where in HELPERS:
        return
    doc, own = inspect.getdoc(kind), settings(kind)
    found = sections(doc)
    needed = {"Examples"} | ({"Parameters", "Raises"} if own else set())
    if where.startswith(("layers.", "losses.", "initializers.")):
        needed |= {"Notes", "References"}
        assert "Shapes: " in found.get("Notes", "")
    if where.startswith(("layers.", "losses.")) and "NumPy reference:" not in found["Notes"]:
        assert issubclass(kind, layers.Container), f"{where} names no reference"
    assert not needed - found.keys(), f"{where} has no {sorted(needed - found.keys())}"
    assert ">>> " in found["Examples"]
    assert kind.__name__ in found["Examples"]
    missing = own - explained(kind)
    assert not missing, f"{where} does not explain {sorted(missing)}"


@every
def test_its_reference_exists(where, kind):
    for name in re.findall(r"`deepfs\.reference\.(\w+)`", inspect.getdoc(kind)):
        assert callable(getattr(reference, name)), name


@every
def test_a_page_names_it(where, kind):
    if where in HELPERS:
        return
    pages = [path.stem for path in PAGES.rglob("*.md")
             if re.search(rf"\b{kind.__name__}\b", path.read_text())]  # fmt: skip
    assert pages, f"no page of docs names {kind.__name__}"


def test_the_optimizer_of_the_maths_page_keeps_the_contract(monkeypatch):
    page = (PAGES / "maths" / "optimizers.md").read_text()
    code = re.search(r"```python\n(.*?)```", page, re.DOTALL).group(1)
    module = ModuleType("page")
    monkeypatch.setitem(sys.modules, "page", module)  # a pickle looks for the class there
    exec(code, vars(module))
    check_optimizer(module.SignMomentum(0.01))


def test_the_page_on_convolution_names_every_algorithm():
    page = PAGES.joinpath("maths", "conv.md").read_text("utf-8")
    for name in conv.ALGORITHMS:
        assert f"| `{name}` | `conv_{name}.pyx` |" in page


def test_the_page_on_networks_has_their_figures():
    page = PAGES.joinpath("networks.md").read_text("utf-8")
    for case in CASES:
        if case.name != "resnet":  # the row of resnet20 has it
            row = f"| `{case.name}` | {case.image} | {case.parameters:,} | {case.macs:,} |"
            assert row in page


METHODS = (
    *("fit", "train_on_batch", "evaluate", "predict", "predict_proba", "predict_classes"),
    *("predict_labels", "predictor"),
    *("summary", "profile", "plan", "lr_find", "save", "export", "outputs_of", "end_epoch"),
    *("get_weights", "set_weights", "load_weights", "save_state_dict"),
)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_of_a_model_has_every_section(name):
    method = getattr(Model, name)
    found, signature = sections(inspect.getdoc(method)), inspect.signature(method)
    needed = {"Raises", "Examples"} | ({"Parameters"} if len(signature.parameters) > 1 else set())
    needed |= set() if signature.return_annotation == "None" else {"Returns"}
    assert not needed - found.keys(), f"Model.{name} has no {sorted(needed - found.keys())}"
    missing = set(signature.parameters) - {"self"} - explained(method)
    assert not missing, f"Model.{name} does not explain {sorted(missing)}"
    assert f".{name}(" in found["Examples"]


def test_no_public_method_of_a_model_is_left_out():
    inherited = dir(Model.__mro__[-2])  # of Settings and object
    inherited += ["buffers", "parameters"]  # those of the network
    public = {name for name in dir(Model) if name[0] != "_" and callable(getattr(Model, name))}
    assert public - set(inherited) == set(METHODS)


@pytest.mark.parametrize("name", networks.__all__)
def test_every_network_has_every_section(name):
    network = getattr(networks, name)
    found = sections(inspect.getdoc(network))
    needed = {"Parameters", "Raises", "Notes", "Examples"}
    assert not needed - found.keys(), f"{name} has no {sorted(needed - found.keys())}"
    assert "Shapes: " in found["Notes"]
    assert explained(network) == set(inspect.signature(network).parameters)
    assert f"{name}(" in found["Examples"]


def test_the_page_of_names_has_names_that_there_are():
    """In the last column of its tables of layers, losses and so on."""
    page = PAGES.joinpath("names.md").read_text("utf-8").partition("## Arguments")[0]
    rows = re.findall(r"^\|.*\| (.*) \|$", page, re.MULTILINE)
    found = [name for row in rows for name in re.findall(r"`([a-z]+(?:\.\w+)+)", row)]
    assert len(found) > 50
    for name in found:
        value = deepfs
        for part in name.split("."):
            value = getattr(value, part)
