"""The code that an archive holds: all of handlers/, and what it shares with the gateway."""

from pathlib import Path

from adapter.installation import CODE

HANDLER = "text_generation.py"

_SHARED_WITH_HANDLER = (
    "__init__.py",
    "compilation.py",
    "engine_figures.py",
    "event_stream.py",
    "handler_section.py",
    "names.py",
    "output.py",
    "probes.py",
    "received.py",
    "sent.py",
    "stop_pipe.py",
    "strict_yaml.py",
    "tools.py",
)


def packed_code() -> dict[str, Path]:
    """The files of this installation by their names in an archive."""
    code = {f"handlers/{path.name}": path for path in (CODE / "handlers").glob("*.py")}
    # TorchServe imports the handler by its base name from the archive's root (ts/model_loader.py, _load_handler_file).
    code[HANDLER] = code.pop(f"handlers/{HANDLER}")
    adapter = CODE / "adapter"
    shared = [*(adapter / name for name in _SHARED_WITH_HANDLER), *(adapter / "schema").glob("*.py")]
    return code | {path.relative_to(CODE).as_posix(): path for path in shared}
