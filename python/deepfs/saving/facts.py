"""What a model knows of its data, in files: preprocessing, class names, training inputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._arrays import Array
from .._check import checked_names, shown
from ..data.facts import PREPROCESS, SUMMARY, DataFacts
from ..data.summary import InputSummary
from ..preprocessing import Preprocess
from .settings import SettingsReader, to_config
from .tensors import TensorFile


def describe_facts(facts: DataFacts) -> dict[str, Any]:
    """Return everything but the arrays, which `DataFacts.arrays` returns."""
    return {"preprocess": to_config(facts.preprocess), "class_names": to_config(facts.class_names)}


def read_facts(
    description: Mapping[str, Any], file: TensorFile, reader: SettingsReader
) -> DataFacts:
    """Return what a file says; files of earlier versions say nothing.

    Raises
    ------
    TypeError, ValueError
        If it is not what `describe_facts` returns, or an array does not fit.
    """
    facts = DataFacts()
    made = reader.make(description.get("preprocess"))
    if made is not None and not isinstance(made, Preprocess):
        raise TypeError(f"preprocess must be a preprocessing, got {shown(made)}")
    facts.preprocess = made
    facts.class_names = checked_names(description.get("class_names"))
    learned, seen = (arrays_under(folder, file) for folder in (PREPROCESS, SUMMARY))
    if made is not None:
        made.load_arrays(learned)
    if seen:
        facts.summary = InputSummary.of_arrays(seen)
    return facts


def arrays_under(folder: str, file: TensorFile) -> dict[str, Array]:
    """Return the arrays of a file whose names begin so, without that."""
    return {n.removeprefix(folder): file.read(n) for n in file.entries if n.startswith(folder)}
