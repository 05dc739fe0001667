"""``run: real``: ufw, or firewalld, runs itself in a host of the lab.

It is kept inside: the tool lives in a process of the lab's, with a mount namespace in which /run is empty and
its folder of /etc is the scenario's, and in the host's network namespace. firewalld has a D-Bus of its own,
whose socket nobody else sees, and stays as long as the lab does; ufw is done once it has written its rules.
Kernel modules are not loaded: modprobe is not there.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import NoReturn

from netlab.kernel import libc, process, ruleset
from netlab.model.errors import LabError, MachineError
from netlab.model.plan import RealFirewall

#: Programs that each tool needs, and the Debian packages that have them.
_PROGRAMS = {
    "ufw": {"ufw": "ufw", "sysctl": "procps"},
    "firewalld": {"firewalld": "firewalld", "firewall-cmd": "firewalld", "dbus-daemon": "dbus"},
}
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
#: /etc/default/ufw as Debian has it; IPT_MODULES is empty, for modules are not the lab's to load.
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


def start(firewall: RealFirewall, network: int) -> None:
    """Run the tool in the network namespace ``network``, then put the engine's rules among its own.

    For a single-threaded process, which is in that namespace when this returns. Raises MachineError where the
    tool is not installed, LabError with its words where it fails.
    """
    for program, package in _PROGRAMS[firewall.tool].items():
        try:
            process.find(program)
        except MachineError:
            raise MachineError(
                f"firewall: {firewall.tool}: run: real needs {program}: sudo apt-get install {package}"
            ) from None
    _hold(firewall, network)
    libc.setns(network, libc.CLONE_NEWNET)
    loading = [ruleset.start_iptables(family, text) for family, text in firewall.rules]
    while loading:
        loading.pop().finish()
    if firewall.tables:
        from netlab.plan import render

        ruleset.load_nft("".join(render.nft_input(table) for table in firewall.tables))


def _hold(firewall: RealFirewall, network: int) -> None:
    """Fork the process that the tool lives in, and wait until the tool is ready."""
    read, write = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if pid == 0:
        _live(firewall, network, write)
    os.close(write)
    with open(read, "rb") as report:
        words = report.read().decode(errors="replace")
    if words != "ready":
        os.waitpid(pid, 0)
        raise LabError(f"firewall: {firewall.tool}: {words or 'ended without a word'}")


def _live(firewall: RealFirewall, network: int, report: int) -> NoReturn:
    """The whole life of the forked process."""
    words = "ready"
    try:
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        _settle(firewall, network, report)
        if firewall.tool == "firewalld":
            _start_firewalld()
        for call in firewall.calls:
            _run(call)
    except (OSError, LabError, subprocess.SubprocessError) as error:
        words = str(error)
    os.write(report, words.encode()[:4096])
    os.close(report)
    if words != "ready":
        os._exit(1)
    while True:  # as long as a child lives: the whole life of the lab, for firewalld
        try:
            os.wait()
        except ChildProcessError:
            os._exit(0)


def _settle(firewall: RealFirewall, network: int, report: int) -> None:
    """The namespaces, and the files that the tool finds there."""
    libc.setns(network, libc.CLONE_NEWNET)
    libc.unshare(libc.CLONE_NEWNS)
    libc.mount("none", "/", "", libc.MS_REC | libc.MS_SLAVE)
    os.closerange(3, report)
    os.closerange(report + 1, os.sysconf("SC_OPEN_MAX"))
    os.chdir("/")
    libc.mount("run", "/run", "tmpfs", 0, "mode=755")
    for name in ("dbus", "lock", "firewalld"):
        os.mkdir(f"/run/{name}")
    modprobe = shutil.which("modprobe", path=process.PATH)
    if modprobe is not None:
        libc.mount("/bin/true", os.path.realpath(modprobe), "", libc.MS_BIND)
    folder = Path("/etc/firewalld") if firewall.tool == "firewalld" else Path("/etc/ufw")
    sysctls = (folder / "sysctl.conf").read_text() if firewall.tool == "ufw" else ""
    libc.mount("firewall", str(folder), "tmpfs", 0, "mode=755")
    if firewall.tool == "ufw":
        _fill_ufw(folder, sysctls)
    for name, contents in firewall.files:
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        if firewall.tool == "ufw":
            contents = path.read_text() + contents  # after.rules: the lines go behind Debian's
        path.write_text(contents)


def _fill_ufw(folder: Path, sysctls: str) -> None:
    for path in [*_UFW_FILES.glob("*.init"), *_UFW_FILES.glob("iptables/*.rules"), _UFW_FILES / "ufw.conf"]:
        shutil.copy(path, folder)
    (folder / "applications.d").mkdir()
    (folder / "sysctl.conf").write_text(sysctls)
    defaults = Path("/run/ufw.default")
    defaults.write_text(_UFW_DEFAULTS)
    libc.mount(str(defaults), "/etc/default/ufw", "", libc.MS_BIND)


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
