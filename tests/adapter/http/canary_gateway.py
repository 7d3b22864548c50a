"""A gateway with a canary in it, asked at both of its sockets."""

from contextlib import AbstractAsyncContextManager

import httpx

from adapter.gateway import create_app
from adapter.settings import Settings
from adapter.torchserve.model_registry import ModelRegistry
from tests.adapter.generation.two_versions import ScriptedVersions
from tests.fakes import FakeManagement

ASKED = {
    "model": "tiny",
    "version": "2.0",
    "percent": 50,
    "is_sticky": False,
    "is_shadow": False,
    "max_slowdown": None,
    "margin": 0.3,
    "min_requests": 10,
    "alpha": 0.05,
}


class Gateway:
    """Both of its sockets."""

    def __init__(self, inference: ScriptedVersions, management: FakeManagement, **settings: object) -> None:
        app = create_app(Settings(**settings), inference=inference, registry=ModelRegistry(management, None))
        self.inference = inference
        self._app = app
        self.public = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway")
        self._control = httpx.AsyncClient(transport=httpx.ASGITransport(app.state.control), base_url="http://control")

    def lifespan(self) -> AbstractAsyncContextManager[None]:
        return self._app.router.lifespan_context(self._app)

    async def begin(self, **about: object) -> str:
        """Its id."""
        answer = await self._control.put("/canaries", json=ASKED | about)
        assert answer.status_code == 200, answer.text
        return answer.json()["id"]

    async def end(self, canary_id: str) -> None:
        assert (await self._control.delete(f"/canaries/{canary_id}")).status_code == 204

    async def generate(self, num_requests: int) -> None:
        for _ in range(num_requests):
            await self.public.post("/generate", json={"prompt": "Once"})

    async def verdict(self, **parameters: str) -> dict[str, object]:
        answer = await self.public.get("/canary/verdict", params=parameters)
        assert answer.status_code == 200, answer.text
        return answer.json()
