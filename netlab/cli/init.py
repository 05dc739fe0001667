"""``netlab init``: a scenario for a folder's Compose file, with the defaults as comments."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING

from netlab.cli.arguments.init import FILE
from netlab.cli.output import say, write_anew
from netlab.lab.load import load_plan
from netlab.model.errors import UsageError
from netlab.scenario import find_compose, folder_environment

if TYPE_CHECKING:
    import argparse

    from netlab.model.plan import Plan


_STARTER = """\
services:
  web:
    image: nginx
    ports: ["8080:80"]
"""


def run(args: argparse.Namespace) -> int:
    """Write the scenario; returns 0. Raises UsageError, or ScenarioError for a wrong Compose file."""
    target = os.path.normpath(os.path.join(args.folder, FILE))
    if os.path.lexists(target) and not args.force:
        raise UsageError(f"{target} is there already; --force replaces it")
    if not os.path.isdir(args.folder):
        raise UsageError(f"{args.folder} is no folder")
    environ = folder_environment(args.folder, os.environ)
    paths = find_compose(args.folder, environ)
    # First: the loader opens regular files of the folder only, and of a bounded size.
    plan = load_plan(paths, environ=environ) if paths else None
    for path in paths:
        if re.search(r"^x-netlab\s*:", path.read_text(encoding="utf-8"), re.MULTILINE):
            raise UsageError(f"{path} is a scenario already: it has an x-netlab block")
    files = [os.path.relpath(path, args.folder) for path in paths]
    write_anew(target, scenario(files, plan).encode(), replace=args.force)
    say(f"wrote {target}" + (f", which includes {', '.join(files)}" if files else ""))
    say("now: netlab up" + ("" if args.folder == "." else f" {args.folder}"))
    return 0


def scenario(files: list[str], plan: Plan | None) -> str:
    """The text of a scenario that includes ``files``; ``plan`` is that of these files alone."""
    head = _STARTER
    what = "a web server"
    if files:
        one = json.dumps(files[0]) if len(files) == 1 else f"{{path: {json.dumps(files)}}}"
        head = f"include:\n  - {one}\n"
        what = ", ".join(name if name.isprintable() else json.dumps(name) for name in files)
    ports = _ports(plan)
    silent = plan.silent[0] if plan is not None and plan.silent else "NAME"
    return f"""\
# A scenario for netlab: {what}, and the machine that it runs on.
# What is commented out is the default, unless it says "example".
{head}
x-netlab:
  host:
    engine: docker  # the newest; example: docker-28, docker-29-nftables
    # firewall: none  # example: ufw, firewalld
    # addresses: [198.51.100.1/24, "2001:db8:1::1/64"]
    # daemon: {{}}  # daemon.json; example: {{userland-proxy: false}}
    # listen: []  # ports on which the host itself answers; example: [22]
  internet: true  # containers' way out leads to a router that answers for every other address
  # outside:
  #   client: {{addresses: [198.51.100.2/24, "2001:db8:1::2/64"]}}
  #   neighbour: {{addresses: [198.51.100.3/24, "2001:db8:1::3/64"]}}
  # services:  # example: the ports on which a service listens, where its image does not say
  #   {silent}: {{listen: [8000]}}
  # rules:  # example: what you would type on the host
  #   - iptables -I DOCKER-USER -i ext0 -p tcp -m conntrack --ctorigdstport {ports[0]} -j DROP
  # expect:  # example: what netlab verify measures
""" + "".join(f"  #   - {{flow: 'client -> host:{port}', ipv4: {{outcome: ok}}}}\n" for port in ports)


def _ports(plan: Plan | None) -> list[int]:
    """Some of the host's published TCP ports."""
    found = [entry.host_port for entry in plan.publications if entry.protocol == "tcp"] if plan else []
    return list(dict.fromkeys(found))[:4] or [8080]
