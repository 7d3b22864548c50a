"""uvicorn's HTTP/1.1, but for six things.

The head of a request has a deadline, connections have a limit and take turns, a refusal is a Problem like all, what is
read is for Connection to say, and at the end no request is lost in a connection that was kept for it.
"""

import asyncio
import logging
import uuid
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from adapter.errors import MalformedHttp, Overloaded, RequestTimeout, ShuttingDown, TorchbridgeError
from adapter.http.closing_problem import closing_problem
from adapter.http.connection import Connection
from adapter.http.connection_limit import ConnectionLimit
from adapter.http.held_flow import HeldFlow
from adapter.http.http_metrics import HttpMetrics
from adapter.http.loop_budget import LoopBudget
from adapter.http.request_envelope import REFUSED_STATUS
from adapter.http.shutdown import Shutdown

_log = logging.getLogger(__name__)
# Its warnings are of what anybody sends; they have no id, and advise to install packages. HttpMetrics counts it.
# Its errors are ours.
_uvicorn_errors = logging.getLogger("uvicorn.error.connection")
_uvicorn_errors.setLevel(logging.ERROR)

_LAST_WAIT = 1  # seconds: for a request that is on its way in a kept connection, and for the caller to read our end


class HttpProtocol(H11Protocol):
    # Python keeps up to 30 attributes of an object small, and uvicorn has 25.
    __slots__ = ("_end_timer", "_head_timer", "_limit", "_loop_budget", "_metrics", "_shutdown")

    head_timeout: ClassVar[float] = 10  # seconds, from the connection or the first byte of a further request
    conn: Connection
    flow: HeldFlow

    def __init__(
        self,
        *args: Any,
        limit: ConnectionLimit,
        shutdown: Shutdown,
        metrics: HttpMetrics,
        loop_budget: LoopBudget,
        **settings: Any,
    ) -> None:
        super().__init__(*args, **settings)
        self._head_timer: asyncio.TimerHandle | None = None
        self._end_timer: asyncio.TimerHandle | None = None
        self.conn = Connection(lambda: shutdown.has_begun)
        self.logger = _uvicorn_errors
        self._limit = limit
        self._shutdown = shutdown
        self._metrics = metrics
        self._loop_budget = loop_budget

    @property
    def address(self) -> str:
        return self.client[0] if self.client else ""

    def give_way(self) -> None:
        self.transport.abort()  # close() would wait for a caller who does not read

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self.flow = HeldFlow(transport)
        self._start_head_timer()
        if not self._is_public():
            return
        self._metrics.add_connection()
        if not self._limit.admit(self):
            no_room = Overloaded("The gateway has no room for another connection.")
            self._metrics.add_refusal(no_room.status)
            self._answer(no_room, uuid.uuid4().hex)
            self.transport.close()  # at once: no connection is left for a slow end, either
        elif self._shutdown.has_stopped_listening:  # uvicorn has told those that it knew
            self.shutdown()

    def data_received(self, data: bytes) -> None:
        if not self._take_turn(self._read, data):
            self._unset_keepalive_if_required()  # as uvicorn, once it has read this
            self.flow.hold()

    def _take_turn(self, act: Callable[..., None], *args: Any) -> bool:
        """Has `act` wait for its turn: all that happens to this connection, its deadlines too, comes in order."""
        return self._loop_budget.take(partial(self._act, act, *args))

    def _act(self, act: Callable[..., None], *args: Any) -> None:
        try:
            act(*args)
        except Exception:  # asyncio ends a connection only for those of its own calls; in any case it is told
            self.transport.abort()
            raise

    def _read(self, data: bytes) -> None:
        self.flow.release()
        if self._is_ended():
            return  # it was answered, or will not be
        if self._head_timer is None and self.conn.their_state is h11.IDLE:
            self._start_head_timer()
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._stop_head_timer()
        self._note_progress()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._note_progress()

    def handle_events(self) -> None:
        super().handle_events()
        if self.conn.is_body_held:
            self.flow.hold()
            self.loop.call_soon(self._take_turn, self._read_body)  # the application has its turn before

    def connection_lost(self, exc: Exception | None) -> None:
        self._limit.closed(self)  # at once: a caller who comes at the same time has its place
        if self._is_public():
            self._metrics.remove_connection()
        self._take_turn(self._leave, exc)

    def _leave(self, exc: Exception | None) -> None:
        self._stop_head_timer()
        if self._end_timer is not None:
            self._end_timer.cancel()
        self._unset_keepalive_if_required()  # uvicorn leaves it where the caller reset the connection
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """Is called by uvicorn once nothing listens any more.

        It would close each idle connection, and each other one after an answer that did not say so: a request that the
        caller has just written there would be lost. Here the connection stays for a moment, and then the caller gets an
        answer that a request on its way can have.
        """
        self.timeout_keep_alive = min(self.timeout_keep_alive, _LAST_WAIT)
        is_idle = self.cycle is None or self.cycle.response_complete
        if is_idle and not self.conn.trailing_data[0]:
            self._unset_keepalive_if_required()
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def timeout_keep_alive_handler(self) -> None:
        self._take_turn(self._end_keep_alive)

    def _end_keep_alive(self) -> None:
        if self.timeout_keep_alive_task is None:
            return  # a request came before its turn
        if not self._shutdown.has_begun:
            super().timeout_keep_alive_handler()
        elif not self._is_ended():
            self._answer(ShuttingDown("The server is shutting down."), uuid.uuid4().hex)

    def send_400_response(self, msg: str) -> None:
        """Is called by uvicorn for all that h11 does not take."""
        self._refuse(self.conn.refusal or MalformedHttp("The request is not valid HTTP/1.1.", cause=msg))

    def _unsupported_upgrade_warning(self) -> None:
        """Is called by uvicorn for a request to go on in another protocol."""
        self._metrics.add_upgrade()

    def _read_body(self) -> None:
        self.conn.is_body_held = False
        self.flow.release()
        if not self._is_ended():
            self.handle_events()
            self._note_progress()

    def _is_public(self) -> bool:
        # A Unix socket has no port (uvicorn, get_local_addr): the control socket stays open.
        return self.server is not None and self.server[1] is not None

    def _note_progress(self) -> None:
        if self.cycle is not None and not self.cycle.response_complete and not self.cycle.more_body:
            self._limit.works(self)
        else:
            self._limit.waits(self)

    def _start_head_timer(self) -> None:
        self._head_timer = self.loop.call_later(self.head_timeout, self._take_turn, self._end_wait_for_head)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _end_wait_for_head(self) -> None:
        if self._head_timer is None:
            return  # the head came before its turn
        unread, _ = self.conn.trailing_data
        if unread:
            self._refuse(RequestTimeout(f"The request's head took more than {self.head_timeout:g} seconds to arrive."))
        else:
            self.transport.close()

    def _refuse(self, error: TorchbridgeError) -> None:
        request_id = uuid.uuid4().hex
        _log.info("%s %s: %s", request_id, error.code, error.with_cause)
        if self.cycle is None or self.cycle.response_complete:
            self._metrics.add_refusal(error.status)
        elif not self.cycle.response_started:  # in the body of a request, which is counted when the application ends
            self.scope["state"][REFUSED_STATUS] = error.status
        self._answer(error, request_id)

    def _answer(self, error: TorchbridgeError, request_id: str) -> None:
        """And ends the connection."""
        self._stop_head_timer()
        if self.conn.our_state in {h11.IDLE, h11.SEND_RESPONSE}:  # else an answer has begun: it can only be cut
            for event in closing_problem(error, request_id, is_head_only=self.conn.is_head_only):
                self.transport.write(self.conn.send(event) or b"")
        self._end()

    def _end(self) -> None:
        """So that what was written is read: to close while the caller still writes takes it from it (RFC 9112, 9.6)."""
        if self._is_ended():
            return
        self._unset_keepalive_if_required()
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected, self.cycle.waiting_for_100_continue = True, False
            self.cycle.message_event.set()
        if self.transport.can_write_eof():  # in TLS asyncio has no such thing: there the caller's end is waited for
            self.transport.write_eof()
        self.flow.release()  # what comes is dropped, up to the caller's own end
        self._end_timer = self.loop.call_later(_LAST_WAIT, self.transport.abort)

    def _is_ended(self) -> bool:
        return self._end_timer is not None or self.transport.is_closing()
