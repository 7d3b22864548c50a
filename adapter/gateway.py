"""The gateway: its parts, put together."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, nullcontext
from functools import partial
from os import environ

from fastapi import FastAPI

from adapter.batches.configured import batch_api
from adapter.control.app import control_app
from adapter.control.rollout_route import RolloutEndpoint, rollout_route
from adapter.generation.admission import Admission
from adapter.generation.canary import Canaries
from adapter.generation.canary_metrics import CanaryMetrics
from adapter.generation.kept_stream_metrics import KeptStreamMetrics
from adapter.generation.kept_streams import KeptStreams
from adapter.generation.rate_limit import RateLimiter
from adapter.generation.response_cache import ResponseCache
from adapter.generation.response_store import response_store
from adapter.generation.retry_budget import RetryBudget
from adapter.generation.served_metrics import ServedMetrics
from adapter.generation.shared_counts import SharedCounts
from adapter.generation.text_generator import TextGenerator
from adapter.generation.traffic import Traffic
from adapter.http.api_keys import ApiKeys
from adapter.http.authentication import Authentication
from adapter.http.canary_verdict import canary_verdict_route
from adapter.http.direct_routes import DirectRoutes
from adapter.http.docs_page import install_docs
from adapter.http.documented_api import PROBLEM_ANSWERS, DocumentedApi
from adapter.http.forwarded_headers import ForwardedHeaders
from adapter.http.generation_routes import generation_routes
from adapter.http.http_metrics import HttpMetrics
from adapter.http.known_hosts import KnownHosts
from adapter.http.methods import HeadAsGet
from adapter.http.model_routes import model_routes
from adapter.http.operator_routes import operator_routes
from adapter.http.problem_responses import install_problem_responses
from adapter.http.request_envelope import RequestEnvelope
from adapter.http.resumable_streams import ResumableStreams
from adapter.http.route_path import check_root_path
from adapter.http.shutdown import Shutdown
from adapter.installed_versions import installed_version
from adapter.openai.responses.routes import response_routes
from adapter.openai.routes import openai_routes
from adapter.openai.ui.routes import ui_routes
from adapter.settings import Settings
from adapter.torchserve.inference_client import InferenceClient
from adapter.torchserve.keys import KeyFile
from adapter.torchserve.management_client import ManagementClient
from adapter.torchserve.model_registry import ModelRegistry
from adapter.torchserve.readiness import Readiness
from adapter.tracing.switch import tracing_for


def create_app(
    settings: Settings,
    *,
    inference: InferenceClient | None = None,
    registry: ModelRegistry | None = None,
    host_names: Sequence[str] | None = None,
) -> FastAPI:
    """The gateway over one TorchServe; `inference` and `registry` replace the clients that `settings` describe.

    `host_names`: those that a gateway without keys answers to; None: all.
    """
    keys = KeyFile(settings.key_file, settings.management_url)
    management = ManagementClient(settings.management_url, keys)
    registry = registry or ModelRegistry(
        management, settings.default_model, settings.model_store, restart_timeout=settings.restart_timeout
    )
    inference = inference or InferenceClient(
        settings,
        keys,
        registry.resolve_anew,
        registry.wait_for_comeback,
        is_queue_empty=registry.is_queue_empty,
        has_workers=registry.has_workers,
    )
    redis_url = settings.redis_url.get_secret_value() if settings.redis_url else None
    cache = ResponseCache(response_store(redis_url, settings.cache_max_bytes, settings.cache_max_age))
    rate_limiter = RateLimiter(settings.rate_limit, redis_url)
    tracing = tracing_for(environ, settings.trace_redaction)
    shutdown = Shutdown()
    admission, traffic, canaries = Admission(settings.max_waiting_requests), Traffic(), Canaries()
    shared_counts = SharedCounts(redis_url)
    generator = TextGenerator(
        registry,
        inference,
        admission=admission,
        cache=cache,
        rate_limiter=rate_limiter,
        retry_budget=RetryBudget(),
        traffic=traffic,
        canaries=canaries,
        max_live=settings.max_live_requests,
        max_continuations=settings.max_continuations,
    )
    kept = KeptStreams(settings.unread_stream_seconds, lambda: shutdown.has_begun)
    streams = ResumableStreams(generator, kept, settings.cursor_key)
    readiness = Readiness(registry, inference)
    batches = batch_api(settings, generator, registry)
    for collector in (
        ServedMetrics(registry, admission, settings.compilations),
        CanaryMetrics(canaries),
        KeptStreamMetrics(kept),
    ):
        generator.metrics.registry.register(collector)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with (
            tracing or nullcontext(),  # ends last, so that the ends of the others are recorded
            inference,
            cache,
            rate_limiter,
            shared_counts,
            generator.shadows,
            readiness,
            batches.running,
            kept,
        ):
            yield

    app = DocumentedApi(
        title="Torchbridge",
        summary="Text generation by a PyTorch language model behind TorchServe.",
        version=installed_version("torchbridge"),
        lifespan=lifespan,
        docs_url=None,  # FastAPI's own pages load their scripts from the internet
        redoc_url=None,
        redirect_slashes=False,  # a wrong address is a Problem, never an empty 307
        responses=PROBLEM_ANSWERS,
    )
    app.state.settings = settings
    app.state.shutdown = shutdown
    app.state.control = control_app(registry, traffic, admission, canaries, shared_counts)
    app.state.control.include_router(operator_routes(generator, readiness, shutdown))
    app.state.rollout_endpoint = RolloutEndpoint()
    install_problem_responses(app)
    install_docs(app)
    rollout_keys = ApiKeys.configured(settings.rollout_keys, settings.rollout_keys_file, setting="ROLLOUT_KEYS")
    routers = (
        *((rollout_route(app.state.rollout_endpoint),) if rollout_keys else ()),
        generation_routes(generator, streams, shutdown, settings),
        model_routes(registry),
        openai_routes(generator, streams, registry, shutdown, settings),
        response_routes(generator, registry, shutdown, settings),
        ui_routes(generator, kept, shutdown, settings),
        operator_routes(generator, readiness, shutdown),
        canary_verdict_route(registry, canaries, shared_counts),
        *batches.routers,
    )
    for router in routers:
        app.include_router(router)
    # Not by FastAPI's iter_route_contexts, which makes all routes of the routers anew: a quarter of a start's time.
    routes = (*app.routes, *(route for router in routers for route in router.routes))
    paths = {path for route in routes if (path := getattr(route, "path", ""))}
    check_root_path(settings.root_path, paths)
    metrics = HttpMetrics(generator.metrics.registry, paths)
    app.state.http_metrics = metrics
    app.add_middleware(DirectRoutes, routes=[route for router in routers for route in router.routes])
    app.add_middleware(HeadAsGet)
    app.add_middleware(
        Authentication,
        keys=ApiKeys.configured(settings.api_keys, settings.api_keys_file),
        operator_keys=ApiKeys.configured(settings.operator_keys, settings.operator_keys_file, setting="OPERATOR_KEYS"),
        rollout_keys=rollout_keys,
    )
    if host_names is not None and not settings.asks_for_keys:
        app.add_middleware(KnownHosts, names=host_names)
    app.add_middleware(
        RequestEnvelope,
        max_body_bytes=settings.max_body_bytes,
        body_timeout=settings.body_timeout,
        cors_origins=settings.cors_origins,
        root_path=settings.root_path,
        count=metrics.add_request,
        upload_limits=batches.upload_limits,
        begin_trace=None if tracing is None else partial(tracing.begin, metrics.route_of),
    )
    if settings.trusted_proxies:
        app.add_middleware(ForwardedHeaders, trusted=settings.trusted_proxies)
    return app
