"""``netlab doctor``: every check is seen to succeed on a good machine, and to fail where the thing is masked.

Masking is real: a PATH without the program, a program of an older version in its place, a seccomp filter that
refuses one system call, sysctls of a namespace of one's own.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from netlab.cli import doctor
from netlab.kernel import features, machine
from netlab.kernel.features import FEATURES, Feature, Lacking, check_kernel, in_child, judge
from netlab.kernel.machine import Finding, Tool, check_limits, check_privileges, check_tools

BY_NAME = {feature.name: feature for feature in FEATURES}


def judged(name: str, before: Callable[[], object] = lambda: None) -> Finding:
    """One feature tried in a child, after ``before`` has masked something there."""

    def work() -> object:
        features.enter_namespaces()
        before()
        finding = judge(BY_NAME[name])
        return [finding.group, finding.name, finding.status, finding.found, finding.use, finding.remedy]

    values = in_child(work)
    assert isinstance(values, list)
    return Finding(*values)


@pytest.fixture
def folder_of_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is all of the PATH, root's folders included."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(machine, "SYSTEM_FOLDERS", ())
    return tmp_path


def program(path: Path, says: str) -> None:
    """A program that says one thing, whatever it is asked, and refuses to do anything."""
    path.write_text(f"#!/bin/sh\necho '{says}'\nexit 1\n")
    path.chmod(0o755)


# ── a good machine ───────────────────────────────────────────────────────────────────────────────────────


def test_on_this_machine_every_needed_kernel_feature_works() -> None:
    error, findings = check_kernel()
    assert error is None
    assert [finding.name for finding in findings] == [feature.name for feature in FEATURES]
    assert [finding for finding in findings if finding.status == "missing"] == []


def test_the_report_in_json_and_in_words_agree(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NETLAB_STATE", str(tmp_path))  # other tests' labs come and go
    code = doctor.run(argparse.Namespace(json=True))
    report = json.loads(capsys.readouterr().out)
    assert report["schema_version"] == 1
    assert report["works"] is (code == 0)
    assert {finding["group"] for finding in report["findings"]} == {
        "privileges", "tools", "kernel", "limits", "state",
    }  # fmt: skip
    assert doctor.run(argparse.Namespace(json=False)) == code
    words = capsys.readouterr().out
    assert all(finding["name"] in words for finding in report["findings"])
    assert "\033" not in words


def test_looking_changes_nothing_here() -> None:
    def state() -> list[str]:
        commands = (
            ["ip", "-o", "link"], ["ip", "route", "show", "table", "all"], ["nft", "list", "ruleset"],
            ["cat", "/proc/sys/net/ipv4/ip_forward", "/proc/self/mountinfo"],
        )  # fmt: skip
        return [subprocess.run(c, capture_output=True, text=True, check=True).stdout for c in commands]

    def work() -> object:
        # Other tests make links of their own meanwhile, so "here" is a namespace that is ours alone.
        features.libc.unshare(features.libc.CLONE_NEWNET)
        before = state()
        check_kernel()
        return before == state()

    assert in_child(work) is True


# ── tools ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("tool", machine.TOOLS, ids=lambda tool: tool.name)
def test_a_tool_that_is_not_there(tool: Tool, folder_of_programs: Path) -> None:
    (finding,) = check_tools([tool])
    assert finding.status == ("missing" if tool.needed else "limited")
    assert finding.remedy == f"apt-get install {tool.package}"


@pytest.mark.parametrize("tool", [tool for tool in machine.TOOLS if tool.least], ids=lambda tool: tool.name)
def test_a_tool_that_is_too_old(tool: Tool, folder_of_programs: Path) -> None:
    program(folder_of_programs / tool.name, f"{tool.name} v0.9.9 (nf_tables)")
    (finding,) = check_tools([tool])
    assert finding.status == "missing"
    assert finding.found == f"{tool.name} v0.9.9 (nf_tables)"
    assert ".".join(map(str, tool.least)) in finding.remedy


@pytest.mark.parametrize("stem", ["iptables", "ip6tables"])
def test_legacy_iptables_is_no_iptables(stem: str, folder_of_programs: Path) -> None:
    program(folder_of_programs / stem, f"{stem} v1.8.9 (legacy)")
    (finding,) = check_tools([tool for tool in machine.TOOLS if tool.name == stem])
    assert finding.status == "missing"
    assert f"--set {stem} /usr/sbin/{stem}-nft" in finding.remedy


def test_a_tool_that_does_not_start(folder_of_programs: Path) -> None:
    (folder_of_programs / "nft").write_text("#!/no/such/interpreter\n")
    (folder_of_programs / "nft").chmod(0o755)
    (finding,) = check_tools([tool for tool in machine.TOOLS if tool.name == "nft"])
    assert finding.status == "missing"
    assert finding.found.startswith("does not run")


def test_root_s_folders_are_looked_into_for_a_plain_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert machine.find_tool("nft") is not None
    assert machine.find_tool("no-such-tool-anywhere") is None


# ── the kernel, behind masks ─────────────────────────────────────────────────────────────────────────────

#: x86-64 and arm64 numbers of socket(2) (asm/unistd_64.h, asm-generic/unistd.h).
SOCKET_CALL = {"x86_64": 41, "aarch64": 198}[os.uname().machine]
LOAD, JUMP_EQUAL, RETURN = 0x20, 0x15, 0x06  # BPF_LD|W|ABS, BPF_JMP|JEQ|K, BPF_RET|K
ALLOW, REFUSE = 0x7FFF0000, 0x00050000  # SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO
NO_SUCH_CALL, NO_SUCH_PROTOCOL = 38, 93


def forbid(call: int, error: int, **arguments: int) -> None:
    """A seccomp filter (linux/seccomp.h): ``call`` fails with ``error`` when each ``aN`` has that value."""
    tests = [(0, call), *((16 + 8 * int(name[1:]), value) for name, value in arguments.items())]
    steps = []
    for number, (offset, value) in enumerate(tests):
        steps.append((LOAD, 0, 0, offset))
        steps.append((JUMP_EQUAL, 0, 2 * (len(tests) - number) - 1, value))
    steps += [(RETURN, 0, 0, REFUSE | error), (RETURN, 0, 0, ALLOW)]
    code = b"".join(struct.pack("HBBI", *step) for step in steps)
    buffer = ctypes.create_string_buffer(code, len(code))
    fprog = struct.pack("HxxxxxxP", len(steps), ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(38, 1, 0, 0, 0) == 0  # PR_SET_NO_NEW_PRIVS
    assert libc.prctl(22, 2, ctypes.create_string_buffer(fprog, len(fprog))) == 0  # PR_SET_SECCOMP, FILTER


@pytest.mark.parametrize(
    ("name", "mask"),
    [
        ("packet sockets", lambda: forbid(SOCKET_CALL, NO_SUCH_PROTOCOL, a0=socket.AF_PACKET)),
        ("IPv6", lambda: forbid(SOCKET_CALL, 97, a0=socket.AF_INET6)),
        ("SCTP", lambda: forbid(SOCKET_CALL, NO_SUCH_PROTOCOL, a2=features.IPPROTO_SCTP)),
        ("trace events", lambda: forbid(SOCKET_CALL, NO_SUCH_PROTOCOL, a0=socket.AF_NETLINK, a2=12)),
        ("conntrack", lambda: forbid(SOCKET_CALL, NO_SUCH_PROTOCOL, a0=socket.AF_NETLINK, a2=12)),
        ("bridge", lambda: forbid(SOCKET_CALL, NO_SUCH_PROTOCOL, a0=socket.AF_NETLINK, a2=0)),
        ("veth", lambda: forbid(SOCKET_CALL, NO_SUCH_PROTOCOL, a0=socket.AF_NETLINK, a2=0)),
        ("pidfd, mount_setattr", lambda: forbid(features.SYS_MOUNT_SETATTR, NO_SUCH_CALL)),
        ("pidfd, mount_setattr", lambda: forbid(features.SYS_PIDFD_OPEN, NO_SUCH_CALL)),
        ("PID and mount namespaces", lambda: forbid(unshare_call(), 1, a0=0x24020000)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_kernel_that_lacks_it(name: str, mask: Callable[[], None]) -> None:
    finding = judged(name, mask)
    assert finding.status == ("missing" if BY_NAME[name].needed else "limited")
    assert finding.found
    assert finding.remedy


def unshare_call() -> int:
    """The number of unshare(2)."""
    return {"x86_64": 272, "aarch64": 97}[os.uname().machine]


def test_a_filter_that_names_other_values_masks_nothing() -> None:
    assert judged("IPv6", lambda: forbid(SOCKET_CALL, 97, a0=socket.AF_PACKET)).status == "ok"


def tools_refusing(word: str, folder: Path) -> None:
    """Stand-ins for nft and iptables-restore that refuse rulesets with a word in them, as old kernels do."""
    for tool in ("nft", "iptables-restore", "ip6tables-restore"):
        real = shutil.which(tool, path="/usr/sbin:/sbin:/usr/bin")
        (folder / tool).write_text(
            f'#!/bin/sh\ntext=$(/bin/cat)\ncase $text in *"{word}"*)\n'
            f"echo 'Could not process rule: No such file or directory' >&2; exit 1 ;;\nesac\n"
            f'printf "%s\\n" "$text" | {real} "$@"\n'
        )
        (folder / tool).chmod(0o755)


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("nf_tables", "hook forward"),
        ("IPv4 nat, masquerade, addrtype", "MASQUERADE"),
        ("IPv6 nat, masquerade, addrtype", "addrtype"),
        ("iptables conntrack match", "conntrack"),
        ("native nat", "dnat"),
        ("native nat", "masquerade"),
        ("bridge-family rules", "table bridge"),
        ("owner tables", "flags owner"),
        ("trace events", "nftrace"),
        ("conntrack", "ct state"),
    ],
)
def test_rules_that_the_kernel_refuses(name: str, word: str, folder_of_programs: Path) -> None:
    tools_refusing(word, folder_of_programs)
    finding = judged(name)
    assert finding.status == ("missing" if BY_NAME[name].needed else "limited")
    assert "Could not process rule" in finding.found


def test_stand_ins_that_refuse_something_else_mask_nothing(folder_of_programs: Path) -> None:
    tools_refusing("no such words", folder_of_programs)
    assert judged("native nat").status == "ok"


def test_a_link_of_a_kind_that_no_kernel_has() -> None:
    finding = judge_in_child(Feature("x", "", "", lambda: features.try_link("nosuchkind")))
    assert finding == ["missing", "a link of kind nosuchkind could not be made: Operation not supported"]


def judge_in_child(feature: Feature) -> object:
    def work() -> object:
        features.enter_namespaces()
        finding = judge(feature)
        return [finding.status, finding.found]

    return in_child(work)


def test_br_netfilter_that_is_not_loaded(tmp_path: Path) -> None:
    with pytest.raises(Lacking, match="not loaded"):
        features.try_bridge_netfilter(tmp_path)
    assert "modprobe br_netfilter" in BY_NAME["br_netfilter"].remedy


def test_trace_events_that_do_not_arrive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "PATIENCE", 0.2)
    monkeypatch.setattr(features, "NFNLGRP_NFTRACE", 2)  # a group in which nobody speaks here
    assert judge_in_child(BY_NAME["trace events"]) == ["missing", "a traced datagram gave no event"]


def attribute(kind: int, value: bytes) -> bytes:
    """One netlink attribute."""
    return struct.pack("=HH", 4 + len(value), kind) + value + b"\0" * (-len(value) % 4)


def trace_message(*more: bytes) -> bytes:
    """The smallest whole trace event (linux/netfilter/nf_tables.h): a chain that is left by its policy."""
    fields = (
        (1, b"t\0"),
        (2, b"c\0"),
        (4, struct.pack(">I", 1)),
        (6, b"\0\0\0\1"),
        (16, struct.pack(">I", 1)),
    )
    body = struct.pack("=BBH", 2, 0, 0) + b"".join(attribute(*field) for field in fields) + b"".join(more)
    return struct.pack("=IHHII", 16 + len(body), 10 << 8 | 17, 0, 0, 0) + body


def test_attributes_that_a_later_kernel_adds_are_shown() -> None:
    assert features.describe_trace([trace_message()]) == "1 events for one datagram"
    later = trace_message(attribute(99, b"\0\0\0\1"))
    assert features.describe_trace([later, later]).endswith("attributes that netlab ignores: 99")


def test_trace_events_that_are_not_understood() -> None:
    with pytest.raises(Lacking, match="not understood"):
        features.describe_trace([trace_message(), trace_message()[:-4]])


def test_a_child_that_dies_is_no_good_news() -> None:
    with pytest.raises(Lacking, match="status 7"):
        in_child(lambda: os._exit(7))


# ── privileges and limits ────────────────────────────────────────────────────────────────────────────────


def test_root_in_name_only() -> None:
    def work() -> object:
        libc = ctypes.CDLL(None, use_errno=True)
        header = (ctypes.c_uint32 * 2)(0x20080522, 0)
        assert libc.capset(header, (ctypes.c_uint32 * 6)()) == 0
        finding = check_privileges(None)
        return [finding.status, finding.found]

    if os.geteuid() != 0:
        pytest.fail("this test runs as root, in a user namespace at least")
    assert in_child(work) == ["missing", "root without CAP_NET_ADMIN, CAP_NET_RAW, CAP_SYS_ADMIN"]


@pytest.fixture
def plain_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)


@pytest.mark.usefixtures("plain_user")
@pytest.mark.parametrize(("knob", "forbidding", "remedy"), machine.USERNS_KNOBS)
def test_the_knob_that_forbids_user_namespaces_is_named(
    knob: str, forbidding: str, remedy: str, tmp_path: Path
) -> None:
    (tmp_path / knob).parent.mkdir(parents=True)
    (tmp_path / knob).write_text(forbidding + "\n")
    finding = check_privileges("Operation not permitted", tmp_path)
    assert finding.status == "missing"
    assert knob.replace("/", ".") in finding.found
    assert remedy in finding.remedy


@pytest.mark.usefixtures("plain_user")
def test_a_plain_user_with_and_without_user_namespaces(tmp_path: Path) -> None:
    assert check_privileges(None, tmp_path).status == "ok"
    finding = check_privileges("Operation not permitted", tmp_path)
    assert (finding.status, finding.remedy) == ("missing", "run netlab with sudo")


def test_no_namespace_can_be_made_where_the_limit_is_zero() -> None:
    """A user namespace of one's own has its own limit, so this machine's stays as it is."""

    def work() -> object:
        features.libc.unshare(features.libc.CLONE_NEWUSER)
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text("0 0 1")
        Path("/proc/self/gid_map").write_text("0 0 1")
        Path("/proc/sys/user/max_net_namespaces").write_text("0")
        _, findings = check_kernel()
        return [finding.status for finding in findings if finding.name in ("veth", "trace events")]

    assert in_child(work) == ["missing", "missing"]


def test_low_limits_are_named(tmp_path: Path) -> None:
    for name, value in (
        ("net/ipv4/neigh/default/gc_thresh3", "1024"),
        ("net/ipv6/neigh/default/gc_thresh3", "16384"),
        ("user/max_net_namespaces", "100"),
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(value + "\n")
    found = {finding.name: finding for finding in check_limits(tmp_path)}
    assert found["IPv4 neighbours"].status == "limited"
    assert "gc_thresh3" in found["IPv4 neighbours"].remedy
    assert found["IPv6 neighbours"].status == "ok"
    assert found["network namespaces"].status == "limited"


def test_few_open_files_are_named() -> None:
    script = (
        "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))\n"
        "from netlab.kernel.machine import check_limits\n"
        "print([f.status for f in check_limits() if f.name == 'open files'])\n"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout == "['limited']\n"


# ── state, and the exit code ─────────────────────────────────────────────────────────────────────────────


def test_a_stale_lab_is_found_and_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NETLAB_STATE", str(tmp_path))
    assert [finding.name for finding in doctor.stale_labs()] == ["labs"]
    (tmp_path / "dead").mkdir()
    (tmp_path / "dead" / "lab.json").write_text('{"pid": 1}')
    up, stale = doctor.stale_labs()
    assert up.found == "0 up"
    assert (stale.status, stale.found, stale.remedy) == ("limited", "dead", "netlab clean")
    assert (tmp_path / "dead" / "lab.json").exists()


@pytest.mark.parametrize(("status", "code"), [("ok", 0), ("limited", 0), ("missing", 4)])
def test_the_exit_code(status: machine.Status, code: int) -> None:
    good = Finding("tools", "ip", "ok", "here", "links")
    findings = [good, Finding("tools", "nft", status, "v1", "rules", "" if status == "ok" else "install it")]
    assert doctor.exit_code(findings) == code
    lines = "\n".join(doctor.report(findings, colour=False))
    assert ("netlab cannot work here: nft missing." in lines) is (code == 4)
    assert ("do:  install it" in lines) is (status != "ok")
