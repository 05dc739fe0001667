"""Public addresses, MAC addresses and names in a collection, each always by the same other one.

Two addresses that share a prefix of 8 bits or more (IPv4), or 3 or more (IPv6), share one of that length
afterwards, and no more: the bits behind it are flipped by a keyed hash of those before (Xu, Fan, Ammar, Moon:
"Prefix-preserving IP address anonymization", 2002). So subnets, routes and rules fit together as before.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import json
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from netlab.twin.archive import CollectionError

#: what is no address: versions of programs and of the kernel
_LEFT = (
    "uname",
    "iptables-version",
    "ip6tables-version",
    "docker-version",
    "docker-backend",
    "podman-version",
    "podman-network-names",
)
#: netavark's comments: they say its networks' names, of which the names of its chains are made
_NETAVARKS = re.compile(r'"(?:netavark |(?:dnat )?name: )[^"]*"')
_FOUND = re.compile(
    r"(?P<mac>(?<![0-9A-Fa-f:])(?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}(?![0-9A-Fa-f:]))"
    r"|(?P<v4>(?<![0-9.])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![0-9.]))(?P<size4>/[0-9]{1,2}(?![0-9.]))?"
    r"|(?P<v6>(?<![0-9A-Za-z:.])[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:]*(?![0-9A-Za-z.]))(?P<size6>/[0-9]{1,3})?"
)
_COMMENT = re.compile(r'(--comment |(?<!-m )\bcomment )("(?:[^"\\]|\\.)*"|\S+)')
#: IPv4 networks beside private ones that keep their address, by first octet: the second octets
_KEPT = {
    100: range(64, 128),
    169: (254,),
    172: range(16, 32),
    192: (0, 88, 168),
    198: (18, 19, 51),
    203: (0,),
}
#: first octets of which all is kept: this network, private, loopback, multicast and above
_WHOLE = (0, 10, 127, *range(224, 256))
_SHARED_4, _SHARED_6 = 8, 3


class Anonymiser:
    """The replacements of one collection; another ``key`` gives others."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._names: dict[str, str] = {}
        self._flip = lru_cache(maxsize=1 << 16)(self._flipped)

    def files(self, files: Mapping[str, bytes]) -> dict[str, bytes]:
        """The same files with everything replaced; raises CollectionError for one that is no JSON."""
        found = {}
        for name, content in files.items():
            text = content.decode("utf-8", "replace")
            if name in _LEFT:
                text = self._uname(text) if name == "uname" else text
            else:
                if name.startswith(("docker-", "podman-")) and ".json" in name:
                    text = self._json_lines(name, text)
                text = _COMMENT.sub(self._comment, _FOUND.sub(self._replaced, text))
            found[name] = text.encode()
        return found

    def name(self, kind: str, name: str) -> str:
        """``container-1``: the same for the same name."""
        return self._names.setdefault(f"{kind} {name}", f"{kind}-{len(self._names) + 1}")

    def address(self, text: str, size: int | None = None) -> str:
        """Another address in the place of a public one; with the length of a prefix, its network."""
        own = ipaddress.ip_address(text)
        number, bits = int(own), own.max_prefixlen
        if isinstance(own, ipaddress.IPv4Address):
            shared = self._shared(number)
        elif own.is_link_local or own in _UNIQUE_LOCAL:
            shared = 64 if number >> 24 & 0xFFFF == 0xFFFE else None
        else:
            shared = _SHARED_6 if own.is_global else None
        if shared is None or (size is not None and size < shared):
            return text
        network = size is not None and number & ((1 << bits - size) - 1) == 0
        for place in range(shared, size if network and size is not None else bits):
            number ^= self._flip(bits, place, number_before(int(own), bits, place)) << bits - 1 - place
        return str(ipaddress.ip_address(number) if bits == 32 else ipaddress.IPv6Address(number))

    def mac(self, text: str) -> str:
        """A local MAC address in the place of another; those that Docker makes of addresses stay."""
        plain = text.lower()
        if (
            plain.startswith(("02:42:ac:", "02:42:0a:", "02:42:c0:a8:"))
            or set(plain) <= set("0:")
            or set(plain) <= set("f:")
        ):
            return text
        octets = self._hash(f"mac {plain}")[:5]
        return ":".join(("02", *(f"{octet:02x}" for octet in octets)))

    def _shared(self, number: int) -> int | None:
        """How many bits of an IPv4 address stay; None: all of them."""
        first, second = number >> 24, number >> 16 & 255
        if first in _WHOLE or second in _KEPT.get(first, ()):
            return None
        return 16 if first in _KEPT else _SHARED_4

    def _flipped(self, bits: int, place: int, before: int) -> int:
        return self._hash(f"{bits} {place} {before}")[0] & 1

    def _hash(self, text: str) -> bytes:
        return hmac.new(self._key, text.encode(), hashlib.sha256).digest()

    def _replaced(self, match: re.Match[str]) -> str:
        if match["mac"]:
            return self.mac(match["mac"])
        text, size = (match["v4"], match["size4"]) if match["v4"] else (match["v6"], match["size6"])
        try:
            return self.address(text, int(size[1:]) if size else None) + (size or "")
        except ValueError:
            return match[0]

    def _comment(self, match: re.Match[str]) -> str:
        if _NETAVARKS.fullmatch(match[2]):
            return match[0]
        quote = '"' if match[2].startswith('"') else ""
        return f"{match[1]}{quote}{self.name('comment', match[2])}{quote}"

    def _uname(self, text: str) -> str:
        words = text.split(" ")
        return " ".join([words[0], "host", *words[2:]]) if len(words) > 2 else "Linux host\n"

    def _json_lines(self, file: str, text: str) -> str:
        kind = "container" if "containers" in file else "network"
        podman = file.startswith("podman-")
        try:
            entries = [json.loads(line) for line in text.splitlines() if line.strip()]
        except ValueError as error:
            raise CollectionError(f"{file}: {error}") from None
        return "".join(
            f"{json.dumps(self._entry(kind, entry, podman), separators=(',', ':'))}\n" for entry in entries
        )

    def _entry(self, kind: str, entry: Any, podman: bool) -> Any:
        """Podman's networks keep their names, of which the names of its chains are made."""
        if not isinstance(entry, dict) or (podman and kind == "network"):
            return entry
        found = dict(entry)
        name = str(found.get("name", ""))
        slash = "/" if name.startswith("/") else ""
        if name.removeprefix("/") not in _DOCKERS:
            found["name"] = slash + self.name(kind, name.removeprefix("/"))
        mode = str(found.get("mode", ""))
        if not podman and mode not in (*_DOCKERS, "default") and not mode.startswith("container:"):
            found["mode"] = self.name("network", mode)
        networks = found.get("networks")
        if isinstance(networks, dict):
            found["networks"] = {
                key if podman or key in _DOCKERS else self.name("network", key): self._endpoint(value)
                for key, value in networks.items()
            }
        links = found.get("links")
        if isinstance(links, list):
            found["links"] = [self._link(str(link)) for link in links]
        return found

    def _link(self, words: str) -> str:
        """``/db:/web/alias``; the other container's name is the alias."""
        target, own = (word.strip("/").partition("/")[0] for word in f"{words}:".split(":")[:2])
        other = self.name("container", target)
        return f"/{other}:/{self.name('container', own)}/{other}"

    def _endpoint(self, value: Any) -> Any:
        lost = ("Aliases", "DNSNames", "Links")
        return {k: v for k, v in value.items() if k not in lost} if isinstance(value, dict) else value


_DOCKERS = ("bridge", "host", "none", "")
_UNIQUE_LOCAL = ipaddress.IPv6Network("fc00::/7")


def number_before(number: int, bits: int, place: int) -> int:
    """The first ``place`` bits of an address."""
    return number >> bits - place
