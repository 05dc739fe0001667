"""Start programs that may not be trusted, each in a node's network and alone otherwise.

Two kinds (the threat: a scenario that a stranger wrote, opened by root):

:data:`TOOL`: a line of ``rules``. ``iptables``, ``nft``, ``ip`` and ``sysctl`` with CAP_NET_ADMIN over the node's
namespace, under a user id that owns nothing on the machine; below /proc/sys only ``net`` can be written.

:data:`CONTAINER`: a ``command`` program. Docker's default capabilities, in a user namespace of its own if the
node's network namespace has one, so that its root is nobody on the machine.

Both get PID, mount, UTS and IPC namespaces of their own, the machine read-only (see
:mod:`netlab.kernel.sandbox_root`), empty /tmp, /run, /home and /root, /proc and /sys of their own namespaces,
no_new_privs and a list of refused system calls. Everything is gone with the program.
"""

from __future__ import annotations

import errno
import fcntl
import os
import signal
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NoReturn

from netlab.kernel import libc, process, sandbox_root, seccomp, userns
from netlab.model.errors import LabError

# include/uapi/linux/capability.h
CAP_NET_ADMIN, CAP_NET_RAW = 12, 13
_CAP_LAST = 63

#: Docker's default set (moby oci/caps/defaults.go): chown, dac_override, fowner, fsetid, kill, setgid, setuid,
#: setpcap, net_bind_service, net_raw, sys_chroot, mknod, audit_write, setfcap
DOCKER_CAPABILITIES = (0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31)

#: What a container's program may do in a network namespace that is not its own (network_mode: host): bind low
#: ports, and send as ping does; it is not even root there
_SHARED_NETWORK = (10, 13)

_NS_GET_USERNS = 0xB701


@dataclass(frozen=True, slots=True)
class Kind:
    """What a program may do."""

    capabilities: tuple[int, ...]
    writable_sysctls: bool
    in_user_namespace: bool  #: root of the user namespace that owns its network, as in a container


TOOL = Kind((CAP_NET_ADMIN, CAP_NET_RAW), writable_sysctls=True, in_user_namespace=False)
CONTAINER = Kind(DOCKER_CAPABILITIES, writable_sysctls=False, in_user_namespace=True)


@dataclass(frozen=True, slots=True)
class Program:
    """One program: what, where, as whom. ``network`` is a descriptor of the network namespace.

    ``etc`` holds the contents of hosts, resolv.conf and hostname; what is absent is the machine's.
    """

    argv: tuple[str, ...]
    network: int
    kind: Kind
    hostname: str = "netlab"
    etc: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=lambda: dict(process.ENVIRONMENT))


class Sandbox:
    """Starts programs from one read-only view of the machine, which it makes at the first.

    For a single-threaded process: it forks, and a copied thread must not find others' locks taken.
    """

    def __init__(self) -> None:
        self._root: int | None = None

    def prepare(self) -> int:
        """The descriptor of the view, which is made if it is not there yet; raises MachineError."""
        if self._root is None:
            self._root = sandbox_root.build()
        return self._root

    def close(self) -> None:
        """Let go of the view."""
        if self._root is not None:
            os.close(self._root)
            self._root = None

    def start(self, program: Program, stdin: int = 0, stdout: int = 1, stderr: int = 2) -> int:
        """The PID of the program, a child of the caller, which has been started.

        It is the first process of its PID namespace: like a container's, it gets no signal that it has no
        handler for, but SIGKILL and SIGSTOP. Raises LabError that says what failed.
        """
        root = self.prepare()
        read, write = os.pipe2(os.O_CLOEXEC)
        home = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
        # As much as possible is done here: every page that the child touches first must be copied.
        owner, many = _owner(program.network), userns.full()
        seccomp.prepare()
        try:
            libc.unshare(libc.CLONE_NEWPID, "making a PID namespace")
            try:
                pid = os.fork()
                if pid == 0:
                    _child(program, root, owner, many, write, (stdin, stdout, stderr))
            finally:
                libc.setns(home, libc.CLONE_NEWPID, "returning to the PID namespace")
            os.close(write)
            write = -1
            words = os.read(read, 4096)
        except OSError as error:
            raise LabError(f"{program.argv[0]}: {error.strerror}") from error
        finally:
            os.close(home)
            os.close(read)
            if owner is not None:
                os.close(owner)
            if write >= 0:
                os.close(write)
        if words:
            os.waitpid(pid, 0)
            raise LabError(f"{program.argv[0]}: {words.decode(errors='replace')}")
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


def _child(
    program: Program, root: int, owner: int | None, many: bool, report: int, streams: tuple[int, int, int]
) -> NoReturn:
    """The whole life of the forked child up to the program."""
    try:
        for number in (signal.SIGPIPE, signal.SIGINT, signal.SIGTERM, signal.SIGCHLD, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        signal.set_wakeup_fd(-1)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        os.setsid()
        report = _keep(streams, report)
        _isolate(program, root, userns.FIRST_ID if many else 0)
        _become(program.kind, owner, many)
        os.chdir("/")
        path = _find(program)
        seccomp.install()
        os.execve(path, program.argv, {"HOME": "/root", **program.environment})
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        os.write(report, (where + (error.strerror or str(error))).encode()[:4096])
    except BaseException as error:
        os.write(report, f"{type(error).__name__}: {error}".encode()[:4096])
    finally:
        os._exit(127)


def _keep(streams: Iterable[int], report: int) -> int:
    """Make the streams descriptors 0 to 2; the report's new number. Others close when the program starts."""
    report = fcntl.fcntl(report, fcntl.F_DUPFD_CLOEXEC, 10)
    moved = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10) for fd in streams]
    for target, fd in enumerate(moved):
        os.dup2(fd, target)
    libc.close_on_exec(3)
    return report


def _owner(network: int) -> int | None:
    """The user namespace that owns the network, as a descriptor; None if it is the caller's own."""
    fd = fcntl.ioctl(network, _NS_GET_USERNS)
    own = os.stat("/proc/self/ns/user")
    if os.path.samestat(os.fstat(fd), own):
        os.close(fd)
        return None
    return fd


def _isolate(program: Program, root: int, uid: int) -> None:
    """Namespaces and mounts; private directories belong to ``uid``. The caller is PID 1 of its namespace."""
    libc.setns(root, libc.CLONE_NEWNS, "entering the sandbox")
    libc.unshare(libc.CLONE_NEWNS | libc.CLONE_NEWUTS | libc.CLONE_NEWIPC, "making namespaces")
    libc.setns(program.network, libc.CLONE_NEWNET, "entering the network namespace")
    quiet = libc.MS_NOSUID | libc.MS_NODEV
    for place, mode in (("/run", 755), ("/tmp", 1777), ("/var/tmp", 1777), ("/home", 755), ("/root", 700)):
        if os.path.isdir(place) and not os.path.islink(place):
            libc.mount("tmpfs", place, "tmpfs", quiet, f"mode={mode},uid={uid},gid={uid},size=64m")
    libc.mount("proc", "/proc", "proc", quiet | libc.MS_NOEXEC)
    _protect_sysctls(program.kind.writable_sysctls)
    libc.mount("sysfs", "/sys", "sysfs", quiet | libc.MS_NOEXEC | libc.MS_RDONLY)
    if program.kind.in_user_namespace:
        libc.mount("tmpfs", "/dev/shm", "tmpfs", quiet | libc.MS_NOEXEC, "mode=1777,size=64m")
        libc.mount("devpts", "/dev/pts", "devpts", libc.MS_NOSUID | libc.MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620")  # fmt: skip
    libc.sethostname(program.hostname)
    _write_etc(program.etc)


def _protect_sysctls(writable_net: bool) -> None:
    """/proc/sys read-only, but what belongs to the network namespace if asked for."""
    net = libc.open_tree("/proc/sys/net") if writable_net else None
    everything = libc.open_tree("/proc/sys")
    libc.mount_setattr(everything, libc.MOUNT_ATTR_RDONLY)
    libc.move_mount(everything, "/proc/sys")
    os.close(everything)
    if net is not None:
        libc.move_mount(net, "/proc/sys/net")
        os.close(net)


def _write_etc(contents: Mapping[str, str]) -> None:
    """Put files of the program's own over the machine's."""
    if not any(contents.values()):
        return
    os.mkdir("/run/netlab", 0o755)
    for name, content in contents.items():
        if not content:
            continue
        source = f"/run/netlab/{name}"
        with open(source, "w", encoding="utf-8") as file:
            file.write(content)
        target = os.path.realpath(f"/etc/{name}")
        if target.startswith("/run/"):  # systemd-resolved's way: a link to a place that is empty here
            os.makedirs(target.rpartition("/")[0], exist_ok=True)
            os.close(os.open(target, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644))
        libc.mount(source, target, "", libc.MS_BIND)


def _become(kind: Kind, owner: int | None, many: bool) -> None:
    """User ids and capabilities, for good.

    What a program may keep after execve(2) as root is the bounding set, as somebody else the ambient one.
    """
    if many:
        os.setgroups([])
    if owner is not None:
        libc.setns(owner, libc.CLONE_NEWUSER, "entering the user namespace")
    wanted = kind.capabilities if owner is not None or not kind.in_user_namespace else _SHARED_NETWORK
    _limit_bounding_set(wanted)
    user = userns.FIRST_ID if many and owner is None else 0
    libc.prctl(libc.PR_SET_KEEPCAPS, 1, doing="keeping capabilities")
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
    mask = sum(1 << number for number in wanted)
    libc.set_capabilities(mask, mask if user else 0)
    if user:
        for number in wanted:
            libc.prctl(
                libc.PR_CAP_AMBIENT, libc.PR_CAP_AMBIENT_RAISE, number, doing="passing a capability on"
            )
    libc.prctl(libc.PR_SET_NO_NEW_PRIVS, 1, doing="refusing new privileges")


def _limit_bounding_set(wanted: tuple[int, ...]) -> None:
    drop = libc.bare("prctl")
    for number in range(_CAP_LAST + 1):
        if number not in wanted and drop(libc.PR_CAPBSET_DROP, number, 0, 0, 0) != 0:
            if libc.last_error() != errno.EINVAL:
                raise OSError(libc.last_error(), "dropping a capability")
            return  # behind the last capability that this kernel knows


def _find(program: Program) -> str:
    """The program's path, by the PATH that it will have."""
    name = program.argv[0]
    if "/" in name:
        return name
    for directory in program.environment.get("PATH", process.PATH).split(":"):
        if os.access(f"{directory}/{name}", os.X_OK):
            return f"{directory}/{name}"
    raise LabError("command not found")
