"""The documentation as a site: Sphinx with MyST and Furo. `nox -s site` builds it; a warning is an error.

The pages are those of ``docs``, as they are. What only a site needs is added while they are read: the list of
pages at the left, the reference of the Python API from its docstrings, and pictures (:mod:`pictures`).
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

sys.path.insert(0, str(Path(__file__).parent))

import pictures  # noqa: E402
from sphinx.errors import ExtensionError  # noqa: E402

import netlab  # noqa: E402 - from the checkout that the pages are of

project = "netlab"
author = "the netlab developers"
version = release = netlab.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.viewcode"]
root_doc = "index"
exclude_patterns = ["man", "site"]
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]
html_theme = "furo"
html_title = f"netlab {version}"
html_copy_source = False
html_show_copyright = False
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autoclass_content = "both"
highlight_language = "none"

#: The parts of the site, and their pages in order.
PARTS = {
    "Tutorial": ("install", "tutorial", "tutorial.ja", "lessons"),
    "How to": (
        "howto",
        "howto/restrict-a-port",
        "howto/ufw",
        "howto/firewalld",
        "howto/client-addresses",
        "howto/upgrade",
        "howto/ci",
        "pytest",
        "howto/rootless",
        "howto/trace",
        "gallery",
        "report",
        "twin",
        "troubleshooting",
    ),
    "Reference": (
        "scenario",
        "verbs",
        "json",
        "python",
        "firewalls",
        "engines",
        "docker-to-podman",
        "conformance",
        "limits",
    ),
    "Explanation": (
        "journeys",
        "exposure",
        "costs",
        "sweeps",
        "proxy",
        "architecture",
        "threats",
        "torture",
        "agree",
        "witness",
        "benchmarks",
    ),
}

#: The anchors of all pages that are no headings.
ANCHORS = [
    anchor
    for page in (ROOT / "docs").rglob("*.md")
    for anchor in re.findall(r'<a id="([\w-]+)"></a>', page.read_text("utf-8"))
]

#: What each picture shows, since it was drawn.
WORDS: dict[str, str] = {}

#: The names of the Python API, in the order of the package's own list.
REFERENCE = """

## Reference

```{eval-rst}
.. currentmodule:: netlab

"""


def _contents() -> str:
    parts = (
        f"\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n" + "\n".join(pages) + "\n```\n"
        for caption, pages in PARTS.items()
    )
    return "".join(parts)


def _reference() -> str:
    lines = []
    for name in sorted(netlab.__all__):
        found = getattr(netlab, name)
        if isinstance(found, type):
            lines.append(f".. autoclass:: {name}\n   :members:\n")
        elif callable(found):
            lines.append(f".. autofunction:: {name}\n")
    return REFERENCE + "\n".join(lines) + "\n```\n"


def _draw(_: Sphinx) -> None:
    """Draw the pictures anew before any page is read; without a lab there is no site."""
    try:
        WORDS.update(pictures.draw(ROOT / "docs" / "pictures"))
    except pictures.NoPicturesError as error:
        raise ExtensionError(str(error)) from error


def _pictured(name: str, text: str) -> str:
    for picture, (page, line) in pictures.PLACES.items():
        if page == name:
            before, found, after = text.partition(f"{line}\n")
            if not found:
                raise ExtensionError(f"{page} has no line {line!r}, below which a picture stands")
            shown = f"\n![{WORDS[picture]}](pictures/{picture}.svg)\n\n*{WORDS[picture]}*\n"
            text = f"{before}{found}{shown}{after}"
    return text


def _read(_: Sphinx, name: str, source: list[str]) -> None:
    """Add what only the site has to the text of a page."""
    source[0] = _pictured(name, source[0])
    if name == "index":
        source[0] += _contents()
    if name == "python":
        source[0] += _reference()
    # A folder is no page: the gallery lists the scenarios, and the page of lessons shows their format.
    source[0] = source[0].replace("](../scenarios)", "](gallery.md)")
    source[0] = source[0].replace("](../CONTRIBUTING.md)", "](path:../CONTRIBUTING.md)")
    source[0] = source[0].replace("](../netlab/lesson/lessons)", "](lessons.md)")
    # An anchor that is no heading is HTML on GitHub, and a label for Sphinx, which is one of all pages.
    source[0] = re.sub(r'^<a id="([\w-]+)"></a>', r"(\1)=\n", source[0], flags=re.MULTILINE)
    source[0] = re.sub(rf"\]\([\w.]*#({'|'.join(ANCHORS)})\)", r"](#\1)", source[0])


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("builder-inited", _draw)
    app.connect("source-read", _read)
