"""How long a prompt may be, asked again as more of it is known: what does not fit is not worked on to its end."""

from typing import Protocol


class PromptLimit(Protocol):
    """Both raise where the prompt certainly does not fit."""

    def check_text(self, text: str) -> None:
        """Checks the text of the whole prompt, before tokens are made of it."""

    def check_tokens(self, least: int) -> None:
        """Checks the least number of tokens, before it is known which of them are a template's own."""


class _NoLimit:
    def check_text(self, text: str) -> None:
        pass

    def check_tokens(self, least: int) -> None:
        pass


NO_LIMIT: PromptLimit = _NoLimit()
