import pytest

from adapter.http.callers_address import plain_address


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        pytest.param("192.0.2.1", "192.0.2.1", id="IPv4"),
        pytest.param("::ffff:192.0.2.1", "192.0.2.1", id="IPv4 at a socket for both"),
        pytest.param("2001:DB8:0::1", "2001:db8::1", id="IPv6"),
        pytest.param("fe80::1%eth0", "fe80::1", id="link-local"),
        pytest.param("fe80::1% web GET /", "fe80::1", id="words for an interface"),
        pytest.param("unknown", None, id="a word"),
        pytest.param("192.0.2.1 web", None, id="more than an address"),
        pytest.param("", None, id="nothing"),
    ],
)
def test_an_address_has_one_form_and_all_else_is_none(text: str, plain: str | None) -> None:
    assert plain_address(text) == plain
