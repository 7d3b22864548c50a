"""An item of a streamed output while it grows: each event of it is a type and all that follows."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

from adapter.openai.responses import answers
from adapter.openai.responses.answers import IN_PROGRESS, Json
from adapter.schema import TokenLogprob
from adapter.tools import ToolCall

Events = Iterator[tuple[str, Json]]


class GrowingItem(ABC):
    def __init__(self, index: int) -> None:
        """index: in the output."""
        self._index = index

    @abstractmethod
    def item(self, status: str) -> Json:
        """The item so far; without any content while it is in progress, as OpenAI has it."""

    def open(self) -> Events:
        yield "response.output_item.added", {"output_index": self._index, "item": self.item(IN_PROGRESS)}

    def close(self, status: str) -> Events:
        yield "response.output_item.done", {"output_index": self._index, "item": self.item(status)}

    @property
    def place(self) -> Json:
        return {"item_id": self.item(IN_PROGRESS)["id"], "output_index": self._index}


class GrowingText(GrowingItem):
    def __init__(self, index: int, answer_id: str) -> None:
        super().__init__(index)
        self._answer_id = answer_id
        self._text = ""
        self._told: list[TokenLogprob] = []

    def item(self, status: str) -> Json:
        content = [] if status == IN_PROGRESS else [self._part]
        return answers.message(self._answer_id, status, *content)

    def open(self) -> Events:
        yield from super().open()
        yield "response.content_part.added", self.place | {"part": self._part}

    def more(self, text: str, told: Sequence[TokenLogprob]) -> Events:
        self._text += text
        self._told += told
        yield "response.output_text.delta", self.place | {"delta": text, "logprobs": answers.logprobs(told)}

    def close(self, status: str) -> Events:
        part = self._part
        yield "response.output_text.done", self.place | {"text": part["text"], "logprobs": part["logprobs"]}
        yield "response.content_part.done", self.place | {"part": part}
        yield from super().close(status)

    @property
    def place(self) -> Json:
        return super().place | {"content_index": 0}

    @property
    def _part(self) -> Json:
        return answers.text_part(self._text, self._told)


class GrowingCall(GrowingItem):
    def __init__(self, index: int, call_id: str, name: str) -> None:
        super().__init__(index)
        self._call_id, self._name = call_id, name
        self._arguments = ""

    def item(self, status: str) -> Json:
        arguments = "" if status == IN_PROGRESS else self._arguments
        return answers.function_call(ToolCall(id=self._call_id, name=self._name, arguments=arguments), status)

    def more(self, arguments: str) -> Events:
        self._arguments += arguments
        yield "response.function_call_arguments.delta", self.place | {"delta": arguments}

    def close(self, status: str) -> Events:
        yield "response.function_call_arguments.done", self.place | {"arguments": self._arguments}
        yield from super().close(status)
