"""The JSON object of a lab, as ``up`` and ``status`` print it."""

from __future__ import annotations

from typing import TypedDict

from netlab.model.plan import NodeKind
from netlab.model.scenario import Protocol


class LabInterfaceDocument(TypedDict):
    """An interface of a node."""

    name: str
    kind: str  #: `veth` or `bridge`
    mac: str | None  #: null: the kernel's choice
    addresses: list[str]  #: with prefix length


class AnswerDocument(TypedDict):
    """A port on which the node's built-in server answers."""

    protocol: Protocol
    port: int
    service: str


class LabNodeDocument(TypedDict):
    """A host, a container or an outside machine."""

    name: str
    kind: NodeKind
    namespace: str  #: the node whose network namespace it has
    engine: str | None  #: of a host
    host: str | None  #: of a container
    container: str | None  #: of a container: its container name
    interfaces: list[LabInterfaceDocument]
    answers: list[AnswerDocument]
    command: list[str] | None  #: the program that runs in the place of the built-in server


class MemberDocument(TypedDict):
    """A container's interface on a network."""

    node: str
    interface: str
    addresses: list[str]  #: with prefix length


class LabNetworkDocument(TypedDict):
    """A container network."""

    name: str  #: as Docker lists it
    key: str  #: in the Compose file
    host: str
    bridge: str
    subnets: list[str]
    gateways: list[str]
    internal: bool
    members: list[MemberDocument]


class PortListenerDocument(TypedDict):
    """A socket that the engine keeps for a published port."""

    process: str
    address: str


class PublishedDocument(TypedDict):
    """A published port: which endpoint of a host leads to which container."""

    host: str
    address: str | None  #: null: every address
    port: int
    protocol: Protocol
    node: str
    container_port: int
    network: str
    listeners: list[PortListenerDocument]


class UnpublishedDocument(TypedDict):
    """A port that the file publishes and the engine does not, and why."""

    node: str
    port: int
    protocol: Protocol
    reason: str


class LabDocument(TypedDict):
    """A lab: its nodes, networks and published ports."""

    name: str
    project: str  #: the Compose project
    nodes: list[LabNodeDocument]
    networks: list[LabNetworkDocument]
    published: list[PublishedDocument]
    unpublished: list[UnpublishedDocument]
    silent: list[str]  #: services that answer on no port, as far as the scenario says
