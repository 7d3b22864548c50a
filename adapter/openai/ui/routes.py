"""/chat/ui, which a page's `useChat` calls as it is, through whatever stands before the gateway."""

from dataclasses import replace

from fastapi import APIRouter, Request, Response
from pydantic import Field

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


class UiChatRequest(SampledRequest):
    """What `useChat` sends, of which `id`, `trigger` and `messageId` are the page's own, and what its `body` adds."""

    messages: list[UiMessage] = Field(min_length=1, max_length=MAX_MESSAGES, fail_fast=True)
    tools: list[OfferedTool] = Field(default_factory=list, max_length=MAX_TOOLS)
    tool_choice: ToolChoice = "auto"
    parallel_tool_calls: bool = True
    max_tokens: TokenLimit = MAX_LENGTH


def ui_routes(generator: TextGenerator, shutdown: Shutdown, settings: Settings) -> APIRouter:
    # Not in our document: the AI SDK's own describes it, and pages call it by that.
    router = APIRouter(include_in_schema=False, route_class=DirectRoute)

    @router.post("/chat/ui")
    async def chat(body: UiChatRequest, call: CallParameters, request: Request) -> Response:
        del request
        asked = _request(body)
        last = body.messages[-1]
        call = replace(call, user=call.user or body.user, uses_model_defaults=True)
        return EventStreamResponse(
            generator.stream(asked, call),
            call,
            shutdown,
            heartbeat=settings.heartbeat_interval,
            encoding=UiMessageChunks(last.id if last.role == "assistant" else ""),
            headers=HEADERS,
        )

    return router


def _request(body: UiChatRequest) -> ChatGenerationRequest:
    return valid(
        ChatGenerationRequest,
        body,
        CHAT_NAMES,
        **conversation(as_messages(body.messages)),
        **tool_fields(body.tools, body.tool_choice, is_parallel=body.parallel_tool_calls),
        max_length=body.max_tokens,
    )
