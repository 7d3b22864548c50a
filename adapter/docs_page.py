"""/docs as one page without scripts: FastAPI's own loads Swagger UI from the internet, which a server may not reach."""

import json
from html import escape
from typing import Any

_STYLE = (
    "body{font:16px/1.5 system-ui;max-width:60rem;margin:2rem auto;padding:0 1rem}pre{overflow:auto;background:#eee}"
)


def render_docs_page(document: dict[str, Any]) -> str:
    info = document["info"]
    operations = [
        _section(f"{method.upper()} {path}", operation["summary"], operation)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    ]
    schemas = [
        _section(name, schema.get("description", ""), schema)
        for name, schema in document["components"]["schemas"].items()
    ]
    title = escape(f"{info['title']} {info['version']}")
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>'
        f'<h1>{title}</h1><p>{escape(info["summary"])} <a href="/openapi.json">openapi.json</a></p>'
        f"<h2>Operations</h2>{''.join(operations)}<h2>Schemas</h2>{''.join(schemas)}</html>"
    )


def _section(title: str, summary: str, content: dict[str, Any]) -> str:
    source = escape(json.dumps(content, indent=2, ensure_ascii=False))
    return f"<details><summary><b>{escape(title)}</b> {escape(summary)}</summary><pre>{source}</pre></details>"
