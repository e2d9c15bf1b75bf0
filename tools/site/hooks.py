"""Hooks of MkDocs: generated pages, navigation, links that leave the folder of pages, formulas."""

from __future__ import annotations

import posixpath
import re
import sys
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

sys.path.insert(0, str(Path(__file__).parent))
ROOT = Path(__file__).parents[2]

import catalogue  # noqa: E402

MATH = """window.MathJax = {
  tex: { inlineMath: [["\\\\(", "\\\\)"]], displayMath: [["\\\\[", "\\\\]"]] },
  options: { ignoreHtmlClass: ".*", processHtmlClass: "arithmatex" },
};
"""
STYLE = """img.of-list { background: #fff; max-width: 100%; }
.md-typeset .arithmatex { overflow-x: auto; overflow-y: hidden; }
.md-typeset table:not([class]) code { overflow-wrap: anywhere; }
.md-typeset h1, .md-typeset h2, .md-typeset h3 { overflow-wrap: anywhere; }
.md-typeset mjx-container svg { max-width: none; } /* the theme's 100 % of min-content is 1 pixel */
.md-typeset .doc-contents { padding-left: 0; }
@media (max-width: 45em) {
  .md-typeset p, .md-typeset li { overflow-x: auto; overflow-y: hidden; } /* long formulas in lines */
}
"""
FENCE = re.compile(r"^(```.*?^```[ ]*$)", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<=\]\()(?P<path>[^)#:\s<>]+)(?P<anchor>#[^)\s]*)?(?=\))")


def generated() -> dict[str, str | bytes]:
    """Return the pages, pictures and scripts that are made for the site."""
    found: dict[str, str | bytes] = {}
    for module, names in catalogue.modules().items():
        found[f"api/{module}.md"] = catalogue.reference(module, names)
    for kind, (picture, _) in catalogue.LISTS.items():
        found[f"list_of_{kind}.md"] = catalogue.list_of(kind)
        for name in catalogue.listed(kind):
            found[f"list_pictures/{kind}-{name}.svg"] = picture(name)
    return found | {"math.js": MATH, "site.css": STYLE, "tex-svg.js": mathjax()}


def mathjax() -> bytes:
    """Return the script of MathJax, from a package: the site asks no other server for it."""
    try:
        import mathjax as package
    except ImportError:
        raise PluginError("the site needs MathJax: pip install '.[docs]'") from None
    return (Path(package.__file__).parent / "static/mathjax/es5/tex-svg.js").read_bytes()


def on_files(files: Files, config: Any) -> Files:
    """Add what is generated, then the navigation of the pages that are there."""
    for path, content in generated().items():
        files.append(File.generated(config, path, content=content))
    pages = [file.src_uri for file in files.documentation_pages()]
    taken: set[str] = set()
    config.nav = _chosen(config.nav, pages, _named(config.nav), taken)
    rest = [page for page in sorted(pages) if page not in taken]
    if rest:
        config.nav.append({"More": rest})
    return files


def _named(nav: Any) -> set[str]:
    """Return the pages that the navigation names without a pattern."""
    if isinstance(nav, str):
        return set() if "*" in nav else {nav}
    items = nav.values() if isinstance(nav, dict) else nav
    return {page for item in items for page in _named(item)}


def _chosen(nav: Any, pages: list[str], named: set[str], taken: set[str]) -> list[Any]:
    """Return the navigation without pages that are not there; patterns become what they match."""
    chosen: list[Any] = []
    for item in nav:
        if isinstance(item, str):
            fits = (
                [page for page in sorted(pages) if fnmatch(page, item)] if "*" in item else [item]
            )
            new = [
                p
                for p in fits
                if p in pages and p not in taken and ("*" not in item or p not in named)
            ]
            taken.update(new)
            chosen += new
            continue
        ((title, value),) = item.items()
        if isinstance(value, str):
            if value in pages:
                taken.add(value)
                chosen.append(item)
        elif inner := _chosen(value, pages, named, taken):
            chosen.append({title: inner})
    return chosen


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Let links to files of the repository lead there, outside of blocks of code."""
    folder = posixpath.dirname(page.file.src_uri)

    def target(found: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join("docs", folder, found["path"]))
        anchor = found["anchor"] or ""
        if path.startswith("docs/") and (
            files.get_file_from_path(path[5:]) or not (ROOT / path).exists()
        ):
            return found[0]  # a page, or a dead link, which MkDocs reports
        if path in ("README.md", "README.zh.md"):
            home = "index.md" if path == "README.md" else "zh/start.md"
            return posixpath.relpath(home, folder or ".")
        if not (ROOT / path).exists():
            raise PluginError(f"{page.file.src_uri} links to {found['path']}, which does not exist")
        kind = "tree" if (ROOT / path).is_dir() else "blob"
        return f"{config.extra['repository']}/{kind}/main/{path}{anchor}"

    parts = FENCE.split(markdown)
    parts[::2] = [LINK.sub(target, part) for part in parts[::2]]
    return "".join(parts)
