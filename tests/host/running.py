"""Starts the host as its users do, in a process of its own, and speaks HTTP with it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx

APPS = Path(__file__).parent / "apps"
ROOT = Path(__file__).parents[2]
FINAL = {"Completed", "Failed", "Terminated"}
T = TypeVar("T")


def until(probe: Callable[[], T], seconds: float = 60.0) -> T:
    """Polls until ``probe`` gives something true, and gives that back; AssertionError after ``seconds``."""
    deadline = time.monotonic() + seconds
    while True:
        value = probe()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"nothing within {seconds} s; last: {value!r}")
        time.sleep(0.01)


@dataclass
class RunningHost:
    """One host process. ``stop`` asks it to end, ``kill`` is SIGKILL; ``start`` may follow either."""

    app: Path
    folder: Path
    arguments: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    state: bool = True
    process: subprocess.Popen[str] | None = None
    ready: dict[str, Any] = field(default_factory=dict)
    http: httpx.Client | None = None

    def command(self) -> list[str]:
        state = ["--state", str(self.folder / "state.db")] if self.state else []
        base = [sys.executable, "-m", "infra.local.host", "--root", str(self.app), "--port", "0"]
        return [*base, "--ready-file", str(self.folder / "ready.json"), *state, *self.arguments]

    def start(self) -> "RunningHost":
        ready_file = self.folder / "ready.json"
        ready_file.unlink(missing_ok=True)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command(), cwd=ROOT, env=os.environ | self.environment, stdout=log, stderr=log, text=True
            )

        def is_ready() -> bool:
            assert self.process is not None
            assert self.process.poll() is None, self.log.read_text()
            return ready_file.exists()

        until(is_ready, 60)
        self.ready = json.loads(ready_file.read_text())
        self.http = httpx.Client(
            base_url=self.ready["url"],
            headers={"x-functions-key": self.ready["keys"]["master"]},
            timeout=30,
            trust_env=False,
        )
        return self

    @property
    def log(self) -> Path:
        return self.folder / "log.txt"

    @property
    def client(self) -> httpx.Client:
        assert self.http is not None
        return self.http

    def bare(self, method: str, path: str, **more: Any) -> httpx.Response:
        """A request without any key."""
        return httpx.request(method, self.ready["url"] + path, trust_env=False, timeout=30, **more)

    def stop(self, number: int = signal.SIGTERM, seconds: float = 20.0) -> int:
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        finally:
            if self.http is not None:
                self.http.close()
        return code

    def kill(self) -> None:
        self.stop(signal.SIGKILL)

    # -- durable -----------------------------------------------------------------------------------------------------

    def begin(self, name: str, given: Any = None, instance: str | None = None) -> str:
        path = f"/api/start/{name}" + (f"/{instance}" if instance else "")
        answer = self.client.post(path, content=b"" if given is None else json.dumps(given))
        assert answer.status_code == 202, (answer.status_code, answer.text)
        return str(answer.json()["id"])

    def instance(self, instance: str, **query: Any) -> httpx.Response:
        return self.client.get(f"/runtime/webhooks/durabletask/instances/{instance}", params=query)

    def post(self, instance: str, what: str, **more: Any) -> httpx.Response:
        return self.client.post(f"/runtime/webhooks/durabletask/instances/{instance}/{what}", **more)

    def ended(self, instance: str, seconds: float = 60.0) -> dict[str, Any]:
        def final() -> dict[str, Any] | None:
            status = self.instance(instance).json()
            return status if status["runtimeStatus"] in FINAL else None

        return until(final, seconds)

    def run(self, name: str, given: Any = None, instance: str | None = None) -> dict[str, Any]:
        return self.ended(self.begin(name, given, instance))

    def history(self, instance: str) -> list[dict[str, Any]]:
        """The stored history, event by event."""
        return self.client.get(f"/admin/local/history/{instance}").json()

    def advance(self, span: str) -> None:
        """Moves the durable clock."""
        assert self.client.post("/admin/local/clock", json={"advance": span}).status_code == 200

    def waits_for(self, instance: str, kind: int, count: int = 1) -> list[dict[str, Any]]:
        """Until the stored history has ``count`` events of a kind."""

        def seen() -> list[dict[str, Any]]:
            found = [event for event in self.history(instance) if event["EventType"] == kind]
            return found if len(found) >= count else []

        return until(seen)
