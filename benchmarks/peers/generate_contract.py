"""What the peers that are FastAPI applications take and give: the fields of the user's guide."""

from pydantic import BaseModel


class GenerateRequest(BaseModel):
    prompt: str
    max_length: int
    temperature: float


class GenerateResponse(BaseModel):
    text: str
    tokens_generated: int
    generation_time: float
