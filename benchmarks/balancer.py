"""HAProxy with the configuration of deploy/ before the hosts of a benchmark."""

import re
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path

from benchmarks.project import PROJECT
from benchmarks.server_process import ServerProcess, answers

_CONFIG = PROJECT / "deploy" / "haproxy" / "haproxy.cfg"
_FEWEST = "    balance leastconn\n"


class Choice(StrEnum):
    """How it chooses a host."""

    FEWEST = "who has the fewest requests"
    TURNS = "in turns"
    USER = "by the user"


def balancer(directory: Path, urls: Sequence[str], choice: Choice = Choice.FEWEST) -> ServerProcess:
    """Its file is in `directory`, one for each choice."""
    config = directory / f"haproxy-{choice.name.lower()}.cfg"
    config.write_text(configuration(urls, choice), encoding="utf-8")
    return ServerProcess(
        config.stem,
        ["/usr/sbin/haproxy", "-db", "-f", str(config)],
        is_ready=answers("/readyz"),
        environment={"TORCHBRIDGE_BIND": "127.0.0.1:{port}"},
    )


def configuration(urls: Sequence[str], choice: Choice) -> str:
    """That of deploy/ before these hosts, without a page of statistics."""
    text = re.sub(r"^    server .*\n", "", _CONFIG.read_text(encoding="utf-8"), flags=re.MULTILINE)
    text = re.sub(r"^frontend statistics\n(    .*\n)+", "", text, flags=re.MULTILINE)
    servers = (f"    server gateway-{index} {url.removeprefix('http://')}\n" for index, url in enumerate(urls))
    return "".join([_choosing(text, choice), *servers])


def _choosing(text: str, choice: Choice) -> str:
    match choice:
        case Choice.FEWEST:
            return text
        case Choice.TURNS:
            return text.replace(_FEWEST, "    balance roundrobin\n")
        case Choice.USER:
            return text.replace(_FEWEST, "").replace("    #: ", "    ")
