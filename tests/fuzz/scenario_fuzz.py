"""Mutate scenario files for as long as you like: each yields a Scenario or a ScenarioError, soon.

::

    python tests/fuzz/scenario_fuzz.py 100000 [SEED]

Prints one line a thousand inputs, and the first input that yields anything else (exit code 1).
"""

from __future__ import annotations

import random
import signal
import string
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from netlab.model.errors import ScenarioError
from netlab.scenario import Overrides, load

ROOT = Path(__file__).parents[2]
#: seconds for one input, far above what any takes
PATIENCE = 20
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
    """What went wrong with one input; None if it is a Scenario or a ScenarioError with positions."""
    file = folder / "f"
    file.write_bytes(content)
    try:
        load([file], environ={"A": "a"}, overrides=Overrides(name="fuzz"))
    except ScenarioError as error:
        if not error.problems or not all(p.position.line >= 1 and p.message for p in error.problems):
            return f"a problem without a place: {error}"
    except Exception as error:  # the point of it all
        return f"{type(error).__name__}: {error}"
    return None


def main() -> int:
    """Run; see the module's docstring."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
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
