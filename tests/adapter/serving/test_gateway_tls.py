"""A gateway that speaks TLS itself, to real clients, while its certificate is renewed."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from http.client import HTTPResponse, HTTPSConnection
from pathlib import Path
from socket import create_connection

import httpx
import pytest
from cryptography import x509

from adapter.client import GatewayClient
from adapter.control.app import listen
from adapter.control.client import ControlClient
from adapter.control.messages import control_socket
from adapter.gateway import create_app
from adapter.schema import Problem
from adapter.serving import gateway_server, tls
from adapter.serving.gateway_server import GatewayServer
from adapter.settings import Settings
from adapter.torchserve.model_registry import ModelRegistry
from adapter.torchserve.ports import bind
from tests.adapter.gateway_calls import BODY, FIRST, START, events_of, wait_for_ever
from tests.certificates import Authority, Pair, serial_number
from tests.end_to_end.client_programs import NODE, compiled_client, run_program
from tests.fakes import FakeInference, FakeManagement
from tests.waiting import PATIENCE, wait_until


@dataclass
class Served:
    authority: Authority
    files: Pair  # links
    port: int
    control: Path
    connections: list[HTTPSConnection] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    def renew(self, pair: Pair) -> None:
        """As certbot does it, and kubelet: a new link is put in the place of the old one."""
        for link, target in zip(self.files, pair, strict=True):
            new = link.with_suffix(".new")
            new.symlink_to(target)
            new.replace(link)

    def connect(self) -> HTTPSConnection:
        connection = HTTPSConnection("localhost", self.port, timeout=PATIENCE, context=self.authority.trusting())
        self.connections.append(connection)
        connection.connect()
        return connection

    def presented(self) -> int:
        """The serial number of the certificate that a new connection gets."""
        return serial_number_of(self.connect())


def serial_number_of(connection: HTTPSConnection) -> int:
    certificate = connection.sock.getpeercert(binary_form=True)  # type: ignore[attr-defined]
    return x509.load_der_x509_certificate(certificate).serial_number


def status(connection: HTTPSConnection) -> int:
    connection.request("GET", "/livez")
    answer = connection.getresponse()
    answer.read()
    return answer.status


@pytest.fixture
def served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inference: FakeInference, management: FakeManagement
) -> Iterator[Served]:
    monkeypatch.setattr(tls, "_SECONDS_BETWEEN_LOOKS", 0)
    registry = ModelRegistry(management, None)
    monkeypatch.setattr(gateway_server, "create_app", partial(create_app, inference=inference, registry=registry))
    authority, files = Authority(tmp_path), Pair(tmp_path / "tls.crt", tmp_path / "tls.key")
    control = control_socket(tmp_path)
    with bind("127.0.0.1", 0, "the gateway", "") as listener, listen(control) as door:
        gateway = Served(authority, files, listener.getsockname()[1], control)
        gateway.renew(authority.issue(tmp_path / "first"))
        server = GatewayServer(Settings(tls_certificate=files.certificate, tls_key=files.key))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener, door]})
        thread.start()
        wait_until(lambda: server.started)
        yield gateway
        for connection in gateway.connections:
            connection.close()
        server.should_exit = True
        server.hurry()
        thread.join(PATIENCE)
        assert not thread.is_alive()


def test_who_trusts_the_root_is_answered_and_generates(served: Served) -> None:
    with httpx.Client(base_url=served.url, verify=served.authority.trusting()) as client:
        assert client.get("/livez").json() == {"status": "ok"}
        assert client.post("/generate", json=BODY).json()["text"]
        assert events_of(client.post("/generate/stream", json=BODY))[-1] == "done"


def test_the_python_client_trusts_what_its_environment_says(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(served.authority.root))
    with GatewayClient(served.url) as client:
        assert client.generate_text(prompt="Once").text
        with client.stream_text(prompt="Once") as stream:
            assert [event.type for event in stream][-1] == "done"


def test_the_typescript_client_trusts_what_its_environment_says(
    served: Served, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = compiled_client(tmp_path_factory)
    program = (
        f"const {{ PythonClient }} = await import({json.dumps(str(client))});"
        f"const answer = await new PythonClient({json.dumps(served.url)}).generateText({{ prompt: 'Once' }});"
        "console.log(JSON.stringify(answer));"
    )
    monkeypatch.setenv("NODE_EXTRA_CA_CERTS", str(served.authority.root))
    assert run_program([NODE, "--input-type=module", "--eval", program])["text"]


def test_who_does_not_trust_it_is_not_answered(served: Served) -> None:
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.get(f"{served.url}/livez")


def test_the_door_of_the_command_line_stays_plain(served: Served) -> None:
    assert ControlClient(served.control).traffic().default_version("tiny") == "1.0"


def test_plain_http_gets_no_answer_and_disturbs_nobody(served: Served) -> None:
    with create_connection(("127.0.0.1", served.port), timeout=PATIENCE) as connection:
        connection.sendall(b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n")
        assert b"HTTP" not in connection.recv(1_000)
    assert status(served.connect()) == 200


def test_what_is_no_http_is_refused_in_words_that_can_be_read(served: Served) -> None:
    connection = served.connect()
    connection.sock.sendall(b"hello\r\n\r\n")
    answer = HTTPResponse(connection.sock)
    answer.begin()
    assert (answer.status, Problem.model_validate_json(answer.read()).code) == (400, "malformed_http")


def test_a_caller_that_leaves_ends_its_generation(served: Served, inference: FakeInference) -> None:
    inference.script = [START, FIRST, wait_for_ever]
    with (
        httpx.Client(base_url=served.url, verify=served.authority.trusting()) as client,
        client.stream("POST", "/generate/stream", json=BODY) as stream,
    ):
        answer = stream.iter_raw()  # kept: httpx leaves when nobody holds it
        next(answer)
        assert inference.num_closed == 0
    wait_until(lambda: inference.num_closed == 1)


def test_a_renewed_certificate_is_served_and_no_connection_is_dropped(served: Served, tmp_path: Path) -> None:
    kept = served.connect()
    first, renewed = serial_number_of(kept), served.authority.issue(tmp_path / "second")
    served.renew(renewed)

    assert served.presented() == serial_number(renewed) != first
    assert status(kept) == 200
    assert serial_number_of(kept) == first


def test_who_names_no_server_gets_the_renewed_one_too(served: Served, tmp_path: Path) -> None:
    renewed = served.authority.issue(tmp_path / "second")
    served.renew(renewed)
    context = served.authority.trusting()
    context.check_hostname = False
    with (
        create_connection(("127.0.0.1", served.port), timeout=PATIENCE) as connection,
        context.wrap_socket(connection) as secured,
    ):
        certificate = secured.getpeercert(binary_form=True)
    assert certificate is not None
    assert x509.load_der_x509_certificate(certificate).serial_number == serial_number(renewed)


def test_a_broken_new_pair_leaves_the_old_one_until_it_is_mended(
    served: Served, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = served.presented()
    second, third = (served.authority.issue(tmp_path / name) for name in ("second", "third"))
    served.renew(Pair(second.certificate, third.key))

    assert served.presented() == served.presented() == first
    [line] = [record for record in caplog.records if record.name == "adapter.serving.tls"]
    assert (line.levelname, "tls.key is not the key of" in line.message) == ("WARNING", True)
    served.renew(second)
    assert served.presented() == serial_number(second)


def test_a_new_key_that_others_can_read_is_not_served(
    served: Served, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = served.presented(), served.authority.issue(tmp_path / "second")
    second.key.chmod(0o644)
    served.renew(second)

    assert served.presented() == first
    assert "is open to other users of this machine" in caplog.text


def test_it_is_looked_at_once_a_second_at_most(served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = served.presented()
    monkeypatch.setattr(tls, "_SECONDS_BETWEEN_LOOKS", 3_600)
    served.renew(served.authority.issue(tmp_path / "second"))
    assert served.presented() == first
