"""docker-proxy's command line: ``python -m netlab.proxy -proto tcp -host-ip 0.0.0.0 -host-port 80 …``.

As in moby's ``cmd/docker-proxy/main_linux.go``: the program writes ``0`` and a newline, or ``1``, a newline
and the error, to descriptor 3, if that is open. With ``-use-listen-fd``, descriptor 4 is the listener, which
the caller has bound. SIGTERM and SIGINT end it with exit code 0.
"""

from __future__ import annotations

import _socket
import gc
import os
import signal
import sys
import time

from netlab.proxy import identity, sockets
from netlab.proxy.child import LISTEN_FD, READY_FD
from netlab.proxy.server import Server
from netlab.proxy.spec import UDP_TIMEOUT, Spec
from netlab.version import __version__

USAGE = """\
Usage of docker-proxy:
  -container-ip string
    \tcontainer ip
  -container-port int
    \tcontainer port (default -1)
  -host-ip string
    \thost ip (default 0.0.0.0)
  -host-port int
    \thost port (default -1)
  -proto string
    \tproxy protocol (default "tcp")
  -udp-timeout seconds
    \tlife of a UDP flow after its last answer (default 90; docker-proxy has no such option)
  -use-listen-fd
    \tuse a supplied listen fd
  -v\tprint version information and quit
"""
_SWITCHES = ("use-listen-fd", "v", "version", "h", "help")
_VALUES = {
    "proto": "tcp",
    "host-ip": "0.0.0.0",
    "host-port": "-1",
    "container-ip": "",
    "container-port": "-1",
    "udp-timeout": str(UDP_TIMEOUT),
}


def parse(arguments: list[str]) -> dict[str, str]:
    """The options by name, defaults included, as Go's flag package takes them; raises ValueError."""
    options = dict(_VALUES)
    rest = iter(arguments)
    for word in rest:
        if not word.startswith("-") or not word.strip("-"):
            raise ValueError(f"unexpected argument: {word}")
        name, equals, value = word.lstrip("-").partition("=")
        if name in _SWITCHES:
            options[name] = value if equals else "true"
        elif name not in _VALUES:
            raise ValueError(f"flag provided but not defined: -{name}")
        elif equals:
            options[name] = value
        else:
            try:
                options[name] = next(rest)
            except StopIteration:
                raise ValueError(f"flag needs an argument: -{name}") from None
    return options


def spec_of(options: dict[str, str]) -> Spec:
    """The listener that the options describe; raises ValueError."""
    for name in ("host-ip", "container-ip"):
        try:
            _socket.inet_pton(sockets.family_of(options[name]), options[name].partition("%")[0])
        except OSError:
            raise ValueError(f'invalid value "{options[name]}" for flag -{name}') from None
    for name in ("host-port", "container-port"):
        if not options[name].isdigit() or int(options[name]) > 65535:
            raise ValueError(f'invalid value "{options[name]}" for flag -{name}')
    return Spec(
        options["proto"],
        options["host-ip"],
        int(options["host-port"]),
        True if ":" in options["host-ip"] else None,
        (options["container-ip"], int(options["container-port"])),
        backlog=4096,
        passed=options.get("use-listen-fd", "") in ("true", "1"),
        timeout=float(options["udp-timeout"]),
    )


def log(text: str) -> None:
    """A line on stderr, stamped as Go's log package does."""
    sys.stderr.write(f"{time.strftime('%Y/%m/%d %H:%M:%S')} {text}\n")
    sys.stderr.flush()


def is_open(fd: int) -> bool:
    """Whether the program was started with ``fd``."""
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def tell(text: str) -> None:
    """Say on descriptor 3 how starting went."""
    os.write(READY_FD, text.encode())
    os.close(READY_FD)


def main(arguments: list[str]) -> int:
    """Serve until killed; returns the exit code if that cannot be."""
    ready = is_open(READY_FD)  # before it becomes a descriptor of our own
    try:
        options = parse(arguments)
        if options.keys() & {"h", "help"}:
            sys.stderr.write(USAGE)
            return 0
        if options.keys() & {"v", "version"}:
            sys.stdout.write(f"docker-proxy (netlab) version {__version__}\n")
            return 0
        spec = spec_of(options)
    except ValueError as error:
        sys.stderr.write(f"{error}\n{USAGE}")
        return 2
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(0))
    identity.rename(["docker-proxy", *arguments])
    gc.disable()
    server = Server(log)
    try:
        server.add(spec, _inherited(spec) if spec.passed else None)
    except OSError as error:
        reason = go_error(spec, error)
        if ready:
            tell(f"1\n{reason}")
        sys.stderr.write(f"{reason}\n")
        return 1
    if ready:
        tell("0\n")
    server.run()
    return 0


def go_error(spec: Spec, error: OSError) -> str:
    """The error in Go's words: ``listen tcp4 0.0.0.0:80: bind: address already in use``."""
    if spec.protocol == "sctp":
        return sockets.words(error)
    kind = spec.protocol + ("6" if ":" in spec.address else "4")
    return f"listen {kind} {str(spec).rpartition('/')[0]}: bind: {sockets.words(error)}"


def _inherited(spec: Spec) -> _socket.socket:
    """The socket on descriptor 4; raises OSError if there is none."""
    sock = _socket.socket(fileno=LISTEN_FD)
    sock.setblocking(False)
    sockets.adopt(sock, spec)
    return sock


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
