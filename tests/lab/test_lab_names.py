"""Names in a container as programs ask for them, over UDP and TCP, in the labs of root and of somebody else.

::

    app-1 ──┐            ┌── db
    app-2 ──┴── front ─ web ─ back          lone ── docker0
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

SHOP = """
name: shop
services:
  web: {networks: {front: {aliases: [www]}, back: }, expose: [80]}
  app: {networks: [front], deploy: {replicas: 2}}
  db: {networks: [back]}
  lone: {network_mode: bridge}
networks:
  front: {enable_ipv6: true, ipam: {config: [{subnet: 10.11.1.0/24}, {subnet: "fd00:11::/64"}]}}
  back: {internal: true, ipam: {config: [{subnet: 10.11.2.0/24}]}}
"""
#: A query over TCP to the address that resolv.conf names; prints the last four octets of the answer.
OVER_TCP = """
import socket, struct, sys
name = b"".join(bytes([len(x)]) + x.encode() for x in sys.argv[1].split(".")) + bytes(1)
query = struct.pack(">6H", 7, 256, 1, 0, 0, 0) + name + struct.pack(">2H", 1, 1)
with socket.create_connection(("127.0.0.11", 53), 60) as sock:
    for _ in range(2):
        sock.sendall(len(query).to_bytes(2, "big") + query)
        size = int.from_bytes(sock.recv(2, socket.MSG_WAITALL), "big")
        print(socket.inet_ntoa(sock.recv(size, socket.MSG_WAITALL)[-4:]))
"""


@pytest.fixture
def shop(anyones: Any) -> tuple[Any, str]:
    file = anyones.state / "shop.yaml"
    file.write_text(SHOP)
    Path(file).chmod(0o644)
    return anyones, anyones.up(file)


def test_names_are_found_where_docker_finds_them(shop: tuple[Any, str]) -> None:
    netlab, lab = shop

    def ahosts(node: str, name: str, code: int = 0) -> set[str]:
        said = netlab("exec", f"{lab}.{node}", "--", "getent", "ahosts", name, code=code).stdout
        return {line.split()[0] for line in said.splitlines()}

    for name in ("web", "www", "shop-web-1", "web.shop_front"):
        assert ahosts("app-1", name) == {"10.11.1.2", "fd00:11::2"}
    assert ahosts("web", "app") == {"10.11.1.3", "10.11.1.4", "fd00:11::3", "fd00:11::4"}
    assert ahosts("db", "web") == {"10.11.2.2"}
    assert ahosts("db", "app", code=2) == ahosts("lone", "web", code=2) == set()
    reverse = netlab.exec(lab, "app-1", "getent", "hosts", "10.11.1.2")
    assert reverse.split() == ["10.11.1.2", "shop-web-1.shop_front"]


def test_one_connection_may_ask_twice(shop: tuple[Any, str]) -> None:
    netlab, lab = shop
    assert netlab.exec(lab, "app-2", "python3", "-c", OVER_TCP, "web") == "10.11.1.2\n10.11.1.2\n"


def test_every_container_has_the_rules_and_no_other_node_has(shop: tuple[Any, str]) -> None:
    netlab, lab = shop

    def rules(node: str) -> list[str]:
        saved = netlab.exec(lab, node, "iptables-save", "-t", "nat")
        return [line for line in saved.splitlines() if line.startswith("-A DOCKER_")]

    first = rules("app-1")
    assert len(first) == 4
    assert rules("app-2") == rules("web") == rules("db") == first
    assert rules("lone") == rules("client") == []


def test_the_sockets_have_their_reason(shop: tuple[Any, str]) -> None:
    netlab, lab = shop
    said = netlab("sockets", lab).stdout
    assert sum("Docker's own DNS server" in line for line in said.splitlines()) == 2 * 4
