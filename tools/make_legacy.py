"""Make the files of ``tests/data``, which later versions must load and resume to the same bits.

    python tools/make_legacy.py FOLDER

Run it with the version whose files are to be kept: those in ``tests/data`` are of 0.1.0. Its
models and runs are those of ``tests/legacy.py``. It writes a file per model, a folder with the last
checkpoint per interrupted run, and ``expected.json``: what the models predicted, and what became of
models and runs that went on, by a process for each instruction-set level of this machine.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
import cnn_core
import deepfs as dfs
import legacy

LIMIT = 300_000  # bytes of all files


def public(module):
    """Return the names that a module offers, but for abstract ones and functions."""
    made = {name: getattr(module, name) for name in module.__all__}
    return {
        name
        for name, value in made.items()
        if isinstance(value, type) and not getattr(value, "__abstractmethods__", None)
    }


def not_covered(folder):
    """Return public names that none of the files holds."""
    text = "".join(path.read_text("latin-1") for path in folder.rglob("*.safetensors"))
    modules = (dfs.layers, dfs.losses, dfs.optimizers, dfs.regularizers)
    names = set().union(*map(public, modules)) - {"Parameter", "Arena"}
    names |= {f"schedules.{name}" for name in public(dfs.schedules)}  # there is a layer Step, too
    return [name for name in sorted(names) if f'"{name}\\"' not in text]


def make(folder):
    """Write models, and checkpoints of runs that are interrupted."""
    for name in legacy.MODELS:
        legacy.trained(name).save(folder / f"{name}.safetensors")
    for name in legacy.RUNS:
        try:
            legacy.run(name, folder / name, die=True)
        except SystemExit:
            *before, _ = sorted((folder / name).iterdir())
            for path in before:
                path.unlink()


def expect(folder):
    """Return what comes of the files on the level of this process: hashes, numbers."""
    found = {}
    for name in legacy.MODELS:
        found[name] = legacy.answers(name, dfs.load(folder / f"{name}.safetensors"))
    for name in legacy.RUNS:
        (file,) = (folder / name).iterdir()
        with tempfile.TemporaryDirectory() as copied:
            (Path(copied) / file.name).write_bytes(file.read_bytes())
            found[name] = legacy.run(name, copied)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--expect", action="store_true", help="only print what comes of the files")
    options = parser.parse_args()
    if options.expect:
        print(json.dumps(expect(options.folder)))
        return 0
    make(options.folder)
    expected = {"version": dfs.__version__, "hashes": {}, "numbers": {}}
    for level in [name for name in cnn_core._cpu.levels() if name in ("v2", "v3", "v4")]:
        command = [sys.executable, __file__, str(options.folder), "--expect"]
        env = os.environ | {"DEEPFS_ISA": level}
        done = subprocess.run(command, env=env, check=True, stdout=subprocess.PIPE, text=True)
        found = json.loads(done.stdout)
        expected["hashes"][level] = {name: hashes for name, (hashes, _) in found.items()}
        expected["numbers"] = {name: numbers for name, (_, numbers) in found.items()}
    path = options.folder / "expected.json"
    path.write_text(json.dumps(expected, indent=1, sort_keys=True) + "\n")
    nbytes = sum(path.stat().st_size for path in options.folder.rglob("*") if path.is_file())
    print(f"{nbytes} bytes, not covered: {', '.join(not_covered(options.folder)) or 'nothing'}")
    return int(nbytes > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
