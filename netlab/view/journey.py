"""A journey as a tree that a person reads at a glance.

::

    client -> host:80/tcp  IPv4   ok, forward
    └─ host  198.51.100.2:40001 → 198.51.100.1:80
       ├─ prerouting  in ext0
       │  ├─ ip nat PREROUTING   -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
       │  │  └─ ip nat DOCKER   -A DOCKER ! -i docker_httpd … -j DNAT --to-destination 192.168.10.10:80
       │  └─ ⇒ 198.51.100.2:40001 → 192.168.10.10:80
       ├─ forward  ext0 → docker_httpd
       …
    IPv4 reached httpd through FORWARD, rewritten to 192.168.10.10:80. The server saw …

Hooks are stations, chains and rules stand under them, a jump's chain under the rule that jumped. ``⇒`` marks
where addresses change, ``◆`` the rule or policy that decided.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from netlab.journey.advise import stopped_by
from netlab.journey.sentence import icmp_words, sentence
from netlab.model.journey import DecidedBy, HookVisit, Journey, Leg, Packet, RuleHit

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text
    from rich.tree import Tree

_COLOURS: Final = {
    "ok": "green",
    "refused": "yellow",
    "closed": "yellow",
    "unreachable": "yellow",
    "no-route": "yellow",
    "timeout": "red",
    "unmeasured": "magenta",
}
_STOPPED: Final = ("drop", "policy drop")


def journey_view(journey: Journey) -> RenderableType:
    """The whole picture: the tree, and the closing sentence."""
    from rich.console import Group
    from rich.text import Text

    return Group(journey_tree(journey), Text(sentence(journey), style="bold"))


def journey_tree(journey: Journey) -> Tree:
    """The tree alone."""
    from rich.tree import Tree

    tree = Tree(_title(journey), guide_style="dim")
    # An answer may meet the rule that let its question pass: it is marked where it decided.
    forth, back = journey.decided_by, DecidedBy("none")
    if stopped_by(journey) is not None and not any(
        _ends(visit) for leg in journey.legs for visit in leg.hooks
    ):
        forth, back = back, forth
    for leg in journey.legs:
        _leg(tree, leg, forth)
    for leg in journey.replies:
        _leg(tree, leg, back, "the answer, ")
    if journey.switched:
        branch = tree.add(_text(("switched", "bold"), (" by a bridge, port to port", "dim")))
        for visit in journey.switched:
            _visit(branch, visit, None, None, journey.decided_by)
    return tree


def summary(journey: Journey) -> str:
    """One line: ``client -> host:80/tcp ipv4: ok, forward, sees 198.51.100.2``."""
    words: list[str] = [journey.outcome]
    if journey.outcome != "no-route":
        words.append(journey.path)
    if journey.sees is not None:
        words.append(f"sees {journey.sees.address}")
    if journey.icmp is not None:
        words.append(icmp_words(journey.icmp))
    if (stopped := stopped_by(journey)) is not None:
        words.append(f"by {stopped.chain}")
    if journey.problem is not None:
        words.append(journey.problem)
    flow = journey.flow
    via = f" via {flow.via}" if flow.via else ""
    return f"{flow.origin} -> {flow.to}{via} {flow.family}: {', '.join(words)}"


def _text(*parts: tuple[str, str]) -> Text:
    from rich.text import Text

    return Text.assemble(*parts, overflow="fold")


def _title(journey: Journey) -> Text:
    flow = journey.flow
    via = f" via {flow.via}" if flow.via else ""
    word = "IPv6" if flow.family == "ipv6" else "IPv4"
    outcome: str = journey.outcome
    if journey.icmp is not None:
        outcome += f" ({icmp_words(journey.icmp)})"
    elif journey.errno is not None and journey.outcome == "no-route":
        outcome += f" ({journey.errno})"
    colour = _COLOURS[journey.outcome]
    return _text(
        (f"{flow.origin} -> {flow.to}{via}", "bold"),
        (f"  {word}  ", "cyan"),
        (outcome, f"bold {colour}"),
        (f", {journey.path}" if journey.outcome not in ("no-route", "unmeasured") else "", colour),
    )


def _leg(tree: Tree, leg: Leg, decision: DecidedBy, prefix: str = "") -> None:
    first = leg.hooks[0].packet if leg.hooks else Packet("?", "?")
    by = f" ({leg.by}'s own connection)" if leg.by else ""
    branch = tree.add(
        _text((f"{prefix}{leg.node}", "bold"), (by, "italic"), (f"  {first.src} → {first.dst}", ""))
    )
    for number, visit in enumerate(leg.hooks):
        following = leg.hooks[number + 1].packet if number + 1 < len(leg.hooks) else _last(leg, visit)
        _visit(branch, visit, visit.packet, following, decision)


def _last(leg: Leg, visit: HookVisit) -> Packet:
    """How the packet left the last hook: only there is the change not the next hook's packet."""
    if _ends(visit):
        return visit.packet
    return Packet(leg.nat.snat or visit.packet.src, leg.nat.dnat or visit.packet.dst)


def _visit(
    branch: Tree, visit: HookVisit, came: Packet | None, left: Packet | None, decision: DecidedBy
) -> None:
    stopped = _ends(visit)
    station = branch.add(_text((visit.hook, "bold red" if stopped else "bold blue"), (_links(visit), "dim")))
    stack = [station]
    bases: dict[str, int] = {}
    for hit in visit.rules:
        # A rule of a chain that was jumped to stands under the rule that jumped.
        depth = bases.get(_chain(hit), 1)
        if _chain(hit) not in bases:
            bases[_chain(hit)] = depth
        del stack[depth:]
        line = stack[-1].add(_hit(hit, _decides(hit, visit, decision)))
        word, _, target = hit.verdict.partition(" ")
        if word in ("jump", "goto"):
            stack.append(line)
            bases[f"{hit.family} {hit.table} {target}"] = depth + 1
    if came is not None and left is not None and came != left:
        station.add(_text((f"⇒ {left.src} → {left.dst}", "bold yellow")))


def _ends(visit: HookVisit) -> bool:
    """Whether the packet was dropped at this hook."""
    return bool(visit.rules) and visit.rules[-1].verdict in _STOPPED


def _links(visit: HookVisit) -> str:
    if visit.iif and visit.oif:
        return f"  {visit.iif} → {visit.oif}"
    if visit.iif:
        return f"  in by {visit.iif}"
    return f"  out by {visit.oif}" if visit.oif else ""


def _chain(hit: RuleHit) -> str:
    return f"{hit.family} {hit.table} {hit.chain}"


def _decides(hit: RuleHit, visit: HookVisit, decision: DecidedBy) -> bool:
    return (
        decision.kind in ("rule", "policy")
        and (decision.family, decision.table, decision.chain) == (hit.family, hit.table, hit.chain)
        and decision.hook == visit.hook
        and decision.rule == hit.rule
        and (decision.kind == "policy") == (hit.rule is None)
    )


def _hit(hit: RuleHit, decides: bool) -> Text:
    stopped = hit.verdict in _STOPPED
    colour = ("red" if stopped else "green") if decides else ""
    parts = [
        ("◆ " if decides else "", f"bold {colour}".strip()),
        (f"{hit.family} {hit.table} {hit.chain}  ", "cyan"),
    ]
    if hit.rule is not None:
        parts.append((hit.rule, f"bold {colour}" if decides else ""))
        if not hit.verdict.startswith(("jump", "goto")):
            parts.append((f"  {hit.verdict}", f"bold {colour}" if decides else "dim"))
    else:
        parts.append((hit.verdict, f"bold {colour}" if decides else "dim"))
    if hit.reason:
        parts.append((f"  # {hit.reason}", "italic dim"))
    return _text(*parts)
