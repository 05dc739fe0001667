"""The pytest plugin as test suites see it, run by root and by somebody without any privilege.

Every test writes a suite into a folder of its own, and runs pytest on it in a process of its own.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import pytest

SCENARIOS = Path(__file__).parents[3] / "scenarios"
NOBODYS_UID = 64322
#: Plugins that no suite needs; Hypothesis takes as long to import as all the rest.
WITHOUT = ("-p", "no:cacheprovider", "-p", "no:hypothesispytest")


@dataclass
class Suite:
    """A folder with tests, and the user who runs them."""

    path: Path
    uid: int

    @property
    def env(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.path),
            "NETLAB_STATE": str(self.path / "state"),
            "PYTEST_DEBUG_TEMPROOT": str(self.path),
            "TERM": "dumb",
        }

    def write(self, text: str, name: str = "test_suite.py") -> None:
        """Write a file of the suite."""
        (self.path / name).write_text(textwrap.dedent(text))

    def scenario(self, name: str = "httpd.yaml", old: str = "", new: str = "") -> None:
        """Copy a scenario of the gallery, perhaps with a word changed."""
        text = (SCENARIOS / name).read_text()
        assert old in text
        (self.path / name).write_text(text.replace(old, new) if old else text)

    def run(self, *arguments: str, given: str = "", prefix: tuple[str, ...] = ()) -> Result:
        """Run pytest in the folder."""
        identity = {"user": self.uid, "group": self.uid, "extra_groups": []} if self.uid else {}
        for path in (self.path, *self.path.iterdir()):
            os.chown(path, self.uid, self.uid) if self.uid else None
        done = subprocess.run(
            [*prefix, sys.executable, "-m", "pytest", *WITHOUT, "-rs", *arguments],
            cwd=self.path,
            env=self.env,
            input=given,
            capture_output=True,
            text=True,
            timeout=110,
            check=False,
            **identity,  # type: ignore[call-overload]
        )
        return Result(done.returncode, done.stdout + done.stderr)

    def left(self) -> list[str]:
        """What is running, or left over, of labs."""
        state = self.path / "state"
        return sorted(path.name for path in state.iterdir()) if state.exists() else []

    def netlab(self, *arguments: str, code: int = 0) -> str:
        """Run the command line."""
        identity = {"user": self.uid, "group": self.uid, "extra_groups": []} if self.uid else {}
        done = subprocess.run(
            [sys.executable, "-m", "netlab", *arguments],
            cwd=self.path, env=self.env, capture_output=True, text=True, timeout=100, check=False, **identity,
        )  # type: ignore[call-overload]  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        return str(done.stdout)


@dataclass
class Result:
    """How pytest ended, and what it said."""

    code: int
    text: str

    def counts(self, **wanted: int) -> None:
        """The last line says exactly this, such as ``passed=3``."""
        found = pytest.RunResult.parse_summary_nouns(self.text.splitlines())
        assert {noun: n for noun, n in found.items() if noun != "warnings"} == wanted, self.text


@pytest.fixture(params=["root", "user"])
def suite(request: pytest.FixtureRequest) -> Iterator[Suite]:
    """A suite of root's, and one of an ordinary user's."""
    uid = NOBODYS_UID if request.param == "user" else 0
    if os.geteuid() != 0:
        if request.param == "root":
            pytest.skip("the tests run without root: the other half of this test is theirs")
        uid = 0
    yield from make_suite(uid)


@pytest.fixture
def own_suite() -> Iterator[Suite]:
    """A suite of the user who runs the tests."""
    yield from make_suite(0)


def make_suite(uid: int) -> Iterator[Suite]:
    path = Path(tempfile.mkdtemp(prefix="netlab-suite-"))  # pytest's own no other user may enter
    made = Suite(path, uid)
    yield made
    made.netlab("down", "--all")
    left = made.left()
    shutil.rmtree(path)
    assert left == []


PAGE = """
    import pytest

    @pytest.mark.netlab("httpd.yaml")
    def test_page(lab):
        assert "netlab httpd" in lab.exec("client", ["curl", "-s", "http://198.51.100.1/"]).stdout
        assert lab.probe("client -> host:80", family=4).path == "forward"
        assert lab.probe("client -> host:80", family=6).path == "proxy"
"""


def test_a_marked_test_has_its_lab(suite: Suite) -> None:
    suite.scenario()
    suite.write(PAGE)
    suite.run().counts(passed=1)
    assert suite.left() == []


def test_lists_are_variants(own_suite: Suite) -> None:
    own_suite.scenario()
    own_suite.write("""
        import pytest

        @pytest.mark.netlab(
            "httpd.yaml",
            engine=["docker-20.10", "docker-28"],
            daemon=[{"userland-proxy": True}, {"userland-proxy": False}],
        )
        def test_ipv6(lab):
            outcome = lab.probe("client -> host:80", family=6).outcome
            programs = {holder.name for socket in lab.sockets("host") for holder in socket.processes}
            assert outcome == ("ok" if "docker-proxy" in programs else "refused")

        in_29 = {"file": "httpd.yaml", "engine": "docker-29"}

        @pytest.mark.parametrize("lab", ["httpd.yaml", in_29], indirect=True)
        def test_parameter(lab):
            assert lab.probe("client -> host:80", family=4).outcome == "ok"
    """)
    result = own_suite.run("-v")
    result.counts(passed=6)
    assert "test_ipv6[docker-28-userland-proxy=false] PASSED" in result.text


def test_the_command_line_s_engines(own_suite: Suite) -> None:
    own_suite.scenario()
    own_suite.write("""
        import pytest

        @pytest.mark.netlab("httpd.yaml")
        def test_any(lab):
            assert lab.probe("client -> host:80", family=4).outcome == "ok"

        @pytest.mark.netlab("httpd.yaml", engine=["docker-19.03", "docker-28"])
        def test_some(lab):
            assert lab.plan.node("host").engine == "docker-28"

        @pytest.mark.netlab("httpd.yaml", engine="docker-24")
        def test_other(lab):
            raise AssertionError("this engine was not asked for")
    """)
    result = own_suite.run("-v", "--netlab-engine=docker-28", "--netlab-engine=docker-29", "httpd.yaml", ".")
    result.counts(passed=2 + 1 + 2 * 4, skipped=1)
    assert "the test is for docker-24; asked for: docker-28, docker-29 (--netlab-engine)" in result.text
    assert "netlab doctor" not in result.text, "the machine lacks nothing"
    assert "httpd.yaml::docker-29::client -> host:80/tcp[ipv4] PASSED" in result.text


def test_what_failed_last_is_run_again_alone(own_suite: Suite) -> None:
    own_suite.scenario()
    seed = own_suite.path / "httpd.yaml"
    seed.write_text(seed.read_text().replace("path: forward", "path: proxy"))
    cached = ("-p", "cacheprovider", "httpd.yaml")
    own_suite.run(*cached).counts(passed=2, failed=2)
    own_suite.run(*cached, "--lf").counts(failed=2, deselected=2)


SHARED = """
    import pytest

    pytestmark = pytest.mark.netlab("httpd.yaml", scope="{scope}")
    names = []

    @pytest.mark.parametrize("number", range(8))
    def test_shared(lab, number):
        names.append(lab.name)
        assert len(set(names)) == 1
        assert lab.journeys == []
        assert lab.probe("client -> host:80", family=4).outcome == "ok"

    @pytest.mark.netlab(engine="docker-28")
    def test_another(lab):
        assert lab.name not in names
        assert lab.plan.node("host").engine == "docker-28"
"""


@pytest.mark.parametrize("scope", ["module", "session"])
def test_shared_labs(own_suite: Suite, scope: str) -> None:
    own_suite.scenario()
    own_suite.write(SHARED.format(scope=scope))
    own_suite.run().counts(passed=9)
    assert own_suite.left() == []


@pytest.mark.parametrize("dist", ["load", "loadgroup", "worksteal"])
def test_workers(suite: Suite, dist: str) -> None:
    suite.scenario()
    suite.write(SHARED.format(scope="session"), "test_shared.py")
    suite.write(PAGE)
    suite.write("""
        import os

        def test_name(make_lab):
            worker = os.environ["PYTEST_XDIST_WORKER"]
            assert make_lab("httpd.yaml").name.startswith(f"httpd-{worker}-{os.getpid()}-")
    """, "test_name.py")  # fmt: skip
    suite.run("-n", "3", "--dist", dist, "httpd.yaml", ".").counts(passed=9 + 1 + 1 + 4)
    assert suite.left() == []


def test_labs_made_in_the_test(own_suite: Suite) -> None:
    own_suite.scenario()
    own_suite.write("""
        import netlab
        import pytest

        def test_two(make_lab):
            old, new = (make_lab("httpd.yaml", engine=engine) for engine in ("docker-20.10", "docker-28"))
            assert old.probe("client -> host:80", 4).path == new.probe("client -> host:80", 4).path
            assert old.name != new.name

        def test_wrong(make_lab):
            with pytest.raises(netlab.UsageError, match="unknown engine"):
                make_lab("httpd.yaml", engine="dokker")
    """)
    own_suite.run().counts(passed=2)
    assert own_suite.left() == []


def test_scenario_files_are_collected_when_named_or_matched_only(own_suite: Suite) -> None:
    own_suite.scenario()
    own_suite.scenario("udp.yaml")
    own_suite.write("services: {web: {image: nginx}}\n", "compose.yaml")
    own_suite.run().counts()
    own_suite.run("httpd.yaml").counts(passed=4)
    own_suite.run("httpd.yaml::client -> host:80/tcp[ipv6]").counts(passed=1)
    own_suite.write("[pytest]\nnetlab_files = ht*.yaml compose.yaml\n", "pytest.ini")
    own_suite.run().counts(passed=4)
    assert "not found" in own_suite.run("compose.yaml").text


def test_an_unmet_expectation_says_what_was_measured(suite: Suite) -> None:
    suite.scenario(old="ipv6: {outcome: ok, path: proxy", new="ipv6: {outcome: ok, path: forward")
    result = suite.run("httpd.yaml", "--netlab-artifacts=evidence", "-n", "2", "-rf")
    result.counts(passed=2, failed=2)
    assert re.search(r"httpd\.yaml:\d+:7: client -> host:443/tcp ipv6\n", result.text)
    said = "expected ok, forward, sees gateway; measured ok, proxy, sees 192.168.10.1"
    assert f"\nclient -> host:80/tcp ipv6: {said}\n" in result.text
    assert "FAILED httpd.yaml::client -> host:80/tcp[ipv6] - client -> host:80/tcp ipv6" in result.text
    folders = sorted((suite.path / "evidence").iterdir())
    assert [folder.name for folder in folders] == [
        f"httpd.yaml-client-host-{port}-tcp-ipv6" for port in (443, 80)
    ]
    (journeys,) = folders[0].glob("*.journeys.jsonl")
    assert [json.loads(line)["path"] for line in journeys.read_text().splitlines()] == ["proxy"]
    (rules,) = folders[0].glob("*.host.rules")
    assert "# port 443 of httpd on nw, published" in rules.read_text()
    (packets,) = folders[0].glob("*.pcapng")
    listing = subprocess.run(["tcpdump", "-nr", packets], capture_output=True, text=True, check=True).stdout
    assert "2001:db8:1::2." in listing
    assert suite.left() == []


def test_a_report_does_not_move_the_cursor(own_suite: Suite) -> None:
    rule = "iptables -I DOCKER-USER -m comment --comment '\\e]0;title\\a' -j {}"
    for target, said in (("DROP", "expected ok, forward"), ("nothing", "-j nothing: iptables")):
        own_suite.scenario(old="x-netlab:", new=f'x-netlab:\n  rules: ["{rule.format(target)}"]')
        result = own_suite.run("httpd.yaml", "-rf")
        assert result.code == 1
        assert said in result.text
        assert "\\u001b]0;title\\u0007" in result.text
        assert "\x1b]0" not in result.text


def test_assertions_show_journeys(own_suite: Suite) -> None:
    own_suite.scenario()
    own_suite.write("""
        import pytest
        from netlab.testing import Expected

        pytestmark = pytest.mark.netlab("httpd.yaml", scope="module")

        def test_met(lab):
            assert lab.probe("client -> host:80", 4) == Expected("ok forward", sees="client")
            assert lab.probe("client -> host:80", 6) == Expected(path="proxy", sees="gateway")
            assert lab.probe("client -> host:80", 6) != Expected("timeout")
            lab.expect("client -> host:443", "ok", ipv4="forward, sees client", ipv6="proxy, sees gateway")

        def test_compared(lab):
            assert lab.probe("client -> host:80", 6) == Expected("ok forward", sees="client")

        def test_helped(lab):
            lab.expect("client -> host:80", ipv4="ok proxy")
    """)
    result = own_suite.run("-vv")
    result.counts(passed=1, failed=2)
    for line in (
        "client -> host:80/tcp ipv6: ok, proxy, sees 192.168.10.1 == ok, forward, sees client",
        "path: expected forward, measured proxy",
        "sees: expected client (198.51.100.2, 2001:db8:1::2), the server saw 192.168.10.1 (host)",
        "host (docker-proxy's own connection)",
        "path: expected proxy, measured forward",
        "netlab: journeys in httpd-",
        "netlab: rules of httpd-",
        ".host that were hit",
        " packets  iptables -t nat  -A DOCKER ! -i docker_httpd -p tcp -m tcp --dport 80 -j DNAT",
        "netlab: packets in httpd-",
        "client -> host:80/tcp ipv4: path: expected proxy, measured forward",
    ):
        assert line in result.text
    assert "def expect(" not in result.text  # the traceback ends in the test


def test_refusals_are_reported_where_the_test_asked(own_suite: Suite) -> None:
    """No line of netlab's own, no evidence that explains nothing, and what a failed program said."""
    own_suite.scenario()
    own_suite.write("""
        import pytest

        pytestmark = pytest.mark.netlab("httpd.yaml", scope="module")

        def test_flow(lab):
            lab.probe("cleint -> host:80", 4)

        def test_words(lab):
            lab.expect("client -> host:80", ipv4="okay")

        def test_program(lab):
            lab.exec("client", ["ip", "link", "show", "wlan0"], check=True)

        @pytest.mark.netlab("httpd.yaml", engine="docker-99")
        def test_engine(lab): pass

        @pytest.mark.netlab("httpd.yaml")
        def test_asks_for_none(): pass
    """)
    result = own_suite.run()
    result.counts(passed=1, failed=3, errors=1)
    for line in (
        "NoNodeError: there is no node 'cleint' (did you mean client?)",
        "UsageError: 'okay': 'okay' is neither an outcome nor a path (did you mean ok?)",
        "netlab: stderr of ip",
        'Device "wlan0" does not exist.',
        'httpd.yaml docker-99: engine: unknown engine "docker-99"',
        "test_asks_for_none is marked netlab, but does not use a lab, so it gets none",
    ):
        assert line in result.text
    assert "def " not in result.text.replace("def test_", "")
    assert result.text.count("netlab: rules of httpd-") == 1  # the program's alone


def test_the_unmeasured_is_an_error_and_no_failure(own_suite: Suite) -> None:
    """Without its instrument nothing can be said; not even by a test that expects to fail."""
    own_suite.scenario()
    own_suite.write("""
        import pytest

        pytestmark = pytest.mark.netlab("httpd.yaml")

        def blind(lab):
            lab.probe("client -> host:80", 4)
            workers = [p for p in lab.client.status()["processes"] if p["label"] == "netlab.measure.worker"]
            for worker in workers:
                lab.exec("host", ["kill", "-STOP", str(worker["pid"])], check=True)
                lab.exec("host", ["kill", "-KILL", str(worker["pid"])], check=True)

        def test_blind(lab):
            blind(lab)
            assert lab.probe("client -> host:80", 4).outcome == "timeout"

        @pytest.mark.xfail
        def test_blind_and_pessimistic(lab):
            blind(lab)
            assert lab.probe("client -> host:80", 4).outcome == "timeout"

        def test_sees_again(lab):
            blind(lab)
            with pytest.raises(Exception, match="measuring process"):
                lab.probe("client -> host:80", 4)
            assert lab.probe("client -> host:80", 4).outcome == "ok"
    """)
    for workers in ("0", "2"):
        result = own_suite.run("-rE", "--junit-xml=report.xml", "-n", workers)
        result.counts(passed=1, errors=2)
        assert result.code == 1
        assert "UNMEASURED" in result.text
        (element,) = ElementTree.parse(own_suite.path / "report.xml").getroot()
        assert (element.get("tests"), element.get("failures"), element.get("errors")) == ("3", "0", "2")
        assert len(element.findall("testcase/error")) == 2


def test_labs_of_failed_tests_can_be_kept(suite: Suite) -> None:
    suite.scenario()
    suite.write("""
        import pytest

        @pytest.mark.netlab("httpd.yaml", scope="module")
        def test_fails(lab):
            assert not lab.name

        @pytest.mark.netlab("httpd.yaml", scope="module")
        def test_goes_on_in_another(lab):
            assert lab.probe("client -> host:80", 4).outcome == "ok"

        @pytest.mark.netlab("httpd.yaml", scope="function")
        def test_fails_alone(lab):
            assert not lab.name
    """)
    result = suite.run("--netlab-keep", "-n", "1")
    result.counts(passed=1, failed=2)
    kept = suite.left()
    assert len(kept) == 2
    for name in kept:
        assert f"netlab shell {name}" in result.text.partition("labs that stand")[2]
        assert '"outcome": "ok"' in suite.netlab("probe", name, "client -> host:80", "-4", "--json")
        suite.netlab("down", name)


def test_a_shell_in_the_wreck(own_suite: Suite) -> None:
    own_suite.scenario()
    own_suite.write("""
        import pytest

        @pytest.mark.netlab("httpd.yaml")
        def test_fails(lab):
            lab.exec("host", ["ip", "link", "add", "witness", "type", "bridge"], check=True)
            raise AssertionError("look at it")
    """)
    result = own_suite.run("--netlab-shell", given="ip -n host -br link; exit\n")
    result.counts(failed=1)
    assert "look at it" in result.text.partition("a shell in")[0]
    assert "witness" in result.text.partition("a shell in")[2]
    refused = own_suite.run("--netlab-shell", "-n", "1")
    assert refused.code == 4
    assert "--netlab-shell needs the terminal" in refused.text


#: A machine on which user namespaces may not be made: an init process without room for one.
def _without_namespaces() -> tuple[str, ...]:
    return ("unshare", "--user", "--map-root-user", "--", "sh", "-c", _NO_ROOM, "sh")


_NO_ROOM = 'echo 0 >/proc/sys/user/max_net_namespaces && exec "$@"'


def test_without_privileges_it_says_why(own_suite: Suite) -> None:
    own_suite.scenario()
    own_suite.write(PAGE)
    (own_suite.path / "state").mkdir()
    result = own_suite.run(".", "httpd.yaml", prefix=_without_namespaces())
    result.counts(skipped=5)
    assert "namespace" in result.text.partition("netlab: skipped")[2]
    assert "--netlab-require makes this a failure" in result.text
    required = own_suite.run("--netlab-require", ".", "httpd.yaml", prefix=_without_namespaces())
    required.counts(errors=5)
    assert required.code == 1


def test_what_is_wrong_with_a_marker_is_said_without_a_traceback(own_suite: Suite) -> None:
    own_suite.scenario()
    own_suite.write("services: [1]\n", "wrong.yaml")
    own_suite.write("""
        import pytest

        @pytest.mark.netlab("missing.yaml")
        def test_missing(lab): pass

        @pytest.mark.netlab("httpd.yaml", enigne="docker")
        def test_option(lab): pass

        @pytest.mark.netlab("httpd.yaml", scope="package")
        def test_scope(lab): pass

        @pytest.mark.netlab("wrong.yaml")
        def test_wrong(lab): pass

        def test_unmarked(lab): pass

        @pytest.mark.netlab("httpd.yaml")
        def test_right(lab): pass
    """)
    result = own_suite.run()
    result.counts(passed=1, errors=5)
    for line in (
        "there is no missing.yaml in",
        "enigne= is not an option of a lab: engine, firewall",
        "scope='package' must be one of function, module, session",
        "wrong.yaml: ",
        "no scenario is named",
    ):
        assert line in result.text
    assert "netlab/testing" not in result.text


def test_two_gateways_in_two_user_namespaces(suite: Suite) -> None:
    """The whole suite on two machines, which are two user namespaces here."""
    suite.scenario()
    suite.write(PAGE)
    suite.write("""
        import os

        def test_where(make_lab):
            make_lab("httpd.yaml")
            with open(f"where-{os.environ['PYTEST_XDIST_WORKER']}", "w") as file:
                file.write(os.readlink("/proc/self/ns/user"))
    """, "test_where.py")  # fmt: skip
    gateway = f"popen//python=unshare --user --map-root-user --net {sys.executable}"
    result = suite.run("--dist=each", f"--tx={gateway}", f"--tx={gateway}", ".", "httpd.yaml")
    result.counts(passed=2 * (1 + 1 + 4))
    places = {path.read_text() for path in suite.path.glob("where-gw*")}
    assert len(places) == 2
    assert os.readlink("/proc/self/ns/user") not in places
    assert suite.left() == []
    result = suite.run("--dist=load", f"--tx={gateway}", f"--tx={gateway}", ".", "httpd.yaml")
    result.counts(passed=1 + 1 + 4)


def test_flows_after_events_are_measured_in_order_whichever_is_selected(own_suite: Suite) -> None:
    own_suite.scenario("stale-udp.yaml")
    result = own_suite.run("-v", "stale-udp.yaml")
    result.counts(passed=5)
    last = "client:40000 -> host:53/udp[ipv4] after restart dns, stop dns, start dns"
    assert f"stale-udp.yaml::{last} PASSED" in result.text
    own_suite.run(f"stale-udp.yaml::{last}").counts(passed=1)
    first = "stale-udp.yaml::client:40000 -> host:53/udp[ipv4]"
    own_suite.run(f"stale-udp.yaml::{last}", first, f"{first} after restart dns, stop dns").counts(passed=3)


def test_an_exposure_of_a_scenario_is_an_item(own_suite: Suite) -> None:
    own_suite.write(
        """
        services: {web: {image: nginx, ports: ["80:80", "81:80"]}}
        x-netlab:
          host: {engine: docker-28, addresses: [198.51.100.1/24]}
          expect:
            - exposure: {from: client, reaches: ["198.51.100.1:80", "198.51.100.1:81"]}
            - exposure: {from: client, reaches: ["198.51.100.1:82/tcp"]}
        """,
        "shop.yaml",
    )
    result = own_suite.run("shop.yaml")
    result.counts(passed=1, failed=1)
    assert "198.51.100.1:82/tcp is not reached by any packet from client" in result.text
    assert "shop.yaml:7:" in result.text
