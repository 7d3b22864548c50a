"""The addresses as their routes write them: a caller's own text must never be a label of a metric."""

import re
from collections.abc import Iterable

from starlette.routing import compile_path

UNKNOWN = "unknown"


class RouteTemplates:
    def __init__(self, paths: Iterable[str]) -> None:
        """`paths` may have parameters, as /models/{name}."""
        self._fixed = {path for path in paths if "{" not in path}
        self._patterns: list[tuple[re.Pattern[str], str]] = [
            (compile_path(path)[0], path) for path in paths if path not in self._fixed
        ]

    def of(self, path: str) -> str:
        """`path` is of a request; UNKNOWN where no route has it."""
        if path in self._fixed:
            return path
        return next((template for pattern, template in self._patterns if pattern.match(path)), UNKNOWN)
