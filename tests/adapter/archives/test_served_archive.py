import errno
import json
from pathlib import Path
from typing import NoReturn

import pytest

from adapter.archives.archive import build_archive
from adapter.archives.served_archive import read_served_archive
from adapter.schema import CONTRACT_VERSION, SamplingDefaults
from tests.adapter.archives.model_files import write_model
from tests.adapter.archives.repacking import repack
from tests.frozen_archives import CHAT, PLAIN


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    return build_archive(write_model(tmp_path / "model"), "tiny", "1.0", tmp_path)


@pytest.mark.parametrize(
    ("generation_config", "expected"),
    [
        pytest.param(None, SamplingDefaults(), id="no file"),
        pytest.param({"eos_token_id": 1}, SamplingDefaults(), id="nothing of sampling"),
        pytest.param(
            {"do_sample": True, "temperature": 0.6, "top_p": 0.9, "top_k": 20, "repetition_penalty": 1.05},
            SamplingDefaults(temperature=0.6, top_p=0.9, top_k=20, repetition_penalty=1.05),
            id="all of it",
        ),
        pytest.param({"temperature": None, "top_k": 0, "top_p": 1.0}, SamplingDefaults(top_p=1.0), id="none of it"),
        pytest.param({"temperature": "hot", "top_p": 7, "top_k": True}, SamplingDefaults(), id="nonsense"),
    ],
)
def test_an_archive_says_how_its_authors_would_sample(
    tmp_path: Path, generation_config: dict[str, object] | None, expected: SamplingDefaults
) -> None:
    model = write_model(tmp_path / "model")
    if generation_config is not None:
        (model / "generation_config.json").write_text(json.dumps(generation_config))
    served = read_served_archive(build_archive(model, "tiny", "1.0", tmp_path))
    assert served is not None
    assert served.sampling_defaults == expected


def test_an_archive_says_which_contract_its_worker_keeps(packed: Path) -> None:
    served = read_served_archive(packed)
    assert served is not None
    assert served.contract == CONTRACT_VERSION


@pytest.mark.parametrize("archive", [PLAIN, CHAT], ids=lambda path: path.stem)
def test_an_archive_that_does_not_say_it_keeps_the_first(archive: Path) -> None:
    served = read_served_archive(archive)
    assert served is not None
    assert served.contract == 1


def test_what_is_no_archive_of_ours_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "other.mar").write_bytes(b"PK\x05\x06" + bytes(18))
    assert read_served_archive(tmp_path / "other.mar") is None
    assert read_served_archive(tmp_path / "absent.mar") is None


@pytest.mark.parametrize("content", [b"[]", b"3", b"null", b"[" * 100_000], ids=lambda content: content[:4].decode())
def test_what_is_no_configuration_recommends_nothing(packed: Path, content: bytes) -> None:
    """`pack` writes none such, but another's archive may have it, and all models are described together."""
    repack(packed, lambda contents: contents.update({"model/generation_config.json": content}))
    served = read_served_archive(packed)
    assert served is None or served.sampling_defaults == SamplingDefaults()


def test_a_failure_that_may_pass_is_not_remembered(packed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as without_descriptors:
        without_descriptors.setattr(Path, "open", too_many_files)
        assert read_served_archive(packed) is None
    assert read_served_archive(packed) is not None


def too_many_files(*_: object) -> NoReturn:
    raise OSError(errno.EMFILE, "Too many open files")


def test_an_archive_that_was_replaced_is_read_again(packed: Path) -> None:
    assert read_served_archive(packed) is not None
    packed.write_bytes(b"")
    assert read_served_archive(packed) is None
