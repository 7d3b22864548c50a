"""A known key has a name, an unknown one has none, and no key is ever shown."""

import ast
import logging
import re
import traceback
from pathlib import Path

import pytest
from pydantic import SecretStr

from adapter.http import api_keys
from adapter.http.api_keys import ApiKeys, ApiKeysError
from tests.adapter.http.api_keys.known_keys import FIRST, SECOND, UNNAMED_FIRST, UNNAMED_SECOND

ADAPTER = Path(api_keys.__file__).parent


def keys_of(text: str) -> ApiKeys:
    return ApiKeys(SecretStr(text))


@pytest.mark.parametrize(
    ("text", "names"),
    [
        pytest.param(f"web:{FIRST},batch:{SECOND}", ("web", "batch"), id="named"),
        pytest.param(f"{FIRST},{SECOND}", (UNNAMED_FIRST, UNNAMED_SECOND), id="unnamed"),
        pytest.param(f" web:{FIRST} , {SECOND},", ("web", UNNAMED_SECOND), id="spaces and a last comma"),
        pytest.param(
            f"\ufeff# ours, mine\r\nweb:{FIRST}\r\n\r\n  # old\r\n{SECOND}", ("web", UNNAMED_SECOND), id="a file's"
        ),
        pytest.param(f"web:{FIRST}\nweb:{SECOND}\n", ("web", "web"), id="two of one name, for a rotation"),
    ],
)
def test_a_key_has_its_name(file: Path, text: str, names: tuple[str, str]) -> None:
    file.write_text(text, encoding="utf-8", newline="")
    keys = ApiKeys(file)

    assert (keys.name_of(FIRST.encode()), keys.name_of(SECOND.encode())) == names


def test_a_key_without_a_name_keeps_its_own_wherever_it_stands() -> None:
    names = {keys_of(text).name_of(SECOND.encode()) for text in (SECOND, f"{FIRST},{SECOND}", f"{SECOND},{FIRST}")}
    assert names == {UNNAMED_SECOND}


@pytest.mark.parametrize(
    "presented", [b"", b"first-key", FIRST.encode() + b"0", FIRST.upper().encode(), b"web", b"\xff" * 20, b"x" * 8_192]
)
def test_what_is_no_key_has_no_name(presented: bytes) -> None:
    assert keys_of(f"web:{FIRST}").name_of(presented) is None


@pytest.mark.parametrize(
    "key", ["a" * 16, "A+/b.~_-0123456789==", "x" * 8_192], ids=["shortest", "base64 and more", "long"]
)
def test_takes_every_key_that_a_bearer_header_can_carry(key: str) -> None:
    assert keys_of(f"web:{key}").name_of(key.encode()) == "web"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "none is given"),
        (" , \n# nothing\n", "none is given"),
        ("a" * 15, "API key 1 has fewer than 16"),
        (f"{FIRST},web:canary", "API key 2 has fewer than 16"),
        (f"{FIRST},web:", "API key 2 has fewer than 16"),
        ("canary 0123456789abcdef", "API key 1 must be letters"),
        ("canary-0123456789äöü", "API key 1 must be letters"),
        ("canary=0123456789abcdef", "API key 1 must be letters"),
        (f":{FIRST}", "name of API key 1"),
        (f"a b:{FIRST}", "name of API key 1"),
        (f"canary:canary:{FIRST}", "name of API key 1"),
        (f"{'n' * 65}:{FIRST}", "name of API key 1"),
    ],
)
@pytest.mark.parametrize("is_file", [False, True], ids=["in the environment", "in a file"])
def test_refuses_to_start_with_what_is_no_key_and_does_not_repeat_it(
    *, file: Path, text: str, message: str, is_file: bool
) -> None:
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ApiKeysError, match=message) as caught:
        ApiKeys(file if is_file else SecretStr(text))

    assert "canary" not in str(traceback.format_exception(caught.value))


def test_refuses_to_start_without_the_file(tmp_path: Path) -> None:
    with pytest.raises(ApiKeysError, match=r"keys\.txt cannot be read: No such file"):
        ApiKeys(tmp_path / "keys.txt")


def test_a_file_that_is_not_text_is_no_key(file: Path) -> None:
    file.write_bytes(b"\xff" * 20)
    with pytest.raises(ApiKeysError, match="API key 1 must be letters"):
        ApiKeys(file)


def test_no_setting_is_no_keys() -> None:
    assert ApiKeys.configured(None, None) is None


@pytest.mark.parametrize("is_file", [False, True], ids=["in the environment", "in a file"])
def test_either_setting_is_keys(file: Path, *, is_file: bool) -> None:
    keys = ApiKeys.configured(None, file) if is_file else ApiKeys.configured(SecretStr(FIRST), None)
    assert keys is not None
    assert keys.name_of(FIRST.encode()) == UNNAMED_FIRST


def test_an_empty_setting_does_not_open_the_door() -> None:
    with pytest.raises(ApiKeysError):
        ApiKeys.configured(SecretStr(""), None)


def test_both_settings_are_one_too_many(file: Path) -> None:
    with pytest.raises(ApiKeysError, match="keep one"):
        ApiKeys.configured(SecretStr(FIRST), file)


@pytest.mark.usefixtures("looks_every_time")
def test_no_key_is_shown(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    keys = ApiKeys(file)
    keys.name_of(SECOND.encode())
    for text in (SECOND, f"{SECOND}:{FIRST}:{SECOND}", f"{FIRST}ä", ""):
        file.write_text(text, encoding="utf-8")
        keys.name_of(FIRST.encode())
    shown = f"{keys!r} {vars(keys)!r} {caplog.text}"

    assert [key for key in (FIRST, SECOND) if key in shown] == []


@pytest.mark.parametrize("module", ["api_keys", "authentication"])
def test_what_came_from_a_key_is_compared_by_compare_digest_only(module: str) -> None:
    compared = [
        ast.unparse(side)
        for node in ast.walk(ast.parse((ADAPTER / f"{module}.py").read_text()))
        if isinstance(node, ast.Compare) and not isinstance(node.ops[0], ast.Is | ast.IsNot)
        for side in (node.left, *node.comparators)
    ]
    secret = re.compile(r"(?<!len\()(digest|presented|key|credentials|bearer\[)")

    assert compared
    assert [side for side in compared if secret.search(side)] == []


def test_every_key_is_compared_with() -> None:
    [loop] = [node for node in ast.walk(ast.parse((ADAPTER / "api_keys.py").read_text())) if isinstance(node, ast.For)]

    assert "hmac.compare_digest(key.digest, digest)" in ast.unparse(loop)
    assert not any(isinstance(node, ast.Break | ast.Return | ast.Continue) for node in ast.walk(loop))
