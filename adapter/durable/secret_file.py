"""Files with secrets in them, which no other user of this machine may open."""

import os
import secrets
import stat
from pathlib import Path

from adapter.durable.replacement import write_durably

_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_MORE_THAN_GROUP_READS = _OTHERS & ~stat.S_IRGRP


class NotSecret(ValueError):
    """The message names the file, and says what to do."""


def check_secrecy(file: Path, status: os.stat_result) -> None:
    """PostgreSQL's rule for its private key: a secret that root hands to a service may be read by a group (0640).

    Raises NotSecret.
    """
    if status.st_uid not in {os.geteuid(), 0}:
        raise NotSecret(f"{file} belongs to another user: it must be yours or root's.")
    is_handed_over = status.st_uid == 0 != os.geteuid()
    if status.st_mode & (_MORE_THAN_GROUP_READS if is_handed_over else _OTHERS):
        raise NotSecret(f"{file} is open to other users of this machine: chmod 600 it.")


def kept_secret(file: Path) -> str:
    """64 hexadecimal digits, the same at each call: the first one makes them. Nobody else may write the directory."""
    if not file.exists():
        write_durably(file, secrets.token_hex(32).encode())  # one that is cut short would be another secret
    return file.read_text(encoding="ascii")
