"""A server that is asked without a socket, and what it answers."""

import asyncio
import json
import re
import time
from contextlib import contextmanager
from pathlib import Path

import httpx

from retrieval.web.access import Access
from retrieval.web.application import application
from retrieval.web.documents import ProblemDocument
from retrieval.web.service import Service

HERE = "http://127.0.0.1:8000"
TOKEN = "a token of the tests"
LOCAL = Access("127.0.0.1", 8000, True, TOKEN)
OPEN = Access("0.0.0.0", 8000, False, TOKEN)


class Client:
    """Asks an application, with the token if nothing else is said."""

    def __init__(self, service, access=LOCAL):
        self._app = application(service, access)
        self._loop = asyncio.new_event_loop()

    def __call__(self, method, path, *, token=TOKEN, headers=None, **options):
        sent = {**({"Authorization": f"Bearer {token}"} if token else {}), **(headers or {})}
        return self._loop.run_until_complete(self._ask(method, path, headers=sent, **options))

    def get(self, path, **options):
        return self("GET", path, **options)

    def post(self, path, json=None, **options):
        return self("POST", path, **({} if json is None else {"json": json}), **options)

    def close(self):
        self._loop.close()

    async def _ask(self, method, path, **options):
        transport = httpx.ASGITransport(self._app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url=HERE, timeout=120.0) as client:
            return await client.request(method, path, **options)

    def finished(self, id):
        """The job when nothing more comes of it."""
        deadline = time.monotonic() + 120.0
        while (job := self.get(f"/v1/jobs/{id}").json())["state"] in ("waiting", "running"):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        return job


@contextmanager
def serving(library, roots=(), access=LOCAL, most_bytes=2**22):
    service = Service(Path(library), roots, most_bytes)
    client = Client(service, access)
    client.service = service
    try:
        yield client
    finally:
        service.close()
        client.close()


def problem(answer, status, name=None):
    """What went wrong, having seen that it is told as RFC 9457 wants it."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    ProblemDocument.model_validate(document)
    assert document["status"] == status
    assert "Traceback" not in answer.text
    assert name is None or document["type"] == f"urn:incipit:problem:{name}"
    return document["detail"]


def sent(client, path, name="clip"):
    answer = client.post(f"/v1/uploads?name={name}", content=path.read_bytes())
    assert answer.status_code == 201, answer.text
    return answer.json()


def events_of(text):
    return [
        (re.search("event: (.*)", part)[1], json.loads(re.search("data: (.*)", part)[1]))
        for part in text.split("\n\n")
        if part.startswith("event")
    ]
