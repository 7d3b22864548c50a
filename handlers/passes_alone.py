"""Models that are served with a pass for each request by itself, because their own code looks at where the cache ends.

It takes that for where the newest token stands: for its position, for what it looks at, or for both. So rows of unlike
length cannot share a pass. Slower than others in company, and right.
"""

import weakref

from transformers import PreTrainedConfig, PreTrainedModel

from handlers.packed_attention import leave_packed_attention

_alone: weakref.WeakSet[PreTrainedModel] = weakref.WeakSet()


def own_window(config: PreTrainedConfig, context_length: int) -> int | None:
    """How many tokens GPT-Neo's layers of local attention look at; None where that is no less than the context.

    They count them from the end of the cache (modeling_gpt_neo.py, GPTNeoSelfAttention, `bias`). No other type has a
    list of this name; a `window_size` many have, for pictures and sounds.
    """
    text_config = config.get_text_config()
    if "local" not in getattr(text_config, "attention_layers", ()):
        return None
    window = getattr(text_config, "window_size", None)
    return window if isinstance(window, int) and window < context_length else None


def compute_alone(model: PreTrainedModel) -> bool:
    """Makes later engines compute each request alone. False if it was so already."""
    if model in _alone:
        return False
    leave_packed_attention(model)
    model._supports_attention_backend = False  # noqa: SLF001 - as leave_packed_attention, where it was not used yet
    _alone.add(model)
    return True


def is_computed_alone(model: PreTrainedModel) -> bool:
    return model in _alone
