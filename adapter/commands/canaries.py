"""`torchbridge canary`: tries a deployed version with a share of the requests, here or in the server."""

import time
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

import typer
from pydantic import TypeAdapter

from adapter.command_line.command_group import command_group
from adapter.command_line.default_command import BeginUnlessSaid
from adapter.command_line.numbers import finite
from adapter.command_line.options import RUN_DIRECTORY, Json, Model, Quiet, RunDirectoryOption, Version, examples
from adapter.command_line.result import seconds_since, show
from adapter.command_line.stages import reporter
from adapter.commands.canary_results import AbortedCanary, CanaryResult
from adapter.commands.changing_server import changing_server
from adapter.control.client import ControlClient
from adapter.control.messages import CanaryReport, CanaryRequest, control_socket
from adapter.generation.canary_rule import Rule
from adapter.process.background_output import say
from adapter.versions import lifecycle
from adapter.versions.canary import Verdict, in_words, run_canary
from adapter.versions.canary_status import CanaryStatus, canary_status, status_in_words
from adapter.versions.canary_words import what_it_takes
from adapter.versions.changes import expect_ready
from adapter.versions.errors import ChangeRefused
from adapter.versions.server_files import ServerFiles

EXIT_WORSE, EXIT_UNDECIDED = 3, 4  # docs/command-line.md

STATUSES = TypeAdapter(list[CanaryStatus])

_WORSE = (Verdict.FAILS_MORE, Verdict.SLOWER)

canary_commands = command_group(BeginUnlessSaid, no_args_is_help=True)


class Sticky(StrEnum):
    USER = "user"


@canary_commands.callback(epilog=examples("torchbridge canary 2.0 --percent 5", "torchbridge canary status"))
def canary() -> None:
    """Try a deployed VERSION with a share of the requests.

    It is promoted once it is sure to be hardly worse. `canary VERSION --percent 5` begins one, as `canary begin` does.
    """


@canary_commands.command(
    epilog=examples(
        "torchbridge canary begin 2.0 --percent 5", "torchbridge canary begin 2.0 --percent 50 --shadow --no-wait"
    )
)
def begin(
    version: Version,
    *,
    percent: Annotated[
        float,
        typer.Option(
            min=0.01, max=100, callback=finite, help="The share of the requests that name no version, in percent."
        ),
    ],
    sticky: Annotated[
        Sticky | None, typer.Option(help="Keep each user, by the header X-User or OpenAI's user, with one version.")
    ] = None,
    shadow: Annotated[
        bool, typer.Option("--shadow", help="Only count its answers: callers get the default's.")
    ] = False,
    margin: Annotated[
        float, typer.Option(min=0.001, max=1, callback=finite, help="How much higher its failure rate may be.")
    ] = 0.02,
    min_requests: Annotated[int, typer.Option(min=1, help="Fewer on either side never promote.")] = 100,
    max_slowdown: Annotated[
        float,
        typer.Option(min=0, max=1_000, callback=finite, help="How many times as long it may mostly take; 0: any."),
    ] = 1.25,
    alpha: Annotated[
        float, typer.Option(min=0.0001, max=0.5, callback=finite, help="How likely each wrong verdict may be.")
    ] = 0.05,
    timeout: Annotated[float, typer.Option(min=1, callback=finite, help="Seconds for a verdict.")] = 3_600,
    wait: Annotated[
        bool, typer.Option(help="Watch it until the verdict; else the server does, and carries the verdict out.")
    ] = True,
    promote: Annotated[
        bool, typer.Option(help="Promote what is no worse; else that is for who reads GET /canary/verdict.")
    ] = True,
    model: Model = None,
    json_: Json = False,
    quiet: Quiet = False,
    run_directory: RunDirectoryOption = RUN_DIRECTORY,
) -> None:
    """Give a deployed VERSION a share of the requests, and promote it once it is sure to be hardly worse.

    Worse is to fail more often, or to take longer for the first token or for each token after it.

    However this ends, also by a kill, the share ends with it, and with --no-wait it ends with the server. Exits with 3
    where the version was worse, and with 4 without a verdict.
    """
    rule = Rule(margin, min_requests, alpha, max_slowdown or None)
    verdict, is_promoted = None, False
    with changing_server(run_directory, f"canary {version}") as change:
        server = change.server
        name, state = server.state.model(model)
        lifecycle.deployed(name, state, version)
        expect_ready(server, name, version)
        asked = CanaryRequest(
            model=name,
            version=version,
            percent=percent,
            is_sticky=sticky is not None,
            is_shadow=shadow,
            timeout=None if wait else timeout,
            promotes=promote,
            **rule._asdict(),
        )
        if wait:
            verdict = run_canary(server.gateway, asked, timeout=timeout, report=reporter(quiet=quiet))
            is_carried_out = promote and not shadow
            if is_promoted := verdict is Verdict.PROMOTE and is_carried_out:
                lifecycle.promote(server, name, version)
            reason = in_words(verdict, version, rule, shadow=not is_carried_out)
        else:
            reason = what_it_takes(server.gateway.begin_canary(asked))
        default = server.state.models[name].default
    result = CanaryResult(
        model=name,
        version=version,
        default=default,
        verdict=verdict,
        is_promoted=is_promoted,
        reason=reason,
        interrupted=change.interrupted,
        seconds=seconds_since(change.began),
    )
    show(result, as_json=json_)
    if wait and verdict is not Verdict.PROMOTE:
        raise typer.Exit(EXIT_WORSE if verdict in _WORSE else EXIT_UNDECIDED)


@canary_commands.command(epilog=examples("torchbridge canary status --json"))
def status(*, json_: Json = False, run_directory: RunDirectoryOption = RUN_DIRECTORY) -> None:
    """Show the canaries that run, and what became of the last one of each model that the server has watched."""
    statuses = canary_status(ControlClient(control_socket(run_directory)), ServerFiles(run_directory.resolve()))
    if json_:
        say(STATUSES.dump_json(statuses, indent=2).decode())
        return
    for each in statuses:
        say(status_in_words(each, datetime.now(UTC)))
    if not statuses:
        say("There is no canary.")


@canary_commands.command(epilog=examples("torchbridge canary abort", "torchbridge canary abort --if-exists"))
def abort(
    *,
    model: Model = None,
    if_exists: Annotated[bool, typer.Option("--if-exists", help="Do not fail if none runs, or none any more.")] = False,
    json_: Json = False,
    run_directory: RunDirectoryOption = RUN_DIRECTORY,
) -> None:
    """End a canary that runs, whoever watches it, without a promotion: all requests go to the default version."""
    began, gateway = time.monotonic(), ControlClient(control_socket(run_directory))
    running = _the_one(gateway, model)
    if running is None and not if_exists:
        raise ChangeRefused("No such canary runs." if model else "No canary runs.")
    if running is not None:
        gateway.abort_canary(running.id)
    result = AbortedCanary(
        model=running.model if running else None,
        version=running.version if running else None,
        default=running.control_version if running else None,
        seconds=seconds_since(began),
    )
    show(result, as_json=json_)


def _the_one(gateway: ControlClient, model: str | None) -> CanaryReport | None:
    """The canary that runs, of this model if one is named."""
    running = [each for each in gateway.canaries() if model in {None, each.model}]
    if len(running) > 1:
        names = ", ".join(sorted(each.model for each in running))
        raise ChangeRefused(f"There are several canaries: name one with --model ({names}).")
    return running[0] if running else None
