"""Records what the real TorchServe answers into tests/fixtures/torchserve: python -m tests.recording.record_torchserve

Takes some minutes. What differs in each run is replaced (recorder.py, CHANGING), so `git diff` shows what TorchServe
answers otherwise than before. The folder from_source is written by hand and left alone.
"""

import shutil
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from adapter.errors import TorchbridgeError
from adapter.torchserve.server_process import TorchServeProcess
from tests.adapter.archives.throwaway_archive import FAILS_TO_IMPORT, ONE_WORKER, write_archive
from tests.free_ports import torchserve_properties
from tests.recorded_answer import FIXTURES
from tests.recording.recorder import Recorder
from tests.waiting import wait_until

PLAIN = ONE_WORKER + "jobQueueSize: 1\nresponseTimeout: 5\n"
CONTINUOUS = ONE_WORKER + "continuousBatching: true\nbatchSize: 4\nmaxBatchDelay: 1\nresponseTimeout: 5\n"
FAILS_SOON = ONE_WORKER + "startupTimeout: 20\nmaxRetryTimeoutInSec: 1\n"

PROPERTIES = {
    "max_request_size": "65536",
    "max_response_size": "65536",
    # Nothing listens there: what cannot be downloaded is told apart from what may not be.
    "allowed_urls": r"http://127\\.0\\.0\\.1:1/.*,file://.*",
}
KEY_EXPIRES_AFTER = 3.0  # seconds


def main() -> None:
    for api in ("inference", "management"):
        shutil.rmtree(FIXTURES / api, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix="torchbridge-") as name:
        store = Path(name) / "model_store"
        store.mkdir()
        archives = write_archives(store)
        with TorchServeProcess(archives, Path(name) / "run", torchserve_properties() | PROPERTIES) as torchserve:
            torchserve.start()
            torchserve.wait_until_ready(print)
            recorder = Recorder(torchserve)
            record_good_answers(recorder)
            record_register(recorder, store)
            record_other_management(recorder)
            record_refused_keys(recorder)
            record_addresses(recorder)
            record_plain_worker(recorder)
            record_continuous_worker(recorder)
            record_changes(recorder)
        restricted = torchserve_properties() | {
            "enable_model_api": "false",
            "token_expiration_min": str(KEY_EXPIRES_AFTER / 60),
        }
        with TorchServeProcess([store / "broken-1.0.mar"], Path(name) / "run", restricted) as torchserve:
            torchserve.start()
            record_restricted_start(Recorder(torchserve))


def write_archives(store: Path) -> list[Path]:
    """What is served from the start; the others are only registered, or fail to be."""
    handlers = Path(__file__).parent
    plain = (handlers / "plain_handler.py").read_text()
    continuous = (handlers / "continuous_handler.py").read_text()
    write_archive(store, "plain", plain, "2.0", config="batchSize: 1\n")
    write_archive(store, "broken", FAILS_TO_IMPORT, config=FAILS_SOON)
    (store / "no_archive.mar").write_bytes(b"not a zip file")
    return [
        write_archive(store, "plain", plain, config=PLAIN),
        write_archive(store, "continuous", continuous, config=CONTINUOUS),
    ]


def record_good_answers(recorder: Recorder) -> None:
    """The version that is registered here has no worker."""
    recorder.record("management", "register", "POST /models?url=plain-2.0.mar&initial_workers=0")
    recorder.record("management", "list_first_page", "GET /models?limit=1")
    recorder.record("management", "list_second_page", "GET /models?limit=1&next_page_token=1")
    recorder.record("management", "list_last_page", "GET /models?limit=1&next_page_token=2")
    recorder.record("management", "describe_default", "GET /models/plain")
    recorder.record("management", "describe_all", "GET /models/plain/all")


def record_register(recorder: Recorder, store: Path) -> None:
    for name, query in {
        "without_url": "",
        "relative_url": "?url=../plain-1.0.mar",
        "archive_not_in_store": "?url=absent.mar",
        "url_not_allowed": "?url=http://169.254.169.254/x.mar",
        "download_fails": "?url=http://127.0.0.1:1/x.mar",
        "file_already_in_store": f"?url=file://{store}/plain-1.0.mar",
        "no_archive": "?url=no_archive.mar",
        "unknown_runtime": "?url=plain-2.0.mar&runtime=zzz",
        "already_registered": "?url=plain-1.0.mar",
        "worker_cannot_load": "?url=broken-1.0.mar&initial_workers=1&synchronous=true",
    }.items():
        recorder.record("management", f"register_{name}", f"POST /models{query}")
    recorder.record("management", "register_body_is_no_json", "POST /models", b"url=plain.mar")


def record_other_management(recorder: Recorder) -> None:
    for name, request in {
        "unknown_path": "GET /nothing",
        "unknown_method": "PATCH /models/plain",
        "bad_escape": "GET /models/%zz",
        "page_is_no_number": "GET /models?next_page_token=x",
        "model_not_found": "GET /models/absent",
        "version_not_found": "GET /models/plain/9.9",
        "scale_model_not_found": "PUT /models/absent?min_worker=1",
        "scale_version_not_found": "PUT /models/plain/9.9?min_worker=1",
        "scale_max_below_min": "PUT /models/plain?min_worker=2&max_worker=1",
        "set_default_model_not_found": "PUT /models/absent/1.0/set-default",
        "set_default_version_not_found": "PUT /models/plain/9.9/set-default",
        "unregister_model_not_found": "DELETE /models/absent",
        "unregister_version_not_found": "DELETE /models/plain/9.9",
        "unregister_default_version": "DELETE /models/plain/1.0",
        "describe_worker_without_worker": "GET /models/plain/2.0?customized=true",
    }.items():
        recorder.record("management", name, request)


def record_changes(recorder: Recorder) -> None:
    """What is asked for is done, and plain 2.0 is gone afterwards: nothing else is recorded of it."""
    for name, request in {
        "scale": "PUT /models/plain/2.0?min_worker=0&max_worker=0&synchronous=false",
        "set_default": "PUT /models/plain/1.0/set-default",
        "unregister": "DELETE /models/plain/2.0",
    }.items():
        recorder.record("management", name, request)


def record_refused_keys(recorder: Recorder) -> None:
    inference, management = recorder.key("inference"), recorder.key("management")
    for api, request, own, other in (
        ("inference", "POST /predictions/plain/1.0", inference, management),
        ("management", "GET /models/plain", management, inference),
    ):
        recorder.record(api, "key_missing", request, authorization=None)
        recorder.record(api, "key_wrong", request, authorization="Bearer wrong")
        recorder.record(api, "key_of_other_api", request, authorization=f"Bearer {other}")
        recorder.record(api, "key_after_lower_case_bearer", request, authorization=f"bearer {own}")
        recorder.record(api, "key_as_basic", request, authorization=f"Basic {own}")
    recorder.record("management", "key_for_name_with_token", "GET /models/tokenizer")
    recorder.record("management", "renew_with_wrong_key", "GET /token?type=inference")
    api_key = recorder.torchserve.keys._read().api.key.get_secret_value()
    recorder.record("management", "renew_unknown_type", "GET /token?type=x", authorization=f"Bearer {api_key}")
    recorder.record("management", "renew_without_type", "GET /token", authorization=f"Bearer {api_key}")
    recorder.record("management", "renew", "GET /token?type=inference", authorization=f"Bearer {api_key}")


def record_addresses(recorder: Recorder) -> None:
    for name, request in {
        "ping_healthy": "GET /ping",
        "unknown_path": "GET /nothing",
        "model_missing": "POST /predictions",
        "open_inference_protocol": "GET /v2/health/ready",
        "root": "GET /",
        "invocations_without_model": "POST /invocations",
        "bad_escape": "POST /predictions/%zz",
        "model_not_found": "POST /predictions/absent/1.0",
        "version_not_found": "POST /predictions/plain/9.9",
        "no_worker": "POST /predictions/plain/2.0",
    }.items():
        recorder.record("inference", name, request)
    recorder.record("inference", "request_too_large", "POST /predictions/plain/1.0", b"x" * 100_000)
    recorder.record("inference", "no_http", "x" * 5_000)


def record_plain_worker(recorder: Recorder) -> None:
    request = "POST /predictions/plain/1.0"

    def record(name: str, **wish: object) -> None:
        recorder.record("inference", name, request, wish)

    with ThreadPoolExecutor(2) as pool:
        for _ in range(2):  # one runs, one fills the queue
            pool.submit(recorder.send, "inference", request, {"do": "sleep", "seconds": 3})
            time.sleep(0.5)
        record("queue_full", do="answer")

    record("answer_without_content_type", do="answer")
    record("answer_with_events_but_no_type", do="answer_events")
    record("handler_raises", do="raise")
    record("out_of_memory", do="run_out_of_memory")
    record("out_of_gpu_memory", do="run_out_of_gpu_memory")
    for code in (0, 200, 400, 404, 413, 418, 500, 503):
        record(f"prediction_exception_{code}", do="raise_prediction_exception", code=code)
    record("output_no_list", do="return_no_list")
    record("output_too_many", do="return_too_many")
    record("output_cannot_be_sent", do="return_what_cannot_be_sent")
    record("status_of_handler", do="answer_with_status", status=422)
    record("stream_with_status_of_handler", do="stream_with_status", status=422)
    record("stream_then_status_of_handler", do="answer_with_status", status=422, after_a_chunk=True)
    record("stream_ends_without_last_event", do="answer_events", after_a_chunk=True)
    record("stream_then_exception", do="raise", after_a_chunk=True)
    record("stream_then_prediction_exception", do="raise_prediction_exception", code=400, after_a_chunk=True)
    record("stream_then_worker_exits", do="exit", after_a_chunk=True)
    record("stream_then_worker_is_killed", do="die", after_a_chunk=True)
    record("worker_exits", do="exit")
    # 500, or 507 where Java already knows how the process ended (WorkerThread.java:303): both are the same to us.
    record("worker_is_killed", do="die")
    record("worker_is_too_slow", do="sleep", seconds=20)
    record("header_that_is_no_text", do="set_a_header_that_is_no_text")
    record("answer_too_large", do="answer_much")


def record_continuous_worker(recorder: Recorder) -> None:
    def record(name: str, **wish: object) -> None:
        recorder.record("inference", f"continuous_{name}", "POST /predictions/continuous/1.0", wish)

    record("stream_ends_without_last_event", do="end", in_step=2)
    record("handler_raises", do="raise", in_step=1)
    record("out_of_memory", do="run_out_of_memory", in_step=1)
    record("stream_with_status_of_handler", do="set_status", in_step=1)
    record("stream_then_status_of_handler", do="set_status", in_step=2)
    record("stream_then_exception", do="raise", in_step=2)
    record("stream_then_out_of_memory", do="run_out_of_memory", in_step=2)
    record("ends_in_its_first_step", do="end_at_once", in_step=1)
    record("stream_then_worker_exits", do="exit", in_step=2)
    record("stream_then_worker_is_killed", do="die", in_step=2)
    record("worker_exits", do="exit", in_step=1)
    record("worker_is_killed", do="die", in_step=1)


def record_restricted_start(recorder: Recorder) -> None:
    """Without the model API, with keys that expire, and with a worker that never comes up."""
    management = recorder.torchserve.management

    def is_up() -> bool:
        try:
            return management.model_names() == ["broken"]
        except TorchbridgeError:
            return False

    wait_until(is_up)
    recorder.record("management", "register_with_model_api_off", "POST /models?url=plain-1.0.mar")
    recorder.record("management", "unregister_with_model_api_off", "DELETE /models/broken")
    inference = recorder.key("inference")
    time.sleep(KEY_EXPIRES_AFTER + 1)
    request = "POST /predictions/broken/1.0"
    recorder.record("inference", "key_expired", request, authorization=f"Bearer {inference}")
    wait_until(lambda: recorder.record("inference", "ping_unhealthy", "GET /ping").status != 200)


if __name__ == "__main__":
    main()
