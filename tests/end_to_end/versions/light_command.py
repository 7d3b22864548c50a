"""`python -m` of this is the command `torchbridge`, whose workers have the light torch."""

from pathlib import Path

from adapter import entry_point
from tests.worker_variables import workers_with

if __name__ == "__main__":
    with workers_with({"PYTHONPATH": str(Path(__file__).with_name("light_worker"))}):
        entry_point.main()
