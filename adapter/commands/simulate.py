"""The command `torchbridge simulate`."""

import os
import secrets
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import typer
from fastapi import FastAPI
from pydantic import SecretStr

from adapter.command_line.command_group import command_group
from adapter.command_line.options import examples, settings_file
from adapter.gateway import create_app
from adapter.process.background_output import background_output, say
from adapter.process.stop_signals import Stopped
from adapter.serving.gateway_address import url_of
from adapter.serving.gateway_server import GatewayServer
from adapter.settings import Settings, check_variables
from adapter.simulator.inference import SimulatedInference
from adapter.simulator.management import SimulatedManagement
from adapter.simulator.script import Script
from adapter.torchserve.model_registry import ModelRegistry
from adapter.torchserve.ports import bind, share_address
from adapter.validation.settings_file import read_settings

simulate_commands = command_group()

_KEY_BYTES = 32


@simulate_commands.command(epilog=examples("torchbridge simulate", "torchbridge simulate story.yaml --port 8001"))
def simulate(
    script: Annotated[
        Path | None, typer.Argument(metavar="[SCRIPT.yaml]", help="What it answers; else one and the same story.")
    ] = None,
    *,
    host: Annotated[str | None, typer.Option(help="The gateway's address; else TORCHBRIDGE_HOST or loopback.")] = None,
    port: Annotated[
        int | None,
        typer.Option("--port", "-p", min=0, max=65_535, help="The gateway's port; else TORCHBRIDGE_PORT or 8000."),
    ] = None,
    config: Annotated[Path | None, settings_file("The gateway's settings, as serve has them.")] = None,
) -> None:
    """Serve the whole API without a model, for tests.

    Answers, times and failures are what a script says.
    """
    played = Script() if script is None else Script.read(script)
    settings = simulated_settings(config, host=host, port=port)
    with (
        background_output(),
        bind(settings.host, settings.port, "the gateway", "choose another one with --port") as listener,
        closing(listener),
    ):
        server = GatewayServer(settings, simulated_gateway(settings, played))
        share_address(listener)
        listener.listen()  # a reader of the address may call it at once
        say(f"Simulating {played.model} {played.version} at {url_of(listener, settings)} until Ctrl-C.")
        try:
            server.run(sockets=[listener])
        except Stopped:
            raise typer.Exit(0) from None


def simulated_gateway(settings: Settings, script: Script) -> FastAPI:
    management = SimulatedManagement({script.model: {script.version: 1}}, script.slots)
    return create_app(
        settings,
        inference=SimulatedInference(script),
        registry=ModelRegistry(management, script.model),
        host_names=(settings.host, *settings.allowed_hosts),
    )


def simulated_settings(file: Path | None, **given: Any) -> Settings:
    """The settings as in `serve`, but without the cache: the script would not hear of a kept answer."""
    check_variables(os.environ)
    chosen = {name: value for name, value in given.items() if value is not None}
    settings = read_settings(file, **chosen)
    own: dict[str, Any] = {"cache_max_age": 0, "cursor_key": SecretStr(secrets.token_urlsafe(_KEY_BYTES))}
    return settings.model_copy(
        update={name: value for name, value in own.items() if name not in settings.model_fields_set}
    )
