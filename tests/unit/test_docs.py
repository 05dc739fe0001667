"""The documents against what there is: verbs, exit codes, links, commands."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from netlab.cli import manual
from netlab.cli.verbs import VERBS
from netlab.model import errors

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
AGAIN = "run: .venv/bin/python -m netlab.cli.manual docs"


def section(text: str, heading: str) -> str:
    """The text under a heading of the second level."""
    return text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def test_the_readme_s_verbs_are_the_verbs() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.+) \|$", section(README, "Verbs"), re.MULTILINE)
    wanted = "\n".join(f"| `{verb}` | {about} |" for verb, about in VERBS.items())
    assert rows == [(verb, about) for verb, about in VERBS.items()], f"the table should be:\n{wanted}"


def test_the_readme_s_exit_codes_are_the_exit_codes() -> None:
    rows = re.findall(r"^\| (\d+) \| (.+) \|$", section(README, "Exit codes"), re.MULTILINE)
    assert [(int(code), meaning) for code, meaning in rows] == list(manual.EXIT_CODES)
    raised = {value.exit_code for value in vars(errors).values() if hasattr(value, "exit_code")}
    assert raised <= {code for code, _ in manual.EXIT_CODES}


@pytest.mark.parametrize("name", sorted(manual.PAGES))
def test_the_manual_is_what_the_parsers_say(name: str) -> None:
    path = ROOT / "docs" / name
    assert path.exists(), AGAIN
    assert path.read_text() == manual.PAGES[name](), AGAIN


def test_no_page_is_left_of_a_verb_that_is_no_more() -> None:
    there = {f"man/{path.name}" for path in (ROOT / "docs/man").iterdir()}
    assert there == {name for name in manual.PAGES if name.startswith("man/")}, AGAIN


@pytest.mark.parametrize("verb", VERBS)
def test_every_argument_is_explained(verb: str) -> None:
    entry = manual.verb(verb)
    assert [argument.form for argument in (*entry.positionals, *entry.options) if not argument.help] == []


def test_the_pages_are_troff(tmp_path: Path) -> None:
    assert manual.main([str(tmp_path)]) == 0
    for page in (tmp_path / "man").iterdir():
        lines = page.read_text().splitlines()
        assert lines[0].startswith(".TH ")
        known = (".TH", ".SH", ".TP", ".nf", ".fi")
        assert all(line.split(" ")[0] in known for line in lines if line.startswith("."))


def test_a_page_of_an_old_verb_goes(tmp_path: Path) -> None:
    (tmp_path / "man").mkdir()
    (tmp_path / "man/netlab-gone.1").write_text("old")
    (tmp_path / "man/foreign.1").write_text("not ours")
    manual.main([str(tmp_path)])
    assert not (tmp_path / "man/netlab-gone.1").exists()
    assert (tmp_path / "man/foreign.1").exists()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", document.read_text())
    local = [target for target in targets if "://" not in target]
    assert [target for target in local if not (document.parent / target).exists()] == []


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs/index.md").read_text()
    pages = {path.name for path in (ROOT / "docs").glob("*.md")} - {"index.md"}
    assert [page for page in sorted(pages) if f"]({page})" not in index] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_that_are_shown_exist(document: Path) -> None:
    text = document.read_text()
    blocks = "\n".join(re.findall(r"```sh\n(.*?)```", text, re.S))
    typed = "\n".join(re.findall(r"^\$ (?:sudo )?netlab .*$", text, re.M))
    shown = re.findall(r"netlab ([a-z]+)\b", f"{blocks}\n{typed}")
    assert [verb for verb in shown if verb not in VERBS] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_options_that_are_shown_exist(document: Path) -> None:
    """The options of every `netlab VERB …` in a document, up to `--`, a pipe or a comment."""
    unknown = []
    for verb, rest in re.findall(r"netlab ([a-z]+)\b([^`\n]*)", document.read_text()):
        if verb not in VERBS:
            continue
        entry = manual.verb(verb)
        forms = " ".join(argument.form for argument in entry.options)
        known = set(re.findall(r"(?<![\w-])--?[a-zA-Z0-9][a-z0-9-]*", forms))
        own = re.split(r" -- | [|#…] ?|&&", rest)[0]
        shown = re.findall(r"(?<=\s)--?[a-zA-Z0-9][a-z0-9-]*", own) if verb != "exec" else []
        unknown += [f"netlab {verb} {option}" for option in shown if option not in known]
    assert unknown == []


def test_two_commands_and_no_more() -> None:
    commands = [line for line in README.splitlines() if line.startswith("./install")]
    assert len(commands) == 2
    assert commands[0].endswith("sudo netlab up scenarios/httpd.yaml")
    assert commands[1] in (ROOT / ".ci/run").read_text()


def test_the_installer_s_options_are_documented() -> None:
    answer = subprocess.run([ROOT / "install", "--help"], capture_output=True, text=True, check=True)
    options = set(re.findall(r"--[a-z]+", answer.stdout))
    assert {"--dev", "--bench", "--remove"} <= options
    assert options <= set(re.findall(r"--[a-z]+", (ROOT / "docs/install.md").read_text()))


def test_the_installer_refuses_what_it_does_not_know() -> None:
    answer = subprocess.run([ROOT / "install", "--nonsense"], capture_output=True, text=True, check=False)
    assert answer.returncode == 2
    assert "unknown option --nonsense" in answer.stderr


def test_the_installer_wants_a_python_that_will_do(tmp_path: Path) -> None:
    """Given only an old python, it stops before it does anything."""
    (tmp_path / "install").write_text((ROOT / "install").read_text().replace("/usr/bin/python3 ", ""))
    (tmp_path / "python3").write_text("#!/bin/sh\nexit 1\n")
    for path in tmp_path.iterdir():
        path.chmod(0o755)
    for tool in ("dirname", "sh"):
        (tmp_path / tool).symlink_to(shutil.which(tool) or tool)
    answer = subprocess.run(
        [tmp_path / "install"], env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False
    )
    assert answer.returncode == 4
    assert "no python3 of version 3.11" in answer.stderr


#: What must be found in the files that the architecture page names for a change.
THERE = {
    "cli/documents.py": r"class \w+Document\(TypedDict\)",
    "model/journey_json.py": r"class JourneyDocument\(TypedDict\)",
    "engine/docker/traits.py": r"= during\(",
    "model/version.py": r"28\.5\.2",
    "engine/docker_28/port.py": r", published",
    "engine/docker/networks.py": r"def ",
    "engine/docker/containers.py": r"def ",
    "scenario/compose_shapes.py": r'"link_local_ips":',
    "scenario/services.py": r'value\.get\("hostname"\)',
    "scenario/networks.py": r'_flag\(described, "internal"\)',
    "scenario/netlab_shapes.py": r'"userland-proxy"|"sysctls":',
    "scenario/sysctls.py": r"\bip_forward\b|\bforwarding\b",
    "model/outcome.py": r'"no-route"',
    "journey/decide.py": r'"no-route"',
    "journey/build.py": r'"forward"',
    "journey/hook_passes.py": r"self\.hook = hook",
    "kernel/netlink/nf_tables.py": r'"prerouting"',
    "journey/sentence.py": r"No answer came",
    "journey/sentence_ja.py": r"def sentence_ja\(",
    "view/matrix_grid.py": r"add_column",
    "journey/matrix_grid.py": r"def _columns",
    "view/matrix_flows.py": r"add_column",
    "journey/matrix.py": r"class Selection",
    "model/cost.py": r'"connections"',
    "lab/cost/loads.py": r"def connections",
    "view/cost.py": r"def report",
    "cli/verbs.py": r'"matrix":',
    "exposure/words.py": r"def fate_text",
    "exposure/lines.py": r"def describe",
    "cli/arguments/VERB.py": r"def configure",
    "cli/VERB.py": r"def run",
    "proxy/tcp_connection.py": r"class Half",
    "proxy/tcp_accept.py": r"accept4?\(|\.accept\(|backlog",
    "lab/services/dns.py": r"\bPTR\b",
    "engine/docker/dns_names.py": r"def names",
    "lab/build/reconcile.py": r"delete_address|message\.route",
    "lab/build/rule_changes.py": r"def apply|def take_back",
    "lab/build/ruleset_edits.py": r"def iptables_edits",
    "lab/options.py": r"class ScenarioOptions",
    "lesson/shapes.py": r"STEPS",
    "lesson/read.py": r"def _tell",
    "cli/demo_teacher.py": r"case Tell",
}


def test_what_the_architecture_page_says_of_changes_is_there() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text().partition("## Where to change what\n")[2]
    named = re.findall(r"`([\w/]+\.py)`", text.partition("\n## ")[0])
    assert set(named) == set(THERE)
    for name, words in THERE.items():
        file = ROOT / "netlab" / name.replace("VERB", "probe")
        assert re.search(words, file.read_text()), f"{name} has nothing like {words}"


def test_every_page_is_in_the_site_s_contents_once() -> None:
    tree = ast.parse((ROOT / "docs" / "site" / "conf.py").read_text())
    (parts,) = (
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "PARTS"
    )
    listed = [page for pages in parts.values() for page in pages]
    pages = {str(path.relative_to(ROOT / "docs").with_suffix("")) for path in (ROOT / "docs").rglob("*.md")}
    assert sorted(listed) == sorted(pages - {"index"})
