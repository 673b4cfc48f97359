"""A FastAPI service that does what the product does for `GET /ops/v1/log-level`: its edge, and a token."""

import os
import secrets

from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel

from fastapi_edge import Edge, lifespan

TOKEN = os.environ["OPERATOR_TOKEN"]

app = FastAPI(lifespan=lifespan)
app.add_middleware(Edge, service="ingest")
bearer = HTTPBearer(auto_error=False)


class LogLevel(BaseModel):
    level: str


async def require_operator(credentials: HTTPAuthorizationCredentials | None = Depends(bearer)):
    if credentials is None:
        raise HTTPException(401, "Access token is missing")
    if not secrets.compare_digest(credentials.credentials, TOKEN):
        raise HTTPException(401, "Invalid or expired token")


@app.get("/ops/v1/log-level", dependencies=[Depends(require_operator)])
async def get_log_level() -> LogLevel:
    return LogLevel(level="INFO")


@app.get("/health")
async def get_health() -> dict[str, str]:
    return {"status": "healthy"}
