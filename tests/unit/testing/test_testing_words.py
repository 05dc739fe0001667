"""Expectations in words, and variants from markers: nothing here needs a lab."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from netlab.journey.expect_words import expected
from netlab.model.errors import Unmeasured, UsageError
from netlab.model.expectation import Expected as ModelExpected
from netlab.model.journey import DecidedBy, Journey, JourneyFlow, Sees
from netlab.testing import Expected
from netlab.testing.explain import compare
from netlab.testing.scenarios import is_scenario
from netlab.testing.variants import MarkerError, Variant, Wish

FLOW = JourneyFlow("client", "host:80/tcp", "ipv4", "198.51.100.2:40001", "198.51.100.1:80")
OK = Journey(FLOW, "ok", "forward", "httpd", Sees("198.51.100.2", "client"))
PROXIED = Journey(FLOW, "ok", "proxy", "httpd", Sees("192.168.10.1", "host"))
DROPPED = Journey(FLOW, "timeout", "forward", decided_by=DecidedBy("policy", chain="FORWARD"))
UNKNOWN = Journey(FLOW, "unmeasured", "none", problem="events were lost")


@pytest.mark.parametrize(
    ("words", "meaning"),
    [
        ("ok", ModelExpected(outcome="ok")),
        ("ok forward", ModelExpected("ok", "forward")),
        ("forward ok", ModelExpected("ok", "forward")),
        ("ok, forward, sees client", ModelExpected("ok", "forward", "client")),
        ("ok forward sees client", ModelExpected("ok", "forward", "client")),
        ("timeout, by FORWARD", ModelExpected("timeout", by="FORWARD")),
        ("timeout by -A FORWARD -j DROP, path", None),
        ("ok, not by -A DOCKER-USER -j RETURN, dnat 192.168.10.10:80",
         ModelExpected("ok", not_by="-A DOCKER-USER -j RETURN", dnat="192.168.10.10:80")),
        ("no-route", ModelExpected("no-route")),
        ("", ModelExpected()),
        ("okay", None),
        ("ok ok", None),
        ("ok sees", None),
        ("by", None),
        ("not forward", None),
    ],
)  # fmt: skip
def test_words(words: str, meaning: ModelExpected | None) -> None:
    if meaning is None:
        with pytest.raises(UsageError):
            expected(words)
    else:
        assert expected(words) == meaning


def test_words_mappings_and_keywords_go_together() -> None:
    assert expected({"outcome": "ok", "not-by": "X"}) == ModelExpected("ok", not_by="X")
    assert expected("ok", sees="client") == ModelExpected("ok", sees="client")
    assert expected(ModelExpected("ok", "proxy"), path="forward") == ModelExpected("ok", "forward")
    with pytest.raises(UsageError, match="'way'"):
        expected({"way": "forward"})
    with pytest.raises(UsageError, match="unknown path 'forwards'"):
        expected(path="forwards")
    with pytest.raises(UsageError, match="did you mean forward"):
        expected("forwrd")


def test_a_journey_equals_what_is_said_of_it() -> None:
    assert Expected("ok forward", sees="client") == OK
    assert Expected("ok", sees="sender") == OK
    assert Expected("ok", sees="198.51.100.2") == OK
    assert Expected("ok forward") != PROXIED
    assert Expected("ok", sees="client") != PROXIED
    assert Expected("timeout", by="FORWARD") == DROPPED
    assert Expected("timeout", sees="client") != DROPPED
    assert Expected("ok") != "ok"
    assert repr(Expected("ok", sees="client")) == "Expected('ok, sees client')"


def test_what_cannot_be_compared_is_no_difference() -> None:
    with pytest.raises(Unmeasured, match="events were lost"):
        bool(Expected("timeout") == UNKNOWN)
    with pytest.raises(UsageError, match="does not belong to a lab of the pytest plugin"):
        bool(Expected(sees="gateway") == PROXIED)


def test_the_message_of_an_assertion() -> None:
    lines = compare("==", PROXIED, Expected("ok forward", sees="client"))
    assert lines is not None
    assert lines[:3] == [
        "client -> host:80/tcp ipv4: ok, proxy, sees 192.168.10.1 == ok, forward, sees client",
        "path: expected forward, measured proxy",
        "sees: expected client, the server saw 192.168.10.1 (host)",
    ]
    assert compare("==", Expected("ok forward", sees="client"), PROXIED) == lines
    two = compare("==", OK, PROXIED)
    assert two is not None
    assert "path: forward != proxy" in two
    assert compare("==", "a", "b") is None


def mark(*files: object, **options: object) -> pytest.Mark:
    return getattr(pytest.mark, "netlab")(*files, **options).mark  # type: ignore[no-any-return]  # noqa: B009


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).touch()
    return tmp_path


def ids(variants: list[Variant]) -> list[str]:
    return [variant.id for variant in variants]


def test_one_lab_has_no_id(folder: Path) -> None:
    (variant,) = Wish.of([mark("a.yaml", engine="docker-28", daemon="ipv6=true")]).variants([folder])
    assert variant.files == (folder / "a.yaml",)
    assert variant.keywords == {"engine": "docker-28", "daemon": ("ipv6=true",)}
    assert (variant.id, variant.scope) == ("", "function")


def test_several_files_are_merged_and_lists_are_alternatives(folder: Path) -> None:
    (merged,) = Wish.of([mark("a.yaml", "b.yaml")]).variants([folder])
    assert merged.files == (folder / "a.yaml", folder / "b.yaml")
    (projects,) = Wish.of([mark("a.yaml", "+", "b.yaml")]).variants([folder])
    assert [str(file) for file in projects.files] == [f"{folder}/a.yaml", "+", f"{folder}/b.yaml"]
    alternatives = Wish.of([mark(["a.yaml", ("a.yaml", "b.yaml")])]).variants([folder])
    assert [len(variant.files) for variant in alternatives] == [1, 2]
    product = Wish.of([mark(["a.yaml", "b.yaml"], engine=["docker-28", "docker-29"])]).variants([folder])
    assert ids(product) == ["a-docker-28", "a-docker-29", "b-docker-28", "b-docker-29"]
    tuples = Wish.of([mark("a.yaml", engine=("docker-28", "docker-29"))]).variants([folder])
    assert ids(tuples) == ["docker-28", "docker-29"]
    daemons = Wish.of([mark("a.yaml", daemon=[{}, {"icc": False}], firewall=["none", "ufw"])])
    assert ids(daemons.variants([folder])) == [
        "none-default",
        "none-icc=false",
        "ufw-default",
        "ufw-icc=false",
    ]


def test_the_nearest_marker_counts(folder: Path) -> None:
    wish = Wish.of([mark(engine="docker-28"), mark("a.yaml", engine="docker", scope="module")])
    (variant,) = wish.variants([folder])
    assert (variant.files, variant.keywords["engine"], variant.scope) == (
        (folder / "a.yaml",), "docker-28", "module",
    )  # fmt: skip


def test_parameters_count_over_markers(folder: Path) -> None:
    marker = mark("a.yaml", engine="docker-28")
    (file,) = Wish.of([marker], "b.yaml").variants([folder])
    assert (file.files, file.keywords["engine"]) == ((folder / "b.yaml",), "docker-28")
    (options,) = Wish.of([marker], {"engine": "docker-29"}).variants([folder])
    assert (options.files, options.keywords["engine"]) == ((folder / "a.yaml",), "docker-29")


def test_the_command_line_s_engines(folder: Path) -> None:
    asked = ["docker-28", "docker-29"]
    assert ids(Wish.of([mark("a.yaml")]).variants([folder], asked)) == asked
    some = Wish.of([mark("a.yaml", engine=["docker-24", "docker-29"])]).variants([folder], asked)
    assert ids(some) == ["docker-29"]
    (none,) = Wish.of([mark("a.yaml", engine="docker-24")]).variants([folder], asked)
    assert none.mismatch == "for docker-24; asked for: docker-28, docker-29"


def test_labs_that_differ_are_not_shared(folder: Path) -> None:
    def key(**options: object) -> str:
        (variant,) = Wish.of([mark("a.yaml", **options)]).variants([folder])
        return variant.key

    assert key(engine="docker-28") == key(engine="docker-28", scope="session")
    assert len({key(), key(engine="docker-28"), key(daemon={"icc": False}), key(profiles=["x"])}) == 4


@pytest.mark.parametrize(
    ("marks", "message"),
    [
        ([mark("c.yaml")], "there is no c.yaml in"),
        ([mark()], "no scenario is named"),
        ([], "no scenario is named"),
        ([mark("a.yaml", engin="docker")], "engin= is not an option"),
        ([mark("a.yaml", scope="class")], "scope='class'"),
        ([mark("a.yaml", engine=[])], r"engine=\[\] leaves nothing"),
        ([mark("a.yaml", firewall=())], r"firewall=\(\) leaves nothing"),
    ],
)
def test_what_a_marker_cannot_mean(folder: Path, marks: list[pytest.Mark], message: str) -> None:
    with pytest.raises(MarkerError, match=message):
        Wish.of(marks).variants([folder])


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("x-netlab: {}\n", True),
        ("services: {}\nx-netlab:\n  expect: []\n", True),
        ('"x-netlab": {}\n', True),
        ("services: {}\n", False),
        ("services:\n  x-netlab: {}\n", False),
        ("# x-netlab: {}\n", False),
        ("x-netlabels: {}\n", False),
    ],
)
def test_only_what_says_so_is_a_scenario(tmp_path: Path, text: str, is_one: bool) -> None:
    (tmp_path / "file.yaml").write_text(text)
    assert is_scenario(tmp_path / "file.yaml") is is_one


def test_pytest_s_start_imports_nothing_of_the_labs() -> None:
    """The plugin is imported in every project that has netlab in its environment."""
    program = "import sys, netlab.testing.plugin; print(*(m for m in sys.modules if m.startswith('netlab')))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [
        "netlab.first_use",
        "netlab.model",
        "netlab.model.text",
        "netlab.version",
        "netlab",
        "netlab.testing",
        "netlab.testing.files",
        "netlab.testing.plugin",
    ]
