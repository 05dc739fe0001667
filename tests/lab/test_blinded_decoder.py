"""The decoder is blinded on purpose, and every verb that measures must say so: ``unmeasured``, exit code 3.

netlab has no switch for this. The command line runs in a tree of links to netlab's own files, in which the
module that reads the trace has a line or two more at its end::

    TREE/netlab/kernel/trace/nftrace.py   netlab's own, and behind it one of BLINDINGS
    TREE/netlab/…                   links to everything else

So it is the whole program that runs: the command, the lab's supervisor, the process in it that measures.
"""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from support.labs import ROOT, SEED, Netlab

#: what befalls the decoder → (lines behind its module, what the reason must say)
BLINDINGS = {
    "events are lost": (
        "WANTED_BUFFER = 2048  # the kernel's least: room for some events, and none for a flow's",
        "lost: the receive buffer ran over",
    ),
    "messages are cut short": (
        "from netlab.kernel.trace import batch as tracebatch\ntracebatch.USUAL, tracebatch.SIZE = 64, 96",
        "malformed",
    ),
    "a verdict is unknown": (
        "_VERDICTS = _VERDICTS - {int(VerdictCode.JUMP)}",
        "unknown: verdict -3",
    ),
    "an event type is unknown": (
        "_sighted = Decoder._decode\n"
        "Decoder._decode = lambda self, data: _sighted(self, data[:35] + b'\\x09' + data[36:])",
        "unknown: trace type 9",
    ),
    "a message type is unknown": (
        "TRACE_TYPE += 1",
        "unknown: message type 0xa11",
    ),
    "the trace is silent": (
        "NFNLGRP_NFTRACE = 8  # somebody else's group: this socket is told nothing",
        "canary",
    ),
}
every_blinding = pytest.mark.parametrize("blinding", BLINDINGS)


def blinded(netlab: Netlab, folder: Path, blinding: str | None) -> Netlab:
    """The same command line, from a tree in which the decoder is blind; None for one that only is a tree."""
    room = Path("netlab", "kernel", "trace")
    (folder / room).mkdir(parents=True)
    for part in (room, *room.parents[:-1]):
        for file in (ROOT / part).iterdir():
            if file.name not in ("__pycache__", "kernel", "trace", "nftrace.py"):
                (folder / part / file.name).symlink_to(file)
    lines = "" if blinding is None else BLINDINGS[blinding][0]
    source = (ROOT / room / "nftrace.py").read_text()
    (folder / room / "nftrace.py").write_text(f"{source}\n\n{lines}\n")
    netlab.cwd = folder
    return netlab


def reasons(journeys: list[dict[str, Any]]) -> set[str]:
    """Why journeys are unmeasured; no other outcome is among them."""
    assert journeys
    assert {one["outcome"] for one in journeys} == {"unmeasured"}
    assert {one["path"] for one in journeys} == {"none"}
    return {one["problem"] for one in journeys}


@every_blinding
def test_verify_passes_nothing_and_fails_nothing(netlab: Netlab, tmp_path: Path, blinding: str) -> None:
    junit = tmp_path / "junit.xml"
    blind = blinded(netlab, tmp_path / "tree", blinding)
    text = blind("verify", SEED, "--junit", junit, code=3).stdout
    assert "(docker-20.10): 4 unmeasured\n" in text
    assert "passed" not in text
    assert "failed" not in text
    assert BLINDINGS[blinding][1] in " ".join(text.split())
    (suite,) = ElementTree.parse(junit).getroot()
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("4", "0", "4")


@every_blinding
def test_probe_matrix_and_explain_measure_nothing(netlab: Netlab, tmp_path: Path, blinding: str) -> None:
    blind = blinded(netlab, tmp_path / "tree", blinding)
    why = BLINDINGS[blinding][1]
    lab = blind.up()
    probed = blind("probe", lab, "client -> host:80", "neighbour -> host:443", "--json", code=3).stdout
    assert all(why in reason for reason in reasons([json.loads(line) for line in probed.splitlines()]))
    answers = [
        one["answers"][""] for one in json.loads(blind("matrix", lab, "--json", code=3).stdout)["flows"]
    ]
    if blinding == "events are lost":  # a flow that no hook sees makes none, and is measured
        answers = [one for one in answers if one["outcome"] == "unmeasured" or one["legs"]]
    assert all(why in reason for reason in reasons(answers))
    explained = json.loads(blind("explain", lab, "-4", "client -> host:80", "--json", code=3).stdout)
    assert not any(one["proved"] for one in explained["explanations"])
    assert all(why in reason for reason in reasons([one["before"] for one in explained["explanations"]]))


@every_blinding
def test_trace_does_not_pass_silence_for_peace(netlab: Netlab, tmp_path: Path, blinding: str) -> None:
    blind = blinded(netlab, tmp_path / "tree", blinding)
    lab = blind.up()
    process = blind.start("trace", lab, "--json")
    assert process.stderr is not None
    said = process.stderr.readline()
    if said.startswith(f"tracing {lab}"):
        blind.exec(lab, "client", "curl", "-s", "-o", "/dev/null", "http://198.51.100.1/")
        process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=100)
    assert process.returncode == 3, said + errors
    assert BLINDINGS[blinding][1] in said + errors
    assert all(json.loads(line)["outcome"] == "unmeasured" for line in output.splitlines())


def test_a_tree_that_is_not_blinded_measures(netlab: Netlab, tmp_path: Path) -> None:
    """It is the blinding that fails above, and not the tree."""
    seeing = blinded(netlab, tmp_path / "tree", None)
    assert "(docker-20.10): 4 passed\n" in seeing("verify", SEED).stdout
