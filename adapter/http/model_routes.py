"""Lists the models. Read only: no route reaches what registers or deletes one."""

from fastapi import APIRouter

from adapter.http.json_body import JsonRoute
from adapter.schema import Model, ModelList
from adapter.torchserve.model_registry import ModelRegistry


def model_routes(registry: ModelRegistry) -> APIRouter:
    router = APIRouter(route_class=JsonRoute)

    @router.get("/models", operation_id="listModels", summary="List the models and their versions")
    async def list_models() -> ModelList:
        return ModelList(models=await registry.models())

    @router.get("/models/{name}", operation_id="getModel", summary="Describe one model")
    async def get_model(name: str) -> Model:
        return await registry.model(name)

    return router
