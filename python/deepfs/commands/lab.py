"""``deepfs lab``: experiments of the textbook, listed, run, or all of them on a page."""

from __future__ import annotations

import argparse
import errno
import inspect
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .._command import printable, say
from ..lab import GROUPS, find, gallery, groups, names
from ..lab._experiment import LANGUAGES, Experiment, Result
from ..lab.gallery import Entry, has_full
from ..plots._figure import need_matplotlib
from . import _values as values

WORDS = {
    "en": {
        "how": "deepfs lab NAME runs an experiment, deepfs lab all --out gallery all of them.",
        "wrote": "picture", "code": "code", "python": "in Python",
        "held": "holds", "not_held": "does not hold", "failed": "failed",
    },
    "zh": {
        "how": "deepfs lab NAME 运行一个实验；deepfs lab all --out gallery 运行全部实验。",
        "wrote": "图片", "code": "代码", "python": "Python",
        "held": "成立", "not_held": "不成立", "failed": "出错",
    },
}  # fmt: skip


def add_parser(commands: Any) -> None:
    """Add the command to those of ``deepfs``."""
    text = "Run an experiment of the textbook: its numbers, a picture, and what to see in it."
    parser = commands.add_parser("lab", help=text, description=text)
    parser.epilog = (
        "Without NAME it lists the experiments. The exit status is 1 if a finding does not hold."
    )
    parser.add_argument("name", metavar="NAME", nargs="?", type=values.text, default=None,
                        help="an experiment; a group, to list it; or all, which makes a page of "
                        "HTML with all of them")  # fmt: skip
    parser.add_argument("--out", type=values.text, default=None, metavar="FOLDER",
                        help="folder for the pictures (default: this folder; of all: gallery)",
                        )  # fmt: skip
    parser.add_argument("--seed", type=_seed, default=None, metavar="N",
                        help="seed of weights and random data (default: 0)")  # fmt: skip
    parser.add_argument("--lang", choices=LANGUAGES, default="en",
                        help="language of the texts, en or zh (default: en)")  # fmt: skip
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--quick", action="store_true", help="a short form with the same finding")
    form.add_argument("--full", action="store_true",
                      help="train on all of MNIST, where the experiment is on digits; minutes",
                      )  # fmt: skip
    parser.set_defaults(run=_run)


def _seed(value: str) -> int:
    return values.count(value, 0)


def _run(options: argparse.Namespace, given: Sequence[str]) -> int:
    group = str(options.name).strip().lower().replace("-", "_")
    if options.name is None or group in GROUPS:
        for option in ("out", "seed", "quick", "full"):
            value = getattr(options, option)
            if value is not None and value is not False:
                raise ValueError(f"--{option} needs the NAME of an experiment, or all")
        print(_list([group] if group in GROUPS else GROUPS, options.lang))
        return 0
    if group == "all":
        return _all(options)
    experiment = find(options.name)
    if options.full and not has_full(experiment.__name__):
        raise ValueError(
            f"{_typed(experiment.__name__)} has no --full form; these have one: "
            f"{', '.join(_typed(name) for name in names() if has_full(name)) or 'none'}"
        )
    draws = _can_draw(options.out is not None)
    folder = Path(options.out or ".")
    if draws:
        check_writable(folder)
    result = _computed(experiment, options)
    print(result.text(options.lang))
    words = WORDS[options.lang]
    lines = {words["wrote"]: [str(path) for path in result.save(folder)]} if draws else {}
    lines[words["code"]] = [inspect.getfile(inspect.unwrap(experiment))]
    lines[words["python"]] = [_call(experiment, options.seed or 0)]
    print()
    for word, texts in lines.items():
        for text in texts:
            print(f"{word}: {printable(text)}")
    return 0 if result.found else 1


def _list(chosen: Sequence[str] | dict[str, Any], lang: str) -> str:
    """Return the experiments by group, a line each."""
    wide = max(map(len, names()))
    lines = []
    for group in chosen:
        if not groups()[group]:
            continue
        lines += ["", GROUPS[group][LANGUAGES.index(lang)]]
        for name in groups()[group]:
            lines.append(f"  {_typed(name):{wide}}  {find(name).title[lang]}")
    return "\n".join([*lines[1:], "", WORDS[lang]["how"]])


def _all(options: argparse.Namespace) -> int:
    """Run all experiments; return 2 if one fails, 1 if a finding does not hold."""
    folder = Path(options.out or "gallery")
    need_matplotlib("deepfs lab all")
    check_writable(folder)
    words, count, wide = WORDS[options.lang], len(names()), max(map(len, names()))
    done: list[Entry] = []

    def report(entry: Entry) -> None:
        done.append(entry)
        state = "failed" if entry.result is None else "held" if entry.result.found else "not_held"
        print(f"{len(done):{len(str(count))}}/{count}  {_typed(entry.name):{wide}}  "
              f"{entry.seconds:6.1f} s  {words[state]}", flush=True)  # fmt: skip
        if entry.error:
            say(f"deepfs lab: error: {_typed(entry.name)}: {entry.error}")

    try:
        gallery(
            folder, seed=options.seed or 0, quick=options.quick, full=options.full,
            lang=options.lang, report=report,
        )  # fmt: skip
    except KeyboardInterrupt as error:
        error.add_note(f"{len(done)} of {count} experiments are in {folder / 'index.html'}")
        raise
    print(f"\n{printable(folder / 'index.html')}")
    if any(entry.error for entry in done):
        return 2
    return 0 if all(entry.result and entry.result.found for entry in done) else 1


def _computed(experiment: Experiment, options: argparse.Namespace) -> Result:
    """Run an experiment; where MNIST is absent, say what to do."""
    settings = {"seed": options.seed or 0, "quick": options.quick}
    if not options.full:
        return experiment(**settings)
    try:
        return experiment(**settings, full=True)
    except (ConnectionError, FileNotFoundError) as error:
        raise type(error)(
            "--full trains on all of MNIST: put its four files into a folder mnist and set "
            "DEEPFS_DATA to the folder above; without --full it takes the bundled digits "
            f"({error})"
        ) from error


def _can_draw(must: bool) -> bool:
    """Return whether Matplotlib is there; else warn, or raise if a picture was asked for."""
    try:
        need_matplotlib("--out")
    except ImportError as error:
        if must:
            raise
        say(f"deepfs lab: warning: {str(error).replace('--out', 'a picture')}")
        return False
    return True


def check_writable(folder: Path) -> None:
    """Raise OSError if a folder cannot be made or written to, before anything is computed."""
    try:
        if folder.exists() and not folder.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, "it is a file")
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        why = f"cannot write here: {error.strerror}; give another folder as --out FOLDER"
        raise type(error)(error.errno, why, str(folder)) from None


def _call(experiment: Experiment, seed: int) -> str:
    """Return the experiment as a call in Python, with the settings to play with."""
    settings = {
        name: parameter.default
        for name, parameter in inspect.signature(experiment).parameters.items()
        if name not in ("quick", "full")
    }
    inside = ", ".join(f"{name}={value!r}" for name, value in (settings | {"seed": seed}).items())
    return f"dfs.lab.{experiment.__name__}({inside})"


def _typed(name: str) -> str:
    """Return the name of an experiment as it is typed."""
    return name.replace("_", "-")
