import json
from typing import Any

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from adapter.archives.bill_of_materials import bill_of_materials
from adapter.archives.record import FileRecord, ModelFacts, Versions

SOURCE = "pkg:huggingface/org/tiny@043235d6088ecd3dd5fb5ca3592b6913fd516027"
MODEL = ModelFacts(architecture="LlamaForCausalLM", parameters={"F32": 6}, tokenizer_sha256="a" * 64, source=SOURCE)
VERSIONS = Versions(torch="2.13.0+cpu", torchbridge="0.1.0", transformers="5.23.0")
FILES = {"model/config.json": FileRecord(size=2, sha256="b" * 64)}


def bill(model: ModelFacts = MODEL) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(bill_of_materials("tiny", "1.0", model, VERSIONS, FILES))
    return parsed


def test_is_cyclonedx_by_its_own_schema() -> None:
    for model in (MODEL, MODEL.model_copy(update={"architecture": None, "source": None})):
        assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(bill(model))) is None


def test_names_the_model_its_files_and_what_runs_it() -> None:
    model = bill()["metadata"]["component"]

    assert (model["type"], model["name"], model["version"]) == ("machine-learning-model", "tiny", "1.0")
    assert model["purl"] == SOURCE
    assert model["modelCard"] == {
        "modelParameters": {"task": "text-generation", "modelArchitecture": "LlamaForCausalLM"}
    }
    assert [(file["name"], file["hashes"]) for file in model["components"]] == [
        ("model/config.json", [{"alg": "SHA-256", "content": "b" * 64}])
    ]
    assert {library["name"]: library.get("purl") for library in bill()["components"]} == {
        "torch": "pkg:pypi/torch@2.13.0%2Bcpu",
        "torchbridge": None,
        "transformers": "pkg:pypi/transformers@5.23.0",
    }


def test_its_serial_number_follows_from_its_content() -> None:
    assert bill()["serialNumber"] == bill()["serialNumber"]
    assert bill()["serialNumber"] != bill(MODEL.model_copy(update={"parameters": {"F32": 7}}))["serialNumber"]
