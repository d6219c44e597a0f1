"""Ask for many users at once, as a shop's backend does: one client, one event loop, some requests in flight.

Usage: python async_client.py [URL [USER ...]]
"""

import asyncio
import sys
from typing import Any

import bentoml

IN_FLIGHT = 4
"""More than a predictor can answer in time it refuses with 503 and Retry-After."""


async def recommend_all(url: str, users: list[str]) -> dict[str, list[Any]]:
    """The items for each user, best first."""
    free = asyncio.Semaphore(IN_FLIGHT)
    async with bentoml.AsyncHTTPClient(url) as client:

        async def ask(user: str) -> list[Any]:
            async with free:
                answer = await client.recommend(user=user, k=5)
            return [item["item"] for item in answer["items"]]

        return dict(zip(users, await asyncio.gather(*map(ask, users)), strict=True))


if __name__ == "__main__":
    url, *users = sys.argv[1:] or ["http://localhost:3000"]
    for user, items in asyncio.run(recommend_all(url, users or ["1", "2", "3"])).items():
        print(user, *items)
