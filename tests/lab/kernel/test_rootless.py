"""The same without root: uid 0 of a user namespace that has one id, the ordinary user's."""

from __future__ import annotations

import os
import socket
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import netlab.kernel.sandbox.launcher
import netlab.plan.render  # an ordinary user may be unable to read the checkout later
from netlab.bench.plans import published, star
from netlab.kernel import libc, netns, ruleset, sysctl, userns
from netlab.lab.build.apply import apply
from netlab.model.family import Family
from netlab.model.plan import Sysctl
from netlab.model.problem import Position
from netlab.model.rules import Chain, IptablesRuleset, Rule, Table
from netlab.model.scenario import HostRule

ORDINARY = 65533
PR_SET_DUMPABLE = 4  # linux/prctl.h


def as_ordinary_user(work: Callable[[], None]) -> str:
    """Run ``work`` in a child that gave up root and made namespaces of its own; what went wrong there."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setresgid(ORDINARY, ORDINARY, ORDINARY)
                os.setresuid(ORDINARY, ORDINARY, ORDINARY)
            libc.step_prctl(PR_SET_DUMPABLE, 1, doing="")[0](PR_SET_DUMPABLE, 1, 0, 0, 0)
            uid, gid = os.getuid(), os.getgid()
            libc.unshare(libc.CLONE_NEWUSER | libc.CLONE_NEWNS | libc.CLONE_NEWNET | libc.CLONE_NEWPID)
            for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
                Path(f"/proc/self/{name}").write_text(text)
            inner = os.fork()
            if inner == 0:
                libc.mount("proc", "/proc", "proc", 0)
                work()
                os._exit(0)
            os._exit(os.waitstatus_to_exitcode(os.waitpid(inner, 0)[1]))
        except BaseException:
            os.write(write, traceback.format_exc().encode())
        finally:
            os._exit(1)
    os.close(write)
    with os.fdopen(read) as file:
        words = file.read()
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return words or ("" if code == 0 else f"exit code {code}")


def build_and_use() -> None:
    assert not userns.full()
    chain = Chain("INPUT", "ACCEPT", (Rule("-s 192.0.2.1/32 -j DROP", "a test's"),))
    rules = IptablesRuleset(Family.IPV4, (Table("filter", (chain,)),))
    plan = star(3, rulesets=(rules,))
    line = HostRule(("iptables", "-A", "INPUT", "-s", "192.0.2.2", "-j", "DROP"), Position("a.yaml", 1, 1))
    everybody = Sysctl("net.ipv4.ping_group_range", "0 2147483647", "Docker's own")
    changed = {"c0": {"sysctls": (everybody,)}, "host": {"commands": (line,)}, "c1": {"command": ("true",)}}
    lab = apply(replace(plan, nodes=tuple(replace(n, **changed.get(n.name, {})) for n in plan.nodes)))  # type: ignore[arg-type]
    lab.run_commands()
    for address in ("10.1.0.2", "fd00:1::2", "10.1.0.3", "fd00:1::3"):
        with netns.entered(lab.namespaces["client"]):
            sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
        sock.settimeout(0.9)
        assert sock.connect_ex((address, 80)) == 111, address
    with netns.entered(lab.namespaces["host"]):
        saved = ruleset.save(Family.IPV4)
    assert "192.0.2.1/32" in saved
    assert "192.0.2.2/32" in saved
    with netns.entered(lab.namespaces["c0"]):
        assert sysctl.read("net.ipv4.ping_group_range").split() == ["0", "0"]
    sandbox = netlab.kernel.sandbox.launcher.Sandbox()
    program = netlab.kernel.sandbox.launcher.Program(
        ("sh", "-c", "ping -c1 -W2 10.1.0.2 && touch /tmp/x && ! touch /etc/x && hostname"),
        lab.namespaces["c1"],
        netlab.kernel.sandbox.launcher.CONTAINER,
        hostname="c1",
    )
    done = sandbox.run(program)
    assert done.code == 0, done.errors
    assert done.output.endswith("\nc1\n")


def load_many_rules() -> None:
    rules = published(300)
    ruleset.load_iptables(Family.IPV4, netlab.plan.render.restore_text(rules))
    saved = ruleset.save(Family.IPV4)
    for table in rules.tables:
        for chain in table.chains:
            lines = [line for line in saved.splitlines() if line.startswith(f"-A {chain.name} ")]
            assert set(lines) >= {f"-A {chain.name} {rule.text}" for rule in chain.rules}
    assert saved.count("--to-destination") == 300


def test_a_ruleset_larger_than_a_send_buffer_is_loaded_without_root() -> None:
    assert as_ordinary_user(load_many_rules) == ""


def test_a_lab_comes_up_without_root() -> None:
    assert as_ordinary_user(build_and_use) == ""
