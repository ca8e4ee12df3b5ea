"""A graph inside an asyncio service: FastAPI under stock uvicorn.

    uvicorn --app-dir examples inside_fastapi:app

tierkit runs in a thread of its own, with its own trio run; the service talks to it through the handle,
whose methods may be called from anywhere.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI

import tierkit
from tierkit import Edge, Graph, Origin
from tierkit.plugins.hls import HLS
from tierkit.plugins.ingest import Ingest

studio = Origin("studio", listen=("rtmp://127.0.0.1:0", "http://127.0.0.1:0"), serves=Ingest())
graph = Graph.of(Edge("edge", upstream=studio, listen="127.0.0.1:0", serves=HLS(cache_bytes=64 << 20)))


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """The tiers live as long as the service does."""
    with tierkit.background(graph, drain=2) as handle:
        app.state.tiers = handle
        yield


app = FastAPI(lifespan=lifespan)


@app.get("/where")
def where() -> dict[str, str]:
    """Where to publish and where to watch."""
    tiers = app.state.tiers
    return {"publish": tiers.url("studio", "/live/s"), "watch": tiers.url("edge", "/live/s/playlist.m3u8")}


@app.get("/figures")
def figures() -> dict[str, dict[str, Any]]:
    """Viewers, requests and hits of each tier."""
    tiers = app.state.tiers.statistics()["tiers"]
    return {name: tier["figures"] for name, tier in tiers.items()}
