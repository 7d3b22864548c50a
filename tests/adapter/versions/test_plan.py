"""What `torchbridge apply` does, and in which order."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapter.versions.deployment import DeploymentOptions
from adapter.versions.desired_state import DesiredModel, DesiredState, DesiredVersion
from adapter.versions.errors import ChangeRefused
from adapter.versions.lifecycle import scale
from adapter.versions.plan import Action, plan
from adapter.versions.server_state import ServerState
from tests.adapter.versions.fake_server import Clock, FakeServer, let_versions_answer_as_recorded, make_archive

VERSIONS = ("1.0", "2.0", "3.0")

# Of each model its default version, and the workers of all its versions.
Served = dict[str, tuple[str, dict[str, int]]]


def desired(directory: Path, served: Served) -> DesiredState:
    return DesiredState(
        models={
            name: DesiredModel(
                default=default,
                versions={
                    version: DesiredVersion(archive=str(make_archive(directory, version, name)), workers=workers)
                    for version, workers in versions.items()
                },
            )
            for name, (default, versions) in served.items()
        }
    )


def started(directory: Path, served: Served) -> FakeServer:
    server = FakeServer(directory, Clock())
    for name, (default, versions) in served.items():
        server.serve(*(version for version in versions if version != default), default, model=name)
        for version, workers in versions.items():
            scale(server, name, version, workers, timeout=1, report=lambda _: None)
    server.management.changes.clear()
    return server


def served_by(server: FakeServer) -> Served:
    return {
        name: (model.default, {version: each.workers for version, each in model.versions.items()})
        for name, model in server.state.models.items()
    }


def served_in_truth(server: FakeServer) -> Served:
    management = server.management
    return {
        name: (management.defaults[name], {version: len(workers) for version, workers in versions.items()})
        for name, versions in management.models.items()
    }


def planned(tmp_path: Path, now: Served, then: Served) -> list[str]:
    """What is to be done, without where from."""
    actions = plan(started(tmp_path / "run", now).state, desired(tmp_path / "archives", then))
    return [action.description.partition(" from ")[0] for action in actions]


@pytest.mark.parametrize(
    ("now", "then", "actions"),
    [
        pytest.param({"a": ("1.0", {"1.0": 1})}, {"a": ("1.0", {"1.0": 1})}, [], id="nothing to do"),
        pytest.param(
            {"a": ("1.0", {"1.0": 1})},
            {"a": ("1.0", {"1.0": 1}), "b": ("3.0", {"1.0": 1, "2.0": 0, "3.0": 1})},
            ["deploy b 3.0", "deploy b 1.0", "deploy b 2.0", "scale b 2.0 to 0 workers"],
            id="of a new model its default comes first",
        ),
        pytest.param(
            {"a": ("1.0", {"1.0": 1})},
            {"a": ("2.0", {"2.0": 1})},
            ["deploy a 2.0", "promote a 2.0", "retire a 1.0"],
            id="one version after the other",
        ),
        pytest.param(
            {"a": ("1.0", {"1.0": 1, "2.0": 0})},
            {"a": ("2.0", {"1.0": 0, "2.0": 1})},
            ["scale a 2.0 to 1 workers", "promote a 2.0", "scale a 1.0 to 0 workers"],
            id="the default changes places with one that is unloaded",
        ),
        pytest.param(
            {"a": ("1.0", {"1.0": 1}), "b": ("2.0", {"1.0": 1, "2.0": 1})},
            {"a": ("1.0", {"1.0": 1})},
            ["retire b 1.0", "retire b 2.0"],
            id="of a whole model its default goes last",
        ),
        pytest.param(
            {"a": ("1.0", {"1.0": 1})},
            {"b": ("1.0", {"1.0": 1})},
            ["deploy b 1.0", "default-model b", "retire a 1.0"],
            id="one model after the other",
        ),
    ],
)
def test_it_does_what_is_missing_in_its_order(tmp_path: Path, now: Served, then: Served, actions: list[str]) -> None:
    assert planned(tmp_path, now, then) == actions


def test_a_deployment_names_its_archive(tmp_path: Path) -> None:
    (action,) = plan(ServerState(), desired(tmp_path, {"a": ("1.0", {"1.0": 1})}))
    assert action.description == f"deploy a 1.0 from {tmp_path}/a-1.0.mar"


def test_a_deployed_version_with_other_content_is_refused(tmp_path: Path) -> None:
    then = desired(tmp_path / "archives", {"a": ("2.0", {"1.0": 1, "2.0": 1})})
    make_archive(tmp_path / "archives", "1.0", "a", weight_bytes=48)
    server = started(tmp_path / "run", {"a": ("1.0", {"1.0": 1})})
    with pytest.raises(ChangeRefused, match=r"a 1\.0 is deployed with another content than .*a-1\.0\.mar has"):
        plan(server.state, then)


def test_a_plan_alone_changes_nothing(tmp_path: Path) -> None:
    server = started(tmp_path / "run", {"a": ("1.0", {"1.0": 1})})
    state = server.state
    plan(state, desired(tmp_path / "archives", {"b": ("2.0", {"2.0": 1})}))
    assert (server.state, server.management.changes) == (state, [])


@st.composite
def served_models(draw: st.DrawFn, names: tuple[str, ...] = ("a", "b")) -> Served:
    served = {}
    for name in draw(st.lists(st.sampled_from(names), min_size=1, unique=True)):
        versions = draw(st.dictionaries(st.sampled_from(VERSIONS), st.integers(0, 1), min_size=1))
        default = draw(st.sampled_from(sorted(versions)))
        served[name] = (default, versions | {default: 1})
    return served


def carry_out(action: Action, server: FakeServer) -> None:
    action.carry_out(server, DeploymentOptions(), lambda _: None)
    for name, (default, versions) in served_in_truth(server).items():
        assert versions.get(default), f"after {action.description} nobody answers for {name}"


@settings(max_examples=50)
@given(now=served_models(), then=served_models())
def test_any_state_is_brought_to_any_other_and_each_default_answers_all_the_while(now: Served, then: Served) -> None:
    with tempfile.TemporaryDirectory() as directory, pytest.MonkeyPatch.context() as patch:
        let_versions_answer_as_recorded(patch)
        server = started(Path(directory) / "run", now)
        goal = desired(Path(directory) / "archives", then)
        for action in plan(server.state, goal):
            carry_out(action, server)
        assert served_by(server) == served_in_truth(server) == then
        assert server.stored() == sorted(f"{name}-{version}.mar" for name in then for version in then[name][1])
        assert plan(server.state, goal) == []
