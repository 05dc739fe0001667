"""``netlab shell NODE``: a shell in a node; ``netlab shell LAB``: one that knows all of them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from netlab.lab import state
from netlab.lab.client.client import Client, find_lab, find_node
from netlab.lab.client.terminal import run_inside
from netlab.lab.node.ip_netns import name_all
from netlab.model.errors import SeveralLabsError, UsageError

if TYPE_CHECKING:
    import argparse


def run(args: argparse.Namespace) -> int:
    """Open the shell; returns its exit code."""
    client, node = find_target(args.target)
    place = f"{client.name}.{node}" if node else client.name
    shell = args.shell or os.environ.get("SHELL") or "/bin/sh"
    argv, env, files = prompting(shell, place, f"{client.path}/private/shell")
    env["NETLAB_PLACE"] = place
    nodes = [] if node is not None else [found.name for found in client.plan.nodes]

    def prepare(private: str) -> None:
        os.makedirs(f"{private}/shell", exist_ok=True)
        for path, content in files.items():
            with open(path, "w", encoding="utf-8") as file:
                file.write(content)
        if nodes:
            name_all(private, client.name, nodes)

    return run_inside(client, node, argv, env=env, prepare=prepare, interactive=True)


def find_target(text: str | None) -> tuple[Client, str | None]:
    """The lab, and the node if one is meant; raises UsageError."""
    if text is None:
        standing = state.standing()
        if len(standing) == 1:
            return Client(standing[0]), None
        if not standing:
            raise UsageError("no lab is up (netlab up FILE)")
        names = [found.name for found in standing]
        what = f"several labs are up; name one of them, or LAB.NODE: {', '.join(names)}"
        raise SeveralLabsError(what, names)
    record = state.read(text) if "." not in text and "/" not in text else None
    if record is not None and record.ready and not _is_node_of_the_only_lab(text):
        return find_lab(text), None
    return find_node(text)


def find_whole_lab(text: str | None, why: str) -> Client:
    """The lab; of a name that a lab shares with a node, the lab is meant. Raises UsageError, for a node with
    ``why``.
    """
    record = state.read(text) if text is not None and "." not in text and "/" not in text else None
    if record is not None and record.ready:
        return find_lab(record.name)
    client, node = find_target(text)
    if node is not None:
        raise UsageError(f"{text} is a node; {why}")
    return client


def _is_node_of_the_only_lab(text: str) -> bool:
    """Whether the name of a lab is its own node's as well (httpd in httpd): then the node is meant."""
    standing = state.standing()
    return len(standing) == 1 and any(node.name == text for node in Client(standing[0]).plan.nodes)


def prompting(shell: str, place: str, folder: str) -> tuple[list[str], dict[str, str], dict[str, str]]:
    """How to start a shell so that its prompt says ``place``: arguments, environment, files in ``folder``."""
    env = dict(os.environ)
    kind = os.path.basename(shell)
    where = f"PS1='[{place}] '\"$PS1\"\n"
    if kind == "bash":
        own = f"{folder}/{place}.bashrc"
        return [shell, "--rcfile", own], env, {own: f"[ -r ~/.bashrc ] && . ~/.bashrc\n{where}"}
    if kind == "zsh":
        home = env.get("ZDOTDIR") or env.get("HOME", "/")
        env["NETLAB_ZDOTDIR"], env["ZDOTDIR"] = home, folder
        text = 'ZDOTDIR=$NETLAB_ZDOTDIR\n[ -r "$ZDOTDIR/.zshrc" ] && . "$ZDOTDIR/.zshrc"\n'
        return [shell], env, {f"{folder}/.zshrc": text + where}
    if kind == "fish":
        wrap = (
            "functions -q fish_prompt; and functions -c fish_prompt _netlab_prompt; "
            f"function fish_prompt; echo -n '[{place}] '; _netlab_prompt; end"
        )
        return [shell, "-C", wrap], env, {}
    env["PS1"] = f"[{place}] {env.get('PS1') or '$ '}"
    env.pop("ENV", None)
    return [shell], env, {}
