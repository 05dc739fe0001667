"""cap_add, cap_drop, privileged and devices of services with a program of x-netlab."""

from __future__ import annotations

from pathlib import Path

import pytest

from netlab.lab.load import load_plan
from netlab.model.capabilities import DEFAULT
from netlab.model.plan import Plan, Rights

ADMIN = ("NET_ADMIN",)


def planned(folder: Path, service: str, command: str = "[sleep, '9']") -> Plan:
    file = folder / "f.yaml"
    extra = f"{{command: {command}}}" if command else "{listen: [1]}"
    file.write_text(f"services:\n  web: {service}\nx-netlab: {{services: {{web: {extra}}}}}\n")
    return load_plan([file])


def in_order(*names: str) -> tuple[str, ...]:
    """Docker's default set and others, in the order of their numbers."""
    order = ["CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP"]
    order += [
        "NET_BIND_SERVICE",
        "NET_BROADCAST",
        "NET_ADMIN",
        "NET_RAW",
        "SYS_CHROOT",
        "MKNOD",
        "AUDIT_WRITE",
    ]
    return tuple(name for name in (*order, "SETFCAP") if name in names)


@pytest.mark.parametrize(
    ("keys", "rights"),
    [
        ("", Rights()),
        ("cap_add: [CAP_NET_ADMIN]", Rights(in_order(*DEFAULT, *ADMIN))),
        ("cap_add: [net_admin], devices: ['/dev/net/tun']", Rights(in_order(*DEFAULT, *ADMIN), tun=True)),
        ("devices: ['/dev/tun:/dev/net/tun:rwm']", Rights(tun=True)),
        ("devices: [{source: /dev/net/tun, target: /dev/net/tun}]", Rights(tun=True)),
        ("cap_drop: [NET_RAW]", Rights(tuple(name for name in DEFAULT if name != "NET_RAW"))),
        ("cap_drop: [ALL], cap_add: [NET_BIND_SERVICE]", Rights(("NET_BIND_SERVICE",))),
        ("cap_add: [ALL]", Rights(in_order(*DEFAULT, *ADMIN, "NET_BROADCAST"))),
        ("cap_add: [ALL], cap_drop: [NET_ADMIN]", Rights(in_order(*DEFAULT, "NET_BROADCAST"))),
        (
            "privileged: true, cap_drop: [ALL]",
            Rights(in_order(*DEFAULT, *ADMIN, "NET_BROADCAST"), sysctls=True, tun=True),
        ),
    ],
)
def test_what_a_program_may_do(tmp_path: Path, keys: str, rights: Rights) -> None:
    plan = planned(tmp_path, f"{{image: a, {keys}}}")
    assert plan.node("web").rights == rights
    told = [note.text for note in plan.notes]
    assert bool(told) == ("privileged" in keys)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("cap_add: [SYS_ADMIN, NET_ADMIN]", "cap_add SYS_ADMIN has no effect for its command"),
        ("devices: [/dev/dri, /dev/net/tun]", "devices: /dev/dri have no effect"),
        ("privileged: true", "privileged for its command under x-netlab.services means NET_ADMIN"),
        ("cap_add: [NET_ADMIN], network_mode: host", "cap_add NET_ADMIN has no effect"),
        ("privileged: true, network_mode: host", "privileged has no effect"),
    ],
)
def test_what_is_not_honoured_is_said_with_its_place(tmp_path: Path, keys: str, said: str) -> None:
    (note,) = planned(tmp_path, f"{{image: a, {keys}}}").notes
    assert note.text.startswith("services.web: ")
    assert said in note.text
    assert (note.position.line, note.position.column) == (2, 3)
    assert not planned(tmp_path, f"{{image: a, {keys}}}", command="").notes
