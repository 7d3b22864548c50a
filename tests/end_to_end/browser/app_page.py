"""The example app as a person has it before them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Locator, Page

from tests.end_to_end.versions.conftest import Site
from tests.project import PROJECT

APP = PROJECT / "ts-client" / "examples" / "nextjs"
SCREENSHOTS = APP / "screenshots"
SLOW = "light@1.0"  # a letter every five milliseconds
SLOWLY = "Slowly"  # a prompt for which it is a tenth of a second
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


def new_window(browser: Browser, **context: Any) -> BrowserContext:
    usual = {"viewport": {"width": 1180, "height": 820}, "reduced_motion": "reduce"}  # motion takes a core
    return browser.new_context(**usual | context)


@contextmanager
def opened(browser: Browser, url: str, *, is_served: bool = True, **context: Any) -> Iterator[Page]:
    """A page of the app in a window of its own."""
    with new_window(browser, **context) as window, opened_in(window, url, is_served=is_served) as page:
        yield page


@contextmanager
def opened_in(window: BrowserContext, url: str, *, is_served: bool = True) -> Iterator[Page]:
    """A page of the app with its menus filled, if there `is_served` anything, and with nothing kept by an earlier one.

    An error that nobody catches fails the test.
    """
    page = window.new_page()
    page.set_default_timeout(120_000)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    forgotten = {"origin": url, "storageTypes": "local_storage"}
    window.new_cdp_session(page).send("Storage.clearDataForOrigin", forgotten)
    page.goto(url)
    if is_served:
        wait_for_menus(page)
    yield page
    page.close()
    assert errors == []


def wait_for_menus(page: Page) -> None:
    menu = page.locator("#panel-generate").get_by_label("Version", exact=True)
    menu.locator("option", has_text=SLOW).wait_for(state="attached")


def panel(page: Page, tab: str) -> Locator:
    page.get_by_role("tab", name=tab).click()
    return page.get_by_role("tabpanel", name=tab)


def generate(page: Page, version: str | None = None, tokens: int = 200, prompt: str | None = None) -> Locator:
    """Has the answer begin, which is returned."""
    opened_panel = panel(page, "Generate")
    if prompt is not None:
        opened_panel.get_by_label("Prompt").fill(prompt)
    if version is not None:
        opened_panel.get_by_label("Version").select_option(version)
    opened_panel.get_by_label("Most tokens").fill(str(tokens))
    opened_panel.get_by_role("button", name="Generate").click()
    return page.get_by_role("article", name="Answer", exact=True)


def is_free(site: Site) -> bool:
    traffic = site.server.gateway.traffic().of("light", "1.0")
    return traffic is not None and traffic.live_requests == traffic.running_requests == 0


def serious_violations(page: Page) -> list[tuple[str, list[str]]]:
    page.add_script_tag(path=APP / "node_modules" / "axe-core" / "axe.min.js")
    found: list[dict[str, Any]] = page.evaluate("async () => (await axe.run()).violations")
    serious = [violation for violation in found if violation["impact"] in {"serious", "critical"}]
    return [(violation["id"], [node["html"] for node in violation["nodes"]]) for violation in serious]
