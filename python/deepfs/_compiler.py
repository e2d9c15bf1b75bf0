"""The command `build_ext` for kernels: which compiler, what it needs, what it must not keep."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from ._compile import STAMP, for_wasm, further_flags, stamp

# Compiler flags, linker flags: what turns OpenMP on with GCC and Clang, Apple's Clang, clang-cl.
OPENMP = [
    (["-fopenmp"], ["-fopenmp"]),
    (["-Xpreprocessor", "-fopenmp"], ["-lomp"]),
    (["-Xclang", "-fopenmp"], ["libomp.lib"]),
]
PROBE = "#include <omp.h>\nint main(void) { return omp_get_max_threads() < 1; }\n"
LEVEL_FOLDERS = ("_v2", "_v3", "_v4", "_wasm", "_baseline", "_native")
INSTALL = {
    "linux": "apt-get install gcc python3-dev (Debian, Ubuntu), dnf install gcc python3-devel "
    "(Fedora), apk add gcc musl-dev python3-dev (Alpine)",
    "darwin": "xcode-select --install",
    "win32": "install LLVM and Microsoft's build tools, and put the folder of clang-cl on PATH",
}


def command() -> Any:
    """Return the class of the command; a function, for setuptools need not be installed."""
    from setuptools.command.build_ext import build_ext

    class BuildKernels(build_ext):
        """Translate and compile kernels, several files at a time."""

        quiet = False  # nobody reads what the compiler prints
        parallel: Any

        def finalize_options(self) -> None:
            super().finalize_options()
            self.parallel = self.parallel or os.cpu_count()

        def get_source_files(self) -> list[str]:
            """Return what an sdist holds: the sources, not the C that is made of them."""
            folders = {extension.kernels.folder for extension in self.extensions}
            found = (path for folder in folders for path in folder.iterdir())
            return sorted(p.as_posix() for p in found if p.suffix in (".pyx", ".pxd", ".pxi", ".h"))

        def run(self) -> None:
            if self.extensions:
                self.prepare()
            super().run()

        def prepare(self) -> None:
            """Write the C of all extensions, and what belongs beside the modules."""
            need_headers()
            for kernels in {id(e.kernels): e.kernels for e in self.extensions}.values():
                own = [each for each in self.extensions if each.kernels is kernels]
                in_place = self.inplace or self.editable_mode
                if in_place:
                    forget_other_levels(kernels)
                    for level in kernels.levels:  # an in-place build does not make its folders
                        Path(kernels.folder, f"_{level}").mkdir(parents=True, exist_ok=True)
                    for extension in own:
                        forget_other_suffixes(Path(self.get_ext_fullpath(extension.name)))
                if kernels.translate(own):
                    self.force = True
                if kernels.package and not kernels.core:
                    built = Path(self.build_lib, *kernels.package.split("."))
                    note = (kernels.folder if in_place else built) / STAMP
                    note.parent.mkdir(parents=True, exist_ok=True)
                    note.write_text(json.dumps(stamp()) + "\n", "utf-8")

        def build_extensions(self) -> None:
            if self.compiler.compiler_type == "msvc":
                self.use_clang_cl()
            else:
                need_compiler(self.compiler.compiler_so[0])
                if self.quiet:
                    # newer versions of setuptools use `call`
                    self.compiler.spawn = self.compiler.call = self.run_quietly
            # the folders of this machine's Python have no place in a wheel for others
            for name in ("linker_so", "linker_exe"):
                kept = getattr(self.compiler, name, None) or []
                setattr(self.compiler, name, [f for f in kept if not f.startswith("-Wl,-rpath")])
            openmp: tuple[list[str], list[str]] | None = None
            for extension in self.extensions:
                if extension.kernels.core:  # others use its threads
                    openmp = openmp or self.find_openmp()
                    extension.extra_compile_args += openmp[0]
                    extension.extra_link_args += openmp[1]
                extension.extra_link_args += further_flags()
            super().build_extensions()

        def run_quietly(
            self, words: list[str], *, env: dict[str, str] | None = None, **options: Any
        ) -> None:
            """Run the compiler; put what it says into the error."""
            from setuptools.errors import CompileError

            done = subprocess.run(words, capture_output=True, text=True, errors="replace", env=env)
            if done.returncode:
                raise CompileError(f"{words[0]} failed:\n{done.stderr}")

        def use_clang_cl(self) -> None:
            """Replace cl.exe, which has no vector extension, by clang-cl."""
            clang = need_compiler("clang-cl")
            self.compiler.initialize()
            self.compiler.cc = clang
            self.compiler.add_library_dir(str(Path(clang).parents[1] / "lib"))  # libomp.lib
            # __builtin_cpu_supports lives in Clang's own library, which link.exe does not know
            ask = [clang, "/clang:-print-libgcc-file-name", "/clang:--rtlib=compiler-rt"]
            found = subprocess.run(ask, capture_output=True, text=True, check=True).stdout.strip()
            for extension in self.extensions:
                flags = extension.extra_compile_args
                extension.extra_compile_args = [
                    f"/clang:{f}" if f[1] in "Ofg" else f for f in flags
                ]
                extension.extra_link_args.append(found)

        def find_openmp(self) -> tuple[list[str], list[str]]:
            """Return the flags with which a program that uses OpenMP compiles, links and runs."""
            if for_wasm():
                return [], []  # one thread, in every browser
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
                f"{rule}\nWARNING: this compiler has no OpenMP. deepfs is built SERIAL: it will "
                f"use one thread.\nInstall OpenMP (libgomp, or libomp on macOS) and build again "
                f"for more.\n{rule}",
                file=sys.stderr,
            )
            return [], []

    return BuildKernels


def need_compiler(name: str) -> str:
    """Return the path of the compiler, or say what to install."""
    from setuptools.errors import CompileError

    found = shutil.which(name)
    if found is None:
        raise CompileError(
            f"deepfs.build needs a C compiler, and {name} is not on PATH: {how_to_install()}"
        )
    return found


def need_headers() -> None:
    """Say what to install if Python's headers are missing."""
    from setuptools.errors import CompileError

    header = Path(sysconfig.get_path("include"), "Python.h")
    if not header.exists():
        raise CompileError(
            f"deepfs.build needs Python's headers, and there is no {header}: {how_to_install()}"
        )


def how_to_install() -> str:
    """Return what a user of this system writes to get a compiler and Python's headers."""
    return INSTALL.get(sys.platform, "install a C compiler and Python's headers")


def forget_other_suffixes(module: Path) -> None:
    """Remove builds of a module for one Python, which Python would import before one for all."""
    stem = module.name.split(".")[0]
    for path in module.parent.glob(f"{stem}.*"):
        if path.suffix in (".so", ".pyd") and path.name != module.name:
            path.unlink()


def forget_other_levels(kernels: Any) -> None:
    """Remove what an earlier build in place left for levels that this one does not make."""
    for name in LEVEL_FOLDERS:
        folder = kernels.folder / name
        if folder.is_dir() and name[1:] not in kernels.levels:
            shutil.rmtree(folder)
