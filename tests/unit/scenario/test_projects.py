"""Several files into one: merge, extends, include, profiles, names, overrides."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from netlab.model.errors import UsageError
from netlab.model.file_names import lab_name
from netlab.model.problem import ScenarioError
from netlab.model.scenario import ExposedPort, Scenario
from netlab.scenario import Overrides, daemon_setting, find_default, folder_environment, load, scale_setting
from netlab.scenario.names import normalised_project


def ports(scenario: Scenario, name: str) -> list[tuple[int, int]]:
    service = next(service for service in scenario.services if service.name == name)
    return [((port.host_ports or (0, 0))[0], port.container_port) for port in service.ports]


# -- merge


def test_three_files_from_left_to_right(loaded: Callable) -> None:
    scenario = loaded(
        "services: {web: {image: a, ports: ['1:1'], expose: [1]}}",
        {
            "g": "services: {web: {image: b, ports: ['2:2', '1:1']}, api: {image: c}}",
            "h": "services: {api: {expose: [9]}, web: {expose: [2, 1]}}",
        },
        files=("f", "g", "h"),
    )
    assert [service.name for service in scenario.services] == ["web", "api"]
    assert scenario.services[0].image == "b"
    assert ports(scenario, "web") == [(1, 1), (2, 2)]
    assert scenario.services[0].expose == (ExposedPort(1), ExposedPort(2))
    assert scenario.services[1].expose == (ExposedPort(9),)
    assert scenario.files == ("f", "g", "h")


def test_x_netlab_is_merged_like_the_rest(loaded: Callable) -> None:
    scenario = loaded(
        "x-netlab: {host: {engine: docker-20.10, daemon: {icc: false}, firewall: ufw}, rules: [iptables -L]}",
        {"g": "x-netlab: {host: {daemon: {userland-proxy: false}, firewall: {ufw: }}, rules: [ip route]}"},
        files=("f", "g"),
    )
    (host,) = scenario.hosts
    assert host.daemon == {"icc": False, "userland-proxy": False}
    assert host.daemon_positions["userland-proxy"].file == "g"
    assert host.firewall.kind == "ufw"
    assert [rule.text for rule in host.rules] == ["iptables -L", "ip route"]


def test_reset_and_override(loaded: Callable) -> None:
    scenario = loaded(
        "services: {web: {image: a, ports: ['1:1'], dns: [1.1.1.1], hostname: h}, gone: {}}",
        {
            "g": "services: {web: {ports: !override ['2:2'], dns: !reset [], hostname: !reset null},"
            " gone: !reset null}"
        },
        files=("f", "g"),
    )
    (web,) = scenario.services
    assert ports(scenario, "web") == [(2, 2)]
    assert (web.dns, web.hostname, web.image) == ((), None, "a")


def test_reset_in_a_single_file(loaded: Callable) -> None:
    scenario = loaded("services: {web: {image: !reset a, ports: ['1:1', !reset '2:2']}}")
    assert scenario.services[0].image is None
    assert ports(scenario, "web") == [(1, 1)]


def test_forms_meet(loaded: Callable) -> None:
    scenario = loaded(
        "services: {web: {networks: [a], sysctls: {net.ipv4.ip_forward: 1},"
        " extra_hosts: {h: 1.1.1.1}, depends_on: [x]},"
        " x: {}, y: {}}\n"
        "networks: {a: , b: }",
        {
            "g": "services: {web: {networks: {b: {aliases: [w]}, a: {aliases: [v]}},"
            " sysctls: ['net.ipv4.ip_default_ttl=2'],"
            " extra_hosts: ['i=2.2.2.2'], depends_on: {y: {condition: service_started}}}}"
        },
        files=("f", "g"),
    )
    web = scenario.services[0]
    assert [(a.network, a.aliases) for a in web.networks] == [("a", ("v",)), ("b", ("w",))]
    assert web.sysctls == {"net.ipv4.ip_forward": "1", "net.ipv4.ip_default_ttl": "2"}
    assert web.extra_hosts == (("h", "1.1.1.1"), ("i", "2.2.2.2"))
    assert web.depends_on == ("x", "y")


def test_what_cannot_be_merged(problems: Callable) -> None:
    found = problems(
        "services: {web: {ports: ['1:1']}}", {"g": "services: {web: {ports: {a: b}}}"}, files=("f", "g")
    )
    assert found == ["g:1:25: services.web.ports is a list in f, and a mapping cannot replace it"]


# -- extends


def test_extends_a_file_that_extends_a_file(loaded: Callable) -> None:
    scenario = loaded(
        "services: {web: {extends: {file: sub/base.yaml, service: base}, ports: ['3:3']}}",
        {
            "sub/base.yaml": "services:\n"
            "  base: {extends: {file: ../root.yaml, service: root}, ports: ['2:2']}",
            "root.yaml": "services: {root: {image: '${IMAGE}', ports: ['1:1']}, other: {ports: nonsense}}",
        },
        environ={"IMAGE": "deep"},
    )
    assert ports(scenario, "web") == [(1, 1), (2, 2), (3, 3)]
    assert scenario.services[0].image == "deep"


def test_a_problem_in_an_extended_file_has_that_files_position(problems: Callable) -> None:
    found = problems(
        "services: {web: {extends: {file: base.yaml, service: base}}}",
        {"base.yaml": "services:\n  base:\n    ports: ['80:tcp']\n"},
    )
    assert found == ['base.yaml:3:13: services.web.ports: "tcp" is not a port or a range of ports']


def test_extends_in_a_circle_through_files(problems: Callable) -> None:
    found = problems(
        "services: {web: {extends: {file: g, service: web}}}",
        {"g": "services: {web: {extends: {file: f, service: web}}}"},
    )
    assert found == ["f:1:27: services.web extends itself"]


def test_a_long_chain_is_refused_and_a_shorter_one_is_not(loaded: Callable, problems: Callable) -> None:
    def chain(length: int) -> str:
        links = [f"  s{n}: {{extends: s{n + 1}}}" for n in range(length)]
        return "\n".join(["services:", *links, f"  s{length}: {{image: end}}"]) + "\n"

    assert {service.image for service in loaded(chain(60)).services} == {"end"}
    assert problems(chain(80))[0].endswith("services extend one another more than 64 deep")


# -- include


def test_include_of_an_include(loaded: Callable) -> None:
    scenario = loaded(
        "include: [a/compose.yaml]\nservices: {top: {depends_on: [deep]}}",
        {
            "a/compose.yaml": "include: [b/compose.yaml]\nservices: {mid: {image: $WHO}}",
            "a/.env": "WHO=a",
            "a/b/compose.yaml": "services: {deep: {image: '$WHO-$B'}}",
            "a/b/.env": "WHO=b\nB=x",
        },
    )
    assert {service.name: service.image for service in scenario.services} == {
        "top": None,
        "mid": "a",
        "deep": "a-x",
    }


def test_include_that_clashes(problems: Callable, loaded: Callable) -> None:
    other = {"g": "services: {web: {image: b}}\nnetworks: {n: {internal: true}}"}
    assert problems("include: [g]\nservices: {web: {image: a}}", other) == [
        "f:2:12: services.web clashes with the included one at g:1:12"
    ]
    assert loaded("include: [g]\nservices: {web: {image: b}}", other).services[0].image == "b"


def test_a_later_file_goes_over_what_an_earlier_includes(loaded: Callable) -> None:
    scenario = loaded(
        "include: [g]",
        {"g": "services: {web: {image: a, expose: [1]}}", "h": "services: {web: {image: b}}"},
        files=("f", "h"),
    )
    assert (scenario.services[0].image, scenario.services[0].expose) == ("b", (ExposedPort(1),))


def test_include_in_a_circle(problems: Callable) -> None:
    assert problems("include: [g]", {"g": "include: [f]"}) == ['g:1:11: "f" includes itself']


# -- profiles

PROFILES = """\
services:
  always: {}
  debug: {profiles: [debug, all]}
  test: {profiles: [test], depends_on: {debug: {required: false, condition: service_started}}}
"""


@pytest.mark.parametrize(
    ("asked", "environ", "names"),
    [
        ((), {}, "always"),
        (("debug",), {}, "always debug"),
        ((), {"COMPOSE_PROFILES": "test, all"}, "always debug test"),
        (("debug",), {"COMPOSE_PROFILES": "test"}, "always debug"),
        (("*",), {}, "always debug test"),
        (("test",), {}, "always test"),
    ],
)
def test_profiles(asked, environ, names, loaded: Callable) -> None:
    scenario = loaded(PROFILES, profiles=asked, environ=environ)
    assert [service.name for service in scenario.services] == names.split()
    assert all(set(service.depends_on) <= set(names.split()) for service in scenario.services)


def test_networks_of_disabled_services_are_not_made(loaded: Callable) -> None:
    text = "services: {a: {profiles: [p], networks: [n]}, b: {network_mode: none}}\nnetworks: {n: }"
    assert loaded(text).networks == ()
    assert [network.name for network in loaded(text, profiles=["p"]).networks] == ["lab_n"]


# -- names


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("httpd.yaml", "httpd"),
        ("a/b/c02.flows.yaml", "c02-flows"),
        ("/srv/shop/compose.yaml", "shop"),
        ("/srv/my.shop/docker-compose.yml", "my-shop"),
        ("/srv/shop/compose.override.yaml", "shop"),
        ("/srv/shop/netlab.yaml", "shop"),
        ("/compose.yaml", "lab"),
        ("-x-.yaml", "x"),
        ("ünï.yaml", "n"),
        ("x" * 200 + ".yaml", "x" * 63),
    ],
)
def test_lab_names(path: str, name: str) -> None:
    assert lab_name(Path(path)) == name


@pytest.mark.parametrize(
    ("folder", "name"), [("My Shop", "myshop"), ("__a-B.c", "a-bc"), ("9_x", "9_x"), ("ä", "")]
)
def test_project_names(folder: str, name: str) -> None:
    assert normalised_project(folder) == name


def test_where_the_project_name_comes_from(loaded: Callable) -> None:
    text = "services: {a: {}}"
    assert loaded(text).project == "lab"
    assert loaded(text).networks[0].name == "lab_default"
    assert loaded("name: shop-$N\n" + text, environ={"N": "1"}).project == "shop-1"
    # Compose 2.26 normalises what a file says, and refuses the same on the command line
    assert loaded("name: My-Shop_1\n" + text).project == "my-shop_1"
    assert loaded("name: ''\n" + text).project == "lab"
    named = {"environ": {"COMPOSE_PROJECT_NAME": "env"}}
    assert loaded("name: shop\n" + text, **named).project == "env"
    assert loaded("name: shop\n" + text, project_name="line", **named).project == "line"
    two = loaded("name: one\n" + text, {"g": "name: two"}, files=("f", "g"))
    assert (two.project, two.name) == ("two", "f")


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("a.b", 'name: the name "a.b" has a dot, which separates a lab from its node (LAB.NODE)'),
        (
            "a/b",
            'name: the name "a/b" must consist of letters, digits, - and _, and begin with no sign',
        ),
        ("", 'name: the name "" must consist of letters, digits, - and _, and begin with no sign'),
        ("-n", 'name: the name "-n" must consist of letters, digits, - and _, and begin with no sign'),
        ("n" * 64, f'name: the name "{"n" * 64}" is longer than 63 characters'),
    ],
)
def test_lab_names_that_cannot_be(name: str, problem: str, problems: Callable) -> None:
    shown = problem.replace("n" * 64, "n" * 59 + "…")
    assert problems("services: {}", overrides=Overrides(name=name)) == [shown]


def test_find_default(tmp_path: Path) -> None:
    assert find_default(tmp_path) == []
    for name in ("docker-compose.yml", "docker-compose.override.yml"):
        (tmp_path / name).touch()
    assert [p.name for p in find_default(tmp_path)] == ["docker-compose.yml", "docker-compose.override.yml"]
    (tmp_path / "compose.yaml").touch()
    assert [p.name for p in find_default(tmp_path)] == ["compose.yaml", "docker-compose.override.yml"]
    named = {"COMPOSE_FILE": "a.yaml:b.yaml"}
    assert [p.name for p in find_default(tmp_path, named)] == ["a.yaml", "b.yaml"]
    assert [p.name for p in find_default(tmp_path, named | {"COMPOSE_PATH_SEPARATOR": ";"})] == [
        "a.yaml:b.yaml"
    ]
    (tmp_path / "netlab.yaml").touch()
    assert [p.name for p in find_default(tmp_path, named)] == ["netlab.yaml"]


def test_find_default_in_a_folder_above(tmp_path: Path) -> None:
    below = tmp_path / "src" / "deep"
    below.mkdir(parents=True)
    (tmp_path / "compose.yaml").touch()
    assert find_default(below) == []
    assert [p.resolve() for p in find_default(below, above=True)] == [tmp_path.resolve() / "compose.yaml"]
    (tmp_path / "src" / "docker-compose.yaml").touch()
    (tmp_path / "src" / "docker-compose.yml").touch()
    (found,) = find_default(below, above=True)
    assert found.resolve() == tmp_path.resolve() / "src" / "docker-compose.yml"


def test_an_environment_file_may_name_the_files(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("COMPOSE_FILE=docker/a.yaml;docker/b.yaml\nCOMPOSE_PATH_SEPARATOR=;\n")
    environ = folder_environment(tmp_path, {"HOME": "/"})
    assert [p.name for p in find_default(tmp_path, environ)] == ["a.yaml", "b.yaml"]
    (tmp_path / "prod.env").write_text("COMPOSE_FILE=prod.yaml\n")
    chosen = folder_environment(tmp_path, {}, [tmp_path / "prod.env"])
    assert [p.name for p in find_default(tmp_path, chosen)] == ["prod.yaml"]
    shouted = folder_environment(tmp_path, {"COMPOSE_FILE": "mine.yaml"})
    assert [p.name for p in find_default(tmp_path, shouted)] == ["mine.yaml"]
    with pytest.raises(ScenarioError, match=r"cannot read gone\.env"):
        folder_environment(tmp_path, {}, ["gone.env"])


def test_the_project_directory_replaces_the_files_folder(loaded: Callable) -> None:
    text = "services: {web: {image: 'nginx:${TAG-none}', extends: {file: base.yaml, service: base}}}"
    base = "services: {base: {ports: ['80:80']}}"
    others = {".env": "TAG=here", "Other Place/.env": "TAG=there", "Other Place/base.yaml": base}
    scenario = loaded(text, others, project_directory="Other Place")
    (web,) = scenario.services
    assert (web.image, len(web.ports), scenario.project) == ("nginx:there", 1, "otherplace")


def test_scale_goes_over_the_file(loaded: Callable, problems: Callable) -> None:
    text = "services: {web: {ports: ['8000-8009:80'], scale: 2}, db: {deploy: {replicas: 2}}}"
    web, db = loaded(text, overrides=Overrides(scale={"web": 3, "db": 0})).services
    assert (web.replicas, db.replicas) == (3, 0)
    wrong = problems(text, overrides=Overrides(scale={"wbe": 3}))
    assert wrong == ['scale: there is no service "wbe" (did you mean "web"?)']
    named = "services: {web: {container_name: alone}}"
    assert problems(named, overrides=Overrides(scale={"web": 2})) == [
        "scale: services.web: 2 containers cannot share one container_name"
    ]
    assert scale_setting("web=4") == ("web", 4)
    for wrong in ("web", "web=", "web=-1", "=3", "web=x", "web=999999"):
        with pytest.raises(ValueError, match="is not SERVICE=NUMBER"):
            scale_setting(wrong)


def test_a_project_directory_that_is_none(problems: Callable) -> None:
    wrong = problems("services: {}", project_directory="gone")
    assert wrong == ["project_directory: gone is not a folder"]


def test_no_file_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="no scenario file was given"):
        load([])


# -- the command line's overrides


def test_overrides_go_to_every_host(loaded: Callable) -> None:
    a, b = "{addresses: [10.0.0.1/24], daemon: {icc: false}}", "{addresses: [10.0.0.2/24]}"
    text = f"x-netlab: {{hosts: {{a: {a}, b: {b}}}}}"
    overrides = Overrides(
        engine="docker-28",
        firewall="{firewalld: {backend: iptables}}",
        daemon={"userland-proxy": "false", "bip": "10.9.0.1/16", "icc": True},
        name="mine",
    )
    scenario = loaded(text, overrides=overrides)
    assert scenario.name == "mine"
    for host in scenario.hosts:
        assert host.engine == "docker-28"
        assert host.firewall.kind == "firewalld"
        assert host.firewall.options == {"backend": "iptables"}
        assert host.daemon == {"userland-proxy": False, "bip": "10.9.0.1/16", "icc": True}


def test_bad_overrides(problems: Callable) -> None:
    overrides = Overrides(
        engine="docker-21.10", firewall="ufv", daemon={"userland-prox": False, "mtu": "big"}
    )
    assert problems("services: {}", overrides=overrides) == [
        'daemon: unknown key "userland-prox" (did you mean "userland-proxy"?)',
        'daemon: mtu must be a whole number, not a string ("big")',
        'engine: unknown engine "docker-21.10" (did you mean "docker-20.10"?)',
        'firewall: firewall cannot be "ufv" (did you mean "ufw"?)',
    ]


@pytest.mark.parametrize(
    ("text", "setting"),
    [
        ("userland-proxy=false", ("userland-proxy", False)),
        ("mtu=1400", ("mtu", 1400)),
        ("bip=10.0.0.1/8", ("bip", "10.0.0.1/8")),
        ("dns=[]", ("dns", [])),
        ("bridge=", ("bridge", "")),
        ("x=a=b", ("x", "a=b")),
    ],
)
def test_daemon_settings(text: str, setting: tuple) -> None:
    assert daemon_setting(text) == setting


def test_a_daemon_setting_without_a_value() -> None:
    with pytest.raises(ValueError, match='"icc" is not KEY=VALUE'):
        daemon_setting("icc")


# -- restart


@pytest.mark.parametrize(
    ("text", "policy"),
    [
        ("{}", "no"),
        ("{restart: no}", "no"),
        ("{restart: 'no'}", "no"),
        ("{restart: false}", "no"),
        ("{restart: always}", "always"),
        ("{restart: unless-stopped}", "unless-stopped"),
        ("{restart: 'on-failure:3'}", "on-failure"),
        ("{deploy: {restart_policy: {condition: any}}}", "always"),
        ("{deploy: {restart_policy: {delay: 5s}}}", "always"),
        ("{deploy: {restart_policy: {condition: none}}}", "no"),
        ("{restart: 'no', deploy: {restart_policy: {condition: any}}}", "no"),
    ],
)
def test_what_comes_back_with_the_daemon(loaded: Callable, text: str, policy: str) -> None:
    assert loaded(f"services: {{web: {text}}}").services[0].restart == policy


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("{restart: allways}", 'restart cannot be "allways" (did you mean "always"?)'),
        ("{restart: true}", 'restart cannot be "true"'),
        ("{deploy: {restart_policy: {condition: never}}}", "deploy.restart_policy.condition cannot be"),
    ],
)
def test_no_such_restart_policy(problems: Callable, text: str, wrong: str) -> None:
    (line,) = problems(f"services: {{web: {text}}}")
    assert wrong in line


def test_an_include_brings_its_volumes_secrets_and_configs(loaded: Callable) -> None:
    inner = """
    services:
      db:
        image: mariadb
        volumes: ["data:/var/lib/mysql"]
        secrets: [password]
        configs: [settings]
    volumes: {data: {}}
    secrets: {password: {environment: PW}}
    configs: {settings: {content: "a"}}
    """
    scenario = loaded("include: [inner.yaml]\nx-netlab: {}\n", {"inner.yaml": inner})
    assert [service.name for service in scenario.services] == ["db"]
