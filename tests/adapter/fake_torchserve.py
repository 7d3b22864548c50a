"""As TorchServeProcess, but nothing runs."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace


@contextlib.contextmanager
def fake_torchserve(*_: object, **__: object) -> Iterator[SimpleNamespace]:
    addresses = {"inference_address": "http://127.0.0.1:1", "management_address": "http://127.0.0.1:1"}
    yield SimpleNamespace(
        properties=addresses,
        keys=SimpleNamespace(path=Path("key_file.json")),
        hold=lambda: None,
        start=lambda _: None,
        wait_until_ready=lambda _: None,
    )
