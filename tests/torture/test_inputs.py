"""A hundred thousand inputs that nobody meant: scenario files, and trace messages of the kernel."""

from __future__ import annotations

import json
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

from fuzz import scenario_fuzz as fuzzer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netlab.kernel.trace.nftrace import Decoder
from netlab.model.trace import TraceEvent, TraceFault

from .conftest import Scale

MESSAGES = [
    bytes.fromhex(message)
    for path in sorted((Path(__file__).parents[1] / "data" / "traces").glob("*.json"))
    for message in json.loads(path.read_text())["messages"]
]
#: Keys and values of Compose and x-netlab, in any combination.
WORDS = st.sampled_from(
    [
        *("services", "networks", "x-netlab", "host", "hosts", "outside", "expect", "flow", "ports", "image"),
        *("ipam", "config", "subnet", "gateway", "driver", "driver_opts", "daemon", "engine", "firewall"),
        *("addresses", "rules", "events", "ipv4", "ipv6", "both", "outcome", "path", "sees", "network_mode"),
    ]
)
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=12),
    st.sampled_from(["docker-20.10", "80:80", "10.0.0.0/24", "client -> host:80", "::1", "host", "ok", "nw"]),
)
TREES = st.recursive(
    VALUES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.one_of(WORDS, st.text(max_size=5)), inner, max_size=5)
    ),
    max_leaves=25,
)


def expired(*_: object) -> None:
    raise TimeoutError("an input took longer than any may")


def test_mutated_files(scale: Scale, figure: Callable[[str], None], tmp_path: Path) -> None:
    count = scale(1500, 100_000)
    before = signal.signal(signal.SIGALRM, expired)
    longest = 0.0
    try:
        for number, content in enumerate(fuzzer.inputs(count, scale.seed), 1):
            signal.alarm(fuzzer.PATIENCE)
            start = time.monotonic()
            wrong = fuzzer.check(tmp_path, content)
            longest = max(longest, time.monotonic() - start)
            signal.alarm(0)
            assert wrong is None, f"input {number} of seed {scale.seed}: {wrong}\n{content!r}"
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    figure(f"{count} mutated files: each a scenario or a problem with its place, the longest {longest:.2f} s")


def test_trees_of_anything(scale: Scale, figure: Callable[[str], None], tmp_path: Path) -> None:
    """JSON is YAML: trees of known words and arbitrary values."""
    count = scale(300, 10_000)
    tried = 0

    @settings(max_examples=count, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(TREES)
    def check(tree: object) -> None:
        nonlocal tried
        tried += 1
        assert fuzzer.check(tmp_path, json.dumps(tree).encode()) is None

    check()
    figure(f"{tried} trees: each a scenario or a problem with its place")


def test_mutated_trace_messages(scale: Scale, figure: Callable[[str], None]) -> None:
    """One decoder for all, so that its memory is tried too: an event, or a fault that makes unmeasured."""
    count = scale(20_000, 1_000_000)
    chance = random.Random(scale.seed)
    decoder = Decoder()
    faults = 0
    for _ in range(count):
        octets = bytearray(chance.choice(MESSAGES))
        for _ in range(chance.randrange(4)):
            octets[chance.randrange(len(octets))] = chance.randrange(256)
        whole = chance.random() < 0.7
        data = bytes(octets) if whole else bytes(octets[: chance.randrange(len(octets))])
        event = decoder.decode(data)
        assert isinstance(event, TraceEvent | TraceFault), data.hex()
        assert whole or isinstance(event, TraceFault), f"cut short, and understood: {data.hex()}"
        faults += isinstance(event, TraceFault)
    assert 0 < faults < count
    figure(f"{count} trace messages: {faults} faults, the others events, no exception")
