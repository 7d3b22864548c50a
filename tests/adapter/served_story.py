"""What a server of story 2.0 has left."""

from pathlib import Path

from adapter.archives.archive import build_archive
from adapter.versions.restoration import alone
from adapter.versions.server_files import ServerFiles
from tests.adapter.archives.model_files import write_model


def serve_story(files: ServerFiles, *, is_changed: bool) -> Path:
    """As a server that served story 2.0 leaves its directory, with the archive in the store."""
    directory = files.run_directory
    archive = build_archive(write_model(directory / "model"), "story", "2.0", directory)
    alone(archive, files, None).model_copy(update={"is_changed": is_changed}).write(files.state)
    return files.store / archive.name
