"""A server on loopback that speaks OpenAI's language, answers by rule, and fails when told to.

`GET /v1/models` and `POST /v1/chat/completions`, streamed or not. Without a script it answers sensibly and always
the same: a prompt of 120 words to whoever asks for a picture's prompt, a persona as JSON to whoever wants one
invented, and a sentence to all else. A `Script` says what one call gets instead: other words in given pieces,
bytes cut anywhere, noise between them (comments, usage, rubbish, tool calls), a pause, a status, or a connection
that breaks. Rules hold for every call: which roles and fields the server takes, and which key it wants. What was
asked is kept in `calls`, and how many callers left before the end in `left_early`.
"""

from __future__ import annotations

from tests.servers.openai.server import NOISE, OpenAIServer, Script

__all__ = ["NOISE", "OpenAIServer", "Script"]
