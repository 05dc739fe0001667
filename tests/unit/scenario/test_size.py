"""A few words that ask for millions of things: counted and refused, in bounded memory and processor time."""

from __future__ import annotations

import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from netlab.engine.ipam import Pools
from netlab.model import limits
from netlab.model.family import Family
from netlab.model.limits import Limit
from netlab.plan import make
from netlab.scenario import load
from netlab.scenario.addresses import subnet
from netlab.scenario.check_size import count_ports
from netlab.scenario.tree import Value

MEMORY = 512 << 20  #: bytes of address space
SECONDS = 20  #: of processor time, most of which is Python's start on a slow machine


def repeated(line: str, count: int) -> str:
    """``line`` so many times, with its number in it."""
    return "".join(line.format(n=n, hi=n // 250, lo=n % 250) for n in range(count))


OUTSIDE = "    n{n}: {{addresses: [198.51.{hi}.{lo}/16], listen: [1-65535, 1-65535/udp]}}\n"
ATTACKS = {
    "ranges": 'services: {a: {ports: ["1-65535:1-65535", "1-65535:1-65535/udp", "1-65535/sctp"]}}',
    "ranges of many addresses": "services: {a: {ports: ["
    + repeated('"127.0.{hi}.{lo}:1-65535:1-65535", ', 300)
    + "]}}",
    "exposed": "services:\n" + repeated('  s{n}: {{expose: ["1-65535", "1-65535/udp"]}}\n', 200),
    "listen": "services: {a: {}}\nx-netlab:\n  outside:\n" + repeated(OUTSIDE, 200),
    "replicas and ports": 'services: {a: {scale: 100000, expose: ["1-65535"]}}',
    "replicas": "services: {a: {scale: 100000, network_mode: none}}",
    "a service that no profile enables": 'services: {a: {}, b: {profiles: [x], expose: ["1-65535"]}}',
    "networks": "services: {a: {}}\nnetworks:\n" + repeated("  n{n}: {{}}\n", 5000),
    "networks and services": "services:\n"
    + repeated("  s{n}: {{networks: &n [" + repeated("n{n}, ", 200) + "]}}\n", 1)
    + repeated("  t{n}: {{networks: *n}}\n", 150)
    + "networks:\n"
    + repeated("  n{n}: {{}}\n", 200),
    "names of all": "services: {a: {scale: 1000, extra_hosts: ["
    + repeated('"h{n}:10.0.0.1", ', 5000)
    + "]}}",
    "aliases of all": "services: {a: {scale: 1000, networks: {n: {aliases: ["
    + repeated("h{n}, ", 5000)
    + "]}}}}\nnetworks: {n: {}}",
    "links": 'services:\n  a: {expose: ["1-5000"]}\n' + repeated("  s{n}: {{links: [a]}}\n", 100),
    "flows": 'services: {a: {}}\nx-netlab: {expect: [{flow: "[host, a] -> a:1-65535", '
    "both: {outcome: refused}}]}",
    "flows of patterns": 'services: {a: {scale: 500}}\nx-netlab: {expect: [{flow: "a* -> a-1:1-100", '
    "both: {outcome: refused}}]}",
    "many patterns": "services: {a: {scale: 5000}}\nx-netlab:\n  expect:\n"
    + repeated('    - {{flow: "x{n}* -> a:1", both: {{outcome: ok}}}}\n', 2000),
    "events between flows": "services: {a: {scale: 900}}\nx-netlab:\n  expect:\n"
    + repeated('    - event: restart a-1\n    - {{flow: "client -> a-1:1", both: {{outcome: ok}}}}\n', 300),
    "events": "services: {a: {}}\nx-netlab: {events: [" + repeated("restart a, ", 20_000) + "]}",
    "lines": "services: {a: {}}\nx-netlab: {rules: [" + repeated("ip -4 rule, ", 20_000) + "]}",
    "addresses": "services: {a: {}}\nx-netlab: {host: {addresses: ["
    + repeated("10.{hi}.{lo}.1/8, ", 20_000)
    + "]}}",
    "bridges": "services: {a: {}}\nx-netlab: {host: {bridges: {" + repeated("b{n}: , ", 5000) + "}}}",
    "routes": "services: {a: {}}\nx-netlab: {outside: {n: {addresses: [198.51.100.2/24], routes: ["
    + repeated('"10.{hi}.{lo}.0/24 via 198.51.100.1", ', 33_000)
    + "]}}}",
    "hosts": "services: {a: {}}\nx-netlab:\n  outside:\n"
    + repeated("    n{n}: {{addresses: [198.51.{hi}.{lo}/16]}}\n", 1100),
}


def bounded() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))


def test_attacks_are_refused_at_their_place_and_cost_little(tmp_path: Path) -> None:
    """One process for all of them: what any takes, all of them together must not."""
    for number, text in enumerate(ATTACKS.values()):
        (tmp_path / f"{number}.yaml").write_text(text + "\n")
    code = (
        "import sys\n"
        "from netlab.model.problem import ScenarioError\n"
        "from netlab.scenario import load\n"
        "for name in sys.argv[1:]:\n"
        "    try:\n"
        "        load([name], environ={})\n"
        "        print('accepted')\n"
        "    except ScenarioError as error:\n"
        "        print(str(error).splitlines()[-1])\n"
    )
    files = [str(tmp_path / f"{number}.yaml") for number in range(len(ATTACKS))]
    done = subprocess.run(
        [sys.executable, "-c", code, *files], capture_output=True, text=True, preexec_fn=bounded, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    for name, said in zip(ATTACKS, done.stdout.splitlines(), strict=True):
        assert re.search(r"\.yaml:\d+:\d+: [0-9,]+ [a-z].*: a lab takes at most [0-9,]+", said), (name, said)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("80", 1),
        ("8000-8010", 11),
        ("80:8000-8010/udp", 11),
        ("127.0.0.1:80:80", 1),
        ("[::1]:1-3:4-6", 3),
        (":80", 1),
        ("53/udp", 1),
        ("10-1", 0),
        ("http", 0),
    ],
)
def test_ports_are_counted_as_they_will_be_read(text: str, count: int) -> None:
    assert count_ports(Value(text, ("f", 1, 1))) == count


def test_what_people_have_is_below_every_limit(tmp_path: Path) -> None:
    """4000 containers on four networks, 10,000 flows, a range of RTP ports."""
    file = tmp_path / "large.yaml"
    services = "".join(
        f"  s{n}: {{scale: 1000, networks: [n{n}], expose: ['80', 53/udp]}}\n" for n in range(4)
    )
    file.write_text(
        f"services:\n{services}  sip: {{networks: [n5], ports: ['10000-20000:10000-20000/udp']}}\n"
        "networks: {n0: , n1: , n2: , n3: , n5: }\n"
        'x-netlab: {expect: [{flow: "s0-1 -> s1-1:1-5000", both: {outcome: refused}}]}\n'
    )
    scenario = load([file], environ={})
    assert sum(service.replicas for service in scenario.services) == 4001


def test_a_pool_of_millions_is_no_search_of_millions() -> None:
    """Subnets are handed out in order, past what is in use, whatever is in the way."""
    pools = Pools(
        ((subnet("10.0.0.0/8"), 30), (subnet("fd00::/8"), 128)), (subnet("10.0.0.0/9"), subnet("fd00::/9"))
    )
    assert [str(pools.elect(Family.IPV4)) for _ in range(900)][-1] == "10.128.14.12/30"
    assert str(pools.elect(Family.IPV6)) == "fd80::/128"
    pools.release(subnet("10.128.0.8/30"))
    assert str(pools.elect(Family.IPV4)) == "10.128.0.8/30"
    full = Pools(((subnet("10.0.0.0/24"), 26),), (subnet("10.0.0.64/27"), subnet("10.0.0.192/26")))
    assert [str(full.peek(Family.IPV4)), str(full.elect(Family.IPV4))] == ["10.0.0.0/26", "10.0.0.0/26"]
    assert str(full.elect(Family.IPV4)) == "10.0.0.128/26"
    assert full.peek(Family.IPV4) is None


def test_the_page_says_every_limit() -> None:
    page = (Path(__file__).parents[3] / "docs" / "limits.md").read_text()
    known = [value for value in vars(limits).values() if isinstance(value, Limit)]
    assert len(known) > 10
    for limit in known:
        assert f"| {limit.most:,} |" in page, limit


def test_a_published_range_plans(tmp_path: Path) -> None:
    file = tmp_path / "rtp.yaml"
    file.write_text('services: {sip: {ports: ["10000-10999:10000-10999/udp"]}}\n')
    assert len(make(load([file], environ={})).publications) == 1000
