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
    expect(form.get_by_role("status")).to_have_text("Filled in")
