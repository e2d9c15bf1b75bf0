"""What an experiment is and what it returns."""

from __future__ import annotations

import base64
import functools
import io
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np

from .._html import preformatted
from .._public import public_names as _public_names
from ..plots._figure import need_matplotlib, new_figure

LANGUAGES = ("en", "zh")
DPI, MOVIE_DPI, NOTEBOOK_DPI = 110, 60, 90  # pixels per inch
COLUMNS = 88  # of English text, where terminals would break words
HOLDS = {
    "en": ("The finding does not hold with these settings.", "The finding holds."),
    "zh": ("在这些设置下，结论不成立。", "结论成立。"),
}


@dataclass(frozen=True)
class Movie:
    """An animation: ``draw(figure, k)`` draws picture k of ``frames`` into an empty figure."""

    frames: int
    draw: Callable[[Any, int], None]
    per_second: int = 10


@dataclass(frozen=True)
class Result:
    """What an experiment found.

    Attributes
    ----------
    numbers : dict of str to number or str
        What was measured, in the order to print.
    see : dict of str to str
        What to see, in English (``"en"``) and Chinese (``"zh"``).
    found : bool
        Whether the finding holds in these numbers.
    draw : function of a Matplotlib figure
        Draws the picture into an empty figure.
    size : (float, float)
        Width and height of the picture, in inches.
    movie : Movie, optional
        Where something moves.
    name : str
        Of the experiment; `experiment` fills it in.
    data : dict
        Arrays behind the picture, for a look of one's own.
    title : dict of str to str
        Of the experiment, in English and Chinese; `experiment` fills it in.
    """

    numbers: Mapping[str, Any]
    see: Mapping[str, str]
    found: bool
    draw: Callable[[Any], None] = field(repr=False)
    size: tuple[float, float] = (8.0, 4.5)
    movie: Movie | None = field(default=None, repr=False)
    name: str = ""
    data: Mapping[str, Any] = field(default_factory=dict, repr=False)
    title: Mapping[str, str] = field(default_factory=dict)

    def text(self, lang: str = "en") -> str:
        """Return title, what to see, the numbers and whether the finding holds, as lines."""
        see = self.see[lang] if lang == "zh" else textwrap.fill(self.see[lang], COLUMNS)
        wide = max((len(key) for key in self.numbers), default=0)
        lines = [f"  {key:{wide}}  {value}" for key, value in self.rows()]
        return "\n".join(
            [self.title.get(lang, self.name), "", see, "", *lines, "", self.verdict(lang)]
        )

    def rows(self) -> list[tuple[str, str]]:
        """Return the names of the numbers, and the numbers in digits."""
        return [(key, in_digits(value)) for key, value in self.numbers.items()]

    def verdict(self, lang: str = "en") -> str:
        """Return in words whether the finding holds."""
        return HOLDS[lang][bool(self.found)]

    def __str__(self) -> str:
        return self.text()

    def plot(self) -> Any:
        """Draw the picture; return it, a Figure of Matplotlib.

        Where pyplot is in use it is one of pyplot's, so that ``plt.show()`` shows it.
        """
        need_matplotlib(f"lab.{self.name}")
        figure = new_figure(*self.size)
        self.draw(figure)
        return figure

    def _figure(self) -> Any:
        """Return an empty figure that pyplot does not know, and so neither shows nor keeps."""
        from matplotlib.figure import Figure

        return Figure(figsize=self.size, layout="constrained")

    def save(self, folder: str | Path = ".") -> list[Path]:
        """Write ``NAME.png``, and ``NAME.gif`` where something moves; return the paths."""
        need_matplotlib(f"lab.{self.name}")
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        paths = [folder / f"{self.name.replace('_', '-')}.png"]
        paths[0].write_bytes(self._png(DPI))
        if self.movie is not None:
            paths.append(paths[0].with_suffix(".gif"))
            self._write_movie(paths[1])
        return paths

    def _png(self, dpi: int) -> bytes:
        """Return the picture as a PNG file."""
        figure, file = self._figure(), io.BytesIO()
        self.draw(figure)
        figure.savefig(file, format="png", dpi=dpi)
        return file.getvalue()

    def _write_movie(self, path: Path) -> None:
        """Write the animation, as pictures of one size."""
        from matplotlib.animation import FuncAnimation, PillowWriter

        movie = self.movie
        assert movie is not None
        figure = self._figure()

        def show(k: int) -> None:
            figure.clear()
            movie.draw(figure, k)

        moving = FuncAnimation(figure, show, frames=movie.frames, init_func=lambda: None)
        moving.save(str(path), writer=PillowWriter(fps=movie.per_second), dpi=MOVIE_DPI)

    def _repr_html_(self) -> str:
        """Show text and picture in a notebook; without Matplotlib, the line to type for it."""
        text = preformatted(self.text())
        try:
            need_matplotlib(f"lab.{self.name}")
        except ImportError as error:
            return text + preformatted(str(error))
        data = base64.b64encode(self._png(NOTEBOOK_DPI)).decode()
        return f'{text}<img src="data:image/png;base64,{data}" style="max-width: 100%">'


def in_digits(value: Any) -> str:
    """Return a number as four digits, thousands apart; another value as it is."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.0f}" if 1e4 <= abs(value) < 1e9 else f"{value:.4g}"
    return str(value)


class Experiment(Protocol):
    """A function of the lab: all its settings have defaults."""

    __name__: str
    title: Mapping[str, str]

    def __call__(self, *args: Any, **settings: Any) -> Result: ...


def experiment(*, en: str, zh: str) -> Callable[[Callable[..., Result]], Experiment]:
    """Make a function an experiment of the lab, with its title in English and Chinese.

    The function takes keywords: ``seed``, ``quick`` (a form under 3 seconds with the same finding),
    and ``full`` where it can run on all of MNIST; others as it likes, all with defaults.
    """
    title = {"en": en, "zh": zh}

    def mark(function: Callable[..., Result]) -> Experiment:
        @functools.wraps(function)
        def run(*args: Any, **settings: Any) -> Result:
            result = function(*args, **settings)
            found = bool(result.found)  # NumPy's too
            return replace(result, found=found, name=function.__name__, title=title)

        run.title = title  # type: ignore[attr-defined]
        return cast(Experiment, run)

    return mark


def __dir__() -> list[str]:
    return _public_names(globals())
