"""Start untrusted programs, each isolated from everything but its node's network.

There are two kinds (the threat is a stranger's scenario, opened by root):

:data:`TOOL`: a line of ``rules``. ``iptables``, ``nft``, ``ip`` and ``sysctl`` with CAP_NET_ADMIN over the
node's namespace, under a user id that owns nothing on the machine; of /proc/sys only ``net`` can be written.

:func:`container`: a ``command`` program. Docker's default capabilities and what its service asks for of the
network, in a user namespace of its own if the node's network namespace has one, so that its root is nobody on
the machine.

Both get their own PID, mount, UTS and IPC namespaces, a read-only view of the machine
(:mod:`netlab.kernel.sandbox.root`) with private directories (:mod:`netlab.kernel.sandbox.places`), the /proc
and /sys of their own namespaces, no_new_privs and a list of forbidden system calls. Everything disappears
with the program.
"""

from __future__ import annotations

import fcntl
import os
import resource
import signal
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import NoReturn

from netlab.kernel import libc, process, userns
from netlab.kernel.sandbox import places, seccomp
from netlab.kernel.sandbox import root as sandbox_root
from netlab.kernel.sandbox.etc_files import EtcFiles
from netlab.model import capabilities
from netlab.model.errors import LabError
from netlab.model.plan import Rights

# include/uapi/linux/capability.h
CAP_NET_ADMIN, CAP_NET_RAW = 12, 13

#: What a container's program may do in a network namespace that is not its own (network_mode: host): bind low
#: ports, and send as ping does; it is not even root there
_SHARED_NETWORK = (10, 13)

#: Processes and threads that each user of a container may have (getrlimit(2), RLIMIT_NPROC)
PROCESSES = 4096

_TUN = "/dev/net/tun"
_NS_GET_USERNS = 0xB701
_NEW = libc.CLONE_NEWNS | libc.CLONE_NEWUTS | libc.CLONE_NEWIPC
_SIGNALS = (signal.SIGPIPE, signal.SIGINT, signal.SIGTERM, signal.SIGCHLD, signal.SIGHUP)

Streams = Sequence[int]
_Step = libc.Step


@dataclass(frozen=True, slots=True)
class Kind:
    """What a program may do."""

    capabilities: tuple[int, ...]
    writable_sysctls: bool
    in_user_namespace: bool  #: root of the user namespace that owns its network, as in a container
    tun: bool = False  #: it has /dev/net/tun


TOOL = Kind((CAP_NET_ADMIN, CAP_NET_RAW), writable_sysctls=True, in_user_namespace=False)


@cache
def container(rights: Rights) -> Kind:
    """What the program of a container may do."""
    numbers = tuple(sorted(capabilities.NUMBERS[name] for name in rights.capabilities))
    return Kind(numbers, writable_sysctls=rights.sysctls, in_user_namespace=True, tun=rights.tun)


CONTAINER = container(Rights())
_USUAL = CONTAINER.capabilities


@dataclass(frozen=True, slots=True)
class Program:
    """A program to start: arguments, place and user. ``network`` is a descriptor of the network namespace.

    ``etc`` has hosts, resolv.conf and hostname, and belongs to the caller; missing files are the machine's.
    """

    argv: tuple[str, ...]
    network: int
    kind: Kind
    hostname: str = "netlab"
    etc: EtcFiles | None = None
    environment: Mapping[str, str] = field(default_factory=lambda: {"HOME": "/root", **process.ENVIRONMENT})


class Sandbox:
    """Starts programs in one read-only view of the machine, which it creates for the first one.

    For a single-threaded process: after a fork, locks of other threads would stay locked.
    """

    def __init__(self) -> None:
        self._root: int | None = None

    def prepare(self) -> int:
        """The descriptor of the view, which is made if it is not there yet; raises MachineError."""
        if self._root is None:
            self._root = sandbox_root.create()
        return self._root

    def close(self) -> None:
        """Let go of the view."""
        if self._root is not None:
            os.close(self._root)
            self._root = None

    def start(self, program: Program, stdin: int = 0, stdout: int = 1, stderr: int = 2) -> int:
        """Start the program as a child of the caller; returns its PID.

        It is the first process of its PID namespace: as in a container, signals without a handler are
        ignored, except for SIGKILL and SIGSTOP. Raises LabError with what failed.
        """
        path = _find(program)
        root = self.prepare()
        if program.kind.in_user_namespace and userns.full():
            _hand_over(stdin, stdout, stderr)
        owner = _owner(program.network)
        # above the numbers that they are copied to
        streams = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10) for fd in (stdin, stdout, stderr)]
        try:
            tun = _open_tun(program.kind)
            if tun is not None:
                streams.append(tun)  # to be closed with them
            steps = _steps(program, root, owner, userns.full(), streams[:3], tun)
            pid, words = _fork(path, program, steps)
            if program.etc is not None:
                program.etc.mounted()
        except OSError as error:
            raise LabError(f"{program.argv[0]}: {error.strerror}") from error
        finally:
            for fd in (*streams, *([] if owner is None else [owner])):
                os.close(fd)
        if words:
            os.waitpid(pid, 0)
            raise LabError(f"{program.argv[0]}: {words}")
        return pid

    def run(self, program: Program, given: bytes = b"") -> process.Finished:
        """Start a program and wait for its end; raises LabError if it cannot be started."""
        stdin = process.memory_file("input", given)
        output, errors = process.memory_file("output"), process.memory_file("errors")
        try:
            pid = self.start(program, stdin, output, errors)
        except BaseException:
            os.close(output)
            os.close(errors)
            raise
        finally:
            os.close(stdin)
        return process.Running(pid, output, errors).finish()


def _hand_over(*streams: int) -> None:
    """Give pipes to the container's root, so that it can open /dev/stdout too (runc: fixStdioPermissions)."""
    for fd in streams:
        if stat.S_ISFIFO(os.fstat(fd).st_mode):
            os.fchown(fd, userns.FIRST_ID, userns.FIRST_ID)


def _fork(path: str, program: Program, steps: Sequence[_Step]) -> tuple[int, str]:
    """(PID of the child, what kept it from becoming the program: nothing, if it did)."""
    home = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    read, write = os.pipe2(os.O_CLOEXEC)
    report = fcntl.fcntl(write, fcntl.F_DUPFD_CLOEXEC, 10)
    os.close(write)
    try:
        libc.unshare(libc.CLONE_NEWPID, "making a PID namespace")
        try:
            pid = os.fork()
            if pid == 0:
                _child(path, program, steps, report)
        finally:
            libc.setns(home, libc.CLONE_NEWPID, "returning to the PID namespace")
        os.close(report)
        report = -1
        words = process.first_words(read, pid)
        return pid, "it does not start" if words is None else words.decode(errors="replace")
    finally:
        os.close(home)
        os.close(read)
        if report >= 0:
            os.close(report)


def _child(path: str, program: Program, steps: Sequence[_Step], report: int) -> NoReturn:
    """The whole life of the forked child up to the program.

    Little Python and no imports: every page that is touched here for the first time must be copied.
    """
    try:
        for function, arguments, doing in steps:
            if function(*arguments) == -1:
                os.write(report, f"{doing}: {os.strerror(libc.last_error())}".encode())
                os._exit(127)
        os.execve(path, program.argv, program.environment)  # noqa: S606
    except OSError as error:
        os.write(report, f"{path}: {os.strerror(error.errno or 0)}".encode()[:4096])
    finally:
        os._exit(127)


def _steps(
    program: Program, root: int, owner: int | None, many: bool, streams: Streams, tun: int | None
) -> list[_Step]:
    """All that the child does, with everything worked out beforehand.

    ``tun``: the machine's /dev/net/tun as a detached mount, where no node of it can be made.
    """
    private_to = userns.FIRST_ID if many else 0
    container = program.kind.in_user_namespace
    return [
        *_default_signals(),
        *_session(),
        *(_bounds() if container else ()),
        *((os.dup2, (fd, target), "passing on a stream") for target, fd in enumerate(streams)),
        libc.step_close_on_exec(3),
        libc.step("setns", root, libc.CLONE_NEWNS, doing="entering the sandbox"),
        libc.step("unshare", _NEW, doing="making namespaces"),
        libc.step("setns", program.network, libc.CLONE_NEWNET, doing="entering the network namespace"),
        *_mounts(program.kind, private_to),
        *_tun(program.kind, tun),
        libc.step("sethostname", os.fsencode(program.hostname), len(os.fsencode(program.hostname)),
                  doing="setting the host name"),
        *(() if program.etc is None else program.etc.steps()),
        (os.chdir, ("/",), "going to /"),
        *([(os.setgroups, ([],), "leaving groups")] if many else []),
        *_join(owner),
        *_identity(program.kind, owner is not None, many),
        *(places.directories(owners=owner is not None and many) if container else ()),
        *(_narrowed(program.kind) if container and owner is not None else ()),
        *seccomp.steps(one_id=container and owner is not None and not many),
    ]  # fmt: skip


@cache
def _default_signals() -> tuple[_Step, ...]:
    return tuple(libc.steps_default_signals(_SIGNALS))


def _session() -> Iterator[_Step]:
    """Create a session only to give up a terminal: sessions cost the scheduler time."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_CLOEXEC | os.O_NOCTTY))
    except OSError:  # ENXIO: there is no terminal
        return
    yield os.setsid, (), "making a session"


@cache
def _bounds() -> tuple[_Step, ...]:
    """Limit the number of processes, and make the kernel kill this program first when memory is short."""
    _, hard = resource.getrlimit(resource.RLIMIT_NPROC)
    most = PROCESSES if hard == resource.RLIM_INFINITY else min(PROCESSES, hard)
    return (
        (resource.setrlimit, (resource.RLIMIT_NPROC, (most, most)), "bounding the number of processes"),
        (_overwrite, ("/proc/self/oom_score_adj", b"1000"), "coming first when memory is short"),
    )


def _join(owner: int | None) -> Iterator[_Step]:
    if owner is not None:
        yield libc.step("setns", owner, libc.CLONE_NEWUSER, doing="entering the user namespace")


def _open_tun(kind: Kind) -> int | None:
    """The machine's /dev/net/tun, for user namespaces, which cannot create nodes; raises OSError."""
    return libc.open_tree(_TUN) if kind.tun and not userns.initial() else None


def _tun(kind: Kind, tree: int | None) -> Iterator[_Step]:
    """Put /dev/net/tun there; who may make a device of it is a matter of CAP_NET_ADMIN."""
    if not kind.tun:
        return
    if tree is None:
        yield os.mknod, (_TUN, stat.S_IFCHR | 0o666, os.makedev(10, 200)), f"making {_TUN}"
        yield os.chmod, (_TUN, 0o666), f"making {_TUN} everybody's"
    else:
        yield os.mknod, (_TUN, stat.S_IFREG | 0o600), f"making {_TUN}"
        yield libc.step_move_mount(tree, _TUN)


@cache
def _mounts(kind: Kind, uid: int) -> tuple[_Step, ...]:
    return tuple(_mount_steps(kind, uid))


def _mount_steps(kind: Kind, uid: int) -> Iterator[_Step]:
    """Private directories (which belong to ``uid``), /proc, /sys, and for containers the rest of /dev."""
    yield from places.mounts(uid, container=kind.in_user_namespace)
    quiet = libc.MS_NOSUID | libc.MS_NODEV | libc.MS_NOEXEC
    yield libc.step_mount("proc", "/proc", "proc", quiet)
    yield libc.step_mount("/proc/sys", "/proc/sys", "", libc.MS_BIND)
    read_only = libc.MS_REMOUNT | libc.MS_BIND | libc.MS_RDONLY | quiet
    yield libc.step_mount("none", "/proc/sys", "", read_only)
    if kind.writable_sysctls:
        yield libc.step_mount("/proc/sys/net", "/proc/sys/net", "", libc.MS_BIND)
        yield libc.step_mount("none", "/proc/sys/net", "", libc.MS_REMOUNT | libc.MS_BIND | quiet)
    yield libc.step_mount("sysfs", "/sys", "sysfs", quiet | libc.MS_RDONLY)
    if kind.in_user_namespace:
        yield libc.step_mount("tmpfs", "/dev/shm", "tmpfs", quiet, "mode=1777,size=64m")  # noqa: S108
        yield libc.step_mount(
            "devpts", "/dev/pts", "devpts", quiet & ~libc.MS_NODEV, "newinstance,ptmxmode=0666,mode=0620"
        )
    if kind.tun:
        yield libc.step_mount("tmpfs", "/dev/net", "tmpfs", quiet & ~libc.MS_NODEV, "mode=0755,size=4k")


def _overwrite(path: str, content: bytes) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    os.write(fd, content)
    os.close(fd)


@cache
def _identity(kind: Kind, owned: bool, many: bool) -> tuple[_Step, ...]:
    return tuple(_identity_steps(kind, owned, many))


def _identity_steps(kind: Kind, owned: bool, many: bool) -> Iterator[_Step]:
    """Set user IDs and capabilities permanently.

    After execve(2), root keeps the bounding set, other users the ambient set.
    """
    wanted = kind.capabilities
    if kind.in_user_namespace and owned:
        wanted = tuple(sorted({*wanted, *_USUAL}))  # to make the directories; then it is narrowed
    elif kind.in_user_namespace:
        wanted = tuple(number for number in wanted if number in _SHARED_NETWORK)
    for number in range(_last_capability() + 1):
        if number not in wanted:
            yield libc.step_prctl(libc.PR_CAPBSET_DROP, number, doing="dropping a capability")
    user = userns.FIRST_ID if many and not owned else 0
    yield libc.step_prctl(libc.PR_SET_KEEPCAPS, 1, doing="keeping capabilities")
    yield os.setresgid, (user, user, user), "changing the group"
    yield os.setresuid, (user, user, user), "changing the user"
    mask = sum(1 << number for number in wanted)
    yield libc.step_capset(mask, mask if user else 0)
    for number in wanted if user else ():
        yield libc.step_prctl(
            libc.PR_CAP_AMBIENT, libc.PR_CAP_AMBIENT_RAISE, number, doing="passing a capability on"
        )
    yield libc.step_prctl(libc.PR_SET_NO_NEW_PRIVS, 1, doing="refusing new privileges")


@cache
def _narrowed(kind: Kind) -> tuple[_Step, ...]:
    """Give up what the program's service drops of Docker's default set."""
    dropped = [number for number in _USUAL if number not in kind.capabilities]
    if not dropped:
        return ()
    doing = "dropping a capability"
    bounds = [libc.step_prctl(libc.PR_CAPBSET_DROP, number, doing=doing) for number in dropped]
    return (*bounds, libc.step_capset(sum(1 << number for number in kind.capabilities)))


@cache
def _last_capability() -> int:
    """The highest capability that this kernel knows."""
    return int(Path("/proc/sys/kernel/cap_last_cap").read_text("ascii"))


def _owner(network: int) -> int | None:
    """The user namespace that owns the network, as a descriptor; None if it is the caller's own."""
    fd = fcntl.ioctl(network, _NS_GET_USERNS)
    if os.path.samestat(os.fstat(fd), os.stat("/proc/self/ns/user")):  # noqa: PTH116  (pathlib: 35 pages)
        os.close(fd)
        return None
    return fd


def _find(program: Program) -> str:
    """The program's path, by the PATH that it will have."""
    name = program.argv[0]
    if "/" in name:
        return name
    for directory in program.environment.get("PATH", process.PATH).split(":"):
        if os.access(f"{directory}/{name}", os.X_OK):
            return f"{directory}/{name}"
    raise LabError(f"{name}: command not found")
