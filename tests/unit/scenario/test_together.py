"""Several Compose projects in one lab: what they share, what clashes, and what things are called.

Compose's own words for networks of other projects are those of Compose 2.40 (pkg/compose/create.go).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from netlab.lab.load import load_plan, load_scenario
from netlab.model.errors import UsageError
from netlab.model.plan import Plan
from netlab.model.problem import ScenarioError

EDGE = """
name: edge
services:
  proxy: {image: "traefik:v3", ports: ["80:80"], networks: [web]}
  db: {image: "redis:7"}
networks: {web: {name: web}}
"""
APP = """
name: app
services:
  site: {image: "nginx:1", networks: [web, default], external_links: ["edge-proxy-1:front"]}
  db: {image: "postgres:16"}
  sniff: {image: "netshoot:1", network_mode: "container:edge-proxy-1"}
  guest: {image: "netshoot:1", network_mode: "service:db", depends_on: [db]}
networks: {web: {external: true}}
x-netlab:
  host: {engine: docker-28}
  events: [stop site, "connect db web", start site]
  expect:
    - flow: "[site, db] -> db@default:5432"
      ipv4: {outcome: ok, sees: db}
    - event: stop db
    - flow: site -> edge-db:6379
      ipv4: ok
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in (("edge", EDGE), ("app", APP)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "compose.yaml").write_text(text)
    return tmp_path


def both(folder: Path, first: str = "edge", second: str = "app") -> Plan:
    return load_plan([folder / first / "compose.yaml", "+", folder / second / "compose.yaml"])


def test_networks_containers_and_links_of_a_neighbour_are_real(folder: Path) -> None:
    plan = both(folder)
    assert plan.name == "edge"
    members = {network.key: [m for m, _, _ in network.members] for network in plan.networks}
    assert members["web"] == ["proxy", "app-db", "site"]
    assert (members["edge_default"], members["app_default"]) == (["edge-db"], ["app-db", "site"])
    assert plan.node("sniff").namespace == "proxy"
    assert plan.node("guest").namespace == "app-db"
    containers = {node.name: node.container for node in plan.nodes if node.kind == "container"}
    assert containers == {
        "proxy": "edge-proxy-1",
        "edge-db": "edge-db-1",
        "site": "app-site-1",
        "app-db": "app-db-1",
        "sniff": "app-sniff-1",
        "guest": "app-guest-1",
    }
    (site,) = (resolver for resolver in plan.resolvers if resolver.node == "site")
    assert ("front", "web", "edge-proxy-1") in [(a, n, name) for a, n, name in site.aliases]
    names = {n.key: {name.name for name in n.names} for n in plan.networks}
    assert "db" in names["edge_default"] & names["app_default"]
    assert {node.engine for node in plan.nodes if node.kind == "host"} == {"docker-28"}


def test_each_project_s_networks_come_before_its_containers(folder: Path) -> None:
    """As if ``docker compose up`` ran in one folder after the other: subnets are taken in this order."""
    subnets = {network.key: network.subnets[0] for network in both(folder).networks}
    assert subnets == {
        "bridge": "172.17.0.0/16",
        "web": "172.18.0.0/16",
        "edge_default": "172.19.0.0/16",
        "app_default": "172.20.0.0/16",
    }


def test_a_project_s_own_words_mean_its_own(folder: Path) -> None:
    scenario = load_scenario([folder / "edge" / "compose.yaml", "+", folder / "app" / "compose.yaml"])
    assert [event.words for event in scenario.events] == [
        ("stop", "site"),
        ("connect", "app-db", "web"),
        ("start", "site"),
    ]
    first, second = scenario.expect
    assert first.pattern.origins == ("site", "app-db")
    assert (first.pattern.target.name, first.pattern.target.network) == ("app-db", "app_default")
    assert first.expected[0][1].sees == "app-db"
    assert [event.words for event in second.after] == [("stop", "app-db")]
    assert second.pattern.target.name == "edge-db"


def test_alone_a_project_is_as_it_was(folder: Path) -> None:
    alone = load_plan([folder / "edge" / "compose.yaml"])
    together = both(folder)
    assert alone.node("proxy").interfaces == together.node("proxy").interfaces
    (before,), (after,) = alone.node("db").interfaces, together.node("edge-db").interfaces
    assert (before.addresses, before.mac, before.peer) == (after.addresses, after.mac, after.peer)


CLASHES = [
    ("name: two\nservices: {x: {image: a, ports: ['80:80']}}", "published by services.proxy already (", 2),
    ("name: two\nservices: {x: {image: a, container_name: edge-db-1}}", "is services.db's already (", 2),
    ("name: edge\nservices: {db: {image: a}}", "there is another service db in the lab (", 2),
    (
        "name: two\nservices: {x: {image: a, networks: [n]}}\nnetworks: {n: {name: web}}",
        'incorrect label com.docker.compose.project set to "edge" (expected: "two"): it is networks.web (',
        3,
    ),
    (
        "name: edge\nservices: {x: {image: a, networks: [n]}}\nnetworks: {n: {name: web, internal: true}}",
        "networks.n differs from networks.web (",
        3,
    ),
    ("name: two\nservices: {x: {image: a, network_mode: 'container:edge-bd-1'}}", 'mean "edge-db-1"', 2),
]


@pytest.mark.parametrize(("text", "said", "line"), CLASHES)
def test_what_two_projects_claim_has_both_places(folder: Path, text: str, said: str, line: int) -> None:
    other = folder / "two.yaml"
    other.write_text(text)
    with pytest.raises(ScenarioError) as caught:
        load_plan([folder / "edge" / "compose.yaml", "+", other])
    (problem,) = caught.value.problems
    assert said in problem.message
    assert (problem.position.file, problem.position.line) == (str(other), line)
    assert f"{folder}/edge/compose.yaml:" in problem.message or "edge-db-1" in problem.message


def test_a_network_or_container_of_a_later_project_is_not_there_yet(folder: Path) -> None:
    with pytest.raises(
        ScenarioError, match=r"could not be found; edge makes it later .*name that project first"
    ):
        both(folder, "app", "edge")
    app = folder / "app" / "compose.yaml"
    app.write_text("name: app\nservices: {x: {image: a, network_mode: 'container:edge-db-1'}}\n")
    with pytest.raises(ScenarioError, match=r"app/compose.yaml:2:40: .*No such container: edge-db-1; edge"):
        both(folder, "app", "edge")


def test_one_project_alone_describes_the_hosts(folder: Path) -> None:
    edge = folder / "edge" / "compose.yaml"
    edge.write_text(EDGE + "x-netlab: {internet: true}\n")
    with pytest.raises(
        ScenarioError, match=r"x-netlab.internet of edge describes the lab's hosts already \("
    ):
        both(folder)


def test_options_that_are_of_one_project(folder: Path) -> None:
    files = [folder / "edge" / "compose.yaml", "+", folder / "app" / "compose.yaml"]
    for option in ({"project_name": "x"}, {"project_directory": str(folder)}):
        with pytest.raises(UsageError, match="one project"):
            load_plan(files, **option)  # type: ignore[arg-type]
    plan = load_plan(files, scale={"db": 2})
    assert {"edge-db-1", "edge-db-2", "app-db-1", "app-db-2"} <= {node.name for node in plan.nodes}
    with pytest.raises(ScenarioError, match="no service"):
        load_plan(files, scale={"nobody": 2})
    with pytest.raises(UsageError, match="no scenario file"):
        load_plan([files[0], "+"])


def test_external_networks_of_both_are_one(folder: Path) -> None:
    for name in ("edge", "app"):
        text = f"name: {name}\nservices: {{{name}s: {{image: 'nginx:1', networks: [out]}}}}\n"
        text += "networks: {out: {external: true, name: shared}}\n"
        described = "x-netlab: {networks: {out: {ipam: {config: [{subnet: 10.9.0.0/24}]}}}}\n"
        (folder / name / "compose.yaml").write_text(text + (described if name == "app" else ""))
    (network,) = (network for network in both(folder).networks if network.name == "shared")
    assert network.subnets == ("10.9.0.0/24",)
    assert [member for member, _, _ in network.members] == ["edges", "apps"]
