"""A gallery: all experiments with their pictures on one page of HTML."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from urllib.parse import quote

from .._version import __version__
from ..plots._figure import need_matplotlib
from ._experiment import DPI, LANGUAGES, Result
from ._list import GROUPS, find, group_of, names

STYLE = """
:root { color-scheme: light dark; --paper: #fff; --ink: #222; --faint: #666; --line: #ddd; --bad: #b00020 }
@media (prefers-color-scheme: dark) {
  :root { --paper: #181a1f; --ink: #ddd; --faint: #9aa; --line: #3a3d44; --bad: #ff8a80 }
}
h1 { font-size: 1.7rem; line-height: 1.25 }
body { margin: 0 auto; max-width: 60rem; padding: 1rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: break-word }
article { border-top: 1px solid var(--line); padding: .5rem 0 1.5rem }
a { color: inherit }
nav > a { font-weight: 600 }
nav ul { columns: 18rem; column-gap: 2.5rem; padding-left: 1.2rem; margin: .2rem 0 .8rem }
img { max-width: 100%; height: auto; background: #fff }
table { border-collapse: collapse; margin: .8rem 0 }
td { padding: .1rem 1rem .1rem 0; border-bottom: 1px solid var(--line); overflow-wrap: anywhere }
td + td { text-align: right; padding-right: 0; font-variant-numeric: tabular-nums }
.whole { white-space: nowrap }
pre { overflow-x: auto; padding: .6rem; border: 1px solid var(--line); font-size: .85rem }
.faint { color: var(--faint) }
.bad { color: var(--bad) }
"""  # noqa: E501
WORDS = {
    "en": {
        "title": "deepfs lab: experiments of the textbook",
        "done": "{done} of {wanted} experiments. Findings that hold: {held}; that do not: "
        "{not_held}; experiments that failed: {failed}. deepfs {version}.",
        "failed": "This experiment failed",
        "repeat": "To repeat it",
        "movie": "The animation",
        "code": "The code",
        "seconds": "{seconds:.1f} s",
    },
    "zh": {
        "title": "deepfs lab：教材中的实验",
        "done": "共 {wanted} 个实验，已完成 {done} 个：{held} 个结论成立，{not_held} 个不成立，"
        "{failed} 个出错。deepfs {version}。",
        "failed": "该实验出错",
        "repeat": "重新运行",
        "movie": "动画",
        "code": "代码",
        "seconds": "用时 {seconds:.1f} 秒",
    },
}


@dataclass(frozen=True)
class Entry:
    """An experiment of a gallery.

    ``result`` has no picture any more; it is None where ``error`` says why.
    """

    name: str
    seconds: float
    command: str
    files: tuple[str, ...] = ()
    result: Result | None = None
    error: str = ""


def gallery(
    folder: str | Path,
    *,
    experiments: Sequence[str] | None = None,
    seed: int = 0,
    quick: bool = False,
    full: bool = False,
    lang: str = "en",
    report: Callable[[Entry], None] | None = None,
) -> list[Entry]:
    """Run experiments and write ``index.html`` with their pictures, numbers and code.

    The page asks for nothing outside of its folder. It is written after each experiment, so that
    an interrupted run leaves a page, too. An experiment that fails is shown with its error.

    Parameters
    ----------
    folder : str or Path
        Where to write; it is made if it is not there.
    experiments : sequence of str, optional
        Their names. By default all.
    seed : int
        For all experiments.
    quick : bool
        Take the quick forms.
    full : bool
        Take all of MNIST, where an experiment can.
    lang : str
        ``"en"`` or ``"zh"``, for Chinese.
    report : function, optional
        Is called with each entry when it is done.

    Returns
    -------
    list of Entry
        With ``name``, ``seconds``, ``files``, and ``result`` or ``error``.

    Raises
    ------
    ValueError
        If there is no such experiment or language.
    ImportError
        If Matplotlib is not installed.
    OSError
        If the folder cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:  # doctest: +SKIP
    ...     gallery(folder, experiments=["difference_errors"], quick=True)[0].files
    ('difference-errors.png',)
    """
    if lang not in LANGUAGES:
        raise ValueError(f'gallery lang must be "en" or "zh", got {lang!r}')
    functions = [find(name) for name in (names() if experiments is None else experiments)]
    need_matplotlib("lab.gallery")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    wanted = [function.__name__ for function in functions]
    page, done = folder / "index.html", list[Entry]()
    page.write_text(_page(done, wanted, lang), encoding="utf-8")
    for name in wanted:
        done.append(_run(name, folder, seed, quick, full))
        page.write_text(_page(done, wanted, lang), encoding="utf-8")
        if report is not None:
            report(done[-1])
    return done


def _run(name: str, folder: Path, seed: int, quick: bool, full: bool) -> Entry:
    """Run one experiment and write its pictures."""
    settings: dict[str, object] = {"seed": seed, "quick": quick}
    options = f" --seed {seed}" * bool(seed) + " --quick" * quick
    function, result = find(name), None
    if full and has_full(name):
        settings["full"], options = True, options + " --full"
    command = f"deepfs lab {name.replace('_', '-')}{options}"
    started = time.monotonic()
    try:
        result = function(**settings)
        files = tuple(path.name for path in result.save(folder))
    except Exception as error:  # whatever it is: the others go on
        seconds = time.monotonic() - started
        return Entry(name, seconds, command, error=f"{type(error).__name__}: {error}")
    seconds = time.monotonic() - started
    light = replace(result, draw=lambda figure: None, movie=None, data={})  # many results lie here
    return Entry(name, seconds, command, files, light)


def has_full(name: str) -> bool:
    """Return whether an experiment can take all of MNIST."""
    return "full" in inspect.signature(find(name)).parameters


def _page(done: Sequence[Entry], wanted: Sequence[str], lang: str) -> str:
    """Return the page as it stands."""
    words = WORDS[lang]
    held = [entry.result.found for entry in done if entry.result is not None]
    counts = {"done": len(done), "wanted": len(wanted), "held": sum(held)}
    counts |= {"not_held": len(held) - sum(held), "failed": len(done) - len(held)}
    lines = [
        "<!doctype html>",
        f'<html lang="{"zh-CN" if lang == "zh" else "en"}">',
        '<head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<link rel="icon" href="data:,">',  # else browsers ask for /favicon.ico
        f"<title>{words['title']}</title>",
        f"<style>{STYLE}</style></head>",
        f"<body><h1>{words['title']}</h1>",
        f"<p>{words['done'].format(**counts, version=__version__)}</p>",
    ]
    by_group = {group: [e for e in done if group_of(e.name) == group] for group in GROUPS}
    by_group = {group: entries for group, entries in by_group.items() if entries}
    lines.append("<nav>")
    for group, entries in by_group.items():
        links = "".join(
            f'<li><a href="#{entry.name}">{escape(find(entry.name).title[lang])}</a></li>'
            for entry in entries
        )
        lines.append(f'<a href="#group-{group}">{_title_of(group, lang)}</a><ul>{links}</ul>')
    lines.append("</nav><main>")
    for group, entries in by_group.items():
        lines.append(f'<section><h2 id="group-{group}">{_title_of(group, lang)}</h2>')
        lines += [_article(entry, lang) for entry in entries]
        lines.append("</section>")
    return "\n".join([*lines, "</main></body></html>", ""])


def _title_of(group: str, lang: str) -> str:
    return escape(GROUPS[group][LANGUAGES.index(lang)])


def _row(key: str, value: str) -> str:
    """Return a row of the table; numbers are not broken into two lines, as at 1e-06's minus."""
    kind = ' class="whole"' if len(value) < 16 else ""
    return f"<tr><td>{escape(key)}</td><td{kind}>{escape(value)}</td></tr>"


def _article(entry: Entry, lang: str) -> str:
    """Return what the page has of one experiment."""
    words, function = WORDS[lang], find(entry.name)
    title = escape(function.title[lang])
    lines = [f'<article id="{entry.name}"><h3>{title}</h3>']
    result = entry.result
    if result is None:
        lines.append(f'<p class="bad">{words["failed"]}: {escape(entry.error)}</p>')
    else:
        picture, (width, height) = quote(entry.files[0]), result.size
        lines += [
            f"<p>{escape(result.see[lang])}</p>",
            f'<a href="{picture}"><img src="{picture}" alt="{title}" width="{width * DPI:.0f}" '
            f'height="{height * DPI:.0f}"></a>',
            *(f'<p><a href="{quote(gif)}">{words["movie"]}</a></p>' for gif in entry.files[1:]),
            "<table>",
            *(_row(key, value) for key, value in result.rows()),
            "</table>",
            f'<p class="{"good" if result.found else "bad"}">{result.verdict(lang)}</p>',
        ]
    seconds = words["seconds"].format(seconds=entry.seconds)
    code = escape(Path(inspect.getfile(inspect.unwrap(function))).read_text("utf-8"))
    lines += [
        f'<p class="faint">{words["repeat"]}: <code>{entry.command}</code> ({seconds})</p>',
        f"<details><summary>{words['code']}</summary><pre>{code}</pre></details></article>",
    ]
    return "\n".join(lines)
