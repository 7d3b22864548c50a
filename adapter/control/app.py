"""The gateway's API for the command line on the same machine, at a Unix socket; nothing over TCP gets here."""

import socket
from pathlib import Path

from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from adapter.control.canary_routes import canary_routes, describe_canary
from adapter.control.messages import (
    HOLD_SECONDS,
    DefaultModelRequest,
    HoldRequest,
    ModelTraffic,
    TrafficReport,
    VersionTraffic,
)
from adapter.generation.admission import Admission
from adapter.generation.canary import Canaries
from adapter.generation.shared_counts import SharedCounts
from adapter.generation.traffic import Traffic
from adapter.http.problem_responses import install_problem_responses
from adapter.schema import ModelVersion
from adapter.torchserve.model_registry import ModelRegistry
from adapter.torchserve.served_models import ServedModel


def control_app(
    registry: ModelRegistry, traffic: Traffic, admission: Admission, canaries: Canaries, shared_counts: SharedCounts
) -> FastAPI:
    app = FastAPI(openapi_url=None)
    install_problem_responses(app)
    app.include_router(canary_routes(registry, canaries, shared_counts))

    def describe(served: ServedModel, version: ModelVersion) -> VersionTraffic:
        model, described = served.model.name, served.described[version.version]
        seen = traffic.of(model, version.version)
        waiting, running = admission.queue(model, version.version)
        return VersionTraffic(
            version=version.version,
            is_default=version.is_default,
            workers=described.min_workers,
            ready_workers=version.ready_workers,
            live_requests=seen.num_live,
            oldest_live_seconds=seen.oldest,
            waiting_requests=waiting,
            running_requests=running,
            held_requests=seen.num_held,
            queued_in_torchserve=described.job_queue_status.pending_requests,
        )

    @app.get("/traffic")
    async def report() -> TrafficReport:
        return TrafficReport(
            models=tuple(
                ModelTraffic(
                    name=served.model.name,
                    default_version=served.model.default_version,
                    versions=tuple(describe(served, version) for version in served.model.versions),
                    canary=describe_canary(canary) if (canary := canaries.of(served.model.name)) else None,
                )
                for served in await registry.served_anew()
            ),
            default_model=registry.default_model,
        )

    @app.put("/default-model", status_code=204)
    async def set_default_model(request: DefaultModelRequest) -> None:
        await registry.resolve_anew(request.model)  # refuses a model that could answer nobody
        registry.default_model = request.model

    @app.put("/holds", status_code=204)
    async def hold(request: HoldRequest) -> None:
        if request.is_held:
            traffic.hold(request.model, request.version, HOLD_SECONDS)
        else:
            traffic.release(request.model, request.version)

    return app


class TwoSockets:
    """`public` for what comes over TCP, `control` for what comes through a Unix socket."""

    def __init__(self, public: ASGIApp, control: ASGIApp) -> None:
        self._public = public
        self._control = control

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # The socket's own address, which no caller chooses: (path, None) for a Unix socket (uvicorn, get_local_addr).
        is_local = scope["type"] == "http" and (scope.get("server") or ("", 0))[1] is None
        await (self._control if is_local else self._public)(scope, receive, send)


def listen(path: Path) -> socket.socket:
    """A socket that nobody but this user can open; a path that an ended gateway left is taken over."""
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(str(path))
        path.chmod(0o600)
    except OSError:
        listener.close()
        raise
    return listener
