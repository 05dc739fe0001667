"""The schemas of ``--json``: of every verb that has it, true in both directions, and the page in step.

What needs a lab is in tests/lab/test_json_documents.py.
"""

from __future__ import annotations

import dataclasses
import io
import json
import re
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal, NotRequired, TypedDict, get_type_hints

import pytest
from support import gallery_journeys
from support.collections import RECORDED, changed
from support.costs import costs
from support.json_documents import check, journeys_own, printed_by, unmet

from netlab.cli import json_page, manual
from netlab.cli.json_schemas import PRINTED, command, schema
from netlab.cli.main import main
from netlab.cli.verbs import VERBS
from netlab.model.journey import DecidedBy
from netlab.model.journey_json import DecidedByDocument
from netlab.twin.archive import pack
from netlab.view.cost import document as cost_document
from netlab.view.json_schema import schema_of

ROOT = Path(__file__).parents[3]
SCENARIOS = sorted((ROOT / "scenarios").glob("*.yaml"))
AGAIN = "run: .venv/bin/python -m netlab.cli.json_page docs"


def printed(*arguments: str, code: int = 0) -> tuple[str, list[object]]:
    """The schema's name and the documents of a command that needs no lab."""
    out = io.StringIO()
    with redirect_stdout(out):
        assert main(arguments) == code
    name = printed_by(arguments)
    assert name is not None
    return name, check(name, out.getvalue())


def test_every_option_that_prints_json_has_a_schema() -> None:
    options = {
        (verb, option)
        for verb in VERBS
        for one in manual.verb(verb).options
        for option in re.findall(r"--json[a-z-]*", one.form)
    }
    assert options == {(name.partition("-")[0], one.option) for name, one in PRINTED.items()}


def test_the_page_and_the_files_are_what_the_code_says() -> None:
    for name, text in json_page.pages().items():
        path = ROOT / "docs" / name
        assert path.exists(), AGAIN
        assert path.read_text() == text, AGAIN


def test_no_file_is_left_of_a_schema_that_is_no_more(tmp_path: Path) -> None:
    there = {path.name for path in (ROOT / "docs/json").iterdir()}
    assert there == {f"{name}.schema.json" for name in PRINTED}, AGAIN
    (tmp_path / "json").mkdir()
    (tmp_path / "json/gone.schema.json").write_text("old")
    assert json_page.main([str(tmp_path)]) == 0
    assert {path.name for path in (tmp_path / "json").iterdir()} == there
    assert (tmp_path / "json.md").read_text() == (ROOT / "docs/json.md").read_text()


def test_an_object_of_one_name_is_the_same_in_every_schema() -> None:
    found: dict[str, object] = {}
    for name in PRINTED:
        for key, definition in schema(name)["$defs"].items():
            assert found.setdefault(key, definition) == definition, f"{key} of {command(name)}"
            assert definition["additionalProperties"] is False
            assert definition["description"]


def test_the_decision_s_keys_are_those_of_the_decision() -> None:
    assert set(get_type_hints(DecidedByDocument)) == {field.name for field in dataclasses.fields(DecidedBy)}


def test_recorded_journeys_of_the_gallery_have_every_key_of_a_journey() -> None:
    journeys = [
        journey.to_json()
        for number, (_, found) in enumerate(gallery_journeys.recorded().items())
        for journey in found[:: 23 if number % 5 else 3]
    ]
    assert len(journeys) > 500
    assert check("probe", "\n".join(map(json.dumps, journeys))) == journeys
    of_others = {"Journey.notes", "Journey.problem"}  # of unmeasured ones: tests/lab/test_json_documents.py
    predicted = {"Journey.continuations", "Continuation.if", "Continuation.journey"}  # the next test
    assert unmet("probe", journeys, {"ProbeBoth", "Difference"}) <= of_others | predicted


UNDECIDED = """
services: {web: {image: nginx, ports: ["80:80"]}}
x-netlab:
  rules: ["iptables -I DOCKER-USER -m limit --limit 1/s -j DROP"]
  expect:
    - {flow: "client -> host:80", ipv6: ok proxy sees gateway}
    - {flow: "client -> host:81", both: refused}
    - {flow: "neighbour -> host:80", ipv4: timeout by DOCKER-USER}
    - {flow: "neighbour -> host:80", ipv4: {outcome: ok, path: forward, not-by: INPUT, dnat: "192.0.2.1:80"}}
    - exposure: {from: outside, reaches: ["host:80"], nothing-else: true}
"""


def test_what_is_predicted(tmp_path: Path) -> None:
    file = tmp_path / "shop.yaml"
    file.write_text(UNDECIDED)
    name, found = printed(
        "probe", str(file), "client -> host:80", "client -> host:81", "--predict", "--json", code=3
    )
    keys = ("continuations", "if")
    assert all(f'"{key}"' in json.dumps(found) for key in keys)
    assert unmet(name, found, journeys_own() - {"Continuation"}) == {
        f"{one}.{key}"
        for one in ("ProbeBoth", "Difference")
        for key in schema("probe")["$defs"][one]["properties"]
    }
    for option, ways in (("--json", "verify"), ("--json-lines", "verify-lines")):
        name, found = printed("verify", str(file), "--predict", option, code=3)
        assert name == ways
        # That the word is "unmeasured" of what cannot be predicted is no key.
        assert unmet(name, found) <= {"Expected.not-by", "Expected.dnat"}, option


def test_a_matrix_and_its_variants() -> None:
    engines = ("--engine", "docker-20.10", "--engine", "docker-29-nftables")
    name, found = printed("matrix", str(SCENARIOS[0]), *engines, "--from", "client", "--predict", "--json")
    assert unmet(name, found) == set()


def test_a_comparison() -> None:
    met = []
    engines = ("--engine", "docker-28", "--engine", "docker-29-nftables")
    for words in (
        ("scenarios/docker-user.yaml", *engines, "--predict"),
        (
            "scenarios/podman-loopback.yaml",
            *("--engine", "podman-4", "--engine", "podman-5-nftables"),
            *("--plan-only", "--choice", "all"),
        ),
    ):
        out = io.StringIO()
        with redirect_stdout(out):
            assert main(["diff", *words, "--json"]) in (0, 2)
        met += check("diff", out.getvalue())
    # Of a side that its lab refuses to build.
    assert unmet("diff", met) == {"Refusal.label", "Refusal.reason"}


def test_an_exposure_and_a_comparison_of_two(tmp_path: Path) -> None:
    file = tmp_path / "shop.yaml"
    file.write_text('services: {web: {image: nginx, ports: ["8080:80"]}}')
    only = ("--no-proof", "--json")
    _, one = printed("exposure", "scenarios/ufw-published.yaml", "--to", "host", "-4", *only)
    _, two = printed("exposure", str(file), "--to", "host", *only)
    engines = ("--engine", "docker-27", "--engine", "docker-28")
    near = ("scenarios/direct-access-28.yaml", "--from", "neighbour", "-4")
    name, both = printed("exposure", *near, *engines, *only)
    proofs = {
        f"{one}.{key}"
        for one in ("Proof", "Disagreement")
        for key in schema(name)["$defs"][one]["properties"]
    }
    assert unmet(name, [*one, *two, *both]) == {"Exposure.proof", *proofs}  # with labs: the tests of the verb


#: What no scenario of the gallery has.
FURTHER = (
    "x-netlab: {host: {engine: docker-28.0.0}}",
    "x-netlab: {host: {firewall: {ufw: {run: real}}}}",
    "x-netlab: {host: {firewall: {nftables: rules.nft}}}",
)


def test_a_plan_of_every_scenario(tmp_path: Path) -> None:
    met: list[object] = []
    (tmp_path / "rules.nft").write_text("table ip mine { }")
    for number, text in enumerate(FURTHER):
        (tmp_path / f"further{number}.yaml").write_text(f"services: {{web: {{image: nginx}}}}\n{text}\n")
    for path in (*SCENARIOS, *tmp_path.glob("*.yaml")):
        name, found = printed("plan", str(path), "--json")
        met += found
    assert unmet(name, met) == set()


@pytest.mark.parametrize("verb", ["engines", "gallery", "demo"])
def test_lists(verb: str) -> None:
    name, found = printed(verb, "--json")
    assert unmet(name, found) == set()


def test_a_drift(tmp_path: Path) -> None:
    rule = "-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER\n"
    broken = changed({"iptables.rules": lambda saved: saved.replace(rule, "")})
    ran = [replace(one, size=len(broken.text(one.file).encode())) for one in broken.ran.values()]
    files = {name: text.encode() for name, text in broken.files.items()}
    archive = tmp_path / "host.tar.gz"
    archive.write_bytes(pack(files, ran, broken.version))
    name, found = printed("drift", str(archive), "--json", code=1)
    assert unmet(name, found) == set()
    assert printed("drift", str(RECORDED), "--json")[1] == [
        {"schema_version": 1, "findings": [], "flows": None}
    ]


def test_costs() -> None:
    document = {"schema_version": 1, **cost_document(costs())}
    assert unmet("bench", check("bench", json.dumps(document))) == set()


class Inner(TypedDict):
    """Inner, see :func:`outer`."""

    #: above,
    #: in two lines
    above: int
    beside: NotRequired[Literal["a", "b"] | None]  #: beside


class Outer(Inner):
    """Outer.

    More.

    >>> nothing
    """

    pair: tuple[int, str]
    words: Annotated[dict[str, float], "annotated"]
    inner: list[Inner]


def test_a_type_as_a_schema() -> None:
    found = schema_of([Outer], "title", 3)
    outer, inner = found["$defs"]["Outer"], found["$defs"]["Inner"]
    assert (found["title"], found["$ref"], outer["description"]) == (
        "title",
        "#/$defs/Outer",
        "Outer.\n\nMore.",
    )
    assert inner["description"] == "Inner, see `outer`."
    assert outer["required"] == ["schema_version", "above", "pair", "words", "inner"]
    assert outer["properties"] == {
        "schema_version": {"const": 3, "description": "the version of this document's form"},
        "above": {"type": "integer", "description": "above, in two lines"},
        "beside": {"enum": ["a", "b", None], "description": "beside"},
        "pair": {
            "type": "array",
            "prefixItems": [{"type": "integer"}, {"type": "string"}],
            "items": False,
            "minItems": 2,
        },
        "words": {"type": "object", "additionalProperties": {"type": "number"}, "description": "annotated"},
        "inner": {"type": "array", "items": {"$ref": "#/$defs/Inner"}},
    }


def another() -> type:
    class Inner(TypedDict):
        """Another of the same name."""

    return Inner


class Odd(TypedDict):
    """What JSON does not have."""

    odd: bytes


def test_what_no_schema_can_say_is_an_error() -> None:
    with pytest.raises(TypeError, match="JSON has no values of the type <class 'bytes'>"):
        schema_of([Odd], "title")
    with pytest.raises(TypeError, match="two types are named Inner"):
        schema_of([Inner, another()], "title")
