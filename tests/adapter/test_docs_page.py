from adapter.docs_page import render_docs_page
from adapter.gateway import create_app
from adapter.settings import Settings

DOCUMENT = create_app(Settings()).openapi()


def test_shows_every_operation_and_schema() -> None:
    page = render_docs_page(DOCUMENT)
    assert all(path in page for path in DOCUMENT["paths"])
    assert all(f"<b>{name}</b>" in page for name in DOCUMENT["components"]["schemas"])


def test_text_cannot_become_markup() -> None:
    document = {**DOCUMENT, "info": {"title": "<script>", "version": "1", "summary": "<b>"}}
    page = render_docs_page(document)
    assert "<script>" not in page
    assert "<p>&lt;b&gt;" in page
