"""``run: real``: run the real ufw or firewalld in a host of the lab.

It stays inside the lab: the tool runs in the host's network namespace, with a mount namespace in which /run
and the tool's directory in /etc are the host's own (:mod:`netlab.lab.node.firewall_view`). firewalld has its
own D-Bus, whose socket is invisible outside the lab, and runs as long as the lab; ufw ends once it has
written its rules. No kernel modules are loaded: modprobe does not exist there.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from netlab.kernel import descriptors, ipset, libc, process, ruleset, sysctl
from netlab.lab.build import ruleset_edits
from netlab.lab.node import firewall_view
from netlab.model.errors import LabError, MachineError
from netlab.model.family import FAMILIES
from netlab.model.plan import Node, RealFirewall
from netlab.model.rules import NftTable, Ruleset
from netlab.plan import render

#: Programs that each tool needs, and the Debian packages that have them.
_PROGRAMS = {
    "ufw": {"ufw": "ufw", "sysctl": "procps"},
    "firewalld": {"firewalld": "firewalld", "firewall-cmd": "firewalld", "dbus-daemon": "dbus"},
}
_RELOAD = {"ufw": ("ufw", "reload"), "firewalld": ("firewall-cmd", "-q", "--reload")}
_BUS = "/run/dbus/system_bus_socket"
#: A bus for the lab's own processes, without the machine's users and services.
_BUS_CONFIG = f"""<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path={_BUS}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <allow own="*"/>
    <allow send_type="*"/>
    <allow receive_type="*"/>
  </policy>
</busconfig>
"""
#: Debian's /etc/default/ufw; IPT_MODULES is empty, because a lab must not load modules.
_UFW_DEFAULTS = """IPV6=yes
DEFAULT_INPUT_POLICY="DROP"
DEFAULT_OUTPUT_POLICY="ACCEPT"
DEFAULT_FORWARD_POLICY="DROP"
DEFAULT_APPLICATION_POLICY="SKIP"
MANAGE_BUILTINS=no
IPT_SYSCTL=/etc/ufw/sysctl.conf
IPT_MODULES=""
"""
#: The package's own files, which no administrator has changed.
_UFW_FILES = Path("/usr/share/ufw")
#: firewalld needs some two seconds on a quiet machine.
_READY_SECONDS = 60.0
_ENVIRONMENT = {**process.ENVIRONMENT, "DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={_BUS}"}


@dataclass(frozen=True, slots=True)
class FirewallNode:
    """A host: its name, its network namespace, and the lab's own tmpfs."""

    host: str
    network: int
    private: str


def start(firewall: RealFirewall, place: FirewallNode) -> None:
    """Run the tool in a host, then insert the engine's rules among its own.

    For a single-threaded process, which is in the host's network namespace when this returns. Raises
    MachineError if the tool is not installed, LabError with its output if it fails.
    """
    for program, package in _PROGRAMS[firewall.tool].items():
        try:
            process.find(program)
        except MachineError:
            raise MachineError(
                f"firewall: {firewall.tool}: run: real needs {program}: sudo apt-get install {package}"
            ) from None
    _lay_out(firewall, Path(firewall_view.folder_of(place.private, place.host)))

    def work() -> None:
        if firewall.tool == "firewalld":
            _start_firewalld()
        for call in (*firewall.calls, *_joining(firewall.zone, (), firewall.joined)):
            _run(call)

    _inside(firewall.tool, place, work)
    _put_in(firewall, place)


def change(before: Node, after: Node, place: FirewallNode, *, reloaded: bool, found: bool) -> None:
    """Change a host from one state of its engine to another; the tool's own chains stay untouched.

    ``reloaded``: the tool is reloaded. ufw writes only its own chains. firewalld empties the tables of
    iptables and announces the reload on its D-Bus; then the engine writes its rules again. ``found``: the
    rules of ``before`` are those that were read on the host. Raises LabError.
    """
    was, wanted = before.firewall, after.firewall
    assert was is not None
    assert wanted is not None
    calls = [_RELOAD[wanted.tool]] if reloaded else []
    calls += _joining(wanted.zone, () if reloaded else was.joined, wanted.joined)
    if calls:

        def work() -> None:
            for call in calls:
                _run(call)

        _inside(wanted.tool, place, work)
    libc.setns(place.network, libc.CLONE_NEWNET)
    ipset.ensure(wanted.sets)
    emptied = reloaded and wanted.tool == "firewalld"
    if found and not emptied:
        _edit(before.rulesets, after.rulesets)
        return
    for family in FAMILIES:
        texts = [dict(one.rules).get(family, "") for one in (was, wanted)]
        old, new = map(ruleset_edits.read, texts)
        if not reloaded and old == new:
            continue
        now = ruleset_edits.read(ruleset.save(family))
        text = texts[1]
        if not reloaded or not (found or ruleset_edits.emptied(old, now)):
            whole = [ruleset_edits.of_family(node.rulesets, family) for node in (before, after)]
            have, want = (ruleset_edits.touched(ruleset_edits.planned(rules), old, new) for rules in whole)
            text = ruleset_edits.edits_of_tables(have, want, now)
        if text:
            ruleset.load_iptables(family, text)
    edits = ruleset_edits.nft_edits(was.tables, wanted.tables)
    if edits:
        ruleset.load_nft(edits)


def _edit(before: Sequence[Ruleset], after: Sequence[Ruleset]) -> None:
    """Have the rules of one state follow those of another, wherever the tool has put its own."""
    for family in FAMILIES:
        old, new = (ruleset_edits.of_family(rules, family) for rules in (before, after))
        text = "" if old == new else ruleset_edits.iptables_edits(old, new, ruleset.save(family))
        if text:
            ruleset.load_iptables(family, text)
    edits = ruleset_edits.nft_edits(*(_not_firewalld(rules) for rules in (before, after)))
    if edits:
        ruleset.load_nft(edits)


def _not_firewalld(rulesets: Sequence[Ruleset]) -> list[Ruleset]:
    return [one for one in rulesets if not (isinstance(one, NftTable) and one.name == "firewalld")]


def _joining(zone: str, before: Sequence[str], after: Sequence[str]) -> list[tuple[str, ...]]:
    """The engine's requests to firewalld when bridges are created or removed.

    A daemon that starts takes docker0 out of the zone and puts it in again, behind the others.
    """
    stay: list[str] = []
    for name in after:
        if name in before[before.index(stay[-1]) if stay else 0 :]:
            stay.append(name)
    calls = []
    for option, names in (
        ("--remove-interface", [name for name in before if name not in stay]),
        ("--change-interface", [name for name in after if name not in stay]),
    ):
        if names:
            calls.append(
                ("firewall-cmd", "-q", f"--zone={zone}", *(f"{option}={name}" for name in names)),
            )
    return calls


def _put_in(firewall: RealFirewall, place: FirewallNode) -> None:
    """Insert the engine's rules among the tool's own; there are no others."""
    libc.setns(place.network, libc.CLONE_NEWNET)
    ipset.ensure(firewall.sets)
    loading = [ruleset.start_iptables(family, text) for family, text in firewall.rules]
    while loading:
        loading.pop().finish()
    if firewall.tables:
        ruleset.load_nft("".join(render.nft_input(table) for table in firewall.tables))


# -- the process in which the tool runs


def _inside(tool: str, place: FirewallNode, work: Callable[[], None]) -> None:
    """Fork a process with the host's view of the file system, and wait until it has done ``work``.

    It runs as long as anything that it started. Raises LabError with the output of what failed.
    """
    read, write = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if pid == 0:
        _live(place, write, work)
    os.close(write)
    with open(read, "rb") as report:
        words = report.read().decode(errors="replace")
    if words != "ready":
        os.waitpid(pid, 0)
        raise LabError(f"firewall: {tool}: {words or 'ended without a word'}")


def _live(place: FirewallNode, report: int, work: Callable[[], None]) -> NoReturn:
    """The whole life of the forked process."""
    words = "ready"
    try:
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        _settle(place, report)
        work()
    except (OSError, LabError, subprocess.SubprocessError) as error:
        words = str(error)
    os.write(report, words.encode()[:4096])
    os.close(report)
    if words != "ready":
        os._exit(1)
    while True:  # as long as a child runs: for firewalld, until the end of the lab
        try:
            os.wait()
        except ChildProcessError:
            os._exit(0)


def _settle(place: FirewallNode, report: int) -> None:
    """The namespaces, and the files that the tool finds there."""
    libc.setns(place.network, libc.CLONE_NEWNET)
    libc.unshare(libc.CLONE_NEWNS)
    libc.mount("none", "/", "", libc.MS_REC | libc.MS_SLAVE)
    descriptors.close_all_but({report})
    os.chdir("/")
    firewall_view.mount(place.private, place.host)
    modprobe = shutil.which("modprobe", path=process.PATH)
    if modprobe is not None:
        libc.mount("/bin/true", os.path.realpath(modprobe), "", libc.MS_BIND)


# -- the tool's files


def _lay_out(firewall: RealFirewall, folder: Path) -> None:
    """Write down all that the tool finds in /run and /etc."""
    for name in ("dbus", "lock", "firewalld"):
        (folder / "run" / name).mkdir(parents=True)
    own = folder / "etc" / firewall.tool
    own.mkdir(parents=True)
    if firewall.tool == "ufw":
        _fill_ufw(folder, own)
    for name, contents in firewall.files:
        sysctl.demand_br_netfilter(contents)
        path = own / name
        path.parent.mkdir(exist_ok=True)
        if firewall.tool == "ufw":
            contents = path.read_text() + contents  # after.rules: the lines come after Debian's
        path.write_text(contents)


def _fill_ufw(folder: Path, own: Path) -> None:
    for path in [*_UFW_FILES.glob("*.init"), *_UFW_FILES.glob("iptables/*.rules"), _UFW_FILES / "ufw.conf"]:
        shutil.copy(path, own)
    (own / "applications.d").mkdir()
    shutil.copy("/etc/ufw/sysctl.conf", own)
    (folder / "etc" / "default").mkdir()
    (folder / "etc" / "default" / "ufw").write_text(_UFW_DEFAULTS)


# -- programs


def _start_firewalld() -> None:
    """A bus, and firewalld on it; returns when it answers, raises LabError if it does not."""
    config = Path("/run/dbus/netlab.conf")
    config.write_text(_BUS_CONFIG)
    read, write = os.pipe()
    bus = ("dbus-daemon", f"--config-file={config}", "--nofork", "--nopidfile", f"--print-address={write}")
    _spawn((*bus, "--nosyslog"), keep=(write,))
    os.close(write)
    with open(read, "rb") as address:
        if not address.readline():
            raise LabError("dbus-daemon did not start")
    daemon = _spawn(("firewalld", "--nofork", "--nopid", "--log-target", "console"))
    deadline = time.monotonic() + _READY_SECONDS
    while _finished(("firewall-cmd", "--state")).returncode != 0:
        if daemon.poll() is not None:
            raise LabError(f"firewalld ended with code {daemon.returncode}")
        if time.monotonic() > deadline:
            raise LabError(f"firewalld is not ready after {_READY_SECONDS:.0f} s")


def _spawn(argv: tuple[str, ...], keep: tuple[int, ...] = ()) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [process.find(argv[0]), *argv[1:]],
        env=_ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        pass_fds=keep,
    )


def _finished(argv: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [process.find(argv[0]), *argv[1:]],
        env=_ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_READY_SECONDS,
        check=False,
    )


def _run(argv: tuple[str, ...]) -> None:
    done = _finished(argv)
    if done.returncode != 0:
        words = (done.stderr or done.stdout).strip() or f"exit code {done.returncode}"
        raise LabError(f"{' '.join(argv)}: {words}")
