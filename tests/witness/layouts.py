"""The labs of the witness, and the flows that are asked in them."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass

import netlab
from netlab.lab.probe_options import flows as asked_flows
from netlab.model.flow import Flow
from witness.rules import Place, run

ENGINES = ("docker-19.03", "docker-20.10", "docker-24", "docker-26", "docker-27", "docker-28", "docker-29")
FIREWALLS = ("none", "none", "ufw", "firewalld")


@dataclass(frozen=True, slots=True)
class Question:
    """A flow that may be asked: its text, and for rules its ports (as asked, as served), ends and host."""

    text: str
    ports: tuple[int, ...]
    origin: str
    target: str
    host: str = "host"
    both: bool = False  #: of both families, if the lab has them

    @property
    def protocol(self) -> str:
        """``tcp`` or ``udp``."""
        return self.text.rpartition("/")[2].partition(" ")[0]


@dataclass(frozen=True, slots=True)
class Layout:
    """A kind of lab."""

    name: str
    scenario: str
    containers: Mapping[str, str]  #: container → host
    questions: tuple[Question, ...]

    def draw(self, rng: random.Random) -> dict[str, str]:
        """Engine, firewall and proxy of a lab."""
        words = {"engine": rng.choice(ENGINES), "firewall": rng.choice(FIREWALLS)}
        words["proxy"] = rng.choice(["true", "false"])
        return words

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts."""
        return tuple(dict.fromkeys(self.containers.values()))

    @property
    def nodes(self) -> tuple[str, ...]:
        """Every node."""
        return (*self.hosts, *self.containers, "client", "neighbour")


ONE = Layout(
    "one host",
    """
services:
  web: {{image: nginx, ports: ["8080:80", "8053:53/udp"], expose: ["9000"]}}
  db: {{image: nginx, expose: ["5432"]}}
  third: {{image: nginx, expose: ["5432"]}}
  api: {{image: nginx, ports: ["9090:90"], networks: [back]}}
networks:
  back: {{enable_ipv6: true, ipam: {{config: [{{subnet: 172.30.0.0/24}}, {{subnet: "fd00:9::/64"}}]}}}}
x-netlab:
  host:
    engine: {engine}
    daemon: {{userland-proxy: {proxy}}}
    firewall: {firewall}
""",
    {"web": "host", "db": "host", "third": "host", "api": "host"},
    (
        Question("client -> host:8080/tcp", (8080, 80), "client", "web", both=True),
        Question("client -> host:8053/udp", (8053, 53), "client", "web", both=True),
        Question("client -> host:9090/tcp", (9090, 90), "client", "api", both=True),
        Question("neighbour -> host:8080/tcp", (8080, 80), "neighbour", "web", both=True),
        Question("client -> web:80/tcp", (80,), "client", "web"),
        Question("client -> host:81/tcp", (81,), "client", "web", both=True),
        Question("web -> db:5432/tcp", (5432,), "web", "db"),
        Question("web -> third:99/tcp", (99,), "web", "third"),
        Question("web -> api:90/tcp", (90,), "web", "api"),
        Question("web -> client:7000/tcp", (7000,), "web", "client"),
        Question("web -> client:7000/udp", (7000,), "web", "client"),
        Question("api -> client:7000/tcp", (7000,), "api", "client", both=True),
        Question("host -> web:80/tcp", (80,), "web", "web"),
        Question("host -> client:7000/udp", (7000,), "client", "client", both=True),
        Question("host -> localhost:8080/tcp", (8080, 80), "web", "web", both=True),
        Question("db -> host:8080/tcp", (8080, 80), "db", "web"),
        Question("web -> host:8080/tcp", (8080, 80), "web", "web"),
        Question("db -> host:8053/udp", (8053, 53), "db", "web"),
        Question("api -> host:9090/tcp", (9090, 90), "api", "api", both=True),
        Question("web -> localhost:80/tcp", (80,), "web", "web"),
        Question("client -> host/icmp", (80,), "client", "client", both=True),
        Question("web -> client/icmp", (80,), "web", "client"),
        Question("client -> web/icmp", (80,), "client", "web"),
        Question("web -> db/icmp", (80,), "web", "db"),
        Question("web -> api/icmp", (80,), "web", "api"),
        Question("host -> web/icmp", (80,), "web", "web"),
        Question("api -> client/icmp", (80,), "api", "client", both=True),
        Question("web -> host/icmp", (80,), "web", "web"),
        Question("client -> neighbour/icmp via host", (80,), "client", "neighbour", both=True),
        Question("neighbour -> web:80/tcp via host", (80,), "neighbour", "web"),
        Question("client -> db:5432/tcp via host", (5432,), "client", "db"),
        Question("client -> neighbour:7000/tcp via host", (7000,), "client", "neighbour", both=True),
        Question("client -> neighbour:7000/udp via host", (7000,), "client", "neighbour"),
        Question("web -> db:5432/tcp via host", (5432,), "web", "db"),
        Question("web -> api:90/tcp via host", (90,), "web", "api"),
        Question("neighbour -> api:90/tcp via host", (90,), "neighbour", "api", both=True),
        Question("client -> host:8080/tcp from 198.51.100.3", (8080, 80), "client", "web"),
        Question("client -> host:8080/tcp from 203.0.113.9", (8080, 80), "client", "web"),
        Question("client -> host:8053/udp from 203.0.113.9", (8053, 53), "client", "web"),
        Question("web -> host:8080/tcp from 172.30.0.77", (8080, 80), "web", "web"),
        Question("client -> web:80/tcp via host from 172.18.0.99", (80,), "client", "web"),
    ),
)
TWINS = Layout(
    "two hosts with equal subnets",
    """
services:
  web: {{image: nginx, ports: ["8080:80", "8053:53/udp"], expose: ["9000"]}}
  db: {{image: nginx, expose: ["5432"]}}
  shop: {{image: nginx, ports: ["8080:80", "8053:53/udp"], expose: ["9000"]}}
  store: {{image: nginx, expose: ["5432"]}}
x-netlab:
  hosts:
    one:
      engine: {engine}
      daemon: {{userland-proxy: {proxy}}}
      firewall: {firewall}
      interfaces: {{ext0: {{addresses: [198.51.100.1/24, "2001:db8:1::1/64"]}}}}
    two:
      engine: {engine}
      daemon: {{userland-proxy: {proxy}}}
      firewall: {firewall}
      interfaces: {{ext0: {{addresses: [198.51.100.4/24, "2001:db8:1::4/64"]}}}}
  services:
    web: {{host: one}}
    db: {{host: one}}
    shop: {{host: two}}
    store: {{host: two}}
""",
    {"web": "one", "db": "one", "shop": "two", "store": "two"},
    (
        Question("client -> one:8080/tcp", (8080, 80), "client", "web", "one", both=True),
        Question("client -> two:8080/tcp", (8080, 80), "client", "shop", "two", both=True),
        Question("client -> one:8053/udp", (8053, 53), "client", "web", "one", both=True),
        Question("client -> two:8053/udp", (8053, 53), "client", "shop", "two", both=True),
        Question("web -> two:8080/tcp", (8080, 80), "web", "shop", "two"),
        Question("shop -> one:8080/tcp", (8080, 80), "shop", "web", "one"),
        Question("web -> two:8053/udp", (8053, 53), "web", "shop", "one"),
        Question("web -> db:5432/tcp", (5432,), "web", "db", "one"),
        Question("shop -> store:5432/tcp", (5432,), "shop", "store", "two"),
        Question("web -> client:7000/tcp", (7000,), "web", "client", "one"),
        Question("shop -> client:7000/tcp", (7000,), "shop", "client", "two"),
        Question("one -> localhost:8080/tcp", (8080, 80), "web", "web", "one", both=True),
        Question("two -> localhost:8080/tcp", (8080, 80), "shop", "shop", "two", both=True),
        Question("one -> two:8080/tcp", (8080, 80), "shop", "shop", "two", both=True),
        Question("client -> two:81/tcp", (81,), "client", "shop", "two", both=True),
        Question("client -> one/icmp", (80,), "client", "client", "one", both=True),
        Question("web -> two/icmp", (80,), "web", "web", "one"),
        Question("one -> two/icmp", (80,), "web", "web", "one", both=True),
        Question("client -> shop:80/tcp via two", (80,), "client", "shop", "two"),
        Question("client -> web:80/tcp via one", (80,), "client", "web", "one"),
        Question("client -> web/icmp via one", (80,), "client", "web", "one"),
        Question("client -> two:8080/tcp from 198.51.100.1", (8080, 80), "client", "shop", "two"),
    ),
)
LAYOUTS = (ONE, ONE, ONE, TWINS)


def place_of(lab: netlab.Lab, layout: Layout, rng: random.Random) -> tuple[Place, Question]:
    """A question to hit, and what rules may be about."""
    question = rng.choice(layout.questions)
    here = tuple(name for name, host in layout.containers.items() if host == question.host)
    addresses = {
        name: next(a for a in lab.plan.node(name).interfaces[0].addresses if ":" not in a).partition("/")[0]
        for name in here
    }
    chains = ["INPUT", "FORWARD", "OUTPUT"]
    saved = run(lab.namespaces[question.host], ["iptables-save", "-t", "filter"])
    chains += ["DOCKER-USER"] * (":DOCKER-USER" in saved)
    host = lab.plan.node(question.host)
    devices = tuple(i.name for i in host.interfaces if i.kind != "bridge" and i.name != "lo")
    family = 6 if question.both and rng.random() < 0.3 else 4
    place = Place(
        question.host, here, addresses, tuple(chains), devices, question.protocol, question.ports, family,
        question.origin, question.target,
    )  # fmt: skip
    return place, question


def flows_of(lab: netlab.Lab, questions: list[Question]) -> list[Flow]:
    """The flows of some questions, each once."""
    found: dict[Flow, None] = {}
    for question in questions:
        for flow in asked_flows(lab.plan, question.text, None if question.both else 4, {}):
            found[flow] = None
    return list(found)
