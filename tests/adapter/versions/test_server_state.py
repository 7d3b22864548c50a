"""Our own record of what a server serves."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from adapter.versions.errors import ChangeRefused, VersionError
from adapter.versions.server_state import ModelState, ServerState, VersionState


def version(name: str) -> VersionState:
    at = datetime(2026, 8, 1, tzinfo=UTC)
    return VersionState(archive=f"tiny-{name}.mar", digest=name * 3, sha256="0" * 64, deployed_at=at)


@pytest.fixture
def model() -> ModelState:
    return ModelState(default="1.0", versions={each: version(each) for each in ("1.0", "2.0", "3.0")})


def test_what_was_the_default_is_the_first_of_the_previous(model: ModelState) -> None:
    promoted = model.with_default("2.0").with_default("3.0")
    assert (promoted.default, promoted.previous) == ("3.0", ("2.0", "1.0"))


def test_a_rollback_and_back_are_each_others_reverse(model: ModelState) -> None:
    promoted = model.with_default("2.0")
    back = promoted.with_default("1.0")
    assert (back.default, back.previous) == ("1.0", ("2.0",))
    assert back.with_default("2.0") == promoted


def test_no_version_is_named_twice(model: ModelState) -> None:
    for each in ("2.0", "3.0", "2.0", "1.0", "3.0", "3.0"):
        model = model.with_default(each)
    assert (model.default, model.previous) == ("3.0", ("1.0", "2.0"))


def test_to_make_the_default_the_default_changes_nothing(model: ModelState) -> None:
    promoted = model.with_default("2.0")
    assert promoted.with_default("2.0") == promoted


def test_a_version_that_goes_is_no_previous_one_either(model: ModelState) -> None:
    rest = model.with_default("2.0").with_default("3.0").without("2.0")
    assert (list(rest.versions), rest.previous) == (["1.0", "3.0"], ("1.0",))


def test_without_a_version_that_is_not_there_it_is_the_same(model: ModelState) -> None:
    assert model.without("9.0") == model


def test_a_version_takes_the_place_of_the_one_of_its_name(model: ModelState) -> None:
    scaled = version("2.0").model_copy(update={"workers": 0})
    changed = model.with_version("2.0", scaled)
    assert (changed.versions["2.0"].workers, list(changed.versions)) == (0, ["1.0", "2.0", "3.0"])
    assert model.versions["2.0"].workers == 1


def test_the_models_keep_their_order_as_the_first_is_the_gateways_default(model: ModelState) -> None:
    state = ServerState()
    for name in ("b", "c", "a"):
        state = state.with_model(name, model)
    assert list(state.with_model("c", model.with_default("2.0")).models) == ["b", "c", "a"]
    assert list(state.with_model("b", None).models) == ["c", "a"]


def test_what_was_written_is_read(model: ModelState, tmp_path: Path) -> None:
    path = tmp_path / "versions.json"
    state = ServerState().with_model("b", model.with_default("3.0")).with_model("a", model)
    state.write(path)
    read = ServerState.read(path)
    assert read == state
    assert list(read.models) == ["b", "a"]


def test_only_a_command_makes_it_changed(model: ModelState) -> None:
    assert not ServerState(models={"tiny": model}).is_changed
    assert ServerState(models={"tiny": model}).with_model("tiny", None).is_changed


def test_there_may_be_no_file(tmp_path: Path) -> None:
    assert ServerState.read(tmp_path / "versions.json") is None


@pytest.mark.parametrize("content", ["", "{", "[]", '{"models": {"tiny": {}}}', '{"modelz": {}}', "\0"])
def test_of_a_damaged_file_it_says_what_to_do(tmp_path: Path, content: str) -> None:
    path = tmp_path / "versions.json"
    path.write_text(content)
    with pytest.raises(VersionError, match=r"versions\.json is damaged: torchbridge serve --model writes it anew"):
        ServerState.read(path)


def test_the_only_model_need_not_be_named(model: ModelState) -> None:
    state = ServerState(models={"tiny": model})
    assert state.model(None) == state.model("tiny") == ("tiny", model)


@pytest.mark.parametrize(
    ("served", "asked", "message"),
    [
        pytest.param(("b", "a"), None, r"several models: name one with --model \(a, b\)", id="which of them"),
        pytest.param(("b", "a"), "c", r"no model 'c' here. Served: a, b\.", id="unknown"),
        pytest.param((), "c", r"Nothing is deployed here: torchbridge deploy", id="none there"),
        pytest.param((), None, r"Nothing is deployed here: torchbridge deploy", id="none there, none named"),
    ],
)
def test_a_model_that_is_not_clear_is_refused(
    model: ModelState, served: tuple[str, ...], asked: str | None, message: str
) -> None:
    with pytest.raises(ChangeRefused, match=message):
        ServerState(models=dict.fromkeys(served, model)).model(asked)
