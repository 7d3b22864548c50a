"""Brings a large blob into a file: it goes on where an earlier call, or a connection, has ended."""

from collections.abc import Callable

from adapter.artifacts.errors import ArtifactError, Unreachable
from adapter.artifacts.manifest import Descriptor
from adapter.artifacts.partial_file import PartialFile
from adapter.artifacts.registry import Repository

_MOST_CONNECTIONS = 5


def download(repository: Repository, blob: Descriptor, partial: PartialFile, advance: Callable[[int], object]) -> None:
    """Returns when `partial` holds the blob. Raises ArtifactError; then `partial` keeps what may be right."""
    advance(partial.size)
    is_resumed = partial.size > 0
    _fill(repository, blob, partial, advance)
    if is_resumed and not _is_whole(blob, partial):  # the earlier call's part was wrong, or this one's
        _begin_again(partial, advance)
        _fill(repository, blob, partial, advance)
    if not _is_whole(blob, partial):
        partial.empty()
        raise ArtifactError(f"{blob.digest} of {repository.reference} is not what its digest says in the registry.")
    partial.sync()


def _fill(repository: Repository, blob: Descriptor, partial: PartialFile, advance: Callable[[int], object]) -> None:
    """Reads as many bytes as the blob has, or one block more if the registry sends another blob."""
    for connection in range(1, _MOST_CONNECTIONS + 1):
        try:
            _append(repository, blob, partial, advance)
        except Unreachable:
            if connection == _MOST_CONNECTIONS:
                raise
        if partial.size >= blob.size:
            return


def _append(repository: Repository, blob: Descriptor, partial: PartialFile, advance: Callable[[int], object]) -> None:
    if partial.size >= blob.size:
        return
    with repository.opened_blob(blob, partial.size) as (start, blocks):
        if start != partial.size:
            _begin_again(partial, advance)
        for block in blocks:
            partial.append(block)
            advance(len(block))
            if partial.size > blob.size:
                return


def _begin_again(partial: PartialFile, advance: Callable[[int], object]) -> None:
    advance(-partial.size)
    partial.empty()


def _is_whole(blob: Descriptor, partial: PartialFile) -> bool:
    return (partial.size, partial.digest) == (blob.size, blob.digest)
