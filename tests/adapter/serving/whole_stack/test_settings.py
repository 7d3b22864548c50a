"""What the settings of a server say of its workers, of its gateway's thread, and of what it loads later."""

import contextlib
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from adapter.process.thread_priority import NICER_BY
from adapter.serving import whole_stack
from adapter.versions.running_server import RunningServer
from tests.adapter.fake_torchserve import fake_torchserve


def test_what_it_loads_later_has_the_time_that_its_own_settings_give(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[float] = []

    def noting_restoration(find_server: Callable[[], RunningServer], _: object) -> None:
        given.append(find_server().settings.load_timeout)

    monkeypatch.setattr(whole_stack, "restore_others", noting_restoration)
    (tmp_path / "settings.toml").write_text("load_timeout = 1800\n")
    (tmp_path / "key_file.json").write_text("{}")  # as TorchServe would have written them
    (tmp_path / "config.properties").write_text("inference_address=http://a\nmanagement_address=http://b\n")
    settings_file = tmp_path / "settings.toml"
    with whole_stack.whole_stack(None, lambda _: None, port=0, settings_file=settings_file, run_directory=tmp_path):
        pass
    assert given == [1800]


@pytest.mark.parametrize(
    ("setting", "said", "compiles"),
    [
        pytest.param(None, None, True, id="by itself"),
        pytest.param("false", None, False, id="by the setting"),
        pytest.param("true", False, False, id="with --no-compile"),
        pytest.param("false", True, True, id="with --compile"),
    ],
)
def test_workers_compile_unless_it_is_switched_off(
    setting: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, said: bool | None, compiles: bool
) -> None:
    monkeypatch.delenv("TORCHBRIDGE_COMPILE")
    if setting is not None:
        monkeypatch.setenv("TORCHBRIDGE_COMPILE", setting)
    options: dict[str, object] = {}

    def noting(*arguments: object, **keywords: object) -> contextlib.AbstractContextManager[SimpleNamespace]:
        options.update(keywords)
        return fake_torchserve(*arguments, **keywords)

    monkeypatch.setattr(whole_stack, "TorchServeProcess", noting)
    with whole_stack.whole_stack(None, lambda _: None, port=0, compiles=said, run_directory=tmp_path):
        pass

    assert options["compiles"] is compiles


@pytest.mark.skipif(sys.platform != "linux", reason="threads have no priority of their own")
@pytest.mark.parametrize(
    ("setting", "nicer_by"),
    [pytest.param(None, NICER_BY, id="by itself"), pytest.param("false", 0, id="not where it is switched off")],
)
def test_the_gateway_gives_way_to_the_workers(
    setting: str | None, nicer_by: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if setting is not None:
        monkeypatch.setenv("TORCHBRIDGE_ENGINE_FIRST", setting)
    with whole_stack.whole_stack(None, lambda _: None, port=0, run_directory=tmp_path) as stack:
        gateway = stack._gateway.native_id
        assert gateway is not None
        own, others = (os.getpriority(os.PRIO_PROCESS, thread) for thread in (gateway, threading.get_native_id()))

    assert own == min(19, others + nicer_by)
