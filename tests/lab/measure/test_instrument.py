"""The instrument: it proves itself, changes nothing of what it measures, and leaves nothing behind."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import netlab
from netlab.kernel import ruleset
from netlab.kernel.netlink import conntrack
from netlab.kernel.netlink.nf_tables import Tables
from netlab.kernel.netns import entered
from netlab.kernel.trace import nftrace
from netlab.kernel.trace.table import TABLE_PREFIX
from netlab.measure import probes
from netlab.measure import session as sessions
from netlab.measure.in_flight import InFlight
from netlab.measure.session import Session
from netlab.model.errors import UsageError
from netlab.model.family import FAMILIES, Family
from netlab.model.flow import Flow, Target
from netlab.model.trace import TraceFault

SEED = str(Path(__file__).parents[3] / "scenarios" / "httpd.yaml")
HOST = {Family.IPV4: "198.51.100.1", Family.IPV6: "2001:db8:1::1"}


@pytest.fixture(scope="module")
def lab() -> Iterator[netlab.Lab]:
    with netlab.Lab(SEED, name=f"instrument-{os.getpid()}") as built:
        yield built


def flow(family: Family = Family.IPV4, port: int | None = 80, protocol: str = "tcp") -> Flow:
    return Flow("client", Target(name="host"), family, protocol, port, HOST[family])  # type: ignore[arg-type]


def test_a_blind_decoder_makes_everything_unmeasured(
    lab: netlab.Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The decoder understands nothing: no journey may pass for measured."""

    def read(self: nftrace.Decoder, bodies: object, numbers: object, sink: nftrace.Sink) -> None:
        sink.fault(TraceFault("unknown", "blinded"))

    monkeypatch.setattr(nftrace.Decoder, "read", read)
    with Session(lab.namespaces, lab.plan) as session:
        journeys = session.measure([flow(), flow(Family.IPV6)])
    assert [journey.outcome for journey in journeys] == ["unmeasured", "unmeasured"]
    assert "blinded" in (journeys[0].problem or "")


def test_a_silent_trace_is_no_proof(lab: netlab.Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """No event arrives, as on a socket that joined before it was bound: the canary is missing."""
    monkeypatch.setattr(nftrace.TraceSocket, "drain", lambda *_: 0)
    monkeypatch.setattr(sessions, "_CANARY_PATIENCE", 0.05)
    with Session(lab.namespaces, lab.plan) as session:
        (journey,) = session.measure([flow()])
    assert journey.outcome == "unmeasured"
    assert "canary" in (journey.problem or "")


def test_lost_events_make_a_flow_unmeasured(lab: netlab.Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """A receive buffer for two events overruns, and the kernel reports it: no journey has gaps."""
    monkeypatch.setattr(nftrace, "WANTED_BUFFER", 2048)
    with Session(lab.namespaces, lab.plan) as session:
        assert session.tracers[0].socket.capacity < 10
        journeys = session.measure([flow()] * 4)
    assert {journey.outcome for journey in journeys} == {"unmeasured"}
    assert "lost" in (journeys[0].problem or "")


def test_a_fault_that_passes_is_measured_again(lab: netlab.Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    read = nftrace.Decoder.read
    faults = iter([TraceFault("malformed", "once"), TraceFault("malformed", "twice")])

    def stumbling(self: nftrace.Decoder, bodies: list[bytes], numbers: list[int], sink: nftrace.Sink) -> None:
        read(self, bodies, numbers, sink)
        if len(bodies) > 10 and (fault := next(faults, None)) is not None:
            sink.fault(fault)

    monkeypatch.setattr(nftrace.Decoder, "read", stumbling)
    with Session(lab.namespaces, lab.plan) as session:
        (journey,) = session.measure([flow()])
    assert journey.outcome == "ok"
    assert next(faults, None) is None


def test_an_answer_that_came_while_we_were_kept_from_looking_counts(
    lab: netlab.Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All time is over before the first look; the kernel's own answers are there by then."""
    monkeypatch.setattr(sessions, "patience", lambda: 0.0)
    with Session(lab.namespaces, lab.plan) as session:
        outcomes = [j.outcome for j in session.measure([flow(family, 8080) for family in FAMILIES] * 10)]
    assert outcomes == ["refused"] * 20


def test_who_was_kept_from_answering_gets_the_time_that_was_lost(
    lab: netlab.Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first look is late by more than all patience: nothing is a timeout for that."""
    look = InFlight.wait
    looks: list[float] = []

    def late(self: InFlight, seconds: float) -> None:
        look(self, seconds)
        if not looks:
            self.looked += 5.0  # so late that it was
        looks.append(seconds)

    for module in (sessions, probes):
        monkeypatch.setattr(module, "patience", lambda: 0.0)
    monkeypatch.setattr(InFlight, "wait", late)
    with Session(lab.namespaces, lab.plan) as session:
        assert [j.outcome for j in session.measure([flow()])] == ["ok"]
    assert max(looks) > 4


def test_rules_that_change_meanwhile_make_it_unmeasured(
    lab: netlab.Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Session(lab.namespaces, lab.plan) as session:
        host = lab.namespaces["host"]
        fly = session._fly

        def meddle(*arguments: object) -> object:
            with entered(host):
                ruleset.load_nft("table ip meddler { }\ndelete table ip meddler\n")
            return fly(*arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(session, "_fly", meddle)
        (journey,) = session.measure([flow()])
    assert journey.outcome == "unmeasured"
    assert "changed" in (journey.problem or "")


def test_nothing_of_the_host_is_changed(lab: netlab.Lab) -> None:
    """Rules as iptables prints them, and all of nft's: as before, while the session lasts and after it."""
    host = lab.namespaces["host"]

    def rules() -> list[list[str]]:
        """Without the policies' counts, which the flows move, and without comments, which hold the time."""
        with entered(host):
            texts = [ruleset.save(family) for family in FAMILIES]
        return [[line.partition(" [")[0] for line in text.splitlines() if line[:1] != "#"] for text in texts]

    before = rules()
    with entered(host):
        listing = ruleset.list_nft()
    with Session(lab.namespaces, lab.plan) as session:
        session.measure([flow(), flow(Family.IPV6)])
        assert rules() == before
        with entered(host):
            assert TABLE_PREFIX in ruleset.list_nft()
    with entered(host):
        assert TABLE_PREFIX not in ruleset.list_nft()
        assert _without_counts(ruleset.list_nft()) == _without_counts(listing)


def _without_counts(text: str) -> str:
    return re.sub(r"packets \d+ bytes \d+", "", text)


def test_the_instrument_starts_no_conntrack_for_ipv6(lab: netlab.Lab) -> None:
    """With this engine's empty ip6tables the kernel runs none, and a ct expression would have started it."""
    with Session(lab.namespaces, lab.plan) as session:
        (journey,) = session.measure([flow(Family.IPV6)])
    assert journey.outcome == "ok"
    assert conntrack.entries(lab.namespaces["host"], Family.IPV6) == ()


def test_the_tables_go_with_a_process_that_is_killed(lab: netlab.Lab) -> None:
    host = lab.namespaces["host"]
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            with Session(lab.namespaces, lab.plan):
                os.write(write, b"r")
                signal.pause()
        finally:
            os._exit(1)
    try:
        assert os.read(read, 1) == b"r"
        tables = Tables(host)
        assert any(chain.own for chain in tables.base_chains())
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    assert not any(chain.own for chain in tables.base_chains())
    tables.close()
    os.close(read)
    os.close(write)


def test_two_sessions_do_not_see_each_other(lab: netlab.Lab) -> None:
    with Session(lab.namespaces, lab.plan) as one, Session(lab.namespaces, lab.plan) as other:
        (first,), (second,) = one.measure([flow()]), other.measure([flow()])
    for journey in (first, second):
        tables = {hit.table for leg in journey.legs for visit in leg.hooks for hit in visit.rules}
        assert tables == {"nat", "filter"}
        assert [leg.letters for leg in journey.legs] == ["PFS"]


def test_hundreds_of_flows_at_once_are_distinguished(lab: netlab.Lab) -> None:
    flows = [flow(family) for family in FAMILIES for _ in range(150)]
    with Session(lab.namespaces, lab.plan) as session:
        journeys = session.measure(flows)
    assert [journey.path for journey in journeys] == ["forward"] * 150 + ["proxy"] * 150
    assert len({journey.flow.src for journey in journeys}) == 300
    assert {(journey.outcome, journey.answered_by) for journey in journeys} == {("ok", "httpd")}
    assert {tuple(leg.letters for leg in journey.legs) for journey in journeys} == {("PFS",), ("PI", "OS")}


def test_a_drop_ends_the_wait_and_a_reject_does_not(lab: netlab.Lab) -> None:
    """A REJECT's verdict is a drop as well, but its answer is still on the way."""
    host = lab.namespaces["host"]
    rules = "*filter\n-I INPUT -p tcp --dport 7001 -j REJECT --reject-with icmp-host-prohibited\n"
    rules += "-I INPUT -p tcp --dport 7002 -j REJECT --reject-with tcp-reset\n"
    rules += "-I INPUT -p tcp --dport 7003 -j DROP\nCOMMIT\n"
    with entered(host):
        ruleset.load_iptables(Family.IPV4, rules)
    try:
        with Session(lab.namespaces, lab.plan) as session:
            rejected, reset, dropped = session.measure([flow(port=port) for port in (7001, 7002, 7003)])
    finally:
        with entered(host):
            ruleset.load_iptables(Family.IPV4, rules.replace("-I", "-D"))
    assert rejected.outcome == "unreachable"
    assert rejected.icmp is not None
    assert (rejected.icmp.type, rejected.icmp.code, rejected.icmp.sender) == (3, 10, "198.51.100.1")
    assert reset.outcome == "refused"
    assert dropped.outcome == "timeout"
    for journey, port in ((rejected, 7001), (reset, 7002), (dropped, 7003)):
        assert journey.decided_by.kind == "rule"
        assert f"--dport {port}" in (journey.decided_by.rule or "")
        assert journey.path == "local"


def test_reasons_come_from_the_plan(lab: netlab.Lab) -> None:
    with Session(lab.namespaces, lab.plan) as session:
        (journey,) = session.measure([flow()])
    assert "httpd" in (journey.decided_by.reason or "")
    reasons = [hit.reason for leg in journey.legs for visit in leg.hooks for hit in visit.rules if hit.rule]
    assert all(reasons)


def test_an_unknown_node_is_the_users_error(lab: netlab.Lab) -> None:
    with Session(lab.namespaces, lab.plan) as session, pytest.raises(UsageError, match="nobody"):
        session.measure([replace(flow(), origin="nobody")])
