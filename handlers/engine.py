"""Turns token ids into more token ids, many requests at once. Knows nothing of text, JSON, HTTP or threads.

Rows 0 … len(running) - 1 of every buffer belong to the running requests; the row after them to the one request whose
prompt is being processed. One step computes some prompt tokens and one token for each of the running rows.
"""

from collections import deque
from collections.abc import Collection, Sequence
from typing import cast

import torch
from torch import Tensor
from transformers import PreTrainedModel

from handlers.compiled_forward_pass import CompiledForwardPass
from handlers.compiled_steps import CompiledSteps
from handlers.engine_news import Step, end_reason
from handlers.engine_request import EngineRequest
from handlers.forward_pass import ForwardPass, Piece, SeparateForwardPasses, forward_pass
from handlers.logit_changes import answer_logits
from handlers.request_rows import RequestRows
from handlers.row_groups import RowGroup, cut_into_groups
from handlers.sampling import SamplingParameters, with_seed
from handlers.token_choice import TokenChoice
from handlers.token_constraint import TokenConstraint

# Tokens: a piece of one takes as long as so many tokens of a long piece. 2 at SmolLM2's width, in float32 and bfloat16,
# and 6 in a model of 1 M parameters (two threads, AVX512).
_LEAST_PIECE_COST = 4


class Engine:
    """
    slots: most requests that run at once; more of them wait.
    context_length: most tokens of a prompt and its answer together.
    prefill_tokens: most prompt tokens in a step with running requests, which is how long they can be held up.
    prefix_slots: how many ended requests stay in the cache for others that begin with the same tokens.
    compiled_steps: of this model, for a cache of slots + prefix_slots rows and this context_length.

    Its `vocabulary` is how many token ids it takes and gives. `num_computed` and `num_reused` count tokens of prompts.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        stop_token_ids: Collection[int],
        *,
        slots: int = 64,
        context_length: int,
        prefill_tokens: int = 256,
        prefix_slots: int = 0,
        compiled_steps: CompiledSteps | None = None,
    ) -> None:
        self.slots, self.context_length, self._prefill_tokens = slots, context_length, prefill_tokens
        # Where the two differ, the tokens that have both can be read and written.
        embedding = cast(Tensor, model.get_input_embeddings().weight)
        self.vocabulary = min(len(embedding), model.get_output_embeddings().out_features)
        self._stop_token_ids = torch.tensor(sorted(stop_token_ids), dtype=torch.long, device=model.device)
        self._rows = RequestRows(model, self.vocabulary, slots, prefix_slots, context_length)
        if compiled_steps is None:
            self._use(forward_pass(model, self._rows.cache, self._rows.tokens))
        else:
            self._use(CompiledForwardPass(model, self._rows.cache, self._rows.tokens, compiled_steps))
        self._waiting: deque[EngineRequest] = deque()
        self._prefilling: EngineRequest | None = None
        self._running: list[EngineRequest] = []
        self._groups: list[RowGroup] = []
        self.num_computed = self.num_reused = 0
        self._rows_changed()

    def use_compiled_steps(self, model: PreTrainedModel, compiled_steps: CompiledSteps) -> None:
        """Uses them from the next step on, also for running requests: the cache stays. Arguments as of __init__."""
        self._use(CompiledForwardPass(model, self._rows.cache, self._rows.tokens, compiled_steps))
        self._rows_changed()

    def _use(self, own_pass: SeparateForwardPasses) -> None:
        self.forward_pass: ForwardPass = own_pass
        self._group_cost = own_pass.group_cost

    @property
    def num_running(self) -> int:
        return len(self._running)

    @property
    def num_waiting(self) -> int:
        return len(self._waiting) + (self._prefilling is not None)

    @property
    def cache_bytes(self) -> int:
        return self._rows.cache.num_bytes

    @property
    def has_work(self) -> bool:
        return bool(self._running or self._waiting or self._prefilling)

    @property
    def takes_prompts(self) -> bool:
        """Whether the next step may compute some of a prompt."""
        return self._prefilling is not None or (bool(self._waiting) and len(self._running) < self.slots)

    def submit(
        self,
        request_id: str,
        prompt: Sequence[int],
        max_new_tokens: int,
        parameters: SamplingParameters,
        constraint: TokenConstraint | None = None,
        *,
        answer: Sequence[int] = (),
    ) -> None:
        """Queues a request. The prompt has 1 … context_length - 1 tokens.

        answer: what it has of its answer already, which `constraint` has taken, and `max_new_tokens` counts. With the
        same seed it goes on as it would have here. Raises ValueError for another number of tokens in all, and for one
        that the model does not have.
        """
        known, num_known = [*prompt, *answer] if answer else prompt, len(answer)
        if not 1 <= len(known) < self.context_length:
            raise ValueError(f"a prompt has 1 to {self.context_length - 1} tokens, not {len(known)}")
        if min(known) < 0 or max(known) >= self.vocabulary:
            raise ValueError(f"the model has tokens 0 to {self.vocabulary - 1}, not {min(known)} to {max(known)}")
        logits = answer_logits(parameters.changes, len(prompt), self._stop_token_ids, num_known)
        parameters = with_seed(parameters)
        self._waiting.append(
            EngineRequest(request_id, known, max_new_tokens - num_known, parameters, constraint, logits)
        )

    @torch.inference_mode()
    def cancel(self, request_id: str) -> None:
        """Forgets a request, wherever it is; an unknown id is one that has ended."""
        if self._prefilling is not None and self._prefilling.id == request_id:
            self._stop_prefilling()
        self._waiting = deque(request for request in self._waiting if request.id != request_id)
        rows = [row for row, request in enumerate(self._running) if request.id == request_id]
        self._rows.save_prefixes(rows)
        self._remove(rows)

    @torch.inference_mode()
    def cancel_all(self) -> list[str]:
        """Forgets every request and says which."""
        requests = [*self._running, *filter(None, [self._prefilling]), *self._waiting]
        self._waiting.clear()
        self._stop_prefilling()
        self._remove(list(range(len(self._running))))
        return [request.id for request in requests]

    @torch.inference_mode()
    def forget_ended(self) -> None:
        """Lets nothing of an ended request serve others."""
        self._rows.forget_ended()

    @torch.inference_mode()
    def step(self) -> Step | None:
        """Runs some prompt tokens and one token for every running request; None when nothing runs yet."""
        pieces = self._next_pieces()
        if not pieces and not self._running:
            return None
        logits = self.forward_pass(pieces, self._rows.lengths, self._groups)
        return None if logits is None else self._add_tokens(logits)

    def _next_pieces(self) -> list[Piece]:
        """The pieces of prompts in this step. A request whose prompt ends with its piece runs from this step on."""
        computed = len(self._running)
        budget = self._prefill_tokens if self._running else 4 * self._prefill_tokens
        pieces = []
        while budget > 0 and (request := self._prefilling or self._admit(computed)) is not None:
            # The last prompt token is the request's first one as a running row: it gives the first new token.
            start, last = request.prefilled, len(request.known_tokens) - 1
            request.prefilled = min(start + budget, last)
            if request.prefilled > start:
                pieces.append(Piece(len(self._running), start, request.prefilled))
                self.num_computed += request.prefilled - start
                budget -= max(request.prefilled - start, _LEAST_PIECE_COST)
            if request.prefilled == last:
                self._prefilling = None
                self._running.append(request)
        if len(self._running) > computed:
            self._rows_changed()
        return pieces

    def _admit(self, computed: int) -> EngineRequest | None:
        """Gives the first waiting request the row after the running ones.

        Only the `computed` first ones of these have their prompts in the cache. One that begins like another of them
        waits for the next step, which need not compute it again.
        """
        if not self._waiting or len(self._running) == self.slots:
            return None
        request = self._waiting[0]
        row = len(self._running)
        limit = min(len(request.known_tokens) - 1 + request.max_new_tokens, self.context_length - 1)
        prompt = torch.tensor(request.known_tokens, device=self._rows.tokens.device)
        source, known = self._rows.prefixes.find(prompt, row)
        if known and computed <= source < row:
            return None
        self._prefilling = self._waiting.popleft()
        request.prefilled = known
        self.num_reused += known
        self._rows.begin(row, prompt, limit, source, known)
        return request

    def _add_tokens(self, logits: Tensor) -> Step:
        live, held = len(self._running), self._rows
        lengths = held.lengths[:live]
        self._groups = [group._replace(length=group.length + 1) for group in self._groups]
        tokens, is_sound, complete, logprobs = self._choice(
            logits[:, : self.vocabulary], lengths, held.seen[:live], held.tokens
        )
        rows = held.numbers[:live]
        if self._choice.penalises:
            held.seen[rows, tokens] = True
        lengths += 1
        held.tokens[rows, lengths] = tokens
        stopped = torch.isin(tokens, self._stop_token_ids)
        ended_rows = (stopped | (lengths >= held.limits[:live]) | ~is_sound).nonzero()[:, 0].tolist()
        ended_rows = sorted({*ended_rows, *complete})
        reasons = {
            row: end_reason(is_sound=bool(is_sound[row]), is_stopped=bool(stopped[row]), is_complete=row in complete)
            for row in ended_rows
        }
        ended = {self._running[row].id: reason for row, reason in reasons.items()}
        named = {self._running[row].id: each for row, each in logprobs.items()}
        step = Step(self._ids, tokens.tolist(), ended, named)
        held.save_prefixes([row for row, reason in reasons.items() if reason != "failed"])
        self._remove(ended_rows)
        return step

    def _remove(self, rows: list[int]) -> None:
        """Takes requests out of the batch; the last rows move into the gaps."""
        for row in sorted(rows, reverse=True):
            last = len(self._running) - 1
            self._rows.move(last, row)
            self._running[row] = self._running[last]
            self._running.pop()
            if self._prefilling is not None:
                self._rows.move(last + 1, last)
                last += 1
            self._rows.clear(last)
        if rows:
            self._rows_changed()

    def _stop_prefilling(self) -> None:
        if self._prefilling is not None:
            self._prefilling = None
            self._rows.clear(len(self._running))

    def _rows_changed(self) -> None:
        self._ids = tuple(request.id for request in self._running)
        self._choice = TokenChoice(self._running, self.vocabulary, self._rows.lengths.device)
        lengths = self._rows.lengths[: len(self._running)].tolist()
        self._groups = cut_into_groups([length + 1 for length in lengths], self._group_cost())
