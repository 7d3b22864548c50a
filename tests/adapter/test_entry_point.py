import os
import signal
import sys
from importlib.abc import MetaPathFinder

import pytest

from adapter.entry_point import main


class SignalOfImports(MetaPathFinder):
    def find_spec(self, name: str, *_: object) -> None:
        if name == "adapter.cli":
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.usefixtures("hears_all_signals")
def test_a_signal_in_the_imports_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, "adapter.cli", raising=False)
    monkeypatch.setattr(sys, "meta_path", [SignalOfImports(), *sys.meta_path])
    with pytest.raises(SystemExit) as exit_:
        main()
    assert (exit_.value.code, capsys.readouterr().err) == (130, "torchbridge: stopped by SIGINT\n")
