"""A second reading of what netlab measures: what ``nft monitor trace`` and ``conntrack -E`` print meanwhile.

Both are other people's decoders of the same kernel's messages. A packet's chains, rules and verdicts are
taken from the lines that nft prints, and the text of its rules from ``nft -a list ruleset`` and
``iptables-save`` by position; what was rewritten is taken from the event of a new connection.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from netlab.kernel import netns
from netlab.model.family import endpoint
from netlab.model.journey import HookVisit, Journey, Leg
from witness.rules import run

_EVENT = re.compile(
    r"^trace id (\w+) (\S+) (\S+) (\S+) (packet:|rule|unknown rule|policy|return|verdict) ?(.*)$"
)
_HANDLE = re.compile(r"handle (\d+) \(verdict ([^)]+)\)")
_ADDRESSES = re.compile(
    r"ip6? saddr (\S+) ip6? daddr (\S+) .*?(?:tcp|udp) sport (\d+) (?:tcp|udp) dport (\d+)"
)
_INTERFACE = re.compile(r'\b([io])if "([^"]+)"')
_COUNTER = re.compile(r"\bcounter packets \d+ bytes \d+")
_TABLE = re.compile(r"^table (\S+) (\S+) \{")
_CHAIN = re.compile(r"^\tchain (\S+) \{")
_HOOK = re.compile(r"^\t\ttype \S+ hook (\S+) ")
_RULE = re.compile(r"^\t\t(.*) # handle (\d+)$")
_NEW = re.compile(r"src=(\S+) dst=(\S+) sport=(\d+) dport=(\d+)")
_OWN = "netlab-trace-"
#: nft 1.0.6 breaks a line off at an iptables target if it has printed one of the other family before
_BROKEN_OFF = re.compile(r"XT (target|match) \S+ not found$")
ILLEGIBLE = "?"
#: Both programs run for as long as nobody ends them; they are killed with the process that started them.
UNTIL_WE_END = ("setpriv", "--pdeathsig", "KILL")

Place = tuple[str, str, str]  #: family, table, chain
#: family, table, chain, the rule's text (None for a policy), verdict
Hit = tuple[str, str, str, str | None, str]


@dataclass(slots=True)
class Printed:
    """One packet at one hook, as nft printed it."""

    hook: str
    src: str
    dst: str
    iif: str | None
    oif: str | None
    left: tuple[str, str] | None = None  #: its addresses at the end of the hook
    #: netlab's tables whose first chain it passed: a session has one, and a closer look another
    begun_by: set[str] = field(default_factory=set)
    hits: list[Hit] = field(default_factory=list)


@dataclass(slots=True)
class Ruleset:
    """What is known of one namespace: the hooks of base chains, and the text of rules by handle.

    A table never gives a handle to another rule, so what was read once stays true.
    """

    hooks: dict[Place, str] = field(default_factory=dict)
    texts: dict[tuple[Place, int], str] = field(default_factory=dict)
    lacking: bool = False  #: something was printed that is not known here

    def text(self, place: Place, handle: int) -> str:
        """A rule in its tool's words."""
        found = self.texts.get((place, handle))
        self.lacking |= found is None
        return found or f"handle {handle}"

    def hook(self, place: Place) -> str | None:
        """The hook of a base chain."""
        found = self.hooks.get(place)
        self.lacking |= found is None
        return found

    def read(self, namespace: int) -> None:
        """Read what nft and iptables list now (in the words of the machine's); raises CommandFailed."""
        self.lacking = False
        rules: dict[Place, list[tuple[int, str]]] = {}
        family = table = chain = ""
        for line in run(namespace, ["nft", "-a", "list", "ruleset"]).splitlines():
            if head := _TABLE.match(line):
                family, table = head[1], head[2]
            elif head := _CHAIN.match(line):
                chain = head[1]
            elif hook := _HOOK.match(line):
                self.hooks[family, table, chain] = hook[1]
            elif rule := _RULE.match(line):
                text = _COUNTER.sub("counter", rule[1])
                rules.setdefault((family, table, chain), []).append((int(rule[2]), text))
        saved = _saved(namespace)
        for place, known in rules.items():
            lines = saved.get(place, [])
            for at, (handle, text) in enumerate(known):
                self.texts[place, handle] = lines[at] if len(lines) == len(known) else text


def _saved(namespace: int) -> dict[Place, list[str]]:
    """The rules in the words of iptables, in order."""
    found: dict[Place, list[str]] = {}
    for family, tool in (("ip", "iptables-save"), ("ip6", "ip6tables-save")):
        table = ""
        for line in run(namespace, [tool]).splitlines():
            if line.startswith("*"):
                table = line[1:]
            elif line.startswith("-A "):
                found.setdefault((family, table, line.split(" ")[1]), []).append(line)
    return found


class Reader:
    """The two programs in one host, from now until :meth:`close`; ``root``: where nft is taken from."""

    def __init__(self, namespace: int, root: str = "/") -> None:
        self._namespace = namespace
        nft = ["nft"] if root == "/" else ["chroot", root, "nft"]
        self._folder = tempfile.TemporaryDirectory()
        self._paths = [Path(self._folder.name, name) for name in ("nft", "conntrack")]
        self._at = [0, 0]
        self._ruleset = Ruleset()
        self._commands = [*nft, "-nn", "-a", "monitor", "trace"], ["conntrack", "-E", "-e", "NEW"]
        self._programs = [self._start(which) for which in range(2)]

    def _start(self, which: int) -> subprocess.Popen[bytes]:
        with self._paths[which].open("ab") as file, netns.entered(self._namespace):
            return subprocess.Popen(
                [*UNTIL_WE_END, *self._commands[which]],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
            )

    @property
    def dead(self) -> bool:
        """Whether nft has ended: versions of it fail on rules of other programs."""
        return self._programs[0].poll() is not None

    def begin(self) -> None:
        """What was printed until now is of no interest. A program that has ended is started again."""
        self._programs = [
            program if program.poll() is None else self._start(which)
            for which, program in enumerate(self._programs)
        ]
        self._at = [path.stat().st_size for path in self._paths]

    def _lines(self, which: int) -> list[str]:
        with self._paths[which].open() as file:
            file.seek(self._at[which])
            return file.read().split("\n")[:-1]

    def printed(self) -> list[Printed]:
        """What nft printed since :meth:`begin`; raises CommandFailed if its rules cannot be listed."""
        lines = self._lines(0)
        found = list(passes(lines, self._ruleset))
        if self._ruleset.lacking:
            self._ruleset.read(self._namespace)
            found = list(passes(lines, self._ruleset))
        return found

    def connections(self) -> dict[tuple[str, str], tuple[str, str]]:
        """New connections since :meth:`begin`: (source, destination) → those of their answers."""
        found = {}
        for line in self._lines(1):
            ends = [
                (endpoint(src, int(sport)), endpoint(dst, int(dport)))
                for src, dst, sport, dport in _NEW.findall(line)
            ]
            if len(ends) == 2:
                found.setdefault(ends[0], ends[1])
        return found

    def close(self) -> None:
        """End both."""
        for program in self._programs:
            program.kill()
            program.wait()
        self._folder.cleanup()


def passes(lines: Iterable[str], ruleset: Ruleset) -> Iterator[Printed]:
    """Put the lines of one packet at one hook together: IP hooks only."""
    opened: dict[tuple[str, str], Printed] = {}
    for line in lines:
        event = _EVENT.match(line)
        if event is None or event[2] not in ("ip", "ip6", "inet"):
            continue
        number, family, table, chain, kind, rest = event.groups()
        own = table.startswith(_OWN)
        layer = number, "ip"
        current = opened.get(layer)
        if kind == "packet:":
            hook = chain.partition("-")[2] if own else ruleset.hook((family, table, chain))
            if hook in (None, "ingress", "egress"):
                continue
            ends = _ADDRESSES.search(rest)
            if own and chain.startswith("last-") and current is not None and current.hook == hook and ends:
                current.left = _ends(ends)
                continue
            began = own and chain.startswith("first-")
            if current is not None and current.hook == hook and not (began and table in current.begun_by):
                if began:
                    current.begun_by.add(table)
                continue
            if ends is None:
                opened.pop(layer, None)
                continue
            links: dict[str, str] = dict(_INTERFACE.findall(rest))
            current = opened[layer] = Printed(
                str(hook), *_ends(ends), links.get("i"), links.get("o"), begun_by={table} if own else set(),
            )  # fmt: skip
            yield current
        elif current is not None and not own:
            handle = _HANDLE.search(rest)
            if handle is not None:
                text = ruleset.text((family, table, chain), int(handle[1]))
                current.hits.append((family, table, chain, text, handle[2]))
            elif _BROKEN_OFF.search(rest):
                current.hits.append((family, table, chain, None, ILLEGIBLE))
            elif kind == "policy":
                current.hits.append((family, table, chain, None, f"policy {rest.split(' ')[0]}"))


@dataclass(frozen=True, slots=True)
class Compared:
    """What came of one journey: packets at hooks compared, connections compared, and what differs."""

    hooks: int = 0
    connections: int = 0
    problem: str = ""
    missing: bool = False  #: nft printed nothing of a packet that netlab shows


class Readings:
    """Every host's readers."""

    def __init__(self, namespaces: Mapping[str, int], hosts: Iterable[str], root: str = "/") -> None:
        self._readers = {host: Reader(namespaces[host], root) for host in hosts}

    def begin(self) -> None:
        """A measurement begins."""
        for reader in self._readers.values():
            reader.begin()

    def compare(self, journeys: Iterable[Journey]) -> list[Compared]:
        """Each journey beside what was printed until now; raises CommandFailed."""
        printed = {host: reader.printed() for host, reader in self._readers.items()}
        made = {host: reader.connections() for host, reader in self._readers.items()}
        found = [compare(journey, printed, made) for journey in journeys]
        if any(reader.dead for reader in self._readers.values()):
            return [Compared(missing=True) if one.missing else one for one in found]
        return found

    def close(self) -> None:
        """End the readers."""
        for reader in self._readers.values():
            reader.close()


def compare(
    journey: Journey,
    printed: Mapping[str, list[Printed]],
    made: Mapping[str, Mapping[tuple[str, str], tuple[str, str]]],
) -> Compared:
    """What of a journey's legs in hosts the other programs do not say."""
    hooks = connections = 0
    if journey.flow.to.endswith("/icmp"):
        return Compared()  # neither program prints what tells one echo request from another
    for leg in (*journey.legs, *journey.replies):
        if leg.node not in printed:
            continue
        for visit in leg.hooks:
            mine = [one for one in printed[leg.node] if _same(one, visit)]
            if not mine:
                return Compared(hooks, connections, f"nft printed no {_packet(visit)} of {leg.node}", True)
            hooks += 1
            shown = [(h.family, h.table, h.chain, h.rule, h.verdict) for h in visit.rules]
            read = [one.hits for one in mine]
            if not any(_agree(shown, one) for one in read):
                told = f"nft printed {_difference(shown, read[0])} for {_packet(visit)} of {leg.node}"
                return Compared(hooks, connections, told)
            links = [(one.iif, one.oif) for one in mine]
            if (visit.iif, visit.oif) not in links:
                told = f"nft printed the interfaces {links[0]}, not {(visit.iif, visit.oif)}"
                return Compared(hooks, connections, f"{told}, for {_packet(visit)} of {leg.node}")
        further = _further(leg, printed[leg.node])
        if further:
            return Compared(hooks, connections, further)
    for leg in journey.legs:
        if leg.node in made:
            found = _rewritten(leg, made[leg.node])
            connections += found is not None
            if found:
                return Compared(hooks, connections, found)
    return Compared(hooks, connections)


def _same(one: Printed, visit: HookVisit) -> bool:
    return (one.hook, one.src, one.dst) == (visit.hook, visit.packet.src, visit.packet.dst)


def _packet(visit: HookVisit) -> str:
    return f"{visit.packet.src} > {visit.packet.dst} in {visit.hook}"


def _agree(shown: Sequence[Hit], read: Sequence[Hit]) -> bool:
    return len(shown) == len(read) and all(map(_alike, shown, read))


def _alike(mine: Hit, others: Hit) -> bool:
    return mine == others or (others[4] == ILLEGIBLE and mine[:3] == others[:3])


def _difference(shown: list[Hit], read: list[Hit]) -> str:
    """The first line that differs."""
    for mine, others in zip(shown, read, strict=False):
        if not _alike(mine, others):
            return f"{others}, not {mine},"
    if len(read) > len(shown):
        return f"{read[len(shown)]} further"
    return f"no {shown[len(read)]}"


def _ends(found: re.Match[str]) -> tuple[str, str]:
    """Source and destination in the words of a journey."""
    return endpoint(found[1], int(found[3])), endpoint(found[2], int(found[4]))


def _further(leg: Leg, printed: list[Printed]) -> str:
    """That nft printed the leg's packet, as it left its last hook, at a hook beyond it."""
    last = leg.hooks[-1]
    left = {one.left for one in printed if _same(one, last)}
    beyond = {"prerouting": ("input", "forward"), "forward": ("postrouting",), "output": ("postrouting",)}
    known = {(visit.hook, visit.packet) for visit in leg.hooks}
    for one in printed:
        if one.hook not in beyond.get(last.hook, ()) or (one.src, one.dst) not in left:
            continue
        if all((one.hook, one.src, one.dst) != (hook, packet.src, packet.dst) for hook, packet in known):
            return f"nft printed {one.src} > {one.dst} in {one.hook} of {leg.node}, too"
    return ""


def _rewritten(leg: Leg, made: Mapping[tuple[str, str], tuple[str, str]]) -> str | None:
    """Empty if conntrack tells the same of the leg's packet; None if it has no connection of it."""
    first, last = leg.hooks[0], leg.hooks[-1]
    asked = first.packet.src, first.packet.dst
    answers = made.get(asked)
    if answers is None:
        return None
    if not any(visit.hook in ("input", "postrouting") for visit in leg.hooks):
        return f"conntrack has a connection {asked}, though the packet ended in {last.hook} of {leg.node}"
    if last.hook not in ("input", "postrouting"):
        return ""  # on loopback, conntrack keeps a connection that has passed POSTROUTING
    dnat = answers[0] if answers[0] != asked[1] else None
    snat = answers[1] if answers[1] != asked[0] else None
    if (leg.nat.dnat, leg.nat.snat) != (dnat, snat):
        return f"conntrack rewrote {dnat}, {snat} of {asked}, netlab says {leg.nat.dnat}, {leg.nat.snat}"
    return ""
