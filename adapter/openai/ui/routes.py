"""/chat/ui, which a page's `useChat` calls as it is, through whatever stands before the gateway."""

from dataclasses import replace

from fastapi import APIRouter, Request, Response
from pydantic import Field

from adapter.call import Arrivals, Call
from adapter.generation.deadlines import within_deadlines
from adapter.generation.kept_streams import KeptStreams, StreamName
from adapter.generation.text_generator import TextGenerator
from adapter.http.call_parameters import CallParameters
from adapter.http.direct_routes import DirectRoute
from adapter.http.event_stream_response import EventStreamResponse
from adapter.http.shutdown import Shutdown
from adapter.openai.schema import MAX_MESSAGES, SampledRequest, TokenLimit
from adapter.openai.tools import OfferedTool, ToolChoice, tool_fields
from adapter.openai.translation import CHAT_NAMES, conversation, valid
from adapter.openai.ui.messages import UiMessage, as_messages
from adapter.openai.ui.stream import HEADERS, UiMessageChunks
from adapter.schema import MAX_LENGTH, ChatGenerationRequest
from adapter.settings import Settings
from adapter.tools import MAX_TOOLS

_LONGEST_ID = 256
_STREAM = "/chat/ui/{chat_id}/stream"
_CHAT = "chat\0"  # no name that Cursors gives a stream


class UiChatRequest(SampledRequest):
    """What `useChat` sends, of which `trigger` and `messageId` are the page's own, and what its `body` adds.

    id: of the chat, by which its last answer is found again.
    """

    id: str = Field(default="", max_length=_LONGEST_ID)
    messages: list[UiMessage] = Field(min_length=1, max_length=MAX_MESSAGES, fail_fast=True)
    tools: list[OfferedTool] = Field(default_factory=list, max_length=MAX_TOOLS)
    tool_choice: ToolChoice = "auto"
    parallel_tool_calls: bool = True
    max_tokens: TokenLimit = MAX_LENGTH


def ui_routes(generator: TextGenerator, kept: KeptStreams, shutdown: Shutdown, settings: Settings) -> APIRouter:
    # Not in our document: the AI SDK's own describes it, and pages call it by that.
    router = APIRouter(include_in_schema=False, route_class=DirectRoute)

    def answer(arrivals: Arrivals, call: Call, message_id: str = "") -> Response:
        return EventStreamResponse(
            arrivals,
            call,
            shutdown,
            heartbeat=settings.heartbeat_interval,
            encoding=UiMessageChunks(message_id),
            headers=HEADERS,
        )

    @router.post("/chat/ui")
    async def chat(body: UiChatRequest, call: CallParameters, request: Request) -> Response:
        del request
        asked = _request(body)
        last = body.messages[-1]
        name = _name(call, body.id)
        call = replace(call, user=call.user or body.user, uses_model_defaults=True)
        arrivals = generator.stream(asked, call)
        if last.role == "assistant":  # the hook would put what it is told again in place of the whole message
            return answer(arrivals, call, last.id)
        if call.is_resumable and body.id:
            arrivals = kept.keep(name, arrivals)
        return answer(arrivals, call)

    @router.get(_STREAM)
    async def find(chat_id: str, call: CallParameters) -> Response:
        """The chat's last answer from its beginning, if it is being written: `useChat({resume: true})` asks for it."""
        found = kept.find(_name(call, chat_id))
        return Response(status_code=204) if found is None else answer(within_deadlines(found, call), call)

    @router.delete(_STREAM, status_code=204)
    async def stop(chat_id: str, call: CallParameters) -> None:
        await kept.stop(_name(call, chat_id))

    return router


def _name(call: Call, chat_id: str) -> StreamName:
    """The name of the chat's last answer. The header names the user: who comes back has no body for it."""
    return StreamName(call.caller, f"{_CHAT}{call.user or ''}\0{chat_id}")


def _request(body: UiChatRequest) -> ChatGenerationRequest:
    return valid(
        ChatGenerationRequest,
        body,
        CHAT_NAMES,
        **conversation(as_messages(body.messages)),
        **tool_fields(body.tools, body.tool_choice, is_parallel=body.parallel_tool_calls),
        max_length=body.max_tokens,
    )
