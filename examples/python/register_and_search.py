"""Registers a tool and finds it again, with the stock NATS client and nothing of ours.

    pip install nats-py
    python register_and_search.py                  # NATS_URL, default nats://127.0.0.1:4222
"""

import asyncio
import json
import os
import sys
import time

import nats

TENANT, DOMAIN, TOOL_NAME = "default", "demo", "convert_currency"

TOOL = {
    "tool_name": TOOL_NAME,
    "tool_type": "function",
    "domain": DOMAIN,
    "description": "Converts an amount of money from one currency to another at today's exchange rate",
    "parameters": {
        "type": "object",
        "properties": {
            "amount": {"type": "number"},
            "from": {"type": "string", "description": "ISO 4217 code, for example CHF"},
            "to": {"type": "string", "description": "ISO 4217 code, for example JPY"},
        },
        "required": ["amount", "from", "to"],
    },
    "version": "1.0.0",
}


async def register(client) -> int:
    """Publishes the registration and returns its revision: the sequence in JetStream's acknowledgement."""
    event = {"event": "registered", "tool": TOOL}
    # In a subject every byte of the tool's name outside A-Z, a-z, 0-9, _ and - is percent-encoded; this one has none.
    subject = f"tools.v1.{TENANT}.{DOMAIN}.{TOOL_NAME}"
    acknowledgement = await client.jetstream().publish(subject, json.dumps(event).encode())
    return acknowledgement.seq


async def search(client, query: str, min_revision: int) -> dict:
    """Asks for tools, and waits until the answer can know about `min_revision`."""
    request = {"query": query, "top_k": 3, "min_revision": min_revision, "wait_ms": 5_000}
    for _ in range(6):
        reply = await client.request(f"search.v1.{TENANT}", json.dumps(request).encode(), timeout=10)
        error_code = (reply.headers or {}).get("Nats-Service-Error-Code")
        if error_code is None:
            return json.loads(reply.data)
        if error_code != "409":  # 409: not indexed yet, ask again.
            sys.exit(f"the search failed: {reply.data.decode()}")
    sys.exit(f"revision {min_revision} is still not searchable: is an embedding worker running?")


async def main() -> None:
    client = await nats.connect(os.environ.get("NATS_URL", "nats://127.0.0.1:4222"), connect_timeout=5)
    try:
        started = time.perf_counter()
        revision = await register(client)
        print(f"registered {DOMAIN}.{TOOL_NAME} as revision {revision}")

        reply = await search(client, "how many yen do I get for 100 francs", revision)
        print(f"found after {(time.perf_counter() - started) * 1000:.1f} ms, of which the search took {reply['took_ms']:.1f} ms:")
        for result in reply["results"]:
            print(f"  {result['score']:.3f}  {result['tool_id']}: {result['description']}")
        if f"{DOMAIN}.{TOOL_NAME}" not in [result["tool_id"] for result in reply["results"]]:
            sys.exit("the tool is not among the results")
    finally:
        await client.close()


if __name__ == "__main__":
    asyncio.run(main())
