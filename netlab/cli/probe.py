"""``netlab probe``: the path of a flow, rule by rule, as the kernel reports it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from netlab.cli.common import print_text
from netlab.cli.complete import hint
from netlab.cli.help import FLOW_GRAMMAR, examples

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from netlab.lab.client.client import Client
    from netlab.lab.probe_options import PacketOptions
    from netlab.model.flow import Flow
    from netlab.model.journey import Journey
    from netlab.model.plan import Plan
    from netlab.model.shape import Shape


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this verb's arguments."""
    option = parser.add_argument
    hint(option("lab", nargs="?", metavar="LAB", help="the lab; default: the one running lab"), "lab")
    option(
        "flows", nargs="*", metavar="FLOW",
        help="'client -> host:80/tcp'; several are measured together; - reads one flow per line from stdin",
    )  # fmt: skip
    family = parser.add_mutually_exclusive_group()
    family.add_argument("-4", dest="family", action="store_const", const=4, help="IPv4 only")
    family.add_argument("-6", dest="family", action="store_const", const=6, help="IPv6 only")
    protocol = parser.add_mutually_exclusive_group()
    for word in ("tcp", "udp", "sctp", "icmp"):
        protocol.add_argument(
            f"--{word}",
            dest="protocol",
            action="store_const",
            const=word,
            help=f"use {word}, whatever FLOW says",
        )
    option("--via", metavar="NODE", help="send the frame to this node, whatever the routing table says")
    option(
        "--from-port", type=_port, metavar="PORT",
        help="the source port, as in 'client:40000 -> host:53/udp', whatever FLOW says",
    )  # fmt: skip
    option("--from-address", metavar="ADDRESS", help="source address; forged if the origin does not have it")
    crafted = parser.add_argument_group("packets made by hand (no connection is opened)")
    option = crafted.add_argument
    option("--syn", action="store_true", help="send a single SYN and report its answer")
    option("--flags", metavar="LETTERS", help="TCP flags, such as S, SA, R, FPU")
    option("--payload", metavar="TEXT", help="the packet's payload")
    option("--hops", type=int, metavar="N", help="TTL or hop limit")
    option("--fragment", type=int, metavar="N", help="cut the payload into fragments of N octets")
    parser.add_argument("--replies", action="store_true", help="show the path of the answers, too")
    parser.add_argument("--json", action="store_true", help="print one JSON line for each flow, in order")
    parser.epilog = FLOW_GRAMMAR
    examples(
        parser,
        ("netlab probe 'client -> host:80'", "both families, rule by rule"),
        ("netlab probe -6 '[client,neighbour] -> host:[80,443]'", "several flows over IPv6"),
        ("netlab probe shop 'web -> db:5432' --json", "a lab by name, for programs"),
        ("netlab probe --syn --from-address 203.0.113.9 'client -> host:80'", "a SYN with a forged source"),
    )


def _port(text: str) -> int:
    if text.isdecimal() and 0 < int(text) < 65536:
        return int(text)
    from argparse import ArgumentTypeError

    raise ArgumentTypeError(f"{text!r} is not a port (1-65535)")


def run(args: argparse.Namespace) -> int:
    """Measure and show; returns 0 if every flow was measured, otherwise 3."""
    from netlab.lab.probe_options import shape

    client, texts = question(args)
    flows = flows_of(client.plan, texts, args)
    show = _Show(args)
    _measure(client, flows, shape(options_of(args)), args.replies, show)
    return 3 if show.unmeasured else 0


def question(args: argparse.Namespace) -> tuple[Client, list[tuple[str, int]]]:
    """The lab, and the flows as written, each with its line of stdin (or number of argument).

    What has an arrow in it, or is ``-``, is a flow and no lab. Raises UsageError.
    """
    from netlab.cli.status import the_lab
    from netlab.model.errors import UsageError

    lab, texts = args.lab, list(args.flows)
    if lab is not None and ("->" in lab or lab == "-"):
        lab, texts = None, [lab, *texts]
    if not texts:
        raise UsageError("no flow was given, such as 'client -> host:80/tcp'")
    return the_lab(lab), list(_read(texts))


def _read(texts: Iterable[str]) -> Iterable[tuple[str, int]]:
    for number, text in enumerate(texts, 1):
        if text != "-":
            yield text, number
            continue
        for line, words in enumerate(sys.stdin, 1):
            if words.strip() and not words.lstrip().startswith("#"):
                yield words.strip(), line


def flows_of(plan: Plan, texts: Iterable[tuple[str, int]], args: argparse.Namespace) -> list[Flow]:
    """The flows on the command line; raises ScenarioError with all syntax errors."""
    from netlab.lab.probe_options import gathered

    return gathered(plan, list(texts), args.family, options_of(args))


def options_of(args: argparse.Namespace) -> PacketOptions:
    """The command line's options for packets."""
    options: PacketOptions = {
        "protocol": args.protocol,
        "via": args.via,
        "source": args.from_address,
        "source_port": args.from_port,
    }
    if "syn" in args:
        options |= {
            "syn": args.syn,
            "flags": args.flags,
            "payload": args.payload,
            "hops": args.hops,
            "fragment": args.fragment,
        }
    return options


class _Show:
    """Shows each journey as soon as it is known."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.json = args.json
        self.whole = args.verbose
        self.unmeasured = 0

    def __call__(self, number: int, journey: Journey) -> None:
        self.unmeasured += journey.outcome == "unmeasured"
        if self.json:
            import json

            print_text(json.dumps(journey.to_json(), ensure_ascii=False))
        else:
            from netlab.view.console import console
            from netlab.view.journey import journey_view

            screen = console(sys.stdout)
            if number:
                screen.print()
            screen.print(journey_view(journey, whole=self.whole))
        sys.stdout.flush()


def _measure(client: Client, flows: list[Flow], shape: Shape | None, replies: bool, show: _Show) -> None:
    from netlab.lab.client.instrument import measuring

    with measuring(client) as session:
        session.measure(flows, shape=shape, replies=replies, tell=show)
