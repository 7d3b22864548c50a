"""What a person sees and does in the example app, with the real stack behind it."""

import signal
from typing import Any

import psutil
import pytest
import requests
from playwright.sync_api import Browser, Locator, Page, expect

from adapter.event_stream import EventDecoder
from adapter.schema import DoneEvent
from tests.end_to_end.browser.conftest import APP, SCREENSHOTS, opened
from tests.end_to_end.versions.conftest import Site
from tests.waiting import wait_until

pytestmark = pytest.mark.torchserve

SLOW = "light@1.0"  # a letter every five milliseconds


@pytest.fixture(autouse=True)
def patience() -> None:
    expect.set_options(timeout=120_000)


def answer(page: Page) -> Locator:
    return page.get_by_role("article", name="Answer", exact=True)


def text_of(page: Page) -> str:
    return answer(page).locator(".generated").inner_text()


def generate(page: Page, version: str | None = None, tokens: int = 200) -> None:
    panel = page.get_by_role("tabpanel", name="Generate")
    if version is not None:
        panel.get_by_label("Version").select_option(version)
    panel.get_by_label("Most tokens").fill(str(tokens))
    panel.get_by_role("button", name="Generate").click()


def serious_violations(page: Page) -> list[tuple[str, list[str]]]:
    page.add_script_tag(path=APP / "node_modules" / "axe-core" / "axe.min.js")
    found: list[dict[str, Any]] = page.evaluate("async () => (await axe.run()).violations")
    serious = [violation for violation in found if violation["impact"] in {"serious", "critical"}]
    return [(violation["id"], [node["html"] for node in violation["nodes"]]) for violation in serious]


def test_the_text_grows_before_it_is_done_and_then_says_who_wrote_it_and_how_fast(page: Page) -> None:
    generate(page, SLOW, 900)
    status = answer(page).get_by_role("status")
    expect(status).to_have_text("Writing")
    lengths: list[int] = []
    while status.inner_text() == "Writing":
        lengths.append(len(text_of(page)))
    assert len(set(lengths)) > 2
    assert lengths == sorted(lengths)
    expect(status).to_have_text("Done")
    assert len(text_of(page)) == 900
    expect(answer(page).locator("dl")).to_contain_text("light 1.0")
    for figure in ("Tokens per second", "First token"):
        expect(answer(page).locator("dl")).to_contain_text(figure)


def test_stop_frees_the_worker_s_slot(page: Page, site: Site) -> None:
    generate(page, SLOW, 900)
    expect(answer(page).locator(".generated")).to_contain_text("x")
    traffic = site.server.gateway.traffic().of("light", "1.0")
    assert traffic is not None
    assert traffic.running_requests == 1
    page.get_by_role("tabpanel", name="Generate").get_by_role("button", name="Stop").click()
    expect(answer(page).get_by_role("status")).to_have_text("Stopped")
    assert 0 < len(text_of(page)) < 900
    wait_until(lambda: _is_free(site))


def _is_free(site: Site) -> bool:
    traffic = site.server.gateway.traffic().of("light", "1.0")
    return traffic is not None and traffic.live_requests == traffic.running_requests == 0


def test_a_page_that_is_closed_frees_the_worker_s_slot(browser: Browser, app_url: str, site: Site) -> None:
    with opened(browser, app_url) as page:
        generate(page, SLOW, 900)
        expect(answer(page).locator(".generated")).to_contain_text("x")
        assert not _is_free(site)
    wait_until(lambda: _is_free(site))


def test_a_worker_that_is_killed_is_said_in_words_and_retry_works(page: Page, site: Site) -> None:
    generate(page, SLOW, 900)
    expect(answer(page).locator(".generated")).to_contain_text("x")
    [description] = site.server.management.describe("light")
    psutil.Process(description.workers[0].pid).send_signal(signal.SIGKILL)
    alert = answer(page).get_by_role("alert")
    expect(alert).to_contain_text("The model stopped in the middle of this answer.")
    expect(answer(page).get_by_role("status")).to_have_text("Failed")
    assert "x" in text_of(page)
    page.screenshot(path=SCREENSHOTS / "error.png", full_page=True)
    assert serious_violations(page) == []
    wait_until(lambda: site.server.management.describe("light")[0].ready_workers == 1)
    alert.get_by_role("button", name="Retry").click()
    expect(answer(page).get_by_role("status")).to_have_text("Done")


def test_two_versions_answer_the_same_prompt_side_by_side(page: Page) -> None:
    page.get_by_role("tab", name="Generate").press("ArrowRight")
    panel = page.get_by_role("tabpanel", name="Compare versions")
    panel.get_by_label("Left").select_option("tiny@1.0")
    panel.get_by_label("Right").select_option("tiny@2.0")
    button = panel.get_by_role("button", name="Generate")
    button.press("Enter")
    for version in ("1.0", "2.0"):
        side = panel.get_by_role("article", name=f"Answer of tiny@{version}")
        expect(side.get_by_role("status")).to_have_text("Done")
        expect(side.locator("dl")).to_contain_text(f"tiny {version}")
    expect(button).to_be_focused()
    page.screenshot(path=SCREENSHOTS / "compare.png", full_page=True)
    assert serious_violations(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_usable_by_all_in_light_and_dark(browser: Browser, app_url: str, scheme: str) -> None:
    with opened(browser, app_url, color_scheme=scheme) as page:
        page.get_by_label("Prompt").first.press("Control+Enter")
        expect(answer(page).get_by_role("status")).to_have_text("Done")
        page.screenshot(path=SCREENSHOTS / f"{scheme}.png", full_page=True)
        assert serious_violations(page) == []


@pytest.mark.parametrize("path", ["/gateway/metrics", "/api/metrics", "/api/docs", "/api/openapi.json"])
def test_nothing_of_the_gateway_is_public_but_what_the_page_uses(app_url: str, path: str) -> None:
    assert requests.get(app_url + path, timeout=120).status_code == 404


def test_a_stream_comes_in_pieces_also_to_who_takes_gzip(app_url: str) -> None:
    body = {"prompt": "Once", "model": "light", "model_version": "1.0", "max_length": 300}
    headers = {"accept-encoding": "gzip", "accept": "text/event-stream"}
    pieces: list[int] = []
    decoder, events = EventDecoder(), []
    with requests.post(
        f"{app_url}/api/generate/stream", json=body, headers=headers, stream=True, timeout=120
    ) as response:
        assert "content-encoding" not in response.headers
        while piece := response.raw.read1(2**16):
            pieces.append(len(events))
            events += decoder.feed(piece)
    assert isinstance(events[-1], DoneEvent)
    # Most of the text had come before the last piece did.
    assert len(pieces) > 10
    assert len(events) / 4 < pieces[-1] < len(events)
