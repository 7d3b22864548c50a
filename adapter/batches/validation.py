"""Checks each line of an input file, before the first one is answered."""

from collections.abc import Iterator
from pathlib import Path

from adapter.batches.endpoints import Endpoints, Prepared
from adapter.batches.input_lines import InputLine, input_lines, parse
from adapter.batches.objects import BatchError, Endpoint
from adapter.batches.request_records import Request
from adapter.errors import InvalidRequest, MalformedJson, ModelNotFound, TorchbridgeError, VersionNotFound

_MOST_ERRORS = 1_000  # in a batch, whose object holds them in each answer
_MOST_TARGETS = 1_000  # that are remembered

_Target = tuple[str | None, str | None]


class Validation:
    """The check of one input file. `requests`: its lines, unless there are `errors`."""

    def __init__(self, endpoints: Endpoints, endpoint: Endpoint, *, max_line_bytes: int, max_lines: int) -> None:
        self._endpoints = endpoints
        self._endpoint = endpoint
        self._max_line_bytes = max_line_bytes
        self._max_lines = max_lines
        self._lines_by_id: dict[str, int] = {}
        self._targets: dict[_Target, TorchbridgeError | None] = {}
        self._named: set[str | None] = set()
        self._num_errors = 0
        self._errors: list[BatchError] = []
        self.requests: list[Request] = []

    @property
    def model(self) -> str | None:
        """The model that all requests name, if it is the same."""
        return next(iter(self._named)) if len(self._named) == 1 else None

    @property
    def errors(self) -> tuple[BatchError, ...]:
        return (*self._errors, *self._untold())

    async def look_through(self, path: Path) -> None:
        """Raises OSError."""
        try:
            await self._look_through(path)
        except FileNotFoundError:
            self._add("file_not_found", "The input file is gone.", None)

    async def _look_through(self, path: Path) -> None:
        num_lines = 0
        async for line in input_lines(path, self._max_line_bytes):
            num_lines += 1
            if num_lines > self._max_lines:
                self._add("too_many_lines", f"A batch has at most {self._max_lines} lines.", line.number)
                return
            await self._check(line)
        if not num_lines:
            self._add("empty_file", "The file has no line.", None)

    async def _check(self, line: InputLine) -> None:
        if line.content is None:
            self._add("line_too_long", f"The line has more than {self._max_line_bytes} bytes.", line.number)
            return
        try:
            request = await parse(line.content)
        except MalformedJson as error:
            self._add("invalid_json_line", error.detail, line.number)
            return
        except InvalidRequest as error:
            self._refuse(error, line.number)
            return
        self._check_id(request.custom_id, line)
        if request.url != self._endpoint:
            message = f"The batch is for {self._endpoint}, and this line for {request.url!r:.100}."
            self._add("mismatched_url", message, line.number, "url")
            return
        try:
            prepared = self._endpoints.prepare(self._endpoint, request.body)
            await self._check_model(prepared)
        except TorchbridgeError as error:
            self._refuse(error, line.number, within="body.")

    def _check_id(self, custom_id: str, line: InputLine) -> None:
        first = self._lines_by_id.setdefault(custom_id, line.number)
        if first != line.number:
            message = f"The custom_id is that of line {first}, too."
            self._add("duplicate_custom_id", message, line.number, "custom_id")
        self.requests.append(Request(line.number, custom_id, line.position, line.length))

    async def _check_model(self, prepared: Prepared) -> None:
        self._named.add(prepared.named)
        if prepared.target not in self._targets:
            refusal = await self._look_for(prepared.target)
            if len(self._targets) < _MOST_TARGETS:
                self._targets[prepared.target] = refusal
        else:
            refusal = self._targets[prepared.target]
        if refusal is not None:
            raise refusal.with_traceback(None)

    async def _look_for(self, target: _Target) -> TorchbridgeError | None:
        """The target's fault, if any. A model that is away at the moment is waited for when its turn comes."""
        try:
            await self._endpoints.check_target(target)
        except (InvalidRequest, ModelNotFound, VersionNotFound) as error:
            return error
        except TorchbridgeError:
            return None
        return None

    def _refuse(self, error: TorchbridgeError, line: int, within: str = "") -> None:
        field = within + error.errors[0].field if error.errors else within.rstrip(".") or None
        self._add(str(error.code), error.detail, line, field)

    def _add(self, code: str, message: str, line: int | None, param: str | None = None) -> None:
        self._num_errors += 1
        if len(self._errors) < _MOST_ERRORS:
            self._errors.append(BatchError(code=code, line=line, message=message, param=param))

    def _untold(self) -> Iterator[BatchError]:
        if more := self._num_errors - len(self._errors):
            yield BatchError(code="more_errors", message=f"There are {more} more that are not told here.")
