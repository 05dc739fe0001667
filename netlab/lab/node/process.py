"""Become a process of a node: its network namespace, /sys, host name, /etc/hosts and resolv.conf.

The caller is already in the lab's PID and mount namespaces (a child of the supervisor, or a command that used
:func:`join`), and gets its own mount namespace and host name.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import traceback
from typing import TYPE_CHECKING, NoReturn

from netlab.kernel import libc
from netlab.kernel.process import SYSTEM_FOLDERS
from netlab.lab import state
from netlab.lab.node import firewall_view, isolation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from netlab.model.plan import Plan

#: What sh(1) and env(1) say of a command that cannot be started.
NOT_FOUND = 127
NOT_EXECUTABLE = 126
#: What `docker exec` says if the surroundings could not be made.
NO_SANDBOX = 125


def join(user: int, mount: int, pid: int) -> None:
    """Enter a lab's user, mount and PID namespaces (children only) by descriptor; single-threaded callers.

    Skips the user namespace if the caller is in it (root's labs). Raises OSError.
    """
    if not isolation.same_namespace(user, "user"):
        libc.setns(user, libc.CLONE_NEWUSER)
    libc.setns(pid, libc.CLONE_NEWPID)
    libc.setns(mount, libc.CLONE_NEWNS)


def settle(network: int | None, private: str, node: str | None) -> None:
    """Become a process of ``node``: everything but the program. Raises OSError that says what failed.

    ``private`` is the lab's own tmpfs, in which :func:`keep_etc` wrote what a node's /etc says. Without
    ``network`` the process stays outside every node.
    """
    if network is not None:
        libc.setns(network, libc.CLONE_NEWNET)
    libc.unshare(libc.CLONE_NEWNS | libc.CLONE_NEWUTS)
    libc.mount("none", "/", "", libc.MS_REC | libc.MS_SLAVE)
    if network is not None:
        _own_sys()
    if node is None:
        return
    firewall_view.mount(private, node)
    hostname, *files = _etc(private, node)
    for name, content in zip(("hostname", "hosts", "resolv.conf"), files, strict=True):
        if content and os.path.exists(f"/etc/{name}"):
            libc.mount(_file(private, node, name, content), f"/etc/{name}", "", libc.MS_BIND)
    socket.sethostname(hostname or node)


def _own_sys() -> None:
    """Mount the /sys of the process's network namespace; an empty one if only the machine's is available.

    In a user namespace, a new sysfs may show no more than the existing one (mount_too_revealing,
    fs/namespace.c): container runtimes often make /sys read-only, or cover parts of it.
    """
    quiet = libc.MS_NOSUID | libc.MS_NODEV | libc.MS_NOEXEC
    for flags in (quiet, quiet | libc.MS_RDONLY):
        try:
            libc.mount("sysfs", "/sys", "sysfs", flags)
        except PermissionError:
            continue
        return
    libc.mount("tmpfs", "/sys", "tmpfs", quiet | libc.MS_RDONLY)  # the machine's would show others' links


def keep_etc(private: str, plan: Plan) -> None:
    """Write down what each node's /etc says, for :func:`settle`: a thousand nodes are one file."""
    contents = {
        node.name: (node.hostname, node.etc_hostname, node.hosts_file, node.resolv_conf)
        for node in plan.nodes
    }
    state.put(f"{private}/etc.json", json.dumps(contents).encode())


def _etc(private: str, node: str) -> list[str]:
    """Host name, and the files hostname, hosts and resolv.conf of a node; empty: the machine's own."""
    with open(f"{private}/etc.json", "rb") as file:
        found: list[str] = json.load(file)[node]
    return found


def _file(private: str, node: str, name: str, content: str) -> str:
    """The path of a file with this content: every process of the node shares it."""
    directory = f"{private}/etc/{node}"
    path = f"{directory}/{name}"
    if not os.path.exists(path):
        os.makedirs(directory, exist_ok=True)
        with open(f"{path}.{os.getpid()}", "w", encoding="utf-8") as file:
            file.write(content)
        os.rename(file.name, path)
    return path


def with_system_path(env: dict[str, str]) -> dict[str, str]:
    """The environment with root's folders in PATH."""
    path = env.get("PATH", os.defpath)
    missing = [folder for folder in SYSTEM_FOLDERS if folder not in path.split(":")]
    return {**env, "PATH": ":".join([path, *missing])}


def must(work: Callable[[], None], doing: str) -> None:
    """Do ``work`` in a forked child, which must never go on with its parent's work if that fails."""
    try:
        work()
    except OSError as error:
        fail(f"{doing}: {error.strerror or error}", NO_SANDBOX)
    except BaseException as error:
        traceback.print_exc()
        fail(f"{doing}: {error}", NO_SANDBOX)


def execute(argv: list[str], env: dict[str, str], cwd: str) -> NoReturn:
    """Replace this process by a program; ends the process with a word on stderr if that fails."""
    try:
        os.chdir(cwd)
    except OSError:
        os.chdir("/")  # the folder is not visible here, as with `docker exec`
    env = with_system_path(env)
    try:
        os.execvpe(argv[0], argv, env)  # noqa: S606  no shell is wanted
    except (OSError, ValueError) as error:
        # A folder in PATH without search permission turns "not found" into "permission denied".
        denied = isinstance(error, PermissionError) and not _is_found(argv[0], env)
        if denied or isinstance(error, FileNotFoundError):
            fail(f"{argv[0]}: command not found", NOT_FOUND)
        fail(f"{argv[0]}: {getattr(error, 'strerror', None) or error}", NOT_EXECUTABLE)


def _is_found(program: str, env: Mapping[str, str]) -> bool:
    if "/" in program:
        return True
    return any(os.path.exists(f"{folder}/{program}") for folder in os.get_exec_path(env))


def fail(text: str, code: int) -> NoReturn:
    """Say why on stderr and end this (forked) process at once."""
    sys.stderr.write(f"netlab: {text}\n")
    sys.stderr.flush()
    os._exit(code)
