"""What ways cost: which ways there are, how figures come of samples, how they are shown. Nothing is built."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from xml.etree import ElementTree

import pytest
from rich.console import Console
from support.costs import costs

from netlab.lab.cost.loads import quantile
from netlab.lab.cost.measure import BenchVariant, measure
from netlab.lab.cost.ways import flows_of, receiving, replaced_programs, usual_flows
from netlab.lab.load import load_plan
from netlab.model.cost import QUANTITIES, Spread, figures_of
from netlab.model.errors import NothingTested, UsageError
from netlab.model.problem import ScenarioError
from netlab.view.cost import document, report
from netlab.view.cost_svg import svg

SEED = Path(__file__).parents[3] / "scenarios" / "httpd.yaml"


def test_the_usual_ways_lead_to_the_lowest_published_port() -> None:
    assert usual_flows(load_plan([SEED])) == [
        "client -> host:80",
        "host -> httpd:80",
        "host -> localhost:80",
        "httpd -> host:80",
    ]


def test_without_a_published_port_a_flow_must_be_named(tmp_path: Path) -> None:
    file = tmp_path / "compose.yaml"
    file.write_text("services: {web: {image: nginx}, dns: {image: dns, ports: ['53:53/udp']}}\n")
    with pytest.raises(NothingTested, match="name a FLOW"):
        usual_flows(load_plan([file]))
    assert len(flows_of(load_plan([file]), ["dns -> web:80"], None)) == 1


@pytest.mark.parametrize(
    ("flow", "why"),
    [
        ("client -> host:53/udp", "only TCP can be loaded"),
        ("client -> host:80 from 203.0.113.9", "no via, from, source port or size"),
        ("client:4000 -> host:80", "no via, from, source port or size"),
        ("client -> nobody:80", "nobody"),
        ("client -> host:[1-99]", "at most 64 are measured"),
    ],
)
def test_flows_that_are_no_load(flow: str, why: str) -> None:
    with pytest.raises(ScenarioError, match=why):
        flows_of(load_plan([SEED]), [flow], None)


def test_the_receiver_takes_the_place_of_responders_and_programs(tmp_path: Path) -> None:
    file = tmp_path / "compose.yaml"
    file.write_text(
        "services:\n"
        "  web: {image: nginx, ports: ['8080:80', '8443:443']}\n"
        "  own: {image: own, ports: ['9000:80']}\n"
        "x-netlab: {services: {own: {command: [sleep, '9']}}}\n"
    )
    plan = load_plan([file])
    changed, ports = receiving(plan, flows_of(plan, ["client -> host:8080", "web -> own:80"], 4))
    assert ports == {("web", 80): ("web", "web"), ("own", 80): ("own", "own")}
    assert [one.port for one in changed.node("web").responders] == [443]
    assert changed.node("own").command == ()
    assert changed.node("host") == plan.node("host")
    assert replaced_programs(plan, ports) == ["own"]


def test_too_little_time_is_refused_before_anything_is_built() -> None:
    with pytest.raises(UsageError, match=r"40 loads|give --seconds \d+ or more"):
        measure([BenchVariant("", load_plan([SEED]), None)], [], rounds=50, seconds=1.0)


def test_a_quantile_is_one_of_the_values() -> None:
    values = [float(number) for number in range(100, 0, -1)]
    assert quantile(values, 0.5) == 50
    assert quantile(values, 0.99) == 99
    assert quantile(values, 0.999) == 100
    assert quantile([7.0], 0.5) == 7


def test_ratios_are_those_of_each_round() -> None:
    samples = [{"up": 50.0, "p50": 3.0}, {"up": 80.0, "p50": 2.0}, {"up": 10.0}]
    direct = [{"up": 100.0, "p50": 1.0}, {"up": 100.0, "p50": 1.0}, {"up": 20.0, "p50": 1.0}]
    found = figures_of(samples, direct)
    assert list(found) == ["up"]  # not every round has the other
    assert found["up"].ratio == Spread(0.5, 0.5, 0.8)
    assert found["up"].spread == Spread(10.0, 50.0, 80.0)
    assert figures_of(samples, ())["up"].ratio is None


@pytest.mark.parametrize("width", [0, 80, 140])
def test_the_report_shows_spreads_and_ratios(width: int) -> None:
    text = StringIO()
    console = Console(file=text, width=width or 10_000, color_system=None, highlight=False)
    for part in report(costs(), width):
        console.print(part)
    lines = text.getvalue().splitlines()
    assert " 3  none, a -> c:80/tcp ipv4: no packet: refused" in lines
    (row,) = (line for line in lines if line.startswith(" 2  userland proxy, ipv4") and "0.40" in line)
    assert row.split()[4:10] == ["2", "4", "5", "0.20", "0.40", "0.50"]
    assert ("████" in row) is (width == 140)
    if width == 80:
        return  # sentences go over several lines
    assert "memory of one more published port: 2 KiB (a program, 2 listeners)" in lines
    assert "x: memory of one more published port (another, 1 listener): not measured: it ended" in lines
    assert any("3 rounds" in line and "a tool" in line and "reno" in line for line in lines)
    assert lines[-1] == "a note"


def test_the_document_has_every_value() -> None:
    found = json.loads(json.dumps(document(costs())))
    figure = found["ways"][1]["figures"]["up"]
    assert figure["values"] == [2e9, 4e9, 5e9]
    assert figure["ratio_to_direct"] == {"min": 0.2, "median": 0.4, "max": 0.5, "values": [0.2, 0.4, 0.5]}
    assert "ratio_to_direct" not in found["ways"][0]["figures"]["up"]
    assert found["ways"][2] == {
        "variant": "", "way": "none", "flow": "a -> c:80/tcp", "family": "ipv4", "outcome": "refused",
        "path": "local", "problem": "no packet: refused", "figures": {},
    }  # fmt: skip
    assert found["memory"][1] == {
        "variant": "x", "program": "another", "listeners": 1, "bytes_per_published_port": None,
        "problem": "it ended",
    }  # fmt: skip


def test_the_picture_has_a_bar_for_each_way_and_says_so_in_words() -> None:
    root = ElementTree.fromstring(svg(costs()))
    space = "{http://www.w3.org/2000/svg}"
    bars = [box for box in root.iter(f"{space}rect") if box.get("class") == "container"]
    assert len(bars) == 2  # connections and up; the proxy's share has no ratio
    direct = [box for box in root.iter(f"{space}rect") if box.get("class") == "bus"]
    assert float(bars[0].get("width", "")) == pytest.approx(float(direct[0].get("width", "")) / 4, abs=0.1)
    (description,) = root.iter(f"{space}desc")
    assert "userland proxy, a -> b:80/tcp ipv4: 4, 0.40 of the direct way" in (description.text or "")
    assert QUANTITIES["up"].title in (description.text or "")
