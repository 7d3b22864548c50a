import re

import httpx


async def test_docs_need_no_other_server(client: httpx.AsyncClient) -> None:
    page = (await client.get("/docs")).text
    addresses = re.findall(r"""(?:src=|href=|url: )["']([^"']+)""", page)
    assert {"/openapi.json", "/docs/assets/swagger-ui-bundle.js"} < set(addresses)
    assert {address: (await client.get(address)).status_code for address in addresses} == dict.fromkeys(addresses, 200)
    assert "http" not in page


async def test_the_bare_address_leads_to_the_docs(client: httpx.AsyncClient) -> None:
    answer = await client.get("/")
    assert (answer.status_code, answer.headers["location"]) == (307, "/docs")


async def test_asset_that_is_not_there_is_a_problem(client: httpx.AsyncClient) -> None:
    answer = await client.get("/docs/assets/nothing.js")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
