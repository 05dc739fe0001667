"""Random options with random values: what the plan refuses is what iptables refuses, and no more.

iptables itself is the judge, in a throw-away namespace.
"""

from __future__ import annotations

import random
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from netlab.scenario.rules import RuleError, parse_rule
from netlab.scenario.xt_options import shape

EACH = (Path(__file__).parents[2] / "data" / "extension_rules.txt").read_text().splitlines()
_VALUES = """
0 1 7 8 63 64 255 256 65535 65536 4294967295 4294967296 18446744073709551616 -1 0x10 1: :1 1:2 2:1 1:2:3
x ssh http 10.0.0.1 10.0.0.256 10.0.0.1-10.0.0.9 10.0.0.0/24 10.0.0.0/33 2001:db8::1 2001:db8::/64
[2001:db8::1]:80 10.0.0.1:80 10.0.0.1:80-90 10.0.0.1:90-80 10.0.0.1: 10.0.0.1:70000 80-90 90-80 80:90
80, ,80 80,90 0x1/0xff 0x1/0x1ffffffff 1:1 NEW new NEW,ESTABLISHED ESTABLISHD NEW, est ORIGINAL original
orig both LOCAL local LOCAL,UNICAST src src,dst srcip icmp-port-unreachable port-unreach icmp-port
icmp6-no-route no-route echo-reply echo-request ping 3/1 3/256 host- 5/second 5/s 5/week 0/s 100000/s 5/
02:00:00:00:00:01 02:00:00:00:00 gg:00:00:00:00:01 0.5 1.5 random nth bm kmp |41| |4x| |41 Mon Mon,Tue
08:00 24:00 08:60 2026-11-30T10:00:00 2026-11-30 debug warn 7 bcast AF11 CS9 EF tcp udp all TCP SYN
SYN,ACK ALL NONE FOO,SYN transport in out ipsec mark mss,timestamp sack frag hop route,esp sourceip
avgpkt
"""
VALUES = _VALUES.split()
#: What only the kernel or the machine knows (a user, a service of one protocol), or depends on two options.
LATER = re.compile(
    "RULE_|missing kernel module|No such file|Extension|owner: Bad|does not resolve|invalid port/service|"
    "required before|invalid range|contiguous|ewmalog|policy match|twice|must be 0 <= p"
)
#: Options of which iptables reads the digits that a value begins with, or that wrap around.
LOOSE = re.compile(
    "--(weekdays|monthdays|limit|hashlimit|connlimit-mask|hmark|(src|dst)-range|to|ctevents|times)|port 65536"
)


def refused(lines: list[str]) -> dict[str, str]:
    """What iptables says of the lines that it does not take."""
    script = "".join(f"{line} 2>&1 || echo {shlex.quote(f'refused: {line}')}\n" for line in lines)
    done = subprocess.run(["unshare", "-Urn", "sh"], input=script, capture_output=True, text=True, check=True)
    found: dict[str, str] = {}
    said = ""
    for line in done.stdout.splitlines():
        if line.startswith("refused: "):
            found[line.removeprefix("refused: ")], said = said, ""
        else:
            said += line
    return found


def a_line(chance: random.Random) -> str:
    """A line that iptables takes, with one or two options put in or replaced."""
    words = shlex.split(chance.choice(EACH))
    at = next(at for at, word in enumerate(words) if word in (("-m",) if "-m" in words else ("-j",))) + 1
    found = shape(words[at], 6 if words[0] == "ip6tables" else 4)
    options = list(found.options.values()) if found is not None else []
    for option in chance.sample(options, min(len(options), chance.choice((1, 1, 1, 2)))):
        flag = f"--{option.name}"
        if flag in words and chance.random() < 0.9:
            here = words.index(flag)
            del words[here : here + 1 + len(option.kinds)]
        values = [chance.choice(VALUES) for _ in option.kinds]
        words[at + 1 : at + 1] = [*(["!"] if chance.random() < 0.1 else []), flag, *values]
    return shlex.join(words)


@pytest.mark.parametrize("seed", range(2))
def test_the_plan_refuses_what_iptables_refuses(seed: int) -> None:
    chance = random.Random(seed)
    lines = list(dict.fromkeys(a_line(chance) for _ in range(500)))
    theirs = refused(lines)
    late, early = [], []
    for line in lines:
        try:
            parse_rule(line)
            ours = ""
        except RuleError as error:
            ours = str(error)
        if not ours and line in theirs and not LATER.search(theirs[line]):
            late.append(f"{line}: {theirs[line]}")
        elif ours and line not in theirs and not LOOSE.search(line):
            early.append(f"{line}: {ours}")
    assert (late, early) == ([], [])
    assert len(theirs) > 100
    assert len(lines) - len(theirs) > 50
