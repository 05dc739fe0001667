"""``netlab demo``: every claim of every lesson holds, and one that does not fails."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from support.labs import ROOT, Netlab
from support.terminal import Terminal

from netlab.lesson.read import lessons

NAMES = list(lessons())
EXAMPLE = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "lessons.md").read_text(), re.DOTALL)[0]


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("name", "language"), list(zip(NAMES, ["en", "ja"] * 6, strict=True)))
def test_a_lesson_tells_the_truth(netlab: Netlab, name: str, language: str) -> None:
    done = netlab("demo", name, "--auto", "--lang", language)
    assert "✗" not in done.stdout
    assert {"en": "End of the lesson.", "ja": "レッスンは終わりです。"}[language] in done.stdout
    assert done.stdout.count("✓") >= 2
    assert done.stderr == ""


WRONG = """\
title: {en: wrong}
scenario: httpd.yaml
steps:
  - measure: client -> host:80/tcp
    ipv4: refused
    ipv6: ok proxy
  - predict: {en: which}
    flow: client -> host:80/tcp
    family: ipv4
    choices: [{en: a, expect: ok}, {en: b, expect: ok forward}]
  - predict: {en: which}
    flow: client -> host:80/tcp
    family: ipv4
    choices: [{en: a, expect: timeout}, {en: b, expect: refused}]
  - show: [echo, one  two]
    has: [one two, three]
    lacks: [two]
  - cost: client -> host:80/tcp
    count: 20
    proxied: []
"""


def test_what_is_not_true_fails_with_its_place(netlab: Netlab, tmp_path: Path) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text(WRONG)
    refused = netlab("demo", file, "--auto", code=2)
    assert refused.stderr == (f"{file}:15:5: show: echo would run as you; --allow-programs lets it run\n")
    done = netlab("demo", file, "--auto", "--allow-programs", code=1)
    told = done.stderr.replace(f"{file}:", "").splitlines()
    assert [line for line in told if "woken" not in line] == [
        "4:5: the lesson is wrong: outcome: expected refused, measured ok",
        "7:5: the lesson is wrong: the answers 1, 2 are right: ok, forward, sees 198.51.100.2",
        "11:5: the lesson is wrong: no answer is right: ok, forward, sees 198.51.100.2",
        "15:5: the lesson is wrong: the output lacks 'three'",
        "15:5: the lesson is wrong: the output has 'two'",
    ]
    (woken,) = [line for line in told if "woken" in line]
    assert re.fullmatch(r"18:5: the lesson is wrong: ipv6: the proxy was woken \d+ times", woken)


def test_a_learner_is_asked_and_works_in_a_shell(anyones: Any) -> None:
    file = anyones.state / "own.yaml"
    file.write_text(EXAMPLE)
    cast = anyones.state / "own.cast"
    terminal = Terminal(
        anyones, "demo", str(file), "--lang", "en", "--record", str(cast), SHELL="/bin/sh", TERM="dumb"
    )
    terminal.expect("[Enter continues]")
    terminal.type("\n")
    terminal.expect("Your answer (1-2):")
    terminal.type("7\n")
    terminal.expect("Your answer (1-2):")
    terminal.type("1\n")
    terminal.expect("✗ The measurement says 2.")
    terminal.expect("[Enter continues]")
    terminal.type("\n")
    terminal.expect("A shell in host opens.")
    terminal.expect(".host] ")
    terminal.type("exit\n")
    terminal.expect("Use DOCKER-USER.")
    terminal.expect("Not yet.")
    terminal.type("\n")
    terminal.expect(".host] ")
    terminal.type(
        "iptables -I DOCKER-USER -s 198.51.100.2 -j REJECT; iptables -I DOCKER-USER -j DROP; exit\n"
    )
    terminal.expect("✓ Done.")
    terminal.expect("[Enter continues]")
    terminal.type("\n")
    terminal.expect("End of the lesson.")
    assert terminal.end() == 0
    header, *events = map(json.loads, cast.read_text().splitlines())
    assert header["version"] == 2
    assert header["width"] > 0
    assert header["height"] > 0
    assert all(kind == "o" for _, kind, _ in events)
    assert [at for at, _, _ in events] == sorted(at for at, _, _ in events)
    shown = "".join(data for _, _, data in events)
    assert "iptables -I DOCKER-USER" in shown
    assert "✓ Done.\r\n" in shown


def test_ctrl_d_ends_a_lesson_and_its_lab(netlab: Netlab) -> None:
    terminal = Terminal(netlab, "demo", "3", "--lang", "ja")
    terminal.expect("[Enter で続けます]")
    terminal.type("\x04")
    assert terminal.end() == 130
    assert len(netlab("ls").stdout.splitlines()) == 1  # the head of the table


def test_the_list_and_what_is_no_lesson(netlab: Netlab, tmp_path: Path) -> None:
    listed = netlab("demo", "--lang", "ja").stdout.splitlines()
    assert len(listed) == 12
    assert re.match(r" *5 +ipv6-proxy +同じポートに IPv6 で", listed[4])
    netlab.extra["LANG"] = "ja_JP.UTF-8"
    assert netlab("demo").stdout.splitlines() == listed
    found = json.loads(netlab("demo", "--json").stdout)["lessons"]
    assert [one["name"] for one in found] == NAMES
    assert set(found[0]["title"]) == {"en", "ja"}
    failed = netlab("demo", "docker-usr", code=2)
    assert "there is no lesson 'docker-usr' (did you mean docker-user?)" in failed.stderr
    failed = netlab("demo", "1", code=2)
    assert "stdin is no terminal: with --auto it asks nothing" in failed.stderr
    (tmp_path / "bad.yaml").write_text("title: {en: x}\nscenario: httpd.yaml\nsteps: [{tel: {en: x}}]\n")
    assert (
        f"{tmp_path}/bad.yaml:3:9: lesson.steps[0] needs one of the keys"
        in netlab("demo", tmp_path / "bad.yaml", code=2).stderr
    )
