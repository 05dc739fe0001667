"""``netlab.Lab``: everything that the verbs do, from a program; in threads, and under fork."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import netlab
from netlab.lab import state
from netlab.lab.standing import attach

SCENARIOS = Path(__file__).parents[3] / "scenarios"
SEED = SCENARIOS / "httpd.yaml"


@pytest.fixture(scope="module")
def seed() -> Iterator[netlab.Lab]:
    """One lab for all tests that change nothing in it."""
    with netlab.Lab(SEED) as lab:
        yield lab


def test_one_flow_is_one_journey(seed: netlab.Lab) -> None:
    journey = seed.probe("client -> host:80/tcp", family=6)
    assert (journey.outcome, journey.path, journey.answered_by) == ("ok", "proxy", "httpd")
    assert journey.flow.family == "ipv6"
    with pytest.raises(netlab.UsageError, match=r"means 2 flows .* give family=4 or family=6"):
        seed.probe("client -> host:80")
    with pytest.raises(netlab.UsageError, match="means 2 flows"):
        seed.probe("client -> host:[80,443]", 4)
    with pytest.raises(netlab.UsageError, match="must be 4 or 6, not 5"):
        seed.probe("client -> host:80", 5)
    with pytest.raises(netlab.UsageError, match="did you mean client"):
        seed.probe("clint -> host:80", 4)
    with pytest.raises(netlab.ScenarioError, match='expected "->"'):
        seed.probe("client > host:80", 4)


def test_many_flows_are_as_many_journeys(seed: netlab.Lab) -> None:
    journeys = seed.probe_all("[client,neighbour] -> host:[80,443]")
    assert len(journeys) == 8
    assert [j.flow.origin for j in journeys] == ["client"] * 4 + ["neighbour"] * 4
    cells = [cell for cell, _ in seed.matrix().answers.values()][:3]
    again = seed.probe_all([cell.flow for cell in cells])
    assert [j.flow.to for j in again] == [cell.flow.to for cell in cells]


def test_packets_by_hand(seed: netlab.Lab) -> None:
    assert seed.probe("client -> host:80", 4, syn=True).probe == "syn"
    forged = seed.probe("client -> host:80", 4, source="198.51.100.77", source_port=4321)
    assert forged.flow.src == "198.51.100.77:4321"
    assert seed.probe("client -> 192.168.10.10:80", via="host").flow.via == "host"
    assert seed.probe("client -> host:80", 4, protocol="udp").flow.to == "host:80/udp"
    assert seed.probe("client -> host:80", 4, replies=True).replies


def test_expectations_in_words(seed: netlab.Lab) -> None:
    seed.expect(
        "client -> host:80", ipv4="ok forward, sees client", ipv6={"path": "proxy", "sees": "gateway"}
    )
    seed.expect("client -> host:80", "ok")
    seed.expect("client -> host:80", ipv4="ok", sees="client")
    with pytest.raises(netlab.ExpectationFailed) as failed:
        seed.expect("client -> host:80", "ok", path="forward")
    (wrong,) = [verdict for verdict in failed.value.verdicts if not verdict.check.passed]
    assert wrong.claim.flow.family == 6
    assert wrong.claim.expectation.position.file == __file__
    assert isinstance(failed.value, AssertionError)
    assert "path: expected forward, measured proxy" in str(failed.value)
    with pytest.raises(netlab.UsageError, match="say what you expect"):
        seed.expect("client -> host:80")


def test_the_scenario_s_own_expectations(seed: netlab.Lab) -> None:
    assert [verdict.word for verdict in seed.verify()] == ["passed"] * 4


def test_the_matrix(seed: netlab.Lab) -> None:
    answers = seed.matrix().answers
    by = {
        (cell.flow.origin, cell.flow.to, cell.flow.family.word): journey for cell, journey in answers.values()
    }
    assert by["client", "host:80/tcp", "ipv4"].path == "forward"
    assert by["client", "host:80/tcp", "ipv6"].path == "proxy"


def test_rules_with_reasons(seed: netlab.Lab) -> None:
    rules = seed.rules()
    (rule,) = [r for r in rules.chain("DOCKER", table="nat").rules if "--dport 80 " in r.text]
    assert rule.reason == "port 80 of httpd on nw, published"
    assert "# port 80 of httpd on nw, published\n" in str(rules)
    assert list(seed.rules("host", family=6).iptables) == [6]
    assert str(seed.rules("client")).count("-A ") == 0
    with pytest.raises(KeyError, match="has no chain DOKKER in host"):
        rules.chain("DOKKER")


def test_native_rules() -> None:
    with netlab.Lab(SEED, engine="docker-29-nftables") as lab:
        tables = {(table.family, table.name) for table in lab.rules().native}
        assert ("ip", "docker-bridges") in tables
        lab.probe("client -> host:80", 4)
        assert {(table.family, table.name) for table in lab.rules().native} == tables  # our own is not shown
        assert {family for family, _ in tables} >= {"ip", "ip6"}
        assert {table.family for table in lab.rules(family=4).native} <= {"ip", "inet", "bridge"}


def test_sockets_with_owners(seed: netlab.Lab) -> None:
    (found,) = [s for s in seed.sockets("host") if (s.address, s.port) == ("0.0.0.0", 80)]
    assert found.reason == "port 80 of httpd on nw, published"
    assert [holder.name for holder in found.processes] == ["docker-proxy"]
    assert {s.node for s in seed.sockets()} > {"host"}


def test_a_capture_holds_all_that_was_sent_in_it(seed: netlab.Lab, tmp_path: Path) -> None:
    with seed.capture(tmp_path / "web.pcapng", "host", "ext0") as capture:
        for _ in range(20):
            seed.exec("client", ["curl", "-s", "-o", "/dev/null", "http://198.51.100.1/"], check=True)
    listing = subprocess.run(
        ["tcpdump", "-nr", capture.path, "dst port 80"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert sum("Flags [S]" in line for line in listing) == 20
    assert sum("GET / HTTP/1.1" in line for line in listing) == 20
    assert capture.lost == 0
    assert capture.packets >= len(listing)
    with pytest.raises(netlab.UsageError, match="has no interface"):
        seed.capture(tmp_path / "no.pcapng", "host", "ext9")
    with pytest.raises(ZeroDivisionError), seed.capture(tmp_path / "web.pcapng"):
        _ = 1 / 0


def test_explaining(seed: netlab.Lab) -> None:
    explanation = seed.explain("client -> host:80", 4)
    assert explanation.wish == "block"
    assert explanation.proved
    assert seed.probe("client -> host:80", 4).outcome == "ok"


def test_rules_may_change_between_two_probes() -> None:
    with netlab.Lab(SEED) as lab:
        for options, outcome in (("-I", "timeout"), ("-D", "ok"), ("-I", "timeout")):
            rule = ["iptables", options, "DOCKER-USER", "-s", "198.51.100.2", "-j", "DROP"]
            lab.exec("host", rule, check=True)
            assert lab.probe("client -> host:80", 4).outcome == outcome


def test_threads_share_one_instrument(seed: netlab.Lab) -> None:
    with ThreadPoolExecutor(8) as pool:
        paths = list(pool.map(lambda n: seed.probe("client -> host:80", (4, 6)[n % 2]).path, range(40)))
    assert paths == ["forward", "proxy"] * 20
    workers = [p for p in seed.client.status()["processes"] if p["label"] == "netlab.measure.worker"]
    assert len([p for p in workers if p["returncode"] is None]) == 1


def test_a_forked_child_measures_for_itself() -> None:
    with netlab.Lab(SEED) as lab:
        assert lab.probe("client -> host:80", 4).outcome == "ok"
        with lab.instrument.held():  # as if another thread were measuring
            pid = os.fork()
            if pid == 0:
                code = 1
                try:
                    code = 0 if lab.probe("client -> host:80", 6).path == "proxy" else 2
                    lab.close()
                finally:
                    os._exit(code)
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert lab.probe("client -> host:80", 6).path == "proxy"


def test_a_lab_can_be_let_go() -> None:
    program = (
        "import netlab\n"
        f"lab = netlab.Lab({str(SEED)!r})\n"
        "lab.probe('client -> host:80', 4)\n"
        "lab.release()\n"
        "lab.close()\n"
        "print(lab.name)\n"
    )
    import sys

    name = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    client = attach(name.stdout.strip())
    try:
        assert client.record["owner"] is None
        assert client.status()["phase"] == "committed"
    finally:
        client.down()
    record = state.read(client.name)
    assert record is None or not record.alive


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ({"engine": "dokker"}, "engine: unknown engine"),
        ({"scale": ["httpd"]}, "scale: "),
        ({"scale": {"httpd": -1}}, "scale: services.httpd: -1 is not a number"),
        ({"project_directory": "/nowhere"}, "project_directory: "),
        ({"engine": 3}, "engine: 3 is not a string"),
        ({"firewall": {}}, "firewall: {} is not a string"),
        ({"project_name": 4}, "project_name: 4 is not a string"),
        ({"project_directory": 4}, "project_directory: 4 is not a path"),
        ({"profiles": "web"}, "profiles: 'web' is not a list of strings"),
        ({"env_files": ".env"}, "env_files: '.env' is not a list of paths"),
        ({"daemon": [{}]}, "daemon: [{}] is not a mapping, or a list"),
        ({"scale": [{"httpd": 2}]}, "scale: [{'httpd': 2}] is not a mapping of services"),
        ({"scale": {"httpd": True}}, "scale: {'httpd': True} is not a mapping of services"),
        ({"scale": {"httpd": "2"}}, "scale: {'httpd': '2'} is not a mapping of services"),
        ({"environ": ["A=b"]}, "environ: ['A=b'] is not a mapping"),
        ({"allow_programs": [True, False]}, "allow_programs: [True, False] is not True or False"),
        ({"allow_outside_files": "no"}, "allow_outside_files: 'no' is not True or False"),
    ],
)
def test_what_is_wrong_with_an_argument_names_it(argument: dict[str, Any], message: str) -> None:
    with pytest.raises(netlab.UsageError) as caught:
        netlab.Lab(SEED, **argument)
    assert str(caught.value).startswith(message)


def test_a_closed_lab_says_so() -> None:
    lab = netlab.Lab(SEED)
    lab.probe("client -> host:80", 4)
    lab.close()
    for use in (
        lambda: lab.probe("client -> host:80", 4),
        lambda: lab.matrix(),
        lambda: lab.verify(),
        lambda: lab.rules(),
        lambda: lab.sockets(),
        lambda: lab.release(),
    ):
        with pytest.raises(netlab.LabError, match="is closed"):
            use()
