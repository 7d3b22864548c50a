"""The requests that workers of each contract version take. An archive has the contract of the day when it was packed.

contracts/N.json is what WorkerRequest took in version N, as JSON schema. There are archives of each released one, so
none of these ever changes (tests/contract/test_contract_versions.py): a change of what WorkerRequest takes after it
makes CONTRACT_VERSION one more, and `make generate` writes its file.
"""

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapter.schema import CONTRACT_VERSION, WorkerRequest

if TYPE_CHECKING:
    from jsonschema.protocols import Validator

_DIRECTORY = Path(__file__).with_name("contracts")
# Keywords that restrict nothing.
_ANNOTATIONS = frozenset({"title", "description", "default", "examples"})
_MAPS = frozenset({"properties", "$defs"})  # from names, any of which may be one of those words


def contract_file(version: int) -> Path:
    return _DIRECTORY / f"{version}.json"


def current_contract() -> dict[str, Any]:
    """The schema of WorkerRequest as the code has it."""
    contract: dict[str, Any] = _without_annotations(WorkerRequest.model_json_schema())
    return contract


@cache
def worker_contract(version: int) -> "Validator":
    """Raises FileNotFoundError for a version that this installation does not know: it is a later one's."""
    # With a grammar of addresses beside it, as tools have it, this takes a second, and older archives alone need it.
    from jsonschema import Draft202012Validator  # noqa: PLC0415

    return Draft202012Validator(json.loads(contract_file(version).read_text(encoding="utf-8")))


def _without_annotations(schema: Any) -> Any:
    match schema:
        case dict():
            return {
                key: {name: _without_annotations(each) for name, each in value.items()}
                if key in _MAPS
                else _without_annotations(value)
                for key, value in schema.items()
                if key not in _ANNOTATIONS
            }
        case list():
            return [_without_annotations(each) for each in schema]
    return schema


def main() -> None:
    content = json.dumps(current_contract(), indent=2, sort_keys=True)
    contract_file(CONTRACT_VERSION).write_text(f"{content}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
