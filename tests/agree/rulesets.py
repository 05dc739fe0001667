"""``python -m agree.rulesets FOLDER``: the kernel against the exposure of rulesets of real machines.

Each ``*.save`` of the folder is the firewall of a host that has the interfaces which the ruleset names,
with an outside node on the link of each. What its chains do with all packets from outside and with those of
the host itself is proved as ``netlab exposure`` proves it. A file that netlab refuses is told with its first
line that is wrong; with ``--mend-negation`` the old spelling ``-d ! NETWORK`` is turned into today's first.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from pathlib import Path

import netlab
from netlab.exposure.exposure import Exposure
from netlab.exposure.fate import UNSURE
from netlab.exposure.proof import Proof
from netlab.model.errors import NetlabError
from netlab.model.family import Family
from netlab.model.journey import Journey

#: interfaces of a ruleset that its host gets, those that most rules name
_MOST = 6
_OLD_NEGATION = re.compile(r"(-[sdiop]) ! (\S+)")
_NOT_LINKS = re.compile(r"lo|docker\d*|br-.*|veth.*|.*\+")
SCENARIO = """\
x-netlab:
  host:
    engine: podman-5-nftables
    firewall: {{iptables: rules.save}}
    sysctls: {{net.ipv4.ip_forward: 1}}
    interfaces:
{interfaces}
    listen: [22/tcp, 80/tcp, 53/udp]
  outside:
{outside}
"""


@dataclass
class Result:
    """What came of one ruleset."""

    name: str
    tried: int = 0
    regions: int = 0
    unmeasured: int = 0
    unsure: int = 0  #: regions that depend on more than the packet
    wrong: list[str] = field(default_factory=list)
    refused: str = ""
    chains: set[str] = field(default_factory=set)
    reached: set[str] = field(default_factory=set)

    def __str__(self) -> str:
        """One line, and one for each difference."""
        if self.refused:
            return f"{self.name}: refused: {self.refused}"
        rest = ", ".join(sorted(self.chains - self.reached))
        lines = [
            f"{self.name}: {self.tried - len(self.wrong)} of {self.tried} packets agree, of {self.regions}"
            f" regions ({self.unsure} depend on more than the packet), {self.unmeasured} unmeasured;"
            f" they passed {len(self.chains & self.reached)} of {len(self.chains)} chains with rules"
            f"{f'; not {rest}' if rest else ''}"
        ]
        return "\n".join([*lines, *(f"  {one}" for one in self.wrong)])


def links_of(text: str) -> dict[str, str]:
    """The interfaces that most rules of a dump name, each with a network that rules have on its side."""
    names: Counter[str] = Counter()
    networks: dict[str, Counter[str]] = {}
    for line in text.splitlines():
        for option, name in re.findall(r" -([io]) (\S+)", line):
            if _NOT_LINKS.fullmatch(name):
                continue
            names[name] += 1
            side = "s" if option == "i" else "d"
            for network in re.findall(rf"(?<!!) -{side} (\d\S+/(?:1[6-9]|2[0-8]))(?: |$)", line):
                networks.setdefault(name, Counter())[network] += 1
    found: dict[str, str] = {}
    for number, (name, _) in enumerate(names.most_common(_MOST) or [("eth0", 1)]):
        known = [one for one, _ in networks.get(name, Counter()).most_common() if one not in found.values()]
        found[name] = known[0] if known else f"10.77.{number}.0/24"
    return found


def write(text: str, folder: Path) -> Path:
    """Write the scenario of a ruleset with its file; the scenario's path."""
    interfaces: list[str] = []
    outside: list[str] = []
    for number, (name, network) in enumerate(links_of(text).items()):
        net = IPv4Network(network, strict=False)
        host, peer = net.network_address + 1, net.network_address + 2
        for word, address, place in ((name, host, interfaces), (f"peer{number}", peer, outside)):
            indent = "      " if word == name else "    "
            one = f"{{segment: link{number}, addresses: [{address}/{net.prefixlen}]}}"
            place.append(f"{indent}{word}: {one}")
    (folder / "rules.save").write_text(text)
    path = folder / "stranger.yaml"
    path.write_text(SCENARIO.format(interfaces="\n".join(interfaces), outside="\n".join(outside)))
    return path


def chains_of(text: str) -> set[str]:
    """``table/chain`` of every chain that has rules."""
    found, table = set(), ""
    for line in text.splitlines():
        if line.startswith("*"):
            table = line[1:].strip()
        elif rule := re.match(r"(?:\[\d+:\d+\] )?-A (\S+)", line):
            found.add(f"{table}/{rule[1]}")
    return found


def passed(journey: Journey) -> Iterator[str]:
    """The chains of iptables in which rules saw a packet."""
    for leg in (*journey.legs, *journey.replies):
        for visit in leg.hooks:
            for rule in visit.rules:
                yield f"{rule.table}/{rule.chain}"
                yield f"{rule.table}/{rule.verdict.partition(' ')[2]}"


def tried(name: str, text: str) -> Result:
    """Prove the exposure of one ruleset."""
    result = Result(name, chains=chains_of(text))
    try:
        with tempfile.TemporaryDirectory() as folder:
            file = write(text, Path(folder))
            plan = netlab.load_plan([file])
            with netlab.Lab(file) as lab:
                for origin in ("outside", "host"):
                    exposure = Exposure.of(plan, origin, None, [Family.IPV4])
                    result.unsure += sum(
                        one.fate.word in UNSURE for part in exposure.parts for one in part.regions
                    )
                    proof = Proof.of(exposure)
                    journeys = lab._measured([one.flow for one in proof.asked], {})
                    _add(result, proof.judge(exposure, journeys), journeys)
    except NetlabError as error:
        result.refused = str(error).splitlines()[0]
    return result


def _add(result: Result, proof: Proof, journeys: list[Journey]) -> None:
    result.tried += proof.tried
    result.regions += proof.regions
    result.unmeasured += len(proof.unmeasured)
    result.wrong += [f"{one.witness.flow} ({one.witness.place}): {one.problem}" for one in proof.wrong]
    for journey in journeys:
        result.reached.update(passed(journey))


def main() -> int:
    """Returns 1 if a packet did otherwise, or a file was refused."""
    parser = argparse.ArgumentParser(prog="agree.rulesets", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--mend-negation", action="store_true")
    parser.add_argument("--only", default="", help="the name of one file")
    args = parser.parse_args()
    bad = 0
    for file in sorted(args.folder.glob("*.save")):
        if args.only not in ("", file.stem):
            continue
        text = file.read_text()
        result = tried(file.stem, _OLD_NEGATION.sub(r"! \1 \2", text) if args.mend_negation else text)
        bad += bool(result.wrong or result.refused)
        print(result, flush=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
