"""The headers that say how a request is to be treated, as a Call."""

from typing import Annotated, TypeVar

from fastapi import Depends, Header, Request
from pydantic import TypeAdapter

from adapter.call import Call

_LONGEST = 86_400  # seconds
LONGEST_CURSOR = 6_000  # characters: a header has 8,190 at most

Timeout = Annotated[
    float | None,
    Header(gt=0, le=_LONGEST, allow_inf_nan=False, description="Seconds; the gateway's own limit holds too."),
]
User = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=256,
        pattern="^[!-~]([ -~]*[!-~])?$",
        description="Whom it is for: where a new version is tried out by user, each one stays with one version.",
    ),
]

LastEventId = Annotated[
    str | None,
    Header(
        max_length=LONGEST_CURSOR,
        pattern="^[A-Za-z0-9_-]*$",
        description="The `id` of an event of an earlier stream with the same body: this one goes on behind it.",
    ),
]
Resumable = Annotated[
    bool | None, Header(description="Whether the events of `/generate/stream` are to have an `id` to go on behind.")
]

_Value = TypeVar("_Value")

_TIMEOUT: TypeAdapter[float | None] = TypeAdapter(Timeout)
_USER: TypeAdapter[str | None] = TypeAdapter(User)
_LAST_EVENT_ID: TypeAdapter[str | None] = TypeAdapter(LastEventId)
_RESUMABLE: TypeAdapter[bool | None] = TypeAdapter(Resumable)


# Not `def`: FastAPI would run it in a thread, which costs more than all of it.
async def _call(
    request: Request,
    *,
    x_request_timeout: Timeout = None,
    x_first_token_timeout: Timeout = None,
    x_user: User = None,
    cache_control: Annotated[
        str | None, Header(description="`no-cache` or `no-store`: let the model run, whatever it has answered before.")
    ] = None,
    last_event_id: LastEventId = None,
    x_resumable: Resumable = None,
) -> Call:
    return _made_of(
        request,
        x_request_timeout,
        x_first_token_timeout,
        user=x_user,
        cache_control=cache_control,
        last_event_id=last_event_id,
        is_resumable=x_resumable,
    )


CallParameters = Annotated[Call, Depends(_call)]


def read_call(request: Request) -> Call:
    """Reads the headers as FastAPI reads CallParameters. Raises pydantic's ValidationError."""
    headers = request.headers
    return _made_of(
        request,
        _read(_TIMEOUT, headers.get("x-request-timeout")),
        _read(_TIMEOUT, headers.get("x-first-token-timeout")),
        user=_read(_USER, headers.get("x-user")),
        cache_control=headers.get("cache-control"),
        last_event_id=_read(_LAST_EVENT_ID, headers.get("last-event-id")),
        is_resumable=_read(_RESUMABLE, headers.get("x-resumable")),
    )


def _read(header: TypeAdapter[_Value | None], value: str | None) -> _Value | None:
    return None if value is None else header.validate_python(value)


def _made_of(
    request: Request,
    request_timeout: float | None,
    first_token_timeout: float | None,
    *,
    user: str | None,
    cache_control: str | None,
    last_event_id: str | None,
    is_resumable: bool | None,
) -> Call:
    state, settings = request.state, request.app.state.settings
    timeouts = (request_timeout, first_token_timeout)
    directives = {directive.strip().lower() for directive in (cache_control or "").split(",")}
    return Call(
        state.request_id,
        state.received_at,
        deadline=state.received_at + _shorter(request_timeout, settings.request_timeout),
        first_text_deadline=state.received_at + _shorter(first_token_timeout, settings.first_token_timeout),
        asked_deadlines=frozenset(state.received_at + seconds for seconds in timeouts if seconds is not None),
        caller=state.caller,
        user=user,
        may_use_cache=not directives & {"no-cache", "no-store"},
        last_event_id=last_event_id,
        is_resumable=bool(is_resumable),
        timeline=state.timeline,
        trace=state.trace,
    )


def _shorter(asked_for: float | None, allowed: float) -> float:
    return allowed if asked_for is None else min(asked_for, allowed)
