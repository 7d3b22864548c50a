"""Loads a model directory, ready to serve: safetensors only, no network, no code from the directory."""

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from huggingface_hub.errors import StrictDataclassError
from torch import nn
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    GenerationConfig,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils.import_utils import is_accelerate_available

from handlers.checkpoint import check_checkpoint, likely_missing
from handlers.computing_type import computed_by_this_processor, type_beside_int8
from handlers.fixed_positions import fix_positions, has_longrope, original_context_length
from handlers.settings import HandlerSettings
from handlers.short_list import short_list
from handlers.slot_cache import UnsupportedModelError
from handlers.stop_tokens import stop_token_ids
from handlers.tokenizer_check import check_vocabulary, check_vocabulary_file

MAX_DEFAULT_CONTEXT_LENGTH = 4_096
_LEAST_CONTEXT_LENGTH = 2

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LoadedModel:
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    stop_token_ids: frozenset[int]
    context_length: int


def load_model(directory: Path, settings: HandlerSettings, device: str = "cpu") -> LoadedModel:
    """Raises OSError or ValueError when there is no such model, UnsupportedModelError when we do not serve it.

    What its author should know of, and what does not keep it from being served, is logged as a warning.
    """
    dtype = settings.dtype
    if settings.quantization is not None and dtype == "auto":
        dtype = type_beside_int8()
    model = _load_checkpoint(directory, dtype, device)
    if model.dtype is torch.float64:
        model = model.float()
        logger.warning("The weights are in float64: they are served in float32")
    if dtype == "auto" and device == "cpu":
        model = computed_by_this_processor(model)
    tokenizer = _load_tokenizer(directory)
    if not tokenizer.is_fast:
        raise UnsupportedModelError("the tokenizer has no tokenizer.json, which text in whole characters needs")
    if not tokenizer.chat_template:
        tokenizer.chat_template = None  # an empty one is none
    check_vocabulary_file(tokenizer, directory)
    check_vocabulary(tokenizer, cast("nn.Embedding", model.get_input_embeddings()).num_embeddings)
    context_length = _context_length(model, settings)
    fix_positions(model, context_length)
    return LoadedModel(model, tokenizer, stop_token_ids(model, tokenizer), context_length)


def _load_tokenizer(directory: Path) -> Any:
    try:
        return AutoTokenizer.from_pretrained(directory, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError):
        raise  # they say what is wrong
    except Exception as error:  # of files that are none of a tokenizer; the tokenizers library raises no other class
        raise UnsupportedModelError(
            f"transformers cannot make a tokenizer of its files: {type(error).__name__}: {error}"
        ) from error


def _load_checkpoint(directory: Path, dtype: str, device: str) -> PreTrainedModel:
    generation_config = _generation_config(directory)
    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(  # its type knows nothing of output_loading_info
            directory,
            dtype=dtype,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # check_checkpoint names them, transformers' own error does not
            generation_config=GenerationConfig() if generation_config else None,  # so that it does not read the file
            **_own_attention(directory),
            device_map=device if device != "cpu" and is_accelerate_available() else None,  # else by way of the CPU
        )
    except (AttributeError, ImportError, KeyError, RuntimeError, StrictDataclassError, TypeError) as error:
        # transformers takes config.json's values for names of functions, or for numbers, without looking at them.
        missing = likely_missing(directory)
        hint = f". What is missing is likely {short_list(missing)}" if missing else ""
        reason = " ".join(str(error).split())  # some have several lines
        raise UnsupportedModelError(
            f"transformers cannot make a model of config.json and the weights: {type(error).__name__}: {reason}{hint}"
        ) from error
    model, info = loaded
    check_checkpoint(model, directory, info)
    model.config.return_dict = True  # without it the model gives tuples
    if generation_config:
        model.generation_config = generation_config
    moved: PreTrainedModel = model.eval().to(device)
    return moved


def _own_attention(directory: Path) -> dict[str, PreTrainedConfig]:
    """PyTorch's own attention in place of FlashAttention, which the engine does not use.

    Some models say in config.json what they were trained with, and transformers takes it for a wish.
    """
    config = AutoConfig.from_pretrained(directory, local_files_only=True, trust_remote_code=False)
    if not str(config._attn_implementation).startswith("flash"):  # noqa: SLF001 - there is no public name
        return {}
    config._attn_implementation = "sdpa"  # noqa: SLF001 - see above
    return {"config": config}


def _generation_config(directory: Path) -> GenerationConfig | None:
    """The values of generation_config.json, whatever generate() would think of them: nobody calls generate() here.

    Its constructor would refuse the whole model for one value, as transformers' own reading does.
    """
    try:
        values = json.loads((directory / "generation_config.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    config = GenerationConfig()
    for name, value in values.items():
        if not hasattr(GenerationConfig, name):  # that would be a method
            setattr(config, name, value)
    return config


def _context_length(model: PreTrainedModel, settings: HandlerSettings) -> int:
    own_limit: int | None = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    if settings.context_length is None:
        # Beyond its original context LongRoPE gives other text for short prompts, too: nobody has it without asking.
        original = original_context_length(model.config) if has_longrope(model.config) else None
        length = min(filter(None, [own_limit, original, MAX_DEFAULT_CONTEXT_LENGTH]))
        if length < _LEAST_CONTEXT_LENGTH:
            raise UnsupportedModelError(
                f"max_position_embeddings of config.json gives it a context of {length} tokens: a prompt and an answer"
                f" need {_LEAST_CONTEXT_LENGTH}"
            )
        return length
    if own_limit is not None and settings.context_length > own_limit:
        raise UnsupportedModelError(
            f"context_length is {settings.context_length}, but the model was made for {own_limit} positions"
        )
    return settings.context_length
