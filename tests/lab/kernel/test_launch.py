"""What a stranger's program cannot do: each line of the threat model, tried."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from netlab.bench.plans import star
from netlab.kernel import netns, sysctl, userns
from netlab.kernel.process import Finished, memory_file
from netlab.kernel.sandbox import launcher
from netlab.kernel.sandbox.etc_files import EtcFiles
from netlab.kernel.sandbox.launcher import CONTAINER, PROCESSES, TOOL, Kind, Program, Sandbox
from netlab.kernel.sandbox.root import ETC
from netlab.lab.build.apply import Applied
from netlab.model.errors import LabError
from netlab.model.plan import Plan

Run = Callable[..., Finished]

#: Whom such a program is, seen from here: without privileges there is only one id
NOBODY = str(userns.FIRST_ID if userns.full() else 0)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    one = Sandbox()
    yield one
    one.close()


@pytest.fixture
def owned() -> Iterator[int]:
    """A network namespace with a user namespace of its own."""
    fd = userns.create_network()
    yield fd
    os.close(fd)


@pytest.fixture(params=[TOOL, CONTAINER], ids=["tool", "container"])
def run(request: pytest.FixtureRequest, sandbox: Sandbox, namespace: int, owned: int) -> Run:
    """Runs a shell line as either kind."""
    kind: Kind = request.param
    network = namespace if kind is TOOL else owned

    def line(text: str, **changes: object) -> Finished:
        return sandbox.run(replace(Program(("sh", "-c", text), network, kind), **changes))  # type: ignore[arg-type]

    return line


def value(status: str, key: str) -> str:
    return next(line.split("\t")[1] for line in status.splitlines() if line.startswith(f"{key}:"))


def test_it_sees_its_own_processes_only(run: Run) -> None:
    assert run("echo $$; echo /proc/[0-9]*").output.split() == ["1", "/proc/1"]


def test_it_cannot_end_a_process_of_the_machine(run: Run) -> None:
    assert run(f"kill -9 {os.getpid()}").code != 0


@pytest.mark.parametrize("path", ["/x", "/etc/x", "/usr/x", "/var/x", "/dev/x"])
def test_it_cannot_write_to_the_machine(run: Run, path: str) -> None:
    done = run(f"touch {path}")
    assert done.code != 0
    assert "Read-only" in done.errors or "denied" in done.errors
    assert not os.access(path, os.F_OK)


@pytest.mark.parametrize("place", ["/tmp", "/run/lock", "/home", "/root", "/var/tmp"])
def test_these_are_its_own_and_empty(run: Run, place: str) -> None:
    name = f"made-by-{os.getpid()}"
    done = run(f"mkdir -p {place} && ls -A {place} | wc -l && touch {place}/{name} && ls {place}")
    assert done.output.split() == ["0", name], done.errors
    assert not os.access(f"{place}/{name}", os.F_OK)


def test_a_container_has_what_packages_made_without_what_is_in_it(sandbox: Sandbox, owned: int) -> None:
    show = "stat -c '%n %a %u' /var/lib/*/ && ls -A /var/lib/*/ | grep -vx -e '/var/lib/.*' -e '' | wc -l"
    done = sandbox.run(Program(("sh", "-c", f"{show}; touch /var/lib/dpkg/x"), owned, CONTAINER))
    *shown, things = done.output.splitlines()
    assert things == "0", done.errors
    assert done.code == 0
    ids = userns.full()
    assert shown == [
        f"{path}/ {path.stat().st_mode & 0o1777:o} {path.stat().st_uid if ids else 0}"
        for path in sorted(Path("/var/lib").iterdir())
        if path.is_dir() and not path.is_symlink()
    ]


def test_it_reads_nothing_that_only_root_may(run: Run) -> None:
    assert run("cat /etc/passwd").code == 0
    assert "denied" in run("cat /etc/shadow").errors
    assert "denied" in run("find /etc/shadow /etc/gshadow -exec cp {} /tmp ';'").errors


def test_it_sees_nothing_of_the_users_home(
    namespace: int, owned: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tempfile.TemporaryDirectory(dir=Path(__file__).parent) as home:
        Path(home, "key").write_text("secret")
        monkeypatch.setenv("HOME", home)
        sandbox = Sandbox()
        try:
            for network, kind in ((namespace, TOOL), (owned, CONTAINER)):
                done = sandbox.run(Program(("sh", "-c", f"ls -A {home}; cat {home}/key"), network, kind))
                assert (done.code, done.output) == (1, ""), kind
        finally:
            sandbox.close()


@pytest.mark.parametrize(
    "line",
    [
        "mount -t tmpfs x /mnt",
        "umount /tmp",
        "mount -o remount,rw /",
        "mount -o remount,bind,rw /proc/sys",
        "unshare -n true",
        "unshare -Ur true",
        "nsenter --net=/proc/1/ns/net true",
        "chroot / mount -t proc x /proc",
        "hostname other",
        "mknod /tmp/disk b 8 0 && cat /tmp/disk",
        "sysctl -w kernel.domainname=x",
        "sysctl -w kernel.panic=5",
    ],
)
def test_it_cannot_leave_or_change_its_surroundings(run: Run, line: str) -> None:
    assert run(line).code != 0


def test_its_sockets_are_of_families_that_belong_to_its_network(run: Run) -> None:
    code = (
        "import socket\n"
        "for family in range(1, 46):\n"
        "    try:\n        socket.socket(family, socket.SOCK_RAW if family == 17 else socket.SOCK_DGRAM)\n"
        "    except OSError as error:\n"
        "        if error.errno == 97:\n            continue\n"
        "    print(family)\n"
    )
    done = run(f'exec python3 -c "{code}"')
    assert done.output.split() == ["1", "2", "10", "16", "17"], done.errors


def test_it_has_no_privilege_to_gain(run: Run) -> None:
    status = run("cat /proc/self/status").output
    assert value(status, "NoNewPrivs") == "1"
    assert value(status, "Seccomp") == "2"
    assert int(value(status, "CapBnd"), 16) & (1 << 21) == 0  # CAP_SYS_ADMIN
    assert int(value(status, "CapEff"), 16) & ~int(value(status, "CapBnd"), 16) == 0


def test_a_tool_is_nobody_with_power_over_one_network(sandbox: Sandbox, namespace: int) -> None:
    status = sandbox.run(Program(("cat", "/proc/self/status"), namespace, TOOL)).output
    assert value(status, "Uid") == NOBODY
    assert int(value(status, "CapEff"), 16) == 1 << 12 | 1 << 13
    assert value(status, "Groups").strip() == ""


def test_a_container_is_root_of_ids_that_nobody_has(sandbox: Sandbox, owned: int) -> None:
    show = "cat /proc/self/uid_map; id -u; grep CapEff /proc/self/status"
    words = sandbox.run(Program(("sh", "-c", show), owned, CONTAINER)).output.split()
    assert words == [
        "0",
        NOBODY,
        "65536" if userns.full() else "1",
        "0",
        "CapEff:",
        "00000000a80425fb",
    ]  # as in Docker


def test_a_container_may_become_another_user_that_it_has(sandbox: Sandbox, owned: int) -> None:
    other = "33" if userns.full() else "0"
    argv = ("setpriv", f"--reuid={other}", f"--regid={other}", "--keep-groups", "id", "-u")
    done = sandbox.run(Program(argv, owned, CONTAINER))
    assert done.output == f"{other}\n", done.errors


def test_a_containers_powers_are_over_its_own_network_only(
    sandbox: Sandbox, owned: int, namespace: int
) -> None:
    serve = "import socket; s = socket.socket(); s.bind(('', 80)); socket.socket(2, 3, 1); print('bound')"
    assert sandbox.run(Program(("python3", "-c", serve), owned, CONTAINER)).output == "bound\n"
    shared = sandbox.run(Program(("sh", "-c", "id -u; ip link set lo up"), namespace, CONTAINER))
    assert shared.output == f"{NOBODY}\n"
    assert shared.code != 0


def test_tools_change_their_namespace(sandbox: Sandbox, namespace: int) -> None:
    for argv in (
        ("sysctl", "-w", "net.ipv4.ip_forward=1"),
        ("ip", "link", "add", "br0", "type", "bridge"),
        ("iptables", "-t", "nat", "-A", "POSTROUTING", "-j", "MASQUERADE"),
        ("ip6tables", "-A", "INPUT", "-j", "DROP"),
        ("nft", "add", "table", "inet", "mine"),
    ):
        assert sandbox.run(Program(argv, namespace, TOOL)).code == 0
    with netns.entered(namespace):
        assert sysctl.read("net.ipv4.ip_forward") == "1"


def test_tools_cannot_carry_a_link_out_or_read_files(sandbox: Sandbox, namespace: int) -> None:
    sandbox.run(Program(("ip", "link", "add", "br0", "type", "bridge"), namespace, TOOL))
    moved = sandbox.run(Program(("ip", "link", "set", "br0", "netns", "1"), namespace, TOOL))
    still = sandbox.run(Program(("ip", "link", "show", "br0"), namespace, TOOL))
    assert moved.code != 0 or still.code == 0
    spilled = sandbox.run(Program(("nft", 'include "/etc/shadow"'), namespace, TOOL))
    assert "root:" not in spilled.output + spilled.errors


def test_a_container_cannot_change_settings_of_its_network(sandbox: Sandbox, owned: int) -> None:
    done = sandbox.run(Program(("sysctl", "-w", "net.ipv4.ip_forward=1"), owned, CONTAINER))
    assert done.code != 0
    with netns.entered(owned):
        assert sysctl.read("net.ipv4.ip_forward") == "0"


@pytest.fixture
def few_processes(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A container may have only so many processes."""
    monkeypatch.setattr(launcher, "PROCESSES", 300)
    launcher._bounds.cache_clear()
    yield 300
    launcher._bounds.cache_clear()


def test_a_fork_bomb_ends_at_a_number(sandbox: Sandbox, owned: int, few_processes: int) -> None:
    bomb = (
        "import os, signal\n"
        "children = 0\n"
        "try:\n"
        "    while children < 9000:\n"
        "        if os.fork() == 0:\n"
        "            signal.pause()\n"
        "        children += 1\n"
        "except BlockingIOError:\n"
        "    print(children)\n"
    )
    done = sandbox.run(Program(("python3", "-c", bomb), owned, CONTAINER))
    assert int(done.output) == few_processes - 1, done.errors


def test_every_container_has_that_limit(sandbox: Sandbox, owned: int) -> None:
    limit = "import resource; print(*resource.getrlimit(resource.RLIMIT_NPROC))"
    done = sandbox.run(Program(("python3", "-c", limit), owned, CONTAINER))
    assert done.output == f"{PROCESSES} {PROCESSES}\n", done.errors


def test_a_container_is_ended_first_when_memory_is_short(sandbox: Sandbox, owned: int) -> None:
    done = sandbox.run(Program(("cat", "/proc/self/oom_score_adj"), owned, CONTAINER))
    assert done.output == "1000\n", done.errors


def test_names_and_files_of_its_own(run: Run) -> None:
    etc = {"hosts": "192.0.2.1 web\n", "resolv.conf": "nameserver 127.0.0.11\n", "hostname": "web\n"}
    show = "hostname; cat /etc/hosts /etc/resolv.conf /etc/hostname; ls /sys/class/net"
    files = EtcFiles(etc)
    done = run(show, hostname="web", etc=files)
    files.close()
    assert done.output == "web\n" + "".join(etc.values()) + "lo\n", done.errors


#: What a program may try with a file of its /etc, so that netlab writes somewhere else, or waits.
REPLACING = [
    "rm $f", "mv $f $f.old", "ln -sf /tmp/victim $f", "mkfifo $f", "ln $f /etc/other", "ln $f /tmp/other",
    "echo x >$f", "echo x >>$f", "truncate -s 0 $f", "chmod 777 $f", "chown 1 $f", "touch -d 2001-01-01 $f",
    "cp /etc/passwd $f", "mount --bind /etc/passwd $f", "umount $f", "umount -l $f", "mount -o remount,rw $f",
    "mkdir $f.d && mv -T $f.d $f", "unshare -Urm umount $f",
]  # fmt: skip


@pytest.mark.parametrize("name", ["hosts", "resolv.conf", "hostname"])
def test_it_cannot_replace_or_change_the_files_that_netlab_changes(
    sandbox: Sandbox, owned: int, name: str
) -> None:
    files = EtcFiles(dict.fromkeys(ETC, "old\n"))
    attacks = "; ".join(f"({line}) 2>&- && echo done: '{line}'" for line in REPLACING)
    read, write = os.pipe()
    output = memory_file("output")
    shown = f"f=/etc/{name}; {attacks}; head -c 1 >/dev/null; cat $f"
    try:
        pid = sandbox.start(Program(("sh", "-c", shown), owned, CONTAINER, etc=files), read, output, output)
        files.write({name: "a longer line than before\n"})
        files.write({name: "new\n"})
        os.write(write, b"x")
        os.waitpid(pid, 0)
        words = Path(f"/proc/self/fd/{output}").read_text()
    finally:
        for fd in (read, write, output):
            os.close(fd)
        files.close()
    assert words == "new\n"


def test_devices_that_programs_expect_work(run: Run) -> None:
    done = run(
        "echo x >/dev/null; head -c2 /dev/zero | wc -c; head -c3 /dev/urandom | wc -c; ls /dev/fd/|head -1"
    )
    assert done.output.split() == ["2", "3", "0"], done.errors


def test_descriptors_of_the_caller_are_not_passed_on(run: Run) -> None:
    leaked = os.open("/etc/passwd", os.O_RDONLY)
    os.set_inheritable(leaked, True)
    try:
        assert run("ls /proc/1/fd").output.split() == ["0", "1", "2"]
    finally:
        os.close(leaked)


def test_input_reaches_the_program(sandbox: Sandbox, namespace: int) -> None:
    assert sandbox.run(Program(("cat",), namespace, TOOL), b"given\n").output == "given\n"


def test_a_program_that_is_not_there_is_said(sandbox: Sandbox, namespace: int) -> None:
    with pytest.raises(LabError, match="no-such-program: command not found"):
        sandbox.run(Program(("no-such-program",), namespace, TOOL))
    with pytest.raises(LabError, match="/etc/passwd: Permission denied"):
        sandbox.run(Program(("/etc/passwd",), namespace, TOOL))


def test_a_started_program_is_a_child_that_can_be_ended(sandbox: Sandbox, namespace: int) -> None:
    null = memory_file("null")
    pid = sandbox.start(Program(("sleep", "60"), namespace, CONTAINER), null, null, null)
    os.close(null)
    os.kill(pid, signal.SIGKILL)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL


def test_the_caller_stays_where_it_was(sandbox: Sandbox, namespace: int) -> None:
    def here() -> list[str]:
        return [
            str(Path(f"/proc/self/ns/{kind}").readlink())
            for kind in ("net", "mnt", "pid", "pid_for_children", "user", "uts")
        ]

    before = here()
    sandbox.run(Program(("true",), namespace, TOOL))
    assert here() == before


def test_the_network_of_a_program_belongs_to_its_user_namespace(
    applied: Callable[[Plan], Applied], sandbox: Sandbox
) -> None:
    plan = star(2)
    nodes = tuple(replace(node, command=("true",)) if node.name == "c0" else node for node in plan.nodes)
    lab = applied(replace(plan, nodes=nodes))
    ids = [
        sandbox.run(Program(("cat", "/proc/self/uid_map"), lab.namespaces[name], CONTAINER)).output.split()
        for name in ("c0", "c1")
    ]
    assert ids[0][1] == NOBODY
    assert len(ids[0]) == len(ids[1]) == 3
    reached = sandbox.run(Program(("ping", "-c1", "-W2", "10.1.0.3"), lab.namespaces["c0"], CONTAINER))
    assert reached.code == 0, reached.errors
