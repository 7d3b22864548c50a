"""What an archive may hold: everything else is refused by the rule that it breaks, however true its record is."""

import json
import pickle
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest

from adapter.archives.content_rules import ContentError, read_whole
from adapter.archives.strict_zip import StrictZipError
from adapter.archives.verification import VerificationError, verify_archive
from adapter.archives.zip_image import ZipEntry, local_header
from tests.adapter.archives.repacking import RECORD, Contents, drop, edit_record, put, repack

CONFIG, WEIGHTS, TOKENIZER = "model/config.json", "model/model.safetensors", "model/tokenizer.json"
MANIFEST, BOM = "MAR-INF/MANIFEST.json", "MAR-INF/bom.cdx.json"
HANDLER, SETTINGS = "text_generation.py", "model-config.yaml"
STRAY, INDEX = "model/a.safetensors", "model/model.safetensors.index.json"


def replace(name: str, old: bytes, new: bytes) -> Callable[[Contents], object]:
    def change(contents: Contents) -> None:
        assert old in contents[name]
        contents[name] = contents[name].replace(old, new)

    return change


def config(**members: object) -> Callable[[Contents], object]:
    return put(CONFIG, json.dumps({"architectures": ["LlamaForCausalLM"]} | members).encode())


PICKLE = pickle.dumps({"weight": [1.0]})
STRAY_FILE = "an archive has no file of this name or kind"
OWN_CODE = "names code of its own"
NOT_OURS = "it is not this installation's, and no key vouches for it"

CRAFTED = {
    "pickled weights": (put("model/pytorch_model.bin", PICKLE), STRAY_FILE),
    "a checkpoint": (put("model/model.pth", PICKLE), STRAY_FILE),
    "an array": (put("model/extra.npy", b"\x93NUMPY"), STRAY_FILE),
    "a GGUF file": (put("model/model.gguf", b"GGUF"), STRAY_FILE),
    "the model's own code": (put("model/modeling_tiny.py", b""), STRAY_FILE),
    "a native library": (put("model/kernel.so", b"\x7fELF"), STRAY_FILE),
    "a PEFT adapter's configuration": (put("model/adapter_config.json", b"{}"), STRAY_FILE),
    "a directory in the model": (put("model/nested/config.json", b"{}"), STRAY_FILE),
    "a module at the root": (put("torch.py", b""), STRAY_FILE),
    "a package at the root": (put("transformers/__init__.py", b""), STRAY_FILE),
    "a package in the handlers": (put("handlers/more/__init__.py", b""), STRAY_FILE),
    "a package in the adapter": (put("adapter/more/__init__.py", b""), STRAY_FILE),
    "a package in the contract": (put("adapter/schema/more/__init__.py", b""), STRAY_FILE),
    "compiled code": (put("handlers/engine.cpython-311-x86_64-linux-gnu.so", b""), STRAY_FILE),
    "Python's start": (put("sitecustomize.py", b""), STRAY_FILE),
    "a path file": (put("x.pth", b"import os"), STRAY_FILE),
    "requirements": (put("requirements.txt", b"evil"), STRAY_FILE),
    "a file beside the manifest": (put("MAR-INF/x.json", b"{}"), STRAY_FILE),
    "the kind in upper case": (put("model/X.SAFETENSORS", b""), STRAY_FILE),
    "a module more": (put("handlers/extra.py", b""), f"handlers/extra.py: {NOT_OURS}"),
    "a module less": (drop("handlers/engine.py"), f"handlers/engine.py: {NOT_OURS}"),
    "a changed module": (put("handlers/engine.py", b"import os"), f"handlers/engine.py: {NOT_OURS}"),
    "a changed handler": (put(HANDLER, b"import os"), f"{HANDLER}: {NOT_OURS}"),
    "a changed contract": (put("adapter/__init__.py", b"import os"), f"adapter/__init__.py: {NOT_OURS}"),
    "a module more of the contract": (put("adapter/schema/more.py", b""), f"adapter/schema/more.py: {NOT_OURS}"),
    "the gateway's code": (put("adapter/gateway.py", b""), f"adapter/gateway.py: {NOT_OURS}"),
    "auto_map": (config(auto_map={"AutoModel": "x--y.Z"}), f"{CONFIG}: its auto_map {OWN_CODE}"),
    "auto_map within": (config(text_config={"auto_map": {}}), f"{CONFIG}: its auto_map {OWN_CODE}"),
    "auto_map in a list": (config(parts=[{"auto_map": {}}]), f"{CONFIG}: its auto_map {OWN_CODE}"),
    "auto_map and then another": (put(CONFIG, b'{"a":{"auto_map":{}},"a":{}}'), f"its auto_map {OWN_CODE}"),
    "auto_map in escapes": (put(CONFIG, rb'{"\u0061uto_map": {}}'), f"its auto_map {OWN_CODE}"),
    "custom pipelines": (config(custom_pipelines={}), f"its custom_pipelines {OWN_CODE}"),
    "trusted code": (config(trust_remote_code=True), f"its trust_remote_code {OWN_CODE}"),
    "an internal attention": (config(_attn_implementation_internal="a/b"), f"_attn_implementation_internal {OWN_CODE}"),
    "an attention of the hub": (config(attn_implementation="a/b"), f"its attn_implementation {OWN_CODE}"),
    "a tokenizer's auto_map": (put("model/tokenizer_config.json", b'{"auto_map":{}}'), f"its auto_map {OWN_CODE}"),
    "a generation's auto_map": (put("model/generation_config.json", b'{"auto_map":{}}'), f"its auto_map {OWN_CODE}"),
    "a configuration that is not JSON": (put(CONFIG, b"{"), f"{CONFIG}: "),
    "a configuration without end": (put(CONFIG, b'{"a":' * 100_000), f"{CONFIG}: "),
    "a pickle for a tokenizer": (put(TOKENIZER, PICKLE), f"{TOKENIZER}: "),
    "a pickle for a vocabulary": (put("model/vocab.txt", PICKLE), "model/vocab.txt: "),
    "a pickle for weights": (put(WEIGHTS, PICKLE), f"{WEIGHTS}: its header is longer"),
    "a byte more of weights": (lambda c: c.update({WEIGHTS: c[WEIGHTS] + b"\0"}), f"{WEIGHTS}: its tensors do not end"),
    "weights beside the weights": (lambda c: c.update({STRAY: c[WEIGHTS]}), f"{STRAY}: it is a stray file of weights"),
    "no weights": (drop(WEIGHTS), f"{WEIGHTS}: it is missing"),
    "an index of other weights": (
        lambda c: c.update({STRAY: c.pop(WEIGHTS), INDEX: b'{"weight_map":{"weight":"c.safetensors"}}'}),
        f"{STRAY}: it is a stray file of weights",
    ),
    "an index that is a list": (
        lambda c: c.update({STRAY: c.pop(WEIGHTS), INDEX: b"[]"}),
        f"{STRAY}: it is a stray file of weights",
    ),
    "an unknown setting": (put(SETTINGS, b"workers: 1"), f"{SETTINGS}: "),
    "a setting that makes an object": (put(SETTINGS, b"!!python/object/apply:os.getcwd []"), f"{SETTINGS}: "),
    "settings that are not YAML": (put(SETTINGS, b"["), f"{SETTINGS}: it is not YAML: line 2: "),
    "a setting twice": (put(SETTINGS, b"a: 1\na: 2"), f"{SETTINGS}: line 2: the key 'a' is there already"),
    "settings that grow": (put(SETTINGS, b"a: &a [1]\nb: [*a, *a]"), f"{SETTINGS}: line 1: anchors and aliases"),
    "settings without end": (put(SETTINGS, b"[" * 30_000), f"{SETTINGS}: line 1: it has more than 16 levels"),
    "settings that take long to read": (put(SETTINGS, b"- 1\n" * 20_000), f"{SETTINGS}: it is larger than 64 KiB"),
    "requirements in the manifest": (
        replace(MANIFEST, b'"modelVersion"', b'"requirementsFile": "x", "modelVersion"'),
        f"{MANIFEST}: it is not what TorchServe is to read",
    ),
    "another handler in the manifest": (
        replace(MANIFEST, b"text_generation.py", b"handlers/engine.py"),
        f"{MANIFEST}: it is not what TorchServe is to read",
    ),
    "another version in the manifest": (
        replace(MANIFEST, b'"1.0"', b'"2.0"'),
        f"{MANIFEST}: it is not what TorchServe is to read",
    ),
    "a space in the manifest": (lambda c: c.update({MANIFEST: c[MANIFEST] + b" "}), f"{MANIFEST}: it is not what"),
    "another bill of materials": (put(BOM, b"{}"), f"{BOM}: it is not what the record says"),
    "no bill of materials": (drop(BOM), f"{BOM}: it is missing"),
    "no manifest": (drop(MANIFEST), f"{MANIFEST}: it is missing"),
    "no record": (drop(RECORD), f"{RECORD}: it is missing"),
    "no handler": (drop(HANDLER), f"{HANDLER}: it is missing"),
    "no settings": (drop(SETTINGS), f"{SETTINGS}: it is missing"),
    "no configuration": (drop(CONFIG), f"{CONFIG}: it is missing"),
    "another name in the record": (
        lambda c: edit_record(c, lambda record: record.update(name="other")),
        f"{MANIFEST}: it is not what TorchServe is to read",
    ),
    "another number of parameters": (
        lambda c: edit_record(c, lambda record: record["model"].update(parameters={"F32": 7_000_000_000})),
        f"{RECORD}: its parameters are not those of the weights",
    ),
    "a record of a later format": (
        lambda c: edit_record(c, lambda record: record.update(format=2)),
        f"{RECORD}: it is not a record that torchbridge writes",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("change", "reason"), CRAFTED.values(), ids=CRAFTED.keys())
def test_refuses_an_archive_that_holds(archive: Path, change: Callable[[Contents], object], reason: str) -> None:
    repack(archive, change)

    with pytest.raises(VerificationError, match=reason):
        verify_archive(archive)


@pytest.mark.parametrize(
    ("name", "size"),
    [
        (MANIFEST, 2**16),
        (RECORD, 2**21),
        (BOM, 2**22),
        ("MAR-INF/PROBES.json", 2**22),
        (SETTINGS, 2**16),
        (CONFIG, 2**26),
    ],
)
def test_refuses_to_read_more_of_a_file_than_one_of_its_name_can_need(name: str, size: int) -> None:
    with pytest.raises(ContentError, match=f"{name}: it is larger than {size // 2**10:,} KiB"):
        read_whole(BytesIO(), ZipEntry(name, size + 1, 0, 0))


def test_refuses_what_has_changed_since_it_was_packed() -> None:
    with pytest.raises(StrictZipError, match=f"{RECORD}: its content has changed"):
        read_whole(BytesIO(local_header(ZipEntry(RECORD, 2, 0, 0)) + b"{}"), ZipEntry(RECORD, 2, 0, 0))
