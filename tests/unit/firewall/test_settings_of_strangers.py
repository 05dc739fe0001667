"""A wrong word in a firewall's settings is an error at its own place, and no word becomes two of a rule."""

from __future__ import annotations

from pathlib import Path

import pytest

from netlab.lab.load import load_plan
from netlab.model.problem import ScenarioError

UFW = [
    ("allow in on --jump=x", "'--jump=x' is not the name of an interface"),
    ("allow in on ext0;x", "'ext0;x' is not the name of an interface"),
    ("allow in on", "'' is not the name of an interface"),
    ("allow in on ..", "'..' is not the name of an interface"),
    ("allow in on sixteen-letters-x", "'sixteen-letters-x' is not the name of an interface"),
    ("allow from 1.1.1.1 to ::1", "1.1.1.1/32 and ::1/128 are not of one family"),
    ("limit", "what is it to limit? Write limit 80/tcp"),
    ("deny in", "what is it to deny?"),
    ("route allow", "what is it to allow?"),
    ("alow 80/tcp", '(did you mean "allow"?)'),
    ("allow proto tpc from any port 80", '(did you mean "tcp"?)'),
    ("allow proto tcp form any", '(did you mean "from"?)'),
    ("allow proto tcp", None),
    ("allow 70000/tcp", "'70000' is not a port or a range of ports (1-65535)"),
    ("allow 90:80/tcp", "'90:80' is not a port or a range of ports (1-65535)"),
    ("allow 0", "'0' is not a port"),
    ("allow " + ",".join(map(str, range(1, 17))) + "/tcp", "has more than 15 ports"),
    ("allow proto gre from any port 80", "the protocol gre has no ports"),
    ("allow from 1.1.1.1 from 2.2.2.2", "1.1.1.1/32 and 2.2.2.2/32 cannot be combined"),
    ("allow from a.example", "'a.example' is not an address"),
]
FIREWALLD = [
    ('zones: {public: {interfaces: ["ext0 -j LED"]}}', 51, "'ext0 -j LED' is not the name of an interface"),
    ("zones: {public: {interfaces: ['x\" log level audit #']}}", 51, "is not the name of an interface"),
    ('zones: {public: {interfaces: ["-j"]}}', 51, "'-j' is not the name of an interface"),
    ('zones: {public: {protocols: ["tcp -j LED"]}}', 50, "'tcp -j LED' is not the name of a protocol"),
    ('zones: {public: {protocols: ["grr"]}}', 50, 'is not the name of a protocol (did you mean "gre"?)'),
    ('zones: {public: {sources: ["a.example"]}}', 48, "a.example"),
    ('zones: {public: {ports: ["80/tcp -j LED"]}}', 46, "'80/tcp -j LED' is not a port"),
    ('zones: {public: {services: ["ssh", "shs"]}}', 56, "there is no service 'shs'"),
    (
        """zones: {public: {rich_rules: ['rule protocol value="tcp -j LED" accept']}}""",
        51,
        "'tcp -j LED' is not the name of a protocol",
    ),
    (
        """zones: {public: {rich_rules: ['rule protocol value=tcp log level=audit accept']}}""",
        51,
        "'audit' is none of the log levels",
    ),
    (
        """zones: {public: {rich_rules: ["rule protocol value=tcp log prefix='a\\" level audit' accept"]}}""",
        51,
        "is not a prefix",
    ),
    ("direct: ['ipv4 filter INPUT 0 -j IDLETIMER --timeout 9 --label x']", 30, '"IDLETIMER" is neither'),
    ("direct: ['ipv4 filter INPUT 0 -s a.example -j DROP']", 30, '"a.example" is not an address'),
    ("direct: ['ipv4 filter INPUT 0 -m comment --comment \"x']", 30, "no closing quotation"),
    ("direct: ['ipv4 filter INPUT 0 -j MINE']", 30, '"MINE" is neither a target that is allowed here'),
    ("direct: ['ipv4 filter INPUT 0 -j mine']", 30, 'there is no chain "mine" in the table filter'),
    ("direct: ['ipv6 filter INPUT 0 -g DOCKER-USER']", 30, 'no chain "DOCKER-USER" in the table filter'),
    ("direct: ['ipv4 filter INPUT 0 -j OUTPUT']", 30, "OUTPUT is a base chain of the table filter"),
    ("direct: ['ipv4 nat PREROUTING 0 -j MASQUERADE']", 30, "works only in POSTROUTING, not in PREROUTING"),
    ("direct: ['ipv4 filter INPUT 0 -t nat -j DROP']", 30, '"-t" is not allowed here'),
    ("direct: ['ipv4 filter INPUT 0 --append FORWARD -j DROP']", 30, '"--append" is not allowed here'),
    ("default_zone: pubilc", 35, '(did you mean "public"?)'),
]


def said(tmp_path: Path, firewall: str) -> list[str]:
    """What is said of a scenario with this firewall, in line 3; nothing if there is nothing to say."""
    (tmp_path / "f").write_text(
        f"services: {{c: {{image: x}}}}\nx-netlab: {{host: {{firewall:\n  {firewall}}}}}\n"
    )
    try:
        load_plan([tmp_path / "f"])
    except ScenarioError as error:
        return [str(problem).removeprefix(f"{tmp_path}/") for problem in error.problems]
    return []


@pytest.mark.parametrize(("line", "words"), UFW, ids=[line for line, _ in UFW])
def test_a_wrong_rule_of_ufws(tmp_path: Path, line: str, words: str | None) -> None:
    found = said(tmp_path, f"{{ufw: {{rules: [allow 80/tcp, {line!r}]}}}}")
    if words is None:
        assert found == []
    else:
        (only,) = found
        assert only.startswith("f:3:32: firewall: ufw: ")
        assert words in only


@pytest.mark.parametrize(
    ("chain", "words"),
    [
        ("ufw-user-inptu", 'there is no chain "ufw-user-inptu" in the table filter (did you mean'),
        ("DOCKER-USER", 'there is no chain "DOCKER-USER" in the table filter'),
        ("ufw-user-input", None),
        ("own", None),
    ],
)
def test_a_jump_in_ufws_after_rules(tmp_path: Path, chain: str, words: str | None) -> None:
    (tmp_path / "r").write_text(
        f"*filter\n:ufw-after-input - [0:0]\n:own - [0:0]\n-A ufw-after-input -j {chain}\nCOMMIT\n"
    )
    found = said(tmp_path, "{ufw: {after_rules: r}}")
    assert len(found) == (words is not None)
    assert all(one.startswith("r:4:") and words is not None and words in one for one in found)


@pytest.mark.parametrize("backend", ["", "backend: iptables, ", "layout: centos7, "])
@pytest.mark.parametrize(("settings", "column", "words"), FIREWALLD, ids=[one for one, _, _ in FIREWALLD])
def test_a_wrong_word_of_firewallds(
    tmp_path: Path, settings: str, column: int, words: str, backend: str
) -> None:
    (only,) = said(tmp_path, f"{{firewalld: {{{backend}{settings}}}}}")
    assert only.startswith(f"f:3:{column + len(backend) - 5}: ")
    assert words in only
