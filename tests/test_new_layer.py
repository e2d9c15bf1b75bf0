"""`deepfs new-layer`: names it takes, and packages that build, pass their tests, and train."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import cnn_core
import deepfs
from compiler import can_compile
from deepfs.cli import main
from deepfs.commands.new_layer import FILES, filled, new_layer, package_name

SOURCES = [Path(deepfs.__file__).parents[1], Path(cnn_core.__file__).parents[1]]

USE = """
import numpy as np, deepfs as dfs, cnn_core
from cnn_core import threads
from soft_gate import SoftGate, kernel
x = np.random.default_rng(0).standard_normal(100_003).astype(np.float32)
found = []
for n in (1, 2, 3):
    threads.set_break_even(0)
    dfs.set_num_threads(n)
    found.append(SoftGate(0.5)(x[None]).tobytes())
assert found[0] == found[1] == found[2]     # threads change no bits
part = SoftGate(0.5)(x[None, 5:1000])       # nor does the place in a vector
assert part.tobytes() == SoftGate(0.5)(x[None])[:, 5:1000].tobytes()
for arguments in ((x, x[1:].copy(), 1.0), (x, x.astype(float), 1.0)):
    try:
        kernel.forward(*arguments)
    except (ValueError, TypeError):
        continue
    raise RuntimeError("a kernel took arrays that do not fit")
print("all is well")
"""


MISH = """
import numpy as np, deepfs as dfs
from mish import Mish

x = np.random.default_rng(0).standard_normal((4, 3, 7, 7))
dfs.testing.check_layer(Mish(), x)
np.testing.assert_allclose(Mish()(x), x * np.tanh(np.log1p(np.exp(x))), rtol=1e-13)
print("all is well")
"""


@pytest.fixture
def needs_compiler():
    if not can_compile():
        pytest.skip("there is no C compiler, or no Cython")


def run(folder, *words):
    """Run Python in a package's folder, with the package on its path."""
    path = os.pathsep.join(map(str, [folder / "src", *SOURCES]))
    result = subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=110,
        env=os.environ | {"PYTHONPATH": path},
    )
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-4000:]
    return result.stdout


def build_natively(folder, monkeypatch):
    monkeypatch.setenv("DEEPFS_NATIVE", "1")  # one level: a third of the time
    run(folder, "setup.py", "-q", "build_ext", "--inplace")


def run_tests(folder):
    return run(folder, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider",
               "--rootdir", str(folder), "--doctest-modules", "src", "tests")  # fmt: skip


@pytest.mark.usefixtures("needs_compiler")
def test_the_package_of_a_layer(tmp_path, monkeypatch):
    """Built, its own tests: gradients in float32 and float64, training, saving, loading."""
    folder = new_layer("SoftGate", folder=tmp_path)
    build_natively(folder, monkeypatch)
    monkeypatch.delenv("DEEPFS_ISA", raising=False)
    assert "9 passed" in run_tests(folder)
    assert "all is well" in run(folder, "-c", USE)


@pytest.mark.usefixtures("needs_compiler")
def test_the_package_of_an_optimizer(tmp_path, monkeypatch):
    folder = new_layer("MySign", "optimizer", tmp_path)
    build_natively(folder, monkeypatch)
    monkeypatch.delenv("DEEPFS_ISA", raising=False)
    assert "4 passed" in run_tests(folder)


@pytest.mark.usefixtures("needs_compiler")
def test_the_example(tmp_path, monkeypatch):
    """`examples/extension`: three layers and an optimizer."""
    example = Path(__file__).parents[1] / "examples" / "extension"
    if not example.exists():
        pytest.skip("the tests stand alone")
    sources = example / "src" / "deepfs_example"
    written = filled("layer-kernel.pyx", "Swish", "deepfs_example")
    assert (sources / "swish_kernel.pyx").read_text("utf-8") == written  # by new-layer
    ignored = shutil.ignore_patterns(
        "build", "_v?", "_native", "*.json", "*.egg-info", "__pycache__"
    )
    folder = shutil.copytree(example, tmp_path / "example", ignore=ignored)
    build_natively(folder, monkeypatch)
    monkeypatch.delenv("DEEPFS_ISA", raising=False)
    assert "15 passed" in run_tests(folder)


@pytest.mark.usefixtures("needs_compiler")
def test_the_page_on_extending(tmp_path, monkeypatch, capsys):
    """Its commands, in order, and its formula in place of that of the template."""
    page = Path(__file__).parents[1] / "docs" / "extending.md"
    if not page.exists():
        pytest.skip("the tests stand alone")
    text = page.read_text("utf-8")
    shell = re.search(r"^```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE)[1]
    commands = [line.partition("#")[0].split() for line in shell.splitlines()]
    assert [words[0] for words in commands] == ["deepfs", "cd", "pip", "pip", "pytest", "deepfs"]
    monkeypatch.chdir(tmp_path)
    assert main(commands[0][1:]) == 0
    said = capsys.readouterr().out
    folder = tmp_path / commands[1][1]
    for words in commands[2:5]:
        assert " ".join(words) in said  # the command says how to go on, as the page does
    block = re.search(
        r"<!-- kernel: mish -->\n```cython\n(.*?)^```", text, re.DOTALL | re.MULTILINE
    )
    imports, functions = block[1].split("\n\n", 1)
    kernel = folder / "src" / "mish" / "kernel.pyx"
    start, _, rest = kernel.read_text("utf-8").partition("cdef inline vec value")
    rest = rest[rest.index("\n\n\ncdef struct") :]
    first, imported, more = start.partition("from cnn_core.simd")
    kernel.write_text(f"{first}{imports}\n{imported}{more}{functions.rstrip()}{rest}", "utf-8")
    build_natively(folder, monkeypatch)
    monkeypatch.delenv("DEEPFS_ISA", raising=False)
    assert "all is well" in run(folder, "-c", MISH)
    bench = run(folder, "-m", *commands[5], "--threads", "1")
    assert bench.startswith("Mish for x float32 (32, 64, 28, 28), 1 thread, vectors of ")


@pytest.mark.parametrize(("kind", "passed"), [("numpy", "9 passed"), ("loss", "5 passed")])
def test_packages_without_a_compiler(kind, passed, tmp_path):
    folder = new_layer("SoftGate", kind, tmp_path)
    assert not list(folder.rglob("*.pyx"))
    assert not (folder / "setup.py").exists()
    assert passed in run_tests(folder)


@pytest.mark.parametrize("kind", FILES)
def test_no_template_name_is_left(kind, tmp_path):
    folder = new_layer("Soft2Gate", kind, tmp_path)
    for path in folder.rglob("*"):
        assert "new_name" not in path.name
        if path.is_file():
            text = path.read_text("utf-8")
            assert "new_name" not in text
            assert "NewName" not in text
            assert text.endswith("\n")
            assert not any(line != line.rstrip() for line in text.split("\n"))
            if path.suffix in (".py", ".pyx"):
                assert max(map(len, text.splitlines())) <= 100


def test_every_template_is_used():
    templates = Path(deepfs.__file__).parent / "commands" / "templates"
    used = {source for files in FILES.values() for source in files.values()}
    there = {p.relative_to(templates).as_posix() for p in templates.rglob("*") if p.is_file()}
    assert there == {f"{source}.txt" for source in used}


@pytest.mark.parametrize(
    ("name", "package"),
    [
        ("Swish", "swish"), ("SoftGate", "soft_gate"), ("GELUTanh", "gelu_tanh"), ("A", "a"),
        ("Soft2Gate", "soft2_gate"), ("RReLU", "r_re_lu"), ("Soft_Gate", "soft_gate"),
    ],
)  # fmt: skip
def test_names_of_packages(name, package):
    assert package_name(name) == package


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("3D", "letters and digits of ASCII that begin with a letter, such as SoftClip; got '3D'"),
        ("Soft-Clip", "got 'Soft-Clip'"),
        ("", "got ''"),
        ("../Up", "got '../Up'"),
        ("Größe", "got 'Größe'"),
        ("_Hidden", "got '_Hidden'"),
        ("None", "such as SoftClip; 'None' is a word of Python"),
        ("soft_clip", "begins with a capital: SoftClip; got 'soft_clip'"),
        ("GELU", "GELU is taken: deepfs has deepfs.layers.GELU."),
        ("Relu", "Relu is taken: deepfs has deepfs.layers.ReLU."),
        ("Adam", "Adam is taken: deepfs has deepfs.optimizers.Adam."),
        ("Random", "and Python has that word or module itself; choose another name, such as My"),
        ("If", "and Python has that word or module itself"),
        ("Numpy", "there is a package numpy already, "),
        ("Polynomial", "Polynomial is taken: deepfs has deepfs.schedules.Polynomial."),
        ("Setup", "cannot use the name Setup: its folder has setup already; take MySetup"),
        ("Benchmark", "its folder has benchmark already"),
        ("Con", "Windows has no folder con; take MyCon"),
        ("TestGate", "pytest takes such a class for tests; take MyTestGate"),
        ("G" + 60 * "e", f"name G{19 * 'e'}: its package would have 61 letters, and 60 is the "),
    ],
)
def test_names_that_are_refused(name, said, tmp_path):
    with pytest.raises(ValueError, match=re.escape(said)):
        new_layer(name, folder=tmp_path)
    assert not list(tmp_path.iterdir())


def test_names_that_the_kernel_of_an_optimizer_has(tmp_path):
    for name in ("Run", "Rule", "Times", "Vec", "SignOf"):
        with pytest.raises(ValueError, match=f"its kernel cimports .*; take My{name}"):
            new_layer(name, "optimizer", tmp_path)
    assert new_layer("Run", folder=tmp_path).name == "run"


def test_nothing_is_overwritten(tmp_path):
    (tmp_path / "soft_gate").mkdir()
    with pytest.raises(
        FileExistsError, match=r"makes the folder .*soft_gate, which exists: nothing changed"
    ):
        new_layer("SoftGate", folder=tmp_path)
    assert not list((tmp_path / "soft_gate").iterdir())
    with pytest.raises(FileNotFoundError, match="needs a folder that exists, got 'nowhere'"):
        new_layer("SoftGate", folder="nowhere")


def test_the_command(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["new-layer", "SoftGate", "--numpy"]) == 0
    said = capsys.readouterr().out
    assert "soft_gate has:\n  README.md\n  benchmark.py\n" in said
    assert "cd soft_gate\n" in said
    assert "pip install --no-build-isolation -e .\n" in said
    assert "cython" not in said
    assert main(["new-layer", "SoftGate"]) == 2
    assert "deepfs new-layer: error: new-layer makes the folder" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["new-layer", "Other", "--loss", "--optimizer"])
    assert "not allowed with" in capsys.readouterr().err
