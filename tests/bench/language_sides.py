"""What the product is set against, with the same chats: the high-level `Llama` behind a lock, and `llama-server`.

All of them read the very same tokens and write as many, with the same sampling, on as many threads, at the same
priority; an end that the model draws is passed over. Tokens are counted: the class yields one by one, the server says
how many it wrote. Ours are counted in `language_ours`.
"""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from unittest import mock

import httpx

from engine.language.llama import has_amx, library
from engine.language.numbers import has_bf16
from engine.language.requests import Request
from engine.language.sampling import Sampling
from engine.language.templates import Form, Message
from engine.stepping_back import STEPS, step_back
from personas.prompting import Reach, Segment

#: The same for all, and for all of them the cheapest chain that draws by chance.
PLAIN = Sampling(temperature=0.8, top_p=0.95, min_p=0.05, seed=7)
#: A turn that takes longer than this will not end.
PATIENCE = 300.0


@dataclass(frozen=True)
class Chat:
    """What was said in a chat with a persona, a person first; what is written is the persona's next words."""

    persona: str
    lines: tuple[str, ...]
    talk: str

    def request(self, most: int, sampling: Sampling) -> Request:
        *before, last = self.lines
        return Request(
            (
                Segment(Reach.SHARED, "system", self.persona),
                *(Segment(Reach.CHAT, _role(place), line) for place, line in enumerate(before)),
                Segment(Reach.VOLATILE, "user", last),
            ),
            sampling=sampling,
            most=most,
            talk=self.talk,
        )

    def messages(self) -> list[Message]:
        said = [Message(_role(place), line) for place, line in enumerate(self.lines)]
        return [Message("system", self.persona), *said]


def _role(place: int) -> str:
    return "assistant" if place % 2 else "user"


@dataclass
class Answer:
    """When it was asked for, and when each piece of it came."""

    asked: float
    pieces: list[float] = field(default_factory=list)
    tokens: int = 0

    @property
    def first(self) -> float:
        return self.pieces[0] - self.asked

    @property
    def gaps(self) -> list[float]:
        return [later - one for one, later in zip(self.pieces, self.pieces[1:], strict=False)]


def speed(answers: Sequence[Answer]) -> float:
    """Tokens a second of all together, from the first question to the last word."""
    seconds = max(one.pieces[-1] for one in answers) - min(one.asked for one in answers)
    return sum(one.tokens for one in answers) / seconds


class Side(Protocol):
    async def answer(self, chats: Sequence[Chat], most: int, sampling: Sampling = PLAIN) -> list[Answer]:
        """All of them at once, each to `most` tokens."""


# The high-level class, behind a lock


class Lone:
    """`llama_cpp.Llama`, one chat after another, by its own loop, which keeps what two prompts have in common."""

    def __init__(self, path: Path, form: Form, *, context: int, threads: int) -> None:
        lib = library()
        usual = lib.llama_model_default_params

        def plain() -> Any:
            params = usual()
            params.use_extra_bufts = not has_amx()  # as on our side, where it says why
            return params

        with mock.patch.object(lib.llama_cpp, "llama_model_default_params", plain):
            self._llama = lib.Llama(
                str(path), n_ctx=context, n_threads=threads, n_threads_batch=threads, verbose=False, seed=7
            )
        self._form = form
        self._lock = threading.Lock()

    def tokens(self, chat: Chat) -> list[int]:
        """The prompt as our side makes it."""
        found: list[int] = []
        for part in self._form.parts(chat.messages()):
            found += self._llama.tokenize(part.text.encode(), add_bos=False, special=part.is_form)
        return found

    async def answer(self, chats: Sequence[Chat], most: int, sampling: Sampling = PLAIN) -> list[Answer]:
        asked = time.perf_counter()
        prompts = [self.tokens(chat) for chat in chats]
        return list(
            await asyncio.gather(
                *(asyncio.to_thread(self._one, prompt, most, sampling, asked) for prompt in prompts)
            )
        )

    def _one(self, prompt: list[int], most: int, sampling: Sampling, asked: float) -> Answer:
        answer = Answer(asked)
        step_back()  # as on our side: whoever else computes here would pass one and not the other
        with self._lock:
            drawn = self._llama.generate(
                prompt,
                top_k=sampling.top_k,
                top_p=sampling.top_p,
                min_p=sampling.min_p,
                temp=sampling.temperature,
            )
            for token in drawn:
                self._llama.detokenize([token])
                answer.pieces.append(time.perf_counter())
                answer.tokens += 1
                if answer.tokens >= most:
                    break
            drawn.close()
        return answer

    def close(self) -> None:
        self._llama.close()


# Another program


class Server:
    """`llama-server` on loopback, a slot for each chat; it is given tokens, and tells how many it wrote."""

    def __init__(self, address: str, lone: Lone) -> None:
        self._address = address
        self._lone = lone

    async def answer(self, chats: Sequence[Chat], most: int, sampling: Sampling = PLAIN) -> list[Answer]:
        prompts = [self._lone.tokens(chat) for chat in chats]
        async with (
            asyncio.timeout(PATIENCE),
            httpx.AsyncClient(base_url=self._address, timeout=PATIENCE, trust_env=False) as client,
        ):
            return list(
                await asyncio.gather(
                    *(self._one(client, slot, prompt, most, sampling) for slot, prompt in enumerate(prompts))
                )
            )

    async def _one(
        self, client: httpx.AsyncClient, slot: int, prompt: list[int], most: int, sampling: Sampling
    ) -> Answer:
        answer = Answer(time.perf_counter())
        wanted = {
            "prompt": prompt,
            "id_slot": slot,
            "n_predict": most,
            "stream": True,
            "cache_prompt": True,
            "ignore_eos": True,
            "samplers": ["min_p", "top_p", "temperature"],
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "min_p": sampling.min_p,
            "repeat_penalty": 1.0,
            "seed": 7,
        }
        async with client.stream("POST", "/completion", json=wanted) as stream:
            stream.raise_for_status()
            async for line in stream.aiter_lines():
                if line.startswith("data: "):
                    told = json.loads(line[6:])
                    answer.pieces.append(time.perf_counter())
                    if told.get("stop"):
                        answer.tokens = int(told["tokens_predicted"])
        return answer


@contextmanager
def serving(
    program: str, model: Path, lone: Lone, *, slots: int, threads: int, log: Path
) -> Iterator[Server]:
    """The program, from when it answers until it has ended."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    command = [
        "nice",
        "-n",
        str(STEPS),
        program,
        "-m",
        str(model),
        "--host",
        "127.0.0.1",
        "--port",
        address.rpartition(":")[2],
    ]
    command += ["-np", str(slots), "-c", str(slots * 2_048), "-b", "512", "--no-webui", "-fa", "off"]
    command += ["--no-repack"] if has_amx() else []
    # Its memory holds the same kind of numbers as ours.
    command += ["-ctk", "bf16", "-ctv", "bf16"] if has_bf16(library()) else []
    command += ["-t", str(threads), "-tb", str(threads), "-ngl", "0", "--offline", "--cache-ram", "0"]
    with log.open("wb") as told:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=told, stderr=told)
    try:
        until = time.monotonic() + 60
        while not _ready(address):
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"llama-server did not start: {log.read_text()[-500:]}")
            time.sleep(0.2)
        yield Server(address, lone)
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
        if process.poll() is None:
            process.kill()
            process.wait()


def _ready(address: str) -> bool:
    with suppress(httpx.HTTPError):
        return httpx.get(f"{address}/health", timeout=5, trust_env=False).status_code == 200
    return False
