"""The shape of a lesson file: one declaration gives the check and the JSON schema."""

from __future__ import annotations

from netlab.scenario.netlab_shapes import EXPECTATION, FIREWALLS, NODE_NAME, SIDE_OR_WORDS, EngineName
from netlab.scenario.shape import Atom, Choice, Either, Field, ListOf, Record, Schema, Shape, Text, Whole
from netlab.scenario.tree import Report, Value, hint, shown

LANGUAGES = ("en", "ja")

_FREE = Text("a text", free=True)
_WORDS = Record({language: Field(_FREE, f"in {language}") for language in LANGUAGES}, filled=True)
_NODE = Text("the name of a node", None, NODE_NAME)
_FLOW = Text("a flow", free=True)
_TEXTS = ListOf(_FREE, "a list of texts", least=1)
_COMMAND = ListOf(Atom(free=True), "a list of a command's words", least=1)
_EVENTS = ListOf(Text("an event", free=True), "a list of events", least=1)
_FAMILY = Choice(("ipv4", "ipv6"))


def _record(fields: dict[str, tuple[Shape, str]], *required: str) -> Record:
    return Record({key: Field(shape, about, key in required) for key, (shape, about) in fields.items()})


_LAB: dict[str, tuple[Shape, str]] = {
    "engine": (EngineName(), "in place of the scenario's engine"),
    "firewall": (Choice(FIREWALLS), "in place of the scenario's firewall"),
    "daemon": (ListOf(Text("a setting: userland-proxy=false")), "settings of daemon.json: KEY=VALUE"),
}
_SCENARIO = Text("a scenario")
_CHOICE = Record(
    {
        "expect": Field(
            Text("words (ok forward, sees client)", free=True), "what is measured if it is right"
        ),
        **{language: Field(_FREE, f"the answer in {language}") for language in LANGUAGES},
    }
)

#: the key that makes a step what it is → its shape
STEPS: dict[str, Record] = {
    "tell": _record({"tell": (_WORDS, "something to read")}, "tell"),
    "build": _record(
        {"build": (_SCENARIO, "a scenario of the gallery, or a file beside the lesson: a new lab"), **_LAB},
        "build",
    ),
    "predict": _record(
        {
            "predict": (_WORDS, "the question"),
            "flow": (_FLOW, "the flow that is measured to answer it"),
            "family": (_FAMILY, "over IPv4 or IPv6"),
            "choices": (ListOf(_CHOICE, "a list of answers", least=2), "answers; one is right"),
        },
        "predict", "flow", "family", "choices",
    ),
    "measure": _record(
        {
            "measure": (_FLOW, "flows to measure and to show"),
            "ipv4": (SIDE_OR_WORDS, "what is expected of IPv4"),
            "ipv6": (SIDE_OR_WORDS, "what is expected of IPv6"),
            "both": (SIDE_OR_WORDS, "what is expected of both families"),
        },
        "measure",
    ),
    "show": _record(
        {
            "show": (_COMMAND, "a command, whose output is shown"),
            "node": (_NODE, "where it runs (host)"),
            "has": (_TEXTS, "texts that the output must have; any run of blanks is one blank"),
            "lacks": (_TEXTS, "texts that it must not have"),
        },
        "show",
    ),
    "do": _record({"do": (_EVENTS, "what happens, in the words of netlab do")}, "do"),
    "task": _record(
        {
            "task": (_WORDS, "what the learner is to do in a shell"),
            "node": (_NODE, "where the shell is (host)"),
            "hint": (_WORDS, "shown if it is not done yet"),
            "solution": (_EVENTS, "how it is done, as events: run host iptables …"),
            "expect": (ListOf(EXPECTATION, "a list of flows", least=1), "what is measured once it is done"),
        },
        "task", "solution", "expect",
    ),
    "cost": _record(
        {
            "cost": (_FLOW, "a flow of TCP, over both families"),
            "count": (Whole(1, 10_000), "connections over each family (200)"),
            "proxied": (ListOf(_FAMILY, "a list of families"), "those that go through the userland proxy"),
        },
        "cost", "proxied",
    ),
}  # fmt: skip


class StepShape(Shape):
    """A step; one of its keys says which kind it is."""

    expects = "a step (a mapping)"

    def _takes(self, value: Value) -> bool:
        return isinstance(value.data, dict)

    def _inside(self, value: Value, path: str, report: Report) -> Value | None:
        kinds = [key for key in STEPS if key in value.map]
        if len(kinds) != 1:
            report.add(value.at, f"{path} {self._wrong(kinds, value)}", path)
            return None
        return STEPS[kinds[0]].clean(value, path, report)

    def _wrong(self, kinds: list[str], value: Value) -> str:
        if kinds:
            return f"has the keys {', '.join(map(shown, kinds))}, and a step is of one kind: write two steps"
        near = next(filter(None, (hint(key, STEPS) for key in value.map)), "")
        return f"needs one of the keys {', '.join(STEPS)}{near}"

    def _schema(self) -> Schema:
        return {"anyOf": [shape.schema() for shape in STEPS.values()]}


LESSON = _record(
    {
        "title": (_WORDS, "what the lesson is about"),
        "scenario": (_SCENARIO, "a scenario of the gallery, or a file beside the lesson"),
        **_LAB,
        "steps": (ListOf(Either(StepShape()), "a list of steps", least=1), "in order"),
    },
    "title", "scenario", "steps",
)  # fmt: skip
