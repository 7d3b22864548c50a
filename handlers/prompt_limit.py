"""How long a prompt may be, asked again as more of it is known: what does not fit is not worked on to its end."""

from typing import Protocol


class PromptLimit(Protocol):
    """Both raise where the prompt certainly does not fit."""

    def check_text(self, text: str) -> None:
        """Of the whole prompt, before tokens are made of it."""

    def check_tokens(self, least: int) -> None:
        """How many the prompt has at least, before it is known which of them are a template's own."""


class _NoLimit:
    def check_text(self, text: str) -> None:
        pass

    def check_tokens(self, least: int) -> None:
        pass


NO_LIMIT: PromptLimit = _NoLimit()
