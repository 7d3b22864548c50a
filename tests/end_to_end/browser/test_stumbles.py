"""Where people once stumbled in the app: a gateway that is not there, long and empty prompts, phones, motion."""

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.end_to_end.browser.app_page import (
    PHONE,
    SCREENSHOTS,
    SLOW,
    generate,
    opened,
    panel,
    serious_violations,
    wait_for_menus,
)

pytestmark = pytest.mark.torchserve


def test_a_gateway_that_is_not_there_is_said_and_its_menus_fill_when_it_is_back(browser: Browser, app_url: str) -> None:
    with opened(browser, "about:blank", is_served=False) as page:
        page.route("**/api/models", lambda route: route.abort())
        page.goto(app_url)
        notice = page.get_by_role("status").first
        expect(notice).to_contain_text("The model server is not there")
        expect(panel(page, "Compare versions").get_by_label("Left", exact=True)).to_contain_text("none is served")
        page.unroute("**/api/models")
        wait_for_menus(page)
        expect(notice).to_have_text("")
        expect(panel(page, "Compare versions").get_by_label("Left", exact=True)).to_have_value("tiny@1.0")


def test_a_prompt_that_is_too_long_is_said_in_sight(page: Page) -> None:
    panel(page, "Generate").get_by_label("Prompt").fill("the fox " * 9_000)
    answer = generate(page, "tiny@1.0")
    expect(answer.get_by_role("alert")).to_contain_text("too long")
    expect(answer.get_by_role("alert")).to_be_in_viewport()
    assert page.evaluate("document.documentElement.scrollHeight") < 2_000


def test_an_empty_prompt_is_the_browser_s_to_refuse(page: Page) -> None:
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if "/generate" in request.url else None)
    prompt = panel(page, "Generate").get_by_label("Prompt")
    prompt.fill("")
    prompt.press("Control+Enter")
    expect(prompt).to_be_focused()
    assert prompt.evaluate("element => element.matches(':invalid')")
    assert sent == []
    prompt.fill("Once")
    prompt.press("Control+Enter")
    expect(page.get_by_role("article", name="Answer", exact=True).get_by_role("status")).to_have_text("Done")


def test_on_a_phone_the_answer_comes_into_sight_and_no_keys_are_named(browser: Browser, app_url: str) -> None:
    with opened(browser, app_url, **PHONE) as page:
        answer = generate(page, SLOW)
        expect(answer.get_by_role("status")).to_be_in_viewport()
        expect(answer.get_by_role("status")).to_have_text("Done")
        for hint in page.locator(".keys").all():
            expect(hint).to_be_hidden()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize(("motion", "name"), [("no-preference", "pulse"), ("reduce", "none")])
def test_waiting_is_seen_to_wait_by_who_likes_motion(browser: Browser, app_url: str, motion: str, name: str) -> None:
    with opened(browser, app_url, reduced_motion=motion) as page:
        page.route("**/api/generate/stream", lambda _: None)  # never answered
        answer = generate(page)
        expect(answer.get_by_role("status")).to_have_text("Waiting for the first word")
        marked = "element => getComputedStyle(element, '::before').animationName"
        assert answer.get_by_role("status").evaluate(marked) == name
        page.screenshot(path=SCREENSHOTS / f"waiting-{motion}.png", full_page=True)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_each_tab_is_usable_by_all_in_light_and_dark(browser: Browser, app_url: str, scheme: str) -> None:
    with opened(browser, app_url, color_scheme=scheme) as page:
        tabs = page.get_by_role("tab")
        tabs.first.focus()
        for name in ("Form", "Compare versions", "Generate", "Chat"):
            page.keyboard.press("ArrowRight")
            expect(page.get_by_role("tab", name=name)).to_be_focused()
            expect(page.get_by_role("tabpanel", name=name)).to_be_visible()
            assert serious_violations(page) == []
        page.screenshot(path=SCREENSHOTS / f"{scheme}.png", full_page=True)
