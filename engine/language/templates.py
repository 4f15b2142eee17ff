"""Pure: a talk in the form that a model was taught, with what people wrote kept apart from the form.

Models bring the form as a jinja template. It is rendered with marks in place of what was said, so that a person's
`<|im_end|>` is text for ever, and never a token of the form. Some forms know no system role, or want the two to speak
strictly in turn: what a form refuses or leaves out is folded into the next words of the person.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import structlog

from engine.errors import ModelUnavailable

log = structlog.get_logger(__name__)

CHATML = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
#: Stand for what was said while the form is rendered. Nobody's words contain them when that happens.
_OPEN, _CLOSE = "\ue000", "\ue001"


@dataclass(frozen=True)
class Message:
    role: str
    text: str


@dataclass(frozen=True)
class Part:
    """A stretch of a prompt: a piece of the form, or something that was said."""

    text: str
    is_form: bool


@dataclass(frozen=True)
class Form:
    """A model's own form; a template that cannot be used is replaced by ChatML, which most models have seen."""

    template: str = CHATML
    begins: str = ""
    ends: str = ""

    def parts(self, messages: Sequence[Message]) -> list[Part]:
        """The prompt for the assistant's next words."""
        said = [Message(one.role, one.text.strip()) for one in messages if one.text.strip()]
        for shape in (_merged, _folded) if not self._refuses_system else (_folded,):
            try:
                parts = self._rendered(shape(said))
            except Exception as error:  # whatever a template that came with a file may raise
                refusal = error
                continue
            if {part.text for part in parts if not part.is_form} >= {one.text for one in said}:
                return parts
            refusal = ValueError("it leaves out what was said")
        if self.template in ("", CHATML):
            raise ModelUnavailable(f"The model's chat template cannot be used: {refusal}")
        log.warning("chat_template_not_used", cause=str(refusal)[:300])
        return self._plainly.parts(said)

    @cached_property
    def _plainly(self) -> Form:
        """The form that most models have seen, where their own cannot be used."""
        return Form(CHATML, self.begins, self.ends)

    @cached_property
    def thinks(self) -> bool:
        """Whether the form opens a thought for the model, so that what it writes begins inside one."""
        try:
            end = self.parts([Message("user", "one")])[-1].text.rstrip()
        except ModelUnavailable:
            return False
        return end.endswith(("<think>", "<thinking>", "<|think|>", "[THINK]"))

    @cached_property
    def _refuses_system(self) -> bool:
        """Whether a system message behind the beginning is refused, moved or left out: found out once, on a trial."""
        trial = [
            Message("system", "one"),
            Message("user", "two"),
            Message("assistant", "three"),
            Message("system", "four"),
            Message("user", "five"),
        ]
        try:
            said = [part.text for part in self._rendered(trial) if not part.is_form]
        except Exception:
            return True
        return said != [one.text for one in trial]

    def _rendered(self, messages: Sequence[Message | tuple[str, tuple[str, ...]]]) -> list[Part]:
        texts: list[str] = []
        marked = []
        for one in messages:
            role, pieces = (one.role, (one.text,)) if isinstance(one, Message) else one
            marks = []
            for piece in pieces:
                marks.append(f"{_OPEN}{len(texts)}{_CLOSE}")
                texts.append(piece)
            marked.append({"role": role, "content": "\n\n".join(marks)})
        rendered = self._render(
            messages=marked,
            add_generation_prompt=True,
            enable_thinking=False,
            bos_token=self.begins,
            eos_token=self.ends,
            tools=None,
            strftime_now=lambda how: datetime.now().astimezone().strftime(how),
        )
        parts = []
        form, *stretches = rendered.split(_OPEN)
        parts.append(Part(form, is_form=True))
        for stretch in stretches:
            number, _, form = stretch.partition(_CLOSE)
            parts.append(Part(texts[int(number)], is_form=False))
            parts.append(Part(form, is_form=True))
        return [part for part in parts if part.text]

    @cached_property
    def _render(self) -> Callable[..., str]:
        # Only who runs a model of their own has jinja, and only then it is needed.
        from jinja2 import TemplateError
        from jinja2.ext import loopcontrols
        from jinja2.sandbox import ImmutableSandboxedEnvironment

        def refuse(why: str) -> None:
            raise TemplateError(why)

        # A template comes with a file from anywhere: it may format text, and nothing else.
        kitchen = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols], autoescape=False
        )
        kitchen.globals["raise_exception"] = refuse
        try:
            return kitchen.from_string(self.template or CHATML).render
        except TemplateError:
            return kitchen.from_string(CHATML).render


Shaped = list[Message | tuple[str, tuple[str, ...]]]


def _merged(messages: Sequence[Message]) -> Shaped:
    """What one role says in a row is one message of several pieces."""
    shaped: list[tuple[str, tuple[str, ...]]] = []
    for one in messages:
        if shaped and shaped[-1][0] == one.role:
            shaped[-1] = (one.role, (*shaped[-1][1], one.text))
        else:
            shaped.append((one.role, (one.text,)))
    return list(shaped)


def _folded(messages: Sequence[Message]) -> Shaped:
    """No system role, and strictly in turn, a person first."""
    told = [Message("user" if one.role == "system" else one.role, one.text) for one in messages]
    if told and told[0].role != "user":
        told.insert(0, Message("user", "…"))
    return _merged(told)
