"""/docs, to which / leads, with Swagger UI from the package fastapi-offline.

FastAPI's own page loads it from the internet.
"""

from importlib.resources import files

from fastapi import FastAPI, Request, Response
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse, RedirectResponse

from adapter.errors import NotFound

_ADDRESS = "/docs/assets"
_DIRECTORY = files("fastapi_offline") / "static"
_MEDIA_TYPES = {"swagger-ui-bundle.js": "text/javascript", "swagger-ui.css": "text/css", "favicon.png": "image/png"}


def install_docs(app: FastAPI) -> None:
    @app.get("/", include_in_schema=False)
    async def start_page(request: Request) -> RedirectResponse:
        return RedirectResponse(f"{request.scope.get('root_path', '')}/docs")

    @app.get("/docs", include_in_schema=False)
    async def docs(request: Request) -> HTMLResponse:
        root = request.scope.get("root_path", "")
        return get_swagger_ui_html(
            openapi_url=f"{root}/openapi.json",
            title=app.title,
            swagger_js_url=f"{root}{_ADDRESS}/swagger-ui-bundle.js",
            swagger_css_url=f"{root}{_ADDRESS}/swagger-ui.css",
            swagger_favicon_url=f"{root}{_ADDRESS}/favicon.png",
        )

    # Starlette's StaticFiles also answers ranges and dates, and refuses them with something else than a Problem.
    @app.get(f"{_ADDRESS}/{{name}}", include_in_schema=False)
    async def asset(name: str) -> Response:
        if name not in _MEDIA_TYPES:
            raise NotFound("There is no such part of /docs.")
        return Response((_DIRECTORY / name).read_bytes(), media_type=_MEDIA_TYPES[name])
