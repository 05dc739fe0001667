"""A machine that lacks something: a clear error, its exit code, and nothing left."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.labs import NOBODYS_UID
from support.witness import until

from .conftest import Scale
from .traces import names, processes
from .withheld import Withheld

ROOT = Path(__file__).parents[2]
SEED = ROOT / "scenarios" / "httpd.yaml"
NATIVE = ROOT / "scenarios" / "nftables-accept.yaml"
FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="what a machine has is root's to hide")


def netlab_argv(*words: str | Path) -> list[str]:
    return [sys.executable, "-m", "netlab", *map(str, words)]


def apart(state: Path, commands: list[list[str]], **lacking: object) -> list[tuple[int, str, str]]:
    """Run commands where something is missing, with a state directory of their own."""
    wanted = json.dumps({**lacking, "commands": commands})
    done = subprocess.run(
        [sys.executable, str(Path(__file__).parent / "apart.py"), wanted],
        cwd=ROOT,
        env={**os.environ, "NETLAB_STATE": str(state), "TERM": "dumb"},
        capture_output=True,
        text=True,
        check=True,
    )
    answers = [(code, out, err) for code, out, err in json.loads(done.stdout)]
    for code, _, err in answers:
        assert "Traceback" not in err, err
        assert not code or err.strip(), "a failure without a word"
    until(lambda: not processes(state), "every process is gone")
    assert list(names(state)) == []
    return answers


@pytest.fixture
def state(tmp_path: Path) -> Path:
    folder = tmp_path / "labs"
    folder.mkdir(mode=0o755)
    return folder


def up_probe_down(name: str, file: Path = SEED) -> list[list[str]]:
    return [
        netlab_argv("up", "-q", file, "--name", name),
        netlab_argv("probe", "--json", name, "client -> host:80"),
        netlab_argv("down", name),
        netlab_argv("ls"),
    ]


def program(name: str) -> str:
    """The file behind a program's links."""
    return os.path.realpath(f"/usr/sbin/{name}")


@pytest.mark.parametrize(
    ("missing", "file"),
    [("nft", NATIVE), ("iptables", SEED), ("iptables-restore", SEED), ("ip6tables", SEED)],
)
def test_a_tool_is_missing(missing: str, file: Path, state: Path) -> None:
    answers = apart(state, up_probe_down("t-lacking", file), hide=[program(missing)])
    code, _, err = answers[0]
    if code == 0:  # it was not needed, and says so by working
        assert answers[1][0] == 0
    else:
        assert code == 4, err
        assert "apt-get install" in err or "is not on this machine" in err, err
    assert answers[2][0] == 0


def test_legacy_iptables_in_its_place(state: Path) -> None:
    """iptables that writes to the old tables, whose rules no trace shows: refused, with the cure."""
    tools = [f"{tool}{what}" for tool in ("iptables", "ip6tables") for what in ("", "-restore", "-save")]
    links = {tool: f"/usr/sbin/{tool.replace('tables', 'tables-legacy', 1)}" for tool in tools}
    answers = apart(state, up_probe_down("t-legacy"), links=[["/etc/alternatives", links]])
    code, _, err = answers[0]
    assert code == 4, err
    assert "legacy" in err, err


def test_the_disk_is_full(state: Path, scale: Scale, figure: Callable[[str], None]) -> None:
    """A state directory of so many pages or files: up works, or says that there is no space."""
    endings = {"worked": 0, "failed": 0}
    sizes = [f"size={4 * n}k" for n in range(1, 40, scale(13, 1))]
    sizes += [f"nr_inodes={n}" for n in range(2, 16, scale(5, 1))]
    for number, options in enumerate(sizes):
        name = f"t-full{number}"
        answers = apart(state, up_probe_down(name), tmpfs=[[str(state), f"{options},mode=755"]])
        code, _, err = answers[0]
        if code == 0:
            endings["worked"] += 1
            assert [json.loads(line)["outcome"] for line in answers[1][1].splitlines()] == ["ok", "ok"]
        else:
            endings["failed"] += 1
            assert code == 4, err
            assert f"{state}" in err, f"which file? {err}"
            assert "No space left on device" in err, err
        assert answers[2][0] == answers[3][0] == 0, answers[2:]
    assert endings["failed"]
    assert endings["worked"]
    figure(
        f"{len(sizes)} full disks: {endings['worked']} ups worked, {endings['failed']} said no space, 0 left"
    )


def test_no_descriptors(state: Path, scale: Scale, figure: Callable[[str], None]) -> None:
    """So few descriptors for the command line (root's supervisor gets its own): works, or says which."""
    endings = {"worked": 0, "failed": 0}
    for limit in range(5, 126, scale(13, 4)):
        few = ["prlimit", f"--nofile={limit}:{limit}"]
        name = f"t-fds{limit}"
        commands = [[*few, *command] for command in up_probe_down(name)[:2]] + up_probe_down(name)[2:]
        answers = apart(state, commands)
        endings["failed" if answers[0][0] else "worked"] += 1
        if answers[0][0]:
            assert answers[0][0] == 4, answers[0]
            assert "ulimit -" in answers[0][2], answers[0]
        assert answers[2][0] == answers[3][0] == 0, answers[2:]
    figure(
        f"{sum(endings.values())} limits of descriptors: "
        f"{endings['worked']} ups worked, {endings['failed']} said why"
    )


@pytest.mark.parametrize("jump", ["+3650d", "-3650d", "-1h"])
def test_the_clock_jumps(state: Path, jump: str) -> None:
    """The lab is brought up at one time, and asked and ended at another, years away."""
    if not FAKETIME.exists():
        pytest.fail("libfaketime is not installed: ./install --dev")
    fake = ["env", f"LD_PRELOAD={FAKETIME}", "FAKETIME_DONT_FAKE_MONOTONIC=1"]
    up, probe, down, ls = up_probe_down("t-clock")
    answers = apart(
        state,
        [
            up,
            [*fake, f"FAKETIME={jump}", *probe],
            [*fake, f"FAKETIME={jump}", *ls],
            probe,
            down,
            [*fake, f"FAKETIME={jump}", *up],
            probe,
            [*fake, "FAKETIME=+1d", *down],
        ],
    )
    assert [code for code, _, _ in answers] == [0] * len(answers), answers
    for at in (1, 3, 6):
        assert [json.loads(line)["outcome"] for line in answers[at][1].splitlines()] == ["ok", "ok"]


def test_names_of_netns_that_only_root_may_list(make_netlab: Callable[[int], Any]) -> None:
    """``ip netns add`` with umask 077 makes /run/netns so: no user's lab is in it, and none stays for it."""
    netlab = make_netlab(NOBODYS_UID)
    lab = netlab.name()
    hide = "mount -t tmpfs -o mode=755 netlab-torture /run && mkdir -m 700 /run/netns"
    script = f'{hide} && exec setpriv --reuid "$0" --regid "$0" --clear-groups "$@"'
    for words in (["up", "-q", SEED, "--name", lab], ["ls"], ["down", lab], ["ls"], ["clean"]):
        command = ["unshare", "-m", "--propagation", "private", "sh", "-c", script, str(NOBODYS_UID)]
        done = subprocess.run(
            [*command, *netlab_argv(*words)],
            cwd=ROOT,
            env={**netlab.env, "PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    nothing_left(netlab)


# ── a kernel that lacks something ────────────────────────────────────────────────────────────────────────


def run(netlab: Any, *words: str | Path, **options: Any) -> tuple[int, str, str]:
    """Run the command line to its end; never a traceback, never a failure without a word."""
    process = netlab.start(*words, **options)
    out, err = process.communicate(timeout=100)
    assert "Traceback" not in err, err
    assert process.returncode <= 0 or (out + err).strip(), "a failure without a word"
    return process.returncode, out, err


def nothing_left(netlab: Any) -> None:
    until(lambda: not processes(netlab.state / "labs"), "every process is gone")
    assert list(names(netlab.state / "labs")) == []


def test_without_br_netfilter(anyones: Any) -> None:
    """A plan that needs it says how to get it; any other is measured as ever, and doctor knows."""
    with Withheld("sys/net/bridge") as kernel:
        lacking = {"preexec_fn": kernel.install}
        code, _, err = run(anyones, "up", ROOT / "scenarios" / "icc-false.yaml", **lacking)
        assert code == 4, err
        assert "sudo modprobe br_netfilter" in err
    assert kernel.asked
    nothing_left(anyones)
    with Withheld("sys/net/bridge") as kernel:
        lacking = {"preexec_fn": kernel.install}
        code, out, err = run(anyones, "verify", SEED, **lacking)
        assert code == 0, out + err
    with Withheld("sys/net/bridge") as kernel:
        code, out, _ = run(anyones, "doctor", "--json", preexec_fn=kernel.install)
        assert code == 0
    (finding,) = [one for one in json.loads(out)["findings"] if one["name"] == "br_netfilter"]
    assert finding["status"] == "limited"
    assert finding["remedy"].startswith("sudo modprobe br_netfilter")
    nothing_left(anyones)


@pytest.mark.parametrize("file", ["httpd.yaml", "nftables-accept.yaml", "udp.yaml"])
def test_without_ipv6(file: str, anyones: Any) -> None:
    """As booted with ipv6.disable=1: no settings, and no sockets of that family."""
    with Withheld("/proc/sys/net/ipv6|if_inet6", (socket.AF_INET6,)) as kernel:
        code, _, err = run(anyones, "up", ROOT / "scenarios" / file, preexec_fn=kernel.install)
    assert code == 4, err
    assert "without ipv6.disable=1" in err
    nothing_left(anyones)
    with Withheld("/proc/sys/net/ipv6|if_inet6", (socket.AF_INET6,)) as kernel:
        code, out, _ = run(anyones, "doctor", "--json", preexec_fn=kernel.install)
    assert code == 4
    (finding,) = [one for one in json.loads(out)["findings"] if one["name"] == "IPv6"]
    assert finding["status"] == "missing"
    assert "ipv6.disable=1" in finding["remedy"]


# ── no memory ────────────────────────────────────────────────────────────────────────────────────────────


@contextlib.contextmanager
def memory_cgroup(octets: int) -> Iterator[Path]:
    """A cgroup with so much memory and nothing more; the file that takes its processes. Skips without one."""
    name = f"netlab-torture-{os.getpid()}-{octets}"
    for folder, limits in (
        (f"/sys/fs/cgroup/memory/{name}", ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes")),
        (f"/sys/fs/cgroup/{name}", ("memory.max", "memory.swap.max")),
    ):
        with contextlib.suppress(OSError):
            os.mkdir(folder)
            try:
                Path(folder, limits[0]).write_text(str(octets))
                with contextlib.suppress(OSError):  # a kernel that counts no swap
                    Path(folder, limits[1]).write_text(str(octets if "memsw" in limits[1] else 0))
                yield Path(folder, "cgroup.procs")
                return
            finally:
                until(lambda folder=folder: _removed(folder), f"{folder} is empty")
    pytest.skip("no cgroup of memory can be made here")


def _removed(folder: str) -> bool:
    try:
        os.rmdir(folder)
    except OSError:  # EBUSY: somebody dies in it
        return False
    return True


def test_no_memory_in_the_cgroup(anyones: Any, scale: Scale, figure: Callable[[str], None]) -> None:
    """The kernel kills any process of the lab: what is left reports it, or the shell does; nothing stays."""
    endings: Counter[str] = Counter()
    for megabytes in range(4, 64, scale(12, 2)):
        lab = anyones.name()
        with memory_cgroup(megabytes << 20) as join:
            os.chown(join, anyones.uid, anyones.uid)
            inside = {"preexec_fn": lambda join=join: join.write_text(str(os.getpid()))}
            code, _, err = run(anyones, "up", SEED, "--name", lab, **inside)
            assert code in (0, 1, 4, -signal.SIGKILL), err
            endings["worked" if code == 0 else "killed" if code < 0 else "said why"] += 1
            anyones("down", lab)
            nothing_left(anyones)
    assert endings["worked"]
    figure(f"{sum(endings.values())} limits of memory: " + ", ".join(f"{n} {w}" for w, n in endings.items()))


def test_no_address_space(anyones: Any, scale: Scale, figure: Callable[[str], None]) -> None:
    """``ulimit -v``: allocation itself fails, anywhere in Python and in the tools."""
    import resource

    endings: Counter[str] = Counter()
    for megabytes in range(20, 140, scale(25, 3)):  # with less Python itself does not start
        lab = anyones.name()

        def limit(octets: int = megabytes << 20) -> None:
            resource.setrlimit(resource.RLIMIT_AS, (octets, octets))

        code, _, err = run(anyones, "up", SEED, "--name", lab, preexec_fn=limit)
        assert code in (0, 1, 4), err
        endings["worked" if code == 0 else "said why"] += 1
        anyones("down", lab)
        nothing_left(anyones)
    figure(
        f"{sum(endings.values())} limits of address space: "
        + ", ".join(f"{n} {w}" for w, n in endings.items())
    )


# ── limits on namespaces ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", ["net", "pid", "mnt", "uts", "ipc"])
def test_no_more_namespaces(kind: str, netlab: Any) -> None:
    """``user.max_KIND_namespaces`` of a user namespace of our own: 0 of a kind, then 2."""
    for most in (0, 2):
        lab = netlab.name()
        words = [sys.executable, "-m", "netlab", "up", "-q", str(SEED), "--name", lab]
        script = f'echo {most} > /proc/sys/user/max_{kind}_namespaces && exec "$@"'
        command = ["unshare", "-Ur", "sh", "-c", script, "sh", *words]
        done = subprocess.run(
            command, cwd=ROOT, env=netlab.env, capture_output=True, text=True, check=False, timeout=100
        )
        assert "Traceback" not in done.stderr
        if done.returncode:
            assert done.returncode == 4, done.stderr
            assert "sysctl user.max_" in done.stderr, done.stderr
        else:
            assert most
        netlab("down", lab)
        nothing_left(netlab)
