"""A stack that answers: a sample of it, and the watch over its TorchServe, which is started again where it ends."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from typing import NoReturn

import requests

from adapter.errors import InvalidRequest, PromptTooLong, TorchbridgeError, WorkerDied
from adapter.serving.readiness_check import check_readiness
from adapter.settings import Settings
from adapter.torchserve.model_registry import ModelRegistry
from adapter.torchserve.run_directory import RunDirectory
from adapter.torchserve.sample_answer import SAMPLE_PROMPT, sample_answer
from adapter.torchserve.server_process import StartFailed, TorchServeProcess
from adapter.torchserve.silence_watch import SilenceWatch
from adapter.versions.healing import Healing
from adapter.versions.restoration import default_archives, restore_others
from adapter.versions.running_server import RunningServer
from adapter.versions.server_files import ServerFiles
from adapter.versions.server_state import ServerState

_SECONDS_BETWEEN_LOOKS = 0.5
_MOST_SAMPLES = 3
# TorchServe is started again unless it ends this often within this time (seconds).
_MOST_CRASHES, _CRASH_WINDOW = 3, 600
# Before each of these starts: a reason such as a full disk may be over by then.
_PAUSES = (0.0, 5.0, 30.0)


class RunningStack:
    def __init__(
        self,
        url: str,
        settings: Settings,
        torchserve: TorchServeProcess,
        gateway: threading.Thread,
        *,
        files: ServerFiles,
        report: Callable[[str], None],
        faces_other_machines: bool = False,
    ) -> None:
        self.url = url
        self.needs_key = settings.asks_for_keys
        self.is_open_to_all = faces_other_machines and not self.needs_key
        self.log_format = settings.log_format
        self.gateway_log = RunDirectory(files.run_directory).gateway_log
        self._settings = settings
        self._torchserve = torchserve
        self._gateway = gateway
        self._files = files
        self._report = report
        self._find_server = partial(RunningServer, files.run_directory, settings)
        self._crashes: deque[float] = deque(maxlen=_MOST_CRASHES)

    def sample(self) -> Iterator[str]:
        """One answer of the model, piece by piece, and the gateway's word that it is ready.

        In this order: a model's first token of all may take longer than /readyz waits for one.
        """
        registry = ModelRegistry(self._torchserve.management, self._settings.default_model)
        try:
            yield from self._whole_answer(registry)
        except (InvalidRequest, PromptTooLong) as refusal:  # a model of DNA has no tokens for English
            yield f" ...\n\nThis model does not take the sample's prompt: {refusal}"
        except TorchbridgeError as error:
            raise _no_sample(error) from error
        try:
            check_readiness(self.url, self._settings.tls_certificate)
        except requests.RequestException as error:
            raise _no_sample(error) from error

    def _whole_answer(self, registry: ModelRegistry, most_tries: int = _MOST_SAMPLES) -> Iterator[str]:
        """A whole answer, of the next worker if one dies: callers are answered by now, and go on to be."""
        try:
            yield from sample_answer(self._settings, self._torchserve.keys, registry)
        except WorkerDied:
            if most_tries == 1:
                raise
            self._torchserve.wait_until_ready(self._report)
            yield f" ...\n\n{SAMPLE_PROMPT}"
            yield from self._whole_answer(registry, most_tries - 1)

    def wait(self) -> NoReturn:
        """Returns by an exception only: Stopped, or StartFailed when a part of the stack cannot be had any more."""
        while True:
            self._start_again(self._wait_for_end())

    def _wait_for_end(self) -> str:
        """Waits for the end of TorchServe, and says why it ended. One that stands still is killed, so that it ends too.

        It must be found out before the calls that it has are given up for its silence: they can be made again.
        """
        limit = self._settings.silence_timeout / 2
        with (
            SilenceWatch(self._settings.torchserve_url, limit) as watch,
            Healing(self._find_server, self._report, self._torchserve.kill),
        ):
            while self._torchserve.is_running():
                if not self._gateway.is_alive():
                    raise StartFailed("The gateway ended.")
                if watch.is_silent:
                    self._torchserve.kill()
                    return f"TorchServe has not answered for {limit:.3g} seconds"
                time.sleep(_SECONDS_BETWEEN_LOOKS)
        return "TorchServe ended"

    def _start_again(self, reason: str) -> None:
        """TorchServe with the versions and the defaults that it had, by our own record of them."""
        now = time.monotonic()
        if len(self._crashes) == _MOST_CRASHES and now - self._crashes[0] < _CRASH_WINDOW:
            raise StartFailed(f"{reason}, as it did before. See {self._torchserve.directory.logs}.")
        pause = _PAUSES[sum(now - crash < _CRASH_WINDOW for crash in self._crashes)]
        self._crashes.append(now)
        self._report(f"{reason}: starting it again" + (f" in {pause:g} seconds" if pause else ""))
        self._torchserve.stop()
        time.sleep(pause)
        state = ServerState.read(self._files.state) or ServerState()
        self._torchserve.start(default_archives(state, self._files))
        try:
            # What is left out is seen to by Healing: models that answer need not end for it.
            self._torchserve.wait_until_ready(self._report, some_will_do=True)
        except StartFailed as failure:
            if self._torchserve.is_running():  # with no worker that will ever be ready
                raise
            self._report(str(failure))
            return  # it ended once more, which counts as the times before
        restore_others(self._find_server, self._report)
        self._report("TorchServe serves again")


def _no_sample(error: Exception) -> StartFailed:
    return StartFailed(f"There was no whole sample answer: {error}")
