"""A conversation in the example app: the AI SDK's useChat on the gateway's own stream."""

import json
import re
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.end_to_end.browser.app_page import PHONE, SCREENSHOTS, SLOW, SLOWLY, is_free, opened, serious_violations
from tests.end_to_end.browser.chat_page import expect_answered, messages, say, settings
from tests.end_to_end.versions.conftest import Site
from tests.waiting import wait_until

pytestmark = pytest.mark.torchserve

CHAT = "**/api/chat/ui"
MARKDOWN = (
    "# A heading\n\nSome **bold** words and `code`.\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n"
    "[a link](https://example.com/) ![a picture](https://example.com/picture.png) <script>alert(1)</script>"
)


def requested(page: Page) -> list[dict[str, Any]]:
    """The bodies of the chats that are sent from now on."""
    bodies: list[dict[str, Any]] = []
    page.on("request", lambda request: bodies.append(request.post_data_json) if "/chat/ui" in request.url else None)
    return bodies


def ui_stream(*chunks: dict[str, Any]) -> str:
    return "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"


def answer_with(route: Route, text: str) -> None:
    """As the gateway answers."""
    body = ui_stream(
        {"type": "start", "messageId": "1", "messageMetadata": {"model": "tiny", "modelVersion": "1.0"}},
        {"type": "start-step"},
        {"type": "text-start", "id": "0"},
        {"type": "text-delta", "id": "0", "delta": text},
        {"type": "text-end", "id": "0"},
        {"type": "finish-step"},
        {"type": "finish", "finishReason": "stop", "messageMetadata": {"completionTokens": 9, "generationTime": 1}},
    )
    headers = {"content-type": "text/event-stream", "x-vercel-ai-ui-message-stream": "v1"}
    route.fulfill(body=body, headers=headers)


def test_a_conversation_goes_on_with_all_that_was_said_and_is_there_again_later(page: Page) -> None:
    sent = requested(page)
    say(page, "Once upon a time")
    expect_answered(page, 2)
    say(page, "And then?")
    expect_answered(page, 4)
    assert [message["role"] for message in sent[-1]["messages"]] == ["user", "assistant", "user"]
    said = messages(page).all_inner_texts()
    page.screenshot(path=SCREENSHOTS / "chat.png", full_page=True)
    assert serious_violations(page) == []

    page.reload()
    page.get_by_role("navigation", name="Conversations").get_by_role(
        "button", name="Once upon a time", exact=True
    ).click()
    expect(messages(page)).to_have_count(4)
    assert [text.splitlines()[0] for text in messages(page).all_inner_texts()] == [
        text.splitlines()[0] for text in said
    ]


def test_stop_keeps_what_is_there_and_frees_the_slot(page: Page, site: Site) -> None:
    settings(page).get_by_label("Version").select_option(SLOW)
    settings(page).get_by_label("Most tokens").fill("900")
    say(page, SLOWLY)
    expect(messages(page).last).to_contain_text("xx")
    expect(page.get_by_role("button", name="Stop")).to_be_visible()
    page.get_by_label("Message", exact=True).press("Escape")
    expect_answered(page, 2, "light 1.0 · stopped")
    assert 0 < messages(page).last.inner_text().count("x") < 900
    wait_until(lambda: is_free(site))


def test_leaving_a_conversation_frees_the_slot_and_keeps_what_was_written(page: Page, site: Site) -> None:
    settings(page).get_by_label("Version").select_option(SLOW)
    settings(page).get_by_label("Most tokens").fill("900")
    say(page, SLOWLY)
    expect(messages(page).last).to_contain_text("xx")
    page.get_by_role("button", name="New chat").click()
    wait_until(lambda: is_free(site))
    page.get_by_role("button", name=SLOWLY, exact=True).click()
    expect_answered(page, 2, "light 1.0 · stopped")


def test_a_question_that_is_changed_forgets_what_came_after_it(page: Page) -> None:
    sent = requested(page)
    for count, question in ((2, "A fox"), (4, "A dog")):
        say(page, question)
        expect_answered(page, count)
    messages(page).first.get_by_role("button", name="Edit").click()
    messages(page).first.get_by_role("textbox").fill("A cat")
    page.get_by_role("button", name="Send again").click()
    expect_answered(page, 2)
    expect(messages(page).first).to_contain_text("A cat")
    [only] = sent[-1]["messages"]
    assert only["parts"] == [{"type": "text", "text": "A cat"}]


def test_the_model_answers_again(page: Page) -> None:
    sent = requested(page)
    say(page, "A fox")
    expect_answered(page, 2)
    messages(page).last.get_by_role("button", name="Answer again").click()
    wait_until(lambda: len(sent) == 2)
    expect_answered(page, 2)
    assert [message["role"] for message in sent[-1]["messages"]] == ["user"]


def test_the_system_prompt_comes_first(page: Page) -> None:
    sent = requested(page)
    settings(page).get_by_label("System prompt").fill("Be brief.")
    say(page, "A fox")
    expect_answered(page, 2)
    assert [message["role"] for message in sent[-1]["messages"]] == ["system", "user"]


def test_the_page_runs_the_tool_and_the_model_goes_on_from_its_result(page: Page) -> None:
    sent = requested(page)
    settings(page).get_by_label("Tool").select_option("required")
    settings(page).locator("summary").click()
    say(page, "What time is it in Rome?")
    expect_answered(page, 2)
    reply = messages(page).last
    expect(reply).to_contain_text(re.compile(r'local_time\(\{"time_zone":"\w+/\w+"\}\)'))
    expect(reply).to_contain_text(re.compile(r"\d+ \w+ \d{4} at \d\d:\d\d"))
    assert [body["tool_choice"] for body in sent] == ["required", "none"]
    assert sent[1]["messages"][-1]["parts"][-1]["state"] == "output-available"
    expect(reply).to_contain_text(re.compile(r"tokens · \d+ a second"))
    expect(messages(page)).to_have_count(2)  # one answer, of two steps
    page.screenshot(path=SCREENSHOTS / "tool.png", full_page=True)


def test_markdown_is_laid_out_and_nothing_of_it_is_run_or_loaded(page: Page) -> None:
    loaded: list[str] = []
    page.on("request", lambda request: loaded.append(request.url))
    page.route(CHAT, lambda route: answer_with(route, MARKDOWN))
    say(page, "Show me")
    expect_answered(page, 2)
    reply = messages(page).last
    for tag in ("h1", "strong", "code", "table", "a[rel*=noopener]"):
        expect(reply.locator(tag)).to_have_count(1)
    expect(reply).to_contain_text("<script>alert(1)</script>")
    expect(reply.locator("img, script")).to_have_count(0)
    assert not [url for url in loaded if "example.com" in url]


def test_an_answer_is_copied_as_it_was_written(browser: Browser, app_url: str) -> None:
    with opened(browser, app_url, permissions=["clipboard-read", "clipboard-write"]) as page:
        page.route(CHAT, lambda route: answer_with(route, MARKDOWN))
        say(page, "Show me")
        expect_answered(page, 2)
        messages(page).last.get_by_role("button", name="Copy").click()
        expect(messages(page).last.get_by_role("button", name="Copied")).to_be_visible()
        assert page.evaluate("navigator.clipboard.readText()") == MARKDOWN


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (
            {"status": 503, "json": {"code": "overloaded", "detail": "Full.", "status": 503}},
            "Many are asking right now",
        ),
        ({"status": 422, "json": {"code": "invalid_request", "detail": "No tools.", "status": 422}}, "No tools."),
        ({"body": ui_stream({"type": "start"}, {"type": "error", "errorText": "It broke."})}, "It broke."),
        (None, "This page cannot reach its server"),
    ],
    ids=["busy", "refused", "within the stream", "no server"],
)
def test_a_failure_is_said_in_words_and_retry_works(page: Page, failure: dict[str, Any] | None, words: str) -> None:
    page.route(CHAT, lambda route: route.abort() if failure is None else route.fulfill(**failure), times=1)
    say(page, "A fox")
    alert = page.get_by_role("region", name="Chat").get_by_role("alert")
    expect(alert).to_contain_text(words)
    alert.get_by_role("button", name="Retry").press("Enter")
    expect(page.get_by_label("Message", exact=True)).to_be_focused()
    expect_answered(page, 2)
    expect(alert).to_have_count(0)


def test_a_chat_that_is_deleted_stays_so(page: Page) -> None:
    say(page, "A fox")
    expect_answered(page, 2)
    page.get_by_role("button", name="Delete A fox").click()
    expect(messages(page)).to_have_text(["Say something to the model."])
    page.reload()
    expect(page.get_by_role("button", name="New chat")).to_be_visible()
    expect(page.get_by_role("button", name="A fox", exact=True)).to_have_count(0)


def test_on_a_phone_the_button_sends_and_the_answer_is_in_sight(browser: Browser, app_url: str) -> None:
    with opened(browser, app_url, color_scheme="dark", **PHONE) as page:
        page.get_by_label("Message", exact=True).fill("A fox")
        page.get_by_label("Message", exact=True).press("Enter")
        expect(page.get_by_label("Message", exact=True)).to_have_value("A fox\n")
        page.get_by_role("button", name="Send").click()
        expect_answered(page, 2)
        expect(messages(page).last).to_be_in_viewport()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.screenshot(path=SCREENSHOTS / "phone.png")
        assert serious_violations(page) == []
