"""A fake lab answers with recorded journeys, and with nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import netlab
from netlab.journey.expand import claims
from netlab.journey.matrix import matrix
from netlab.lab.lab import Lab
from netlab.model.flow import Flow
from netlab.model.journey import Journey, JourneyFlow, Sees
from netlab.model.plan import Plan
from netlab.testing import FakeLab

SEED = Path(__file__).parents[3] / "scenarios/httpd.yaml"


def recorded(family: str, path: str, sees: str, outcome: str = "ok") -> Journey:
    """A journey of the client to the published port."""
    asked = JourneyFlow("client", "host:80/tcp", family, None, "198.51.100.1:80")
    return Journey(asked, outcome, path, "httpd", Sees(sees, None), problem="lost")  # type: ignore[arg-type]


IPV4 = recorded("ipv4", "forward", "198.51.100.2")
IPV6 = recorded("ipv6", "proxy", "192.168.10.1")


def is_published(lab: Lab | FakeLab) -> bool:
    """A helper of somebody's suite."""
    return lab.probe("client -> host:80", family=4).outcome == "ok"


def test_a_helper_cannot_tell_it_from_a_lab() -> None:
    with FakeLab(SEED, journeys=[IPV4, IPV6]) as lab:
        assert is_published(lab)
        assert lab.probe_all("client -> host:80") == [IPV4, IPV6]
        assert lab.name == "httpd"
        lab.expect("client -> host:80", ipv4="ok forward, sees client", ipv6="ok proxy, sees 192.168.10.1")
        with pytest.raises(netlab.ExpectationFailed, match="expected proxy, measured forward"):
            lab.expect("client -> host:80", ipv4="proxy")


def test_what_is_printed_is_what_the_command_line_prints() -> None:
    lab = FakeLab(SEED, journeys=[IPV4, IPV6])
    assert (
        str(lab.probe("client -> host:80", 4)).splitlines()[0] == "client -> host:80/tcp  IPv4  ok, forward"
    )
    with pytest.raises(netlab.ExpectationFailed) as caught:
        lab.expect("client -> host:80", ipv6="timeout")
    first, second, *_ = str(caught.value).splitlines()
    assert first == "client -> host:80/tcp ipv6: outcome: expected timeout, measured ok"
    assert second == "client -> host:80/tcp  IPv6  ok, proxy"


def test_journeys_come_from_what_probe_printed(tmp_path: Path) -> None:
    file = tmp_path / "journeys.jsonl"
    file.write_text("".join(json.dumps(one.to_json()) + "\n" for one in (IPV4, IPV6)))
    assert FakeLab(SEED, journeys=file).probe("client -> host:80", 6) == IPV6
    assert FakeLab(SEED, journeys=[IPV4.to_json()]).probe("client -> host:80", 4) == IPV4
    file.write_text(f"{json.dumps(IPV4.to_json())}\n\n{{}}\n")
    with pytest.raises(netlab.UsageError, match=r"journeys\.jsonl:3: not a journey"):
        FakeLab(SEED, journeys=file)
    with pytest.raises(netlab.UsageError, match="cannot read"):
        FakeLab(SEED, journeys=tmp_path / "none")


def test_it_never_guesses() -> None:
    lab = FakeLab(SEED, journeys=[IPV4])
    with pytest.raises(netlab.UsageError, match="ipv6: no journey of this flow was recorded"):
        lab.probe("client -> host:80", family=6)
    with pytest.raises(netlab.UsageError, match="syn: a recorded journey does not say"):
        lab.probe("client -> host:80", family=4, syn=True)
    with pytest.raises(netlab.UsageError, match="source was chosen"):
        lab.probe("client:4000 -> host:80", family=4)
    with pytest.raises(netlab.UsageError, match="no journey of this flow"):
        lab.matrix()
    with pytest.raises(netlab.UsageError, match="no journey of this flow"):
        lab.probe("client -> host:80 via host", family=4)
    with pytest.raises(AttributeError):
        lab.exec("client", ["true"])  # type: ignore[attr-defined]


def test_what_was_unmeasured_stays_so() -> None:
    lab = FakeLab(SEED, journeys=[recorded("ipv4", "none", "::", "unmeasured")])
    with pytest.raises(netlab.Unmeasured, match="lost"):
        lab.probe("client -> host:80", family=4)


def refused(flows: list[Flow], plan: Plan) -> list[Journey]:
    """A journey of each flow, and of each that the plan expects anything of."""
    asked = [*flows, *(claim.flow for claim in claims(plan.expect, plan))]
    return [
        Journey(JourneyFlow(f.origin, f.to, f.family.word, None, "", f.via), "refused", "local")
        for f in asked
    ]


def test_verify_and_matrix_are_of_what_was_recorded() -> None:
    plan = netlab.load_plan([SEED])
    cells = matrix(plan)
    lab = FakeLab(plan=plan, journeys=refused([cell.flow for cell in cells], plan))
    answers = lab.matrix().answers
    assert len(answers) == len(cells)
    assert {journey.outcome for _, journey in answers.values()} == {"refused"}
    head, *_, foot = str(lab.matrix()).splitlines()
    assert head.split() == ["TO", "host,", "httpd", "client,", "neighbour", "ITSELF"]
    assert foot == "refused: a reset came back"
    verdicts = lab.verify()
    assert len(verdicts) == len(claims(plan.expect, plan))
    assert "failed" in {verdict.word for verdict in verdicts}


def test_files_or_a_plan() -> None:
    with pytest.raises(netlab.UsageError, match="either files and options, or a plan"):
        FakeLab(SEED, plan=netlab.load_plan([SEED]))


def test_it_needs_no_kernel() -> None:
    program = (
        "import sys; from netlab.testing import FakeLab; "
        f"print(FakeLab({str(SEED)!r}), *(m for m in sys.modules if m.startswith('netlab.kernel')))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "<netlab.testing.FakeLab httpd, 0 journeys>\n"
