"""The commands that load an archive as far as its code would run, or say why not."""

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from adapter import cli
from adapter.archives.archive_reader import read_record
from adapter.archives.signature import sign_file
from adapter.archives.signing_keys import load_private_key
from adapter.archives.verification import VerificationError
from adapter.serving import whole_stack
from adapter.versions.desired_state import DesiredState
from adapter.versions.errors import ChangeRefused
from adapter.versions.server_state import VersionState
from tests.adapter.archives.repacking import put
from tests.adapter.fake_torchserve import fake_torchserve
from tests.adapter.versions.fake_server import FakeServer

FOREIGN_CODE = put("text_generation.py", b"raise SystemExit\n")


class Started(Exception):
    """The archive's code would run now."""


def sign(archive: Path, keys: Path, name: str = "release") -> None:
    sign_file(archive, load_private_key(keys / f"{name}.key"))


def run(*arguments: object) -> None:
    cli.app([str(each) for each in arguments], standalone_mode=False)


def with_key(key: Path | None) -> tuple[object, ...]:
    return ("--key", key) if key else ()


def verify(_: FakeServer, archive: Path, key: Path | None) -> None:
    run("verify", archive, *with_key(key))


def probe(_: FakeServer, archive: Path, key: Path | None) -> None:
    with contextlib.suppress(Started):
        run("probe", archive, *with_key(key))


def deploy(_: FakeServer, archive: Path, key: Path | None) -> None:
    run("deploy", archive, *with_key(key))


def deploy_what_is_loaded(server: FakeServer, archive: Path, key: Path | None) -> None:
    load(server, archive)
    run("deploy", archive, *with_key(key))


def apply(_: FakeServer, archive: Path, key: Path | None) -> None:
    run("apply", models(archive), *with_key(key))


def plan(_: FakeServer, archive: Path, key: Path | None) -> None:
    run("apply", models(archive), "--plan", *with_key(key))


def apply_what_is_loaded(server: FakeServer, archive: Path, key: Path | None) -> None:
    load(server, archive)
    run("apply", models(archive), *with_key(key))


def serve_archive(server: FakeServer, archive: Path, key: Path | None) -> None:
    start(server, str(archive), key)


def serve_models(server: FakeServer, archive: Path, key: Path | None) -> None:
    start(server, DesiredState.read(models(archive)), key)


def models(archive: Path) -> Path:
    path = archive.with_name("models.yaml")
    versions = {"2.0": {"archive": archive.name}}
    path.write_text(json.dumps({"models": {"tiny": {"default": "2.0", "versions": versions}}}))
    return path


def load(server: FakeServer, archive: Path) -> None:
    """As if it had been loaded before anybody asked: beside the default, with what its record says."""
    deployed = server.put_into_store("2.0")
    server.management.register(deployed.archive)
    record = VersionState(archive=deployed.archive, digest=read_record(archive).digest, sha256=deployed.sha256)
    server.save(server.state.with_model("tiny", server.state.models["tiny"].with_version("2.0", record)))


def start(server: FakeServer, model: str | DesiredState | None, key: Path | None) -> list[Path]:
    """What TorchServe is started with."""
    started: list[Path] = []

    @contextlib.contextmanager
    def noting_torchserve(*_: object, **__: object) -> Iterator[SimpleNamespace]:
        with fake_torchserve() as torchserve:
            torchserve.start = started.extend
            yield torchserve

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(whole_stack, "TorchServeProcess", noting_torchserve)
        patch.setattr(whole_stack, "restore_others", lambda *_: None)
        run_directory = server.files.run_directory
        with whole_stack.whole_stack(model, lambda _: None, key=key, port=0, run_directory=run_directory):
            pass
    return started


Command = Callable[[FakeServer, Path, Path | None], None]
LOADING = [
    verify,
    probe,
    deploy,
    deploy_what_is_loaded,
    apply,
    plan,
    apply_what_is_loaded,
    serve_archive,
    serve_models,
]
each_command = pytest.mark.parametrize("command", LOADING, ids=lambda command: command.__name__)


def expect_refusal(server: FakeServer, archive: Path, key: Path | None, command: Command, reason: str) -> None:
    served = server.state.models["tiny"].default
    with pytest.raises((VerificationError, ChangeRefused), match=reason):
        command(server, archive, key)
    assert ("set_default", "tiny", "2.0") not in server.management.changes
    assert server.state.models["tiny"].default == served == "1.0"
