"""Compose files in the manner of those in the wild: each loads, and says what Compose would say."""

from __future__ import annotations

from pathlib import Path

import pytest

from netlab.model.scenario import ExposedPort, Pool, PortMapping, Scenario
from netlab.scenario import find_default, load

ROOT = Path(__file__).parents[3]
COMPOSE = ROOT / "tests" / "data" / "compose"
CAPTURES = sorted((ROOT / "tests" / "data" / "captures" / "scenarios").glob("*.yaml"))


def project(name: str, **more: object) -> Scenario:
    folder = COMPOSE / name
    files = find_default(folder) or sorted(folder.glob("*.yml"))
    return load(files, environ={"HOST": "example.org"}, **more)  # type: ignore[arg-type]


def service(scenario: Scenario, name: str):
    return next(service for service in scenario.services if service.name == name)


def published(scenario: Scenario, name: str) -> list[str]:
    """``8080:80/tcp`` for each mapping, ``*`` for an ephemeral port."""
    out = []
    for port in service(scenario, name).ports:
        low, high = port.host_ports or (0, 0)
        host = "*" if not low else str(low) if low == high else f"{low}-{high}"
        address = f"{port.host_ip}:" if port.host_ip else ""
        out.append(f"{address}{host}:{port.container_port}/{port.protocol}")
    return out


EVERY = {
    "authentik": ("authentik_default", "postgresql redis server worker"),
    "django": ("django_default", "django postgres mailpit redis celeryworker flower nginx"),
    "kitchen": ("kitchen_front kitchen_back", "api db migrate"),
    "mastodon": ("mastodon_external_network mastodon_internal_network", "db web tor"),
    "supabase": ("supabase_default", "studio kong realtime analytics supavisor vector"),
    "dualstack": ("dualstack_v6 dualstack_legacy", "web"),
    "elk": ("elk_elk", "elasticsearch logstash kibana"),
    "extends": ("extends_default", "web admin db"),
    "external": ("reverse-proxy older_default", "app hosted"),
    "gitea": ("gitea_gitea", "server db"),
    "gluetun": ("gluetun_default", "gluetun sidecar"),
    "homeassistant": ("homeassistant_default", "homeassistant mosquitto"),
    "include": ("include_infra include_default", "front db app"),
    "keycloak": ("keycloak_default", "keycloak db"),
    "links": ("links_default", "web cache db legacy data"),
    "mail": ("mail_default", "mailserver"),
    "monitoring": (
        "monitoring_monitor-net monitoring_front",
        "prometheus nodeexporter cadvisor grafana alertmanager",
    ),
    "nextcloud": ("nextcloud_default", "db redis app web cron"),
    "octal": ("octal_default", "ssh on"),
    "override": ("override_back override_front override_default", "app debug"),
    "pihole": ("pihole_pihole_net", "pihole unbound"),
    "sip": ("sip_voip sip_default", "asterisk"),
    "swarm": ("swarm_default", "web"),
    "traefik": ("proxy edge_socket", "traefik socket-proxy whoami"),
    "voting": ("voting_front-tier voting_back-tier", "vote result worker redis db"),
    "wireguard": ("wireguard_default", "wireguard deluge"),
    "wordpress": ("wordpress_default", "wordpress db"),
}


@pytest.mark.parametrize("name", EVERY)
def test_networks_and_services(name: str) -> None:
    networks, services = EVERY[name]
    scenario = project(name)
    assert [network.name for network in scenario.networks] == networks.split()
    assert [each.name for each in scenario.services] == services.split()
    assert scenario.name == ("stack" if name == "swarm" else name)


def test_every_project_is_in_the_table() -> None:
    assert {folder.name for folder in COMPOSE.iterdir()} == set(EVERY)


@pytest.mark.parametrize(
    "path", [*CAPTURES, *sorted((ROOT / "scenarios").glob("*.yaml"))], ids=lambda p: p.name
)
def test_captures_and_gallery_load(path: Path) -> None:
    scenario = load([path])
    assert "." not in scenario.name
    assert scenario.hosts


def test_captures_are_there() -> None:
    assert len(CAPTURES) >= 24


def test_a_plain_file_gets_the_default_hosts() -> None:
    scenario = project("wordpress")
    (host,) = scenario.hosts
    assert (host.name, host.engine, host.firewall.kind, host.proxy) == ("host", "docker", "none", "shared")
    assert [(i.name, i.segment, i.addresses) for i in host.interfaces] == [
        ("ext0", "ext", ("198.51.100.1/24", "2001:db8:1::1/64"))
    ]
    assert [(node.name, node.interfaces[0].addresses, node.routes) for node in scenario.outside] == [
        ("client", ("198.51.100.2/24", "2001:db8:1::2/64"), "host"),
        ("neighbour", ("198.51.100.3/24", "2001:db8:1::3/64"), "host"),
        ("internet", ("198.51.100.254/24", "2001:db8:1::fe/64"), "none"),
    ]
    assert scenario.outside[0].listen == (ExposedPort(7000, "tcp"), ExposedPort(7000, "udp"))


def test_wordpress_is_on_the_default_network() -> None:
    scenario = project("wordpress")
    assert scenario.networks[0].key == "default"
    assert [a.network for a in service(scenario, "db").networks] == ["default"]
    assert published(scenario, "wordpress") == ["8080:80/tcp"]


def test_nextcloud_merges_keys_and_orders_by_dependency() -> None:
    scenario = project("nextcloud")
    assert service(scenario, "app").depends_on == ("db", "redis")
    assert service(scenario, "cron").depends_on == ("db", "redis")
    assert service(scenario, "app").expose == (ExposedPort(9000),)
    assert published(scenario, "web") == ["127.0.0.1:8080:80/tcp"]


def test_traefik_has_replicas_aliases_and_an_internal_network() -> None:
    scenario = project("traefik")
    assert scenario.project == "edge"
    whoami = service(scenario, "whoami")
    assert whoami.replicas == 3
    assert whoami.networks[0].aliases == ("who", "who.example.org")
    assert scenario.network("socket").internal
    assert service(scenario, "socket-proxy").privileged
    assert published(scenario, "traefik") == ["80:80/tcp", "443:443/tcp", "443:443/udp", "8080:8080/tcp"]


def test_monitoring_has_a_service_on_the_host_network() -> None:
    scenario = project("monitoring")
    assert service(scenario, "nodeexporter").network_mode == "host"
    assert service(scenario, "nodeexporter").networks == ()
    assert published(scenario, "alertmanager") == ["9093:9093/tcp"]
    assert service(scenario, "grafana").extra_hosts == (("host.docker.internal", "host-gateway"),)
    assert [a.network for a in service(scenario, "grafana").networks] == ["monitor-net", "front"]


def test_elk_reads_env_and_leaves_a_profile_out() -> None:
    assert service(project("elk"), "logstash").ports[1:3] == (
        PortMapping(50000, "tcp", (50000, 50000)),
        PortMapping(50000, "udp", (50000, 50000)),
    )
    assert "setup" in [each.name for each in project("elk", profiles=["setup"]).services]


def test_mail_has_host_addresses_of_both_families_and_dns() -> None:
    scenario = project("mail")
    assert published(scenario, "mailserver")[-2:] == ["2001:db8:1::1:2525:25/tcp", "198.51.100.1:2526:25/tcp"]
    server = service(scenario, "mailserver")
    assert (server.dns, server.dns_search, server.dns_opt) == (
        ("9.9.9.9",),
        ("example.com", "example.net"),
        ("ndots:1",),
    )
    assert (server.hostname, server.domainname) == ("mail.example.com", "example.com")


def test_pihole_has_two_pools_and_static_addresses() -> None:
    scenario = project("pihole")
    network = scenario.network("pihole_net")
    assert network.enable_ipv6 is True
    assert network.pools == (Pool("172.30.9.0/29"), Pool("fd00:9::/64", gateway="fd00:9::1"))
    attached = service(scenario, "pihole").networks[0]
    assert (attached.ipv4_address, attached.ipv6_address) == ("172.30.9.2", "fd00:9::2")
    assert service(scenario, "pihole").sysctls == {"net.ipv6.conf.all.disable_ipv6": "0"}


def test_wireguard_shares_a_network_and_drops_foreign_sysctls() -> None:
    scenario = project("wireguard")
    assert service(scenario, "deluge").network_mode == "service:wireguard"
    assert service(scenario, "deluge").depends_on == ("wireguard",)
    assert service(scenario, "wireguard").sysctls == {"net.ipv4.conf.all.src_valid_mark": "1"}


def test_gluetun_is_shared_by_its_container_name() -> None:
    assert service(project("gluetun"), "sidecar").network_mode == "container:gluetun"


def test_links_has_every_short_form_of_a_port() -> None:
    scenario = project("links")
    assert published(scenario, "web") == [
        "*:5000/tcp",
        "9090:8080/tcp",
        "9091:8081/tcp",
        "49100:22/tcp",
        "127.0.0.1:*:5001/tcp",
        "6060:6060/udp",
    ]
    web = service(scenario, "web")
    assert web.links == (("db", "database"), ("cache", "cache"))
    assert web.external_links == (("legacy-db", "mysql"),)
    assert web.depends_on == ("data",)
    assert service(scenario, "db").mac_address == "02:42:ac:11:65:43"


def test_ports_of_a_service_on_the_host_network_are_not_published() -> None:
    home = service(project("homeassistant"), "homeassistant")
    assert home.ports == ()
    assert home.expose == (ExposedPort(8123),)


def test_sip_has_ranges_priorities_and_a_reserved_address() -> None:
    scenario = project("sip")
    ports = published(scenario, "asterisk")
    assert len(ports) == 104
    assert ports[2] == "10000:10000/udp"
    assert ports[101] == "10099:10099/udp"
    assert ports[102:] == ["2905:2905/sctp", "8088-8090:8088/tcp"]
    voip = scenario.network("voip")
    assert voip.pools == (Pool("10.77.0.0/16", "10.77.5.0/24", "10.77.0.1", {"pbx": "10.77.0.5"}),)
    assert voip.driver_opts["com.docker.network.driver.mtu"] == "1400"
    assert service(scenario, "asterisk").networks[0].priority == 1000


def test_external_networks_keep_their_names() -> None:
    scenario = project("external")
    assert [(n.key, n.name, n.external) for n in scenario.networks] == [
        ("shared", "reverse-proxy", True),
        ("older", "older_default", True),
    ]
    assert service(scenario, "hosted").network_mode == "host"
    assert service(scenario, "hosted").expose == (ExposedPort(8000),)


def test_override_merges_by_composes_rules() -> None:
    scenario = project("override")
    app = service(scenario, "app")
    assert published(scenario, "app") == ["8000:80/tcp", "8443:443/tcp", "8001:81/tcp"]
    assert app.expose == (ExposedPort(9000), ExposedPort(9001))
    assert [(a.network, a.ipv4_address) for a in app.networks] == [("back", "10.5.0.9"), ("front", None)]
    assert app.dns == ("9.9.9.9", "1.1.1.1")
    assert app.sysctls == {"net.core.somaxconn": "2048"}
    assert published(scenario, "debug") == ["9230:9229/tcp"]
    assert service(scenario, "debug").image is None
    assert scenario.network("back").pools == (Pool("10.5.0.0/24", "10.5.0.128/25", "10.5.0.1"),)


def test_extends_is_followed_through_files() -> None:
    scenario = project("extends")
    web = service(scenario, "web")
    assert web.image == "nginx"
    assert web.expose == (ExposedPort(7777),)
    assert web.depends_on == ("db",)
    assert published(scenario, "web") == ["8080:80/tcp", "8081:81/tcp"]
    assert published(scenario, "admin") == ["9000:80/tcp"]


def test_include_has_its_own_environment() -> None:
    scenario = project("include")
    assert service(scenario, "db").image == "postgres:16"
    assert service(scenario, "db").expose == (ExposedPort(5433),)
    assert published(scenario, "app") == ["8800:8000/tcp"]
    assert service(scenario, "app").expose == (ExposedPort(8001),)


def test_keycloak_interpolates_with_defaults() -> None:
    scenario = project("keycloak")
    assert published(scenario, "keycloak") == ["127.0.0.1:8080:8080/tcp", "127.0.0.1:9000-9010:9000/tcp"]
    assert service(scenario, "keycloak").replicas == 1
    assert service(scenario, "db").privileged is False


def test_dualstack_attachment_in_full() -> None:
    attached = service(project("dualstack"), "web").networks[0]
    assert attached.ipv6_address == "2001:db8:9::10"
    assert attached.link_local_ips == ("169.254.8.8", "fe80::8")
    assert attached.mac_address == "02:42:00:00:00:09"
    assert attached.interface_name == "web0"
    assert attached.gw_priority == 1


def test_yaml_12_reads_what_11_would_misread() -> None:
    scenario = project("octal")
    assert published(scenario, "ssh") == ["22:22/tcp", "2222:22/tcp"]
    assert service(scenario, "on").image == "off"


def test_what_another_service_s_anchor_brings_can_be_taken_back() -> None:
    scenario = project("authentik")
    assert published(scenario, "server") == ["9000:9000/tcp", "9443:9443/tcp"]
    assert published(scenario, "worker") == []


def test_a_port_over_both_protocols_and_at_an_address() -> None:
    wanted = ["443:443/tcp", "443:443/udp", "0.0.0.0:80:80/tcp"]
    assert published(project("django"), "nginx") == wanted


def test_who_is_provided_by_something_else_is_no_container() -> None:
    scenario = project("kitchen")
    assert "ai" not in [each.name for each in scenario.services]
    api = service(scenario, "api")
    assert published(scenario, "api")[0] == "8000-8005:8000/tcp"
    assert api.depends_on == ("db", "migrate", "ai")
