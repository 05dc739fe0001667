"""What the proxy computes without a socket."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlab.lab.services.proxies import command_line, spec_of
from netlab.model.plan import Backend, Listener
from netlab.proxy.__main__ import parse
from netlab.proxy.__main__ import spec_of as spec_of_options
from netlab.proxy.pairs import Pairs
from netlab.proxy.sockets import plain, shown, sockaddr
from netlab.proxy.spec import PROTOCOLS, Spec

addresses = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).map(str)
ports = st.integers(1, 65535)
FIELDS = Spec.__slots__


@given(
    st.builds(
        Spec,
        st.sampled_from(PROTOCOLS),
        addresses,
        ports,
        st.sampled_from([None, True, False]),
        st.one_of(st.none(), st.tuples(addresses, ports)),
        st.integers(0, 65535),
        st.booleans(),
        st.floats(0.001, 1e6),
    )
)
def test_a_spec_survives_the_control_socket(spec: Spec) -> None:
    again = Spec.decode(spec.encode())
    assert [getattr(again, name) for name in FIELDS] == [getattr(spec, name) for name in FIELDS]


def test_an_unknown_protocol_is_refused() -> None:
    with pytest.raises(ValueError, match="unsupported protocol icmp"):
        Spec("icmp", "0.0.0.0", 1, None, None)


def listener(**changes: object) -> Listener:
    values: dict[str, object] = {
        "protocol": "tcp",
        "address": "0.0.0.0",
        "port": 80,
        "v6only": None,
        "process": "docker-proxy",
        "backend": Backend("192.168.10.10", 8080),
    }
    return Listener(**{**values, **changes})  # type: ignore[arg-type]


def test_command_line_as_dockerd_writes_it() -> None:
    words = (
        "docker-proxy -proto tcp -host-ip 0.0.0.0 -host-port 80 "
        "-container-ip 192.168.10.10 -container-port 8080"
    )
    assert " ".join(command_line(listener())) == words
    assert command_line(listener(argv=("-proto", "tcp"))) == ("docker-proxy", "-proto", "tcp")
    assert command_line(listener(argv=("docker-proxy", "-x"))) == ("docker-proxy", "-x")


def test_what_the_plan_says_of_a_listener() -> None:
    assert spec_of(listener()).backend == ("192.168.10.10", 8080)
    assert not spec_of(listener()).passed
    assert spec_of(listener(argv=("docker-proxy", "-use-listen-fd"))).passed
    held = spec_of(listener(process="conmon", backend=None, backlog=0))
    assert (held.backend, held.backlog) == (None, 0)


def test_options_and_their_defaults() -> None:
    options = parse(["-proto=udp", "--host-port", "53", "-container-ip", "::1", "-container-port=53"])
    spec = spec_of_options(options)
    assert (str(spec), spec.backend, spec.timeout) == ("0.0.0.0:53/udp", ("::1", 53), 90.0)
    assert not spec.passed
    assert spec_of_options({**options, "use-listen-fd": "true"}).passed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-proto"], "flag needs an argument: -proto"),
        (["-nonsense", "1"], "flag provided but not defined: -nonsense"),
        (["tcp"], "unexpected argument: tcp"),
        (["--"], "unexpected argument: --"),
        (["-container-ip", "1.2.3"], 'invalid value "1.2.3" for flag -container-ip'),
        (["-container-ip", "1.2.3.4", "-host-port", "70000"], 'invalid value "70000" for flag -host-port'),
        (["-container-ip", "1.2.3.4", "-host-port", "-5"], 'invalid value "-5" for flag -host-port'),
    ],
)
def test_wrong_options(arguments: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        spec_of_options(parse(arguments))


def test_pairs_are_bounded_and_what_is_missing_is_said() -> None:
    pairs = Pairs(3)
    ends = [(("::ffff:192.0.2.1", number, 0, 0), ("::", 80, 0, 0)) for number in range(5)]
    for client, asked in ends[:3]:
        pairs.add("tcp", client, asked, ("192.168.10.1", 1000), ("192.168.10.10", 80))
    whole, lines = pairs.since(0)
    assert whole
    assert len(lines) == 3
    assert lines[0].partition(" ")[2] == "tcp 192.0.2.1 0 :: 80 192.168.10.1 1000 192.168.10.10 80"
    first = int(lines[0].split(" ")[0])
    for client, asked in ends[3:]:
        pairs.add("tcp", client, asked, ("192.168.10.1", 1000), ("192.168.10.10", 80))
    whole, lines = pairs.since(first)
    assert not whole
    assert [line.split(" ")[3] for line in lines] == ["2", "3", "4"]
    assert pairs.since(int(lines[0].split(" ")[0])) == (True, lines[1:])


def test_addresses() -> None:
    assert plain("::ffff:192.0.2.1") == "192.0.2.1"
    assert plain("::ffff:1") == "::ffff:1"
    assert shown(("::1", 80, 0, 0)) == "[::1]:80"
    assert sockaddr("192.0.2.1", 5) == ("192.0.2.1", 5)
    assert sockaddr("fe80::1%7", 5) == ("fe80::1", 5, 0, 7)
