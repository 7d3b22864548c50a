"""The counts of a canary over all gateways with one Redis: each writes its own, and reads the sum."""

from typing import NamedTuple, Self, TypeAlias, cast

from pydantic import TypeAdapter

from adapter.generation.canary import Canary, Definition
from adapter.generation.canary_rule import Counts, total
from adapter.generation.redis_calls import RedisCalls, open_redis

_PREFIX = "torchbridge:canary:"
_SECONDS = 15  # after which a canary ends that no gateway adds to: they add once a second
_SEEN = 5  # seconds after which a gateway that did not add has left

# One hash for each model. A gateway writes all that it has counted, so that to write it twice changes nothing.
_ADD = """
local definition = redis.call("HGET", KEYS[1], "definition")
if definition and definition ~= ARGV[1] then return {} end
redis.call("HSET", KEYS[1], "definition", ARGV[1], "counts:" .. ARGV[2], ARGV[3])
redis.call("HSET", KEYS[1], "seen:" .. ARGV[2], redis.call("TIME")[1])
redis.call("HSETNX", KEYS[1], "id", ARGV[2])
redis.call("EXPIRE", KEYS[1], ARGV[4])
return redis.call("HGETALL", KEYS[1])
"""
# A gateway's counts stay in the sum of those that go on. The last one that leaves takes all of it away.
_LEAVE = """
redis.call("HDEL", KEYS[1], "seen:" .. ARGV[1])
local now = tonumber(redis.call("TIME")[1])
local fields = redis.call("HGETALL", KEYS[1])
for i = 1, #fields, 2 do
  if fields[i]:sub(1, 5) == "seen:" and now - tonumber(fields[i + 1]) < tonumber(ARGV[2]) then return 0 end
end
return redis.call("DEL", KEYS[1])
"""
_COUNTS = TypeAdapter(Counts)

_Fields: TypeAlias = dict[bytes, bytes]


class Together(NamedTuple):
    """A canary in all gateways: `id` is that of the one which began it."""

    id: str
    definition: Definition
    counts: Counts
    num_gateways: int  # whose counts are in it


class SharedCounts:
    """Returns None without Redis, and while Redis does not answer. Open in `async with`."""

    def __init__(self, redis_url: str | None) -> None:
        self._redis = open_redis(redis_url) if redis_url else None
        self._calls = RedisCalls("each gateway judges a canary by its own counts")
        self._add = self._redis.register_script(_ADD) if self._redis else None
        self._leave = self._redis.register_script(_LEAVE) if self._redis else None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        if self._redis is not None:
            await self._redis.aclose()

    async def add(self, canary: Canary) -> Together | None:
        """Publishes the counts of `canary`. None, too, while others try something else with its model."""
        add = self._add
        if add is None:
            return None
        counts = _COUNTS.dump_json(canary.counts)
        definition = canary.definition.model_dump_json()

        async def ask() -> Together | None:
            flat = await add([_key(canary.model)], (definition, canary.id, counts, _SECONDS))
            return _read(dict(zip(flat[::2], flat[1::2], strict=True)))

        return await self._calls.ask(ask)

    async def leave(self, canary: Canary) -> None:
        """`canary` has ended here. Where it goes on elsewhere, what it has counted still counts."""
        leave = self._leave
        if leave is not None:
            await self.add(canary)
            await self._calls.ask(lambda: leave([_key(canary.model)], [canary.id, _SEEN]))

    async def find(self, model: str) -> Together | None:
        """The canary of `model` at any of the gateways."""
        redis = self._redis
        if redis is None:
            return None

        async def ask() -> Together | None:
            return _read(cast("_Fields", await redis.hgetall(_key(model))))  # redis-py decodes nothing unless told to

        return await self._calls.ask(ask)


def _key(model: str) -> str:
    return _PREFIX + model


def _read(fields: _Fields) -> Together | None:
    """Raises ValueError or KeyError if something else wrote it."""
    if not fields:
        return None
    counts = [_COUNTS.validate_json(value) for name, value in fields.items() if name.startswith(b"counts:")]
    definition = Definition.model_validate_json(fields[b"definition"])
    return Together(fields[b"id"].decode(), definition, total(counts), len(counts))
