"""Build cnn_core: each kernel is translated to C once and compiled for each instruction-set level.

Everything else about the package is in pyproject.toml. Environment variables:

    DEEPFS_NATIVE=1   one build, for exactly this processor, instead of one per level
    DEEPFS_DEBUG=1    bounds checks in the kernels, no optimisation, debug information
    DEEPFS_CFLAGS     further compiler and linker flags (sanitizers, say)
"""

import filecmp
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

SOURCE = Path("src/cnn_core")
NATIVE = os.environ.get("DEEPFS_NATIVE") == "1"
DEBUG = os.environ.get("DEEPFS_DEBUG") == "1"
FLAGS = os.environ.get("DEEPFS_CFLAGS", "").split()
BUILD = Path("build", "debug" if DEBUG else "release")

X86 = platform.machine().lower() in ("x86_64", "amd64")
if NATIVE:
    # not tuned for it: GCC's tuning for some AMD processors takes a fused multiply-add apart in one
    # loop and not in another, and results would depend on how work is cut for threads
    LEVELS = {"native": ["-march=native", "-mtune=generic"]}
elif X86:
    LEVELS = {f"v{k}": [f"-march=x86-64-v{k}"] for k in (2, 3, 4)}
else:
    LEVELS = {"baseline": []}

# Contractions (a * b + c as one operation) are GCC's default but not Clang's. Nothing here may
# change what a NaN or an infinity does, so no -ffast-math.
OPTIMISE = ["-O0", "-g"] if DEBUG else ["-O3", "-g0", "-fno-math-errno", "-fno-trapping-math"]
COMPILE = [*OPTIMISE, "-ffp-contract=fast", "-Wno-unused-function", *FLAGS]
DIRECTIVES = {
    "language_level": 3,
    "boundscheck": DEBUG,
    "wraparound": False,
    "initializedcheck": DEBUG,
    "cdivision": True,
    "embedsignature": True,
}
LIMITED_API = [("Py_LIMITED_API", "0x030B0000"), ("CYTHON_LIMITED_API", "1")]

# Compiler flags, linker flags: what turns OpenMP on with GCC and Clang, Apple's Clang, clang-cl.
OPENMP = [
    (["-fopenmp"], ["-fopenmp"]),
    (["-Xpreprocessor", "-fopenmp"], ["-lomp"]),
    (["-Xclang", "-fopenmp"], ["libomp.lib"]),
]
PROBE = "#include <omp.h>\nint main(void) { return omp_get_max_threads() < 1; }\n"


class BuildKernels(build_ext):
    """Compile with OpenMP where the compiler has it, several files at a time."""

    def finalize_options(self) -> None:
        super().finalize_options()
        self.parallel = self.parallel or os.cpu_count()
        if self.editable_mode or self.inplace:  # an in-place build does not make its folders
            for extension in self.extensions:
                folder = Path("src", *extension.name.split(".")[:-1])
                folder.mkdir(parents=True, exist_ok=True)

    def build_extensions(self) -> None:
        if self.compiler.compiler_type == "msvc":
            self.use_clang_cl()
        compile_flags, link_flags = self.find_openmp()
        # the folders of this machine's Python have no place in a wheel for others
        for command in ("linker_so", "linker_exe"):
            kept = getattr(self.compiler, command, None) or []
            setattr(self.compiler, command, [f for f in kept if not f.startswith("-Wl,-rpath")])
        for extension in self.extensions:
            extension.extra_compile_args += compile_flags
            extension.extra_link_args += link_flags + FLAGS
        super().build_extensions()

    def use_clang_cl(self) -> None:
        """Replace cl.exe, which has no vector extension, by clang-cl."""
        clang = shutil.which("clang-cl")
        if clang is None:
            raise SystemExit("deepfs needs clang-cl (LLVM) to build on Windows; it is not on PATH")
        self.compiler.initialize()
        self.compiler.cc = clang
        self.compiler.add_library_dir(str(Path(clang).parents[1] / "lib"))  # libomp.lib
        # __builtin_cpu_supports lives in Clang's own library, which link.exe does not know
        ask = [clang, "/clang:-print-libgcc-file-name", "/clang:--rtlib=compiler-rt"]
        found = subprocess.run(ask, capture_output=True, text=True, check=True).stdout.strip()
        for extension in self.extensions:
            flags = extension.extra_compile_args
            extension.extra_compile_args = [f"/clang:{f}" if f[1] in "Ofg" else f for f in flags]
            extension.extra_link_args.append(found)

    def find_openmp(self) -> tuple[list[str], list[str]]:
        """Return the flags with which a program that uses OpenMP compiles, links and runs."""
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder, "probe.c")
            source.write_text(PROBE)
            for compile_flags, link_flags in OPENMP:
                try:
                    objects = self.compiler.compile(
                        [str(source)], output_dir=folder, extra_postargs=compile_flags
                    )
                    self.compiler.link_executable(
                        objects, "probe", output_dir=folder, extra_postargs=link_flags
                    )
                    subprocess.run([str(Path(folder, "probe"))], check=True)
                except Exception:  # each compiler class raises its own kind
                    continue
                return compile_flags, link_flags
        rule = "*" * 78
        print(
            f"{rule}\nWARNING: this compiler has no OpenMP. deepfs is built SERIAL: it will use "
            f"one thread.\nInstall OpenMP (libgomp, or libomp on macOS) and build again for more."
            f"\n{rule}",
            file=sys.stderr,
        )
        return [], []


def is_compiled_once(source: Path) -> bool:
    """Return whether a kernel says in its first line that no instruction set makes it faster."""
    with source.open(encoding="utf-8") as file:
        return file.readline().startswith("# compiled once")


def kernels() -> list[Extension]:
    """Return one extension per kernel and level, and one of each module that is compiled once."""
    sources = sorted(SOURCE.glob("*.pyx"))
    shared = "cnn_core._cyutility"  # Cython's memoryview code, once instead of in every kernel
    once = {shared, *(f"cnn_core.{path.stem}" for path in sources if is_compiled_once(path))}
    modules = [
        *(Extension(f"cnn_core.{path.stem}", [str(path)]) for path in sources),
        Extension(shared, [f"{SOURCE}/_cyutility.c"]),
    ]
    translated = cythonize(
        modules,
        build_dir=str(BUILD),
        include_path=["src"],
        compiler_directives=DIRECTIVES,
        shared_utility_qualified_name=shared,
    )
    extensions = []
    for module in translated:
        generated = Path(module.sources[0])
        levels = {"": []} if module.name in once else LEVELS
        for level, flags in levels.items():
            # setuptools names an object file after its source: a copy for each level.
            copy = BUILD / level / generated.name
            if level:
                copy.parent.mkdir(parents=True, exist_ok=True)
                if not copy.exists() or not filecmp.cmp(generated, copy, shallow=False):
                    shutil.copyfile(generated, copy)  # the same C is not compiled again
            package = f"cnn_core._{level}" if level else "cnn_core"
            extensions.append(
                Extension(
                    f"{package}.{generated.stem}",
                    [str(copy if level else generated)],
                    include_dirs=[str(SOURCE)],
                    depends=[str(path) for path in SOURCE.glob("*.h")],
                    define_macros=LIMITED_API,
                    extra_compile_args=[*COMPILE, *flags],
                    py_limited_api=True,
                )
            )
    return extensions


def forget_other_levels() -> None:
    """Remove what an earlier build in this folder left for levels that this one does not make."""
    for folder in SOURCE.glob("_*"):
        if folder.is_dir() and folder.name != "__pycache__" and folder.name[1:] not in LEVELS:
            shutil.rmtree(folder)


forget_other_levels()
setup(
    ext_modules=kernels(),
    cmdclass={"build_ext": BuildKernels},
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
