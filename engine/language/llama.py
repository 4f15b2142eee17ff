"""llama.cpp, over its low-level interface: one model and its memory. The only file that imports llama_cpp.

Much of what the library is asked by mistake ends the process: every such way is closed here before the call. It knows
tokens and sequences; who talks, and what about, it does not know. One thread owns a model, the one that opened it.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from engine.errors import ModelUnavailable
from engine.language.drawing import Sampler, dry_sampler
from engine.language.facts import Facts, carries_state, facts_of
from engine.language.numbers import Numbers, check_memory, numbers_for, token_bytes
from engine.language.sampling import Sampling
from engine.language.tokens import cut, marks, tokenised

# Threads of the library that wait do not spin: on cores that others need too that costs more than it saves.
# It is read once, when the library is loaded.
_QUIET = {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "0", "KMP_BLOCKTIME": "0"}

INSTALL = "make up EXTRAS=language, or pip install -e '.[language]'"
#: What moves is laid aside under this number for as long as that takes.
MOVING = -1
#: What `read` answers.
DONE, FULL = 0, 1


@dataclass(frozen=True)
class Options:
    threads: int = 1
    gpu_layers: int = -1
    cells: int = 8_192
    batch: int = 512
    #: One more is there for what goes out of the memory and comes back.
    seqs: int = 64
    #: Of a model that carries a state for each sequence there are only so many: each takes much memory.
    rows: int = 64
    #: In which numbers it remembers.
    numbers: str = "auto"


def library() -> Any:
    """llama_cpp, or a sentence that says how to get it."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    try:
        import llama_cpp
    except ImportError as error:
        raise ModelUnavailable(f"llama-cpp-python is not installed: {INSTALL}") from error
    except Exception as error:  # a shared library that does not load raises whatever it likes
        raise ModelUnavailable(f"llama-cpp-python cannot be loaded: {error}") from error
    return llama_cpp


def back_end() -> str:
    """What the installed library computes on, in its own words."""
    lib = library()
    told = lib.llama_print_system_info().decode("utf-8", "replace")
    kinds = [
        name for name in ("CUDA", "Metal", "MTL", "Vulkan", "ROCm", "HIP", "SYCL", "BLAS") if name in told
    ]
    if not kinds and lib.llama_supports_gpu_offload():
        kinds = ["GPU"]
    return ", ".join(dict.fromkeys(kinds)) or "CPU"


class Log:
    """Takes the library's own lines; the last complaints are the reason when something fails."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._callback: Any = None

    def install(self, lib: Any) -> None:
        def heard(level: int, text: bytes, _data: object) -> None:
            if level in (3, 4) and (line := text.decode("utf-8", "replace").strip()):  # warnings and errors
                self._lines = [*self._lines[-9:], line]

        self._callback = lib.llama_log_callback(heard)
        lib.llama_log_set(self._callback, ctypes.c_void_p(0))

    def reason(self) -> str:
        errors = [line for line in self._lines if "error" in line.lower() or "fail" in line.lower()]
        return (errors or self._lines or ["it does not say why"])[-1]

    def clear(self) -> None:
        self._lines = []


#: There is one library in a process, and it has one log.
_LOG = Log()


class Llama:
    """One open model. Every method but `close` may raise `ModelUnavailable` once it is closed."""

    def __init__(self, lib: Any, model: Any, context: Any, options: Options, facts: Facts) -> None:
        self._lib = lib
        self._model = model
        self._context = context
        self._vocab = lib.llama_model_get_vocab(model)
        self._memory = lib.llama_get_memory(context)
        self.options = options
        self.facts = facts
        self._batch = lib.llama_batch_init(options.batch, 0, 1)
        self._owner = threading.get_ident()
        self._samplers: set[Sampler] = set()
        self._pieces: dict[int, bytes] = {}
        self._dry: dict[float, Any] = {}
        #: What was laid aside, by its number.
        self._aside: dict[int, Any] = {}
        self._marks: tuple[str, ...] | None = None

    @classmethod
    def open(cls, path: Path, options: Options, *, progress: Callable[[float], bool] | None = None) -> Llama:
        """Load a file. `progress` is told how far it is, and answers whether to go on."""
        lib = library()
        model = loaded(lib, path, gpu_layers=options.gpu_layers, progress=progress)
        if lib.llama_model_has_encoder(model) or not lib.llama_model_has_decoder(model):
            lib.llama_model_free(model)
            raise ModelUnavailable(
                f"{path.name} is a model that does not write: for chats another kind is needed."
            )
        if carries_state(lib, model):
            options = replace(options, seqs=min(options.seqs, options.rows))
        numbers = numbers_for(lib, options.numbers, on_processor=on_processor(lib, options))
        try:
            context = _context(lib, model, options, numbers)
        except ModelUnavailable:
            lib.llama_model_free(model)
            raise
        try:
            if not lib.llama_get_memory(context):
                raise ModelUnavailable(f"{path.name} keeps nothing of what it reads: it does not write.")
            each = token_bytes(lib, model, numbers)
            facts = facts_of(lib, model, back_end=back_end(), token_bytes=each)
            return cls(lib, model, context, options, facts)
        except BaseException:
            lib.llama_free(context)
            lib.llama_model_free(model)
            raise

    # Text and tokens

    def tokens(self, text: str, *, special: bool) -> list[int]:
        """Text as tokens; `special`: what looks like a token of the form is one."""
        self._check()
        if not special:
            return [token for part in self._harmless(text) for token in self._tokens(part, special=False)]
        return self._tokens(text, special=True)

    def _harmless(self, text: str) -> list[str]:
        """Some files call tokens of the form ordinary ones: where somebody writes such a text, it is cut in two."""
        if self._marks is None:
            self._marks = marks(self._lib, self._vocab, self.facts.vocabulary)
        parts = [text]
        for mark in self._marks:
            if mark in text:
                parts = [piece for part in parts for piece in cut(part, mark)]
        return parts

    def _tokens(self, text: str, *, special: bool) -> list[int]:
        return tokenised(self._lib, self._vocab, text, special=special)

    def piece(self, token: int) -> bytes:
        """The bytes of a token; tokens of the form have none."""
        known = self._pieces.get(token)
        if known is None:
            known = self._pieces[token] = self._piece(token)
        return known

    def _piece(self, token: int) -> bytes:
        self._check()
        for room in (64, 4_096, 1_048_576):
            found = ctypes.create_string_buffer(room)
            count = self._lib.llama_token_to_piece(self._vocab, token, found, room, 0, False)
            if count >= 0:
                return found.raw[:count]
        return b""

    def ends(self, token: int) -> bool:
        return bool(self._lib.llama_vocab_is_eog(self._vocab, token))

    @property
    def first(self) -> int | None:
        """The token that every text begins with, where the model wants one."""
        token = self._lib.llama_vocab_bos(self._vocab)
        return token if token >= 0 and self._lib.llama_vocab_get_add_bos(self._vocab) else None

    # The memory

    def forget(self, seq: int, keep: int) -> bool:
        """Of a sequence only the first tokens stay. False: the model cannot do that, and the sequence is gone."""
        self._check()
        if self._lib.llama_memory_seq_rm(self._memory, seq, keep if keep else -1, -1):
            return True
        self._lib.llama_memory_seq_rm(self._memory, seq, -1, -1)
        return False

    def share(self, source: int, target: int, count: int) -> None:
        self._check()
        self._lib.llama_memory_seq_cp(self._memory, source, target, 0, count)

    def lay_aside(self, seq: int, number: int, start: int, end: int) -> bool:
        """The end of a sequence goes out of the memory, from one place to another. False: it is gone for good."""
        self._check()
        lib, spare = self._lib, self.options.seqs
        whole = int(lib.llama_memory_seq_pos_max(self._memory, seq)) >= end - 1
        lib.llama_memory_seq_cp(self._memory, seq, spare, start, end)
        try:
            size = lib.llama_state_seq_get_size(self._context, spare)
            held = (ctypes.c_uint8 * size)()
            whole = whole and bool(lib.llama_state_seq_get_data(self._context, held, size, spare) == size)
        except MemoryError:
            whole = False
        if whole:
            self._aside[number] = held
        lib.llama_memory_seq_rm(self._memory, spare, -1, -1)
        lib.llama_memory_seq_rm(self._memory, seq, start, end)
        return whole

    def take_back(self, seq: int, number: int, start: int, end: int) -> bool:
        """What was laid aside stands at the end of a sequence again. False: it does not."""
        self._check()
        held = self._aside.pop(number, None)
        if held is None:
            return False
        lib, spare = self._lib, self.options.seqs
        put = lib.llama_state_seq_set_data(self._context, held, len(held), spare)
        if put:
            lib.llama_memory_seq_cp(self._memory, spare, seq, start, end)
        lib.llama_memory_seq_rm(self._memory, spare, -1, -1)
        return bool(put)

    def move(self, seq: int, start: int, end: int) -> bool:
        """Tokens of a sequence go to the first cells that are free. False: they are lost."""
        return self.lay_aside(seq, MOVING, start, end) and self.take_back(seq, MOVING, start, end)

    def drop(self, number: int) -> None:
        """What was laid aside is not wanted any more."""
        self._aside.pop(number, None)

    def clear(self) -> None:
        self._check()
        self._aside.clear()
        self._lib.llama_memory_clear(self._memory, True)

    # Reading and drawing

    def read(self, stretches: Sequence[tuple[int, int, Sequence[int], bool]]) -> int:
        """Read (sequence, position, tokens, whether a token will be drawn). Answers `DONE` or `FULL`."""
        self._check()
        count = sum(len(tokens) for _, _, tokens, _ in stretches)
        if not 0 < count <= self.options.batch:
            raise ValueError(f"{count} tokens in a batch of {self.options.batch}")
        batch, at = self._batch, 0
        for seq, position, tokens, draws in stretches:
            if not 0 <= seq < self.options.seqs:
                raise ValueError(f"there is no sequence {seq}")
            for offset, token in enumerate(tokens):
                if not 0 <= token < self.facts.vocabulary:
                    raise ValueError(f"there is no token {token}")
                batch.token[at] = token
                batch.pos[at] = position + offset
                batch.n_seq_id[at] = 1
                batch.seq_id[at][0] = seq
                batch.logits[at] = draws and offset == len(tokens) - 1
                at += 1
        batch.n_tokens = count
        self._outputs = [at for at in range(count) if batch.logits[at]]
        code = int(self._lib.llama_decode(self._context, batch))
        if code in (DONE, FULL):
            return code
        self._outputs = []
        raise ModelUnavailable(f"llama.cpp could not compute (code {code}): {why()}")

    def sampler(self, sampling: Sampling, *, grammar: str = "", behind: Sequence[int] = ()) -> Sampler:
        """Whoever draws for one row; `behind` is what its text ends with already."""
        self._check()
        dry = self._dry_for(sampling.dry) if sampling.dry > 0 else None
        made = Sampler(self._lib, self._vocab, self.facts.vocabulary, sampling, grammar, behind, dry=dry)
        self._samplers.add(made)
        return made

    def _dry_for(self, strength: float) -> Any:
        """Made once for each strength, and copied: it reads the whole vocabulary for what breaks a phrase."""
        if strength not in self._dry:
            self._dry[strength] = dry_sampler(self._lib, self._vocab, strength)
        return self._lib.llama_sampler_clone(self._dry[strength])

    def draw(self, sampler: Sampler, output: int) -> int:
        """The next token, from the so-manieth output of the last reading."""
        self._check()
        if sampler not in self._samplers or not 0 <= output < len(self._outputs):
            raise ValueError("nothing was computed to draw from")
        at = self._outputs[output]
        return sampler.draw(self._context, at)

    def let_go(self, sampler: Sampler) -> None:
        if sampler in self._samplers:
            self._samplers.remove(sampler)
            sampler.free()

    def close(self) -> None:
        """Once; whatever is asked afterwards is refused."""
        if self._context is None:
            return
        context, model, self._context, self._model = self._context, self._model, None, None
        for sampler in self._samplers:
            sampler.free()
        self._samplers.clear()
        for dry in self._dry.values():
            self._lib.llama_sampler_free(dry)
        self._dry.clear()
        self._aside.clear()
        self._lib.llama_batch_free(self._batch)
        self._lib.llama_free(context)
        self._lib.llama_model_free(model)

    def _check(self) -> None:
        if self._context is None:
            raise ModelUnavailable("the model is closed")
        if threading.get_ident() != self._owner:
            raise RuntimeError("a model belongs to the thread that opened it")


def has_amx() -> bool:
    try:
        return " amx" in Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False  # only Linux tells; the Macs and most others have none


def _check_file(path: Path) -> None:
    try:
        with path.open("rb") as file:
            begin = file.read(4)
    except OSError as error:
        raise ModelUnavailable(f"{path} cannot be read: {error.strerror}") from None
    if begin != b"GGUF":
        raise ModelUnavailable(f"{path} is no GGUF file, or was not downloaded whole.")


def loaded(lib: Any, path: Path, *, gpu_layers: int, progress: Callable[[float], bool] | None = None) -> Any:
    """The model of a file, whatever it can do; it has a vocabulary."""
    _check_file(path)
    if _LOG._callback is None:
        _LOG.install(lib)
    _LOG.clear()
    lib.llama_backend_init()
    params = lib.llama_model_default_params()
    params.n_gpu_layers = gpu_layers
    # Repacked weights are twice as quick, and crash on processors with AMX (ggml-org/llama.cpp#20824).
    params.use_extra_bufts = not has_amx()
    if progress is not None:
        params.progress_callback = lib.llama_progress_callback(lambda part, _data: progress(part))
    model = lib.llama_model_load_from_file(os.fsencode(path), params)
    if not model:
        raise ModelUnavailable(f"{path.name} cannot be loaded: {why()}")
    # Asked for tokens, a model without words ends the process.
    if lib.llama_vocab_type(lib.llama_model_get_vocab(model)) == lib.LLAMA_VOCAB_TYPE_NONE:
        lib.llama_model_free(model)
        raise ModelUnavailable(f"{path.name} has no vocabulary: it reads no words.")
    return model


def why() -> str:
    """The library's last complaint, where something has failed."""
    return _LOG.reason()


def _context(lib: Any, model: Any, options: Options, numbers: Numbers) -> Any:
    check_memory(lib, model, options.cells, numbers)
    params = lib.llama_context_default_params()
    params.n_ctx = options.cells
    params.n_batch = options.batch
    params.n_ubatch = min(options.batch, 512)
    params.n_seq_max = options.seqs + 1
    params.n_threads = params.n_threads_batch = options.threads
    params.type_k = params.type_v = numbers.kind
    # One memory for all sequences, so that a beginning is stored once; whole also where a model would let go of it.
    params.kv_unified = True
    params.swa_full = True
    params.no_perf = True
    if on_processor(lib, options) and not numbers.packed:
        # On processors flash attention takes longer, the more the deeper a talk is.
        params.flash_attn_type = lib.LLAMA_FLASH_ATTN_TYPE_DISABLED
    context = lib.llama_init_from_model(model, params)
    if not context:
        # What shares a scale, only flash attention reads: not every GPU has it for every model.
        packed = ", or set language.numbers to f16" if numbers.packed else ""
        raise ModelUnavailable(
            f"There is no memory for {options.cells} tokens ({why()}): lower language.memory or "
            f"language.context{packed}."
        )
    return context


def on_processor(lib: Any, options: Options) -> bool:
    return not (options.gpu_layers and lib.llama_supports_gpu_offload())
