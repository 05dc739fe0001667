"""A journey as a tree that a person reads at a glance.

::

    client -> host:80/tcp  IPv4   ok, forward
    └─ host  198.51.100.2:40001 → 198.51.100.1:80
       ├─ prerouting  in ext0
       │  ├─ ip nat PREROUTING   -m addrtype --dst-type LOCAL -j DOCKER
       │  │  └─ ip nat DOCKER   ! -i docker_httpd … -j DNAT --to-destination 192.168.10.10:80
       │  └─ ⇒ 198.51.100.2:40001 → 192.168.10.10:80
       ├─ forward  ext0 → docker_httpd
       …
    IPv4 reached httpd through FORWARD, rewritten to 192.168.10.10:80. The server saw …

Below each hook are its chains and rules; a jump's chain is below the rule that jumped. Many jumps in a row
that lead nowhere (firewalld makes dozens) are one line. ``⇒`` marks where addresses change, ``◆`` the rule or
policy that decided.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Final

from netlab.journey.advise import stopped_by
from netlab.journey.reasons_ja import reason_ja
from netlab.journey.sentence import icmp_words, sentence
from netlab.journey.sentence_ja import sentence_ja
from netlab.model.journey import DecidedBy, HookVisit, Journey, Leg, Packet, RuleHit
from netlab.model.outcome import UNKNOWN
from netlab.view import rich
from netlab.view.hits import STOPPED, Branch, decides, ends, nested

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
    "unpredicted": "magenta",
}
#: so many jumps that lead nowhere, one after the other, are one line, and so many chains are named in it
_FOLDED: Final = 4
_NAMED: Final = 3

#: netlab's own words in the tree; `netlab demo` speaks both languages
_WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "en": {
        "language": "en",
        "predicted": "  predicted",
        "if": "if {condition}",
        "answer": "the answer, ",
        "own": " ({by}'s own connection)",
        "switched": "switched",
        "by_bridge": " by a bridge, port to port",
        "in": "  in by {link}",
        "out": "  out by {link}",
        "nowhere": "{count} jumps that lead nowhere: {names} (-v shows them)",
        "more": " and {count} more",
    },
    "ja": {
        "language": "ja",
        "predicted": "  予測",
        "if": "{condition} の場合",
        "answer": "応答、",
        "own": " ({by} 自身の接続)",
        "switched": "ブリッジ転送",
        "by_bridge": " (ブリッジのポートからポートへ)",
        "in": "  {link} から入る",
        "out": "  {link} から出る",
        "nowhere": "何もせずに戻るジャンプ {count} 個: {names}",
        "more": " ほか {count} 個",
    },
}


def journey_view(journey: Journey, *, whole: bool = False, language: str = "en") -> RenderableType:
    """The whole picture: the tree, and the closing sentence; ``whole`` as in :func:`journey_tree`.

    ``language`` is ``en`` or ``ja``: netlab's own words and the reasons of rules, where it has them in
    Japanese; rules, hooks, chains and verdicts stay.
    """
    closing = (sentence_ja(journey) if language == "ja" else None) or sentence(journey)
    tree = journey_tree(journey, whole=whole, language=language)
    return rich.Group(tree, rich.Text(closing, style="bold"))


def journey_tree(journey: Journey, *, whole: bool = False, language: str = "en") -> Tree:
    """The tree alone; ``whole`` shows every jump, also where many lead nowhere."""
    words = _WORDS[language]
    tree = rich.Tree(_title(journey, words), guide_style="dim")
    # An answer may match the rule that let the request pass: the rule is marked where it decided.
    forth, back = journey.decided_by, DecidedBy("none")
    if stopped_by(journey) is not None and not any(
        ends(visit) for leg in journey.legs for visit in leg.hooks
    ):
        forth, back = back, forth
    for leg in journey.legs:
        _leg(tree, leg, forth, whole, words)
    for leg in journey.replies:
        _leg(tree, leg, back, whole, words, words["answer"])
    if journey.switched:
        branch = tree.add(_text((words["switched"], "bold"), (words["by_bridge"], "dim")))
        for visit in journey.switched:
            _visit(branch, visit, None, None, journey.decided_by, whole, words)
    for one in journey.continuations:
        tree.add(_text((words["if"].format(condition=one.condition), "bold"))).add(
            journey_tree(one.journey, whole=whole, language=language)
        )
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
    return rich.Text.assemble(*parts, overflow="fold")


def _title(journey: Journey, words: Mapping[str, str]) -> Text:
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
        (f", {journey.path}" if journey.outcome not in ("no-route", *UNKNOWN) else "", colour),
        (words["predicted"] if journey.how == "predicted" else "", "dim"),
    )


def _leg(
    tree: Tree, leg: Leg, decision: DecidedBy, whole: bool, words: Mapping[str, str], prefix: str = ""
) -> None:
    first = leg.hooks[0].packet if leg.hooks else Packet("?", "?")
    by = words["own"].format(by=leg.by) if leg.by else ""
    branch = tree.add(
        _text((f"{prefix}{leg.node}", "bold"), (by, "italic"), (f"  {first.src} → {first.dst}", ""))
    )
    for number, visit in enumerate(leg.hooks):
        following = leg.hooks[number + 1].packet if number + 1 < len(leg.hooks) else _last(leg, visit)
        _visit(branch, visit, visit.packet, following, decision, whole, words)


def _last(leg: Leg, visit: HookVisit) -> Packet:
    """How the packet left the last hook: only there is the change not the next hook's packet."""
    if ends(visit):
        return visit.packet
    return Packet(leg.nat.snat or visit.packet.src, leg.nat.dnat or visit.packet.dst)


def _visit(
    branch: Tree,
    visit: HookVisit,
    came: Packet | None,
    left: Packet | None,
    decision: DecidedBy,
    whole: bool,
    words: Mapping[str, str],
) -> None:
    stopped = ends(visit)
    hook_pass = branch.add(
        _text((visit.hook, "bold red" if stopped else "bold blue"), (_links(visit, words), "dim"))
    )
    _hits(hook_pass, nested(visit.rules), partial(decides, visit=visit, decision=decision), whole, words)
    if came is not None and left is not None and came != left:
        hook_pass.add(_text((f"⇒ {left.src} → {left.dst}", "bold yellow")))


def _hits(
    tree: Tree,
    branches: Sequence[Branch],
    chosen: Callable[[RuleHit], bool],
    whole: bool,
    words: Mapping[str, str],
) -> None:
    """Branches below a line; many jumps that lead nowhere are one line unless ``whole``."""
    for nowhere, group in groupby(branches, lambda one: one.leads_nowhere):
        found = list(group)
        lines = sum(one.size for one in found)
        if nowhere and not whole and lines >= _FOLDED:
            names = [one.hit.verdict.partition(" ")[2] for one in found]
            more = words["more"].format(count=len(names) - _NAMED) if len(names) > _NAMED else ""
            folded = words["nowhere"].format(count=lines, names=", ".join(names[:_NAMED]) + more)
            tree.add(_text((f"⋯ {folded}", "dim")))
            continue
        for one in found:
            _hits(tree.add(_hit(one.hit, chosen(one.hit), words)), one.below, chosen, whole, words)


def _links(visit: HookVisit, words: Mapping[str, str]) -> str:
    if visit.iif and visit.oif:
        return f"  {visit.iif} → {visit.oif}"
    if visit.iif:
        return words["in"].format(link=visit.iif)
    return words["out"].format(link=visit.oif) if visit.oif else ""


def _hit(hit: RuleHit, decides: bool, words: Mapping[str, str]) -> Text:
    stopped = hit.verdict in STOPPED
    colour = ("red" if stopped else "green") if decides else ""
    parts = [
        ("◆ " if decides else "", f"bold {colour}".strip()),
        (f"{hit.family} {hit.table} {hit.chain}  ", "cyan"),
    ]
    if hit.rule is not None:
        own = hit.rule.removeprefix(f"-A {hit.chain} ")  # the chain's name is there already
        parts.append((own, f"bold {colour}" if decides else ""))
        if not hit.verdict.startswith(("jump", "goto")):
            parts.append((f"  {hit.verdict}", f"bold {colour}" if decides else "dim"))
    else:
        parts.append((hit.verdict, f"bold {colour}" if decides else "dim"))
    if hit.reason:
        reason = reason_ja(hit.reason) if words["language"] == "ja" else hit.reason
        parts.append((f"  # {reason}", "italic dim"))
    return _text(*parts)
