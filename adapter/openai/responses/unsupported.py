"""What OpenAI's Responses API offers and this server does not have, parameter by parameter (see openai/unsupported.py).

What changes no answer is ignored:
- how fast and for whom: `access_programs`, `prompt_cache_options`, `prompt_cache_retention`, `service_tier`;
- hints, of which a model may make nothing: `reasoning`;
- what matters only beside a parameter that is refused: `background_options`, `image`;
- padding of the stream, of which there is none: `stream_options`.
"""

from typing import Annotated, Any

from adapter.openai.unsupported import UnsupportedInChats, only

_NOT_KEPT = "This server keeps no responses"
_SEND_ALL = f"{_NOT_KEPT}, so all of the conversation has to be in `input`"


def _called(name: str) -> str:
    return f"Here it is called {name}"


class UnsupportedInResponses(UnsupportedInChats):
    # What a server would keep
    store: Annotated[Any, only(False, because=_NOT_KEPT)] = None
    previous_response_id: Annotated[Any, only(because=_SEND_ALL)] = None
    conversation: Annotated[Any, only(because=_SEND_ALL)] = None
    background: Annotated[Any, only(False, because=_NOT_KEPT)] = None
    prompt: Annotated[Any, only(because="This server keeps no prompts")] = None

    # A conversation that is cut or summed up to fit
    truncation: Annotated[Any, only("disabled")] = None
    context_management: Annotated[Any, only([])] = None

    # Of the API for chats
    messages: Annotated[Any, only(because=_called("input"))] = None
    max_tokens: Annotated[Any, only(because=_called("max_output_tokens"))] = None
    max_completion_tokens: Annotated[Any, only(because=_called("max_output_tokens"))] = None
    response_format: Annotated[Any, only({"type": "text"}, because=_called("text.format"))] = None
    logprobs: Annotated[Any, only(False, because=_called("top_logprobs"))] = None
    n: Annotated[Any, only(1)] = None
    best_of: Annotated[Any, only(1)] = None
    add_generation_prompt: Annotated[Any, only(True)] = None
    continue_final_message: Annotated[Any, only(False)] = None

    # vLLM's
    enable_response_messages: Annotated[Any, only(False)] = None
    previous_input_messages: Annotated[Any, only([])] = None
