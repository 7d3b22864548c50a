"""HTTP's counts for Prometheus, also of what never becomes a generation."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge
from starlette.types import Scope

from adapter.http.route_path import route_path
from adapter.http.route_templates import UNKNOWN, RouteTemplates

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"})


class HttpMetrics:
    def __init__(self, registry: CollectorRegistry, paths: Iterable[str] = ()) -> None:
        """`paths` are those of the routes."""
        self._templates = RouteTemplates(tuple(paths))
        self._requests = Counter(
            "torchbridge_http_requests",
            "Requests by the status that they got. A caller that left before is 499; a stream has that of its begin.",
            ("method", "route", "status"),
            registry=registry,
        )
        self._upgrades = Counter(
            "torchbridge_http_upgrade_requests",
            "Requests to go on in another protocol, which were taken for plain ones.",
            registry=registry,
        )
        self._connections = Gauge(
            "torchbridge_open_connections", "Connections of callers that are open.", registry=registry
        )

    def add_request(self, scope: Scope, status: int) -> None:
        method = scope["method"] if scope["method"] in _METHODS else UNKNOWN
        self._requests.labels(method, self.route_of(scope), status).inc()

    def route_of(self, scope: Scope) -> str:
        return self._templates.of(route_path(scope))

    def add_refusal(self, status: int) -> None:
        """Counts what never became a request: bytes that are not HTTP, or a connection for which there was no room."""
        self._requests.labels(UNKNOWN, UNKNOWN, status).inc()

    def add_upgrade(self) -> None:
        self._upgrades.inc()

    def add_connection(self) -> None:
        self._connections.inc()

    def remove_connection(self) -> None:
        self._connections.dec()
