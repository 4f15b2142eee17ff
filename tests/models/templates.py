"""Chat templates as models ship them, and the special tokens that go with each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Template:
    jinja: str
    #: Control tokens of its own; the vocabulary adds those that every model has.
    specials: tuple[str, ...]
    #: What ends a turn.
    end_of_turn: str
    #: What begins a text; empty: what the vocabulary has.
    begin: str = ""


#: Any role, in any order: Qwen, Hermes and many more.
CHATML = Template(
    "{% for message in messages %}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
    ("<|im_start|>", "<|im_end|>"),
    "<|im_end|>",
)

#: Begins with the token that begins every text, as Llama 3 does.
LLAMA3 = Template(
    "{% set loop_messages = messages %}"
    "{% for message in loop_messages %}"
    "{% set content = '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'"
    "+ message['content'] | trim + '<|eot_id|>' %}"
    "{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}"
    "{{ content }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}",
    ("<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
    "<|eot_id|>",
    "<|begin_of_text|>",
)

#: Knows two roles that take turns, and refuses everything else, as Gemma and Mistral do.
NO_SYSTEM = Template(
    "{{ bos_token }}"
    "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for message in messages %}"
    "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}"
    "{% endif %}"
    "{% if (message['role'] == 'assistant') %}{% set role = 'model' %}"
    "{% else %}{% set role = message['role'] %}{% endif %}"
    "{{ '<start_of_turn>' + role + '\n' + message['content'] | trim + '<end_of_turn>\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{'<start_of_turn>model\n'}}{% endif %}",
    ("<start_of_turn>", "<end_of_turn>"),
    "<end_of_turn>",
)

TEMPLATES = {"chatml": CHATML, "llama3": LLAMA3, "no-system": NO_SYSTEM}
