"""Parameters that others' documents offer and this server does not have, each with what becomes of it.

A parameter that would change the answer is refused, unless its value asks for nothing of it: many clients send each one
that they know, with the value that switches it off (SillyTavern's textgen-settings.js sends dozens). The sources are
OpenAI's API reference, vLLM's entrypoints/openai/*/protocol.py and the README of llama.cpp's server.

What changes no answer is ignored, and so has no line here:
- how fast, at what price and for whom: `service_tier`, `priority`, `prediction`, `store`, `metadata`,
  `safety_identifier`, `request_id`, `cache_salt`, `prompt_cache_key`, `prompt_cache_options`,
  `prompt_cache_retention`, `kv_transfer_params`, `ec_transfer_params`;
- hints, of which a model may make nothing: `reasoning_effort`, `verbosity`;
- what matters only beside a parameter that is refused: `length_penalty`, `truncation_side`,
  `spaces_between_special_tokens`, `guided_decoding_backend`, `guided_whitespace_pattern`, `media_io_kwargs`,
  `mm_processor_kwargs`, `return_tokens_as_token_ids`;
- what is for other servers' other addresses and extensions: `return_token_offsets`, `return_assistant_tokens_mask`,
  `vllm_xargs`.
"""

import json
from typing import Annotated, Any

from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError

from adapter.openai.lenient import Lenient


def only(*nothing: object, because: str = "Not supported by this server") -> BeforeValidator:
    """Takes a value that is one of `nothing`, and refuses every other."""
    hint = "".join(f", or send {json.dumps(each)}" for each in nothing[:1])

    def check(value: object) -> object:
        # True is 1 for Python, and logprobs 0 is not false.
        if not any(value == each and isinstance(value, bool) == isinstance(each, bool) for each in nothing):
            raise PydanticCustomError("unsupported", f"{because}: leave it out{hint}")
        return value

    return BeforeValidator(check)


class Unsupported(Lenient):
    """Of completions and of chats."""

    # Several answers, or the best of several
    use_beam_search: Annotated[Any, only(False)] = None

    # Other choices of the next token
    typical_p: Annotated[Any, only(1)] = None
    top_n_sigma: Annotated[Any, only(-1, 0)] = None
    repeat_penalty: Annotated[Any, only(1, 0)] = None  # llama.cpp's: of the last tokens only
    dynatemp_range: Annotated[Any, only(0)] = None
    mirostat: Annotated[Any, only(0)] = None
    dry_multiplier: Annotated[Any, only(0)] = None
    xtc_probability: Annotated[Any, only(0)] = None
    allowed_token_ids: Annotated[Any, only([])] = None
    bad_words: Annotated[Any, only([])] = None
    logits_processors: Annotated[Any, only([])] = None

    # An answer of a given form
    structured_outputs: Annotated[Any, only({})] = None
    structural_tag: Annotated[Any, only("")] = None
    output: Annotated[Any, only({})] = None  # our own routes' name for response_format
    guided_json: Annotated[Any, only({}, "")] = None
    guided_regex: Annotated[Any, only("")] = None
    guided_choice: Annotated[Any, only([])] = None
    guided_grammar: Annotated[Any, only("")] = None
    grammar: Annotated[Any, only("")] = None
    json_schema: Annotated[Any, only({})] = None

    # Another end of the answer
    stop_token_ids: Annotated[Any, only([])] = None
    include_stop_str_in_output: Annotated[Any, only(False)] = None
    repetition_detection: Annotated[Any, only()] = None
    thinking_token_budget: Annotated[Any, only(-1)] = None

    # More in the answer than the model's text
    skip_special_tokens: Annotated[Any, only(True)] = None
    prompt_logprobs: Annotated[Any, only()] = None
    n_probs: Annotated[Any, only(0)] = None
    return_token_ids: Annotated[Any, only(False)] = None

    # A prompt that is cut to fit
    truncate_prompt_tokens: Annotated[Any, only()] = None


class UnsupportedInCompletions(Unsupported):
    add_special_tokens: Annotated[Any, only(True)] = None  # the prompt begins as the model was trained to see it
    prompt_embeds: Annotated[Any, only()] = None
    suffix: Annotated[Any, only("")] = None


class UnsupportedInChats(Unsupported):
    echo: Annotated[Any, only(False)] = None
    # Other marks around the conversation than the model's template writes
    add_special_tokens: Annotated[Any, only(False)] = None
    chat_template: Annotated[Any, only("")] = None
    chat_template_kwargs: Annotated[Any, only({})] = None
    documents: Annotated[Any, only([])] = None

    # Tools
    functions: Annotated[Any, only([])] = None
    function_call: Annotated[Any, only("none", "auto")] = None
    web_search_options: Annotated[Any, only()] = None  # {} asks for a search

    # More in the answer than text, or less
    modalities: Annotated[Any, only(["text"])] = None
    audio: Annotated[Any, only()] = None
    moderation: Annotated[Any, only()] = None
    include_reasoning: Annotated[Any, only(True)] = None
    return_prompt_text: Annotated[Any, only(False)] = None
