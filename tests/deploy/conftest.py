import pytest

from tests.deploy.helm import Helm, unpack_helm


@pytest.fixture(scope="session")
def helm(tmp_path_factory: pytest.TempPathFactory) -> Helm:
    return unpack_helm(tmp_path_factory.mktemp("helm"))
