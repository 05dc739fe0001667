"""The gallery, generated from the scenarios' opening comments: ``docs/gallery.md``.

``python -m netlab.cli.gallery_page scenarios docs/gallery.md`` writes it; a test checks that it is
up to date.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from netlab.model.errors import MachineError

#: Where each tracker's issues are.
_ISSUES = "https://github.com/{repository}/issues/{number}"
_REPOSITORIES = {"moby": "moby/moby", "docker/docs": "docker/docs", "gluetun": "qdm12/gluetun"}
_ISSUE = re.compile(r"([a-z/]+)#([0-9]+)")

#: Where the scenarios are: in an installed package, or beside the package in a checkout.
_PLACES = ("../gallery", "../../scenarios")
PREAMBLE = """\
# The gallery

<!-- Made by `python -m netlab.cli.gallery_page scenarios docs/gallery.md` from their opening comments. -->

Each scenario answers a common question and proves its answer: `netlab verify FILE` builds the host and
measures every flow of the claim. The engine is the one in the file; *holds on* lists the others on which all
expectations were measured to hold, too (`netlab verify FILE --engine NAME`). To see what an upgrade changes,
compare two engines: `netlab diff FILE --engine docker-27 --engine docker-28`.

| question | scenario | engine | claim |
|---|---|---|---|
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """What a scenario's opening comment says; ``issues`` as written (``moby#15086``)."""

    name: str
    title: str
    issues: tuple[str, ...]
    question: str
    engine: str
    holds: str
    claim: str


def entry_of(path: Path) -> Entry:
    """The entry of one scenario; raises ValueError if its comment has no claim or it names no engine."""
    text = path.read_text(encoding="utf-8")
    comment = re.match(r"(?:#[^\n]*\n)+", text)
    engine = re.search(r"^ +engine: (\S+)|^ +engines: \[([^\]]+)\]", text, re.MULTILINE)
    lines = [line[1:].strip() for line in comment[0].splitlines()] if comment else []
    said = _paragraphs(lines)
    if "The claim" not in said or engine is None:
        raise ValueError(f"{path}: the opening comment states no claim, or the scenario names no engine")
    title = lines[0].rstrip(".")
    return Entry(
        name=path.stem,
        title=title,
        issues=tuple(f"{tracker}#{number}" for tracker, number in _ISSUE.findall(said.get("Issue", ""))),
        question=_sentence(said.get("The question", title)),
        engine=engine[1] or engine[2].replace(", ", "+"),
        holds=said.get("Holds on", ""),
        claim=_sentence(said["The claim"]),
    )


def folder() -> str:
    """Where the gallery's files are; raises MachineError if netlab was installed without them."""
    here = os.path.dirname(__file__)
    for place in _PLACES:
        path = os.path.normpath(os.path.join(here, place))
        if os.path.isfile(os.path.join(path, "httpd.yaml")):
            return path
    raise MachineError("this installation of netlab has no scenarios")


def scenarios() -> dict[str, str]:
    """The gallery's scenarios: name → path."""
    where = folder()
    names = (name.removesuffix(".yaml") for name in os.listdir(where) if name.endswith(".yaml"))
    return {name: os.path.join(where, f"{name}.yaml") for name in sorted(names)}


def _paragraphs(lines: Sequence[str]) -> dict[str, str]:
    """``Keyword: text`` → text, with the lines that follow up to the next keyword."""
    found: dict[str, str] = {}
    key = ""
    for line in lines:
        start = re.match(r"(Issue|Holds on|The question|The claim)(?: \([^)]*\))?: *(.*)", line)
        if start:
            key = start[1]
            found[key] = start[2]
        elif key and line:
            found[key] += " " + line
        else:
            key = ""
    return found


def _sentence(text: str) -> str:
    words = " ".join(text.split())
    return words[:1].upper() + words[1:]


def markdown(entries: Iterable[Entry]) -> str:
    """The whole page."""
    return PREAMBLE + "".join(_row(entry) for entry in entries)


def _row(entry: Entry) -> str:
    issues = " ".join(map(_link, entry.issues))
    question = entry.question + (f" {issues}" if issues else "")
    engine = f"`{entry.engine}`" + (
        f"; holds on {entry.holds}" if entry.holds not in ("", entry.engine) else ""
    )
    scenario = f"[{entry.name}](../scenarios/{entry.name}.yaml)"
    return "| " + " | ".join(_cell(text) for text in (question, scenario, engine, entry.claim)) + " |\n"


def _link(issue: str) -> str:
    tracker, _, number = issue.partition("#")
    repository = _REPOSITORIES.get(tracker, tracker)
    return f"([{issue}]({_ISSUES.format(repository=repository, number=number)}))"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the page of a folder of scenarios."""
    folder, page = sys.argv[1:] if arguments is None else arguments
    entries = [entry_of(path) for path in sorted(Path(folder).glob("*.yaml"))]
    Path(page).write_text(markdown(entries), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
