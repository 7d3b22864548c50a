"""Which model requests mean that name none, and that it is not taken away unseen."""

from pathlib import Path

import pytest

from adapter.errors import ModelNotFound
from adapter.versions.desired_state import DesiredModel, DesiredState, DesiredVersion
from adapter.versions.errors import ChangeRefused
from adapter.versions.lifecycle import make_default_model, promote, retire
from adapter.versions.plan import plan
from adapter.versions.server_state import ServerState
from adapter.versions.status import default_model_in_words, server_status
from tests.adapter.versions.fake_server import FakeServer, make_archive


@pytest.fixture
def two_models(server: FakeServer) -> FakeServer:
    server.serve("1.0")
    server.serve("1.0", model="story")
    server.gateway.default_model = "tiny"
    return server


def test_the_first_model_is_the_default_one_and_stays_it(two_models: FakeServer) -> None:
    assert two_models.state.default_model == "tiny"
    assert ServerState.read(two_models.files.state) == two_models.state


def test_a_record_of_the_time_before_there_was_one_means_the_first(two_models: FakeServer) -> None:
    record = two_models.state.model_dump_json(exclude={"default_model"})
    assert ServerState.model_validate_json(record).default_model == "tiny"


def test_it_is_changed_for_requests_and_in_the_record(two_models: FakeServer) -> None:
    make_default_model(two_models, "story")
    assert two_models.gateway.default_model == two_models.state.default_model == "story"
    assert two_models.state.is_changed


def test_a_model_that_is_not_deployed_is_refused(two_models: FakeServer) -> None:
    with pytest.raises(ChangeRefused, match=r"no model 'absent' here\. Served: story, tiny"):
        make_default_model(two_models, "absent")
    assert two_models.gateway.default_model == two_models.state.default_model == "tiny"


def test_what_the_gateway_refuses_is_not_written_down(two_models: FakeServer) -> None:
    del two_models.management.models["story"]
    with pytest.raises(ModelNotFound):
        make_default_model(two_models, "story")
    assert two_models.state.default_model == "tiny"


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (
            "tiny",
            r"for tiny are refused, and those that name no model.* default-model NAME chooses another one.*\. --force",
        ),
        ("story", r"^1\.0 is the last version of story: without it requests for story are refused\. --force"),
    ],
)
def test_the_last_version_of_a_model_is_not_taken_away_unseen(two_models: FakeServer, model: str, reason: str) -> None:
    with pytest.raises(ChangeRefused, match=reason):
        retire(two_models, model, "1.0", 60)
    assert two_models.registered(model) == two_models.recorded(model) == ["1.0"]
    assert two_models.journal.unfinished() is None


def test_of_the_only_model_all_is_said_to_go(server: FakeServer) -> None:
    server.serve("1.0")
    with pytest.raises(ChangeRefused, match=r"without it nothing is served\. --force"):
        retire(server, "tiny", "1.0", 60)


def test_by_force_it_goes_and_nothing_else_takes_its_place(two_models: FakeServer) -> None:
    retire(two_models, "tiny", "1.0", 60, force=True)
    assert two_models.registered("tiny") == two_models.recorded("tiny") == []
    assert two_models.state.default_model == "tiny"
    words = default_model_in_words(server_status(two_models))
    assert words == "Requests that name no model are refused: torchbridge default-model NAME says which one they mean."


def test_force_does_not_take_the_default_version_from_others(server: FakeServer) -> None:
    server.serve("1.0", "2.0")
    with pytest.raises(ChangeRefused, match="promote another one first"):
        retire(server, "tiny", "2.0", 60, force=True)
    promote(server, "tiny", "1.0")
    retire(server, "tiny", "2.0", 60)


def test_status_marks_it_and_says_it_where_there_are_others(two_models: FakeServer) -> None:
    statuses = server_status(two_models)
    assert {each.model: each.is_default_model for each in statuses} == {"tiny": True, "story": False}
    assert default_model_in_words(statuses) == "Requests that name no model mean tiny."
    assert default_model_in_words(statuses[:1]) is None
    assert default_model_in_words([]) == "Nothing is deployed: torchbridge deploy FILE.mar."


def desired(directory: Path, *models: str, default_model: str | None = None) -> DesiredState:
    archives = {name: str(make_archive(directory, "1.0", name)) for name in models}
    versions = {
        name: DesiredModel(default="1.0", versions={"1.0": DesiredVersion(archive=archive)})
        for name, archive in archives.items()
    }
    return DesiredState(models=versions, default_model=default_model)


@pytest.mark.parametrize(
    ("models", "default_model", "actions"),
    [
        pytest.param(("story", "tiny"), None, [], id="it stays where the file names none"),
        pytest.param(("story", "tiny"), "story", ["default-model story"], id="the file names another one"),
        pytest.param(("story",), None, ["default-model story", "retire tiny 1.0"], id="it goes"),
    ],
)
def test_models_yaml_says_it(
    two_models: FakeServer, tmp_path: Path, models: tuple[str, ...], default_model: str | None, actions: list[str]
) -> None:
    planned = plan(two_models.state, desired(tmp_path, *models, default_model=default_model))
    assert [action.description for action in planned] == actions


def test_a_models_yaml_cannot_name_one_that_it_does_not_serve(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="the default_model, tiny, is none of the models"):
        desired(tmp_path, "story", default_model="tiny")
