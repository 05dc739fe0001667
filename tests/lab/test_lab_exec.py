"""Going into a lab: exec and shell, with and without a terminal, by name and by mistake."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.labs import NOBODYS_UID, ROOT
from support.terminal import PATIENCE, Terminal

SEED = Path(__file__).parents[2] / "scenarios" / "httpd.yaml"


def test_the_exit_code_is_the_command_s_own(anyones: Any) -> None:
    lab = anyones.up(SEED)
    anyones("exec", f"{lab}.client", "--", "sh", "-c", "exit 7", code=7)
    anyones("exec", f"{lab}.client", "--", "sh", "-c", "kill -TERM $$", code=128 + signal.SIGTERM)
    assert "nonsuch: command not found" in anyones("exec", f"{lab}.client", "nonsuch", code=127).stderr
    anyones("exec", f"{lab}.client", "--", "/etc/hosts", code=126)


def test_a_folder_of_the_path_that_may_not_be_searched_has_nothing() -> None:
    closed = "/proc/1/root/bin"  # of another user's process
    driver = (
        f"from netlab.lab.node.process import execute; execute(['nonsuch'], {{'PATH': '{closed}:/bin'}}, '/')"
    )
    identity = {"user": NOBODYS_UID, "group": NOBODYS_UID} if os.geteuid() == 0 else {}
    done = subprocess.run(
        [sys.executable, "-c", driver], cwd=ROOT, capture_output=True, text=True, check=False, **identity
    )  # type: ignore[call-overload]
    assert (done.returncode, done.stderr) == (127, "netlab: nonsuch: command not found\n")


def test_a_command_sees_the_node_and_nothing_else_of_the_machine_s_network(anyones: Any) -> None:
    lab = anyones.up(SEED)
    assert anyones.exec(lab, "httpd", "ls", "/sys/class/net").split() == ["eth0", "lo"]
    hosts = anyones.exec(lab, "httpd", "cat", "/etc/hosts")
    hostname = anyones.exec(lab, "httpd", "hostname").strip()
    assert f"192.168.10.10\t{hostname}\n" in hosts
    assert anyones.exec(lab, "client", "hostname") == "client\n"
    processes = anyones.exec(lab, "client", "ps", "-e", "-o", "args")
    assert f"netlab {lab}" in processes
    assert "pytest" not in processes


def test_variables_and_folders_are_the_caller_s(netlab: Any) -> None:
    lab = netlab.up(SEED)
    assert netlab(
        "exec", "-e", "COLOUR=red", f"{lab}.host", "--", "sh", "-c", "echo $COLOUR; pwd"
    ).stdout == (f"red\n{Path(__file__).parents[2]}\n")


def test_a_node_alone_is_enough_where_one_lab_is_up(netlab: Any) -> None:
    lab = netlab.up(SEED)
    assert netlab("exec", "client", "hostname").stdout == "client\n"
    assert netlab("exec", "outside/client", "hostname").stdout == "client\n"
    other = netlab.up(SEED)
    said = netlab("exec", "client", "hostname", code=125).stderr
    assert "several labs are up" in said
    assert "; for example: netlab exec " in said
    assert lab in said
    assert other in said


def test_a_wrong_name_gets_a_suggestion(netlab: Any) -> None:
    assert "no lab is up" in netlab("exec", "client", "true", code=125).stderr
    lab = netlab.up(SEED)
    assert "did you mean client?" in netlab("exec", f"{lab}.clint", "true", code=125).stderr
    assert "did you mean" in netlab("status", f"{lab}x", code=2).stderr
    assert "say what to run" in netlab("exec", f"{lab}.client", code=2).stderr


def test_a_signal_is_handed_on(netlab: Any) -> None:
    lab = netlab.up(SEED)
    process = netlab.start(
        "exec",
        f"{lab}.client",
        "--",
        "sh",
        "-c",
        "trap 'echo told; exit 3' TERM; echo up; while :; do sleep 0.1; done",
    )
    assert process.stdout.readline() == "up\n"
    process.send_signal(signal.SIGTERM)
    assert process.stdout.read() == "told\n"
    assert process.wait(timeout=PATIENCE) == 3
    process.communicate()


@pytest.mark.parametrize("shell", ["/bin/bash", "/bin/sh"])
def test_a_shell_says_where_it_is_and_has_job_control(netlab: Any, shell: str) -> None:
    lab = netlab.up(SEED)
    terminal = Terminal(netlab, "shell", f"{lab}.client", SHELL=shell)
    terminal.expect(f"[{lab}.client] ")
    terminal.type("tty; hostname\n")
    terminal.expect("/dev/pts/")
    terminal.expect("client\r\n")
    # Nothing is forked in it: dash's vfork never returns if SIGTSTP hits the child
    job = "trap 'echo conti''nued' CONT; echo wait''ing; while :; do read line; done"
    terminal.type(f'sh -c "{job}"\n')
    terminal.expect("waiting")
    terminal.type("\x1a")
    terminal.expect("topped")
    terminal.type("fg\n")
    terminal.expect("continued")  # so it has the terminal again
    terminal.type("\x03")
    terminal.expect(f"[{lab}.client] ")
    terminal.type("exit 5\n")
    assert terminal.end() == 5


def test_the_shell_of_a_lab_knows_every_node(netlab: Any) -> None:
    lab = netlab.up(SEED)
    terminal = Terminal(netlab, "shell", lab, SHELL="/bin/bash")
    terminal.expect(f"[{lab}] ")
    terminal.type(
        f"ip netns exec client ip -c=never -br -4 addr show eth0; ip netns exec {lab}.host echo ye''s\n"
    )
    terminal.expect("198.51.100.2/24")
    terminal.expect("yes")
    terminal.type("exit 0\n")
    assert terminal.end() == 0


def test_the_shell_of_a_lab_needs_no_root(anyones: Any) -> None:
    lab = anyones.up(SEED)
    process = anyones.start("shell", lab, "--shell", "/bin/sh", stdin=subprocess.PIPE)
    out, err = process.communicate(
        "ip netns exec client hostname; ip netns exec httpd ip -c=never -br -4 addr show eth0\n"
    )
    assert process.returncode == 0, err
    assert "192.168.10.10/24" in out


def test_exec_on_a_terminal_is_interrupted_alone(netlab: Any) -> None:
    lab = netlab.up(SEED)
    # Nothing is forked: dash loses a SIGINT that comes while it does
    terminal = Terminal(netlab, "exec", f"{lab}.client", "--", "sh", "-c", "echo up; exec sleep 600")
    terminal.expect("up")
    terminal.type("\x03")
    assert terminal.end() == 128 + signal.SIGINT
    assert json.loads(netlab("ls", "--json").stdout)["labs"][0]["name"] == lab
