"""The calls of tools that an assistant asks for, whole or in the pieces of a stream, as OpenAI's servers send them."""

from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict

from adapter.client.fields import SentFunction, SentToolCall


class ToolCall(BaseModel):
    """`arguments` is the text of a JSON object, as the assistant wrote it."""

    model_config = ConfigDict(frozen=True)

    id: str
    name: str
    arguments: str

    def sent(self) -> SentToolCall:
        """The call as a later message of the assistant's has it."""
        return SentToolCall(
            id=self.id, type="function", function=SentFunction(name=self.name, arguments=self.arguments)
        )


class _Function(BaseModel):
    name: str | None = None
    arguments: str | None = None


class ToolCallPiece(BaseModel):
    """A whole call, or a piece of the one that has this index."""

    index: int | None = None
    id: str | None = None
    function: _Function = _Function()


def put_together(pieces: Iterable[ToolCallPiece]) -> tuple[ToolCall, ...]:
    """Joins the pieces, in the order in which calls begin. A piece without an index is a call of its own."""
    calls: dict[object, ToolCall] = {}
    for number, piece in enumerate(pieces):
        key = ("whole", number) if piece.index is None else piece.index
        so_far = calls.get(key, ToolCall(id="", name="", arguments=""))
        calls[key] = ToolCall(
            id=piece.id or so_far.id,
            name=so_far.name + (piece.function.name or ""),
            arguments=so_far.arguments + (piece.function.arguments or ""),
        )
    return tuple(calls.values())
