"""Objects and tools by the package `langchain-openai` against the gateway at `url`: prints what it gave as JSON.

By chats and by responses.
"""

import json
import sys
from typing import Annotated, Any, Literal

from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel, ConfigDict, Field

url, model = sys.argv[1:]
APIS = {"chats": {"seed": 1}, "responses": {"use_responses_api": True}}


class Dog(BaseModel):
    """A dog."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(max_length=8)]
    size: Literal["small", "large"]


@tool
def weather(days: Literal[1, 2, 3]) -> str:
    """The weather of the next days."""
    return f"{days} fine days"


def seen(**api: Any) -> dict[str, Any]:
    chat = ChatOpenAI(
        model=model,
        base_url=f"{url}/v1",
        api_key="none is asked for",
        max_tokens=200,
        max_retries=0,
        temperature=1,
        **api,
    )
    question = HumanMessage("How is the weather?")
    called = chat.bind_tools([weather], tool_choice="any", parallel_tool_calls=False, strict=True).invoke([question])
    results = [ToolMessage(weather.invoke(call["args"]), tool_call_id=call["id"]) for call in called.tool_calls]
    return {
        "by_schema": chat.with_structured_output(Dog, method="json_schema").invoke("A dog.").model_dump(),
        "by_tool": chat.with_structured_output(Dog, method="function_calling").invoke("A dog.").model_dump(),
        "calls": [{"name": call["name"], "input": call["args"]} for call in called.tool_calls],
        "results": [result.content for result in results],
        "text": chat.bind_tools([weather], tool_choice="none").invoke([question, called, *results]).text,
    }


sys.stdout.write(json.dumps({name: seen(**api) for name, api in APIS.items()}))
