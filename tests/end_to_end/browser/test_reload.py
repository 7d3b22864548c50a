"""A page that is loaded anew finds its stream again, and what was stopped stays so: on each layer, to the engine."""

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest
import requests
from playwright.sync_api import BrowserContext, Locator, Page, expect
from pydantic import SecretStr

from adapter.engine_figures import EngineFigures
from adapter.gateway import create_app
from adapter.torchserve.run_directory import RunDirectory
from tests.end_to_end.browser.app_page import SCREENSHOTS, generate, opened_in, panel, wait_for_menus
from tests.end_to_end.browser.chat_page import expect_answered, messages, say, settings
from tests.end_to_end.browser.conftest import running_app
from tests.end_to_end.gateway_calls import TIMEOUT
from tests.end_to_end.versions.conftest import Site
from tests.fakes import serving
from tests.seeing import seen_at_last
from tests.waiting import wait_until

pytestmark = pytest.mark.torchserve

DEEP = "deep@1.0"
NUM_TOKENS, MOST_TOKENS = 60, 900  # seconds, in which a page is loaded anew, and stopped
SOMETHING, FIGURES, STOPPED = re.compile(r"\S"), re.compile(r"\d tokens · \d+ a second"), "deep 1.0 · stopped"
CONVERSATIONS = "torchbridge-conversations"


@dataclass(frozen=True)
class KeepingApp:
    """The app before a gateway that keeps streams, and that gateway before the site's TorchServe."""

    url: str
    gateway: str
    site: Site

    def num_tokens(self, at_least: int = 0) -> int:
        """All that the engine has ever generated, as soon as it generates nothing. It writes that once a second."""
        seen: list[EngineFigures] = []

        def is_idle() -> bool:
            figures = self._figures()
            seen[:] = [figures] if figures else []
            return figures is not None and figures.running == 0 and figures.answer_tokens >= at_least

        wait_until(is_idle)
        return seen[0].answer_tokens

    def num_tokens_after_a_call(self) -> int:
        """One of them is the call's own. By it the worker hears who has left: TorchServe calls it for others alone."""
        figures = self._figures()
        self.ask("/generate", {"prompt": "Once", "max_length": 1, "model": "deep"})
        return self.num_tokens(at_least=figures.answer_tokens + 1 if figures else 1)

    def ask(self, path: str, body: dict[str, Any]) -> requests.Response:
        """Without a cache, and without an id to come back by."""
        answer = requests.post(self.gateway + path, json=body, headers={"cache-control": "no-store"}, timeout=TIMEOUT)
        assert answer.ok, answer.text
        return answer

    def count(self, series: str) -> int:
        lines = requests.get(f"{self.gateway}/metrics", timeout=TIMEOUT).text.splitlines()
        [value] = (line.split()[1] for line in lines if line.startswith(f"torchbridge_{series} "))
        return int(float(value))

    def _figures(self) -> EngineFigures | None:
        [version] = self.site.server.management.describe("deep")
        place = RunDirectory(self.site.run_directory).compilations
        return EngineFigures.read(place, "deep", "1.0", version.workers[0].pid)


@pytest.fixture(scope="module")
def app(site: Site, app_url: str) -> Iterator[KeepingApp]:
    del app_url  # it is built
    kept = {"cursor_key": SecretStr("k" * 32), "unread_stream_seconds": 600.0, "model_store": site.server.files.store}
    keeping = create_app(site.server.settings.model_copy(update=kept))
    with serving(keeping) as gateway, running_app(gateway) as url:
        yield KeepingApp(url, gateway, site)


@pytest.fixture
def page(window: BrowserContext, app: KeepingApp) -> Iterator[Page]:
    with opened_in(window, app.url) as page:
        yield page


def sent_to(page: Page, end: str) -> list[dict[str, Any]]:
    """The bodies that the page sends from now on to addresses with this end."""
    bodies: list[dict[str, Any]] = []
    page.on("request", lambda sent: bodies.append(sent.post_data_json) if sent.url.endswith(end) else None)
    return bodies


def begin_text(page: Page, tokens: int) -> Locator:
    panel(page, "Generate").get_by_label("Temperature").fill("0")
    answer = generate(page, DEEP, tokens)
    expect(answer.locator(".generated")).to_contain_text(SOMETHING)
    return answer


def begin_chat(page: Page, tokens: int) -> Locator:
    form = settings(page)
    form.get_by_label("Version").select_option(DEEP)
    form.get_by_label("Most tokens").fill(str(tokens))
    form.get_by_label("Temperature").fill("0")
    say(page, "A fox")
    expect(messages(page)).to_have_count(2)
    expect(messages(page).last).to_contain_text(SOMETHING)
    return messages(page).last


def text_of_chat(page: Page) -> str:
    """As it was written, and not as it is laid out."""
    kept: list[dict[str, Any]] = json.loads(page.evaluate(f"localStorage.getItem('{CONVERSATIONS}')"))
    return "".join(part.get("text", "") for part in kept[0]["messages"][-1]["parts"])


def text_of_ui_stream(answer: requests.Response) -> str:
    lines = [line.removeprefix("data: ") for line in answer.text.splitlines() if line.startswith("data: {")]
    return "".join(json.loads(line).get("delta", "") for line in lines)


def left_by_a_reload(page: Page, answer: Locator, is_whole: str) -> bool:
    """Loads the page anew unless the answer is whole by then, which the page itself sees at that moment.

    is_whole: in JavaScript, of the answer's element.
    """
    script = f"element => ({is_whole}) ? false : Boolean(setTimeout(() => location.reload()))"
    is_left = False
    with suppress(AssertionError), page.expect_event("load"):
        assert answer.evaluate(script)
        is_left = True
    return is_left


def test_a_text_goes_on_in_the_page_that_is_loaded_anew(page: Page, app: KeepingApp) -> None:
    def begun_and_left() -> tuple[bool, int, int]:
        before, found = app.num_tokens(), app.count("streams_found_total")
        is_whole = "element.querySelector('[role=status]').innerText !== 'Writing'"
        return left_by_a_reload(page, begin_text(page, NUM_TOKENS), is_whole), before, found

    sent, answer = sent_to(page, "/generate/stream"), page.get_by_role("article", name="Answer", exact=True)
    is_left, before, found = seen_at_last(begun_and_left, lambda seen: seen[0])
    assert is_left
    expect(answer.get_by_role("status")).to_have_text("Done")
    page.screenshot(path=SCREENSHOTS / "reloaded.png", full_page=True)
    expect(answer.locator(".prompt")).to_have_text("Once upon a time")
    whole = app.ask("/generate", sent[0]).json()["text"]
    assert answer.locator(".generated").text_content() == whole
    assert app.count("streams_found_total") == found + 1
    assert app.num_tokens(before + 2 * NUM_TOKENS) == before + 2 * NUM_TOKENS


def test_a_text_that_is_stopped_behind_a_reload_stays_so(page: Page, app: KeepingApp) -> None:
    stopped = app.count("streams_stopped_total")
    answer = begin_text(page, MOST_TOKENS)
    page.reload()
    expect(answer.get_by_role("status")).to_have_text("Writing")
    panel(page, "Generate").get_by_role("button", name="Stop").click()
    expect(answer.get_by_role("status")).to_have_text("Stopped")
    wait_until(lambda: app.count("streams_stopped_total") == stopped + 1)
    assert app.count("running_requests") == 0
    num_tokens = app.num_tokens_after_a_call()

    sent = sent_to(page, "/generate/stream")
    page.reload()
    wait_for_menus(page)
    expect(answer.get_by_role("status")).to_have_text("Nothing yet")
    assert sent == []
    assert app.num_tokens_after_a_call() == num_tokens + 1


def test_a_chat_goes_on_in_the_page_that_is_loaded_anew(page: Page, app: KeepingApp) -> None:
    def begun_and_left() -> tuple[bool, int, list[dict[str, Any]]]:
        page.get_by_role("button", name="New chat").click()
        before, sent = app.num_tokens(), sent_to(page, "/chat/ui")
        is_whole = f"/{FIGURES.pattern}/.test(element.innerText)"
        return left_by_a_reload(page, begin_chat(page, NUM_TOKENS), is_whole), before, sent

    panel(page, "Chat")
    is_left, before, sent = seen_at_last(begun_and_left, lambda seen: seen[0])
    assert is_left
    expect_answered(page, 2, FIGURES)
    page.screenshot(path=SCREENSHOTS / "reloaded-chat.png", full_page=True)
    assert len(sent) == 1
    assert text_of_chat(page) == text_of_ui_stream(app.ask("/chat/ui", sent[0]))
    assert app.num_tokens(before + 2 * NUM_TOKENS) == before + 2 * NUM_TOKENS


def test_a_chat_that_is_stopped_behind_a_reload_stays_so(page: Page, app: KeepingApp) -> None:
    stopped = app.count("streams_stopped_total")
    begin_chat(page, MOST_TOKENS)
    page.reload()
    expect(page.get_by_role("button", name="Stop")).to_be_visible()
    expect(messages(page)).to_have_count(2)
    page.get_by_label("Message", exact=True).press("Escape")
    expect_answered(page, 2, STOPPED)
    wait_until(lambda: app.count("streams_stopped_total") == stopped + 1)
    assert app.count("running_requests") == 0
    text, num_tokens = text_of_chat(page), app.num_tokens_after_a_call()

    with page.expect_response(lambda answer: answer.url.endswith("/stream") and "/chat/ui/" in answer.url) as found:
        page.reload()
    assert found.value.status == 204
    expect_answered(page, 2, STOPPED)
    assert text_of_chat(page) == text
    assert app.num_tokens_after_a_call() == num_tokens + 1
