"""A batch by the package `openai` against the gateway at `url`: prints what it gave as JSON."""

import json
import sys
import time
from collections.abc import Callable
from typing import Any

from openai import APIStatusError, OpenAI

url, model = sys.argv[1:3]
client = OpenAI(base_url=f"{url}/v1", api_key="a-key-that-is-known", max_retries=0)


def lines(*words: str) -> bytes:
    requests = [
        {
            "custom_id": f"request-{number}",
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": {"model": model, "messages": [{"role": "user", "content": content}], "max_tokens": 8},
        }
        for number, content in enumerate(words)
    ]
    return "\n".join(map(json.dumps, requests)).encode()


def run(content: bytes) -> Any:
    file = client.files.create(file=("input.jsonl", content), purpose="batch")
    batch = client.batches.create(
        input_file_id=file.id,
        endpoint="/v1/chat/completions",
        completion_window="24h",
        metadata={"for": "a test"},
        output_expires_after={"anchor": "created_at", "seconds": 7_200},
    )
    while batch.status in {"validating", "in_progress", "finalizing"}:
        time.sleep(0.05)
        batch = client.batches.retrieve(batch.id)
    return batch


def status(attempt: Callable[[], object]) -> int | None:
    try:
        attempt()
    except APIStatusError as error:
        return error.status_code
    return None


batch = run(lines("one", "two", "three"))
output = [json.loads(line) for line in client.files.content(batch.output_file_id).text.splitlines()]
output_file = client.files.retrieve(batch.output_file_id)
seen = {
    "status": batch.status,
    "counts": batch.request_counts.to_dict(),
    "metadata": batch.metadata,
    "ids": [each["custom_id"] for each in output],
    "texts": [each["response"]["body"]["choices"][0]["message"]["content"] for each in output],
    "age": output_file.expires_at - output_file.created_at,
    "wrong_lines": [error.line for error in run(lines("one") + b"\n{").errors.data],
    "batches": len(list(client.batches.list(limit=1))),
    "files": len(list(client.files.list(limit=2, purpose="batch"))),
    "late_cancel": status(lambda: client.batches.cancel(batch.id)),
    "deleted": client.files.delete(batch.output_file_id).deleted,
    "gone": status(lambda: client.files.content(batch.output_file_id)),
}
sys.stdout.write(json.dumps(seen))
