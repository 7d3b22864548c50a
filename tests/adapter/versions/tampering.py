"""What somebody with a registry in their hands may do to it. Each hand changes it once; `chance` says where."""

import hashlib
import json
import random
from collections.abc import Callable
from typing import Any, TypeAlias

from tests.adapter.artifacts.fake_registry import FakeRegistry

Hand: TypeAlias = Callable[[FakeRegistry, random.Random], object]

_STRANGE = (None, 0, -1, 2**63, "", "..", "../../evil", "sha256:" + "0" * 64, [], {}, True, "\x1b[2J")


def content(registry: FakeRegistry, chance: random.Random) -> None:
    """Of a blob: a bit, a piece, more, or all of it."""
    name = chance.choice(sorted(registry.blobs))
    registry.blobs[name] = _changed(registry.blobs[name], chance)


def manifest(registry: FakeRegistry, chance: random.Random) -> None:
    name = chance.choice(sorted(registry.manifests))
    media_type, before = registry.manifests[name]
    registry.manifests[name] = media_type, _changed(before, chance)


def exchange(registry: FakeRegistry, chance: random.Random) -> None:
    """One blob, or one manifest, by the name of another."""
    held: dict[str, Any] = chance.choice([registry.blobs, registry.manifests])
    one, other = chance.sample(sorted(held), 2)
    held[one] = held[other]


def removal(registry: FakeRegistry, chance: random.Random) -> None:
    held: dict[str, Any] = chance.choice([registry.blobs, registry.manifests])
    del held[chance.choice(sorted(held))]


def strange_value(registry: FakeRegistry, chance: random.Random) -> None:
    """In a manifest, or in the configuration that it names; each by its new digest, and the tags follow."""
    name = chance.choice(sorted(registry.manifests))
    media_type, before = registry.manifests[name]
    document = json.loads(before)
    if "config" in document and chance.random() < 0.5:
        configured = json.loads(registry.blobs[document["config"]["digest"]])
        _spoil(configured, chance)
        blob = json.dumps(configured).encode()
        document["config"] |= {"digest": _digest(blob), "size": len(blob)}
        registry.blobs[_digest(blob)] = blob
    else:
        _spoil(document, chance)
    _put(registry, name, media_type, json.dumps(document).encode())


def another_layer(registry: FakeRegistry, chance: random.Random) -> None:
    """Whole in itself: the manifest and the configuration are those of another blob that is there."""
    name = chance.choice(sorted(name for name, (_, said) in registry.manifests.items() if b"modelfs" not in said))
    media_type, before = registry.manifests[name]
    document = json.loads(before)
    if not document.get("layers"):
        return
    digest = chance.choice(sorted(registry.blobs))
    document["layers"][0] |= {"digest": digest, "size": len(registry.blobs[digest])}
    configured = json.loads(registry.blobs[document["config"]["digest"]])
    if "modelfs" in configured:
        configured["modelfs"]["diffIds"] = [digest]
        blob = json.dumps(configured).encode()
        document["config"] |= {"digest": _digest(blob), "size": len(blob)}
        registry.blobs[_digest(blob)] = blob
    _put(registry, name, media_type, json.dumps(document).encode())


def another_subject(registry: FakeRegistry, chance: random.Random) -> None:
    """A signature that somebody has made, or that was made for another archive, is given to one."""
    attached = sorted(name for name, (_, said) in registry.manifests.items() if b'"subject"' in said)
    others = sorted(name for name in registry.manifests if name not in attached and name.startswith("sha256:"))
    if not attached or not others:
        return
    media_type, before = registry.manifests[chance.choice(attached)]
    document, digest = json.loads(before), chance.choice(others)
    document["subject"] |= {"digest": digest, "size": len(registry.manifests[digest][1])}
    moved = json.dumps(document).encode()
    registry.manifests[_digest(moved)] = media_type, moved


HANDS: tuple[Hand, ...] = (content, manifest, exchange, removal, strange_value, another_layer, another_subject)


def _changed(before: bytes, chance: random.Random) -> bytes:
    changed = bytearray(before)
    match chance.randrange(5):
        case 0 if changed:
            changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
        case 1:
            del changed[chance.randrange(len(changed) + 1) :]
        case 2:
            changed += chance.randbytes(chance.randrange(1, 100))
        case 3:
            changed[:] = chance.randbytes(len(changed))
        case _:
            changed.clear()
    return bytes(changed)


def _spoil(document: dict[str, Any], chance: random.Random) -> None:
    """One value of it, however deep, or one member less."""
    place: Any = document
    while True:
        key = chance.choice(sorted(place)) if isinstance(place, dict) else chance.randrange(len(place))
        if isinstance(place[key], dict | list) and place[key] and chance.random() < 0.8:
            place = place[key]
            continue
        if chance.random() < 0.3:
            del place[key]
        else:
            place[key] = chance.choice(_STRANGE)
        return


def _put(registry: FakeRegistry, name: str, media_type: str, content: bytes) -> None:
    """In place of what has the name, whose tags are then its own."""
    before = registry.manifests[name]
    for each, held in list(registry.manifests.items()):
        if held == before and not each.startswith("sha256:"):
            registry.manifests[each] = media_type, content
    registry.manifests[_digest(content)] = media_type, content


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
