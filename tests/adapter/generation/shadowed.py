"""What a version answers once more."""

from adapter.schema import GenerationRequest, WorkerRequest
from tests.adapter.generation.two_versions import TwoVersions
from tests.fakes import answer_to, wait_for

GREEDY = GenerationRequest(prompt="Once", temperature=0)


def answer(text: str) -> list[object]:
    return answer_to(WorkerRequest(prompt="Once", model="tiny", model_version="2.0", id="any"), text)


async def has_ended(two: TwoVersions) -> None:
    await wait_for(lambda: not two.generator.shadows._tasks)
