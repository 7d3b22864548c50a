"""`python -m` of this is the command `torchbridge`, whose workers have the light torch."""

from contextlib import AbstractContextManager
from pathlib import Path

from adapter import entry_point
from tests.worker_variables import workers_with


def light_workers() -> AbstractContextManager[None]:
    """Of TorchServes that this process starts."""
    return workers_with({"PYTHONPATH": str(Path(__file__).with_name("light_worker"))})


if __name__ == "__main__":
    with light_workers():
        entry_point.main()
