"""What one layout of Docker's rules does at each event: the contract that the layouts fill in.

The folders beside this one (``docker_20_10``, ``docker_28``, ``docker_29``, ``docker_29_nftables``) hold one
layout each, under the same file names, so that two of them can be read as a diff. A layout has no file for
what it shares with an older one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from netlab.engine.docker.host_state import Binding, Container, Endpoint, HostState, Link, LiveNetwork

OnHost = Callable[[HostState], None]
OnNetwork = Callable[[HostState, LiveNetwork], None]
OnEndpoint = Callable[[HostState, LiveNetwork, Endpoint], None]
OnBinding = Callable[[HostState, LiveNetwork, Binding], None]
OnLink = Callable[[HostState, LiveNetwork, Link], None]


@dataclass(frozen=True, slots=True)
class Firewaller:
    """One layout."""

    start: OnHost  #: the daemon comes up: its chains, before any network
    #: the FORWARD policy, given whether the daemon turned IPv4 forwarding on
    forward_policy: Callable[[HostState, bool], None]
    add_network: OnNetwork
    remove_network: OnNetwork
    user_chain: OnHost  #: after every new network: the administrator's chain to the front
    add_endpoint: OnEndpoint
    remove_endpoint: OnEndpoint
    add_binding: OnBinding
    remove_binding: OnBinding
    add_link: OnLink
    remove_link: OnLink
    #: a daemon with another backend starts: away with all but the networks' rules, which it takes out first
    leave: OnHost = lambda state: None  # noqa: ARG005
    #: take out what a reload of firewalld does not bring back (see :attr:`Traits.reload_forgets`)
    forget_isolation: OnNetwork = lambda state, network: None  # noqa: ARG005


def write_container(state: HostState, rules: Firewaller, container: Container) -> None:
    """Write the rules of a container that runs already: the host lost them, or the daemon starts anew."""
    for endpoint in container.endpoints:
        rules.add_endpoint(state, state.networks[endpoint.spec.network], endpoint)
    for binding in container.bindings:
        rules.add_binding(state, state.networks[binding.network], binding)
    for link in container.links:
        rules.add_link(state, state.networks[link.network], link)
