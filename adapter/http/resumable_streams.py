"""Streams that their callers may come back to: one that is kept is read on, or another goes on in its place."""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from pydantic import SecretStr

from adapter.call import Arrivals, Begun, Call
from adapter.generation.deadlines import within_deadlines
from adapter.generation.kept_streams import KeptStreams, StreamName
from adapter.generation.text_generator import TextGenerator
from adapter.http.cursors import Asked, Cursors, WithIds
from adapter.http.event_stream_response import Encoding, NativeEncoding
from adapter.schema import GenerationRequest, StreamEvent


class Form(NamedTuple):
    """How a route's events are written.

    name: of the form, for its ids. encoding: of a stream of this name, and behind what is begun of it. A stream that
    nobody can come back to has no name.
    """

    name: str
    encoding: Callable[[str | None, Begun | None], Encoding[StreamEvent]]


NATIVE = Form("", lambda _stream, _begun: NativeEncoding())


class ResumableStreams:
    def __init__(self, generator: TextGenerator, kept: KeptStreams, cursor_key: SecretStr | None) -> None:
        self._generator, self._kept = generator, kept
        self._cursors = Cursors(cursor_key)

    def open(
        self, request: GenerationRequest, call: Call, form: Form = NATIVE
    ) -> tuple[Arrivals, Encoding[StreamEvent]]:
        """A stream from its beginning, or from behind `Last-Event-ID`. Raises InvalidRequest, or StreamStopped."""
        asked = Asked(request, call, form.name)
        begun = self._cursors.begun(asked)
        ids = self._cursors.ids(asked, begun)
        named = ids or begun
        encoding = form.encoding(named.stream if named else None, begun)
        if ids is not None:
            encoding = WithIds(encoding, ids)
        if begun and (found := self._kept.find(StreamName(call.caller, begun.stream), begun.num_deltas)):
            return within_deadlines(found, call), encoding
        arrivals = self._generated(request, call, begun)
        if ids is not None:
            name, first = StreamName(call.caller, ids.stream), begun.num_deltas if begun else 0
            arrivals = self._kept.keep(name, arrivals, first=first)
        return arrivals, encoding

    async def stop(self, call: Call) -> None:
        """Ends the stream of `Last-Event-ID` for good at this gateway. Raises InvalidRequest."""
        await self._kept.stop(StreamName(call.caller, self._cursors.stop(call)))

    def _generated(self, request: GenerationRequest, call: Call, begun: Begun | None) -> Arrivals:
        if begun is not None:
            call = replace(call, begun=begun, seed=begun.seed, answer_ids=begun.ids)
            request = request.model_copy(update={"model": begun.model, "model_version": begun.version})
        return self._generator.stream(request, call)
