"""TorchServe's management API as recorded from 0.12.0 (tests/fixtures/torchserve), with its keys and their renewal."""

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from urllib.parse import parse_qs, urlsplit

from tests.recorded_answer import recorded

PAGES = {None: "list_first_page", "1": "list_second_page", "2": "list_last_page"}
DESCRIPTIONS = {"/models/plain/all": "describe_all", "/models/plain": "describe_default"}
# By what comes before the query, and of a registration by the archive.
CHANGES = {
    "POST /models plain-1.0.mar": "register_already_registered",
    "POST /models plain-2.0.mar": "register",
    "POST /models absent.mar": "register_archive_not_in_store",
    "POST /models no_archive.mar": "register_no_archive",
    "PUT /models/absent/1.0/set-default": "set_default_model_not_found",
    "PUT /models/plain/9.9/set-default": "set_default_version_not_found",
    "PUT /models/absent/1.0": "scale_model_not_found",
    "PUT /models/plain/9.9": "scale_version_not_found",
    "DELETE /models/absent/1.0": "unregister_model_not_found",
    "PUT /models/plain/2.0": "scale",
    "PUT /models/plain/1.0/set-default": "set_default",
    "DELETE /models/plain/2.0": "unregister",
    "DELETE /models/plain/1.0": "unregister_default_version",
    "DELETE /models/plain/9.9": "unregister_version_not_found",
}


class FakeManagementServer:
    """Serves the models continuous (1.0) and plain (1.0, the default, and 2.0, which has no worker)."""

    def __init__(self, key_file: Path) -> None:
        self.key_file = key_file
        self.url = ""
        self.lifetime = timedelta(minutes=60)
        self.requests: list[str] = []
        self.changes: list[str] = []
        self.num_renewals = 0
        self._lock = Lock()
        self._keys = {kind: self._new_key() for kind in ("management", "inference")}
        self.api_key = secrets.token_urlsafe(6)
        self.write_keys()

    def renew(self, kind: str) -> None:
        with self._lock:
            self.num_renewals += 1
            self._keys[kind] = self._new_key()
            self.write_keys()

    def expire(self, kind: str, in_time: timedelta = timedelta(0)) -> None:
        key, _ = self._keys[kind]
        self._keys[kind] = key, datetime.now(UTC) + in_time
        self.write_keys()

    def key(self, kind: str) -> str:
        return self._keys[kind][0]

    def accepts(self, kind: str, authorization: str | None) -> bool:
        key, expires_at = self._keys[kind]
        return authorization == f"Bearer {key}" and datetime.now(UTC) < expires_at

    def write_keys(self) -> None:
        content = {
            kind: {"key": key, "expiration time": f"{expires_at:%Y-%m-%dT%H:%M:%S.%f}789Z"}
            for kind, (key, expires_at) in self._keys.items()
        }
        self.key_file.write_text(json.dumps(content | {"API": {"key": self.api_key}}))

    def answer(self, target: str, authorization: str | None, method: str = "GET") -> tuple[int, bytes]:
        self.requests.append(target)
        url = urlsplit(target)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        if "/token" in target:
            if authorization != f"Bearer {self.api_key}":
                return _recorded("renew_with_wrong_key")
            self.renew(query["type"])
            return _recorded("renew")
        if not self.accepts("management", authorization):
            return _recorded("key_wrong")
        if method != "GET":
            self.changes.append(f"{method} {target}")
            change = " ".join(filter(None, (method, url.path, query.get("url"))))
            return _recorded(CHANGES.get(change, "unknown_path"))
        if url.path == "/models":
            return _recorded(PAGES[query.get("next_page_token")])
        return _recorded(DESCRIPTIONS.get(url.path, "model_not_found"))

    def _new_key(self) -> tuple[str, datetime]:
        return secrets.token_urlsafe(6), datetime.now(UTC) + self.lifetime


@contextmanager
def serving(fake: FakeManagementServer) -> Iterator[FakeManagementServer]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = fake.answer(self.path, self.headers.get("authorization"), self.command)
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815 - http.server's names

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        fake.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield fake
        finally:
            server.shutdown()
            thread.join()


def _recorded(name: str) -> tuple[int, bytes]:
    answer = recorded(f"management/{name}")
    return answer.status, answer.body
