"""The verdicts of a verification: as a table, as JSON, and as JUnit's XML."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from netlab.exposure.verdict import ExposureVerdict
from netlab.journey.advise import stopped_by
from netlab.model.expectation import Expected
from netlab.model.outcome import UNKNOWN
from netlab.model.shown import shown
from netlab.view import rich

if TYPE_CHECKING:
    from rich.console import RenderableType

    from netlab.journey.expect import Verdict
    from netlab.model.journey import Journey
    from netlab.view.documents.verify import ExpectedWordsDocument, ExposureVerdictDocument, VerdictDocument

#: From this many flows of one expectation on, those that passed in the same way share a line.
_MANY = 9
_COLOURS = {"passed": "green", "failed": "bold red", "unmeasured": "bold magenta"}


def expected_words(expected: Expected) -> str:
    """``ok, forward, sees client``: what a scenario expects, in a line."""
    said = [
        expected.outcome,
        expected.path,
        expected.sees and f"sees {expected.sees}",
        expected.by and f"by {expected.by}",
        expected.not_by and f"not by {expected.not_by}",
        expected.dnat and f"dnat {expected.dnat}",
    ]
    return ", ".join(word for word in said if word)


def measured_words(journey: Journey) -> str:
    """The same of what was measured."""
    if journey.outcome in UNKNOWN:
        return f"{journey.outcome}: {journey.problem}"
    said: list[str | None] = [journey.outcome, None if journey.outcome == "no-route" else journey.path]
    if journey.sees is not None:
        said.append(f"sees {journey.sees.address}")
    if (stopped := stopped_by(journey)) is not None:
        said.append(f"by {stopped.chain}")
    return ", ".join(word for word in said if word)


def exposure_words(verdict: ExposureVerdict) -> str:
    """What such a verdict is about: ``all packets from outside``."""
    return f"all packets from {verdict.expectation.origin}"


def table(verdicts: Sequence[Verdict | ExposureVerdict]) -> RenderableType:
    """One line for each flow (expected and measured), and one for each event between them.

    If one expectation means many flows, those that passed share a line for each family.
    """
    found = rich.Table(box=rich.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for title in ("", "FLOW", "FAMILY", "EXPECTED", "MEASURED"):
        found.add_column(title, overflow="fold")
    happened = 0
    for exposed in verdicts:
        if isinstance(exposed, ExposureVerdict):
            colour = _COLOURS[exposed.word]
            found.add_row(
                rich.Text(exposed.word, style=colour),
                rich.Text(exposure_words(exposed)),
                "both",
                rich.Text(str(exposed.expectation)),
                rich.Text(exposed.measured, style=colour if exposed.word != "passed" else ""),
            )
    for verdict, number in _rows([one for one in verdicts if not isinstance(one, ExposureVerdict)]):
        events = verdict.claim.expectation.after
        for event in events[happened:]:
            found.add_row(rich.Text("event", style="bold"), rich.Text(event.text, style="bold"))
        happened = len(events)
        colour = _COLOURS[verdict.word]
        flow = verdict.claim.flow
        many = f"{verdict.claim.expectation.pattern.text}  ({number} flows)"
        found.add_row(
            rich.Text(verdict.word, style=colour),
            rich.Text(str(flow) if number == 1 else many),
            flow.family.word,
            rich.Text(expected_words(verdict.claim.expected)),
            rich.Text(measured_words(verdict.journey), style=colour if verdict.word != "passed" else ""),
        )
    return found


def after(verdict: Verdict) -> str:
    """`` after stop dns, start dns``; empty if nothing has happened to the lab."""
    words = verdict.claim.expectation.after_words
    return f" after {words}" if words else ""


def _rows(verdicts: Sequence[Verdict]) -> Iterator[tuple[Verdict, int]]:
    """The verdicts to show, each with the number of verdicts that it represents."""
    alike = Counter(_likeness(verdict) for verdict in verdicts)
    shown = set()
    for verdict in verdicts:
        likeness = _likeness(verdict)
        if verdict.word != "passed" or alike[likeness] < _MANY:
            yield verdict, 1
        elif likeness not in shown:
            shown.add(likeness)
            yield verdict, alike[likeness]


def _likeness(verdict: Verdict) -> tuple[object, ...]:
    claim = verdict.claim
    return claim.expectation.position, claim.flow.family, verdict.word, measured_words(verdict.journey)


def counts(verdicts: Sequence[Verdict | ExposureVerdict]) -> str:
    """``12 passed, 1 failed``."""
    words = [verdict.word for verdict in verdicts]
    parts = [f"{words.count(word)} {word}" for word in _COLOURS if word in words]
    return ", ".join(parts) or "nothing tested"


def _exposure_json(verdict: ExposureVerdict) -> ExposureVerdictDocument:
    expectation = verdict.expectation
    return {
        "position": str(expectation.position),
        "exposure": expectation.origin,
        "verdict": verdict.word,
        "expected": str(expectation),
        "problems": list(verdict.problems),
        "packets": None if verdict.proof is None else verdict.proof.tried,
    }


def _expected_json(expected: Expected) -> ExpectedWordsDocument:
    found: ExpectedWordsDocument = {}
    if expected.outcome is not None:
        found["outcome"] = expected.outcome
    if expected.path is not None:
        found["path"] = expected.path
    if expected.sees is not None:
        found["sees"] = expected.sees
    if expected.by is not None:
        found["by"] = expected.by
    if expected.not_by is not None:
        found["not-by"] = expected.not_by
    if expected.dnat is not None:
        found["dnat"] = expected.dnat
    return found


def verdict_json(verdict: Verdict | ExposureVerdict) -> VerdictDocument | ExposureVerdictDocument:
    """One verdict; the journey as ``netlab probe --json`` has it."""
    if isinstance(verdict, ExposureVerdict):
        return _exposure_json(verdict)
    return {
        "position": str(verdict.claim.expectation.position),
        "after": [event.text for event in verdict.claim.expectation.after],
        "flow": str(verdict.claim.flow),
        "family": verdict.claim.flow.family.word,
        "verdict": verdict.word,
        "expected": _expected_json(verdict.claim.expected),
        "problems": list(verdict.check.problems),
        "journey": verdict.journey.to_json(),
    }


def junit(results: Mapping[str, Sequence[Verdict | ExposureVerdict]]) -> bytes:
    """JUnit's XML: a suite a scenario, a case a flow; what could not be measured is an error."""
    root = ET.Element("testsuites", name="netlab verify")
    for name, verdicts in results.items():
        words = [verdict.word for verdict in verdicts]
        suite = ET.SubElement(
            root,
            "testsuite",
            name=shown(name),
            tests=str(len(words)),
            failures=str(words.count("failed")),
            errors=str(words.count("unmeasured")),
        )
        for verdict in verdicts:
            title, measured, problems = _case(verdict)
            case = ET.SubElement(suite, "testcase", classname=shown(name), name=shown(title))
            if verdict.word == "passed":
                continue
            kind = "failure" if verdict.word == "failed" else "error"
            found = ET.SubElement(case, kind, message=shown("; ".join(problems)))
            found.text = shown(measured)
    ET.indent(root)
    return bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True))


def _case(verdict: Verdict | ExposureVerdict) -> tuple[str, str, tuple[str, ...]]:
    """The title of a case, what was measured, and what is otherwise than expected."""
    if isinstance(verdict, ExposureVerdict):
        position, measured = verdict.expectation.position, verdict.measured
        return exposure_words(verdict), f"{position}\nmeasured: {measured}", verdict.problems
    flow, position = verdict.claim.flow, verdict.claim.expectation.position
    measured = f"{position}\nmeasured: {measured_words(verdict.journey)}"
    return f"{flow} [{flow.family.word}]{after(verdict)}", measured, verdict.check.problems
