"""Prints openapi.json, from which the TypeScript types are generated: `python -m adapter.documents.openapi`."""

import json

from adapter.gateway import create_app
from adapter.settings import Settings


def render() -> str:
    return json.dumps(create_app(Settings()).openapi(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    print(render(), end="")  # noqa: T201 - the point of this program
