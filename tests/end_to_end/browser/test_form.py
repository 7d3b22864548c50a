"""A form that the model fills in from a note, with nothing that the form would not take."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.end_to_end.browser.app_page import SCREENSHOTS, panel, serious_violations

pytestmark = pytest.mark.torchserve


def fill(page: Page) -> Locator:
    panel(page, "Form").get_by_role("button", name="Fill in the form").click()
    return page.get_by_role("article", name="Form")


def test_each_field_gets_a_value_that_it_takes(page: Page) -> None:
    form = fill(page)
    expect(form.get_by_role("status")).to_have_text("Filled in")
    assert 1 <= len(form.get_by_label("Name").input_value()) <= 30
    assert form.get_by_label("Kind").input_value() in {"dog", "cat", "rabbit", "bird", "other"}
    assert 0 <= int(form.get_by_label("Age in years").input_value()) <= 40
    expect(form.locator("dl")).to_contain_text(re.compile("Tokens per second"))
    page.screenshot(path=SCREENSHOTS / "form.png", full_page=True)
    assert serious_violations(page) == []


def test_a_person_has_the_last_word(page: Page) -> None:
    form = fill(page)
    expect(form.get_by_role("status")).to_have_text("Filled in")
    form.get_by_label("Name").fill("Rex")
    form.get_by_label("Kind").select_option("rabbit")
    form.get_by_label("Age in years").fill("3")
    expect(form.get_by_label("Name")).to_have_value("Rex")
    expect(form.get_by_label("Kind")).to_have_value("rabbit")
    expect(form.get_by_label("Age in years")).to_have_value("3")


def test_a_failure_is_said_in_words_and_retry_works(page: Page) -> None:
    page.route("**/api/generate/stream", lambda route: route.abort(), times=3)  # the client tries again twice
    form = fill(page)
    expect(form.get_by_role("alert")).to_contain_text("This page cannot reach its server")
    form.get_by_role("button", name="Retry").click()
    expect(form).to_be_focused()
    expect(form.get_by_role("status")).to_have_text("Filled in")


# models/tiny writes a pet in less time than a click takes. This answer has a name, and then waits for ever.
UNFINISHED = """
const START = {type: "start", id: "r", model: "tiny", model_version: "1.0", model_digest: "0", prompt_tokens: 1};
const NAME = {type: "delta", index: 0, text: '{"name": "Biscuit", '};
const real = window.fetch;
window.fetch = (address, init) => {
  if (!String(address).endsWith("/generate/stream")) return real(address, init);
  const body = new ReadableStream({
    start(controller) {
      const text = [START, NAME].map((event) => `data: ${JSON.stringify(event)}\\n\\n`).join("");
      controller.enqueue(new TextEncoder().encode(text));
      init.signal.addEventListener("abort", () => controller.error(init.signal.reason));
    },
  });
  return Promise.resolve(new Response(body, {headers: {"content-type": "text/event-stream"}}));
};
"""


def test_stop_keeps_the_fields_that_are_filled_in(page: Page) -> None:
    page.add_init_script(UNFINISHED)
    page.reload()
    form = fill(page)
    expect(form.get_by_label("Name")).to_have_value("Biscuit")
    panel(page, "Form").get_by_role("button", name="Stop").click()
    expect(form.get_by_role("status")).to_have_text("Stopped")
    expect(form.get_by_label("Name")).to_have_value("Biscuit")
