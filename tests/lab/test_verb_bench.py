"""``netlab bench`` with tiny loads: real labs, each way as its trace shows it, and nothing left."""

from __future__ import annotations

import json
import os
import re
import signal
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from support.labs import SEED, Netlab
from support.witness import until

FLOW = "client -> host:80"
LITTLE = ("--seconds", "3", "--rounds", "2")
#: What every way that leads somewhere has; a slow machine makes too few round trips for more.
ALWAYS = {"connections", "requests", "p50", "up", "down", "cpu_connections", "cpu_up", "cpu_down"}


def measured(netlab: Netlab, *arguments: str | Path, code: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(netlab("bench", *arguments, *LITTLE, "--json", code=code).stdout)
    return found


def ways(found: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(way["variant"], f"{way['way']}, {way['family']}"): way for way in found["ways"]}


def test_the_two_paths_of_the_seed(anyones: Netlab) -> None:
    found = measured(anyones, SEED, FLOW)
    assert found["schema_version"] == 1
    assert (found["rounds"], found["seconds"]) == (2, 3.0)
    assert found["congestion_control"] in ("reno", "cubic")
    known = ways(found)
    assert [name for _, name in known] == [
        "direct, ipv4", "direct, ipv6", "kernel DNAT, ipv4", "userland proxy, ipv6",
    ]  # fmt: skip
    for (_, name), way in known.items():
        assert way["figures"].keys() >= ALWAYS
        for figure in way["figures"].values():
            assert len(figure["values"]) == 2
            assert figure["min"] <= figure["median"] <= figure["max"]
            assert figure["min"] >= 0
        assert all(way["figures"][key]["min"] > 0 for key in ALWAYS)
        assert ("ratio_to_direct" in way["figures"]["up"]) is ("direct" not in name)
    dnat, proxy = known["", "kernel DNAT, ipv4"], known["", "userland proxy, ipv6"]
    assert (dnat["path"], proxy["path"]) == ("forward", "proxy")
    for key in ("proxy_connections", "proxy_up", "proxy_down"):
        assert proxy["figures"][key]["min"] > 0
        assert dnat["figures"][key]["median"] < proxy["figures"][key]["median"] / 4
    (memory,) = found["memory"]
    assert memory["listeners"] == 2
    assert 0 <= memory["bytes_per_published_port"] < 1 << 20


def test_with_and_without_the_proxy_side_by_side(netlab: Netlab, tmp_path: Path) -> None:
    file = tmp_path / "costs.svg"
    flows = (FLOW, "httpd -> host:80")
    found = netlab(
        "bench", SEED, *flows, "-4", "--daemon", "userland-proxy=both", *LITTLE, "--svg", file
    ).stdout
    assert " 2  userland-proxy=true: kernel DNAT, client -> host:80/tcp ipv4\n" in found
    assert " 3  userland-proxy=true: userland proxy, httpd -> host:80/tcp ipv4\n" in found
    assert " 5  userland-proxy=false: kernel DNAT and SNAT, hairpin, httpd -> host:80/tcp ipv4\n" in found
    assert "each way was traced before and after the load" in found
    drawn = ElementTree.parse(file).getroot()
    assert "hairpin" in "".join(drawn.itertext())


def test_a_running_lab_is_copied_and_not_touched(netlab: Netlab) -> None:
    lab = netlab.up()
    before = netlab("rules", f"{lab}.host", "--json").stdout
    done = netlab("bench", lab, FLOW, "-6", *LITTLE, "--json")
    assert f"measuring a copy of {lab}" in done.stderr
    assert ("", "userland proxy, ipv6") in ways(json.loads(done.stdout))
    assert netlab("rules", f"{lab}.host", "--json").stdout == before
    assert os.listdir(netlab.state / "labs") == [lab]


def test_a_way_that_leads_nowhere_has_no_figures(netlab: Netlab) -> None:
    found = measured(netlab, SEED, FLOW, "--daemon", "userland-proxy=false", "-6", code=5)
    (direct, refused) = found["ways"]
    assert direct["figures"]
    assert (refused["outcome"], refused["figures"]) == ("refused", {})
    assert refused["problem"] == "no packet comes through: refused"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((SEED, "--rounds", "0"), "'0' is not a number of rounds (1-100)"),
        ((SEED, "--seconds", "nan"), "'nan' is not a time in seconds (at most 3600)"),
        ((SEED, "--seconds", "1", "--rounds", "100"), "give --seconds"),
        ((SEED, "client -> host:80/udp"), "flow:1:1: client -> host:80/udp: only TCP can be loaded"),
        ((SEED, FLOW, "client -> htpd:80"), "flow:2:"),
        ((SEED, SEED), "one scenario at a time"),
        (("nowhere.yaml",), "nowhere.yaml"),
    ],
)
def test_wrong_input_builds_nothing(netlab: Netlab, arguments: tuple[Any, ...], words: str) -> None:
    done = netlab("bench", *arguments, code=2)
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert not (netlab.state / "labs").exists() or not os.listdir(netlab.state / "labs")


def supervisor(netlab: Netlab) -> int:
    """The supervisor of the one lab, once it stands."""
    labs = netlab.state / "labs"
    found: list[int] = []

    def stands() -> bool:
        for file in labs.glob("*/lab.json"):
            found.append(json.loads(file.read_text())["pid"])
        return bool(found)

    until(stands, "a lab stands")
    return found[0]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_broken_off_in_the_middle_of_a_load(netlab: Netlab, number: signal.Signals) -> None:
    process = netlab.start("bench", SEED, FLOW, "--seconds", "600")
    pid = supervisor(netlab)

    def loading() -> bool:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
        return len(text.split()) > 2 and any(
            Path(f"/proc/{child}/task/{child}/children").read_text() for child in text.split()
        )

    until(loading, "the load has forked its receiver")
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == (130 if number == signal.SIGINT else -signal.SIGKILL)
    assert (out, err) == ("", "")
    until(lambda: not any(os.path.exists(f"/proc/{one}") for one in (pid, *children)), "all have ended")
    if number == signal.SIGINT:
        assert not os.listdir(netlab.state / "labs")


def test_loads_by_wrk_and_iperf3(netlab: Netlab) -> None:
    real = ("--tool", "real", "--rounds", "1", "--json")
    found = json.loads(netlab("bench", SEED, FLOW, "-6", *real, "--seconds", "10").stdout)
    assert re.fullmatch(r"wrk [0-9.]+ \(connections, requests\), iperf3 [0-9.]+ \(up, down\)", found["tool"])
    for way in found["ways"]:
        assert way["figures"].keys() >= ALWAYS
        assert all(way["figures"][key]["min"] > 0 for key in ALWAYS)
    proxy = ways(found)["", "userland proxy, ipv6"]["figures"]
    assert all(proxy[key]["min"] > 0 for key in ("proxy_connections", "proxy_up", "proxy_down"))
    short = netlab("bench", SEED, FLOW, "-6", *real, "--seconds", "5", code=2)
    assert "count in whole seconds, and each load has 0.50: give --seconds 10" in short.stderr


def test_tools_that_are_not_used(netlab: Netlab) -> None:
    own = measured(netlab, SEED, FLOW, "-4")
    assert own["tool"] == "netlab's own generator"
    assert own["notes"] == ["wrk and iperf3 can make the loads with --seconds 18 or more"]
    netlab.extra["PATH"] = "/nonexistent"
    missing = netlab("bench", SEED, FLOW, "-4", "--tool", "real", code=4)
    assert "wrk and iperf3 not found on PATH" in missing.stderr
