"""``netlab graph``: every drawing shows the whole topology, and a name is text in each of them."""

from __future__ import annotations

import itertools
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from rich.cells import cell_len

import netlab
from netlab.cli.main import main
from netlab.model.plan import Plan
from netlab.model.shown import shown_in_line
from netlab.view.graph import FORMS, draw
from netlab.view.graph.mermaid import quoted as mermaid_quoted
from netlab.view.graph.narrow import narrow_svg
from netlab.view.graph.text import text
from netlab.view.graph.topology import Topology, topology

ROOT = Path(__file__).parents[3]
SEED = ROOT / "scenarios" / "httpd.yaml"
#: The gallery, one engine with rules in nftables, and Compose files with many networks.
SCENARIOS = sorted((ROOT / "scenarios").glob("*.yaml"))
HOSTILE = (
    '</title><script>alert(1)</script>"; a -- b [label="\\N" URL="x"]; &amp;<br/>#35;\n'
    "click m0 call alert() %%{init}%%\x1b]0;x\x07\u202e"
)
SVG = "{http://www.w3.org/2000/svg}"


def plan_of(path: Path) -> Plan:
    return netlab.load_plan([path])


def veth_pairs(plan: Plan) -> list[tuple[str, str]]:
    """(bus's end, machine's interface) of every veth pair of a plan, sorted."""
    return sorted(
        (interface.name, interface.peer[1])
        for node in plan.nodes
        for interface in node.interfaces
        if interface.peer is not None and interface.master is not None
    )


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_the_topology_has_every_veth_pair_and_machine_once(path: Path) -> None:
    plan = plan_of(path)
    found = topology(plan)
    ends = [(end.port, end.interface) for bus in found.buses for _, end in found.links(bus)]
    assert sorted(ends) == veth_pairs(plan)
    names = [name for machine in found.machines for name in (machine.name, *machine.guests)]
    assert sorted(names) == sorted(node.name for node in plan.nodes if node.kind != "segment")
    assert len(found.ports) == len(plan.publications)
    shown = [*found.outside, *found.hosts, *(one for host in found.hosts for one in found.inside(host.name))]
    assert sorted(shown, key=lambda one: one.name) == sorted(found.machines, key=lambda one: one.name)


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
@pytest.mark.parametrize("form", FORMS)
def test_every_drawing_has_every_name_and_address(path: Path, form: str) -> None:
    plan = plan_of(path)
    drawn = plan.graph(form)
    words = plain(drawn, form) if form != "text" else re.sub(r"[│║\s]+", " ", drawn)
    for node in plan.nodes:
        for interface in node.interfaces:
            if interface.master is None or interface.peer is not None:
                assert interface.name in words or node.kind == "segment"
            for address in interface.addresses:
                assert address in words, address
    for entry in plan.publications:
        assert f":{entry.host_port}/{entry.protocol}" in words


def plain(drawn: str, form: str) -> str:
    """What a reader of the drawing sees, without what the language adds."""
    if form == "svg":
        return " ".join(one.text or "" for one in ElementTree.fromstring(drawn).iter(f"{SVG}text"))
    if form == "mermaid":
        return re.sub(r"#(\d+);", lambda found: chr(int(found[1])), drawn.replace("<br/>", " "))
    return drawn.replace("\\n", " ")


def test_the_seed_in_the_terminal() -> None:
    assert (
        plan_of(SEED).graph()
        == """\
httpd: docker-20.10, 1 container on 2 networks, 2 ports published

══ segment ext ═════════════════════════════════════════════════════════════════
├── host-ext0 ──────── ext0 [host]       198.51.100.1/24
│                                        2001:db8:1::1/64
├── client-eth0 ────── eth0 [client]     198.51.100.2/24
│                                        2001:db8:1::2/64
└── neighbour-eth0 ─── eth0 [neighbour]  198.51.100.3/24
                                         2001:db8:1::3/64

┌─ host ─ docker-20.10 ────────────────────────────────────────────────────────┐
│ published                                                                    │
│   *:443/tcp ──▶ httpd:443  docker-proxy on 0.0.0.0 and [::]                  │
│   *:80/tcp  ──▶ httpd:80   docker-proxy on 0.0.0.0 and [::]                  │
│                                                                              │
│ ══ docker0 (bridge, network bridge) 172.17.0.1/16 ══════════════════════════ │
│                                                                              │
│ ══ docker_httpd (bridge, network nw) 192.168.10.1/24 ═══════════════════════ │
│ └── vethc9499ec ─── eth0 [httpd]  192.168.10.10/24                           │
└──────────────────────────────────────────────────────────────────────────────┘
"""
    )


def hostile() -> Plan:
    """The seed with hostile text wherever a plan has text that a drawing shows."""
    plan = plan_of(SEED)
    renamed = {node.name: f"{node.name}{HOSTILE}" for node in plan.nodes if node.kind != "segment"}
    nodes = tuple(
        replace(
            node,
            name=renamed.get(node.name, node.name),
            namespace=renamed.get(node.namespace, node.namespace),
            host=renamed.get(node.host, node.host),
            engine=node.engine and node.engine + HOSTILE,
            interfaces=tuple(
                replace(one, peer=one.peer and (renamed.get(one.peer[0], one.peer[0]), one.peer[1]))
                for one in node.interfaces
            ),
        )
        for node in plan.nodes
    )
    networks = tuple(replace(one, host=renamed[one.host], key=HOSTILE) for one in plan.networks)
    ports = tuple(replace(one, host=renamed[one.host], node=renamed[one.node]) for one in plan.publications)
    return replace(plan, name=HOSTILE, nodes=nodes, networks=networks, publications=ports)


@pytest.mark.parametrize("width", [40, 41, 57, 80, 81, 120])
@pytest.mark.parametrize("path", [*SCENARIOS[::6], None], ids=lambda path: path.stem if path else "hostile")
def test_the_drawing_fits_the_terminal(path: Path | None, width: int) -> None:
    drawn = text(topology(hostile() if path is None else plan_of(path)), width)
    assert max(map(cell_len, drawn.splitlines())) <= width


def test_wide_letters_are_counted_as_wide() -> None:
    plan = replace(plan_of(SEED), name="網" * 50)
    assert max(map(cell_len, plan.graph().splitlines())) <= 80
    plan = replace(plan, networks=tuple(replace(one, key="網" * 9) for one in plan.networks))
    frame = [line for line in plan.graph().splitlines() if line.endswith("│") and len(line) > 1]
    assert any("網" in line for line in frame)
    assert {cell_len(line) for line in frame} == {80}


def test_hostile_text_is_text_in_a_terminal() -> None:
    drawn = hostile().graph()
    assert shown_in_line(drawn.replace("\n", "")) == drawn.replace("\n", "")


def test_svg_is_xml_with_a_title_and_no_foreign_element() -> None:
    root = ElementTree.fromstring(hostile().graph("svg"))
    names = {one.tag.removeprefix(SVG) for one in root.iter()}
    assert names == {"svg", "title", "desc", "style", "rect", "polyline", "circle", "text"}
    assert root.get("role") == "img"
    title, description = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
    assert title is not None
    assert description is not None
    assert root.get("aria-labelledby") == f"{title.get('id')} {description.get('id')}"
    assert shown_in_line(HOSTILE) in (title.text or "")
    assert "segment ext connects" in (description.text or "")
    texts = [one.text or "" for one in root.iter(f"{SVG}text")]
    assert f"httpd{shown_in_line(HOSTILE)}" in texts


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_no_two_lines_of_the_svg_lie_upon_each_other(path: Path) -> None:
    """Two lines may cross or meet in a dot; where they overlap, they could not be distinguished."""
    root = ElementTree.fromstring(plan_of(path).graph("svg"))
    lines = []
    for one in root.iter(f"{SVG}polyline"):
        points = [tuple(map(float, pair.split(","))) for pair in (one.get("points") or "").split()]
        lines += [(*sorted((a, b)),) for a, b in itertools.pairwise(points) if a != b]
    assert lines
    for (a, b), (c, d) in itertools.combinations(lines, 2):
        for along, across in ((0, 1), (1, 0)):
            if len({point[across] for point in (a, b, c, d)}) == 1:
                assert min(b[along], d[along]) <= max(a[along], c[along]), (a, b, c, d)


def narrow(found: Topology) -> str:
    return narrow_svg(found, key="n")


@pytest.mark.parametrize("drawn", [FORMS["svg"], narrow])
def test_svg_boxes_hold_their_text(drawn: Callable[[Topology], str]) -> None:
    """No box of a machine overlaps another one, and all are inside the picture."""
    for path in SCENARIOS:
        root = ElementTree.fromstring(drawn(topology(plan_of(path))))
        assert drawn is not narrow or float(root.get("width") or 0) < 420
        right, bottom = float(root.get("width") or 0), float(root.get("height") or 0)
        boxes = [
            tuple(float(one.get(key) or 0) for key in ("x", "y", "width", "height"))
            for one in root.iter(f"{SVG}rect")
            if one.get("class") in ("container", "outside", "bus")
        ]
        assert all(x + width <= right and y + height <= bottom for x, y, width, height in boxes)
        for one, other in itertools.combinations(boxes, 2):
            apart = any(
                one[axis] + one[axis + 2] <= other[axis] or other[axis] + other[axis + 2] <= one[axis]
                for axis in (0, 1)
            )
            assert apart, (path.stem, one, other)


#: The part of Mermaid's grammar that netlab uses: https://mermaid.js.org/syntax/flowchart.html
_QUOTED = r'"(?:[^"\n<>&;#]|\#\d+;|<br/>)*"'
_MERMAID = re.compile(
    rf"""flowchart\ LR
    |\s+end
    |\s+subgraph\ \w+\[{_QUOTED}\]
    |\s+\w+(?:\[{_QUOTED}\]|\[\[{_QUOTED}\]\]|\(\[{_QUOTED}\]\)|>{_QUOTED}\])
    |\s+\w+\ (?:---|-\.->)\|{_QUOTED}\|\ \w+""",
    re.VERBOSE,
)


@pytest.mark.parametrize("path", [*SCENARIOS, None], ids=lambda path: path.stem if path else "hostile")
def test_mermaid_keeps_to_its_grammar(path: Path | None) -> None:
    lines = (hostile() if path is None else plan_of(path)).graph("mermaid").splitlines()
    assert [line for line in lines if not _MERMAID.fullmatch(line)] == []
    keys = [found[1] for line in lines if (found := re.match(r"\s+(?:subgraph )?(\w+)[\[(>]", line))]
    assert len(keys) == len(set(keys))
    used = [
        key for line in lines if (found := re.match(r"\s+(\w+) -.*\| (\w+)$", line)) for key in found.groups()
    ]
    assert set(used) <= set(keys)


def test_mermaid_shows_what_was_written() -> None:
    escaped = mermaid_quoted('a"b#35;<c>`d`').strip('"')
    assert re.sub(r"#(\d+);", lambda found: chr(int(found[1])), escaped) == 'a"b#35;<c>`d`'


def graphviz(source: str) -> dict[str, object]:
    """What Graphviz makes of a graph; without Graphviz this fails, because nothing would have been tested."""
    program = shutil.which("dot")
    assert program is not None, "graphviz is not installed: run ./install --dev"
    done = subprocess.run([program, "-Tjson0"], input=source, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("path", [*SCENARIOS[::8], None], ids=lambda path: path.stem if path else "hostile")
def test_graphviz_reads_the_graph(path: Path | None) -> None:
    plan = hostile() if path is None else plan_of(path)
    found = topology(plan)
    made = graphviz(plan.graph("dot"))
    objects, edges = made["objects"], made["edges"]
    assert isinstance(objects, list)
    assert isinstance(edges, list)
    groups = [one for one in objects if one["name"].startswith("cluster_")]
    assert len(groups) == len(found.hosts)
    assert len(edges) == len(veth_pairs(plan)) + len(found.ports)
    assert len(objects) - len(groups) == nodes_of(found)


def nodes_of(found: Topology) -> int:
    """How many shapes a drawing has: machines but hosts, interfaces of hosts, buses, ports."""
    hosts = found.hosts
    ends = sum(len(host.ends) for host in hosts)
    return len(found.machines) - len(hosts) + ends + len(found.buses) + len(found.ports)


def test_graphviz_shows_hostile_text_as_text() -> None:
    """Its own SVG has the name as it was written, so no sequence and no entity in it was obeyed."""
    program = shutil.which("dot") or "dot"
    done = subprocess.run(
        [program, "-Tsvg"], input=hostile().graph("dot"), capture_output=True, text=True, check=True
    )
    texts = [one.text or "" for one in ElementTree.fromstring(done.stdout).iter(f"{SVG}text")]
    wanted = f"httpd{shown_in_line(HOSTILE)}"
    assert any(one.replace("\xa0", " ") == wanted for one in texts), texts


def test_a_form_that_is_none() -> None:
    with pytest.raises(ValueError, match=r"no form 'graph-png'.*graph-svg"):
        plan_of(SEED).graph("png")  # type: ignore[arg-type]


@pytest.mark.parametrize("form", FORMS)
def test_the_verb_prints_and_writes_the_same(
    form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = draw(plan_of(SEED), form)  # type: ignore[arg-type]
    assert main(["graph", str(SEED), "--format", form]) == 0
    assert capsys.readouterr().out == wanted
    file = tmp_path / "picture"
    assert main(["graph", str(SEED), "--format", form, "-o", str(file)]) == 0
    assert file.read_text() == wanted
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("name", "form"), [("a.svg", "svg"), ("a.DOT", "dot"), ("a.mmd", "mermaid"), ("a", "text")]
)
def test_the_name_of_the_file_says_the_form(name: str, form: str, tmp_path: Path) -> None:
    file = tmp_path / name
    assert main(["graph", str(SEED), "-o", str(file)]) == 0
    assert file.read_text() == draw(plan_of(SEED), form)  # type: ignore[arg-type]


def test_a_file_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["graph", str(SEED), "-o", str(tmp_path / "no" / "a.svg")]) == 2
    assert "cannot write" in capsys.readouterr().err


def test_options_change_what_is_drawn(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["graph", str(SEED), "--engine", "docker-29-nftables"]) == 0
    assert "docker-29-nftables" in capsys.readouterr().out
