"""What YAML can say twice, hide or blow up is refused, in one line that says where."""

from pathlib import Path

import pytest

from adapter.strict_yaml import MAX_BYTES, MAX_DEPTH, YamlError, load_yaml, read_yaml

LAUGHS = "a: &a [ha, ha]\n" + "".join(
    f"{b}: &{b} [*{a}, *{a}, *{a}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)
REFUSED = {
    "a key twice": ("a: 1\nb: 2\na: 3\n", "line 3: the key 'a' is there already, in line 1"),
    "a key twice within": ("a:\n  - {b: 1,\n     b: 2}\n", "line 3: the key 'b' is there already, in line 2"),
    "a key twice in a key": ("? {a: 1, a: 2}\n: 1\n", "line 1: "),
    "a key twice in other quotes": ("'a': 1\n\"a\": 2\n", "line 2: the key 'a' is there already, in line 1"),
    "a key twice in other digits": ("1: a\n0x1: b\n", "line 2: the key '0x1' is there already, in line 1"),
    "aliases of aliases": (LAUGHS, "line 1: anchors and aliases"),
    "an alias of nothing": ("a: *b\n", "line 1: anchors and aliases"),
    "a merge": ("a:\n  <<: {b: 1}\n  b: 2\n", "line 2: a merge key"),
    "a tag": ("a: !!str 1.0\n", "line 1: tags"),
    "an object": ("\na: !!python/object/apply:os.getcwd []\n", "line 2: tags"),
    "lists without end": ("[" * 30_000, f"line 1: it has more than {MAX_DEPTH} levels"),
    "mappings without end": ("{a: " * 15_000, f"line 1: it has more than {MAX_DEPTH} levels"),
    "blocks without end": ("- " * 30_000, f"line 1: it has more than {MAX_DEPTH} levels"),
    "a level too many": ("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1), f"more than {MAX_DEPTH} levels"),
    "a torn list": ("a: 1\nb: [\n", "it is not YAML: line 3: "),
    "a tab": ("a:\n\t- b\n", "it is not YAML: line 2: "),
    "two documents": ("a: 1\n---\na: 2\n", "it is not YAML: line 2: "),
    "a date that is none": ("a: 1\nb: 2026-99-99\n", "it is not YAML: line 2: month must be in"),
    "a number without end": ("a: " + "9" * 5_000, "it is not YAML: line 1: "),
    "a list as a key": ("? [a]\n: b\n", "it is not YAML: line 1: found unhashable key"),
    "a control character": ("a: \x1b[2K\n", "it is not YAML: "),
    "too many bytes": ("#" * (MAX_BYTES + 1), "it is larger than 64 KiB"),
}


@pytest.mark.parametrize(("text", "reason"), REFUSED.values(), ids=REFUSED.keys())
def test_refuses(text: str, reason: str) -> None:
    with pytest.raises(YamlError) as refused:
        load_yaml(text.encode())
    assert reason in str(refused.value)
    assert str(refused.value).isprintable()


def test_refuses_what_is_not_utf_8() -> None:
    with pytest.raises(YamlError, match="it is not YAML: line 2 is not UTF-8"):
        load_yaml(b"a: 1\nb: \xff\n")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param("", None, id="nothing"),
        pytest.param("a: 1\nb: [x, 1.5, true, null]\n", {"a": 1, "b": ["x", 1.5, True, None]}, id="plain values"),
        pytest.param("{a: {x: 1}, b: {x: 2}}", {"a": {"x": 1}, "b": {"x": 2}}, id="a key in two mappings"),
        pytest.param("1: a\n'1': b\n", {1: "a", "1": "b"}, id="a number and a text"),
        pytest.param("a: 'x & y * z'\n", {"a": "x & y * z"}, id="marks in quotes"),
        pytest.param("é: ü\n", {"é": "ü"}, id="not ASCII"),
        pytest.param("#" * MAX_BYTES, None, id="as many bytes as there may be"),
    ],
)
def test_reads(text: str, value: object) -> None:
    assert load_yaml(text.encode()) == value


def test_reads_as_many_levels_as_there_may_be() -> None:
    value = load_yaml(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)
    for _ in range(MAX_DEPTH - 1):
        assert isinstance(value, list)
        (value,) = value
    assert value == []


def test_a_file_is_named_and_no_more_of_it_is_read_than_may_be_there(tmp_path: Path) -> None:
    path = tmp_path / "models.yaml"
    with path.open("wb") as file:
        file.truncate(2**40)  # which no memory holds
    with pytest.raises(YamlError, match=r"models\.yaml: it is larger than 64 KiB"):
        read_yaml(path)
