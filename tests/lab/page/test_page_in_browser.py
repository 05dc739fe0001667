"""The report in a real Chromium: filters, playback, keys, no error, no request, no fault that axe-core finds.

Debian's Chromium, driven by Playwright; ./install --dev brings both. Without them these tests fail.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright
from support.pages import few, hostile, many, seed, written

from netlab.journey.matrix import question
from netlab.view.page.report import Side

CHROMIUM = "/usr/bin/chromium"
#: Seconds for one step of a page on a machine that is busy with thirty other programs.
PATIENCE = 400.0
pytestmark = pytest.mark.timeout(900)
Open = Callable[..., Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        # Chromium does not start its own sandbox as root; the pages are ours, from a local file.
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox"], timeout=PATIENCE * 1000
        )
        yield browser
        browser.close()


@pytest.fixture
def opened(browser: Browser, tmp_path: Path) -> Iterator[Open]:
    """Open a report; what the browser complained of, and what it asked for, must be nothing at the end."""
    wrong: list[str] = []
    contexts = []

    def open_page(*make: Callable[[], Side], **options: object) -> Page:
        file = tmp_path / "report.html"
        file.write_text(written(*make), encoding="utf-8")
        contexts.append(browser.new_context(**{"viewport": {"width": 1280, "height": 720}, **options}))
        page = contexts[-1].new_page()
        page.set_default_timeout(PATIENCE * 1000)
        page.on("console", lambda message: wrong.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("dialog", lambda dialog: wrong.append(dialog.message))
        page.on("request", lambda one: one.url == file.as_uri() or wrong.append(one.url))
        page.goto(file.as_uri(), wait_until="domcontentloaded")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert wrong == []


def rows(page: Page) -> int:
    """The rows that are laid out."""
    shown = "Array.from(document.querySelectorAll('#flows tr')).filter((row) => row.getClientRects().length)"
    return int(page.evaluate(f"{shown}.length"))


def choose(page: Page, origin: str, target: str, family: str) -> str:
    """Click the answer of a flow; returns the id of its journey."""
    row = page.locator(f'#flows tr[data-origin="{origin}"][data-target="{target}"][data-family="{family}"]')
    row.locator("a.answer").first.click()
    return row.get_attribute("data-key") or ""


def test_the_filters_find_flows_as_they_are_typed(opened: Open) -> None:
    page = opened(seed)
    assert rows(page) == len(seed().column.answers)
    page.keyboard.press("/")
    page.keyboard.type("client host:80")
    assert rows(page) == 2
    assert page.locator("#count").text_content() == f"2 of {len(seed().column.answers)} flows"
    page.get_by_label("Family").select_option("ipv6")
    assert rows(page) == 1
    assert page.locator("#flows tr:visible").text_content().split()[-1] == "proxy"  # type: ignore[union-attr]
    page.get_by_role("button", name="Reset").click()
    page.get_by_label("Outcome").select_option("timeout")
    wanted = [one for _, one in seed().column.answers.values() if one.outcome == "timeout"]
    page.wait_for_function(f"document.querySelectorAll('#flows tr').length == {len(wanted)}")


def test_a_journey_is_played_with_the_whole_chain_beside_it(opened: Open) -> None:
    page = opened(seed)
    key = choose(page, "client", "host:80/tcp", "ipv4")
    flow = page.locator(f"#{key}")
    assert flow.is_visible()
    assert page.locator(".flow:visible").count() == 1
    steps = flow.locator(".steps > li")
    decided = next(n for n in range(steps.count()) if "decided" in (steps.nth(n).text_content() or ""))
    for _ in range(decided + 1):
        page.keyboard.press("l")
    assert "now" in (steps.nth(decided).get_attribute("class") or "")
    assert f"Step {decided + 1} of {steps.count()}" in (page.locator("#now").text_content() or "")
    walked = flow.locator(".walked table").first
    assert walked.locator("caption").text_content().startswith("ip filter DOCKER ")  # type: ignore[union-attr]
    assert walked.locator("tbody tr").count() == 2  # the whole chain: 443, which did not match, and 80
    assert "--dport 80 " in (walked.locator("tr.now").text_content() or "")
    assert flow.locator("g.now").get_attribute("data-stage") == "2"
    page.keyboard.press("j")
    assert "now" in (steps.nth(decided - 1).get_attribute("class") or "")


def test_play_goes_on_by_itself_and_pauses(opened: Open) -> None:
    page = opened(seed)
    page.clock.install()
    choose(page, "host", "localhost:80/tcp", "ipv4")

    def step() -> int:
        return int((page.locator("#now").text_content() or "").split()[1])

    page.keyboard.press("k")
    first = step()
    page.clock.run_for(1300)
    assert step() > first
    page.get_by_role("button", name="Pause").click()
    paused = step()
    page.clock.run_for(5000)
    assert step() == paused
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.className") == "answer ok"


def test_variants_are_played_beside_each_other(opened: Open) -> None:
    page = opened(few, few)
    key = choose(page, "client", "host:80/tcp", "ipv4")
    page.keyboard.press("l")
    assert page.locator(f"#{key} article").count() == 2
    assert page.locator(f"#{key} .steps li.now").count() == 2
    one, two = (page.locator(f"#{key} article").nth(number).bounding_box() for number in (0, 1))
    assert one is not None
    assert two is not None
    assert one["y"] == two["y"]
    assert one["x"] + one["width"] <= two["x"]
    page.get_by_label("only differences").check()
    assert rows(page) == 0


def test_without_its_script_everything_is_there_to_read(opened: Open) -> None:
    page = opened(few, java_script_enabled=False)
    assert page.locator(".flow:visible").count() == len(few().column.answers)
    assert not page.locator("#filters").is_visible()
    assert page.get_by_text("put the rule in DOCKER-USER").first.is_visible()


def test_print_shows_every_journey_and_no_control(opened: Open) -> None:
    page = opened(few)
    page.emulate_media(media="print")
    assert page.locator(".flow:visible").count() == len(few().column.answers)
    assert not page.locator("#filters").is_visible()


def test_hostile_text_runs_nothing(opened: Open) -> None:
    page = opened(hostile)
    page.locator("#flows a.answer").nth(3).click()
    for _ in range(6):
        page.keyboard.press("l")
    assert page.evaluate("typeof pwned") == "undefined"
    assert page.evaluate("document.querySelectorAll('img, iframe, object').length") == 0
    assert page.evaluate("document.scripts.length") == 2
    assert page.evaluate("document.title").startswith("netlab: </script></title>")


@pytest.mark.parametrize(("width", "height"), [(1280, 720), (390, 844)])
@pytest.mark.parametrize(("scheme", "sides"), [("dark", [few]), ("light", [few, few])])
def test_axe_finds_nothing_and_nothing_is_wider_than_the_screen(
    opened: Open, width: int, height: int, scheme: str, sides: list[Callable[[], Side]]
) -> None:
    page = opened(
        *sides, viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion="reduce"
    )
    key = choose(page, "client", "host:80/tcp", "ipv4")
    for _ in range(3):
        page.keyboard.press("l")
    assert page.locator(f"#{key}").is_visible()
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    wide = page.evaluate(
        """() => Array.from(document.querySelectorAll("body *:not(.skip)"))
            .filter((one) => one.getBoundingClientRect().right > innerWidth)
            .map((one) => `${one.tagName} ${one.className}: ${one.textContent.slice(0, 60)}`)"""
    )
    assert wide == []
    # The letters of both drawings are large enough to read.
    letters = "(selector) => document.querySelector(selector).getScreenCTM().a * 14"
    shown = "slim" if width < 896 else "wide"
    assert page.evaluate(letters, f".{shown} svg") >= 10
    assert page.evaluate(letters, f"#{key} svg") >= 10


def test_reduced_motion_is_honoured(opened: Open) -> None:
    page = opened(few, reduced_motion="reduce")
    choose(page, "client", "host:80/tcp", "ipv4")
    look = "getComputedStyle(document.querySelector('.flow.open .steps li')).transitionDuration"
    assert page.evaluate(look) == "0s"


def test_a_matrix_of_2000_flows_filters_without_a_visible_pause(opened: Open) -> None:
    """What takes time, counted: a keystroke is few layouts of 100 rows at most, however many rows change."""
    page = opened(many)
    named = [question(cell) for cell, _ in many().column.answers.values()]
    one, client = (
        sum(word in f"{origin} {target}" for origin, target, _ in named) for word in ("httpd-1", "client")
    )
    assert one > 0
    assert client > 100
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")

    def layouts() -> int:
        metrics = session.send("Performance.getMetrics")["metrics"]
        return sum(one["value"] for one in metrics if one["name"] in ("LayoutCount", "RecalcStyleCount"))

    for text, found in (("httpd-1", one), ("client", client), ("no such flow", 0), ("", 2000)):
        before = layouts()
        page.evaluate(
            """(text) => {
                const box = document.getElementById("filter-text");
                box.value = text;
                box.dispatchEvent(new Event("input", {bubbles: true}));
                document.body.offsetHeight;  // the layout is part of it
            }""",
            text,
        )
        assert layouts() - before < 20
        assert rows(page) == min(found, 100)
        assert (page.locator("#count").text_content() or "").startswith(f"{found} of 2000 flows")
    assert page.locator("#count").text_content() == "2000 of 2000 flows, the first 100 are shown"
    order = "Array.from(document.querySelectorAll('#flows tr'), (row) => row.dataset.key)"
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate(order) == [f"f{number}" for number in range(2000)]
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert rows(page) == 100
    page.get_by_role("button", name="Show all").click()
    assert page.locator("#count").text_content() == "2000 of 2000 flows"
    assert page.evaluate(order) == [f"f{number}" for number in range(2000)]
