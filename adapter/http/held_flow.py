"""The flow of one connection: how much is read and written before the other side has taken what there is."""

import asyncio

from uvicorn.protocols.http.flow_control import FlowControl

# For all connections to whose callers more can be written: an event of its own costs each open stream 0.8 kB.
_WRITABLE = asyncio.Event()
_WRITABLE.set()


class HeldFlow(FlowControl):
    """uvicorn's flow, which reads on whenever the application asks for more of a body; but not while this is held."""

    _is_held = False

    def __init__(self, transport: asyncio.Transport) -> None:
        super().__init__(transport)
        self._is_writable_event = _WRITABLE

    def pause_writing(self) -> None:
        if not self.write_paused:
            self._is_writable_event = asyncio.Event()
        super().pause_writing()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._is_writable_event = _WRITABLE

    def hold(self) -> None:
        self._is_held = True
        self.pause_reading()

    def release(self) -> None:
        self._is_held = False
        self.resume_reading()

    def resume_reading(self) -> None:
        if not self._is_held:
            super().resume_reading()
