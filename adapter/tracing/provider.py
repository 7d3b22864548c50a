"""OpenTelemetry's SDK, as its own variables set it up: exporters, sampler, batches and the name of the service."""

from collections.abc import Iterator, Mapping
from importlib.metadata import entry_points, version

from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter

from adapter.tracing.contents import contents_for
from adapter.tracing.errors import TracingError
from adapter.tracing.request_trace import RequestTracing

_PACKAGES = {"http/protobuf": "otlp_proto_http", "grpc": "otlp_proto_grpc"}


def make_tracing(environment: Mapping[str, str], redaction: str | None) -> RequestTracing:
    """Raises TracingError."""
    contents = contents_for(environment, redaction)
    # The variables' words on the service override ours.
    resource = Resource.create({"service.name": "torchbridge", "service.version": version("torchbridge")}).merge(
        OTELResourceDetector().detect()
    )
    # The sampler is the one of OTEL_TRACES_SAMPLER; RequestTracing ends it.
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    for exporter in _exporters(environment):
        provider.add_span_processor(BatchSpanProcessor(exporter))
    return RequestTracing(provider, contents)


def _exporters(environment: Mapping[str, str]) -> Iterator[SpanExporter]:
    names = environment.get("OTEL_TRACES_EXPORTER") or "otlp"
    for name in map(str.strip, names.split(",")):
        yield _exporter(_otlp(environment) if name == "otlp" else name)


def _otlp(environment: Mapping[str, str]) -> str:
    protocol = environment.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or environment.get("OTEL_EXPORTER_OTLP_PROTOCOL")
    protocol = protocol or "http/protobuf"
    if protocol not in _PACKAGES:
        raise TracingError(f"OTEL_EXPORTER_OTLP_PROTOCOL cannot be {protocol}: it is one of {', '.join(_PACKAGES)}.")
    return _PACKAGES[protocol]


def _exporter(name: str) -> SpanExporter:
    found = entry_points(group="opentelemetry_traces_exporter", name=name)
    if not found:
        raise TracingError(
            f"OTEL_TRACES_EXPORTER or OTEL_EXPORTER_OTLP_PROTOCOL asks for exporter {name}, which is not installed: "
            f"pip install opentelemetry-exporter-{name.replace('_', '-')}"
        )
    exporter: SpanExporter = next(iter(found)).load()()
    return exporter
