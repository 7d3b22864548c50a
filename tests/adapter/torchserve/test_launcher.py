"""How a TorchServe is ended: its parent, Java and a worker are programs of a few lines here."""

import signal
import subprocess
import sys
from pathlib import Path

import psutil

from adapter.torchserve.launcher import _end

TORCHSERVE = """
import signal, subprocess, sys
from pathlib import Path

who, cleaned_up = sys.argv[1], Path(sys.argv[2])

def clean_up(*_):
    cleaned_up.touch()
    sys.exit()

if who == "java":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
elif who == "worker":
    signal.signal(signal.SIGTERM, clean_up)
if child := {"parent": "java", "java": "worker"}.get(who):
    process = subprocess.Popen([sys.executable, __file__, child, cleaned_up], stdout=subprocess.PIPE)
    process.stdout.readline()
print("ready", flush=True)
if child:
    end = process.wait()
if who == "parent":
    sys.exit(end != -signal.SIGKILL)
signal.pause()
"""


def test_a_worker_cleans_up_and_a_java_that_does_not_end_leaves_nothing(tmp_path: Path) -> None:
    program, cleaned_up = tmp_path / "torchserve.py", tmp_path / "cleaned up"
    program.write_text(TORCHSERVE)
    command = [sys.executable, str(program), "parent", str(cleaned_up)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as torchserve:
        assert torchserve.stdout is not None
        assert torchserve.stdout.readline() == b"ready\n"
        started = psutil.Process(torchserve.pid).children(recursive=True)
        _end(torchserve)

        assert torchserve.returncode == 0  # it has seen that Java was killed
    assert len(started) == 2
    assert [process for process in started if process.is_running()] == []
    assert cleaned_up.exists()


def test_a_torchserve_that_has_not_started_java_yet_is_not_waited_for() -> None:
    with subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"]) as torchserve:
        _end(torchserve)
        ended = torchserve.poll()
        torchserve.kill()
    assert ended == -signal.SIGKILL
