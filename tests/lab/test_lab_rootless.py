"""Every verb says the same to root and to an ordinary user: the same lab, flow by flow and rule by rule."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.labs import NOBODYS_UID, ROOT

from netlab.cli.verbs import VERBS

SEED = "scenarios/httpd.yaml"
#: verb → its arguments, of which LAB is the lab's name. ``None``: tested for both where the verb is tested.
WORDS: dict[str, tuple[str, ...] | None] = {
    "up": ("SEED", "--json", "--name", "LAB"),
    "ls": ("--json",),
    "status": ("LAB", "--json"),
    "rules": ("LAB.host", "--json"),
    "sockets": ("LAB", "--json"),
    "graph": ("LAB",),
    "exec": ("LAB.host", "--", "iptables-save", "-t", "nat"),
    "probe": ("--json", "LAB", "client -> host:80,443", "host -> httpd:80", "neighbour -> httpd:80"),
    "matrix": ("LAB", "--json"),
    "report": ("LAB", "--from", "client", "-o", "/dev/null"),
    "explain": ("--json", "LAB", "client -> host:80"),
    "do": ("--json", "LAB", "restart", "httpd"),
    "verify": ("SEED", "scenarios/hairpin.yaml", "scenarios/udp.yaml", "--json"),
    "diff": ("SEED", "--engine", "docker-28", "--json"),
    "plan": ("scenarios/dual-stack.yaml", "--json"),
    "demo": ("3", "--auto", "--lang", "en"),
    "exposure": ("LAB", "-4", "--from", "client", "--to", "198.51.100.1", "--no-proof", "--json"),
    "gallery": ("--json",),
    "engines": ("--json",),
    "clean": ("--dry-run",),
    "completion": ("bash",),
    "down": ("LAB", "--json"),
    "shell": None,
    "trace": None,
    "capture": None,
    "init": None,
    "serve": None,  # tests/lab/page/test_serve.py
    "bench": None,  # whose figures are never the same: tests/lab/test_verb_bench.py
    "collect": None,  # reads what only root may
    "twin": None,
    "drift": None,
    "doctor": None,  # whose very task it is to tell them apart: tests/lab/test_doctor.py
}
#: What differs from one call to the next, whoever calls: process numbers, times, ports that were chosen,
#: the counters of rules, the comments of iptables-save.
VOLATILE = (
    (re.compile(r'"(created|pid|when|seconds|packets|bytes)": [0-9.]+'), r'"\1": N'),
    (re.compile(r"(?<=[0-9a-f\]]):[2-6]\d{4}\b"), ":PORT"),
    (re.compile(r"^#.*$|\[\d+:\d+\]", re.MULTILINE), ""),
)


def said(text: str) -> str:
    for pattern, to in VOLATILE:
        text = pattern.sub(to, text)
    return text


def test_no_verb_is_forgotten() -> None:
    assert set(WORDS) == set(VERBS)


@pytest.mark.timeout(300)
def test_every_verb_says_the_same_to_both(make_netlab: Callable[[int], Any]) -> None:
    if os.geteuid() != 0:
        pytest.skip("the tests run without root: nobody is there to be compared with")
    output: dict[int, dict[str, str]] = {}
    name = make_netlab(0).name()
    for uid in (0, NOBODYS_UID):
        netlab = make_netlab(uid)
        netlab.labs.append(name)
        output[uid] = {}
        for verb, words in WORDS.items():  # in this order: up first, down last
            if words is not None:
                filled = [SEED if word == "SEED" else word.replace("LAB", name) for word in words]
                done = netlab(verb, *filled)
                output[uid][verb] = said(done.stdout).replace(str(netlab.state), "STATE")
    for verb in output[0]:
        assert output[NOBODYS_UID][verb] == output[0][verb], f"netlab {verb}"
    assert [j["outcome"] for j in map(json.loads, output[0]["probe"].splitlines())].count("ok") >= 6


def test_an_ordinary_user_s_labs_are_nobody_else_s(make_netlab: Callable[[int], Any]) -> None:
    """Neither to look at nor to enter; and root's are not the user's."""
    if os.geteuid() != 0:
        pytest.skip("the tests run without root: nobody else is there")
    mine, roots = make_netlab(NOBODYS_UID), make_netlab(0)
    lab, other = mine.up(ROOT / SEED), roots.up(ROOT / SEED)
    for netlab, name, uid in ((mine, lab, NOBODYS_UID), (roots, other, 0)):
        folder = netlab.state / "labs" / name
        found = os.stat(folder)
        assert (found.st_uid, stat.S_IMODE(found.st_mode)) == (uid, 0o700)
        assert stat.S_IMODE(os.stat(folder / "control").st_mode) == 0o600
    assert lab not in roots("ls").stdout
    assert other not in mine("ls").stdout
    done = mine.start("exec", f"{other}.host", "--", "true").communicate(timeout=100)
    assert "no lab" in done[1] or "no node" in done[1]


def test_the_gallery_s_plans_are_the_same_for_both(make_netlab: Callable[[int], Any]) -> None:
    if os.geteuid() != 0:
        pytest.skip("the tests run without root: nobody is there to be compared with")
    root, user = make_netlab(0), make_netlab(NOBODYS_UID)
    for file in sorted(Path(ROOT, "scenarios").glob("*.yaml"))[::6]:
        assert user("plan", "--json", file).stdout == root("plan", "--json", file).stdout
