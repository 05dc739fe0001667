"""Mutate scenario files for as long as you like: each yields a plan or an error with a place, soon.

::

    python tests/fuzz/scenario_fuzz.py 100000 [SEED]
    python tests/fuzz/scenario_fuzz.py 300 [SEED] --up

Prints one line a thousand inputs, and the first input that yields anything else (exit code 1). With ``--up``
(as root) so many mutants that have a plan are really brought up and taken down; what ``up`` refuses although
``plan`` did not is counted and shown. Time and memory of each are bounded.
"""

from __future__ import annotations

import random
import resource
import signal
import string
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from netlab.lab.lab import Lab
from netlab.model.errors import NetlabError
from netlab.model.plan import Plan
from netlab.model.problem import ScenarioError
from netlab.plan import make
from netlab.scenario import Overrides, load

ROOT = Path(__file__).parents[2]
#: seconds for one input, far above what any takes
PATIENCE = 20
#: bytes of address space for a whole run
MEMORY = 2 << 30
#: nodes above which a mutant is not brought up
LARGE = 60
TOKENS = [
    *(
        "services:",
        "networks:",
        "x-netlab:",
        "host:",
        "ports:",
        "expect:",
        "<<: *a",
        "&a",
        "*a",
        "!reset",
        "!override",
    ),
    *(
        "{",
        "}",
        "[",
        "]",
        ":",
        "- ",
        ",",
        "|",
        ">",
        "#",
        "'",
        '"',
        "\t",
        "\n",
        "  ",
        "\\",
        "%",
        "@",
        "`",
        "~",
        "null",
    ),
    *(
        "${A}",
        "${A:-",
        "$$",
        "$",
        "${A:?x}",
        "true",
        "0",
        "-1",
        "99999999999999999999",
        "1e999",
        ".inf",
        "0x",
        "80:80",
    ),
    *(
        "10.0.0.0/24",
        "10.0.0.0/0",
        "::/0",
        "fd00::1",
        "[::1]:80:80",
        "1-65535:1-65535",
        "a -> b:*",
        "client -> host:80",
    ),
    *(
        "extends: web",
        "include: [f]",
        "network_mode: service:web",
        "docker-20.10",
        "\u2028",
        "\ufeff",
        "é",
        "\x85",
        "\0",
    ),
]


def seeds() -> list[bytes]:
    """The project's own scenario files."""
    folders = ("scenarios", "tests/data/captures/scenarios", "tests/data/compose")
    paths = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.y*ml"))]
    return [path.read_bytes() for path in paths]


def mutate(text: bytes, others: list[bytes], chance: random.Random) -> bytes:
    """One to eight changes: bytes, tokens, lines moved, cut or taken from another file."""
    for _ in range(chance.choice((1, 1, 1, 2, 3, 8))):
        lines = text.splitlines(keepends=True) or [b"\n"]
        at = chance.randrange(len(text) + 1)
        row = chance.randrange(len(lines))
        match chance.randrange(9):
            case 0:
                text = text[:at] + bytes([chance.randrange(256)]) + text[at + 1 :]
            case 1:
                text = text[:at] + chance.choice(string.printable).encode() + text[at:]
            case 2:
                text = text[:at] + chance.choice(TOKENS).encode() + text[at:]
            case 3:
                text = text[:at] + text[at + chance.randrange(1, 20) :]
            case 4:
                text = b"".join(lines[:row] + lines[row + 1 :])
            case 5:
                text = b"".join([*lines[:row], lines[row], *lines[row:]])
            case 6:
                text = b"".join([*lines[:row], chance.choice(lines), *lines[row:]])
            case 7:
                other = chance.choice(others).splitlines(keepends=True) or [b""]
                text = b"".join([*lines[:row], chance.choice(other), *lines[row:]])
            case _:
                words = text.split()
                if len(words) > 1:
                    text = text.replace(chance.choice(words), chance.choice(words), 1)
    return text


def inputs(count: int, seed: int) -> Iterator[bytes]:
    """``count`` mutated files, the same for the same seed."""
    chance = random.Random(seed)
    whole = seeds()
    for _ in range(count):
        yield mutate(chance.choice(whole), whole, chance)


def check(folder: Path, content: bytes) -> str | None:
    """What went wrong with one input; None if it has a plan, or a ScenarioError with positions."""
    try:
        plan_of(folder, content)
    except ScenarioError as error:
        if not error.problems or not all(p.position.line >= 1 and p.message for p in error.problems):
            return f"a problem without a place: {error}"
    except Exception as error:  # the point of it all
        return f"{type(error).__name__}: {error}"
    return None


def plan_of(folder: Path, content: bytes) -> Plan:
    """The plan of one input; raises ScenarioError."""
    file = folder / "f"
    file.write_bytes(content)
    return make(load([file], environ={"A": "a"}, overrides=Overrides(name="fuzz")))


def bring_up(count: int, seed: int) -> int:
    """Bring up ``count`` mutants that have a plan; returns the exit code."""
    seen: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="netlab-fuzz-") as name:
        for number, content in enumerate(inputs(1_000_000, seed), 1):
            try:
                plan = plan_of(Path(name), content)
            except ScenarioError:
                continue
            if any(node.proxy.startswith("/") for node in plan.nodes) or len(plan.nodes) > LARGE:
                continue
            try:
                with Lab(plan=plan):
                    seen["up"] += 1
            except NetlabError as error:
                seen[f"{type(error).__name__}"] += 1
                print(f"input {number} of seed {seed}: refused by up alone: {error}", flush=True)
            except Exception as error:  # the point of it all
                print(f"input {number} of seed {seed}: {type(error).__name__}: {error}\n{content!r}")
                return 1
            if seen.total() >= count:
                break
    print(f"{seen.total()} mutants with a plan, of {number}: {dict(seen)}")
    return 0


def main() -> int:
    """Run; see the module's docstring."""
    words = [word for word in sys.argv[1:] if word != "--up"]
    count = int(words[0]) if words else 10_000
    seed = int(words[1]) if len(words) > 1 else 1
    if "--up" in sys.argv:
        return bring_up(count, seed)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    begin = time.monotonic()
    longest = 0.0
    with tempfile.TemporaryDirectory(prefix="netlab-fuzz-") as name:
        for number, content in enumerate(inputs(count, seed), 1):
            signal.alarm(PATIENCE)
            start = time.monotonic()
            wrong = check(Path(name), content)
            longest = max(longest, time.monotonic() - start)
            signal.alarm(0)
            if wrong:
                print(f"input {number} of seed {seed}: {wrong}\n{content!r}")
                return 1
            if number % 1000 == 0:
                print(
                    f"{number} inputs, {time.monotonic() - begin:.0f} s, longest {longest:.2f} s", flush=True
                )
    return 0


if __name__ == "__main__":
    sys.exit(main())
