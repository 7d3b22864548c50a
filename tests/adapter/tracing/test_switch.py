import logging
import subprocess
import sys
from importlib import util

import pytest

from adapter.tracing.errors import TracingError
from adapter.tracing.switch import tracing_for

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}
CAPTURE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"OTEL_SERVICE_NAME": "mine"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": ""},
        ENDPOINT | {"OTEL_SDK_DISABLED": "true"},
        ENDPOINT | {"OTEL_TRACES_EXPORTER": "none"},
    ],
    ids=["nothing", "a name alone", "an empty endpoint", "disabled", "no exporter"],
)
def test_nothing_is_traced_where_no_variable_asks_for_it(environment: dict[str, str]) -> None:
    assert tracing_for(environment, None) is None


@pytest.mark.parametrize("environment", [ENDPOINT, {"OTEL_TRACES_EXPORTER": "console"}], ids=["endpoint", "exporter"])
def test_a_variable_switches_it_on(environment: dict[str, str]) -> None:
    assert tracing_for(environment, None) is not None


OFF = """
import sys
from adapter.gateway import create_app
from adapter.settings import Settings

create_app(Settings())
# redis imports the SDK of its own accord where it is installed.
print(sorted(name for name in sys.modules if name.startswith(("adapter.tracing.", "opentelemetry.exporter"))))
"""


def test_off_it_imports_nothing() -> None:
    process = subprocess.run([sys.executable, "-c", OFF], capture_output=True, text=True, check=True)
    assert process.stdout == "['adapter.tracing.switch']\n"


def test_without_the_packages_it_serves_and_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(util, "find_spec", lambda _: None)
    monkeypatch.setattr("adapter.tracing.switch.find_spec", lambda _: None)
    with caplog.at_level(logging.WARNING):
        assert tracing_for(ENDPOINT, None) is None
    assert "torchbridge[otel] is not installed" in caplog.text


@pytest.mark.parametrize(
    ("variables", "redaction", "reason"),
    [
        ({"OTEL_TRACES_EXPORTER": "nobody"}, None, "exporter nobody, which is not installed"),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "smtp"}, None, "cannot be smtp"),
        ({CAPTURE: "event_only"}, None, "cannot be event_only"),
        ({CAPTURE: "true"}, "absent:hook", "there is no absent:hook"),
        ({CAPTURE: "true"}, "json:absent", "there is no json:absent"),
    ],
    ids=["exporter", "protocol", "capture", "module", "function"],
)
def test_a_variable_that_makes_no_sense_is_refused(
    variables: dict[str, str], redaction: str | None, reason: str
) -> None:
    with pytest.raises(TracingError, match=reason):
        tracing_for(ENDPOINT | variables, redaction)
