"""What network namespaces look like, in full: a program that enters each and reads it with the usual tools.

Run as ``python3 -I -S snapshot.py < request > answer``, both JSON. The request is a list of ``{"name", "net",
"full"}``, ``net`` being a namespace's path; ``full`` asks for rules and sockets too. The answer maps names to
what was found, once all carriers are up and all addresses usable. The same program reads the testbed of a
daemon and a lab, so both are read alike.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import select
import socket
import subprocess
import sys
import time
from pathlib import Path

CLONE_NEWNET = 0x40000000
NETLINK_ROUTE, RTMGRP_LINK, RTMGRP_IPV6_IFADDR = 0, 0x1, 0x100  # include/uapi/linux/rtnetlink.h
#: The kernel brings carriers up, and probes for duplicate addresses, from work queues: seconds at most.
PATIENCE = 20.0
#: Tables that iptables-nft keeps; iptables-save shows them in its own words.
IPTABLES = {"filter", "nat", "mangle", "raw", "security"}


def enter(path: str) -> None:
    """Join a network namespace."""
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if libc.setns(descriptor, CLONE_NEWNET):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), path)
    finally:
        os.close(descriptor)


def output(*argv: str) -> str:
    """A tool's words; CalledProcessError with its complaint if it fails."""
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(argv)} (exit {done.returncode}): {done.stderr.strip()}")
    return done.stdout


def parsed(*argv: str) -> object:
    """A tool's JSON; an empty list if it printed nothing."""
    return json.loads(output(*argv) or "[]")


def sysctls() -> dict[str, str]:
    """Everything readable below /proc/sys/net, by path."""
    base = Path("/proc/sys/net")
    found = {}
    for folder, _, names in os.walk(base):
        for name in names:
            path = Path(folder, name)
            try:
                found[str(path.relative_to(base))] = " ".join(path.read_text().split())
            except OSError:  # write-only (route/flush) or unset (stable_secret): it has no value
                continue
    return found


def native_tables() -> dict[str, str]:
    """nftables tables that are not iptables-nft's."""
    found = {}
    listing = json.loads(output("nft", "-j", "list", "tables"))["nftables"]
    for entry in listing:
        table = entry.get("table")
        if table and not (table["family"] in ("ip", "ip6") and table["name"] in IPTABLES):
            key = f"{table['family']} {table['name']}"
            found[key] = output("nft", "list", "table", table["family"], table["name"])
    return found


def command_lines(sockets: str) -> dict[str, str]:
    """The command line of every process that holds a listening socket, by PID."""
    found = {}
    for pid in set(re.findall(r"pid=(\d+)", sockets)):
        found[pid] = Path(f"/proc/{pid}/cmdline").read_text().rstrip("\0").replace("\0", " ")
    return found


def quiet() -> bool:
    """Whether the kernel has finished what was begun in this namespace."""
    links, addresses = json.loads(output("ip", "-j", "link")), json.loads(output("ip", "-j", "addr"))
    carried = {x["ifname"] for x in links if "LOWER_UP" in x["flags"]}
    known = all((x["operstate"] == "UP") is (x["ifname"] in carried) for x in links if x["ifname"] != "lo")
    return known and not any(
        entry.get("tentative")  # without a carrier it stays so
        for x in addresses
        if x["ifname"] in carried
        for entry in x.get("addr_info", ())
    )


def settle(places: list[str]) -> None:
    """Wait until every one of these namespaces is quiet; TimeoutError if one never is."""
    deadline = time.monotonic() + PATIENCE
    for place in places:
        enter(place)
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_ROUTE) as news:
            news.bind((0, RTMGRP_LINK | RTMGRP_IPV6_IFADDR))
            while not quiet():
                heard, _, _ = select.select([news], [], [], max(0.0, deadline - time.monotonic()))
                if not heard:
                    raise TimeoutError(f"links or addresses did not settle within {PATIENCE:.0f} s: {place}")
                news.recv(65536)


def look(full: bool) -> dict[str, object]:
    """One namespace, the one that this process is in."""
    found: dict[str, object] = {
        "links": parsed("ip", "-j", "-d", "link"),
        "addresses": parsed("ip", "-j", "addr"),
        "routes4": parsed("ip", "-j", "-4", "route"),
        "routes6": parsed("ip", "-j", "-6", "route"),
        "sysctls": sysctls(),
        "rules4": output("iptables-save"),
    }
    if full:
        sockets = output("ss", "-Hltunpe")
        found |= {
            "rules6": output("ip6tables-save"),
            "nft": native_tables(),
            "sockets": sockets,
            "commands": command_lines(sockets),
            "rule4": output("ip", "-4", "rule"),
            "rule6": output("ip", "-6", "rule"),
        }
    return found


def main() -> None:
    """Answer one request."""
    answer = {}
    request = json.load(sys.stdin)
    settle([wanted["net"] for wanted in request])
    for wanted in request:
        enter(wanted["net"])
        answer[wanted["name"]] = look(wanted["full"])
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
