"""The kernel takes what administrators write, and what is allowed leaves no trace in the machine's /sys."""

from __future__ import annotations

import re
import shlex
import struct
import subprocess
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from netlab.kernel import netns, ruleset, sysctl
from netlab.model.errors import MachineError
from netlab.model.family import Family
from netlab.model.rules import BASE_CHAINS
from netlab.scenario.xtables import HOSTS, ITS_HOSTS, MATCHES, TARGETS, ExtensionError, check_iptables

DATA = Path(__file__).parents[2] / "data"
LINES = (DATA / "ordinary_rules.txt").read_text().splitlines()
#: one line for each extension that a scenario may use
EACH = (DATA / "extension_rules.txt").read_text().splitlines()
#: Allowed, but without a line: they need an ipset, or are other names of an extension that has a line.
WITHOUT_A_LINE = {"SET", "set", "standard", "icmpv6", "ipv6-icmp", "udplite"}
#: how iptables and the kernel say that an extension, or an object that it names, is not there
LACKING = ("missing kernel module", "No such file or directory")


def traces() -> list[str]:
    """The machine's devices, but links and mounts: IDLETIMER and LED, for two, make new ones."""
    places = [path for pattern in ("class/*", "devices/virtual/*") for path in Path("/sys").glob(pattern)]
    return sorted(
        str(device) for place in places if place.name not in ("net", "bdi") for device in place.iterdir()
    )


def loaded(lines: list[str]) -> dict[str, str]:
    """What iptables says of those lines that it does not take, each tried in one throw-away namespace."""
    script = "\n".join(f"{line} 2>&1 || echo {shlex.quote('refused: ' + line)}" for line in lines)
    done = subprocess.run(
        ["unshare", "-Urn", "sh", "-c", f"ip link set lo up\n{script}"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    refused: dict[str, str] = {}
    said: list[str] = []
    for line in done.stdout.splitlines():
        if line.startswith("refused: "):
            refused[line.removeprefix("refused: ")] = " ".join(said)
            said = []
        else:
            said.append(line)
    return refused


def check(line: str) -> None:
    """Raise ExtensionError for a line that is not allowed."""
    tool, *words = shlex.split(line)
    check_iptables(words, (), 6 if tool == "ip6tables" else 4)


def test_each_allowed_extension_stays_in_its_namespace() -> None:
    before = traces()
    refused = loaded(EACH)
    assert traces() == before
    assert {line: said for line, said in refused.items() if not any(word in said for word in LACKING)} == {}
    assert len(refused) < len(EACH) / 4


def test_each_allowed_extension_is_tried() -> None:
    tried = {word for line in EACH for option, word in pairwise(shlex.split(line)) if option in ("-j", "-m")}
    assert (TARGETS | MATCHES) - tried == WITHOUT_A_LINE
    for line in EACH:
        check(line)


def test_targets_belong_where_the_kernel_takes_them() -> None:
    """Each target in each base chain of each table: what is refused at plan is what the kernel refuses."""
    tries: dict[str, tuple[str, str, str]] = {}
    for line in EACH:
        tool, *words = shlex.split(line)
        target = words[words.index("-j") + 1]
        # TCPMSS and CLASSIFY depend on the chain, SYNPROXY also on its options: those are found at `up`.
        if target in TARGETS and target not in ("TCPMSS", "CLASSIFY", "SYNPROXY"):
            rest = words[words.index("-A") + 2 :]
            for table, chains in BASE_CHAINS.items():
                for chain in chains:
                    tries[shlex.join([tool, "-t", table, "-A", chain, *rest])] = (target, table, chain)
    refused = loaded(list(tries))
    for line, (target, table, chain) in tries.items():
        if any(word in refused.get(line, "") for word in LACKING):
            continue
        try:
            check(line)
            allowed = True
        except ExtensionError:
            allowed = False
        assert allowed == (line not in refused), f"{target} in {chain} of {table}: {refused.get(line)}"


@pytest.mark.parametrize(
    "target", ["IDLETIMER --timeout 9 --label x", "LED --led-trigger-id x", "AUDIT --type accept"]
)
def test_what_reaches_the_machine_is_refused(target: str) -> None:
    with pytest.raises(ExtensionError, match="neither a target that is allowed"):
        check(f"iptables -A INPUT -j {target}")


def relocated(blob: bytes) -> Iterator[tuple[int, int]]:
    """(offset of a pointer, offset of what it points to) in a shared object of 64 bits (elf(5))."""
    table, entry, count = *struct.unpack_from("<Q", blob, 0x28), *struct.unpack_from("<HH", blob, 0x3A)
    sections = [struct.unpack_from("<IIQQQQIIQQ", blob, table + entry * one) for one in range(count)]

    def offset(address: int) -> int | None:
        for _, kind, _, start, at, size, *_ in sections:
            if kind != 8 and start and start <= address < start + size:  # 8: SHT_NOBITS
                return int(at + address - start)
        return None

    for _, kind, _, _, at, size, *_ in sections:
        for place in range(at, at + size, 24) if kind == 4 else ():  # 4: SHT_RELA
            pointer, info, target = struct.unpack_from("<QQq", blob, place)
            found = offset(pointer), offset(target)
            if info >> 32 == 0 and found[0] is not None and found[1] is not None:
                yield found[0], found[1]


def resolving(library: Path) -> set[str]:
    """The options of an extension that look a host name up: struct xt_option_entry of xtables.h."""
    blob = library.read_bytes()
    found = set()
    for entry, name in relocated(blob):
        if entry + 16 <= len(blob) and struct.unpack_from("<I", blob, entry + 8)[0] in (14, 15):
            text = blob[name : blob.index(b"\0", name)]
            if re.fullmatch(rb"[a-z][a-z0-9-]+", text):  # 14: XTTYPE_HOST, 15: XTTYPE_HOSTMASK
                found.add(text.decode())
    return found


def test_options_that_look_names_up_are_known() -> None:
    libraries = [path for path in Path("/usr/lib").glob("*/xtables/lib*t_*.so") if not path.is_symlink()]
    its = {(path.stem.partition("_")[2], option) for path in libraries for option in resolving(path)}
    assert ("NETMAP", "to") in its
    assert {option for extension, option in its if extension in TARGETS | MATCHES} > {"vaddr", "gateway"}
    unknown = {
        one for one in its if one[0] in TARGETS | MATCHES and one[1] not in HOSTS and one not in ITS_HOSTS
    }
    assert unknown == set()


def test_ordinary_lines_are_taken_in_a_throw_away_namespace() -> None:
    before = traces()
    assert loaded(LINES) == {}
    assert traces() == before


def test_no_congestion_control_is_loaded() -> None:
    """For root the kernel loads the module that a value names; netlab refuses before it is asked."""
    with netns.returning():
        netns.unshare()
        sysctl.write("net.ipv4.tcp_congestion_control", "reno")
        with pytest.raises(MachineError, match="has not loaded tcp_nosuch"):
            sysctl.write("net.ipv4.tcp_congestion_control", "nosuch")
        assert sysctl.read("net.ipv4.tcp_congestion_control") == "reno"


@pytest.mark.parametrize("there", [True, False])
def test_physdev_loads_nothing(there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For the match physdev, the kernel asks for br_netfilter, so netlab looks first whether it is there."""
    knob = tmp_path / "bridge-nf-call-iptables"
    if there:
        knob.write_text("1")
    monkeypatch.setattr(sysctl, "_BRIDGED", str(knob))
    text = "*filter\n:INPUT ACCEPT\n-A INPUT -m physdev --physdev-in eth0 -j ACCEPT\nCOMMIT\n"
    with netns.returning():
        netns.unshare()
        if not there:
            with pytest.raises(MachineError, match="br_netfilter is not loaded; run: sudo modprobe"):
                ruleset.load_iptables(Family.IPV4, text)
        ruleset.load_iptables(Family.IPV4, text.replace("-m physdev --physdev-in", "-i"))
        if there:
            sysctl.demand_br_netfilter(text)
