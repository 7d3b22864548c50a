"""models.yaml: the versions that a server is to serve. What is not in it is not to be served."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from adapter.archives.archive_names import Sha256
from adapter.archives.archive_reader import read_record
from adapter.archives.progress import Reporter, progress_bar
from adapter.archives.record import ArchiveRecord
from adapter.archives.verification import verify_archive
from adapter.artifacts.reference import is_reference
from adapter.names import Name
from adapter.strict_yaml import MAX_BYTES, YamlError, load_yaml
from adapter.validation.file_errors import file_errors
from adapter.versions.changes import Report
from adapter.versions.errors import ChangeRefused
from adapter.versions.model_store import ModelStore
from adapter.versions.pulled_archives import local_archive
from adapter.versions.server_files import ServerFiles
from adapter.versions.server_state import ModelState, ServerState, Workers
from adapter.versions.verified_copies import install_verified


class _Desired(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, regex_engine="python-re")


class DesiredVersion(_Desired):
    archive: str = Field(min_length=1, description="The path of a .mar, from the file's directory, or oci://…")
    workers: Workers = Field(default=1, description="The number of workers that it is to have.")
    digest: Sha256 | None = Field(
        default=None, description="The digest that the archive must have; null if any will do."
    )


class DesiredModel(_Desired):
    default: Name = Field(description="The model's default version.")
    versions: dict[Name, DesiredVersion] = Field(description="The versions of the model.")

    @model_validator(mode="after")
    def _the_default_is_one_of_them(self) -> Self:
        if self.default not in self.versions:
            raise ValueError(f"the default, {self.default}, is none of the versions")
        if not self.versions[self.default].workers:
            raise ValueError(f"the default, {self.default}, has to have a worker")
        return self

    def default_first(self) -> list[tuple[str, DesiredVersion]]:
        """TorchServe takes the first version of a model that it gets for the default."""
        return sorted(self.versions.items(), key=lambda item: item[0] != self.default)


class DesiredState(_Desired):
    models: dict[Name, DesiredModel] = Field(min_length=1, description="The models, by their names.")
    default_model: Name | None = Field(
        default=None, description="The model of requests that name none; null if it stays the one of before."
    )

    @model_validator(mode="after")
    def _the_default_model_is_one_of_them(self) -> Self:
        if self.default_model is not None and self.default_model not in self.models:
            raise ValueError(f"the default_model, {self.default_model}, is none of the models")
        return self

    def meant_model(self, before: str | None = None) -> str:
        """The model of requests that name none: the file's own choice, `before` if it stays, or the first."""
        return self.default_model or (before if before in self.models and before else next(iter(self.models)))

    @classmethod
    def read(cls, path: Path) -> Self:
        """Raises ChangeRefused, or OSError."""
        with path.open("rb") as file:
            return cls.parse(file.read(MAX_BYTES + 1), path)

    @classmethod
    def parse(cls, content: bytes, path: Path) -> Self:
        """`content` of the file at `path`. Raises ChangeRefused."""
        try:
            state = cls.model_validate(load_yaml(content))
        except ValidationError as error:
            raise ChangeRefused(f'{path}: {file_errors(error)}. (Versions are texts: "1.0", in quotes.)') from error
        except YamlError as error:
            raise ChangeRefused(f"{path}: {error}") from error
        return state.in_directory(path.parent)

    def in_directory(self, directory: Path) -> Self:
        return self.with_archives(lambda source: source if is_reference(source) else str(directory / source))

    def with_archives(self, renamed: Callable[[str], str]) -> Self:
        models = {
            name: model.model_copy(
                update={
                    "versions": {
                        version: each.model_copy(update={"archive": renamed(each.archive)})
                        for version, each in model.versions.items()
                    }
                }
            )
            for name, model in self.models.items()
        }
        return self.model_copy(update={"models": models})


@contextmanager
def local_archives(
    desired: DesiredState, files: ServerFiles, key: Path | None, report: Report, progress: Reporter = progress_bar
) -> Iterator[DesiredState]:
    """The same state with local files only, for as long as the block lasts: `local_archive` gives each of them."""
    with ExitStack() as until_all_are_served:
        yield desired.with_archives(
            lambda source: str(until_all_are_served.enter_context(local_archive(source, files, key, report, progress)))
        )


def desired_record(model: str, version: str, desired: DesiredVersion) -> ArchiveRecord:
    """Raises ChangeRefused where the archive is of another model or version, ArchiveError where it is none."""
    record = read_record(Path(desired.archive))
    if (record.name, record.version) != (model, version):
        raise ChangeRefused(f"{desired.archive} holds {record.name} {record.version}, and not {model} {version}.")
    if desired.digest not in {None, record.digest}:
        raise ChangeRefused(
            f"{desired.archive} has another content ({record.digest[:12]}) than {model} {version} is to have "
            f"({(desired.digest or '')[:12]})."
        )
    return record


def verify_desired(desired: DesiredState, key: Path | None) -> None:
    """Verifies every archive that is named, also one that is served already. Raises VerificationError."""
    for model in desired.models.values():
        for each in model.versions.values():
            verify_archive(Path(each.archive), key, any_name=True)


def installed_state(desired: DesiredState, files: ServerFiles, key: Path | None, report: Report) -> ServerState:
    """The state that a server starts with: each archive is verified and lies in the store."""
    store, models = ModelStore(files.store), {}
    for name, model in desired.models.items():
        versions = {}
        for version, each in model.versions.items():
            with local_archive(each.archive, files, key, report) as archive:
                desired_record(name, version, each.model_copy(update={"archive": str(archive)}))
                _, versions[version] = install_verified(store, archive, key, workers=each.workers)
        models[name] = ModelState(default=model.default, versions=versions)
    return ServerState(models=models, default_model=desired.meant_model(), is_changed=True)
