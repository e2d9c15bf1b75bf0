"""Pickled data read without running anything of it: dicts, lists, numbers, text, arrays.

Unpickling calls whatever a file names. This reader lets `pickletools` parse the file, follows the
instructions that build data, and knows the few calls that NumPy writes for an array; for anything
else it raises. Memory grows with the file, never with what it promises.
"""

from __future__ import annotations

import pickletools
from typing import Any, NamedTuple

import numpy as np

from .._arrays import Array


class _Call(NamedTuple):
    """A name in the file, such as that of NumPy's function that makes an array; never called."""

    name: str


class _Dtype:
    def __init__(self, code: Any) -> None:
        text = code.decode("latin-1") if isinstance(code, bytes) else code
        if not isinstance(text, str) or text.lstrip("<>|=")[:1] not in ("u", "i", "f", "b"):
            raise ValueError(f"an array of dtype {code!r:.40}")
        self.dtype = np.dtype(text)

    def set(self, state: Any) -> None:
        """Take the byte order of a state ``(version, order, ...)``."""
        order = state[1].decode() if isinstance(state[1], bytes) else state[1]
        if order == ">":
            self.dtype = self.dtype.newbyteorder(">")


class _Array:
    array: Array

    def set(self, state: Any) -> None:
        """Take a state ``(version, shape, dtype, fortran order, bytes)``."""
        _, shape, dtype, fortran, content = state
        self.fill(content, dtype, shape, "F" if fortran else "C")

    def fill(self, content: Any, dtype: Any, shape: Any, order: Any) -> None:
        if isinstance(content, str):  # of Python 2
            content = content.encode("latin-1")
        flat = np.frombuffer(content, dtype.dtype)
        self.array = flat.reshape(tuple(map(int, shape)), order="F" if order == "F" else "C")


_MARK = object()
_PUSHED = {
    "NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": (),
}  # fmt: skip
_WITH_VALUE = """INT LONG LONG1 LONG4 BININT BININT1 BININT2 FLOAT BINFLOAT STRING BINSTRING
SHORT_BINSTRING UNICODE BINUNICODE SHORT_BINUNICODE BINUNICODE8 BINBYTES SHORT_BINBYTES BINBYTES8
BYTEARRAY8"""
_VALUES = frozenset(_WITH_VALUE.split())
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


def read_pickle(content: bytes, name: str) -> Any:
    """Return the data in a pickle; text of Python 2 as str.

    Raises
    ------
    ValueError
        If it holds anything but dicts, lists, tuples, numbers, text and arrays of numbers, or is
        damaged. ``name`` is that of the file, for the message.

    Examples
    --------
    >>> import pickle
    >>> read_pickle(pickle.dumps({"labels": [3, 1]}), "a file")
    {'labels': [3, 1]}
    """
    try:
        return _plain(_Machine().run(content), {})
    except Exception as error:  # a damaged file raises whatever its parser does
        raise ValueError(
            f"{name} must be a pickle of lists, dicts, text, numbers and arrays alone; it was not "
            f"executed: {error}"
        ) from None


class _Machine:
    """The stack and the memo of an unpickler."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def run(self, content: bytes) -> Any:
        for code, value, _ in pickletools.genops(content):
            if code.name == "STOP":
                return self.stack.pop()
            self.step(code.name, value)
        raise ValueError("it has no end")

    def step(self, name: str, value: Any) -> None:
        stack = self.stack
        if name in _VALUES:
            stack.append(value)
        elif name in _PUSHED:
            stack.append(_PUSHED[name])
        elif name == "MARK":
            stack.append(_MARK)
        elif name in ("EMPTY_DICT", "EMPTY_LIST"):
            stack.append({} if name == "EMPTY_DICT" else [])
        elif name in ("PUT", "BINPUT", "LONG_BINPUT"):
            self.memo[int(value)] = stack[-1]
        elif name == "MEMOIZE":
            self.memo[len(self.memo)] = stack[-1]
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            stack.append(self.memo[int(value)])
        elif name in _TUPLES:
            count = _TUPLES[name]
            stack[-count:] = [tuple(stack[-count:])]
        elif name in ("TUPLE", "LIST", "DICT"):
            self.collect(name)
        elif name in ("APPEND", "SETITEM"):
            self.add([stack.pop()] if name == "APPEND" else [stack.pop(-2), stack.pop()])
        elif name in ("APPENDS", "SETITEMS"):
            self.add(self.marked())
        elif name in ("GLOBAL", "STACK_GLOBAL"):
            parts = str(value).split(" ") if name == "GLOBAL" else [stack.pop(-2), stack.pop()]
            stack.append(_Call(".".join(map(str, parts))))
        elif name == "REDUCE":
            arguments = stack.pop()
            stack.append(called(stack.pop(), arguments))
        elif name == "BUILD":
            state = stack.pop()
            if not isinstance(stack[-1], (_Array, _Dtype)):
                raise ValueError(f"it sets the state of a {type(stack[-1]).__name__}")
            stack[-1].set(state)
        elif name not in ("PROTO", "FRAME"):
            raise ValueError(f"it holds the instruction {name}")

    def marked(self) -> list[Any]:
        """Remove and return what lies above the last mark."""
        at = len(self.stack) - 1
        while self.stack[at] is not _MARK:
            at -= 1
        found = self.stack[at + 1 :]
        del self.stack[at:]
        return found

    def collect(self, name: str) -> None:
        found = self.marked()
        if name == "DICT":
            self.stack.append(dict(zip(found[::2], found[1::2], strict=True)))
        else:
            self.stack.append(tuple(found) if name == "TUPLE" else found)

    def add(self, found: list[Any]) -> None:
        into = self.stack[-1]
        if isinstance(into, dict):
            into.update(zip(found[::2], found[1::2], strict=True))
        elif isinstance(into, list):
            into.extend(found)
        else:
            raise ValueError(f"it adds to a {type(into).__name__}")


def called(name: Any, arguments: Any) -> Any:
    """Return what stands for the result of a call that NumPy writes for an array.

    The text is what decides: nothing is imported, and no function of the file is called.
    """
    text = name.name if isinstance(name, _Call) else repr(name)[:40]
    head, _, last = text.rpartition(".")
    if head in ("numpy.core.multiarray", "numpy._core.multiarray") and last == "_reconstruct":
        return _Array()
    if head in ("numpy.core.numeric", "numpy._core.numeric") and last == "_frombuffer":
        made = _Array()
        made.fill(*arguments)
        return made
    if text == "numpy.dtype":
        return _Dtype(arguments[0])
    if text == "_codecs.encode" and arguments[1] == "latin1":
        return arguments[0].encode("latin-1")
    if text == "collections.OrderedDict" and not arguments:
        return {}
    raise ValueError(f"it calls {text}")


def _plain(value: Any, seen: dict[int, Any]) -> Any:
    """Return data with real arrays; what occurs twice is converted once, as it may be nested."""
    if isinstance(value, _Array):
        return value.array
    if isinstance(value, (_Call, _Dtype)):
        raise ValueError(f"it holds a {type(value).__name__[1:].lower()} instead of data")
    if not isinstance(value, (dict, list, tuple)):
        return value
    if id(value) not in seen:
        if isinstance(value, dict):
            made: Any = {text_of(key): _plain(entry, seen) for key, entry in value.items()}
        else:
            made = type(value)([_plain(entry, seen) for entry in value])
        seen[id(value)] = made
    return seen[id(value)]


def text_of(key: Any) -> Any:
    """Return a key of a dict; bytes, as some programs write them, as text."""
    return key.decode("latin-1") if isinstance(key, bytes) else key
