"""Several choices in one stream of OpenAI's, as each of them comes."""

from adapter.generation.side_by_side import NumberedEvent
from adapter.openai.answers import Chunks, Kind
from adapter.schema import DoneEvent, GenerationResponse, Problem


class ChunksOfSeveral:
    """The Encoding of such a stream. count: of all choices; num_choices: of each prompt; id: of the call."""

    def __init__(self, kind: Kind, *, include_usage: bool, count: int, num_choices: int, id: str) -> None:  # noqa: A002
        self._choices = [Chunks(kind, include_usage=include_usage, index=index, id=id) for index in range(count)]
        self._num_choices = num_choices
        self._done: dict[int, GenerationResponse] = {}

    def is_start(self, event: NumberedEvent) -> bool:
        return self._choices[event.number].is_start(event.event)

    def encode(self, events: list[NumberedEvent]) -> bytes:
        encoded = b""
        for index, event in events:
            encoded += self._choices[index].encode_event(event)
            if isinstance(event, DoneEvent):
                self._done[index] = event.response
        if len(self._done) < len(self._choices):
            return encoded
        return encoded + self._choices[0].end([each for _, each in sorted(self._done.items())], self._num_choices)

    def encode_failure(self, problem: Problem) -> bytes:
        return self._choices[0].encode_failure(problem)
