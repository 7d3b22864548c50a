"""Says what is wrong with a file that a person wrote, in Pydantic's words: each value by its place."""

from pydantic import ValidationError


def file_errors(error: ValidationError) -> str:
    places = ((".".join(map(str, each["loc"])) or "file", each["msg"]) for each in error.errors(include_url=False))
    return "; ".join(f"{place}: {words}" for place, words in places)
