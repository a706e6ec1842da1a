"""The baseline of messages: a FastAPI application that reads a contract request with pydantic models and gives it back.

It listens as our nodes do: the same server, loop, parser and settings. `python -m tests.bench.echo PORT`.
"""

from __future__ import annotations

import asyncio
import signal
import sys

import uvloop
from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field

from connector.app.listening import Door, bound, listening
from connector.settings import Listener


class _Model(BaseModel):
    model_config = ConfigDict(populate_by_name=True)


class Constraint(_Model):
    left_operand: str = Field(alias="leftOperand")
    operator: str
    right_operand: str = Field(alias="rightOperand")


class Rule(_Model):
    action: str
    constraint: list[Constraint] = []


class Offer(_Model):
    id: str = Field(alias="@id")
    type: str = Field(alias="@type")
    target: str
    permission: list[Rule]


class ContractRequest(_Model):
    context: list[str] = Field(alias="@context")
    type: str = Field(alias="@type")
    id: str = Field(alias="@id")
    consumer_pid: str = Field(alias="consumerPid")
    callback_address: str = Field(alias="callbackAddress")
    purpose: str = Field(alias="https://w3id.org/kontor/ns/purpose")
    offer: Offer


app = FastAPI()


@app.post("/echo", status_code=201)
async def echo(message: ContractRequest) -> ContractRequest:
    return message


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "up"}


async def _serve(port: int) -> None:
    listener = Listener(port=port)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    with bound(listener, "echo") as at:
        async with listening(Door(app=app, settings=listener, at=at, section="echo")):
            await stop.wait()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(int(sys.argv[1])))
