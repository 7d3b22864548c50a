import os
import signal
import subprocess
import sys
from importlib.abc import MetaPathFinder
from pathlib import Path

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


@pytest.mark.parametrize("closed", [(1,), (2,), (1, 2), (0, 1, 2)], ids=str)
def test_a_standard_stream_that_is_closed_leads_nowhere(closed: tuple[int, ...], tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    code = f"""
import os, sys
for each in {closed}:
    os.close(each)
os.execv(sys.executable, [sys.executable, "-c", '''
import os, sys, types
from pathlib import Path
from adapter.background_output import background_output, say
def run_command():
    with background_output():
        say("said")
        print("said", file=sys.stderr)
    Path({str(seen)!r}).write_text(" ".join(os.readlink(f"/proc/self/fd/{{each}}") for each in {closed}))
sys.modules["adapter.cli"] = types.SimpleNamespace(main=run_command)
from adapter.entry_point import main
main()
'''])
"""
    subprocess.run([sys.executable, "-c", code], check=False, capture_output=True)
    assert seen.read_text() == " ".join([os.devnull] * len(closed))
