"""Reads from the workers' log whether they gave up: TorchServe only retries for five minutes and then goes silent."""

import re
from pathlib import Path

from adapter.torchserve.oom_kills import OomKills

REFUSAL = "torchbridge: cannot load the model: "  # handlers/text_generation.py says it
_START = "Torch worker started."
# WorkerLifeCycle's line for the end of a worker's output; log4j2.xml sends it to this log.
_DEATH = re.compile(r"Stopped Scanner - \S+-stdout$")
# WorkerThread.java's line as it ends a worker itself; log4j2.xml sends that here, too.
TOO_SLOW = "Backend worker error: Backend worker did not respond in given time"
NOT_STARTED = "Backend worker error: Backend worker startup time out."
# Python's own word on a signal such as SIGSEGV or SIGABRT: PYTHONFAULTHANDLER (run_directory.py) has it said.
_CRASH = re.compile(r" - (Fatal Python error: .*)$")
_ERROR = re.compile(r"(?:^|[ -] )((?:\w+\.)*\w*(?:Error|Exception|Exit|Interrupt)\b.*)$")

# TorchServe closes the output of a worker whose connection is gone (WorkerLifeCycle.java, exit). The handler waits for
# its own last words to be read (handlers/last_words.py), but those of a worker that cannot import it, or that crashes,
# may be lost: on two busy cores up to four of ten. That this happens to six in a row is unlikely.
_MAX_DEATHS, _MAX_SILENT_DEATHS = 2, 6

_SILENT = (
    "it ends without a word, by a signal such as SIGKILL or by an exit of its own, and no counter of the kernel's "
    "tells of a kill for want of memory"
)


class WorkerLog:
    """The words of the log at `path` on one version's workers from now on; `read` takes in the new lines.

    It is made before they are started.
    """

    def __init__(self, path: Path, model: str, version: str, oom_kills: OomKills | None = None) -> None:
        self.path, self.model, self.version = path, model, version
        # The name of the thread that reads a worker's output (WorkerLifeCycle.java, ReaderThread), or minds the worker.
        self._speaker = re.compile(rf"\] W-\d+-{re.escape(model)}_{re.escape(version)}(-std(out|err))? - ")
        self._oom_kills = oom_kills or OomKills()
        self.refusal: str | None = None
        self.error: str | None = None  # the first error of the last life that had one
        self.was_too_slow = False  # in the last life that told why it ended
        self._error_is_of_this_life = False
        self.deaths = 0
        self._position = path.stat().st_size if path.exists() else 0

    def failure(self, startup_timeout: int) -> str | None:
        """Why the workers will never be ready. `startup_timeout`: the archive's, in seconds."""
        if self.refusal is not None:
            return f"The worker cannot load the model: {self.refusal}"
        reason = self.reason(startup_timeout)
        if self.deaths >= (_MAX_SILENT_DEATHS if reason is None else _MAX_DEATHS):
            return f"The worker dies while it loads the model: {reason or _SILENT}. See {self.path}."
        return None

    def reason(self, startup_timeout: int) -> str | None:
        """Why a worker has died, if the log says it; another one may still live on."""
        if not self.deaths:
            return None
        if self.was_too_slow:
            return f"it did not load within {startup_timeout} s: startupTimeout in the archive's model-config.yaml"
        return self.error or self._oom_kills.found()

    def read(self) -> None:
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            file.seek(self._position)
            whole, end, _ = file.read().rpartition(b"\n")
        self._position += len(whole) + len(end)
        for line in whole.decode(errors="replace").splitlines():
            if self._speaker.search(line):
                self._take(line)

    def _take(self, line: str) -> None:
        _, mark, reason = line.partition(REFUSAL)
        if mark:
            self.refusal = reason.strip()
        elif _DEATH.search(line):
            self.deaths += 1
        elif line.endswith(_START):
            self._error_is_of_this_life = False
        elif line.endswith(TOO_SLOW):  # whatever was said before did not end it
            self.was_too_slow, self._error_is_of_this_life = True, True
        elif line.endswith(NOT_STARTED):
            self._take_error("it did not start within two minutes, and TorchServe gives no worker more")
        elif error := _CRASH.search(line) or _ERROR.search(line):
            self._take_error(error[1])

    def _take_error(self, error: str) -> None:
        if not self._error_is_of_this_life:
            # The loader answers the first error with a second, misleading one (ts/model_loader.py, load).
            self.error, self.was_too_slow, self._error_is_of_this_life = error, False, True
