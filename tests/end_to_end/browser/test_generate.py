"""A prompt and the text that goes on from it, and two versions side by side, with the real stack behind them."""

import signal
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Browser, Page, expect

from adapter.schema import MAX_LENGTH
from tests.end_to_end.browser.app_page import (
    SCREENSHOTS,
    SLOW,
    SLOWLY,
    generate,
    is_free,
    opened,
    panel,
    serious_violations,
)
from tests.end_to_end.versions.conftest import Site
from tests.end_to_end.versions.long_answer import LongAnswer
from tests.waiting import wait_until

pytestmark = pytest.mark.torchserve


def test_the_text_grows_before_it_is_done_and_then_says_who_wrote_it_and_how_fast(page: Page, tmp_path: Path) -> None:
    long = LongAnswer(tmp_path / "ended")
    answer = generate(page, SLOW, MAX_LENGTH, str(long.file))
    status, text = answer.get_by_role("status"), answer.locator(".generated")
    lengths: list[int] = []

    def has_grown_twice() -> bool:
        lengths.append(len(text.inner_text()))
        return len(set(lengths)) > 2

    expect(status).to_have_text("Writing")
    wait_until(has_grown_twice)
    expect(status).to_have_text("Writing")
    long.end()
    expect(status).to_have_text("Done")
    lengths.append(len(text.inner_text()))
    assert lengths == sorted(lengths)
    expect(answer.locator("dl")).to_contain_text(f"Tokens{lengths[-1]}")  # a letter each
    expect(answer.locator("dl")).to_contain_text("light 1.0")
    for figure in ("Tokens per second", "First token"):
        expect(answer.locator("dl")).to_contain_text(figure)


def test_stop_frees_the_worker_s_slot_and_keeps_the_text_and_who_wrote_it(page: Page, site: Site) -> None:
    answer = generate(page, SLOW, 900, SLOWLY)
    expect(answer.locator(".generated")).to_contain_text("x")
    traffic = site.server.gateway.traffic().of("light", "1.0")
    assert traffic is not None
    assert traffic.running_requests == 1
    panel(page, "Generate").get_by_role("button", name="Stop").click()
    expect(answer.get_by_role("status")).to_have_text("Stopped")
    assert 0 < len(answer.locator(".generated").inner_text()) < 900
    expect(answer.locator("dl")).to_contain_text("light 1.0")
    wait_until(lambda: is_free(site))


def test_a_page_that_is_closed_frees_the_worker_s_slot(browser: Browser, app_url: str, site: Site) -> None:
    with opened(browser, app_url) as page:
        answer = generate(page, SLOW, 900, SLOWLY)
        expect(answer.locator(".generated")).to_contain_text("x")
        assert not is_free(site)
    wait_until(lambda: is_free(site))


def test_a_worker_that_is_killed_is_said_in_words_and_retry_works_and_keeps_the_focus(page: Page, site: Site) -> None:
    answer = generate(page, SLOW, 60, SLOWLY)
    expect(answer.locator(".generated")).to_contain_text("x")
    [description] = site.server.management.describe("light")
    psutil.Process(description.workers[0].pid).send_signal(signal.SIGKILL)
    alert = answer.get_by_role("alert")
    expect(alert).to_contain_text("The model stopped in the middle of this answer.")
    expect(answer.get_by_role("status")).to_have_text("Failed")
    assert "x" in answer.locator(".generated").inner_text()
    expect(answer.locator("dl")).to_contain_text("light 1.0")
    page.screenshot(path=SCREENSHOTS / "error.png", full_page=True)
    assert serious_violations(page) == []
    wait_until(lambda: site.server.management.describe("light")[0].ready_workers == 1)
    alert.get_by_role("button", name="Retry").press("Enter")
    expect(answer).to_be_focused()
    expect(answer.get_by_role("status")).to_have_text("Done")


def test_two_versions_of_one_model_answer_the_same_prompt_side_by_side(page: Page) -> None:
    compared = panel(page, "Compare versions")
    expect(compared.get_by_label("Left", exact=True)).to_have_value("tiny@1.0")
    expect(compared.get_by_label("Right", exact=True)).to_have_value("tiny@2.0")
    button = compared.get_by_role("button", name="Generate")
    button.press("Enter")
    for version in ("1.0", "2.0"):
        side = compared.get_by_role("article", name=f"Answer of tiny@{version}")
        expect(side.get_by_role("status")).to_have_text("Done")
        expect(side.locator("dl")).to_contain_text(f"tiny {version}")
    expect(button).to_be_focused()
    page.screenshot(path=SCREENSHOTS / "compare.png", full_page=True)
    assert serious_violations(page) == []
