"""What other packages compile against: `python tests/c_interface.py >tests/data/c_api.txt`.

Functions with their signatures, as Cython compares them at import; what is compiled into the other
package and compared by nobody: values of enumerations, sizes of structs and classes, inline
functions, names of simd.h.
"""

import ctypes
import importlib
import re
from pathlib import Path

import cnn_core

PUBLIC = [
    *("activation", "activation_functions", "add", "batch_norm", "conv", "gemm", "group_norm"),
    *("im2col", "memory", "optimizer_rule", "random", "reduce", "simd", "softmax", "threads"),
    *("transpose", "types", "vmath"),
]
SIZES = {
    "int": ctypes.c_int,
    "bint": ctypes.c_int,
    "double": ctypes.c_double,
    "dim": ctypes.c_ssize_t,
    "char*": ctypes.c_void_p,
    "const char*": ctypes.c_void_p,
    "double*": ctypes.c_void_p,
}


def exported(name):
    """Yield the functions that a compiled module exports, with their signatures.

    Under the names that all versions of Cython know: newer ones write types into a second name.
    """
    module = importlib.import_module(f"cnn_core.{name}")
    name_of = ctypes.pythonapi.PyCapsule_GetName
    name_of.restype, name_of.argtypes = ctypes.c_char_p, [ctypes.py_object]
    for key, capsule in sorted(getattr(module, "__pyx_capi__", {}).items()):
        if "[" not in key:
            fused = re.fullmatch(r"__pyx_fuse_([01])(\w+)", key)
            plain = f"{fused[2]}[{('float', 'double')[int(fused[1])]}]" if fused else key
            signature = name_of(capsule).decode()
            mangled = rf"__pyx_(?:t|obj)_8cnn_core_\d+(?:{'|'.join(PUBLIC)})_"
            yield plain, re.sub(mangled, "", signature)


def blocks(text):
    """Yield the statements of a .pxd: a line that is not indented, and what belongs to it."""
    text = re.sub(r'""".*?"""', "", text, flags=re.DOTALL)  # of C code, too
    text = re.sub(r" *#.*", "", text)
    for block in re.findall(r"^\S.*\n(?:(?:[ )].*)?\n)*", text, re.MULTILINE):
        head, *rest = [line for line in block.splitlines() if line.strip()]
        yield head, [line.strip() for line in rest]


def declared(name, constants):
    """Yield what a .pxd makes other packages compile into themselves."""
    text = Path(cnn_core.get_include(), "cnn_core", f"{name}.pxd").read_text("utf-8")
    structs = {}
    for head, rest in blocks(text + "\n"):
        if head == "cdef enum:":
            value = -1
            for line in rest:
                member, _, given = line.partition(" = ")
                value = eval(given, {}, constants) if given else value + 1
                constants[member] = value
                yield f"enum {name}.{member} = {value}"
        elif head.startswith("cdef struct "):
            struct = head.removeprefix("cdef struct ")[:-1]
            structs[struct] = made = struct_of(rest, structs, constants)
            fields = "; ".join(re.sub(r"\s+", " ", line) for line in rest)
            yield f"struct {name}.{struct} = {ctypes.sizeof(made)} bytes: {fields}"
        elif head.startswith("cdef class "):
            kind = head.removeprefix("cdef class ")[:-1]
            size = getattr(importlib.import_module(f"cnn_core.{name}"), kind).__basicsize__
            yield f"class {name}.{kind} = {size} bytes: {'; '.join(rest)}"
        elif head.startswith("cdef inline "):
            end = next((k for k, line in enumerate(rest) if line[0] == ")"), -1) + 1
            signature = " ".join([head, *rest[:end]]).removeprefix("cdef inline ")
            yield f"inline {name}: {signature.rstrip(':').replace('( ', '(').replace(', )', ')')}"
        elif head.startswith("ctypedef "):
            yield f"type {name}: {' '.join([head, *rest]).removeprefix('ctypedef ')}"
        elif head.startswith("cdef extern "):
            for line in rest:
                table = re.fullmatch(r"const \w+\* [A-Z_]+|pass|enum:", line)
                if not table:  # of coefficients
                    yield f"extern {name}: {line.rstrip(':')}"


def struct_of(lines, structs, constants):
    """Return a struct of ctypes with the fields of a struct of Cython."""
    fields = []
    for line in lines:
        kind, names = re.fullmatch(r"((?:const )?\w+\*?) (.*)", line).groups()
        for field in names.split(", "):
            plain, _, length = field.strip("]").partition("[")
            each = SIZES.get(kind) or structs[kind]
            fields.append((plain, each * eval(length, {}, constants) if length else each))
    return type("Struct", (ctypes.Structure,), {"_fields_": fields})


def interface():
    """Return a line for each item."""
    lines, constants = [f"version {cnn_core.API_VERSION}"], {}
    for name in PUBLIC:
        if Path(cnn_core.get_include(), "cnn_core", f"{name}.pyx").exists():
            lines += [f"function {name}.{each} = {how}" for each, how in exported(name)]
        lines += declared(name, constants)
    return lines


if __name__ == "__main__":
    print("\n".join(interface()))
