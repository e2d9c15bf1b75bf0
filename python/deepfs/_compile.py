"""How kernels are compiled: levels, flags, directives, translation; `build` is the public face."""

from __future__ import annotations

import contextlib
import filecmp
import functools
import importlib
import io
import json
import os
import platform
import re
import shutil
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO

CORE = "cnn_core"
UTILITY = f"{CORE}._cyutility"  # Cython's memoryview code, once instead of in every kernel
STAMP = "_deepfs.json"  # in a package of kernels: which C interface it was built for
LIMITED_API = [("Py_LIMITED_API", "0x030B0000"), ("CYTHON_LIMITED_API", "1")]
OLDEST_SETUPTOOLS = "77"
OLDEST_CYTHON = "3.0.12"
OLDEST_CYTHON_OF_CORE = "3.3"  # from then on, `inline.h` can ask for functions to be inlined
OLDEST_LIMITED_CYTHON = "3.1"  # its limited API has all that kernels need
# what a file may ask for in a line such as "# distutils: libraries = m"
OF_A_FILE = (
    *("include_dirs", "libraries", "library_dirs", "define_macros"),
    *("extra_compile_args", "extra_link_args"),
)


def debug() -> bool:
    """Return whether kernels shall check bounds, for finding a crash."""
    return os.environ.get("DEEPFS_DEBUG") == "1"


def further_flags() -> list[str]:
    """Return flags of the user, for the compiler and the linker."""
    return os.environ.get("DEEPFS_CFLAGS", "").split()


def levels() -> dict[str, list[str]]:
    """Return the compiler flags of each level that is to be built."""
    if os.environ.get("DEEPFS_NATIVE") == "1":
        return {"native": flags_of("native")}
    if for_wasm():
        return {"wasm": flags_of("wasm")}
    x86 = platform.machine().lower() in ("x86_64", "amd64")
    return {level: flags_of(level) for level in (("v2", "v3", "v4") if x86 else ("baseline",))}


def for_wasm() -> bool:
    """Return whether the kernels are for WebAssembly: another machine compiles for that.

    pyodide-build sets ``PYODIDE``; other tools that compile for another system say which to
    sysconfig, by ``_PYTHON_HOST_PLATFORM``.
    """
    return os.environ.get("PYODIDE") == "1" or sysconfig.get_platform().endswith("wasm32")


def flags_of(level: str) -> list[str]:
    """Return the compiler flags of one level."""
    if level == "native":
        # not tuned for it: GCC's tuning for some AMD processors takes a fused multiply-add apart in
        # one loop and not in another, and results would depend on how work is cut for threads
        return ["-march=native", "-mtune=generic"]
    if level == "wasm":
        return ["-msimd128"]  # every browser since 2023
    return [f"-march=x86-64-{level}"] if level[0] == "v" else []


def compiler_flags() -> list[str]:
    """Return the compiler flags of all levels.

    Contractions (a * b + c as one operation) are GCC's default but not Clang's. Nothing here may
    change what a NaN or an infinity does, so no -ffast-math.
    """
    plain = ["-O0", "-g"] if debug() else ["-O3", "-g0", "-fno-math-errno", "-fno-trapping-math"]
    return [*plain, "-ffp-contract=fast", "-Wno-unused-function", *further_flags()]


def directives() -> dict[str, Any]:
    """Return the directives of Cython. Those of a file win over them."""
    return {
        "language_level": 3,
        "boundscheck": debug(),
        "wraparound": False,
        "initializedcheck": debug(),
        "cdivision": True,
        "embedsignature": True,
    }


def version_of(text: str) -> tuple[int, ...]:
    """Return the numbers that a version begins with."""
    return tuple(int(number) for number in re.findall(r"\d+", text)[:3])


def need_tools(cython: str = OLDEST_CYTHON, setuptools: str = OLDEST_SETUPTOOLS) -> None:
    """Raise ImportError with the line to write if a tool is missing or too old."""
    oldest = {"setuptools": setuptools, "Cython": cython}
    line = f"pip install 'setuptools>={setuptools}' 'cython>={cython}'"
    for name, least in oldest.items():
        try:
            found = importlib.import_module(name).__version__
        except ImportError as error:
            raise ImportError(f"deepfs.build needs {name}: {line}") from error
        if version_of(found) < version_of(least):
            raise ImportError(f"deepfs.build needs {name} {least} or later, got {found}: {line}")


def cython_version() -> str:
    """Return the version of the Cython that translates."""
    return str(importlib.import_module("Cython").__version__)


def stamp() -> dict[str, Any]:
    """Return what other packages of kernels depend on: see `cnn_core.extend_path`.

    With the Cython that translated `cnn_core` they use its module of Cython's own code, so they
    depend on that, too.
    """
    core = importlib.import_module(CORE)
    shares = importlib.import_module(f"{CORE}._cpu").cython() == cython_version()
    return {"api": core.API_VERSION, "cython": cython_version() if shares else None}


class TrueWarnings(io.TextIOBase):
    """Hands on what Cython prints, but warnings of vectors that a macro of simd.h fills.

    Cython knows no output arguments: to it, `vload(v, x)` reads v.
    """

    def __init__(self, stream: TextIO):
        self.stream = stream

    def write(self, text: str) -> int:
        """Print a message, if it is true."""
        found = re.search(r"warning: (.*?):\d+:\d+: local variable '(\w+)' referenced before", text)
        if not (found and is_filled(Path(found[1]), found[2])):
            self.stream.write(text)
        return len(text)


@functools.cache
def is_filled(file: Path, variable: str) -> bool:
    """Return whether a call such as `vload(v, ...)` fills a variable of a file."""
    try:
        text = file.read_text("utf-8")
    except OSError:
        return False
    return re.search(rf"\bv\w+\({variable}\b", text) is not None


class Kernels:
    """The modules of one package, from their sources to the C of each level."""

    def __init__(
        self,
        package: str,  # "" for modules that stand alone
        folder: Path,
        sources: Iterable[Path],
        build: Path | None = None,  # where the C is written
        only: str | None = None,  # the one level to build, into no folder of its own
    ):
        self.package, self.folder, self.sources = package, folder, list(sources)
        self.core = package == CORE
        self.build = build or Path("build", "debug" if debug() else "release")
        self.levels = {"": flags_of(only)} if only else levels()
        self.limited = can_be_limited()
        if self.core:
            self.sources.append(folder / "_cyutility.c")

    def module(self, source: Path) -> str:
        """Return the name by which a module is imported."""
        return f"{self.package}.{source.stem}" if self.package else source.stem

    def builds(self) -> Iterator[tuple[Path, str, list[str]]]:
        """Yield each source with each level that it is compiled for, and the flags of that."""
        for source in self.sources:
            once = source.suffix == ".c" or is_compiled_once(source)
            for level, flags in {"": list[str]()}.items() if once else self.levels.items():
                yield source, level, flags

    def copy_of(self, source: Path, level: str) -> Path:
        """Return the path of the C of one level: setuptools names an object file after it."""
        return self.build / (self.package or "alone") / (level or "once") / f"{source.stem}.c"

    def extensions(self) -> list[Any]:
        """Return one extension per kernel and level, and one of each that is compiled once."""
        from setuptools import Extension

        folders = [self.folder]
        if not self.core:
            folders.append(Path(importlib.import_module(CORE).get_include(), CORE))
        headers = [str(path) for folder in folders for path in sorted(folder.glob("*.h"))]
        made = []
        for source, level, flags in self.builds():
            names = self.package, f"_{level}" if level else "", source.stem
            extension = Extension(
                ".".join(name for name in names if name),  # says the folder: cnn_core._v3.gemm
                [str(self.copy_of(source, level))],
                include_dirs=[str(folder) for folder in folders],
                depends=headers,
                define_macros=[*LIMITED_API] if self.limited else [],
                extra_compile_args=[*compiler_flags(), *flags],
                py_limited_api=self.limited,
            )
            extension.kernels, extension.module = self, self.module(source)  # for `translate`
            made.append(extension)
        return made

    def settings(self) -> str:
        """Return all that the result of a translation or a compilation depends on, but files."""
        depends = [directives(), compiler_flags(), self.levels, cython_version(), self.limited]
        return json.dumps(depends + ([] if self.core else [stamp()]))

    def translate(self, extensions: list[Any]) -> bool:
        """Write the C of these extensions; return whether the settings are new.

        Cython looks only at the times of files, so it is told when anything else has changed.
        """
        from Cython.Build import cythonize
        from setuptools import Extension

        noted = self.build / (self.package or "alone") / "settings.json"
        new = not noted.exists() or noted.read_text("utf-8") != self.settings()
        noted.unlink(missing_ok=True)  # until it has succeeded
        include = [str(self.folder.parent if self.package else self.folder)]
        if not self.core:
            include.append(importlib.import_module(CORE).get_include())
        utility = UTILITY if self.core or stamp()["cython"] else None
        forget_paths()
        with contextlib.redirect_stderr(TrueWarnings(sys.stderr)):
            translated = cythonize(
                [Extension(self.module(path), [path.as_posix()]) for path in self.sources],
                build_dir=str(self.build),
                include_path=include,
                compiler_directives=directives(),
                force=new or None,
                **({"shared_utility_qualified_name": utility} if utility else {}),
            )
        found = {module.name: module for module in translated}
        for extension in extensions:
            module = found[extension.module]
            generated, copy = Path(module.sources[0]), Path(extension.sources[0])
            if generated.suffix != ".c":
                raise ValueError(f"deepfs.build compiles C, got C++ for {module.name}")
            copy.parent.mkdir(parents=True, exist_ok=True)
            if not copy.exists() or not filecmp.cmp(generated, copy, shallow=False):
                shutil.copyfile(generated, copy)  # the same C is not compiled again
            for name in OF_A_FILE:
                setattr(extension, name, getattr(extension, name) + getattr(module, name))
        noted.parent.mkdir(parents=True, exist_ok=True)
        noted.write_text(self.settings(), "utf-8")
        return new


def forget_paths() -> None:
    """Let Cython look for files anew: it keeps paths relative to a folder that was left since."""
    from Cython import Utils
    from Cython.Build import Dependencies

    Dependencies._dep_tree = None
    Utils.clear_function_caches()


def is_compiled_once(source: Path) -> bool:
    """Return whether a kernel says in its first line that no instruction set makes it faster."""
    with source.open(encoding="utf-8") as file:
        return file.readline().startswith("# compiled once")


def can_be_limited() -> bool:
    """Return whether one build serves all later Pythons; those without a GIL have no such."""
    new = version_of(cython_version()) >= version_of(OLDEST_LIMITED_CYTHON)
    return new and not sysconfig.get_config_var("Py_GIL_DISABLED")
