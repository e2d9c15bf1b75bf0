"""deepfs.build: packages of kernels, single files, and what it says if something is missing."""

import io
import json
import os
import pickle
import shutil
import subprocess
import sys
import sysconfig
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import numpy as np
import pytest

import cnn_core
from cnn_core import _cpu, _levels
from deepfs import _compile, _compiler, build

setuptools = pytest.importorskip("setuptools")
Cython = pytest.importorskip("Cython")
from setuptools.errors import CCompilerError  # noqa: E402

with_compiler = pytest.mark.skipif(
    not shutil.which("gcc") and not shutil.which("clang"), reason="there is no C compiler"
)

WIDTH = """
from cnn_core.simd cimport VBYTES, vec, vecd, vecf, vfill, vstore
from cnn_core.threads cimport FloatMode, flush_denormals
from cnn_core.types cimport real

cdef inline void fill(real* x, double number, vec* tag) noexcept nogil:
    cdef vec v
    vfill(v, number)
    vstore(x, v)

def sevens(real[::1] x):
    cdef FloatMode _mode = flush_denormals()
    if real is float:
        fill(&x[0], 7, <vecf*> NULL)
    else:
        fill(&x[0], 7, <vecd*> NULL)
    return VBYTES

def quotient(int a, int b):
    return a // b
"""
SETUP = """
from deepfs import build
from setuptools import setup
setup(**build.setup_arguments("levelled", "src/levelled"))
"""
PROJECT = """
[build-system]
requires = ["setuptools>=77", "cython>=3.0.12", "deepfs"]
build-backend = "setuptools.build_meta"
[project]
name = "levelled"
version = "0.1"
"""


def run(words, folder, **environment):
    paths = [*environment.pop("paths", []), *sys.path]
    kept = {k: v for k, v in os.environ.items() if not k.startswith("DEEPFS_")}
    return subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=100,
        env=kept | {"PYTHONPATH": os.pathsep.join(filter(None, paths))} | environment,
    )


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A package of two kernels, built in place for each level."""
    folder = tmp_path_factory.mktemp("project")
    source = folder / "src" / "levelled"
    source.mkdir(parents=True)
    folder.joinpath("setup.py").write_text(SETUP)
    folder.joinpath("pyproject.toml").write_text(PROJECT)
    source.joinpath("__init__.py").write_text(
        "import cnn_core\nlevel = cnn_core.extend_path(__path__)\n"
    )
    source.joinpath("width.pyx").write_text(WIDTH)
    source.joinpath("plain.pyx").write_text("# compiled once: it computes nothing\nx = 3\n")
    done = run(["setup.py", "-q", "build_ext", "--inplace"], folder)
    assert done.returncode == 0, done.stderr
    assert "referenced before assignment" not in done.stderr
    return folder


def use(project, code, **environment):
    return run(["-c", code], project, paths=[str(project / "src")], **environment)


@with_compiler
def test_a_package_runs_at_each_level(project):
    code = """if 1:
        import levelled, numpy as np
        from levelled import plain, width
        x = np.zeros(16, np.float32)
        print(levelled.level, width.sevens(x), int(x.sum()) // 7 * 4, plain.x, width.__name__)
    """
    bytes_of = {"v2": 16, "v3": 32, "v4": 64, "baseline": 16}
    for level in _cpu.levels():
        if not Path(cnn_core.__file__).with_name(f"_{level}").is_dir():
            continue
        done = use(project, code, DEEPFS_ISA=level)
        wide = bytes_of[level]
        assert done.stdout.split() == [level, f"{wide}", f"{wide}", "3", "levelled.width"], done
    done = use(project, "import levelled", DEEPFS_ISA="v9")
    assert "ImportError: DEEPFS_ISA must be one of" in done.stderr


@with_compiler
def test_a_package_links_no_openmp_and_shares_the_code_of_cython(project):
    modules = [path for end in ("so", "pyd") for path in project.glob(f"src/**/*.{end}")]
    assert len(modules) == len(_compile.levels()) + 1
    for path in modules:
        assert b"gomp" not in path.read_bytes().lower()
        assert b"libomp" not in path.read_bytes()
    stamp = json.loads(project.joinpath("src", "levelled", "_deepfs.json").read_text())
    shares = _cpu.cython() == Cython.__version__
    assert stamp == {"api": cnn_core.API_VERSION, "cython": _cpu.cython() if shares else None}


@with_compiler
@pytest.mark.parametrize(
    ("stamp", "words"),
    [
        ({"api": 99, "cython": None}, "for version 99 of cnn_core's C interface, and this is "),
        ({"api": cnn_core.API_VERSION, "cython": "3.2.0b0"}, "for a cnn_core by Cython 3.2.0b0, "),
    ],
)
def test_a_package_for_another_core_is_refused(project, stamp, words, tmp_path):
    shutil.copytree(project / "src", tmp_path / "src")
    tmp_path.joinpath("src", "levelled", "_deepfs.json").write_text(json.dumps(stamp))
    done = use(tmp_path, "import levelled")
    assert f"ImportError: levelled was built {words}" in done.stderr
    assert "; rebuild it: pip install" in done.stderr


@with_compiler
def test_a_build_for_one_python_does_not_hide_one_for_all(project):
    folder = next(path for path in project.glob("src/levelled/_*") if path.is_dir())
    old = folder / f"width.old{EXTENSION_SUFFIXES[0]}"
    old.touch()
    assert run(["setup.py", "-q", "build_ext", "--inplace"], project).returncode == 0
    assert not old.exists()
    assert [*folder.glob("width.*")]


def test_an_sdist_holds_the_sources(tmp_path):
    folder = tmp_path / "src" / "levelled"
    folder.mkdir(parents=True)
    for name in ("width.pyx", "width.pxd", "own.h", "__init__.py"):
        folder.joinpath(name).touch()
    made = build.setup_arguments("levelled", folder)
    distribution = setuptools.Distribution({"name": "levelled", **made})
    found = distribution.get_command_obj("build_ext")
    found.ensure_finalized()
    names = [Path(path).name for path in found.get_source_files()]
    assert names == ["own.h", "width.pxd", "width.pyx"]


@with_compiler
def test_changed_directives_are_not_ignored(project):
    """Cython itself translates again only when files change."""
    generated = next(project.rglob("release/src/levelled/width.c"))
    build_again = ["setup.py", "-q", "build_ext", "--inplace"]
    before, text = generated.stat().st_mtime_ns, generated.read_text()
    assert run(build_again, project).returncode == 0
    assert generated.stat().st_mtime_ns == before
    change = "from deepfs import _compile as c; old = c.directives; "
    change += "c.directives = lambda: old() | {'cdivision': False}\n"
    setup = project / "setup.py"
    setup.write_text(change + SETUP)
    try:
        assert run(build_again, project).returncode == 0
    finally:
        setup.write_text(SETUP)
    assert generated.read_text() != text
    done = use(project, "from levelled import width; print(width.quotient(-7, 2))")
    assert done.stdout == "-4\n"  # Python's division: compiled again, too


@with_compiler
def test_changed_flags_are_not_ignored(project):
    """The C is the same, and setuptools looks only at the times of files."""
    words = ["setup.py", "-q", "build_ext", "--inplace"]
    assert run(words, project).returncode == 0
    built = [*project.glob("src/levelled/_*/width.*")]
    before = [path.stat().st_mtime_ns for path in built]
    assert run(words, project, DEEPFS_CFLAGS="-g1").returncode == 0
    changed = [path.stat().st_mtime_ns > old for path, old in zip(built, before, strict=True)]
    assert sum(changed) == len(_compile.levels())


@with_compiler
def test_a_native_build_takes_the_place_of_the_levels(project, tmp_path):
    shutil.copytree(project, tmp_path / "copy")
    folder = tmp_path / "copy"
    done = run(["setup.py", "-q", "build_ext", "--inplace"], folder, DEEPFS_NATIVE="1")
    assert done.returncode == 0, done.stderr
    made = [path.name for path in folder.joinpath("src", "levelled").glob("_[vnb]*")]
    assert made == ["_native"]
    done = use(folder, "import levelled; print(levelled.level); from levelled import width")
    assert done.stdout == "native\n", done.stderr
    if cnn_core.level != "native":  # else deepfs itself knows no other
        done = use(folder, "import levelled", DEEPFS_ISA=_cpu.levels()[-1])
        assert "must be one of native on this machine for levelled" in done.stderr


def test_what_is_compiled_is_known_before(tmp_path):
    tmp_path.joinpath("width.pyx").write_text(WIDTH)
    tmp_path.joinpath("plain.pyx").write_text("# compiled once: why not\n")
    made = build.extensions("levelled", tmp_path)
    levels = _compile.levels()
    assert [e.name for e in made] == [
        "levelled.plain",
        *(f"levelled._{level}.width" for level in levels),
    ]
    for extension, flags in zip(made[1:], levels.values(), strict=True):
        assert set(flags) <= set(extension.extra_compile_args)
        assert "-ffp-contract=fast" in extension.extra_compile_args
        assert not any("openmp" in flag for flag in extension.extra_compile_args)
    arguments = build.setup_arguments("levelled", tmp_path)
    assert arguments.keys() - {"options"} == {"ext_modules", "cmdclass"}


def test_refuses_folders_and_names(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"found no \.pyx file in nowhere"):
        build.extensions("levelled", "nowhere")
    tmp_path.joinpath("a-b.pyx").touch()
    with pytest.raises(ValueError, match="names that can be imported, got 'a-b'"):
        build.setup_arguments("levelled", tmp_path)
    with pytest.raises(ValueError, match="names that can be imported, got '1st'"):
        build.extensions("levelled.1st", tmp_path)


@pytest.mark.parametrize("name", ["Cython", "setuptools"])
def test_says_what_to_install(monkeypatch, name):
    monkeypatch.setitem(sys.modules, name, None)
    line = r"pip install 'setuptools>=65' 'cython>=3\.0\.12'"
    with pytest.raises(ImportError, match=f"deepfs.build needs {name}: {line}"):
        build.load("swish.pyx")


def test_says_which_tool_is_too_old(monkeypatch, tmp_path):
    tmp_path.joinpath("width.pyx").touch()
    monkeypatch.setattr(Cython, "__version__", "3.0.11")
    with pytest.raises(ImportError, match=r"needs Cython 3\.0\.12 or later, got 3\.0\.11: pip"):
        build.setup_arguments("levelled", tmp_path)
    monkeypatch.setattr(Cython, "__version__", "3.2.9")
    with pytest.raises(ImportError, match=r"needs Cython 3\.3 or later, got 3\.2\.9: pip"):
        build.setup_arguments("cnn_core", tmp_path)
    monkeypatch.setattr(setuptools, "__version__", "65.5.0")
    with pytest.raises(ImportError, match=r"needs setuptools 77 or later, got 65\.5\.0: pip"):
        build.extensions("levelled", tmp_path)


def test_says_how_to_get_a_compiler_and_headers(monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    with pytest.raises(CCompilerError, match=r"gcc-99 is not on PATH: apt-get install gcc python3"):
        _compiler.need_compiler("gcc-99")
    monkeypatch.setattr(sysconfig, "get_path", lambda name: "/nowhere")
    with pytest.raises(CCompilerError, match=r"there is no .*Python\.h: apt-get install gcc"):
        _compiler.need_headers()
    monkeypatch.setattr(sys, "platform", "darwin")
    assert _compiler.how_to_install() == "xcode-select --install"
    monkeypatch.setattr(sys, "platform", "else")
    assert "a C compiler" in _compiler.how_to_install()


def test_false_warnings_of_vectors_are_left_out(tmp_path):
    path, said = tmp_path / "width.pyx", io.StringIO()
    path.write_text(WIDTH)
    warnings = _compile.TrueWarnings(said)
    for name in ("v", "w"):
        warnings.write(f"warning: {path}:7:4: local variable '{name}' referenced before assignment")
    warnings.write("\nwarning: other.pyx:7:4: local variable 'v' referenced before assignment")
    assert "'w'" in said.getvalue()
    assert said.getvalue().count("'v'") == 1  # of the file that is not there


@with_compiler
def test_load_compiles_once_for_each_text(tmp_path):
    path = tmp_path / "own_kernel.pyx"
    path.write_text(WIDTH)
    module = build.load(path, cache=tmp_path / "cache")
    x = np.zeros(16)
    assert module.sevens(x) in (16, 32, 64)
    assert x[0] == 7
    assert build.load(path, cache=tmp_path / "cache") is module
    assert pickle.loads(pickle.dumps(module.quotient))(7, 2) == 3
    path.write_text("def quotient(int a, int b):\n    return a // b + 1\n")
    changed = build.load(path, cache=tmp_path / "cache")
    assert (module.quotient(7, 2), changed.quotient(7, 2)) == (3, 4)
    assert len([*tmp_path.glob("cache/*")]) == 2  # and nothing that is half made
    code = f"from deepfs import build; print(build.load({str(path)!r}).quotient(9, 2))"
    shutil.copytree(tmp_path / "cache", tmp_path / "all" / "build")
    done = run(["-c", code], tmp_path, DEEPFS_CACHE=str(tmp_path / "all"), PATH="")
    assert done.stdout == "5\n", done.stderr  # without a compiler


@with_compiler
def test_load_after_a_change_of_folder(tmp_path, monkeypatch):
    """Cython remembers headers by paths from the folder of the process, if they are below it."""
    monkeypatch.chdir(Path(cnn_core.__file__).parents[1])
    first = build.load(WIDTH, "sevens_here", tmp_path)
    monkeypatch.chdir(tmp_path)
    second = build.load(WIDTH + "\n", "sevens_there", tmp_path)
    x = np.zeros(100, np.float32)
    assert first.sevens(x) == second.sevens(x)


@with_compiler
def test_load_takes_a_text(tmp_path):
    module = build.load("def f(int x):\n    return x + 1\n", "of_a_text", tmp_path)
    assert (module.f(2), module.__name__) == (3, "of_a_text")


@with_compiler
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("def f(x):\n    return x + y\n", r"wrong\.pyx:2:15: undeclared name not builtin: y"),
        ("cdef extern from 'no.h':\n    int z\ndef f():\n    return z\n", r"fatal error: no\.h"),
    ],
    ids=["Cython", "C"],
)
def test_load_says_what_does_not_compile(tmp_path, capfd, text, words):
    path = tmp_path / "wrong.pyx"
    path.write_text(text)
    with pytest.raises(
        RuntimeError, match=rf"could not compile wrong\.pyx: [^$]*{words}"
    ) as raised:
        build.load(path, cache=tmp_path / "cache")
    assert "cache" not in str(raised.value).split("\n")[0]
    assert not [*tmp_path.glob("cache/*")]
    assert capfd.readouterr() == ("", "")


@with_compiler
def test_load_of_what_raises_may_be_tried_again(tmp_path):
    text = "import os\nif os.environ.get('HALF') == '1':\n    raise KeyError('half')\n"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HALF", "1")
        for _ in range(2):
            with pytest.raises(KeyError, match="half"):
                build.load(text, "halfway", tmp_path)
        assert "halfway" not in sys.modules
    assert build.load(text, "halfway", tmp_path).__name__ == "halfway"


@with_compiler
def test_load_needs_a_compiler(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(RuntimeError, match=r"not compile no_compiler\.pyx: deepfs\.build needs"):
        build.load("x = 1\n", "no_compiler", tmp_path)


def test_load_refuses(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"path of a \.pyx file, or the text of one, got 'n"
    ):
        build.load("nothing.pyx")
    with pytest.raises(FileNotFoundError, match=r"the path of a \.pyx file"):
        build.load(__file__)
    with pytest.raises(ValueError, match="needs a name for the module"):
        build.load("x = 1\n")
    with pytest.raises(ValueError, match="a name that can be imported, got 'a b'"):
        build.load("x = 1\n", "a b")
    with pytest.raises(ValueError, match="'json': another module is imported by that name"):
        build.load("x = 1\n", "json", tmp_path)
    with pytest.raises(ValueError, match="'this': another module is imported by that name"):
        build.load("x = 1\n", "this", tmp_path)  # not yet imported: it would never be found again
    for wrong in (3, None, b"x = 1\n"):
        with pytest.raises(TypeError, match=r"load takes the path of a \.pyx file, or .*, got"):
            build.load(wrong, "x")
    for wrong in (5, "class"):
        with pytest.raises(ValueError, match="needs a name that can be imported, got"):
            build.load("x = 1\n", wrong)
    tmp_path.joinpath("latin.pyx").write_bytes(b"x = '\xe9'\n")
    with pytest.raises(ValueError, match=r"reads text in UTF-8, and .*latin\.pyx is not"):
        build.load(tmp_path / "latin.pyx")
    tmp_path.joinpath("file").touch()
    with pytest.raises(
        OSError, match=r"cannot write to its cache .*pass cache=, or set DEEPFS_CACHE"
    ):
        build.load("x = 1\n", "unwritten", tmp_path / "file" / "cache")


def package(tmp_path, stamp, *levels):
    folder = tmp_path / "own"
    for level in levels:
        (folder / f"_{level}").mkdir(parents=True)
    folder.mkdir(exist_ok=True)
    if stamp:
        folder.joinpath("_deepfs.json").write_text(json.dumps(stamp))
    return str(folder)


FITS = {"api": cnn_core.API_VERSION, "cython": None}


def test_extend_path_chooses_the_best_level_of_those_built(tmp_path, monkeypatch):
    monkeypatch.delenv("DEEPFS_ISA", raising=False)
    monkeypatch.setattr(_levels._cpu, "levels", lambda: ["v3", "v2"])
    folder = package(tmp_path, FITS, "v2", "v3", "v4")
    path = [folder]
    assert cnn_core.extend_path(path) == "v3"
    assert path == [os.path.join(folder, "_v3"), folder]
    assert cnn_core.extend_path(path) == "v3"  # a second time, as when a module is reloaded
    assert path == [os.path.join(folder, "_v3"), folder]
    monkeypatch.setenv("DEEPFS_ISA", "v2")
    path = [folder]
    assert cnn_core.extend_path(path) == "v2"


def test_extend_path_refuses(tmp_path, monkeypatch):
    monkeypatch.setenv("DEEPFS_ISA", "v2")
    with pytest.raises(ImportError, match=r"own has no kernels in .*; build it: pip install"):
        cnn_core.extend_path([package(tmp_path, None)])
    needs = r"own has no kernels for this processor \(.*\); rebuild it: pip install"
    with pytest.raises(ImportError, match=needs):
        cnn_core.extend_path([package(tmp_path, FITS)])
    for damaged in ("", "{}", "[1]"):
        folder = package(tmp_path, FITS)
        Path(folder, "_deepfs.json").write_text(damaged)
        with pytest.raises(ImportError, match=r"_deepfs.json is damaged \(.*\); rebuild it: pip"):
            cnn_core.extend_path([folder])
