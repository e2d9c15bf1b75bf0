"""What an experiment is and what it returns."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .._public import public_names as _public_names

LANGUAGES = ("en", "zh")


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
    """

    numbers: Mapping[str, Any]
    see: Mapping[str, str]
    found: bool
    draw: Callable[[Any], None] = field(repr=False)
    size: tuple[float, float] = (8.0, 4.5)
    movie: Movie | None = field(default=None, repr=False)
    name: str = ""
    data: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def text(self, lang: str = "en") -> str:
        """Return what to see and the numbers, as lines."""
        wide = max((len(key) for key in self.numbers), default=0)
        lines = [f"  {key:{wide}}  {_number(value)}" for key, value in self.numbers.items()]
        return "\n".join([self.see[lang], "", *lines])

    def __str__(self) -> str:
        return self.text()

    def plot(self) -> Any:
        """Draw the picture; return it, a Figure of Matplotlib."""
        from ..plots._figure import need_matplotlib, new_figure

        need_matplotlib(f"lab.{self.name}")
        figure = new_figure(*self.size)
        self.draw(figure)
        return figure

    def save(self, folder: str | Path = ".") -> list[Path]:
        """Write ``NAME.png``, and ``NAME.gif`` where something moves; return the paths."""
        figure = self.plot()
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        paths = [folder / f"{self.name.replace('_', '-')}.png"]
        figure.savefig(paths[0], dpi=110)
        if self.movie is not None:
            paths.append(paths[0].with_suffix(".gif"))
            self._write_movie(paths[1])
        return paths

    def _write_movie(self, path: Path) -> None:
        """Write the animation, as pictures of one size."""
        from matplotlib.animation import FuncAnimation, PillowWriter
        from matplotlib.figure import Figure

        movie = self.movie
        assert movie is not None
        figure = Figure(figsize=self.size, layout="constrained")

        def show(k: int) -> None:
            figure.clear()
            movie.draw(figure, k)

        moving = FuncAnimation(figure, show, frames=movie.frames, init_func=lambda: None)
        moving.save(str(path), writer=PillowWriter(fps=movie.per_second), dpi=60)

    def _repr_png_(self) -> bytes:
        """Show the picture in a notebook."""
        file = io.BytesIO()
        self.plot().savefig(file, format="png", dpi=90)
        return file.getvalue()


def _number(value: Any) -> str:
    """Return a number as four digits, another value as it is."""
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value)


Experiment = Callable[..., Result]


def experiment(*, en: str, zh: str) -> Callable[[Experiment], Experiment]:
    """Make a function an experiment of the lab, with its title in English and Chinese.

    The function takes keywords: ``seed``, ``quick`` (a form under 3 seconds with the same finding),
    and ``full`` where it can run on all of MNIST; others as it likes, all with defaults.
    """

    def mark(function: Experiment) -> Experiment:
        @functools.wraps(function)
        def run(*args: Any, **settings: Any) -> Result:
            result = function(*args, **settings)
            object.__setattr__(result, "name", function.__name__)
            return result

        run.title = {"en": en, "zh": zh}  # type: ignore[attr-defined]
        return run

    return mark


def __dir__() -> list[str]:
    return _public_names(globals())
