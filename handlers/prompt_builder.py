"""Makes of a request the prompt that this model takes, or says why it cannot take it."""

import logging
import threading
from collections.abc import Collection, Sequence
from typing import NamedTuple

from adapter.output import Output
from adapter.schema import ErrorCode, WorkerRequest
from handlers.chat_template import ChatTemplateError
from handlers.detokenization import TokenDecoder
from handlers.grammars import Grammar, GrammarError, Grammars
from handlers.incoming_request import RefusedRequest
from handlers.request_encoder import RequestEncoder
from handlers.token_constraint import TokenConstraint
from handlers.token_span import TokenSpan
from handlers.tokenization import PromptEncodingError
from handlers.tool_formats import ToolFormat
from handlers.tool_grammar import CallableTools

logger = logging.getLogger(__name__)


class Prompt(NamedTuple):
    """ids: 1 … context_length - 1 tokens; constraint: of the answer, if it is to have a form.

    tool_format: how calls stand in the answer, if it may have some.
    """

    ids: Sequence[int]
    constraint: TokenConstraint | None = None
    tool_format: ToolFormat | None = None


class PromptBuilder:
    """Makes the prompts of one model. Its methods raise RefusedRequest.

    Two threads may encode, one of them requests whose answers have a form, and the other all others: a grammar takes
    its time.

    context_length: most tokens of a prompt and its answer together; the answer has one at least.
    vocabulary: how many token ids the model knows. A tokenizer may have more: fine-tunes add some and forget the model.
    """

    def __init__(
        self, encoder: RequestEncoder, stop_token_ids: Collection[int], *, context_length: int, vocabulary: int
    ) -> None:
        tokenizer = encoder.tokenizer
        self._encoder, self._tokenizer = encoder, tokenizer
        self._context_length, self._vocabulary = context_length, vocabulary
        self._span = TokenSpan.of(tokenizer)
        self._stop_token_ids = stop_token_ids
        self._encoding = threading.Lock()  # a chat template is rendered by one thread at a time
        self._grammars: Grammars | None = None  # half a second, which most workers need not take
        # The first use undoes a truncation and a padding that tokenizer.json may ask for (transformers'
        # set_truncation_and_padding), which must not happen while another thread decodes with the same tokenizer.
        tokenizer("")

    def refuse_unseen(self, request: WorkerRequest) -> None:
        """Refuses by its length what certainly does not fit."""
        if request.messages is not None and self._tokenizer.chat_template is not None:
            return  # the template may leave out any part of the conversation
        self.check_text(request.prompt)

    def encode(self, request: WorkerRequest) -> Prompt:
        """May take a second, most of it without Python's lock."""
        if request.logit_bias and (unknown := max(map(int, request.logit_bias))) >= self._vocabulary:
            detail = f"logit_bias names token {unknown}, and the model has tokens 0 to {self._vocabulary - 1}."
            raise RefusedRequest(ErrorCode.INVALID_REQUEST, detail)
        ids = self._ids(request)  # first: what does not fit needs no grammar
        self._check_answer(request, len(ids))
        tool_format = self._encoder.tool_format if request.tools else None
        wanted = request.output if tool_format is None else _calls(request, tool_format)
        needs_tokens = request.min_length > 0 or request.ignore_eos
        constraint = None if wanted is None else self._constraint(wanted, needs_tokens=needs_tokens)
        if constraint is not None:
            for token_id in request.answer_ids:
                constraint.take(token_id)
        return Prompt(ids, constraint, tool_format)

    def _constraint(self, wanted: Output | CallableTools, *, needs_tokens: bool) -> Grammar:
        try:
            if self._grammars is None:
                self._grammars = Grammars(TokenDecoder(self._tokenizer), self._stop_token_ids, self._vocabulary)
            return self._grammars.constraint(wanted, needs_tokens=needs_tokens)
        except GrammarError as error:
            raise RefusedRequest(ErrorCode.INVALID_REQUEST, str(error)) from error

    def _ids(self, request: WorkerRequest) -> Sequence[int]:
        try:
            with self._encoding:
                ids = self._encoder.encode(request, self)
        except (ChatTemplateError, PromptEncodingError) as error:
            logger.warning("request %s: %r", request.id, error.__cause__)
            raise RefusedRequest(ErrorCode.INVALID_REQUEST, str(error)) from error
        if not ids:
            raise RefusedRequest(ErrorCode.INVALID_REQUEST, "The prompt has no tokens.")
        if (num_tokens := len(ids)) >= self._context_length:
            del ids  # the error's traceback would keep up to a million of them
            raise self._too_long(str(num_tokens), prompt_tokens=num_tokens)
        if request.prompt_ids is not None and not 0 <= min(ids) <= max(ids) < self._vocabulary:
            detail = f"The model has tokens 0 to {self._vocabulary - 1}, and the prompt {min(ids)} to {max(ids)}."
            raise RefusedRequest(ErrorCode.INVALID_REQUEST, detail, prompt_tokens=num_tokens)
        if (unknown := max(ids)) >= self._vocabulary:
            token = self._tokenizer.convert_ids_to_tokens(unknown)
            raise RefusedRequest(
                ErrorCode.INVALID_REQUEST,
                f"The prompt has the token {token!r}, which the tokenizer knows and the model does not.",
                prompt_tokens=num_tokens,
            )
        return ids

    def _check_answer(self, request: WorkerRequest, prompt_length: int) -> None:
        """Checks the tokens of an earlier worker. The gateway keeps them, and knows neither vocabulary nor context."""
        answer = request.answer_ids
        is_known = all(0 <= token_id < self._vocabulary for token_id in answer)
        if not is_known or len(answer) >= request.max_length or prompt_length + len(answer) >= self._context_length:
            detail = f"The answer cannot go on behind {len(answer)} tokens: this model has not written them."
            raise RefusedRequest(ErrorCode.INVALID_REQUEST, detail, prompt_tokens=prompt_length)

    def check_text(self, text: str) -> None:
        """As PromptLimit."""
        if self._span is not None:
            self.check_tokens(self._span.least_tokens(text))

    def check_tokens(self, least: int) -> None:
        """As PromptLimit."""
        if least >= self._context_length:
            raise self._too_long(f"at least {least}")

    def _too_long(self, num_tokens: str, *, prompt_tokens: int = 0) -> RefusedRequest:
        # Clients know the failure by these phrases: tests/handlers/test_context_overflow.py says which by which.
        detail = (
            f"The prompt is too long: this model's maximum context length is {self._context_length} tokens "
            f"with at least one for the answer, and a prompt of {num_tokens} tokens exceeds the context window."
        )
        return RefusedRequest(ErrorCode.PROMPT_TOO_LONG, detail, prompt_tokens=prompt_tokens)


def _calls(request: WorkerRequest, form: ToolFormat) -> CallableTools:
    return CallableTools(
        format=form,
        tools=request.tools,
        is_required=request.tool_choice == "required",
        are_several=request.parallel_tool_calls,
        output=request.output,
    )
