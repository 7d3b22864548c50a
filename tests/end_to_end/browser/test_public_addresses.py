"""What the app's server lets a page have of the gateway, and how it comes."""

import pytest
import requests

from adapter.event_stream import EventDecoder
from adapter.schema import DoneEvent, StreamEvent
from tests.seeing import seen_at_last

pytestmark = pytest.mark.torchserve


@pytest.mark.parametrize("path", ["/gateway/metrics", "/api/metrics", "/api/docs", "/api/openapi.json"])
def test_nothing_of_the_gateway_is_public_but_what_the_page_uses(app_url: str, path: str) -> None:
    assert requests.get(app_url + path, timeout=120).status_code == 404


def test_chats_of_other_clients_are_not_public(app_url: str) -> None:
    body = {"model": "tiny", "messages": [{"role": "user", "content": "Hello"}]}
    assert requests.post(f"{app_url}/api/chat/v1/chat/completions", json=body, timeout=120).status_code == 404


def test_a_stream_comes_in_pieces_also_to_who_takes_gzip(app_url: str) -> None:
    pieces, events = seen_at_last(lambda: pieces_and_events(app_url), lambda seen: _came_in_pieces(*seen))
    assert isinstance(events[-1], DoneEvent)
    assert _came_in_pieces(pieces, events)


def pieces_and_events(app_url: str) -> tuple[list[int], list[StreamEvent]]:
    """How many events had come before each piece."""
    body = {"prompt": "Once", "model": "light", "model_version": "1.0", "max_length": 300}
    headers = {"accept-encoding": "gzip", "accept": "text/event-stream"}
    pieces: list[int] = []
    decoder, events = EventDecoder(), []
    with requests.post(
        f"{app_url}/api/generate/stream", json=body, headers=headers, stream=True, timeout=120
    ) as response:
        assert "content-encoding" not in response.headers
        while piece := response.raw.read1(2**16):
            pieces.append(len(events))
            events += decoder.feed(piece)
    return pieces, events


def _came_in_pieces(pieces: list[int], events: list[StreamEvent]) -> bool:
    """Most of the text had come before the last piece did."""
    return len(pieces) > 10 and len(events) / 4 < pieces[-1] < len(events)
