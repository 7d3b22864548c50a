import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter.errors import InvalidRequest
from adapter.http.json_outline import JsonOutline

TEXT = st.text(alphabet='"\\,[]{}:0 é\n') | st.text()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda members: st.lists(members) | st.dictionaries(TEXT, members),
    max_leaves=20,
)


def outline(body: bytes, length: int) -> JsonOutline:
    """Of `body` in slices of `length`."""
    seen = JsonOutline()
    for start in range(0, len(body), length):
        seen.add(body[start : start + length])
    return seen


def num_values(value: Any) -> int:
    if isinstance(value, dict):
        value = list(value.values())
    return 1 + sum(map(num_values, value)) if isinstance(value, list) else 1


@given(JSON, st.integers(1, 50), st.sampled_from([None, 2]))
def test_counts_what_a_reader_would_make_of_it(value: Any, length: int, indent: int | None) -> None:
    seen = outline(json.dumps(value, ensure_ascii=False, indent=indent).encode(), length)
    assert (seen._num_values + 1, seen._depth, seen._is_in_string) == (num_values(value), 0, False)


@pytest.mark.parametrize("length", [1, 2, 3, 1_000, 10**6])
def test_a_text_of_whatever_is_one_value(length: int) -> None:
    outline(json.dumps('[{",\\' * 30_000).encode(), length)


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        pytest.param(b'"",' * 20_001, "values", id="texts"),
        pytest.param(b'"' * 160_002, "values", id="quotes"),
        pytest.param(b"{}," * 20_001, "values", id="empty objects"),
        pytest.param(b"1" * 400_001, "digits", id="a number"),
        pytest.param(b"1.5e10," * 15_000 + b"1" * 400_000, "digits", id="numbers"),
        pytest.param(b"[[" * 17, "levels", id="brackets"),
    ],
)
@pytest.mark.parametrize("length", [7, 10**6])
def test_refuses_what_is_beyond_a_limit(body: bytes, fault: str, length: int) -> None:
    with pytest.raises(InvalidRequest, match=fault):
        outline(body, length)
