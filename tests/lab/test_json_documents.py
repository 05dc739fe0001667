"""What ``--json`` prints of real labs, against its schemas; every call of the other tests is checked as well.

What needs no lab is in tests/unit/cli/test_json_schemas.py.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from support.json_documents import check, printed_by, unmet
from support.labs import SEED, Netlab

SHOP = """
services:
  web: {image: nginx, ports: ["8080:80"]}
  worker: {image: alpine, command: [sleep, "600"]}
x-netlab:
  host: {engine: docker-20.10}
  services: {worker: {command: [sleep, "600"]}}
"""


def printed(netlab: Netlab, *arguments: str | Path, code: int = 0) -> tuple[str, list[Any]]:
    """The schema's name, and the documents."""
    name = printed_by([*map(str, arguments)])
    assert name is not None
    return name, check(name, netlab(*arguments, code=code).stdout)


def whole(netlab: Netlab, *arguments: str | Path, code: int = 0) -> list[Any]:
    """The documents; together they have every key of their schema, apart from those of journeys."""
    name, documents = printed(netlab, *arguments, code=code)
    assert unmet(name, documents) == set(), name
    return documents


def test_a_lab_from_up_to_down(netlab: Netlab, tmp_path: Path) -> None:
    file = tmp_path / "shop.yaml"
    file.write_text(SHOP)
    lab = netlab.name()
    name, up = printed(netlab, "up", file, "--name", lab, "--allow-programs", "--json")
    assert unmet(name, up) <= {f"Unpublished.{key}" for key in ("node", "port", "protocol", "reason")}
    (found,) = whole(netlab, "ls", "--json")
    assert [one["name"] for one in found["labs"]] == [lab]
    name, (status,) = printed(netlab, "status", lab, "--json")
    assert unmet(name, [status]) <= {f"Unpublished.{key}" for key in ("node", "port", "protocol", "reason")}
    assert {one["kind"] for one in status["processes"]} >= {"command", "responder"}
    netlab.exec(lab, "host", "nft", "add", "table", "inet", "mine")
    (rules,) = whole(netlab, "rules", lab, "--json")
    assert [one["table"] for one in rules["native"] if one["family"] == "inet"] == ["mine"]
    for option, other in (("-4", "ipv6"), ("-6", "ipv4")):
        (one,) = printed(netlab, "rules", lab, option, "--json")[1]
        assert other not in one
    whole(netlab, "sockets", lab, "--json")
    whole(netlab, "do", lab, "restart", "web", "--json")
    name, explained = printed(netlab, "explain", lab, "client -> host:8080", "--json")
    assert unmet(name, explained) <= {"Experiment.before", "Experiment.after"}  # nothing else changes
    whole(netlab, "down", lab, "--json")
    whole(netlab, "clean", "--json")
    name, found_by = printed(netlab, "doctor", "--json", code=0)
    assert unmet(name, found_by) == set()


def test_journeys(netlab: Netlab) -> None:
    lab = netlab.up()
    flows = ("client -> host:80", "client -> httpd:81")
    name, found = printed(netlab, "probe", lab, *flows, "--json")
    found += check("probe", netlab("probe", lab, "client -> host:80", "--syn", "--json").stdout)
    assert {one.get("probe") for one in found} == {None, "syn"}
    # Of a rule that the plan does not know, the prediction knows nothing: they part.
    netlab.exec(lab, "host", "iptables", "-w", "-I", "DOCKER-USER", "-j", "DROP")
    found += check("probe", netlab("probe", lab, "client -> host:80", "--both", "--json", code=1).stdout)
    assert unmet(name, found) == set()
    assert any(one.get("parting") for one in found)


def test_a_trace(netlab: Netlab) -> None:
    lab = netlab.up()
    process = netlab.start("trace", lab, "--json", "-c", "1")
    assert process.stderr is not None
    process.stderr.readline()
    netlab.exec(lab, "client", "curl", "-s", "-o", "/dev/null", "http://198.51.100.1/")
    output, _ = process.communicate(timeout=100)
    optional = {"icmp", "probe", "errno", "problem", "notes", "continuations"}  # as in other journeys
    assert unmet("trace", check("trace", output)) == {f"Trace.{key}" for key in optional}


def test_verdicts(netlab: Netlab, tmp_path: Path) -> None:
    file = tmp_path / "shop.yaml"
    file.write_text(
        SHOP.partition("  services: {worker")[0].replace(", command: [sleep", ", x-command: [sleep")
        + """
  expect:
    - exposure: {from: outside, reaches: ["host:8080"]}
    - flow: "client -> host:8080"
      ipv4: {outcome: ok, path: forward, sees: client, not-by: INPUT, dnat: "172.18.0.2:80"}
    - {flow: "client -> host:8080", ipv6: timeout by INPUT}
    - event: stop web
    - {flow: "client -> host:8080", both: timeout}
"""
    )
    for option in ("--json", "--json-lines"):
        name, found = printed(netlab, "verify", file, option, code=1)
        assert unmet(name, found) == set(), option


def test_a_proof(netlab: Netlab) -> None:
    name, found = printed(
        netlab, "exposure", SEED, "-4", "--from", "client", "--to", "198.51.100.1", "--json"
    )
    apart = {key for key in unmet(name, found, ()) if not key.startswith("Proof.")}
    assert unmet(name, found, ()) == apart


def test_a_matrix_and_a_difference(netlab: Netlab) -> None:
    engines = ("--engine", "docker-20.10", "--engine", "docker-29-nftables")
    for verb, more in (("matrix", ("--from", "client")), ("diff", ())):
        _, (document,) = printed(netlab, verb, SEED, *engines, *more, "--json")
        assert '"how": "measured"' in json.dumps(document)
