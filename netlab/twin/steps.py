"""What a host is asked: every command, and what of its output is kept.

Nothing here changes a host. What is not about the network never leaves it: ``docker inspect`` is asked for
single fields, and settings pass a list of those that matter. A program that is missing is noted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from netlab.scenario.daemon import KEYS

#: The version of the archive's form, which the first line of its manifest says.
FORMAT = 1
#: The folder in an archive that holds everything.
FOLDER = "netlab-collection"
MANIFEST = "manifest"


@dataclass(frozen=True, slots=True)
class Step:
    """One command. Its output goes into ``file``.

    ``words``: the words of that earlier file are added to the command; it is left out if there are none.
    ``each``: the command runs once for each line of that earlier file, with the line in the place of ``{}``,
    and ``@ LINE`` before each output. ``only``: an extended regular expression; other lines are left out.
    ``exists``: the command runs only if this file is there, because it would create it else.
    """

    file: str
    argv: tuple[str, ...]
    words: str = ""
    each: str = ""
    only: str = ""
    exists: str = ""

    @property
    def text(self) -> str:
        """The command as people read it, with the lists of fields cut off."""
        shown = [word if len(word) <= 60 else f"{word[:40]}…" for word in self.argv]
        return " ".join((*shown, *([f"({self.words})"] if self.words else ())))


#: What is kept of /proc/sys/net: what decides about packets, and no secret (stable_secret, tcp_fastopen_key).
SYSCTLS = (
    r"^net\.(ipv4\.(ip_forward|ip_local_port_range|ip_local_reserved_ports|ip_nonlocal_bind|fwmark_reflect)"
    r"|ipv4\.conf\..+\.(forwarding|rp_filter|route_localnet|accept_local|proxy_arp|arp_ignore|arp_filter"
    r"|arp_announce|src_valid_mark|accept_source_route)"
    r"|ipv6\.bindv6only"
    r"|ipv6\.conf\..+\.(forwarding|disable_ipv6|accept_ra|proxy_ndp)"
    r"|bridge\.[a-z0-9-]+|netfilter\.nf_conntrack_(max|tcp_be_liberal)) ="
)
_AT_BOOT = r"^[^#;]*(forward(ing)?|bridge-nf-call-[a-z0-9]+)[[:space:]]*="
_SYSCTL_FOLDERS = (
    "/etc/sysctl.conf", "/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d",
)  # fmt: skip

#: What is kept of daemon.json and of dockerd's command line.
DAEMON_KEYS = tuple(name for name, key in KEYS.items() if key.touches == "network")


def _template(**fields: str) -> str:
    """A Go template that prints these fields as one JSON object.

    A daemon leaves some fields out of its answer, or does not know them; ``index`` gives null then, and with
    it the docker command goes by the answer as it came.
    """
    inside = ",".join(f'"{name}":{{{{json {path}}}}}' for name, path in fields.items())
    return f"{{{inside}}}"


CONTAINER = _template(
    id=".Id",
    name=".Name",
    created=".Created",
    status=".State.Status",
    started=".State.StartedAt",
    pid=".State.Pid",
    restart=".HostConfig.RestartPolicy.Name",
    exposed='(index .Config "ExposedPorts")',
    mode=".HostConfig.NetworkMode",
    bindings=".HostConfig.PortBindings",
    ports=".NetworkSettings.Ports",
    networks=".NetworkSettings.Networks",
    sysctls='(index .HostConfig "Sysctls")',
    links=".HostConfig.Links",
)
NETWORK = _template(
    id=".Id",
    name=".Name",
    created=".Created",
    driver=".Driver",
    scope=".Scope",
    ipv4='(index . "EnableIPv4")',
    ipv6=".EnableIPv6",
    internal=".Internal",
    ipam=".IPAM.Config",
    options=".Options",
)
#: Podman has other names, and no index for what a version does not know
PODMAN_CONTAINER = _template(
    id=".ID",
    name=".Name",
    created=".Created",
    status=".State.Status",
    started=".State.StartedAt",
    pid=".State.Pid",
    restart=".HostConfig.RestartPolicy.Name",
    mode=".HostConfig.NetworkMode",
    bindings=".HostConfig.PortBindings",
    ports=".NetworkSettings.Ports",
    networks=".NetworkSettings.Networks",
)
PODMAN_NETWORK = _template(
    id=".ID",
    name=".Name",
    created=".Created",
    driver=".Driver",
    bridge=".NetworkInterface",
    ipv6=".IPv6Enabled",
    internal=".Internal",
    dns=".DNSEnabled",
    subnets=".Subnets",
    options=".Options",
)


def steps() -> Iterator[Step]:
    """Every command, in order."""
    yield Step("uname", ("uname", "-srn"))
    yield Step("links.json", ("ip", "-j", "-d", "link", "show"))
    yield Step("addresses.json", ("ip", "-j", "address", "show"))
    for family in ("4", "6"):
        yield Step(f"routes{family}.json", ("ip", "-j", f"-{family}", "route", "show", "table", "all"))
        yield Step(f"rules{family}.json", ("ip", "-j", f"-{family}", "rule", "show"))
    yield Step("neighbours.json", ("ip", "-j", "neigh", "show"))
    yield Step("sockets", ("ss", "-Hlntup"))
    yield Step("sysctls", ("sysctl", "net"), only=SYSCTLS)
    yield Step("sysctl-files", ("grep", "-rHsE", _AT_BOOT, *_SYSCTL_FOLDERS))
    for tool, number in (("iptables", "4"), ("ip6tables", "6")):
        yield Step(f"{tool}.rules", (f"{tool}-save",))
        yield Step(f"{tool}-version", (tool, "--version"))
        yield Step(
            f"{tool}-legacy.rules", (f"{tool}-legacy-save",), exists=f"/proc/net/{_proc(number)}_tables_names"
        )
        yield Step(f"{tool}-nft.rules", (f"{tool}-nft-save",))
    yield Step("nft.rules", ("nft", "-s", "list", "ruleset"))
    yield Step("ipsets", ("ipset", "save"), exists="/sys/module/ip_set")
    yield from _docker()
    yield from _podman()
    yield Step("wslinfo", ("wslinfo", "--networking-mode"))
    yield Step("ufw", ("ufw", "status", "verbose"))
    yield Step("firewalld-state", ("firewall-cmd", "--state"))
    yield Step("firewalld-zones", ("firewall-cmd", "--list-all-zones"))


def _proc(number: str) -> str:
    return "ip" if number == "4" else "ip6"


def _docker() -> Iterator[Step]:
    yield Step("docker-version", ("docker", "version", "--format", "{{.Server.Version}}"))
    yield Step("docker-backend", ("docker", "info", "--format", "{{json .FirewallBackend}}"))
    yield Step("docker-network-ids", ("docker", "network", "ls", "-q", "--no-trunc"), only="^[0-9a-z]+$")
    yield Step(
        "docker-networks.json", ("docker", "network", "inspect", "--format", NETWORK),
        words="docker-network-ids",
    )  # fmt: skip
    yield Step("docker-ids", ("docker", "ps", "-aq", "--no-trunc"), only="^[0-9a-f]+$")
    yield Step(
        "docker-containers.json", ("docker", "inspect", "--type", "container", "--format", CONTAINER),
        words="docker-ids",
    )  # fmt: skip
    yield Step(
        "docker-pids", ("docker", "inspect", "--type", "container", "--format", "{{.State.Pid}}"),
        words="docker-ids", only="^[1-9][0-9]*$",
    )  # fmt: skip
    yield Step("container-sockets", ("nsenter", "-t", "{}", "-n", "ss", "-Hlntup"), each="docker-pids")


def _podman() -> Iterator[Step]:
    """Podman makes its folders when it is called, so it is asked only where it has them."""
    there = "/var/lib/containers/storage"
    yield Step("podman-version", ("podman", "version", "--format", "{{.Version}}"), exists=there)
    yield Step("podman-network-names", ("podman", "network", "ls", "--format", "{{.Name}}"), exists=there)
    yield Step(
        "podman-networks.json", ("podman", "network", "inspect", "--format", PODMAN_NETWORK),
        words="podman-network-names",
    )  # fmt: skip
    yield Step("podman-ids", ("podman", "ps", "-aq", "--no-trunc"), only="^[0-9a-f]+$", exists=there)
    yield Step(
        "podman-containers.json", ("podman", "inspect", "--type", "container", "--format", PODMAN_CONTAINER),
        words="podman-ids",
    )  # fmt: skip
    yield Step(
        "podman-pids", ("podman", "inspect", "--type", "container", "--format", "{{.State.Pid}}"),
        words="podman-ids", only="^[1-9][0-9]*$",
    )  # fmt: skip
    yield Step("podman-sockets", ("nsenter", "-t", "{}", "-n", "ss", "-Hlntup"), each="podman-pids")


#: What is read of dockerd's own settings, by :mod:`netlab.twin.script` and by ``netlab collect``.
SETTINGS_FILE = "daemon.json"
FLAGS_FILE = "dockerd-flags"
#: the one variable of dockerd's environment that shapes the network
VARIABLE = "DOCKER_INSECURE_NO_IPTABLES_RAW"
PID_FILES = ("/var/run/docker.pid", "/run/docker.pid")
DEFAULT_SETTINGS = "/etc/docker/daemon.json"
