"""TorchServe's door to the engine: who asks, who left, and what is ready for whom.

The module defines one class and no other: TorchServe takes it by its being the only one (ts/model_loader.py).
"""

import logging
import time
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from adapter.event_stream import CONTENT_TYPE
from adapter.schema import ErrorCode, Problem, StartEvent, WorkerRequest
from handlers.archive_integrity import check_unpacked_files
from handlers.compiled_steps import find_compiled_steps
from handlers.detokenization import TokenDecoder
from handlers.generation import Generation, TextGeneration
from handlers.model_loading import choose_num_threads, load_model
from handlers.packed_linear import pack_linear_layers
from handlers.probe_check import check_probes
from handlers.prompt_encoding import PromptEncodingError
from handlers.run_ahead import Failure, RunAhead
from handlers.sampling import SamplingParameters
from handlers.self_check import check_engine
from handlers.settings import HandlerSettings
from handlers.slot_cache import UnsupportedModelError
from handlers.tokenization import ChatTemplateError, encode_request, stop_strings
from handlers.worker_calls import read_messages_at_once, silence_call_log
from handlers.worker_engine import worker_engine

logger = logging.getLogger(__name__)

# Long enough that an idle frontend is not called without need, short enough that a new request does not notice. While
# every slot is taken none can come, and each call costs the engine's cores; but RunAhead must not take it for silence.
WAIT_SECONDS, FULL_WAIT_SECONDS = 0.02, 0.1


class TextGenerationHandler:
    def __init__(self) -> None:
        self._generations: dict[str, Generation] = {}  # by TorchServe's request id

    def initialize(self, context: Any) -> None:
        """Loads the packed model. Raises when it cannot: TorchServe then restarts the worker."""
        try:
            # In a thread that ends with the load. OpenMP gives each thread that computes a team of its own, and once
            # the teams outnumber the cores they no longer spin but sleep between two operations (libgomp's
            # gomp_managed_threads): a step would take 1.3 times as long. So the engine's thread has the only team.
            with ThreadPoolExecutor(1, "load") as loading:
                loading.submit(self._load, context).result()
        except Exception as error:
            # One line for whoever waits (adapter/torchserve/server_process.py); the traceback follows it.
            logger.error("torchbridge: cannot load the model: %s", " ".join(str(error).split()))  # noqa: TRY400
            raise
        silence_call_log()
        read_messages_at_once()

    def handle(self, data: list[dict[str, Any]], context: Any) -> list[bytes]:
        """One answer for each live request: its events since the last call.

        Nothing is ever raised: TorchServe would fail every request of the batch.
        """
        ids = [context.get_request_id(index) for index in range(len(data))]
        try:
            self._advance(ids, data)
        except Exception as error:
            logger.exception("the handler failed")
            for request_id in ids:
                self._generations.setdefault(request_id, Generation(self._start_event(request_id, 0)))
            self._fail(ids, error)
        answers = [self._generations[request_id].take() for request_id in ids]
        for index in range(len(ids)):
            context.set_response_content_type(index, CONTENT_TYPE)
        # TorchServe asks this of each answer that it is about to send (ts/protocol/otf_message_handler.py).
        context.stopping_criteria = [lambda _, is_last=is_last: is_last for _, is_last in answers]
        return [events for events, _ in answers]

    def _load(self, context: Any) -> None:
        directory = Path(context.system_properties["model_dir"])
        self._model_name = context.model_name
        self._model_version = str(context.manifest["model"]["modelVersion"])
        self._model_digest = check_unpacked_files(directory)
        settings = HandlerSettings.from_model_config(context.model_yaml_config)
        gpu = context.system_properties["gpu_id"]  # TorchServe's choice, None where the model is to run on the CPU
        loaded = load_model(directory / "model", settings, "cpu" if gpu is None else f"cuda:{gpu}")
        if gpu is None:
            pack_linear_layers(loaded.model, int8=settings.quantization == "int8")
        elif settings.quantization is not None:
            raise UnsupportedModelError(f"quantization: {settings.quantization} is for the CPU, not for a GPU")
        torch.set_num_threads(settings.threads or choose_num_threads(loaded.model))
        compiled_steps = find_compiled_steps(self._model_digest) if gpu is None else None
        self._tokenizer = loaded.tokenizer
        self._token_decoder = TokenDecoder(loaded.tokenizer)
        self._engine = worker_engine(loaded, settings, compiled_steps)
        check_engine(self._engine, loaded.model)
        check_probes(directory, loaded)
        self._run_ahead = RunAhead(self._engine)
        logger.info(
            "torchbridge: %s %s is loaded: %s, %d slots, context of %d tokens, %d threads, %s",
            self._model_name,
            self._model_version,
            loaded.model.dtype,
            settings.slots,
            loaded.context_length,
            torch.get_num_threads(),
            "compiled steps" if compiled_steps else "no compiled steps",
        )

    def _advance(self, ids: list[str], data: list[dict[str, Any]]) -> None:
        """Starts who is new, ends who is gone, and hands out what the engine has made."""
        self._generations = {
            request_id: self._generations[request_id] for request_id in ids if request_id in self._generations
        }
        self._run_ahead.keep_only(
            {request_id for request_id, generation in self._generations.items() if not generation.is_ended}
        )
        new = [
            (request_id, row) for request_id, row in zip(ids, data, strict=True) if request_id not in self._generations
        ]
        for request_id, row in new:
            self._generations[request_id] = self._start(request_id, row)
        now = time.monotonic()
        generations = self._generations.values()
        timeout = WAIT_SECONDS if len(ids) < self._engine.slots else FULL_WAIT_SECONDS
        if any(generation.is_due for generation in generations):
            timeout = 0
        patience = min([timeout, *(generation.patience(now) for generation in generations)])
        for news in self._run_ahead.collect(timeout, patience):
            if isinstance(news, Failure):
                self._fail(news.ids, news.error)
                continue
            for request_id, token_id in zip(news.ids, news.tokens, strict=True):
                generation = self._generations.get(request_id)
                if isinstance(generation, TextGeneration):
                    generation.push([token_id], news.ended.get(request_id))

    def _start(self, request_id: str, row: dict[str, Any]) -> Generation:
        """Hands a request to the engine, or turns it down with an in-band error that no other request notices."""
        body = row.get("body", b"")
        try:
            if isinstance(body, dict):  # TorchServe parses a body of type application/json
                request = WorkerRequest.model_validate(body)
            else:
                request = WorkerRequest.model_validate_json(bytes(body))
        except ValidationError as error:
            logger.warning("request %s is not in the contract: %s", request_id, error.errors(include_input=False))
            return self._refuse(request_id, 0, ErrorCode.INVALID_REQUEST, "The request is not valid.")
        try:
            prompt = encode_request(self._tokenizer, request)
        except (ChatTemplateError, PromptEncodingError) as error:
            logger.warning("request %s: %r", request_id, error.__cause__)
            return self._refuse(request.id, 0, ErrorCode.INVALID_REQUEST, str(error))
        most = self._engine.context_length - 1
        if not prompt:
            return self._refuse(request.id, 0, ErrorCode.INVALID_REQUEST, "The prompt has no tokens.")
        if len(prompt) > most:
            # Clients know the failure by these phrases: tests/handlers/test_context_overflow.py says which by which.
            detail = (
                f"The prompt is too long: this model's maximum context length is {self._engine.context_length} tokens "
                f"with at least one for the answer, and a prompt of {len(prompt)} tokens exceeds the context window."
            )
            return self._refuse(request.id, len(prompt), ErrorCode.PROMPT_TOO_LONG, detail)
        parameters = SamplingParameters(
            request.temperature, request.top_p, request.top_k, request.repetition_penalty, request.seed
        )
        self._run_ahead.submit(request_id, prompt, request.max_length, parameters, is_awaited=request.stream)
        request = request.model_copy(update={"stop": stop_strings(self._tokenizer, request)})
        return TextGeneration(self._start_event(request.id, len(prompt)), request, self._token_decoder, prompt)

    def _refuse(self, request_id: str, prompt_tokens: int, code: ErrorCode, detail: str) -> Generation:
        generation = Generation(self._start_event(request_id, prompt_tokens))
        generation.fail(Problem.of(code, detail, request_id=request_id))
        return generation

    def _start_event(self, request_id: str, prompt_tokens: int) -> StartEvent:
        return StartEvent(
            id=request_id,
            model=self._model_name,
            model_version=self._model_version,
            model_digest=self._model_digest,
            prompt_tokens=prompt_tokens,
        )

    def _fail(self, ids: Collection[str], error: Exception) -> None:
        """Ends generations for a reason that is not theirs; what it was stays in the log."""
        if isinstance(error, TimeoutError):
            problem = Problem.of(ErrorCode.DEADLINE_EXCEEDED, "Nobody collected the answer in time.")
        elif isinstance(error, MemoryError | torch.OutOfMemoryError):
            problem = Problem.of(ErrorCode.OUT_OF_MEMORY, "The model ran out of memory on this request.")
        else:
            problem = Problem.of(ErrorCode.GENERATION_FAILED, "The model failed on this request.")
        for request_id in ids:
            if request_id in self._generations:
                self._generations[request_id].fail(problem)
