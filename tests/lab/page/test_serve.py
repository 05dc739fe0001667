"""``netlab serve``: a lab's traffic in a real Chromium while it happens, and who is turned away."""

from __future__ import annotations

import http.client
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright
from support.labs import Netlab

CHROMIUM = "/usr/bin/chromium"
#: Seconds for one step of a page on a machine that is busy with thirty other programs.
PATIENCE = 100.0
pytestmark = pytest.mark.timeout(600)


@dataclass
class Served:
    """A running ``netlab serve``."""

    netlab: Netlab
    lab: str
    process: subprocess.Popen[str]
    url: str

    @property
    def child(self) -> int:
        """The process that speaks HTTP."""
        path = f"/proc/{self.process.pid}/task/{self.process.pid}/children"
        (found,) = Path(path).read_text().split()
        return int(found)

    def curl(self, url: str = "http://198.51.100.1/") -> None:
        self.netlab.exec(self.lab, "client", "curl", "-s", "-o", "/dev/null", url)

    def ask(self, method: str = "GET", path: str | None = None, **headers: str) -> tuple[int, str]:
        """A request; its status and body."""
        parts = urlsplit(self.url)
        assert parts.port is not None
        connection = http.client.HTTPConnection("127.0.0.1", parts.port, timeout=PATIENCE)
        connection.request(method, parts.path if path is None else path, headers=headers)
        answer = connection.getresponse()
        found = answer.status, answer.read().decode()
        connection.close()
        return found


@pytest.fixture
def serve() -> Iterator[Callable[[Netlab], Served]]:
    """Start ``netlab serve`` of the seed; ended at the end."""
    started = []

    def start(netlab: Netlab) -> Served:
        lab = netlab.up()
        process = netlab.start("serve", lab)
        started.append(process)
        assert process.stdout is not None
        assert process.stderr is not None
        url = process.stdout.readline().strip()
        assert url.startswith("http://127.0.0.1:"), process.stderr.read()
        assert f"showing the traffic of {lab}" in process.stderr.readline()
        return Served(netlab, lab, process, url)

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        # Chromium does not start its own sandbox as root; the pages are ours, from this machine.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"], timeout=400_000)
        yield browser
        browser.close()


@pytest.fixture
def opened(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Open a served page; what the browser complained of, and what it asked of others, must be nothing."""
    wrong: list[str] = []
    contexts = []

    def open_page(url: str, **options: object) -> Page:
        contexts.append(browser.new_context(**{"viewport": {"width": 1280, "height": 720}, **options}))
        page = contexts[-1].new_page()
        page.set_default_timeout(PATIENCE * 1000)
        page.on("console", lambda message: wrong.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda one: one.url.startswith(url) or wrong.append(one.url))
        page.goto(url, wait_until="domcontentloaded")
        page.locator("#live", has_text="Live").wait_for()
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert wrong == []


def test_a_curl_appears_and_is_played(
    anyones: Netlab, serve: Callable[[Netlab], Served], opened: Callable[..., Page]
) -> None:
    served = serve(anyones)
    page = opened(served.url)
    assert page.locator("#flows tr").count() == 0
    dead = page.locator("#chains tr", has_text="-j DOCKER-USER").first
    assert "dead" in (dead.get_attribute("class") or "")
    served.curl()
    row = page.locator("#flows tr")
    row.wait_for()
    assert row.get_attribute("data-origin") == "client"
    assert row.get_attribute("data-target") == "198.51.100.1:80/tcp"
    assert "forward" in (row.text_content() or "")
    assert "dead" not in (dead.get_attribute("class") or "")
    assert "client → 198.51.100.1:80/tcp over IPv4" in (dead.text_content() or "")

    page.get_by_label("Open each new journey").check()
    served.curl("http://[2001:db8:1::1]/")
    page.locator(".flow.open", has_text="over IPv6").wait_for()
    assert row.count() == 2
    assert row.first.get_attribute("data-path") == "proxy"  # the newest is the first
    page.locator("select[data-filter=path]").select_option("forward")
    assert page.locator("#flows tr:visible").count() == 1
    page.keyboard.press("Escape")
    page.locator("select[data-filter=path]").select_option("")
    page.locator("h1").click()
    page.keyboard.press("l")
    assert page.locator(".flow.open .steps li.now").count() == 1

    # Who comes later sees the same.
    later = opened(served.url, viewport={"width": 390, "height": 844}, color_scheme="dark")
    assert later.locator("#flows tr").count() == 2
    for one, width in ((page, 1280), (later, 390)):
        found = Axe().run(one)
        assert found.violations_count == 0, found.generate_report()
        assert one.evaluate("document.documentElement.scrollWidth") <= width

    anyones("down", served.lab)
    page.get_by_text(f"The lab {served.lab} has ended.").wait_for()
    out, errors = served.process.communicate(timeout=PATIENCE)
    assert served.process.returncode == 0, errors
    assert out == ""
    assert f"the lab {served.lab} has ended" in errors


def test_rules_that_somebody_adds_appear(
    netlab: Netlab, serve: Callable[[Netlab], Served], opened: Callable[..., Page]
) -> None:
    served = serve(netlab)
    page = opened(served.url)
    # Longer than the time for which a reading of the rules is good.
    page.wait_for_timeout(2100)
    netlab.exec(
        served.lab, "host", "iptables", "-I", "DOCKER-USER", "-p", "tcp", "--dport", "80", "-j", "ACCEPT",
        "-m", "comment", "--comment", "</script><img src=x onerror=alert(1)>",
    )  # fmt: skip
    served.curl()
    rule = page.locator("#chains tr", has_text="<img src=x onerror=alert(1)>")
    rule.wait_for()
    assert "dead" not in (rule.get_attribute("class") or "")
    assert page.locator("img").count() == 0


def test_who_is_turned_away(netlab: Netlab, serve: Callable[[Netlab], Served]) -> None:
    served = serve(netlab)
    path, port = urlsplit(served.url).path, urlsplit(served.url).port
    assert served.ask()[0] == 200
    assert served.ask(Host=f"LOCALHOST:{port}")[0] == 200
    for host in (
        f"evil.example:{port}", "evil.example", f"127.0.0.1.evil.example:{port}", "198.51.100.1", "",
        "[::1]", "localhost:80@evil.example", "localhost:",
    ):  # fmt: skip
        status, body = served.ask(Host=host)
        assert status == 421, host
        assert "<html" not in body
    for other in ("/", "/events", f"{path[:-2]}x/", f"/x{path}", path.upper(), path[:-1], f"/%2e{path}"):
        status, body = served.ask(path=other)
        assert status == 403, other
        assert "<html" not in body
    assert served.ask(path=f"{path}nothing")[0] == 404
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT"):
        assert served.ask(method)[0] in (400, 405), method
    with socket.create_connection(("127.0.0.1", port)) as sock:  # two Hosts, or none
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n".encode())
        assert sock.recv(99).split()[1] in (b"400", b"421")
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
        assert sock.recv(99).split()[1] in (b"400", b"421")
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("::1", port))


def test_what_a_browser_is_told(netlab: Netlab, serve: Callable[[Netlab], Served]) -> None:
    served = serve(netlab)
    connection = http.client.HTTPConnection("127.0.0.1", urlsplit(served.url).port, timeout=PATIENCE)
    connection.request("GET", urlsplit(served.url).path, headers={"Origin": "http://evil.example"})
    answer = connection.getresponse()
    headers = {name.lower(): value for name, value in answer.getheaders()}
    body = answer.read().decode()
    connection.close()
    assert headers["cache-control"] == "no-store"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["content-security-policy"] == "frame-ancestors 'none'"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert not [
        name for name in headers if name.startswith("access-control") or name in ("server", "set-cookie")
    ]
    assert "default-src 'none'; style-src 'sha256-" in body
    assert "connect-src 'self'; base-uri 'none'; form-action 'none'" in body


def test_the_serving_process_has_no_rights(anyones: Netlab, serve: Callable[[Netlab], Served]) -> None:
    served = serve(anyones)
    status = dict(
        line.split(":\t", 1) for line in Path(f"/proc/{served.child}/status").read_text().splitlines()
    )
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[name], 16) == 0, name
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"
    expected = str(anyones.uid or (os.geteuid() and os.getuid()) or 65534)
    assert status["Uid"].split() == [expected] * 4
    assert expected != "0"
    assert status["Groups"].strip() in ("", expected)
    own = os.stat("/proc/self/ns/net").st_ino
    if os.geteuid() == 0:
        assert os.stat(f"/proc/{served.child}/ns/net").st_ino != own
        held = [os.readlink(f"/proc/{served.child}/fd/{fd}") for fd in os.listdir(f"/proc/{served.child}/fd")]
        assert {one.partition(":")[0] for one in held} <= {"/dev/null", "socket", "anon_inode"}
        limits = Path(f"/proc/{served.child}/limits").read_text()
        assert "Max processes             0                    0" in limits


def gone(pid: int) -> bool:
    """Waits for the end of a process that is not ours."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([fd], [], [], PATIENCE)[0])
    finally:
        os.close(fd)


def test_sigkill_of_the_command_line_leaves_nothing(
    anyones: Netlab, serve: Callable[[Netlab], Served]
) -> None:
    served = serve(anyones)
    child, port = served.child, urlsplit(served.url).port
    served.process.kill()
    assert gone(child)
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port))
    # Its instrument is gone, too, and the lab goes on.
    status = anyones("status", served.lab, "--json")
    assert [one for one in json.loads(status.stdout)["processes"] if one["kind"] == "worker"] == []
    tables = anyones.exec(served.lab, "host", "nft", "list", "tables")
    assert "netlab-trace" not in tables


def test_ctrl_c_ends_it_and_the_death_of_its_child_is_an_error(
    netlab: Netlab, serve: Callable[[Netlab], Served]
) -> None:
    served = serve(netlab)
    served.process.send_signal(signal.SIGINT)
    _, errors = served.process.communicate(timeout=PATIENCE)
    assert served.process.returncode == 0, errors
    assert errors == ""

    served = serve(netlab)
    os.kill(served.child, signal.SIGKILL)
    _, errors = served.process.communicate(timeout=PATIENCE)
    assert served.process.returncode == 1
    assert "the process that serves the page has ended (return code -9)" in errors


def test_what_cannot_be_served(netlab: Netlab, tmp_path: Path) -> None:
    lab = netlab.name()
    file = tmp_path / "lab.yaml"  # with a node of the lab's own name: then the lab is meant
    file.write_text(f"services: {{{lab}: {{image: nginx}}}}\n")
    netlab("up", "-q", file, "--name", lab)
    assert "is a node; a page shows a whole lab" in netlab("serve", f"{lab}.client", code=2).stderr
    assert "a port is a number" in netlab("serve", lab, "--port", "70000", code=2).stderr
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = netlab("serve", lab, "--port", str(port), code=2)
    assert f"cannot listen on 127.0.0.1 port {port}: Address already in use" in done.stderr


@pytest.mark.parametrize("package", ["uvicorn", "starlette"])
def test_without_its_packages_it_says_what_to_install(netlab: Netlab, package: str) -> None:
    code = (
        f"import sys; sys.modules[{package!r}] = None; sys.argv[1:] = ['serve', 'x']; "
        "from netlab.cli.main import script; script()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=netlab.env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 4
    assert f"netlab serve needs the package {package}: pip install 'netlab[serve]'" in done.stderr
    assert "Traceback" not in done.stderr
