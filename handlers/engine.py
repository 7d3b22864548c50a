"""Turns token ids into more token ids, many requests at once. Knows nothing of text, JSON, HTTP or threads.

Rows 0 … len(running) - 1 of every buffer belong to the running requests; the row after them to the one request whose
prompt is being processed. One step computes some prompt tokens and one token for each of the running rows.
"""

from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, cast

import torch
from torch import Tensor
from transformers import PreTrainedModel

from handlers.compiled_forward_pass import CompiledForwardPass
from handlers.compiled_steps import CompiledSteps
from handlers.forward_pass import ForwardPass, Piece, SeparateForwardPasses, forward_pass
from handlers.logit_changes import NO_CHANGES, AnswerLogits
from handlers.logprobs import Logprobs
from handlers.prefix_rows import PrefixRows
from handlers.runs import Run, cut_into_runs
from handlers.sampling import SamplingParameters, with_seed
from handlers.sequenced import Sequenced
from handlers.slot_cache import SlotCache, num_cache_layers
from handlers.token_choice import TokenChoice
from handlers.token_constraint import TokenConstraint

# "complete": nothing may follow.
EndReason = Literal["stop", "length", "complete", "failed"]

# Tokens of a long piece that take as long as a piece of one: 2 at SmolLM2's width, in float32 and bfloat16, and 6 in a
# model of 1 M parameters (two threads, AVX512).
_CHEAPEST_PIECE = 4


@dataclass(frozen=True, slots=True)
class Step:
    """One new token for each of `ids`, which of them ended with it, and its logprobs where they are asked for.

    "failed": its logits were not finite, so its token means nothing.
    """

    ids: tuple[str, ...]
    tokens: list[int]
    ended: dict[str, EndReason]
    logprobs: Mapping[str, Logprobs] = field(default_factory=dict)


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
        self.slots = slots
        self.context_length = context_length
        self._prefill_tokens = prefill_tokens
        self._cache = SlotCache(num_cache_layers(model.config, context_length), slots + prefix_slots, context_length)
        # Where the two differ, the tokens that have both can be read and written.
        embedding = cast(Tensor, model.get_input_embeddings().weight)
        self.vocabulary = min(len(embedding), model.get_output_embeddings().out_features)
        device = model.device
        self._stop_token_ids = torch.tensor(sorted(stop_token_ids), dtype=torch.long, device=device)
        self._tokens = torch.zeros(slots + prefix_slots, context_length, dtype=torch.long, device=device)
        self._seen = torch.zeros(slots, self.vocabulary, dtype=torch.bool, device=device)
        self._lengths = torch.zeros(slots + prefix_slots, dtype=torch.long, device=device)  # tokens in the cache
        self._limits = torch.zeros(slots, dtype=torch.long, device=device)  # tokens in the cache when it must end
        self._every_row = torch.arange(slots, device=device)
        self._use(
            forward_pass(model, self._cache, self._tokens)
            if compiled_steps is None
            else CompiledForwardPass(model, self._cache, self._tokens, compiled_steps)
        )
        self._prefix_rows = PrefixRows(slots, prefix_slots, self._tokens, self._lengths)
        self._waiting: deque[Sequenced] = deque()
        self._prefilling: Sequenced | None = None
        self._running: list[Sequenced] = []
        self.num_computed = self.num_reused = 0
        self._runs: list[Run] = []
        self._rows_changed()

    def use_compiled_steps(self, model: PreTrainedModel, compiled_steps: CompiledSteps) -> None:
        """From the next step on, also for the requests that run: what is in the cache stays. As for __init__."""
        self._use(CompiledForwardPass(model, self._cache, self._tokens, compiled_steps))
        self._rows_changed()

    def _use(self, own_pass: SeparateForwardPasses) -> None:
        self.forward_pass: ForwardPass = own_pass
        self._run_cost = own_pass.run_cost

    @property
    def num_running(self) -> int:
        return len(self._running)

    @property
    def num_waiting(self) -> int:
        return len(self._waiting) + (self._prefilling is not None)

    @property
    def cache_bytes(self) -> int:
        return self._cache.num_bytes

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
        known = [*prompt, *answer] if answer else prompt
        if not 1 <= len(known) < self.context_length:
            raise ValueError(f"a prompt has 1 to {self.context_length - 1} tokens, not {len(known)}")
        if min(known) < 0 or max(known) >= self.vocabulary:
            raise ValueError(f"the model has tokens 0 to {self.vocabulary - 1}, not {min(known)} to {max(known)}")
        changes, num_told = parameters.changes, len(answer)
        logits = None if changes == NO_CHANGES else AnswerLogits(changes, len(prompt), self._stop_token_ids, num_told)
        parameters = with_seed(parameters)
        self._waiting.append(Sequenced(request_id, known, max_new_tokens - num_told, parameters, constraint, logits))

    @torch.inference_mode()
    def cancel(self, request_id: str) -> None:
        """Forgets a request, wherever it is; an unknown id is one that has ended."""
        if self._prefilling is not None and self._prefilling.id == request_id:
            self._stop_prefilling()
        self._waiting = deque(request for request in self._waiting if request.id != request_id)
        rows = [row for row, request in enumerate(self._running) if request.id == request_id]
        self._keep(rows)
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
        for row in range(self.slots, len(self._tokens)):
            self._clear(row)

    @torch.inference_mode()
    def step(self) -> Step | None:
        """Runs some prompt tokens and one token for every running request; None when nothing runs yet."""
        pieces = self._next_pieces()
        if not pieces and not self._running:
            return None
        logits = self.forward_pass(pieces, self._lengths, self._runs)
        return None if logits is None else self._add_tokens(logits)

    def _next_pieces(self) -> list[Piece]:
        """Of prompts, what this step computes. Whose prompt ends with its piece runs from this step on."""
        computed = len(self._running)
        budget = self._prefill_tokens if self._running else 4 * self._prefill_tokens
        pieces = []
        while budget > 0 and (request := self._prefilling or self._admit(computed)) is not None:
            # The last prompt token is the request's first one as a running row: it gives the first new token.
            start, last = request.prefilled, len(request.prompt) - 1
            request.prefilled = min(start + budget, last)
            if request.prefilled > start:
                pieces.append(Piece(len(self._running), start, request.prefilled))
                self.num_computed += request.prefilled - start
                budget -= max(request.prefilled - start, _CHEAPEST_PIECE)
            if request.prefilled == last:
                self._prefilling = None
                self._running.append(request)
        if len(self._running) > computed:
            self._rows_changed()
        return pieces

    def _admit(self, computed: int) -> Sequenced | None:
        """Gives the first waiting request the row after the running ones.

        Only the `computed` first ones of these have their prompts in the cache. One that begins like another of them
        waits for the next step, which need not compute it again.
        """
        if not self._waiting or len(self._running) == self.slots:
            return None
        request = self._waiting[0]
        row, prompt_length = len(self._running), len(request.prompt)
        limit = min(prompt_length - 1 + request.max_new_tokens, self.context_length - 1)
        prompt = torch.tensor(request.prompt, device=self._tokens.device)
        source, known = self._prefix_rows.find(prompt, row)
        if known and computed <= source < row:
            return None
        self._prefilling = self._waiting.popleft()
        request.prefilled = known
        self.num_reused += known
        if known:
            self._cache.copy(source, row, 0, known)
        self._tokens[row, :prompt_length] = prompt
        self._seen[row] = False
        self._seen[row, prompt] = True
        self._lengths[row] = prompt_length - 1
        self._limits[row] = limit
        return request

    def _add_tokens(self, logits: Tensor) -> Step:
        live = len(self._running)
        lengths = self._lengths[:live]
        self._runs = [run._replace(length=run.length + 1) for run in self._runs]
        tokens, is_sound, complete, logprobs = self._choice(
            logits[:, : self.vocabulary], lengths, self._seen[:live], self._tokens
        )
        rows = self._every_row[:live]
        if self._choice.penalises:
            self._seen[rows, tokens] = True
        lengths += 1
        self._tokens[rows, lengths] = tokens
        stopped = torch.isin(tokens, self._stop_token_ids)
        ended_rows = (stopped | (lengths >= self._limits[:live]) | ~is_sound).nonzero()[:, 0].tolist()
        ended_rows = sorted({*ended_rows, *complete})
        reasons = {
            row: _end_reason(is_sound=bool(is_sound[row]), is_stopped=bool(stopped[row]), is_complete=row in complete)
            for row in ended_rows
        }
        ended = {self._running[row].id: reason for row, reason in reasons.items()}
        named = {self._running[row].id: each for row, each in logprobs.items()}
        step = Step(self._ids, tokens.tolist(), ended, named)
        self._keep([row for row, reason in reasons.items() if reason != "failed"])
        self._remove(ended_rows)
        return step

    def _keep(self, rows: list[int]) -> None:
        """What these requests leave may serve others that begin with the same tokens.

        It is finite: their last tokens have looked at all of it, and had finite logits.
        """
        for row in rows:
            if (chosen := self._prefix_rows.choose(row)) is not None:
                target, start = chosen
                self._copy(row, target, start)

    def _remove(self, rows: list[int]) -> None:
        """Takes requests out of the batch; the last rows move into the gaps."""
        for row in sorted(rows, reverse=True):
            last = len(self._running) - 1
            self._move(last, row)
            self._running[row] = self._running[last]
            self._running.pop()
            if self._prefilling is not None:
                self._move(last + 1, last)
                last += 1
            self._clear(last)
        if rows:
            self._rows_changed()

    def _stop_prefilling(self) -> None:
        if self._prefilling is not None:
            self._prefilling = None
            self._clear(len(self._running))

    def _clear(self, row: int) -> None:
        self._cache.clear(row)
        self._lengths[row] = 0

    def _move(self, source: int, target: int) -> None:
        if source != target:
            self._copy(source, target)
            self._seen[target] = self._seen[source]
            self._limits[target] = self._limits[source]

    def _copy(self, source: int, target: int, start: int = 0) -> None:
        """What a row holds; before `start` the target holds the same."""
        length = int(self._lengths[source])
        self._cache.copy(source, target, start, length)
        if length < int(self._lengths[target]):
            self._cache.clear(target, length)
        self._tokens[target, start : length + 1] = self._tokens[source, start : length + 1]
        self._lengths[target] = length

    def _rows_changed(self) -> None:
        self._ids = tuple(request.id for request in self._running)
        self._choice = TokenChoice(self._running, self.vocabulary, self._lengths.device)
        lengths = self._lengths[: len(self._running)].tolist()
        self._runs = cut_into_runs([length + 1 for length in lengths], self._run_cost())


def _end_reason(*, is_sound: bool, is_stopped: bool, is_complete: bool) -> EndReason:
    if not is_sound:
        return "failed"
    if is_stopped:
        return "stop"
    return "complete" if is_complete else "length"
