"""The values of settings that are more than a number or a text: each is refused where it could not work."""

import ipaddress
import re
from typing import Annotated

from pydantic import AfterValidator, SecretStr, StringConstraints
from pydantic_core import PydanticCustomError

# Nothing after the port: a path would come in front of the model's name, and credentials do not belong here.
Origin = Annotated[str, StringConstraints(pattern=r"^https?://[^/?#@\s]+\Z")]


def _check_redis_url(url: SecretStr) -> SecretStr:
    from redis.asyncio import BlockingConnectionPool  # noqa: PLC0415 - a command would wait for it, and few have one

    try:
        pool = BlockingConnectionPool.from_url(url.get_secret_value())
        pool.connection_class(**pool.connection_kwargs)  # connects to nothing yet, but refuses unknown options
    except (TypeError, ValueError):
        # Their own words quote the address, and the password may be in what they quote.
        form = "redis://[[user]:password@]host[:port][/database][?option=value]"
        raise PydanticCustomError("redis_url", "Must be like {form}, with redis-py's options", {"form": form}) from None
    return url


RedisUrl = Annotated[SecretStr, AfterValidator(_check_redis_url)]


def _check_page_origin(origin: str) -> str:
    # As browsers write it: any other would never be one's equal, and `*` would be every page there is.
    if not re.fullmatch(r"https?://([a-z0-9._-]+|\[[0-9a-f:]+\])(:[0-9]+)?", origin):
        raise PydanticCustomError("page_origin", "Must be origins such as https://app.example.com, between commas")
    return origin


def split_at_commas(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _check_host_name(name: str) -> str:
    if not re.fullmatch(r"\*|[A-Za-z0-9._-]+", name):
        raise PydanticCustomError("host_name", "Must be names such as app.example.com without ports, between commas")
    return name


def _check_proxy(proxy: str) -> str:
    try:
        ipaddress.ip_network(proxy)
    except ValueError:
        message = "Must be addresses or networks such as 10.0.0.0/8, between commas"
        raise PydanticCustomError("proxy", message) from None
    return proxy


def _check_root_path(path: str) -> str:
    if not re.fullmatch(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*", path):
        raise PydanticCustomError("root_path", "Must be a path such as /llm, without a slash at its end")
    return path


HostName = Annotated[str, AfterValidator(_check_host_name)]
PageOrigin = Annotated[str, AfterValidator(_check_page_origin)]
Proxy = Annotated[str, AfterValidator(_check_proxy)]
RootPath = Annotated[str, AfterValidator(_check_root_path)]
