"""/v1/files: the files that batches read and write."""

import asyncio
import time
from functools import partial
from sqlite3 import Connection
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import FileResponse
from pydantic import ValidationError
from starlette.requests import ClientDisconnect

from adapter.batches.batch_records import live_batch_of
from adapter.batches.batches import Batches
from adapter.batches.file_records import add_file, delete_file, get_file, list_files, no_file
from adapter.batches.form_upload import FormUpload
from adapter.batches.objects import BATCH_INPUT, ExpiresAfter, FileDeleted, FileObject, Page
from adapter.batches.output_files import new_file_id
from adapter.durable.disk_space import DiskFull, expect_space, full_disk_in_words
from adapter.errors import Cancelled, Conflict, Overloaded
from adapter.http.json_body import JsonRoute
from adapter.validation.request_errors import invalid_request, refused_field

FILES_PATH = "/v1/files"

_MOST_LISTED = 10_000
_UPLOAD = "An upload"


def file_routes(batches: Batches, *, max_bytes: int, max_age: int) -> APIRouter:
    # Not in our document, as the rest of /v1.
    router = APIRouter(prefix=FILES_PATH, include_in_schema=False, route_class=JsonRoute)
    database, directory = batches.database, batches.directory

    @router.post("")
    async def create_file(http: Request) -> FileObject:
        try:
            return await _receive(batches, http, max_bytes=max_bytes, max_age=max_age)
        except DiskFull as error:
            raise Overloaded("There is no room for this file now.", cause=str(error)) from error

    @router.get("")
    async def list_all(
        http: Request,
        purpose: Annotated[str | None, Query(max_length=64)] = None,
        after: Annotated[str | None, Query(max_length=64)] = None,
        limit: Annotated[int, Query(ge=1, le=_MOST_LISTED)] = _MOST_LISTED,
        order: Literal["asc", "desc"] = "desc",
    ) -> Page[FileObject]:
        found = await database.run(
            partial(
                list_files,
                owner=http.state.caller,
                purpose=purpose,
                after=after,
                limit=limit,
                ascending=order == "asc",
            )
        )
        return Page[FileObject].of(found, limit)

    @router.get("/{file_id}")
    async def retrieve_file(file_id: str, http: Request) -> FileObject:
        return await database.run(partial(get_file, owner=http.state.caller, file_id=file_id))

    @router.get("/{file_id}/content")
    async def download_file(file_id: str, http: Request) -> Response:
        file = await database.run(partial(get_file, owner=http.state.caller, file_id=file_id))
        path = directory.file(file.id)
        if not path.exists():  # it has expired
            raise no_file(file_id)
        return FileResponse(path, media_type="application/jsonl", filename=file.filename)

    @router.delete("/{file_id}")
    async def remove_file(file_id: str, http: Request) -> FileDeleted:
        def remove(connection: Connection) -> None:
            file = get_file(connection, http.state.caller, file_id)
            if batch_id := live_batch_of(connection, file.id):
                raise Conflict(f"{batch_id} still reads this file: cancel it first.")
            delete_file(connection, file.id)

        await database.run(remove)
        await asyncio.to_thread(directory.delete, file_id)
        return FileDeleted(id=file_id)

    return router


async def _receive(batches: Batches, http: Request, *, max_bytes: int, max_age: int) -> FileObject:
    directory, file_id = batches.directory, new_file_id()
    expect_space(_UPLOAD, (directory.files, _announced(http)))
    with full_disk_in_words(_UPLOAD, directory.files), directory.new_file() as new:
        form = FormUpload(http.headers.get("content-type", ""), new.content, max_bytes)
        try:
            await form.read(http.stream())
        except ClientDisconnect as error:
            raise Cancelled("The caller left before the file was complete.") from error
        if form.filename is None:
            raise refused_field("file", "must be there, as a file of the form")
        if form.fields.get("purpose") != BATCH_INPUT:
            raise refused_field("purpose", f"must be {BATCH_INPUT!r}: there is nothing else here to use files for")
        age = min(max_age, _asked_age(form.fields) or max_age)
        num_bytes = await asyncio.to_thread(new.keep, file_id)
    now = int(time.time())
    file = FileObject(
        id=file_id, bytes=num_bytes, created_at=now, expires_at=now + age, filename=form.filename, purpose=BATCH_INPUT
    )
    await batches.database.run(partial(add_file, owner=http.state.caller, file=file))
    return file


def _announced(http: Request) -> int:
    length = http.headers.get("content-length", "")
    return int(length) if length.isdecimal() else 0


def _asked_age(fields: dict[str, str]) -> int | None:
    """The seconds of `expires_after`, as clients write it into a form."""
    prefix = "expires_after["
    asked = {name.removeprefix(prefix)[:-1]: value for name, value in fields.items() if name.startswith(prefix)}
    if not asked:
        return None
    try:
        return ExpiresAfter.model_validate(asked, strict=False).seconds
    except ValidationError as error:
        raise invalid_request(error.errors(include_url=False, include_input=False), whole="expires_after") from None
