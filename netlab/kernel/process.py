"""Run a tool of this machine, without a shell.

The child is born in the calling thread's network namespace. Its input and output are memory files, so
neither side can block on the other.
"""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from netlab.model.errors import MachineError

#: Where iptables and ip are; an ordinary user's PATH lacks these folders on Debian.
SYSTEM_FOLDERS = ("/usr/local/sbin", "/usr/sbin", "/sbin")
PATH = ":".join((*SYSTEM_FOLDERS, "/usr/local/bin", "/usr/bin", "/bin"))
#: RES_OPTIONS (resolv.conf(5)): a tool that looks up a name, which no node can, gives up after a second
ENVIRONMENT = {"PATH": PATH, "LC_ALL": "C", "RES_OPTIONS": "timeout:1 attempts:1"}

#: Debian package of each tool, for errors
PACKAGES = {
    "iptables": "iptables", "iptables-restore": "iptables", "iptables-save": "iptables",
    "ip6tables": "iptables", "ip6tables-restore": "iptables", "ip6tables-save": "iptables",
    "nft": "nftables", "ip": "iproute2", "ss": "iproute2", "sysctl": "procps", "conntrack": "conntrack",
}  # fmt: skip


def find(tool: str) -> str:
    """The path of a tool; raises MachineError that says what to install."""
    for directory in PATH.split(":"):
        path = f"{directory}/{tool}"
        if os.access(path, os.X_OK):
            return path
    package = PACKAGES.get(tool)
    hint = f"; install it: sudo apt-get install {package}" if package else ""
    raise MachineError(f"the program {tool} is not on this machine{hint}")


def has(tool: str) -> bool:
    """Whether the machine has a tool."""
    return any(os.access(f"{directory}/{tool}", os.X_OK) for directory in PATH.split(":"))


@dataclass(frozen=True, slots=True)
class Finished:
    """How a program ended: its exit code (negative: the signal), and what it wrote, both streams."""

    code: int
    output: str
    errors: str


class Running:
    """A program that was started; :meth:`finish` waits for it."""

    __slots__ = ("_errors", "_output", "pid")

    def __init__(self, pid: int, output: int, errors: int) -> None:
        self.pid = pid
        self._output = output
        self._errors = errors

    def finish(self) -> Finished:
        """Wait for the end."""
        try:
            _, status = os.waitpid(self.pid, 0)
            code = os.waitstatus_to_exitcode(status)
            return Finished(code, _content(self._output), _content(self._errors))
        finally:
            os.close(self._output)
            os.close(self._errors)

    def kill(self) -> None:
        """End it and forget what it wrote."""
        os.kill(self.pid, signal.SIGKILL)
        self.finish()


def first_words(fd: int, pid: int, seconds: float = 10.0) -> bytes | None:
    """What a forked child writes to a pipe first; empty if it closes the pipe without writing.

    None if it does neither within the time: it is stopped, or hangs, and has been killed.
    """
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    if poll.poll(seconds * 1000):
        return os.read(fd, 4096)
    os.kill(pid, signal.SIGKILL)
    return None


def held_sockets() -> Iterator[tuple[int, frozenset[int]]]:
    """Each process of this PID namespace with the inodes of the sockets that it holds."""
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            links = [_link(f"/proc/{name}/fd/{fd}") for fd in os.listdir(f"/proc/{name}/fd")]
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue  # it has ended, or belongs to another user namespace
        yield int(name), frozenset(int(link[8:-1]) for link in links if link.startswith("socket:["))


#: States of a process that a signal has stopped, or a debugger: it answers nothing.
STOPPED = ("T", "t")


def state(pid: int) -> str:
    """What a process is doing, as a letter of proc(5); ``X`` for one that has ended."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "X"


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except FileNotFoundError:
        return ""  # closed in the meantime


def memory_file(name: str, content: bytes = b"") -> int:
    """An anonymous file that holds ``content``, positioned at its start."""
    fd = os.memfd_create(name, os.MFD_CLOEXEC)
    view = memoryview(content)
    while view:
        view = view[os.write(fd, view) :]
    if content:
        os.lseek(fd, 0, os.SEEK_SET)
    return fd


def _content(fd: int) -> str:
    size = os.lseek(fd, 0, os.SEEK_END)
    os.lseek(fd, 0, os.SEEK_SET)
    parts = []
    while size > 0:
        part = os.read(fd, size)
        if not part:
            break
        parts.append(part)
        size -= len(part)
    return b"".join(parts).decode(errors="replace")


def start(argv: Sequence[str], given: bytes = b"") -> Running:
    """Start a tool by name with ``given`` as its input; raises MachineError if it is not installed."""
    path = find(argv[0])
    stdin = memory_file("input", given)
    output = memory_file("output")
    errors = memory_file("errors")
    try:
        pid = os.posix_spawn(
            path,
            list(argv),
            ENVIRONMENT,
            file_actions=[
                (os.POSIX_SPAWN_DUP2, stdin, 0),
                (os.POSIX_SPAWN_DUP2, output, 1),
                (os.POSIX_SPAWN_DUP2, errors, 2),
            ],
            setsigmask=[],
            setsigdef=[signal.SIGPIPE, signal.SIGINT, signal.SIGTERM],
        )
    except OSError as error:
        os.close(output)
        os.close(errors)
        raise MachineError(f"starting {path}: {os.strerror(error.errno or 0)}") from error
    finally:
        os.close(stdin)
    return Running(pid, output, errors)


def run(argv: Sequence[str], given: bytes = b"") -> Finished:
    """:func:`start` a tool and wait for it."""
    return start(argv, given).finish()
