"""Archives carry the contract of the day when they were packed, so no contract that was ever released may change.

The newest one may, until it is released: then its hash is written down here.
"""

import hashlib
import json

from adapter.schema import CONTRACT_VERSION, WorkerRequest
from adapter.worker_contract import contract_file, current_contract, worker_contract

RELEASED = {
    1: "275b6c5ffc69518c7b3b58bfb2f74ef4199e7def72b573be2315f182268abae1",
    2: "f35ffa08d1ecc52c18f064ddb8b87e01e141f153b6299fa0e8fd1eb345baaf95",
    3: "d818cdbe6374b3d00763ea208ccd5aaf1943c8e0596a1cab7530d3b5bc3365c4",
    4: "f9c747fe16a8303319c931ea388378101fc28ff6f9ae2cb202f2336a6f042381",
    5: "ac37f4b21b1585ec952a8df5a77cee3f2d462bb89f67640b873a5607e7db3d19",
}


def test_what_the_code_takes_is_written_down_under_its_version() -> None:
    written = json.loads(contract_file(CONTRACT_VERSION).read_text())
    assert written == current_contract(), "WorkerRequest takes something else: make CONTRACT_VERSION one more"


def test_every_version_is_as_it_was_released() -> None:
    written = {version: hashlib.sha256(contract_file(version).read_bytes()).hexdigest() for version in RELEASED}
    assert written == RELEASED, "there are archives of it already: make CONTRACT_VERSION one more"


def test_one_version_at_most_is_not_released() -> None:
    assert max(RELEASED) in {CONTRACT_VERSION, CONTRACT_VERSION - 1}, "the same CONTRACT_VERSION takes one more field"


def test_each_version_takes_the_request_of_a_caller_who_says_nothing_special() -> None:
    request = WorkerRequest(prompt="Once", id="request-1").model_dump(mode="json", exclude_unset=True)
    assert all(worker_contract(version).is_valid(request) for version in range(1, CONTRACT_VERSION + 1))
