"""What is simulated of TorchServe is what the real one said (tests/fixtures/torchserve)."""

import pytest

from adapter.schema import ErrorCode
from adapter.simulator.management import description
from adapter.simulator.torchserve_failures import TORCHSERVE_FAILURES, torchserve_failure
from adapter.torchserve.management_client import _DESCRIPTIONS, ModelDescription
from tests.recorded_answer import recorded

RECORDED = {
    ErrorCode.MODEL_NOT_FOUND: "model_not_found",
    ErrorCode.VERSION_NOT_FOUND: "version_not_found",
    ErrorCode.WORKER_DIED: "continuous_worker_exits",
    ErrorCode.GENERATION_FAILED: "continuous_handler_raises",
    ErrorCode.OVERLOADED: "queue_full",
    ErrorCode.OUT_OF_MEMORY: "continuous_out_of_memory",
}
ASKED = {ErrorCode.MODEL_NOT_FOUND: ("absent", "1.0"), ErrorCode.VERSION_NOT_FOUND: ("plain", "9.9")}


@pytest.mark.parametrize("code", TORCHSERVE_FAILURES)
def test_each_failure_is_word_for_word_as_it_was_recorded(code: ErrorCode) -> None:
    said, answer = TORCHSERVE_FAILURES[code], recorded(f"inference/{RECORDED[code]}")

    assert (said.status, said.body(*ASKED.get(code, ("plain", "1.0")))) == (answer.status, answer.body)


@pytest.mark.parametrize("code", TORCHSERVE_FAILURES)
def test_the_gateway_takes_each_for_what_it_stands_for(code: ErrorCode) -> None:
    assert torchserve_failure(code, "tiny", "1.0").code is code


def test_a_description_is_that_of_torchserve() -> None:
    served, *_ = _DESCRIPTIONS.validate_json(recorded("management/describe_all").body)
    simulated = description("plain", "1.0", are_ready=[True], slots=served.batch_size)

    assert _without_its_own(simulated) == _without_its_own(served)


def _without_its_own(described: ModelDescription) -> ModelDescription:
    """Without what differs from process to process, and from archive to archive."""
    workers = tuple(worker.model_copy(update={"pid": 0, "start_time": ""}) for worker in described.workers)
    queue = described.job_queue_status.model_copy(update={"remaining_capacity": 0})
    return described.model_copy(update={"workers": workers, "job_queue_status": queue, "response_timeout": 0})
