"""The example app's chat as a person has it before them."""

import re

from playwright.sync_api import Locator, Page, expect


def messages(page: Page) -> Locator:
    return page.get_by_role("list", name="Messages").get_by_role("listitem")


def say(page: Page, text: str) -> None:
    page.get_by_label("Message", exact=True).fill(text)
    page.get_by_label("Message", exact=True).press("Enter")


def settings(page: Page) -> Locator:
    form = page.get_by_role("region", name="Chat").locator("details")
    if form.get_attribute("open") is None:
        form.locator("summary").click()
    return form


def expect_answered(
    page: Page, count: int, words: str | re.Pattern[str] = re.compile(r"tokens · \d+ a second")
) -> None:
    """That there are so many messages, the last of which is whole and says by whom."""
    expect(messages(page)).to_have_count(count)
    expect(messages(page).last).to_contain_text(words)
