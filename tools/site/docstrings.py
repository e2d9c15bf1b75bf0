"""Turn the reStructuredText formulas of numpydoc docstrings into those of Markdown."""

import re
import textwrap

_BLOCK = re.compile(
    r"^(?P<indent> *)\.\. math::[ ]*(?P<first>[^\n]*)\n?(?P<rest>(?:(?P=indent) +\S[^\n]*\n?|\s*\n)*)",
    re.MULTILINE,
)
_ROLE = re.compile(r":math:`([^`]+)`")


def formulas(docstring: str) -> list[str]:
    """Return the displayed formulas of a docstring, in LaTeX."""
    return [_latex(match) for match in _BLOCK.finditer(docstring)]


def inline(text: str) -> str:
    """Return text whose formulas in lines are written between dollars."""
    return _ROLE.sub(lambda found: f"${' '.join(found.group(1).split())}$", text)


def markdown(docstring: str) -> str:
    """Return a docstring with its formulas in Markdown; everything else is unchanged."""

    def block(found: re.Match[str]) -> str:
        indent = found["indent"]
        return textwrap.indent(
            f"\n$$\n{_latex(found)}\n$$\n\n", indent, lambda line: bool(line.strip())
        )

    return inline(_BLOCK.sub(block, docstring))


def _latex(found: re.Match[str]) -> str:
    lines = [found["first"], *textwrap.dedent(found["rest"]).splitlines()]
    text = "\n".join(line.rstrip() for line in lines if line.strip())
    if r"\\" in text and r"\begin" not in text:  # as Sphinx does
        text = f"\\begin{{aligned}}\n{text}\n\\end{{aligned}}"
    return text
