"""A FastAPI service that gives a user by id out of PostgreSQL, with SQLAlchemy's async ORM and asyncpg.

It reads the table that the product has made, and answers what the product answers. Reads need no transaction, so there is
none around them, which saves two round trips; statements are prepared once for each connection, as asyncpg does it.
`EDGE=on` puts what the product's edge does around it.
"""

import os
import uuid
from datetime import datetime, timedelta, timezone
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException
from pydantic import BaseModel, ConfigDict
from sqlalchemy import BigInteger, make_url
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

from fastapi_edge import Edge, lifespan

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)

engine = create_async_engine(
    make_url(os.environ["DATABASE_URL"]).set(drivername="postgresql+asyncpg"),
    isolation_level="AUTOCOMMIT",
    pool_size=int(os.environ["POOL_SIZE"]),
    max_overflow=0,
)
sessions = async_sessionmaker(engine, expire_on_commit=False)


class Instant(TypeDecorator):
    """Microseconds since 1970."""

    impl = BigInteger
    cache_ok = True

    def process_result_value(self, value, dialect):
        return EPOCH + timedelta(microseconds=value)


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "users"
    __table_args__ = {"schema": "keelson_users"}

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    email: Mapped[str]
    age: Mapped[int | None]
    is_active: Mapped[bool]
    version: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(Instant)
    updated_at: Mapped[datetime] = mapped_column(Instant)


class UserAnswer(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: uuid.UUID
    name: str
    email: str
    age: int | None
    created_at: datetime
    updated_at: datetime


async def session():
    async with sessions() as opened:
        yield opened


app = FastAPI(lifespan=lifespan)
if os.environ["EDGE"] == "on":
    app.add_middleware(Edge, service="users")


@app.get("/api/v1/users/{user_id}")
async def get_user(user_id: uuid.UUID, db: Annotated[AsyncSession, Depends(session)]) -> UserAnswer:
    user = await db.get(User, user_id)
    if user is None:
        raise HTTPException(404, "User not found")
    return user


@app.get("/health")
async def get_health() -> dict[str, str]:
    return {"status": "healthy"}
