"""A stranger's scenario starts no program of the machine with our rights, and names no file elsewhere."""

from __future__ import annotations

from pathlib import Path

from conftest import Netlab

HEAD = "services:\n  web: {image: x, ports: ['80:80']}\nx-netlab:\n  host:\n    engine: docker-20.10\n"


def test_a_program_as_the_proxy_must_be_allowed(netlab: Netlab, tmp_path: Path) -> None:
    file = tmp_path / "stranger.yaml"
    file.write_text(HEAD + "    proxy: /usr/sbin/docker-proxy\n")
    name = netlab.name()
    done = netlab("up", file, "--name", name, code=2)
    assert "--allow-programs" in done.stderr
    assert name not in netlab("ls").stdout
    netlab("up", "-q", file, "--name", name, "--allow-programs")
    assert "peer 198.51.100.2" in netlab.exec(name, "client", "curl", "-s", "http://198.51.100.1/")
    assert "docker-proxy" in netlab.exec(name, "host", "ss", "-ltnp")


def test_a_file_outside_of_the_folder_must_be_allowed(netlab: Netlab, tmp_path: Path) -> None:
    (tmp_path / "rules.v4").write_text("*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n")
    inner = tmp_path / "inner"
    inner.mkdir()
    file = inner / "stranger.yaml"
    file.write_text(HEAD + "    firewall: {iptables: ../rules.v4}\n")
    done = netlab("plan", file, code=2)
    assert f"{file}:6:" in done.stderr
    assert "--allow-outside-files" in done.stderr or "outside" in done.stderr
    netlab("plan", file, "--allow-outside-files")
