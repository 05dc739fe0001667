"""The shape of a Compose file: in full where it touches the network, roughly elsewhere.

The keys are those of the Compose specification's schema (version 2.x of its library) and of the older file
formats 2.x and 3.x, whose schemas it replaced.
"""

from __future__ import annotations

from netlab.scenario.shape import (
    Anything,
    Atom,
    Choice,
    Either,
    Field,
    Flag,
    ListOf,
    MapOf,
    Nothing,
    Record,
    Shape,
    Text,
    Whole,
)

NAME = r"\A[a-zA-Z0-9._-]+\Z"

_ANY = Anything()
_TEXT = Text()
#: of keys that have no effect here: their values get nowhere
_UNUSED = Text(free=True)
_UNUSED_ATOM = Atom(free=True)
_FLAG = Flag(lenient=True)
_LIST = ListOf(_ANY)
_MAP = MapOf(_ANY)
_TEXTS = ListOf(_TEXT, "a list of strings")
_TEXT_OR_TEXTS = Either(_TEXT, _TEXTS)
_LIST_OR_MAP = Either(ListOf(_ANY), MapOf(_ANY))
_ATOM = Atom()
_ATOMS = ListOf(_ATOM, "a list")
_PAIRS = Either(ListOf(_TEXT, "a list of KEY=VALUE"), MapOf(Atom(null=True)))


def _record(fields: dict[str, Shape]) -> Record:
    return Record({key: Field(shape) for key, shape in fields.items()}, extensions=True, absent=True)


ATTACHMENT = _record(
    {
        "aliases": _TEXTS,
        "ipv4_address": _TEXT,
        "ipv6_address": _TEXT,
        "link_local_ips": _TEXTS,
        "mac_address": _TEXT,
        "interface_name": _TEXT,
        "driver_opts": MapOf(_ATOM),
        "priority": Whole(lenient=True),
        "gw_priority": Whole(lenient=True),
    }
)

LONG_PORT = _record(
    {
        "name": _TEXT,
        "mode": _TEXT,
        "host_ip": _TEXT,
        "target": Either(Whole(), Text(expects="a port")),
        "published": Either(Whole(), Text(expects="a port")),
        "protocol": _TEXT,
        "app_protocol": _TEXT,
    }
)

_CONDITION = Choice(("service_started", "service_healthy", "service_completed_successfully"))
DEPENDENCY = Record(
    {"condition": Field(_CONDITION, required=True), "restart": Field(_FLAG), "required": Field(_FLAG)},
    extensions=True,
    absent=True,
)

#: keys of a service that do not concern the network: accepted, and checked no further
_ELSEWHERE: dict[str, Shape] = {
    "annotations": _LIST_OR_MAP,
    "attach": _FLAG,
    "blkio_config": _MAP,
    "build": Either(_UNUSED, _MAP),
    "cgroup": _UNUSED,
    "cgroup_parent": _UNUSED,
    "command": Either(Nothing(), _UNUSED_ATOM, _LIST),
    "configs": _LIST,
    "credential_spec": _MAP,
    "develop": _MAP,
    "device_cgroup_rules": _LIST,
    "devices": _LIST,
    "entrypoint": Either(Nothing(), _UNUSED_ATOM, _LIST),
    "env_file": Either(_UNUSED, _LIST, _MAP),
    "environment": _LIST_OR_MAP,
    "gpus": Either(_UNUSED, _LIST),
    "group_add": _LIST,
    "healthcheck": _MAP,
    "init": _FLAG,
    "ipc": _UNUSED,
    "isolation": _UNUSED,
    "label_file": Either(_UNUSED, ListOf(_UNUSED, "a list of strings")),
    "labels": _LIST_OR_MAP,
    "logging": _MAP,
    "models": _LIST_OR_MAP,
    "oom_kill_disable": _FLAG,
    "pid": _UNUSED,
    "platform": _UNUSED,
    "post_start": _LIST,
    "pre_start": _LIST,
    "pre_stop": _LIST,
    "provider": _MAP,
    "pull_policy": _UNUSED,
    "pull_refresh_after": _UNUSED,
    "read_only": _FLAG,
    "restart": Either(_UNUSED, Flag()),
    "runtime": _UNUSED,
    "secrets": _LIST,
    "security_opt": _LIST,
    "stdin_open": _FLAG,
    "stop_grace_period": _UNUSED_ATOM,
    "stop_signal": _UNUSED,
    "storage_opt": _MAP,
    "tmpfs": Either(_UNUSED, _LIST),
    "tty": _FLAG,
    "ulimits": _MAP,
    "use_api_socket": _FLAG,
    "user": _UNUSED_ATOM,
    "userns_mode": _UNUSED,
    "uts": _UNUSED,
    "volume_driver": _UNUSED,
    "volumes": _LIST,
    "volumes_from": _LIST,
    "working_dir": _UNUSED,
} | dict.fromkeys(
    (
        "cpu_count",
        "cpu_percent",
        "cpu_period",
        "cpu_quota",
        "cpu_rt_period",
        "cpu_rt_runtime",
        "cpu_shares",
        "cpus",
        "cpuset",
        "mem_limit",
        "mem_reservation",
        "mem_swappiness",
        "memswap_limit",
        "oom_score_adj",
        "pids_limit",
        "shm_size",
    ),
    _UNUSED_ATOM,
)

SERVICE = _record(
    _ELSEWHERE
    | {
        "cap_add": _TEXTS,
        "cap_drop": _TEXTS,
        "container_name": _TEXT,
        "depends_on": Either(_TEXTS, MapOf(Either(Nothing(), DEPENDENCY))),
        "deploy": _record(
            {
                "mode": _TEXT,
                "replicas": Whole(0, 100_000, lenient=True),
                "endpoint_mode": _TEXT,
                "labels": _LIST_OR_MAP,
                "placement": _MAP,
                "resources": _MAP,
                "restart_policy": _MAP,
                "rollback_config": _MAP,
                "update_config": _MAP,
            }
        ),
        "dns": _TEXT_OR_TEXTS,
        "dns_opt": _TEXT_OR_TEXTS,
        "dns_search": _TEXT_OR_TEXTS,
        "domainname": _TEXT,
        "expose": _ATOMS,
        "extends": Either(_TEXT, _record({"service": _TEXT, "file": _TEXT})),
        "external_links": _TEXTS,
        "extra_hosts": Either(_TEXTS, MapOf(Either(_TEXT, _TEXTS))),
        "hostname": _TEXT,
        "image": _UNUSED,
        "links": _TEXTS,
        "mac_address": _TEXT,
        "network_mode": _TEXT,
        "networks": Either(_TEXTS, MapOf(Either(Nothing(), ATTACHMENT))),
        "ports": ListOf(Either(Whole(), Text(expects="a port"), LONG_PORT), "a list of ports"),
        "privileged": _FLAG,
        "profiles": _TEXTS,
        "scale": Whole(0, 100_000, lenient=True),
        "sysctls": _PAIRS,
    }
)

POOL = _record({"subnet": _TEXT, "ip_range": _TEXT, "gateway": _TEXT, "aux_addresses": MapOf(_TEXT)})

NETWORK = _record(
    {
        "name": _TEXT,
        "driver": _TEXT,
        "driver_opts": MapOf(Atom(null=True)),
        "ipam": _record({"driver": _TEXT, "config": ListOf(POOL), "options": _MAP}),
        "external": Either(_FLAG, _record({"name": _TEXT})),
        "internal": _FLAG,
        "enable_ipv4": _FLAG,
        "enable_ipv6": _FLAG,
        "attachable": _FLAG,
        "labels": _LIST_OR_MAP,
    }
)

TOP_FIELDS: dict[str, Shape] = {
    "version": _ATOM,
    "name": _TEXT,
    "include": _LIST,
    "services": MapOf(SERVICE, NAME, "a service's name (letters, digits, . _ -)"),
    "networks": MapOf(Either(Nothing(), NETWORK), NAME, "a network's name (letters, digits, . _ -)"),
    "volumes": _MAP,
    "secrets": _MAP,
    "configs": _MAP,
    "models": _MAP,
}


def compose(netlab: Shape) -> Record:
    """The whole file; ``netlab`` is the shape of ``x-netlab``."""

    def explain(key: str) -> str | None:
        return (
            ' (did you mean "x-netlab"?)' if key in ("netlab", "x_netlab", "xnetlab", "x-netlabs") else None
        )

    made = {key: Field(shape) for key, shape in TOP_FIELDS.items()}
    return Record(made | {"x-netlab": Field(netlab)}, extensions=True, absent=True, explain=explain)
