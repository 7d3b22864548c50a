"""Answers that last, which are written after all that led to them has returned: its frames would cost memory."""

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from adapter.errors import TorchbridgeError
from adapter.http.problem_responses import problem_response

_STATE = "lasting_answer"


class LastingAnswer(Response):
    """A route's word for `answer`, which LastingAnswers writes; it needs no more of FastAPI."""

    def __init__(self, answer: ASGIApp) -> None:
        super().__init__()
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del receive, send
        scope["state"][_STATE] = self._answer


class LastingAnswers:
    """Pure ASGI, next to FastAPI's own part, as its failures are answered here."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # In its copy of the scope FastAPI leaves what it has of the request; the state is the same one.
        await self._app({**scope}, receive, send)
        answer: ASGIApp | None = scope.get("state", {}).pop(_STATE, None)
        if answer is not None:
            try:
                await answer(scope, receive, send)
            except TorchbridgeError as error:
                await problem_response(error, scope)(scope, receive, send)
