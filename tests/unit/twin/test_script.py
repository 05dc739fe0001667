"""The script that collects: POSIX, without a complaint of shellcheck's, and as netlab itself collects."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import tarfile

import pytest

from netlab.twin.dockerd_settings import kept_flags, kept_settings
from netlab.twin.script import listing, script
from netlab.twin.steps import CONTAINER, NETWORK, PODMAN_CONTAINER, PODMAN_NETWORK, steps

SHELLS = [argv for argv in (["dash"], ["bash", "--posix"], ["busybox", "sh"]) if shutil.which(argv[0])]


def test_shellcheck_has_no_complaint() -> None:
    assert shutil.which("shellcheck"), "run ./install --dev"
    done = subprocess.run(
        ["shellcheck", "-s", "sh", "-"], input=script("1"), capture_output=True, text=True, check=False
    )
    assert done.stdout == ""
    assert done.returncode == 0


def test_it_lists_what_it_runs() -> None:
    text = script("1")
    assert all(f"  {line}" in text for line in listing())
    assert len(list(listing())) == len(list(steps())) + 1


def test_nothing_is_asked_that_is_not_about_the_network() -> None:
    for template in (CONTAINER, NETWORK, PODMAN_CONTAINER, PODMAN_NETWORK):
        for word in ("Env", "Labels", "Cmd", "Entrypoint", "Mounts", "Image", "Path", "Args"):
            assert f".{word}" not in template
            assert f'"{word}"' not in template


def function(shell: list[str], call: str, given: str) -> str:
    """What a function of the script prints for an input."""
    functions = script("1").partition("\n# note KIND")[2].partition("\nkeys=")[0]
    text = f"# note KIND{functions}\n{call}\n"
    done = subprocess.run([*shell, "-c", text], input=given, capture_output=True, text=True, check=True)
    return done.stdout


SETTINGS = [
    '{"bip": "10.0.0.1/24", "labels": ["a=b"], "iptables": false}',
    '{"proxies": {"http-proxy": "http://user:secret@x"}, "mtu": 1400, "x": {"bip": "1.1.1.1/8"}}',
    '{\n  "dns": ["192.0.2.1", "2001:db8::1"],\n  "log-opts": {"a": "}\\"{"},\n  "icc" : true\n}\n',
    '{"default-address-pools": [{"base": "10.0.0.0/8", "size": 24}], "hosts": ["unix://a,b"]}',
    "{}",
]


@pytest.mark.parametrize("shell", SHELLS, ids=lambda argv: argv[0])
@pytest.mark.parametrize("text", SETTINGS)
def test_daemon_json_is_filtered_on_the_host(shell: list[str], text: str) -> None:
    keys = " ".join(
        ("bip", "iptables", "mtu", "dns", "icc", "default-address-pools", "userland-proxy", "ipv6")
    )
    kept = function(shell, f'keep "{keys}"', text)
    assert json.loads(kept) == json.loads(kept_settings(text))
    assert "secret" not in kept


def test_flags_are_kept_that_are_about_the_network() -> None:
    argv = ["dockerd", "--bip=10.0.0.1/24", "--label", "a=b", "--icc", "--mtu", "1400", "--config-file", "/x"]
    assert kept_flags([*argv, "--iptables=false", "--log-opt=p=s", "--ipv6"]).splitlines() == [
        "bip=10.0.0.1/24", "icc=true", "mtu=1400", "config-file=/x", "iptables=false", "ipv6=true",
    ]  # fmt: skip


@pytest.mark.parametrize("shell", SHELLS, ids=lambda argv: argv[0])
def test_it_makes_an_archive_where_no_program_is(shell: list[str]) -> None:
    tools = ("mktemp", "mkdir", "rm", "cat", "wc", "tar", "cut", "head", "sed", "tr", "mv", "grep", "awk")
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--net", *shell, "-s"],
        input=script("1").encode(),
        capture_output=True,
        check=False,
    )
    assert all(shutil.which(tool) for tool in tools)
    assert done.returncode == 0, done.stderr.decode()
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as tar:
        names = tar.getnames()
    assert "netlab-collection/manifest" in names
