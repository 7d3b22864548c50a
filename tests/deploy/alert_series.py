"""What Prometheus would have read at each minute of a fault, by alert, and the minutes until somebody should look.

Of promtool's notation: `0x30` is 0 and thirty times 0 more, `0+6x30` grows by six each time.
"""

from typing import NamedTuple

_GATEWAY = 'job="torchbridge",instance="gateway:8000"'
_VERSION = f'{_GATEWAY},model="tiny",model_version="1.0"'
_OF_MODEL = f'{_GATEWAY},gen_ai_response_model="tiny"'
_BUCKET = "torchbridge_time_to_first_token_seconds_bucket"
_DURATION = "gen_ai_server_request_duration_seconds_count"


class Fault(NamedTuple):
    """minutes: at which it is not told of yet, and at which it is."""

    series: dict[str, str]
    minutes: tuple[int, int]


FAULTS = {
    "TorchbridgeDown": Fault({f"up{{{_GATEWAY}}}": "0x30"}, (1, 3)),
    "TorchbridgeTorchServeDown": Fault({f"torchbridge_torchserve_up{{{_GATEWAY}}}": "0x30"}, (1, 3)),
    "TorchbridgeNoWorker": Fault(
        {f"torchbridge_ready_workers{{{_VERSION}}}": "0x30", f"torchbridge_default_version{{{_VERSION}}}": "1x30"},
        (4, 6),
    ),
    "TorchbridgeWorkerRestarts": Fault({f"torchbridge_worker_starts_total{{{_VERSION}}}": "1x4 2x4 3x30"}, (7, 12)),
    "TorchbridgeFailures": Fault(
        {
            f'{_DURATION}{{{_OF_MODEL},error_type="generation_failed"}}': "0+6x30",
            f'{_DURATION}{{{_OF_MODEL},error_type=""}}': "0+60x30",
        },
        (4, 8),
    ),
    "TorchbridgeStalled": Fault(
        {
            f"torchbridge_last_answer_timestamp_seconds{{{_GATEWAY}}}": "0x30",
            f"torchbridge_running_requests{{{_GATEWAY}}}": "1x30",
            f'torchbridge_engine_tokens_total{{{_VERSION},source="answer"}}': "100x30",
        },
        (9, 12),
    ),
    "TorchbridgeRefusing": Fault({f'torchbridge_failures_total{{{_VERSION},code="overloaded"}}': "0+6x30"}, (4, 8)),
    "TorchbridgeSaturated": Fault(
        {
            f"torchbridge_kv_cache_usage_ratio{{{_GATEWAY}}}": "1x30",
            f"torchbridge_waiting_requests{{{_GATEWAY}}}": "3x30",
        },
        (9, 11),
    ),
    "TorchbridgeLongWait": Fault({f"torchbridge_longest_wait_seconds{{{_GATEWAY}}}": "31x30"}, (0, 2)),
    "TorchbridgeSlowFirstToken": Fault(
        {
            f'{_BUCKET}{{{_VERSION},le="5.0"}}': "0+50x30",
            f'{_BUCKET}{{{_VERSION},le="10.0"}}': "0+60x30",
            f'{_BUCKET}{{{_VERSION},le="+Inf"}}': "0+60x30",
        },
        (9, 13),
    ),
    "TorchbridgeCanaryFails": Fault(
        {f'torchbridge_canary_verdict{{{_VERSION},verdict="give up"}}': "0x4 1x30"}, (4, 6)
    ),
    "TorchbridgeFewDescriptors": Fault(
        {f"process_open_fds{{{_GATEWAY}}}": "950x30", f"process_max_fds{{{_GATEWAY}}}": "1000x30"}, (4, 6)
    ),
    "TorchbridgeNotCompiled": Fault({f"torchbridge_compiled_steps{{{_VERSION}}}": "0x90"}, (59, 61)),
}

# Of a gateway that is well, and busy: callers that leave and a limit of rates are nobody's fault.
WELL = {
    f"up{{{_GATEWAY}}}": "1x90",
    f"torchbridge_torchserve_up{{{_GATEWAY}}}": "1x90",
    f"torchbridge_ready_workers{{{_VERSION}}}": "1x90",
    f"torchbridge_default_version{{{_VERSION}}}": "1x90",
    f"torchbridge_worker_starts_total{{{_VERSION}}}": "1x10 2x90",
    f'{_DURATION}{{{_OF_MODEL},error_type=""}}': "0+600x90",
    f'{_DURATION}{{{_OF_MODEL},error_type="generation_failed"}}': "0+6x90",
    f'{_DURATION}{{{_OF_MODEL},error_type="cancelled"}}': "0+100x90",
    f'{_DURATION}{{{_OF_MODEL},error_type="rate_limited"}}': "0+100x90",
    f"torchbridge_last_answer_timestamp_seconds{{{_GATEWAY}}}": "0x90",  # one long answer, that is being written
    f"torchbridge_running_requests{{{_GATEWAY}}}": "64x90",
    f'torchbridge_engine_tokens_total{{{_VERSION},source="answer"}}': "0+600x90",
    f"torchbridge_kv_cache_usage_ratio{{{_GATEWAY}}}": "1x90",
    f"torchbridge_waiting_requests{{{_GATEWAY}}}": "0x90",
    f"torchbridge_longest_wait_seconds{{{_GATEWAY}}}": "0 20x90",
    f'{_BUCKET}{{{_VERSION},le="5.0"}}': "0+60x90",
    f'{_BUCKET}{{{_VERSION},le="+Inf"}}': "0+61x90",
    f'torchbridge_canary_verdict{{{_VERSION},verdict="go on"}}': "1x90",
    f"process_open_fds{{{_GATEWAY}}}": "500x90",
    f"process_max_fds{{{_GATEWAY}}}": "1000x90",
    f"torchbridge_compiled_steps{{{_VERSION}}}": "0x30 1x60",
}
