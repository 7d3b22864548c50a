"""What a simulated model says, by rules in a file: the first rule that fits a request answers it."""

import re
from collections import Counter
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveInt,
    ValidationError,
    model_validator,
)

from adapter.names import Name
from adapter.schema import ErrorCode, GenerationRequest
from adapter.strict_yaml import YamlError, read_yaml
from adapter.tools import FunctionName
from adapter.validation.file_errors import file_errors

_Pause = Annotated[float, Field(ge=0, allow_inf_nan=False)]

DEFAULT_TEXT = "Once upon a time, there was a little dog. He liked to run, and he ran and ran until he was home."


class ScriptError(ValueError):
    """The script cannot be played, and the message says why."""


class _Rule(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, regex_engine="python-re")


class Called(_Rule):
    """A call that the model makes of one of a chat's tools."""

    name: FunctionName
    arguments: dict[str, Any] = Field(default_factory=dict)


class Rule(_Rule):
    """One answer, and what goes wrong with it. Only one of fails, stalls and cuts may be set."""

    contains: str | None = Field(default=None, description="A text of the prompt, or of a chat's last message; or any.")
    times: PositiveInt | None = Field(default=None, description="How often it answers, before later rules do.")
    text: str = Field(default=DEFAULT_TEXT, min_length=1)
    calls: tuple[Called, ...] = Field(default=(), description="After its text, which is empty unless it is given.")
    first_token_seconds: _Pause = 0
    token_seconds: _Pause = Field(default=0, description="Seconds from one token to the next: a word is one.")
    fails: ErrorCode | None = Field(default=None, description="The code of an error in docs/errors.md.")
    retry_after: NonNegativeInt | None = Field(default=None, description="Seconds, that a failure tells.")
    stalls: bool = Field(default=False, description="Nothing more comes.")
    cuts: bool = Field(default=False, description="The connection ends, without a last event.")
    after_tokens: NonNegativeInt = Field(default=0, description="The number of tokens that come before it goes wrong.")

    @model_validator(mode="after")
    def _goes_wrong_in_one_way(self) -> Self:
        ways = sum((self.fails is not None, self.stalls, self.cuts))
        if ways > 1:
            raise ValueError("only one of fails, stalls and cuts")
        if self.after_tokens and not ways:
            raise ValueError("after_tokens says when it fails, stalls or cuts: one of them is needed")
        if self.after_tokens > (most := len(tokens_of(self.said))):
            raise ValueError(f"its text has {most} tokens, so nothing comes after {self.after_tokens}")
        if self.retry_after is not None and self.fails is None:
            raise ValueError("retry_after is told with a failure: fails is needed")
        return self

    @property
    def said(self) -> str:
        return "" if self.calls and "text" not in self.model_fields_set else self.text

    def fits(self, request: GenerationRequest) -> bool:
        """Whether the rule answers this request. One with calls fits only chats that have these tools."""
        tools = {tool.name for tool in getattr(request, "tools", ())}
        words = self.contains is None or self.contains in last_words(request)
        return words and tools.issuperset(call.name for call in self.calls)


class Script(_Rule):
    model: Name = "simulated"
    version: Name = "1.0"
    slots: PositiveInt = Field(default=64, description="How many requests run at once; others wait.")
    answers: tuple[Rule, ...] = Field(default=(), description="After the last of them the default text answers.")

    @classmethod
    def read(cls, path: Path) -> Self:
        """Raises ScriptError, or OSError."""
        try:
            said = read_yaml(path)
            return cls() if said is None else cls.model_validate(said, strict=False)
        except ValidationError as error:
            raise ScriptError(f"{path}: {file_errors(error)}") from error
        except YamlError as error:
            raise ScriptError(str(error)) from error


class Performance:
    """A script that is played: it knows how often each rule has answered."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._answered: Counter[int] = Counter()

    def rule_for(self, request: GenerationRequest) -> Rule:
        for index, rule in enumerate(self._script.answers):
            if rule.fits(request) and (rule.times is None or self._answered[index] < rule.times):
                self._answered[index] += 1
                return rule
        return Rule()


def tokens_of(text: str) -> list[str]:
    """Words with the space before them."""
    return re.findall(r"\s*\S+|\s+\Z", text)


def last_words(request: GenerationRequest) -> str:
    """The prompt, or the text of a chat's last message."""
    messages = getattr(request, "messages", None)
    return str(messages[-1].content or "") if messages else str(request.prompt)
