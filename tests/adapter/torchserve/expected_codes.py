"""What each recorded answer and each piece of junk is to the gateway: one code, or two where the API matters."""

from adapter.schema import ErrorCode

# TorchServe's answers (tests/fixtures/torchserve), each to the client of the API that it was recorded from.
RECORDED = {
    ErrorCode.INVALID_REQUEST: """
        management/register_archive_not_in_store management/register_download_fails management/register_no_archive
        management/register_relative_url management/register_unknown_runtime management/register_url_not_allowed
        management/register_without_url management/scale_max_below_min
    """,
    ErrorCode.FORBIDDEN: "management/unregister_default_version",
    ErrorCode.MODEL_NOT_FOUND: """
        inference/model_not_found management/model_not_found management/scale_model_not_found
        management/set_default_model_not_found management/unregister_model_not_found
    """,
    ErrorCode.VERSION_NOT_FOUND: """
        inference/version_not_found management/version_not_found management/scale_version_not_found
        management/set_default_version_not_found management/unregister_version_not_found
    """,
    ErrorCode.METHOD_NOT_ALLOWED: """
        inference/root management/register_with_model_api_off management/unknown_method
        management/unregister_with_model_api_off
    """,
    ErrorCode.CONFLICT: "management/register_already_registered management/register_file_already_in_store",
    ErrorCode.PAYLOAD_TOO_LARGE: "inference/request_too_large",
    ErrorCode.WORKER_DIED: """
        inference/answer_too_large inference/header_that_is_no_text inference/worker_exits inference/worker_is_killed
        inference/worker_is_too_slow inference/stream_ends_without_last_event inference/stream_then_exception
        inference/stream_then_prediction_exception inference/stream_then_status_of_handler
        inference/stream_then_worker_exits inference/stream_then_worker_is_killed
        inference/continuous_stream_ends_without_last_event inference/continuous_stream_then_exception
        inference/continuous_stream_then_out_of_memory inference/continuous_stream_then_status_of_handler
        inference/continuous_stream_then_worker_exits inference/continuous_stream_then_worker_is_killed
        inference/continuous_worker_exits inference/continuous_worker_is_killed from_source/worker_is_killed_507
        management/register_worker_cannot_load
    """,
    ErrorCode.GENERATION_FAILED: """
        inference/handler_raises inference/continuous_handler_raises inference/output_cannot_be_sent
        inference/output_no_list inference/output_too_many
    """,
    ErrorCode.OUT_OF_MEMORY: """
        inference/out_of_memory inference/out_of_gpu_memory inference/continuous_out_of_memory
        from_source/java_out_of_memory
    """,
    # TextGenerator asks whether it is a full queue or no worker.
    ErrorCode.OVERLOADED: """
        inference/queue_full inference/no_worker from_source/no_job_ticket management/describe_worker_without_worker
    """,
    ErrorCode.UPSTREAM_UNAVAILABLE: """
        inference/key_after_lower_case_bearer inference/key_as_basic inference/key_expired inference/key_missing
        inference/key_of_other_api inference/key_wrong management/key_after_lower_case_bearer management/key_as_basic
        management/key_for_name_with_token management/key_missing management/key_of_other_api management/key_wrong
        management/renew_unknown_type management/renew_with_wrong_key management/renew_without_type
    """,
    # No answer at all: whoever waits asks whether there is a worker, and gives up at the caller's deadline.
    ErrorCode.MODEL_NOT_READY: "inference/continuous_ends_in_its_first_step",
    ErrorCode.DEADLINE_EXCEEDED: "from_source/unregister_takes_too_long",
    # Answers to what the gateway never asks for, and a handler's words that are not ours.
    ErrorCode.UPSTREAM_PROTOCOL: """
        inference/answer_with_events_but_no_type inference/answer_without_content_type inference/bad_escape
        inference/continuous_stream_with_status_of_handler inference/invocations_without_model inference/model_missing
        inference/no_http inference/open_inference_protocol inference/ping_healthy inference/ping_unhealthy
        inference/prediction_exception_0 inference/prediction_exception_200 inference/prediction_exception_400
        inference/prediction_exception_404 inference/prediction_exception_413 inference/prediction_exception_418
        inference/prediction_exception_500 inference/prediction_exception_503 inference/status_of_handler
        inference/stream_with_status_of_handler inference/unknown_path from_source/left_over_failure
        from_source/only_https management/bad_escape management/register_body_is_no_json management/unknown_path
    """,
}

_PROTOCOL, _UNAVAILABLE, _DIED = ErrorCode.UPSTREAM_PROTOCOL, ErrorCode.UPSTREAM_UNAVAILABLE, ErrorCode.WORKER_DIED
_ABSENT, _LATE, _UNREADY = ErrorCode.MODEL_NOT_FOUND, ErrorCode.DEADLINE_EXCEEDED, ErrorCode.MODEL_NOT_READY

# Junk (junk_answers.py): to the inference client, to the management client.
JUNK = {
    "page of a proxy": (_PROTOCOL, _PROTOCOL),
    "page of a proxy, with an id": (_PROTOCOL, _PROTOCOL),
    "page instead of events": (_PROTOCOL, _PROTOCOL),
    "error instead of events": (_PROTOCOL, _PROTOCOL),
    "events without an id": (_PROTOCOL, _PROTOCOL),
    "failure without an id": (_PROTOCOL, _ABSENT),  # left-overs of other requests are the inference API's alone
    "no content": (_PROTOCOL, _PROTOCOL),
    "another protocol": (_PROTOCOL, _PROTOCOL),
    "redirect": (_PROTOCOL, _PROTOCOL),
    "redirect that keeps the body": (_PROTOCOL, _PROTOCOL),
    "failure after an interim answer": (_ABSENT, _ABSENT),
    "failure that is cut": (_PROTOCOL, _PROTOCOL),
    "failure that is empty": (_PROTOCOL, _PROTOCOL),
    "failure without words": (_PROTOCOL, _PROTOCOL),
    "failure that is no object": (_PROTOCOL, _PROTOCOL),
    "failure that is no text": (_PROTOCOL, _PROTOCOL),
    "failure that is deep": (_PROTOCOL, _PROTOCOL),
    "failure that is giant": (_PROTOCOL, _PROTOCOL),
    "failure that is zipped": (_PROTOCOL, _ABSENT),
    "failure that is not zipped as it says": (_ABSENT, _UNAVAILABLE),
    "failure that ends too early": (_PROTOCOL, _UNAVAILABLE),
    "failure that is reset": (_PROTOCOL, _UNAVAILABLE),
    "failure of two lengths": (_PROTOCOL, _UNAVAILABLE),
    "giant header": (_PROTOCOL, _UNAVAILABLE),
    "no status": (_PROTOCOL, _UNAVAILABLE),
    "no HTTP": (_PROTOCOL, _UNAVAILABLE),
    "a TLS alert": (_PROTOCOL, _UNAVAILABLE),
    "end before the head": (_UNAVAILABLE, _UNAVAILABLE),
    "end in the head": (_UNAVAILABLE, _PROTOCOL),
    "reset before the head": (_UNAVAILABLE, _UNAVAILABLE),
    "reset in the head": (_UNAVAILABLE, _UNAVAILABLE),
    "end after the head": (_DIED, _UNAVAILABLE),
    "reset after the head": (_DIED, _UNAVAILABLE),
    "end in the stream": (_DIED, _UNAVAILABLE),
    "reset in the stream": (_DIED, _UNAVAILABLE),
    "end in a chunk": (_DIED, _UNAVAILABLE),
    "end without the last event": (_DIED, _PROTOCOL),
    "stream of HTTP/1.0": (_DIED, _PROTOCOL),
    "stream that ends too early": (_DIED, _UNAVAILABLE),
    "chunk of no size": (_PROTOCOL, _UNAVAILABLE),
    "chunk longer than its size": (_PROTOCOL, _UNAVAILABLE),
    "second answer in the stream": (_PROTOCOL, _UNAVAILABLE),
    "second answer after the stream": (_DIED, _PROTOCOL),
    "stream that is zipped": (_PROTOCOL, _PROTOCOL),
    "event that is no JSON": (_PROTOCOL, _PROTOCOL),
    "event that is no text": (_PROTOCOL, _PROTOCOL),
    "silence before the head": (_UNREADY, _UNAVAILABLE),
    "silence in the head": (_UNREADY, _UNAVAILABLE),
    "silence after the head": (_LATE, _UNAVAILABLE),
    "silence in the stream": (_LATE, _UNAVAILABLE),
    "silence in a failure": (_PROTOCOL, _UNAVAILABLE),
}
