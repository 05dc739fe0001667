"""Start processes for a client: a program in a node, or a module of netlab.

The child is in the lab's PID namespace, so it cannot outlive the lab; it is killed when the connection of its
request closes. Its stdio are the first three descriptors of the request.
"""

from __future__ import annotations

import os
import sys

from netlab.kernel.channel import Message
from netlab.lab.node import process
from netlab.lab.supervisor.children import Child
from netlab.lab.supervisor.forked import main_of
from netlab.lab.supervisor.runtime import Runtime


def spawn(runtime: Runtime, message: Message, fds: list[int]) -> Child:
    """Start the program or module in ``message``; raises ValueError or UsageError if that is impossible.

    ``argv``: a program in ``node``, with ``env`` and ``cwd``. ``module``: a module of netlab with a function
    ``main(arguments: list[str], fds: list[int], namespaces: dict[str, int]) -> int``, which gets ``args``,
    the descriptors after the first three, and the network namespaces of ``nodes``. It runs in a fork of the
    supervisor, so no interpreter has to start.
    """
    if len(fds) < 3:
        raise ValueError("a process needs stdin, stdout and stderr")
    if "argv" in message:
        return _program(runtime, message, fds)
    return _module(runtime, message, fds)


def _stdio(fds: list[int]) -> None:
    """Make the first three descriptors stdin, stdout and stderr."""
    high = [os.dup(fd) if fd > 2 else os.dup(os.dup(fd)) for fd in fds[:3]]
    for number, fd in enumerate(high):
        os.dup2(fd, number, inheritable=True)
        os.close(fd)


def _program(runtime: Runtime, message: Message, fds: list[int]) -> Child:
    node: str = message["node"]
    argv: list[str] = message["argv"]
    namespace = runtime.open_namespace(node)

    def work() -> int:
        _stdio(fds)
        for fd in fds:
            os.close(fd)
        process.must(lambda: process.settle(namespace, runtime.private, node), node)
        os.close(namespace)
        process.execute(argv, message["env"], message["cwd"])

    try:
        return runtime.children.fork(Child(0, "exec", node, " ".join(argv)), work, keep=(*fds, namespace))
    finally:
        os.close(namespace)


def _module(runtime: Runtime, message: Message, fds: list[int]) -> Child:
    name: str = message["module"]
    if not name.startswith("netlab."):
        raise ValueError(f"{name} is not a netlab module")
    namespaces: dict[str, int] = {}
    arguments: list[str] = message["args"]

    def work() -> int:
        _stdio(fds)
        for fd in fds[:3]:
            os.close(fd)
        result = main_of(name)(arguments, fds[3:], namespaces)
        sys.stdout.flush()
        return result

    try:
        for node in message["nodes"]:
            namespaces[node] = runtime.open_namespace(node)
        return runtime.children.fork(Child(0, "helper", label=name), work, keep=(*fds, *namespaces.values()))
    finally:
        for fd in namespaces.values():
            os.close(fd)
