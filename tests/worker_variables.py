"""Variables of the workers' environment that only tests set."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest

from adapter.torchserve.run_directory import RunDirectory


@contextmanager
def workers_with(variables: Mapping[str, str]) -> Iterator[None]:
    """Each TorchServe that this process starts meanwhile, and its workers, have them."""
    environment = RunDirectory.environment

    def with_variables(directory: RunDirectory, **how: bool) -> dict[str, str]:
        return environment(directory, **how) | variables

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RunDirectory, "environment", with_variables)
        yield
