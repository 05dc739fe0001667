"""up, exec, down: the main job, for root and for an ordinary user.

::

      client 198.51.100.2 ── ext ── host 198.51.100.1 ── docker_httpd ── httpd 192.168.10.10
"""

from __future__ import annotations

import concurrent.futures
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SEED = Path(__file__).parents[2] / "scenarios" / "httpd.yaml"


def test_the_page_comes_by_forwarding_over_ipv4_and_by_the_proxy_over_ipv6(anyones: Any) -> None:
    lab = anyones.up(SEED)
    page = anyones.exec(lab, "client", "curl", "-s", "http://198.51.100.1/hello")
    assert "netlab httpd\n" in page
    assert "peer 198.51.100.2 " in page
    assert "token hello\n" in page
    assert "peer 192.168.10.1 " in anyones.exec(lab, "client", "curl", "-s", "http://[2001:db8:1::1]/")


def test_the_host_shows_docker_proxy_and_counters_that_moved(anyones: Any) -> None:
    lab = anyones.up(SEED)
    assert 'users:(("docker-proxy",' in anyones.exec(lab, "host", "ss", "-ltnp")
    anyones.exec(lab, "client", "curl", "-s", "http://198.51.100.1/")
    rules = anyones.exec(lab, "host", "iptables", "-t", "nat", "-nvL", "DOCKER")
    (dnat,) = [line for line in rules.splitlines() if "dpt:80 to:192.168.10.10:80" in line]
    assert dnat.split()[0] == "1"


def test_without_the_userland_proxy_nobody_proxies_and_ipv6_is_refused(anyones: Any) -> None:
    lab = anyones.up(SEED, "--daemon", "userland-proxy=false")
    assert "docker-proxy" not in anyones.exec(lab, "host", "ss", "-ltnp")
    assert "peer 198.51.100.2 " in anyones.exec(lab, "client", "curl", "-s", "http://198.51.100.1/")
    refused = 7  # curl(1)
    anyones("exec", f"{lab}.client", "--", "curl", "-s", "http://[2001:db8:1::1]/", code=refused)


def test_up_twice_changes_nothing_and_a_changed_scenario_is_built_anew(netlab: Any) -> None:
    lab = netlab.up(SEED)
    before = netlab.record(lab)
    assert "unchanged" in netlab("up", SEED, "--name", lab).stderr
    assert netlab.record(lab) == before
    done = netlab("up", SEED, "--name", lab, "--daemon", "userland-proxy=false")
    assert "its scenario changed: rebuilding it" in done.stderr
    assert netlab.record(lab)["pid"] != before["pid"]
    assert "docker-proxy" not in netlab.exec(lab, "host", "ss", "-ltnp")


def test_a_lab_that_lost_a_process_is_built_anew(netlab: Any) -> None:
    lab = netlab.up(SEED)
    status = json.loads(netlab("status", lab, "--json").stdout)
    (proxy,) = [process for process in status["processes"] if process["kind"] == "docker-proxy"]
    netlab.exec(lab, "host", "kill", "-9", str(proxy["pid"]))
    said = netlab("status", lab, code=1)
    assert "docker-proxy host has ended (SIGKILL)" in said.stderr
    assert "docker-proxy of it has died: rebuilding it" in netlab("up", SEED, "--name", lab).stderr
    netlab("status", lab)


def test_two_ups_of_one_lab_at_once_make_one_lab(netlab: Any) -> None:
    lab = netlab.name()
    with concurrent.futures.ThreadPoolExecutor() as pool:
        done = list(pool.map(lambda _: netlab("up", SEED, "--name", lab), range(3)))
    assert sum("unchanged" in one.stderr for one in done) == 2
    assert [found["name"] for found in json.loads(netlab("ls", "--json").stdout)["labs"]] == [lab]


def test_several_labs_come_up_with_one_command_and_do_not_meet(netlab: Any, tmp_path: Path) -> None:
    names = [netlab.name(), netlab.name()]
    files = []
    for name in names:
        files.append(tmp_path / f"{name}.yaml")
        files[-1].write_text(SEED.read_text())
    document = json.loads(netlab("up", *files, "--json").stdout)
    assert document["schema_version"] == 1
    assert [lab["name"] for lab in document["labs"]] == names
    for name in names:
        assert "netlab httpd\n" in netlab.exec(name, "client", "curl", "-s", "http://198.51.100.1/")
    assert names[0] in netlab("down", *names).stderr
    assert json.loads(netlab("ls", "--json").stdout)["labs"] == []


def test_down_on_nothing_succeeds(netlab: Any) -> None:
    assert netlab("down", "nonsuch").stderr == "nothing was up\n"
    assert netlab("down").stderr == "nothing was up\n"


def test_a_wrong_scenario_is_exit_2_with_its_place_and_builds_nothing(netlab: Any, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("services:\n  web: {image: nginx, prots: ['80:80']}\n")
    done = netlab("up", wrong, SEED, code=2)
    assert done.stderr.startswith(f"{wrong}:2:")
    assert "ports" in done.stderr
    assert json.loads(netlab("ls", "--json").stdout)["labs"] == []


def test_a_rule_that_fails_takes_everything_down_and_says_where(netlab: Any, tmp_path: Path) -> None:
    file = tmp_path / f"{netlab.name()}.yaml"
    file.write_text(SEED.read_text() + "  rules:\n    - iptables -A NONSUCH -j DROP\n")
    done = netlab("up", file, code=2)
    assert f"{file}:" in done.stderr
    assert "NONSUCH" in done.stderr
    assert not (netlab.state / "labs" / file.stem).exists()


def test_the_picture_shows_nodes_addresses_ports_and_who_listens(netlab: Any) -> None:
    shown = netlab("up", SEED, "--name", netlab.name()).stdout
    for words in (
        "198.51.100.2",
        "docker_httpd  192.168.10.1",
        "192.168.10.10",
        "*:80/tcp",
        "docker-proxy on 0.0.0.0",
    ):
        assert words in shown
    assert "\033" not in shown


def test_nodes_are_known_to_ip_netns(netlab: Any) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root's labs are")
    lab = netlab.up(SEED)
    names = subprocess.run(["ip", "netns", "list"], check=True, capture_output=True, text=True).stdout.split()
    assert {f"{lab}.host", f"{lab}.client", f"{lab}.httpd", f"{lab}.neighbour"} <= set(names)
    command = ["ip", "netns", "exec", f"{lab}.client", "curl", "-s", "http://198.51.100.1/"]
    assert "netlab httpd" in subprocess.run(command, check=True, capture_output=True, text=True).stdout
    netlab("down", lab)
    names = subprocess.run(["ip", "netns", "list"], check=True, capture_output=True, text=True).stdout.split()
    assert not [name for name in names if name.startswith(lab)]


def test_root_of_a_user_namespace_is_not_the_machines_even_if_anybody_may_write_to_run() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can lay another /run")
    driver = """
import ctypes, os
from netlab.kernel import libc
from netlab.lab import state
libc.unshare(libc.CLONE_NEWNS)
libc.mount("none", "/", "", libc.MS_REC | libc.MS_PRIVATE)
libc.mount("tmpfs", "/run", "tmpfs", 0)
os.chmod("/run", 0o1777)
print(state.is_machines_root())
os.setresgid(64321, 64321, 64321)
os.setresuid(64321, 64321, 64321)
ctypes.CDLL(None).prctl(4, 1)  # PR_SET_DUMPABLE, which a change of ids takes away: the maps are to be written
libc.unshare(libc.CLONE_NEWUSER)
for name, line in (("setgroups", "deny"), ("uid_map", "0 64321 1"), ("gid_map", "0 64321 1")):
    with open(f"/proc/self/{name}", "w") as file:
        file.write(line)
print(os.geteuid(), os.access("/run", os.W_OK), state.is_machines_root())
"""
    done = subprocess.run([sys.executable, "-c", driver], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["True", "0", "True", "False"]


def test_a_real_program_runs_in_a_container(netlab: Any, tmp_path: Path) -> None:
    file = tmp_path / f"{netlab.name()}.yaml"
    file.write_text(
        "services: {web: {image: python, hostname: shop, ports: ['80:80']}}\n"
        "x-netlab:\n"
        "  host: {engine: docker-20.10}\n"
        "  services: {web: {command: [python3, -m, http.server, '80']}}\n"
    )
    netlab("up", "-q", file)
    lab = file.stem
    head = netlab.exec(lab, "client", "curl", "-sI", "http://198.51.100.1/")
    assert "200 OK" in head
    assert "SimpleHTTP" in head
    assert netlab.exec(lab, "web", "hostname") == "shop\n"


def test_a_program_that_ends_at_once_is_reported_with_its_output(netlab: Any, tmp_path: Path) -> None:
    file = tmp_path / f"{netlab.name()}.yaml"
    file.write_text(
        "services: {web: {image: python, ports: ['80:80']}}\n"
        "x-netlab:\n"
        "  host: {engine: docker-20.10}\n"
        "  services: {web: {command: [python3, -c, 'raise SystemExit(\"no page today\")']}}\n"
    )
    done = netlab("up", file, code=1)
    assert "the command of web ended before it listened on 80" in done.stderr
    assert "no page today" in done.stderr
    assert not (netlab.state / "labs" / file.stem).exists()
