"""How models write calls of functions: a row for each form that their chat templates teach."""

# ruff: noqa: RUF001 - DeepSeek's marks have wide bars

from collections.abc import Mapping, Sequence
from typing import NamedTuple


class ToolFormat(NamedTuple):
    """The calls stand in `begin` and `end`, apart by `separator`: each is `call_begin`, the function's name, `middle`,
    its arguments in JSON, and `call_end`.

    signs: texts that the source of a chat template holds, if it teaches this form.
    trigger: what begins the calls after a text. "": nothing stands before them.
    separator: None where an answer has one call.
    """

    signs: tuple[str, ...]
    call_begin: str
    middle: str
    call_end: str
    trigger: str = ""
    begin: str = ""
    separator: str | None = ""
    end: str = ""

    @property
    def opening(self) -> str:
        """All that stands before the first name."""
        return self.begin + self.call_begin

    def holds(self, text: str) -> bool:
        """Whether it stands in what is written around names and arguments."""
        parts = (self.begin, self.call_begin, self.middle, self.call_end, self.separator or "", self.end)
        return any(text in part for part in parts)

    def with_placeholders(self, placeholders: Mapping[str, str]) -> "ToolFormat":
        """With another text in the place of each of some."""

        def marked(text: str) -> str:
            for name in sorted(placeholders, key=len, reverse=True):
                text = text.replace(name, placeholders[name])
            return text

        return self._replace(
            trigger=marked(self.trigger),
            begin=marked(self.begin),
            call_begin=marked(self.call_begin),
            middle=marked(self.middle),
            call_end=marked(self.call_end),
            separator=None if self.separator is None else marked(self.separator),
            end=marked(self.end),
        )

    def written(self, calls: Sequence[tuple[str, str]]) -> str:
        """calls: the name and the arguments, in JSON, of each."""
        each = (self.call_begin + name + self.middle + arguments + self.call_end for name, arguments in calls)
        return self.begin + (self.separator or "").join(each) + self.end


# Qwen 2.5 and 3, Hermes, SmolLM3; and of a model whose template says nothing of tools (tools_as_text.py).
GENERIC = ToolFormat(
    signs=("<tool_call>",),
    trigger="<tool_call>",
    call_begin='<tool_call>\n{"name": "',
    middle='", "arguments": ',
    call_end="}\n</tool_call>",
    separator="\n",
)


def _json_list(*signs: str, after: str = "") -> ToolFormat:
    """Of models that write their calls as a list in JSON behind a mark, which is the first sign."""
    return ToolFormat(
        signs=signs,
        trigger=signs[0],
        begin=f"{signs[0]}[",
        call_begin='{"name": "',
        middle='", "arguments": ',
        call_end="}",
        separator=", ",
        end=f"]{after}",
    )


# The first whose signs are all there: a template of many forms teaches that which is most its own.
TOOL_FORMATS = (
    ToolFormat(  # DeepSeek V3.1
        signs=("<｜tool▁calls▁begin｜>", "<｜tool▁sep｜>"),
        trigger="<｜tool▁calls▁begin｜>",
        begin="<｜tool▁calls▁begin｜>",
        call_begin="<｜tool▁call▁begin｜>",
        middle="<｜tool▁sep｜>",
        call_end="<｜tool▁call▁end｜>",
        end="<｜tool▁calls▁end｜>",
    ),
    ToolFormat(  # Mistral, from its tokenizer's version 11 on
        signs=("[TOOL_CALLS]", "[ARGS]"),
        trigger="[TOOL_CALLS]",
        call_begin="[TOOL_CALLS]",
        middle="[ARGS]",
        call_end="",
    ),
    _json_list("[TOOL_CALLS]"),  # Mistral before it
    _json_list("<|tool_call|>", "<|/tool_call|>", after="<|/tool_call|>"),  # Phi 4 mini
    _json_list("<|tool_call|>"),  # Granite 3
    GENERIC,
    ToolFormat(  # Llama 3
        signs=('"parameters": ', "ipython"),
        call_begin='{"name": "',
        middle='", "parameters": ',
        call_end="}",
        separator=None,
    ),
)


def format_of(template: str) -> ToolFormat:
    """template: the source of a chat template that shows its tools."""
    return next((each for each in TOOL_FORMATS if all(sign in template for sign in each.signs)), GENERIC)
