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


def test_a_name_that_the_terminal_cannot_show_is_shown_escaped(tmp_path: Path) -> None:
    """Of a file whose name is no UTF-8, and of a language that the terminal has no letters of."""
    name = os.fsdecode(b"\xffrelease-\xc3\xbc")
    done = subprocess.run(
        [sys.executable, "-c", "from adapter.entry_point import main; main()", "keys", "new", str(tmp_path / name)],
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=False,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert rb"\udcffrelease-\xfc" in done.stdout


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
from adapter.process.background_output import background_output, say
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
