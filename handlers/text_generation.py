"""The handler that TorchServe calls: it starts requests, ends those whose callers left, and gives out their events.

The module defines one class and no other: TorchServe takes it by its being the only one (ts/model_loader.py).
"""

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch

from adapter.event_stream import CONTENT_TYPE
from adapter.schema import StartEvent, WorkerRequest
from handlers.answer_text import AnswerText
from handlers.archive_integrity import checked_beside
from handlers.background_compilation import compile_in_background, reporter
from handlers.compiled_steps import find_compiled_steps
from handlers.contract_logprobs import logprobs_of_prompt
from handlers.detokenization import TokenDecoder
from handlers.encoding_thread import EncodedPrompt, EncodingThread
from handlers.engine_news import Failure, Step
from handlers.figures_writer import write_figures
from handlers.incoming_request import caller_id, read_request
from handlers.last_words import wait_until_read
from handlers.linear_layers import computed_in
from handlers.live_generations import LiveGenerations
from handlers.logprobs import Logprobs
from handlers.probe_check import check_probes
from handlers.prompt_builder import Prompt, PromptBuilder
from handlers.prompt_logprobs import prompt_logprobs
from handlers.request_encoder import RequestEncoder, stop_strings
from handlers.requested_sampling import sampling_parameters
from handlers.run_ahead import RunAhead
from handlers.settings import HandlerSettings
from handlers.signs_of_life import SignsOfLife
from handlers.step_threads import threads_for
from handlers.stop_news import stops_of_gateways
from handlers.worker_calls import read_messages_at_once, silence_call_log
from handlers.worker_engine import checked_engine, has_compiled_steps, load_packed_model

logger = logging.getLogger(__name__)

# Long enough that an idle frontend is not called without need, short enough that a new request does not notice. While
# every slot is taken none can come, and each call costs the engine's cores; but RunAhead must not take it for silence.
WAIT_SECONDS, FULL_WAIT_SECONDS = 0.02, 0.1

# TorchServe waits one for a call. A step of many prompt tokens of a large model may take as long as that, and is not
# lost; a thread that hangs never comes back.
_RESPONSE_TIMEOUTS_UNTIL_HUNG = 5
DEFAULT_RESPONSE_TIMEOUT = 120  # seconds, TorchServe's own (ConfigManager.java)


class TextGenerationHandler:
    def __init__(self) -> None:
        self._generations = LiveGenerations()

    def initialize(self, context: Any) -> None:
        """Loads the packed model. Raises when it cannot: TorchServe then restarts the worker."""
        try:
            # In a thread that ends with the load. OpenMP gives each thread that computes a team of its own, and once
            # the teams outnumber the cores they no longer spin but sleep between two operations (libgomp's
            # gomp_managed_threads): a step would take 1.3 times as long. So the engine's thread has the only team.
            with ThreadPoolExecutor(1, "load") as loading:
                loading.submit(self._load, context).result()
        except Exception as error:
            # One line for whoever waits (adapter/torchserve/worker_log.py); the traceback follows it.
            logger.error("torchbridge: cannot load the model: %s", " ".join(str(error).split()))  # noqa: TRY400
            wait_until_read()
            raise
        silence_call_log()
        read_messages_at_once()

    def handle(self, data: list[dict[str, Any]], context: Any) -> list[bytes]:
        """One answer for each live request: its events since the last call.

        Nothing is ever raised: TorchServe would fail every request of the batch.
        """
        rows = {context.get_request_id(index): row for index, row in enumerate(data)}
        new = {request_id: row for request_id, row in rows.items() if request_id not in self._generations}
        starts = {request_id: self._start_event(caller_id(row) or request_id) for request_id, row in new.items()}
        self._generations.keep_only(rows, starts)
        try:
            self._advance(new)
        except Exception as error:
            logger.exception("the handler failed")
            for request_id in rows:
                self._generations.fail(request_id, error)
        sign = self._signs_of_life.due()
        answers = [self._generations.take(request_id) for request_id in rows]
        for index in range(len(answers)):
            context.set_response_content_type(index, CONTENT_TYPE)
        # TorchServe asks this of each answer that it is about to send (ts/protocol/otf_message_handler.py).
        context.stopping_criteria = [lambda _, is_last=is_last: is_last for _, is_last in answers]
        return [events if events or is_last else sign for events, is_last in answers]

    def _load(self, context: Any) -> None:
        directory = Path(context.system_properties["model_dir"])
        self._model_name = context.model_name
        self._model_version = str(context.manifest["model"]["modelVersion"])
        settings = HandlerSettings.from_model_config(context.model_yaml_config)
        gpu = context.system_properties["gpu_id"]  # TorchServe's choice, None where the model is to run on the CPU
        with checked_beside(directory) as digest:
            loaded = load_packed_model(directory / "model", settings, gpu)
        self._model_digest = digest.result()
        threads = threads_for(loaded.model, settings.threads)
        compiled_steps = find_compiled_steps(loaded, settings) if gpu is None else None
        self._tokenizer, self._model = loaded.tokenizer, loaded.model
        self._token_decoder = TokenDecoder(loaded.tokenizer)
        self._engine = checked_engine(loaded, settings, compiled_steps)
        check_probes(directory, loaded)
        encoder = RequestEncoder(loaded.tokenizer, special_tokens_in_messages=settings.special_tokens_in_messages)
        self._prompt_builder = PromptBuilder(
            encoder, loaded.stop_token_ids, context_length=loaded.context_length, vocabulary=self._engine.vocabulary
        )
        longest = _RESPONSE_TIMEOUTS_UNTIL_HUNG * float(
            context.model_yaml_config.get("responseTimeout", DEFAULT_RESPONSE_TIMEOUT)
        )
        self._run_ahead = RunAhead(
            self._engine, longest_step=longest, threads=threads, take_stops=stops_of_gateways(self._model_name)
        )
        self._signs_of_life = SignsOfLife(lambda: self._run_ahead.progress)
        self._prompt_encoder, self._encoder_for_forms = (
            EncodingThread(self._prompt_builder.encode, self._run_ahead.interrupt, longest=longest) for _ in range(2)
        )
        logger.info(
            "torchbridge: %s %s is loaded: %s, %d slots, context of %d tokens, %d threads, %s",
            self._model_name,
            self._model_version,
            computed_in(loaded.model),
            self._engine.slots,
            loaded.context_length,
            torch.get_num_threads(),
            "compiled steps" if has_compiled_steps(self._engine) else "no compiled steps",
        )
        compile_in_background(
            directory,
            reporter(self._model_name, self._model_version),
            loaded=loaded,
            settings=settings,
            engine=self._engine,
            run_ahead=self._run_ahead,
            is_left_out=compiled_steps is not None,
        )
        write_figures(self._run_ahead.counts.figures, self._model_name, self._model_version)

    def _advance(self, new: dict[str, dict[str, Any]]) -> None:
        """Ends requests that are gone, begins new ones, and hands out what the engine has made."""
        unended = self._generations.unended
        self._run_ahead.keep_only(unended)
        self._prompt_encoder.keep_only(unended)
        self._encoder_for_forms.keep_only(unended)
        for request_id, row in new.items():
            with self._generations.alone(request_id):
                self._receive(request_id, row)
        news = self._collect()
        for encoded in [*self._prompt_encoder.take(), *self._encoder_for_forms.take()]:
            with self._generations.alone(encoded.request_id):
                self._begin(encoded)
        for item in news:
            if isinstance(item, Failure):
                for request_id in item.ids:
                    self._generations.fail(request_id, item.error)
                continue
            for request_id, token_id in zip(item.ids, item.tokens, strict=True):
                with self._generations.alone(request_id):
                    self._generations.push(
                        request_id, token_id, item.ended.get(request_id), item.logprobs.get(request_id)
                    )

    def _collect(self) -> list[Step | Failure]:
        """What the engine has made, after a wait if nothing is due at once."""
        timeout = WAIT_SECONDS if len(self._generations) < self._engine.slots else FULL_WAIT_SECONDS
        if self._generations.is_due:
            timeout = 0
        return self._run_ahead.collect(timeout, min(timeout, self._generations.patience))

    def _receive(self, request_id: str, row: dict[str, Any]) -> None:
        """Has the prompt encoded, unless it can be seen that this is no use."""
        request = read_request(row)
        self._prompt_builder.refuse_unseen(request)
        has_form = request.output is not None or bool(request.tools)
        encoder = self._encoder_for_forms if has_form else self._prompt_encoder
        encoder.submit(request_id, request)

    def _begin(self, encoded: EncodedPrompt) -> None:
        """Hands a request to the engine."""
        request, prompt = encoded.request, encoded.prompt
        if isinstance(prompt, BaseException):
            raise prompt
        parameters = sampling_parameters(request)
        start = self._generations.start_of(encoded.request_id, len(prompt.ids))
        request = request.model_copy(update={"stop": stop_strings(self._tokenizer, request)})
        generation = AnswerText(start, request, self._token_decoder, prompt)
        generation.replay(request.answer_ids)
        self._generations.begin(encoded.request_id, generation)
        if generation.is_ended:
            return
        self._run_ahead.submit(
            encoded.request_id,
            prompt.ids,
            request.max_length,
            parameters,
            prompt.constraint,
            answer=request.answer_ids,
            is_awaited=request.stream,
            before=self._prompt_logprobs(request, prompt, generation),
        )

    def _prompt_logprobs(self, request: WorkerRequest, prompt: Prompt, generation: AnswerText) -> Iterator[None] | None:
        """The work that finds a prompt's logprobs, if they are asked for."""
        if request.prompt_logprobs is None:
            return None

        def found(logprobs: list[Logprobs]) -> None:
            generation.prompt_logprobs = logprobs_of_prompt(self._token_decoder, prompt.ids, logprobs)

        return prompt_logprobs(self._model, prompt.ids, request.prompt_logprobs, self._engine.vocabulary, found)

    def _start_event(self, caller_id: str) -> StartEvent:
        """The start of an answer, before anybody has counted the tokens of its prompt."""
        return StartEvent(
            id=caller_id,
            model=self._model_name,
            model_version=self._model_version,
            model_digest=self._model_digest,
            prompt_tokens=0,
        )
