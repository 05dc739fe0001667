"""The command line as a fixture; and the namespace in which the tests run is the same after each of them."""

from __future__ import annotations

import difflib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from support import json_documents

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # started in the background: programs would inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)

#: An ordinary user's PATH lacks these on Debian, and the tests' own iptables is there.
os.environ["PATH"] += ":/usr/sbin:/sbin"

ROOT = Path(__file__).parents[2]
SEED = ROOT / "scenarios" / "httpd.yaml"

#: Counters of what goes on, not settings.
VOLATILE = re.compile(
    r"/(nf_conntrack_count|entropy_avail|[a-z_]*random[a-z_]*|stable_secret|netdev_rss_key)$"
)


def tool(*argv: str) -> str:
    """The output of a tool, which must succeed."""
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


def sysctls(folder: str = "/proc/sys/net") -> Iterator[str]:
    """Every setting below a folder that can be read, one a line.

    With calls of os alone, because there are a thousand, and all are read after each test.
    """
    for name in sorted(os.listdir(folder)):
        path = f"{folder}/{name}"
        if VOLATILE.search(path):
            continue
        try:
            file = os.open(path, os.O_RDONLY)
        except OSError:
            yield f"{path} cannot be read"
            continue
        try:
            yield f"{path} = {os.read(file, 1 << 16).decode().strip()}"
        except IsADirectoryError:
            yield from sysctls(path)
        except OSError:
            yield f"{path} cannot be read"
        finally:
            os.close(file)


def fingerprint() -> list[str]:
    """Links, addresses, routes, rules and settings of the namespace that this process is in."""
    lines = []
    for entry in json.loads(tool("ip", "-j", "-d", "addr")):
        for address in entry.get("addr_info", ()):
            for key in ("valid_life_time", "preferred_life_time"):
                address.pop(key, None)
        lines.append(json.dumps(entry, sort_keys=True))
    for family in ("-4", "-6"):
        for route in json.loads(tool("ip", "-j", family, "route", "show", "table", "all") or "[]"):
            route.pop("expires", None)
            lines.append(json.dumps(route, sort_keys=True))
        lines += tool("ip", family, "rule").splitlines()
    if os.geteuid() == 0:
        lines += tool("nft", "-s", "list", "ruleset").splitlines()
    lines += sysctls()
    return lines


def load_modules() -> None:
    """Have the kernel load what labs need: some modules bring settings to every namespace."""
    apart = ["unshare", "-n"] if os.geteuid() == 0 else ["unshare", "-rn"]
    for iptables in ("iptables", "ip6tables"):
        rule = ["-A", "POSTROUTING", "-m", "conntrack", "--ctstate", "NEW", "-j", "MASQUERADE"]
        tool(*apart, iptables, "-w", "-t", "nat", *rule)
    tool(*apart, "ip", "link", "add", "br9", "type", "bridge")
    tool(*apart, "ip", "link", "add", "v9", "type", "veth")


def compare(before: list[str], after: list[str]) -> None:
    """Fail with what changed."""
    difference = difflib.unified_diff(before, after, lineterm="", n=0)
    changes = [line for line in difference if line[:2] not in ("--", "++", "@@")]
    assert not changes, "the starting namespace was changed:\n" + "\n".join(changes)


@pytest.fixture(scope="session")
def before_all() -> Iterator[list[list[str]]]:
    """The fingerprint at the start, then after the last test that changed it; the same again at the end."""
    load_modules()
    known = [fingerprint()]
    yield known
    compare(known[0], fingerprint())


@pytest.fixture(autouse=True)
def untouched(before_all: list[list[str]]) -> Iterator[None]:
    """No test changes the namespace in which it runs."""
    yield
    after, before = fingerprint(), before_all[-1]
    if after != before:
        before_all.append(after)
    compare(before, after)


@dataclass
class Netlab:
    """The command line as somebody uses it, with a state directory and lab names of its own."""

    state: Path
    uid: int
    labs: list[str] = field(default_factory=list)
    cwd: Path = ROOT  #: whose netlab is run
    extra: dict[str, str] = field(default_factory=dict)  #: further variables of its environment

    @property
    def env(self) -> dict[str, str]:
        return {
            "PATH": "/usr/bin:/bin" if self.uid else os.environ["PATH"],
            "NETLAB_STATE": str(self.state / "labs"),
            "HOME": str(self.state),
            "TERM": "dumb",
            **self.extra,
        }

    def start(self, *arguments: str | Path, **options: object) -> subprocess.Popen[str]:
        """Start ``netlab ARGUMENTS``."""
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        quiet["text"] = True
        identity = {"user": self.uid, "group": self.uid, "extra_groups": []} if self.uid else {}
        return subprocess.Popen(  # type: ignore[call-overload, no-any-return]
            [sys.executable, "-m", "netlab", *map(str, arguments)],
            cwd=self.cwd,
            env=self.env,
            **{**quiet, **identity, **options},
        )

    def __call__(self, *arguments: str | Path, code: int = 0) -> subprocess.CompletedProcess[str]:
        """Run it to its end, which must be ``code``."""
        process = self.start(*arguments)
        out, err = process.communicate(timeout=100)
        assert process.returncode == code, f"netlab {' '.join(map(str, arguments))}\n{out}{err}"
        if out and (schema := json_documents.printed_by([*map(str, arguments)])) is not None:
            json_documents.check(schema, out)
        return subprocess.CompletedProcess(process.args, code, out, err)

    def name(self) -> str:
        """A lab's name that nobody else uses; the lab is taken down at the end."""
        self.labs.append(f"t{uuid.uuid4().hex[:10]}")
        return self.labs[-1]

    def up(self, file: str | Path = SEED, *options: str) -> str:
        """Bring a scenario up; the lab's name."""
        name = self.name()
        self("up", "-q", file, "--name", name, *options)
        return name

    def record(self, lab: str) -> dict[str, object]:
        """What is recorded of a lab."""
        found: dict[str, object] = json.loads((self.state / "labs" / lab / "lab.json").read_text())
        return found

    def exec(self, lab: str, node: str, *argv: str) -> str:
        """Run a command in a node; what it writes."""
        return self("exec", f"{lab}.{node}", "--", *argv).stdout


@pytest.fixture
def make_netlab() -> Iterator[Callable[[int], Netlab]]:
    """Makes the command line of a user by number; all labs go at the end."""
    made = []

    def make(uid: int) -> Netlab:
        state = Path(tempfile.mkdtemp(prefix="netlab-test-"))  # pytest's own no other user may enter
        if uid:
            os.chown(state, uid, uid)
        made.append(Netlab(state, uid))
        return made[-1]

    yield make
    for netlab in made:
        labs = netlab.state / "labs"
        if any(labs.glob("*")):
            netlab("down", "--all")
        left = list(labs.glob("*"))
        shutil.rmtree(netlab.state)
        assert not left


@pytest.fixture
def netlab(make_netlab: Callable[[int], Netlab]) -> Netlab:
    """The command line of the user who runs the tests."""
    return make_netlab(0)


#: An ordinary user whom no machine has.
NOBODYS_UID = 64321


@pytest.fixture(params=["root", "user"])
def anyones(request: pytest.FixtureRequest, make_netlab: Callable[[int], Netlab]) -> Netlab:
    """The command line of root, and of an ordinary user without any privilege."""
    if os.geteuid() != 0:
        if request.param == "root":
            pytest.skip("the tests run without root: the other half of this test is theirs")
        return make_netlab(0)
    return make_netlab(NOBODYS_UID if request.param == "user" else 0)
