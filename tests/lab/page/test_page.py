"""The report as a document: all is in it without its script, text is text, and nothing is from elsewhere."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest
from support.pages import HOSTILE, hostile, seed
from support.recorded import SCENARIO

import netlab
from netlab.journey.matrix import Column
from netlab.model.journey import RuleHit
from netlab.plan.live_rules import NativeTable, Rules
from netlab.view.page.chains import Chains
from netlab.view.page.report import Side, report

VOID = {"meta", "input", "br", "img", "link"}


class Document(HTMLParser):
    """The elements of a page, and whether all are closed in order."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def inner(page: str, tag: str) -> list[str]:
    return re.findall(f"<{tag}>(.*?)</{tag}>", page, re.DOTALL)


@pytest.fixture(scope="module")
def page() -> str:
    return report([seed()], "1.2.3")


def test_the_seed_s_page_is_below_a_megabyte(page: str) -> None:
    assert 100_000 < len(page.encode()) < 1_000_000


def test_the_policy_allows_the_page_s_own_style_and_script_alone(page: str) -> None:
    (policy,) = [
        one["content"] or "" for one in Document(page).all("meta")
        if one.get("http-equiv") == "Content-Security-Policy"
    ]  # fmt: skip
    style, early, script = (
        base64.b64encode(hashlib.sha256(one.encode()).digest()).decode()
        for tag in ("style", "script")
        for one in inner(page, tag)
    )
    assert policy == (
        f"default-src 'none'; style-src 'sha256-{style}'; script-src 'sha256-{early}' 'sha256-{script}'; "
        "base-uri 'none'; form-action 'none'"
    )


@pytest.mark.parametrize("side", [seed, hostile])
def test_nothing_is_from_elsewhere_and_nothing_runs_but_the_script(side: object) -> None:
    document = Document(report([side()], "1"))  # type: ignore[operator]
    names = {name for name, _ in document.elements}
    assert not names & {"img", "iframe", "object", "embed", "link", "base", "audio", "video", "image", "use"}
    assert len(document.all("script")) == 2
    assert len(document.all("style")) == 1
    for name, attributes in document.elements:
        assert not [key for key in attributes if key.startswith("on") or key in ("src", "style", "srcdoc")], (
            name
        )
        assert (attributes.get("href") or "#").startswith("#")
    ids = [attributes["id"] for _, attributes in document.elements if attributes.get("id")]
    assert len(ids) == len(set(ids))
    targets = {(one.get("href") or "")[1:] for one in document.all("a")}
    assert targets <= set(ids)


def test_hostile_text_is_text() -> None:
    page = report([hostile()], "1")
    assert "<img" not in page
    text = "".join(Document(page).text)
    assert HOSTILE in text
    assert "49" not in re.findall(r"\{\{[^}]*\}\}|\b49\b", text)


def test_every_flow_is_a_row_and_a_journey_with_its_sentence(page: str) -> None:
    side = seed()
    document = Document(page)
    rows = [one for one in document.all("tr") if "data-key" in one]
    assert len(rows) == len(side.column.answers)
    assert len([one for one in document.all("section") if one.get("class") == "flow"]) == len(rows)
    text = "".join(document.text)
    assert "To block it, put the rule in DOCKER-USER." in text
    assert "through INPUT and not FORWARD" in text


def test_every_rule_that_a_journey_hit_is_a_step_with_a_place_in_its_chain() -> None:
    side = seed()
    assert side.plan is not None
    chains = Chains(side.plan, side.rules, "x")
    hits = [
        (leg.node, hit)
        for _, journey in side.column.answers.values()
        for leg in journey.legs
        for visit in leg.hooks
        for hit in visit.rules
    ]
    assert len(hits) > 100
    for node, hit in hits:
        chain = chains.of(node, hit)
        assert chain is not None, hit
        if hit.rule is None:
            assert chain.policy == hit.verdict.removeprefix("policy ")
        else:
            number = chain.number_of(hit)
            assert number is not None, hit
            assert hit.rule == f"-A {chain.name} {chain.rules[number].text}"
            assert chain.rules[number].reason == hit.reason


def test_the_rules_that_no_flow_met() -> None:
    page = report([seed()], "1")
    rows = re.findall(r'<tr data-rule="\d+" class="(\w*)"><td><code>(.*?)</code></td>', page)
    dead = {text for state, text in rows if state == "dead"}
    assert "-o docker0 -j DOCKER" in dead
    assert "-o docker_httpd -j DOCKER" not in dead


def test_the_chains_that_no_flow_traversed() -> None:
    side = seed()
    assert "ip filter DOCKER-USER of host" not in never(report([side], "1"))
    from_host = {asked: answer for asked, answer in side.column.answers.items() if asked[0] == "host"}
    assert from_host
    names = never(report([Side(Column("", from_host), side.plan, side.rules)], "1"))
    assert "ip filter DOCKER-USER of host" in names
    assert "ip nat OUTPUT of host" not in names


def never(page: str) -> str:
    """The list of chains that no flow traversed."""
    return page.partition('<ul class="never">')[2].partition("</ul>")[0]


def test_native_tables_have_chains_policies_and_rules() -> None:
    plan = netlab.load_plan([SCENARIO], engine="docker-29-nftables")
    table = NativeTable(
        "ip",
        "docker-bridges",
        "table ip docker-bridges {\n\tmap m {\n\t\ttype ifname : verdict\n\t}\n\n"
        "\tchain filter-FORWARD {\n\t\ttype filter hook forward priority filter; policy accept;\n"
        "\t\tcounter packets 3 bytes 180 jump x\n\t}\n\n\tchain x {\n\t}\n}\n",
    )
    first, second = Chains(plan, {"host": Rules("host", {}, (table,))}, "x").listed
    assert (first.title, first.policy) == ("ip docker-bridges filter-FORWARD", "accept")
    assert [rule.text for rule in first.rules] == ["counter packets 3 bytes 180 jump x"]
    hit = RuleHit("ip", "docker-bridges", "filter-FORWARD", "counter packets 9 bytes 540 jump x", "jump x")
    assert first.number_of(hit) == 0
    assert (second.title, second.policy, second.rules) == ("ip docker-bridges x", "", [])


def test_variants_are_columns_side_by_side_and_differences_are_marked() -> None:
    one, other = seed("docker-20.10"), seed("other")
    asked = next(asked for asked, (_, journey) in one.column.answers.items() if journey.path == "forward")
    cell, journey = other.column.answers[asked]
    refused = type(journey)(journey.flow, "refused", "local")
    other.column.answers[asked] = cell, refused
    page = report([one, other, Side(Column("third", {}, "it cannot be"))], "1")
    assert page.count('data-differs="yes"') == 1
    assert page.count('<th scope="col">other</th>') == 1
    assert "This variant does not apply: it cannot be" in page
    Document(page)
