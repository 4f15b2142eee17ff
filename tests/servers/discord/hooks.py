"""The routes that a token in their path opens: webhooks, the callback of an interaction, and its follow-ups."""

from __future__ import annotations

from tests.servers.discord import limits, rules
from tests.servers.discord.calls import Answer, Call, Route
from tests.servers.discord.channels import Channel
from tests.servers.discord.interactions import ANSWERS, AUTOCOMPLETE, COMPONENT, Interaction
from tests.servers.discord.messages import Face, Message, Webhook
from tests.servers.discord.permissions import EPHEMERAL, LOADING, PERMISSIONS
from tests.servers.discord.posting import compose, edited, v2
from tests.servers.discord.rules import Json, Refusal, bad_form

#: How many webhooks a channel may have.
MOST_WEBHOOKS = 15
#: How many follow-ups a command takes where only the person installed the bot.
MOST_FOLLOW_UPS = 5
MESSAGE, DEFER, DEFER_UPDATE, UPDATE, CHOICES, MODAL = 4, 5, 6, 7, 8, 9


# Webhooks of a channel.


def create_webhook(call: Call) -> Answer:
    channel = call.channel()
    call.require(channel, "manage_webhooks")
    rules.check_webhook_name(call.form.get("name"), "name")
    if channel.guild is None or channel.is_thread:
        raise Refusal(400, 50024, "Cannot execute action on this channel type", "webhook where none can be")
    if sum(one.channel is channel for one in call.world.webhooks.values()) >= MOST_WEBHOOKS:
        raise Refusal(
            400, 30007, f"Maximum number of webhooks reached ({MOST_WEBHOOKS})", "too many webhooks"
        )
    return channel.webhook(call.form["name"], call.bot).payload()


def list_webhooks(call: Call) -> Answer:
    channel = call.channel()
    call.require(channel, "manage_webhooks")
    return [_shown(call, one) for one in call.world.webhooks.values() if one.channel is channel]


def _shown(call: Call, webhook: Webhook) -> Json:
    form = webhook.payload()
    if webhook.owner.is_bot and webhook.owner is not call.caller:
        # The token of another application's webhook stays with it.
        del form["token"]
    return form


def guild_webhooks(call: Call) -> Answer:
    guild = call.guild()
    if not guild.permissions_of(call.bot) & PERMISSIONS["manage_webhooks"]:
        raise Refusal(403, 50013, "Missing Permissions")
    return [_shown(call, one) for one in call.world.webhooks.values() if one.channel.guild is guild]


def _webhook(call: Call) -> Webhook:
    webhook = call.world.webhooks.get(call.number("webhook"))
    if webhook is None:
        raise Refusal(404, 10015, "Unknown Webhook")
    if "token" in call.params and call.params["token"] != webhook.token:
        raise Refusal(401, 50027, "Invalid Webhook Token", "wrong webhook token")
    if "token" not in call.params:
        call.require(webhook.channel, "manage_webhooks")
    return webhook


def get_webhook(call: Call) -> Answer:
    return _shown(call, _webhook(call))


def change_webhook(call: Call) -> Answer:
    webhook = _webhook(call)
    if "name" in call.form:
        rules.check_webhook_name(call.form["name"], "name")
        webhook.name = call.form["name"]
    if call.form.get("channel_id"):
        webhook.channel = call.world.channels[int(call.form["channel_id"])]
    return webhook.payload()


def delete_webhook(call: Call) -> Answer:
    webhook = _webhook(call)
    del call.world.webhooks[webhook.id]
    webhook.channel.tell_webhooks()
    return None


def execute(call: Call) -> Answer:
    """Both kinds: a message by a webhook, or a follow-up to an interaction."""
    if call.interaction() is not None or call.number("webhook") not in call.world.webhooks:
        return follow_up(call)
    webhook, form = _webhook(call), call.form
    channel = _in_thread(call, webhook)
    if form.get("username") is not None:
        rules.check_webhook_name(form["username"])
    avatar = form.get("avatar_url")
    if avatar is not None and (not str(avatar).startswith(("http:", "https:")) or len(str(avatar)) > 2048):
        raise bad_form("avatar_url", "Not a well formed URL.", "webhook avatar is no URL")
    rules.check_message(form, call.uploads, size_limit=call.size_limit)
    rules.check_not_empty(form.get("content"), form.get("embeds"), call.uploads, v2(form))
    message = compose(call, channel, webhook.owner, right=True)
    message.webhook = webhook
    message.flags &= ~EPHEMERAL
    message.shown_as = Face(form.get("username") or webhook.name, avatar, True)
    channel.add(message)
    return message.payload(call.caller) if call.query.get("wait") in ("1", "true", "True") else None


def _in_thread(call: Call, webhook: Webhook) -> Channel:
    number = call.query.get("thread_id")
    if not number:
        return webhook.channel
    thread = call.world.channels.get(int(number))
    if thread is None or thread.parent is not webhook.channel:
        raise Refusal(404, 10003, "Unknown Channel")
    return thread


def _hooked(call: Call) -> tuple[Message, Interaction | None]:
    """The message that a token may see: one of the webhook's, or an answer to the interaction."""
    name = call.params["message"]
    if call.number("webhook") in call.world.webhooks:
        webhook = _webhook(call)
        message = _in_thread(call, webhook).every_message.get(int(name) if name.isdecimal() else 0)
        if message is None or message.deleted or message.webhook is not webhook:
            raise Refusal(404, 10008, "Unknown Message")
        return message, None
    one = _alive(call)
    found = one.messages if name != "@original" else [one.response] if one.response else []
    for message in found:
        if not message.deleted and name in ("@original", str(message.id)):
            return message, one
    raise Refusal(404, 10008, "Unknown Message")


def get_hooked(call: Call) -> Answer:
    message, _ = _hooked(call)
    return message.payload(call.caller)


def edit_hooked(call: Call) -> Answer:
    message, one = _hooked(call)
    if message.loading:
        message.flags &= ~LOADING
    edited(call, message, author=one.bot if one else message.author)
    if one is not None:
        one.channel.signal.ring()
    return message.payload(call.caller)


def delete_hooked(call: Call) -> Answer:
    message, one = _hooked(call)
    message.channel.drop(message, by=one.bot if one else message.author)
    return None


# Interactions.


def callback(call: Call) -> Answer:
    one = call.interaction()
    if one is None or call.number("interaction") != one.id:
        raise Refusal(404, 10062, "Unknown interaction", "answered an interaction that never was")
    if call.world.monotonic() > one.due and one.acknowledged is None:
        call.interactions.late(one)
        raise Refusal(404, 10062, "Unknown interaction")
    if one.acknowledged is not None:
        rule = "" if one.excused else "interaction acknowledged twice"
        raise Refusal(400, 40060, "Interaction has already been acknowledged.", rule)
    kind = int(call.form.get("type") or 0)
    allowed = ANSWERS[one.kind]
    if kind not in allowed or (kind in (DEFER_UPDATE, UPDATE) and one.message is None):
        raise bad_form("type", f"Value must be one of {allowed}.", "callback of the wrong kind")
    call.form = call.form.get("data") or {}
    _answer(call, one, kind)
    one.acknowledged = kind
    one.acknowledged_at = call.world.monotonic()
    one.channel.signal.ring()
    if call.query.get("with_response") not in ("1", "true"):
        return None
    about: Json = {"id": str(one.id), "type": one.kind}
    resource: Json = {"type": kind}
    if one.response is not None:
        about |= {
            "response_message_id": str(one.response.id),
            "response_message_loading": one.response.loading,
            "response_message_ephemeral": one.response.ephemeral,
        }
        if kind in (MESSAGE, UPDATE):
            resource["message"] = one.response.payload(one.bot)
    return {"interaction": about} if kind == AUTOCOMPLETE else {"interaction": about, "resource": resource}


def _answer(call: Call, one: Interaction, kind: int) -> None:
    form = call.form
    if kind == CHOICES:
        rules.check_choices(form.get("choices"))
        one.choices = form.get("choices") or []
    elif kind == MODAL:
        rules.check_modal(form)
        one.modal = form
    elif kind == DEFER:
        one.response = _said(call, one)
        one.response.flags |= LOADING
        one.channel.add(one.response)
    elif kind == MESSAGE:
        rules.check_message(form, call.uploads, size_limit=call.size_limit)
        rules.check_not_empty(form.get("content"), form.get("embeds"), call.uploads, v2(form))
        one.response = _said(call, one)
        one.channel.add(one.response)
    else:
        # 6 and 7: "@original" is the message whose component it was.
        one.response = one.message
        if kind == UPDATE and one.message is not None:
            if one.message.deleted:
                raise Refusal(404, 10008, "Unknown Message")
            edited(call, one.message, author=one.bot)


def _said(call: Call, one: Interaction) -> Message:
    message = compose(call, one.channel, one.bot)
    message.application = one.bot
    message.metadata = one.metadata
    message.type = 20 if one.kind != COMPONENT else 0
    message.ephemeral_for = one.person if message.ephemeral else None
    if one.kind == COMPONENT and one.message is not None and not one.message.ephemeral:
        message.reference, message.reference_id = one.message, one.message.id
    return message


def _alive(call: Call) -> Interaction:
    one = call.interaction()
    if one is None:
        raise Refusal(404, 10015, "Unknown Webhook", "an unknown token")
    if call.world.monotonic() > one.dies_at:
        raise Refusal(401, 50027, "Invalid Webhook Token", "interaction token used after its life")
    if one.acknowledged is None:
        rule = "" if one.excused or one.settled else "followed up before acknowledging"
        raise Refusal(404, 10015, "Unknown Webhook", rule)
    return one


def follow_up(call: Call) -> Answer:
    one, form = _alive(call), call.form
    rules.check_message(form, call.uploads, size_limit=call.size_limit)
    rules.check_not_empty(form.get("content"), form.get("embeds"), call.uploads, v2(form))
    thinking = one.response
    if one.acknowledged == DEFER and thinking is not None and thinking.loading and not thinking.deleted:
        # The first follow-up takes the place of "thinking", and is as hidden as that was.
        thinking.flags &= ~LOADING
        edited(call, thinking, author=one.bot)
        one.channel.signal.ring()
        return thinking.payload(one.bot)
    if "0" not in one.metadata["authorizing_integration_owners"] and len(one.followups) >= MOST_FOLLOW_UPS:
        # A bot that was started anew cannot know how many there were.
        raise Refusal(400, 40094, "This interaction has hit the maximum number of follow up messages")
    message = _said(call, one)
    one.followups.append(message)
    one.channel.add(message)
    return message.payload(one.bot)


_HOOK = "/webhooks/{webhook}/{token}"

ROUTES = (
    Route("POST /channels/{channel}/webhooks", create_webhook),
    Route("GET /channels/{channel}/webhooks", list_webhooks),
    Route("GET /guilds/{guild}/webhooks", guild_webhooks),
    Route("GET /webhooks/{webhook}", get_webhook),
    Route("PATCH /webhooks/{webhook}", change_webhook),
    Route("DELETE /webhooks/{webhook}", delete_webhook),
    Route(f"GET {_HOOK}", get_webhook, authorised=False),
    Route(f"PATCH {_HOOK}", change_webhook, authorised=False),
    Route(f"DELETE {_HOOK}", delete_webhook, authorised=False),
    Route(f"POST {_HOOK}", execute, limits.WEBHOOK, authorised=False),
    Route(f"GET {_HOOK}/messages/{{message}}", get_hooked, authorised=False),
    Route(f"PATCH {_HOOK}/messages/{{message}}", edit_hooked, limits.WEBHOOK, authorised=False),
    Route(f"DELETE {_HOOK}/messages/{{message}}", delete_hooked, limits.WEBHOOK, authorised=False),
    Route("POST /interactions/{interaction}/{token}/callback", callback, authorised=False),
)
