"""A FastAPI service of the shape of seed 004's orders: asks the user service for each order, keeps orders in memory.

One client of httpx serves all orders, and its connections stay open: a new one for each order would read certificates
each time. `EDGE=on` puts what the product's edge does around it.
"""

import contextlib
import os
import uuid
from datetime import datetime, timezone
from enum import Enum

import httpx
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel, Field

import fastapi_edge

CONNECTIONS = int(os.environ["CONNECTIONS"])
TIMEOUT_SECONDS = 5.0


class OrderStatus(str, Enum):
    PENDING = "pending"
    CONFIRMED = "confirmed"
    SHIPPED = "shipped"
    DELIVERED = "delivered"
    CANCELLED = "cancelled"


class OrderItem(BaseModel):
    product_id: str = Field(min_length=1)
    product_name: str = Field(min_length=1)
    quantity: int = Field(gt=0)
    price: float = Field(ge=0)


class NewOrder(BaseModel):
    user_id: str
    items: list[OrderItem] = Field(min_length=1)
    shipping_address: str = Field(min_length=1)


class Order(BaseModel):
    id: str
    user_id: str
    items: list[OrderItem]
    shipping_address: str
    total_amount: float
    status: OrderStatus
    created_at: datetime
    updated_at: datetime


orders: dict[str, Order] = {}
users = httpx.AsyncClient(
    base_url=os.environ["USER_SERVICE_URL"],
    timeout=TIMEOUT_SECONDS,
    limits=httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS),
    trust_env=False,
)


@contextlib.asynccontextmanager
async def lifespan(app):
    async with fastapi_edge.lifespan(app), users:
        yield


async def expect_user(user_id: str):
    try:
        answer = await users.get(f"/api/v1/users/{user_id}")
    except httpx.RequestError as error:
        raise HTTPException(503, "User service unavailable") from error
    if answer.status_code == 404:
        raise HTTPException(404, "User not found")
    if answer.status_code != 200:
        raise HTTPException(503, "User service unavailable")


app = FastAPI(lifespan=lifespan)
if os.environ["EDGE"] == "on":
    app.add_middleware(fastapi_edge.Edge, service="orders")


@app.post("/api/v1/orders", status_code=201)
async def create_order(draft: NewOrder) -> Order:
    await expect_user(draft.user_id)
    now = datetime.now(timezone.utc)
    order = Order(
        id=str(uuid.uuid4()),
        user_id=draft.user_id,
        items=draft.items,
        shipping_address=draft.shipping_address,
        total_amount=sum(item.price * item.quantity for item in draft.items),
        status=OrderStatus.PENDING,
        created_at=now,
        updated_at=now,
    )
    orders[order.id] = order
    return order


@app.get("/health")
async def get_health() -> dict[str, str]:
    return {"status": "healthy"}
