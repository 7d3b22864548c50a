"""A word with a model from a terminal, through the gateway: `torchbridge generate` and `torchbridge chat`."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from adapter.client import ChatFields, GatewayClient, Message
from adapter.command_line.command_group import command_group
from adapter.command_line.numbers import finite
from adapter.command_line.options import examples
from adapter.errors import TorchbridgeError
from adapter.names import MODEL_VERSION_SEPARATOR
from adapter.process.background_output import notice, say
from adapter.schema import MAX_LENGTH

_URL = "http://localhost:8000"
_FORGET = "/new"
_GREETING = f"Ctrl-C stops an answer, {_FORGET} begins anew, Ctrl-D ends."

Url = Annotated[
    str, typer.Option(envvar="TORCHBRIDGE_BASE_URL", help="The gateway's address. TORCHBRIDGE_API_KEY is its key.")
]
Model = Annotated[
    str | None,
    typer.Option("--model", "-m", metavar="NAME[@VERSION]", help="The model. Default: the gateway's default model."),
]
Temperature = Annotated[
    float | None,
    typer.Option(
        min=0, max=2, callback=finite, help="0 always takes the likeliest token; left out, what its authors say."
    ),
]

talk_commands = command_group()


@talk_commands.command(
    epilog=examples("torchbridge generate 'Once upon a time'", "torchbridge generate - --max-length 20 < prompt.txt")
)
def generate(
    prompt: Annotated[str, typer.Argument(metavar="PROMPT", help="The text to continue; - reads the standard input.")],
    *,
    model: Model = None,
    max_length: Annotated[int, typer.Option(min=1, max=MAX_LENGTH, help="Most tokens to generate.")] = 100,
    temperature: Annotated[
        float, typer.Option(min=0, max=2, callback=finite, help="0 always takes the likeliest token.")
    ] = 0.7,
    url: Url = _URL,
) -> None:
    """Print a model's continuation of PROMPT.

    As it comes; Ctrl-C stops it.
    """
    name, version = _name_and_version(model)
    with (
        _client(url) as client,
        client.stream_text(
            prompt=sys.stdin.read() if prompt == "-" else prompt,
            max_length=max_length,
            temperature=temperature,
            model=name,
            model_version=version,
        ) as stream,
    ):
        for event in stream:
            if event.type == "delta":
                say(event.text, end="")
    say("")


@talk_commands.command(epilog=examples("torchbridge chat", "torchbridge chat --model chat@1.0 --system 'Be brief.'"))
def chat(
    *,
    model: Model = None,
    system: Annotated[str | None, typer.Option(help="The system message of the chat.")] = None,
    max_tokens: Annotated[int, typer.Option(min=1, max=MAX_LENGTH, help="Most tokens of an answer.")] = 500,
    temperature: Temperature = None,
    url: Url = _URL,
) -> None:
    """Talk with a model. From a pipe, each line is a question."""
    beginning = [Message(role="system", content=system)] if system else []
    name, version = _name_and_version(model)
    request = ChatFields(messages=[], max_length=max_tokens, model=name, model_version=version)
    if temperature is not None:
        request["temperature"] = temperature
    with _client(url) as client:
        client.models()  # a gateway that is not there shows before anything is typed
        said = list(beginning)
        if sys.stdin.isatty():
            notice(_GREETING)
        for question in _questions():
            if question == _FORGET:
                said = list(beginning)
                continue
            turn = Message(role="user", content=question)
            if answer := _answer(client, request | {"messages": [*said, turn]}):
                said += [turn, Message(role="assistant", content=answer)]


def _name_and_version(model: str | None) -> tuple[str | None, str | None]:
    name, _, version = (model or "").partition(MODEL_VERSION_SEPARATOR)
    return name or None, version or None


def _client(url: str) -> GatewayClient:
    return GatewayClient(url, api_key=os.environ.get("TORCHBRIDGE_API_KEY") or None)


def _questions() -> Iterator[str]:
    if sys.stdin.isatty():
        import readline  # noqa: F401, PLC0415 - so that `input` has a history; it changes the terminal when it is loaded
    while True:
        try:
            question = input("> " if sys.stdin.isatty() else "").strip()
        except EOFError:
            return
        if question:
            yield question


def _answer(client: GatewayClient, request: ChatFields) -> str:
    """Shows the answer as it comes, and returns it: all of it, or what came before Ctrl-C or a failure."""
    texts: list[str] = []
    with _ended_by_interrupt(), client.stream_chat(**request) as stream:
        for event in stream:
            texts.append(event.text)
            say(event.text, end="")
    say("")
    return "".join(texts)


@contextmanager
def _ended_by_interrupt() -> Iterator[None]:
    """Ctrl-C and a failure, which is shown, end the block and not the chat."""
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        pass
    except TorchbridgeError as error:
        typer.echo(f"torchbridge: {error.with_cause}", err=True)
    finally:
        signal.signal(signal.SIGINT, previous)
