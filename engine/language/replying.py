"""Pure: the understudy's replies. A talk so far, a persona and a bank of lines become one to four sentences.

Knows no model and pretends to none: what was not understood is met with curiosity, not with a guess.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from engine.language import ReplyWanted
from engine.language.listening import Heard, Vocabulary, mentions
from engine.language.phrasing import cleaned, pick, sentences, uncapitalised, unused
from engine.language.talking import Bank, Talk, talk_of

_MOST_SENTENCES = 4
#: Told a fact, the understudy asks after it no sooner than this many of the person's lines later.
_RECALL_AFTER = 3
_ABOUT_ME = (
    "real", "picture", "remember_name", "remember", "own_name", "looks", "wearing", "doing", "how", "likes", "work",
    "home", "age", "joke", "story", "favourite", "dislikes", "self", "love", "about", "advice",
    "family", "pets", "nosy", "missed",
)  # fmt: skip
#: Small courtesies: a whole reply when nothing else was said, else a word before it.
_COURTESIES = ("thanks", "compliment", "apology", "laugh", "greet")
#: Answers that are themselves put as questions.
_ASKING = frozenset({"why", "again", "really", "huh"})
#: What the persona asked, when "and you?" asks how it is.
_WELLBEING = re.compile(r"\bhow (?:are you|is it|did today)|truthfully\?", re.I)
#: Words that lose their capital after an opener such as "As it happens,".
_JOINABLE = re.compile(
    r"(?:The|An?|It|That|There|No|You|We|They|This|Some|Nobody|Not|I|I'\w+|My|What|Because|Very)\b"
)


@dataclass(frozen=True)
class Beats:
    """A reply in the making. A grave one takes no opener, no aside and no change of subject."""

    body: str
    ask: str = ""
    lead: str = ""
    grave: bool = False
    #: Whether the question belongs to the reply and is asked whatever the dice say.
    must_ask: bool = False
    may_ask: bool = True


def reply(wanted: ReplyWanted, bank: Bank, known: Vocabulary) -> str:
    """The next words of the persona. The same for the same talk and seed, and never one of those rejected."""
    rejected = {" ".join(text.split()) for text in wanted.rejected}
    text = ""
    for attempt in range(8):
        talk = talk_of(wanted, bank, known, attempt)
        text = _composed(talk, _answered(talk))
        if text and text not in rejected:
            return text
    return f"{text} {talk.ask('ask_back')}".strip() or talk.say("silence")


def _answered(talk: Talk) -> Beats:
    """The first thing heard that has an answer, gravest first."""
    heard, cues = talk.heard, talk.heard.cues
    if not heard.words and "wordless" not in cues:
        return _unprompted(talk)
    for answer in (_grave, _about_me, _odd, _follow_up, _told, _favour, _courtesy, _topical):
        if beats := answer(talk):
            return beats
    return _puzzled(talk)


def _unprompted(talk: Talk) -> Beats:
    """Nothing was said: greet, go on, or take the silence for what it is."""
    if "silence" in talk.heard.cues:
        if not talk.spoken.text:
            return _greeting(talk)
        return Beats(talk.say("silence"), talk.ask("silence"))
    if not talk.spoken.text:
        return _greeting(talk)
    return Beats(talk.say("continue"), talk.ask("continue"))


def _greeting(talk: Talk) -> Beats:
    own = pick(talk.persona.greetings, talk.spoken, talk.rng, repeat=False)
    if own and not talk.spoken.text:
        return Beats(" ".join(sentences(own)[:_MOST_SENTENCES]), may_ask=False)
    if any("greeting" in h.cues for h in talk.earlier):
        return Beats(talk.say("greet", "again"), talk.ask("greet"))
    return Beats(talk.say("greet"), talk.ask("greet"), must_ask=True)


def _grave(talk: Talk) -> Beats | None:
    cues = talk.heard.cues
    if "crisis" in cues:
        return Beats(talk.say("crisis"), grave=True, may_ask=False)
    if "bounds" in cues:
        return Beats(talk.say("bounds"), talk.ask("bounds"), grave=True, must_ask=True)
    recent = [h.cues for h in talk.earlier[-2:]]
    if any("crisis" in before for before in recent):
        return Beats(talk.say("crisis_follow"), grave=True, may_ask=False)
    for cue in ("grief", "ill", "sad") if _sorrow(talk.heard) else ():
        if cue in cues and not ("good_news" in cues and cue != "grief"):
            own = talk.persona.voice.comforts and cue == "sad" and talk.rng.random() < 0.6
            body = talk.values["comfort"] if own else talk.say(cue)
            return Beats(body, talk.ask(cue), grave=True, must_ask=True)
    if "insult" in cues:
        return Beats(talk.say("insult"), talk.ask("insult"), grave=True)
    return None


def _sorrow(heard: Heard) -> bool:
    """Whether something sad was told; a question whether the persona is sad is none."""
    first_person = set(heard.words) & {"i", "i'm", "i've", "im", "my", "me", "we", "our"}
    return bool(heard.cues & {"grief", "ill", "sad"}) and (not heard.question or bool(first_person))


def _about_me(talk: Talk) -> Beats | None:
    """Questions and requests that are put to the persona."""
    cues = talk.heard.cues
    asked = next((cue for cue in _ABOUT_ME if cue in cues), None)
    if asked is None or (asked == "how" and talk.heard.facts and not talk.heard.question):
        return None
    lead = _lead(talk)
    if asked == "remember_name":
        if talk.name:
            return Beats(talk.say(asked), lead=lead, may_ask=False)
        return Beats(talk.say(asked, "unknown"), talk.ask(asked), must_ask=True)
    if asked == "remember":
        told = _recollection(talk)
        return Beats(talk.say(asked, told=told) if told else talk.say(asked, "unknown"), may_ask=False)
    if asked == "own_name":
        ask = talk.ask(asked, "ask_named") if talk.name else talk.ask(asked)
        return Beats(talk.say(asked), ask, lead, must_ask=not talk.name)
    if asked == "favourite" and "colo" in talk.heard.target:
        return Beats(talk.say(asked, "colour"), talk.ask(asked), lead)
    if asked in {"favourite", "likes", "doing"} and talk.on_topic and talk.values.get("remark"):
        return Beats(talk.values["remark"], talk.ask(asked), lead)
    if asked in {"advice", "family", "pets"} and talk.on_topic:
        return None
    if asked in {"nosy", "missed"}:
        return Beats(talk.say(asked), may_ask=False)
    return Beats(talk.say(asked), talk.ask(asked), lead)


def _odd(talk: Talk) -> Beats | None:
    cues = talk.heard.cues
    odd = next(
        (
            cue
            for cue in ("foreign", "gibberish", "wordless", "errand", "ear", "help", "farewell")
            if cue in cues
        ),
        None,
    )
    if (
        odd is None
        or (odd in {"errand", "ear", "help"} and talk.on_topic)
        or (odd == "errand" and not _asks(talk))
    ):
        return None
    if odd == "farewell":
        own = talk.persona.voice.farewells
        body = pick(own, talk.spoken, talk.rng, repeat=False) if own and talk.rng.random() < 0.7 else ""
        return Beats(body or talk.say("farewell"), lead=_lead(talk), may_ask=False)
    return Beats(talk.say(odd), talk.ask(odd), must_ask=True, may_ask=odd != "foreign")


def _asks(talk: Talk) -> bool:
    return talk.heard.question or len(talk.heard.words) <= 25


def _follow_up(talk: Talk) -> Beats | None:
    """An answer to what the persona asked last: yes, no, both, why?"""
    kind = talk.heard.answer
    if not kind or talk.heard.facts or (talk.heard.question and kind not in _ASKING):
        return None
    if kind in {"yes", "no", "unsure", "fine"} and not talk.own_last:
        return None
    if kind in {"yes", "no", "unsure", "fine"} and not talk.own_last.endswith("?") and not _mourning(talk):
        return Beats(talk.say("nod", "no") if kind == "no" else talk.say("nod"), talk.ask("nod"))
    if kind in {"both", "neither"} and not talk.own_last.endswith("?"):
        return None
    if kind == "nod" and not _mourning(talk):
        return Beats(talk.say("nod"), talk.ask("nod"))
    if _mourning(talk) and kind not in _ASKING:
        return Beats(talk.say("tender"), talk.ask("tender"), grave=True)
    if kind == "more":
        wanted = [cue for h in talk.earlier[-4:] for cue in ("joke", "story") if cue in h.cues]
        return Beats(talk.say(wanted[-1] if wanted else "continue"), may_ask=False)
    if kind == "why" and talk.own_last and not talk.own_last.endswith("?"):
        return Beats(talk.say("why", "told"), _question(talk))
    if kind == "again" and _WELLBEING.search(talk.own_last):
        return Beats(talk.say("how"), may_ask=False)
    return Beats(talk.say(kind), talk.ask(kind) or _question(talk), may_ask=kind not in {"why", "again"})


def _told(talk: Talk) -> Beats | None:
    """A name or a fact, taken in at once."""
    heard = talk.heard
    if heard.facts:
        fact = heard.facts[0]
        if fact.kind in {"ailing", "lost"}:
            cue = "grief" if fact.kind == "lost" else "ill"
            return Beats(talk.say(cue), talk.ask(cue), grave=True, must_ask=True)
        if _mourning(talk):
            return Beats(talk.say("tender"), talk.ask("tender"), grave=True)
        lead = _lead(talk)
        if talk.on_topic and talk.values.get("remark"):
            return Beats(talk.values["remark"], _question(talk), lead)
        ask = talk.ask("told", f"ask_{fact.kind}", about=fact.about)
        return Beats(talk.say("told", fact.kind, about=fact.about), ask or _question(talk), lead)
    if heard.name and not talk.on_topic:
        lead = talk.say("greet", "lead") if "greeting" in heard.cues and talk.rng.random() < 0.5 else ""
        return Beats(
            talk.say("name"),
            talk.ask("name") if talk.rng.random() < 0.5 else talk.ask("greet"),
            lead,
            must_ask=True,
        )
    return None


def _favour(talk: Talk) -> Beats | None:
    """Opinions: an honest one where the persona has it, and none where it has not."""
    heard = talk.heard
    if "opinion" not in heard.cues or not heard.target:
        return None
    words = re.findall(r"[^\W_]+", heard.target)
    for key, held in (
        ("likes", talk.persona.personality.likes),
        ("dislikes", talk.persona.personality.dislikes),
    ):
        if mentions(re.findall(r"[^\W_]+", " ".join(held)), words):
            return Beats(talk.say("opinion", key), talk.ask("opinion"), _lead(talk))
    if talk.on_topic:
        return None
    return Beats(talk.say("opinion"), talk.ask("opinion"), _lead(talk))


def _courtesy(talk: Talk) -> Beats | None:
    cues = talk.heard.cues
    if "good_news" in cues:
        return Beats(talk.say("good_news"), talk.ask("good_news"), must_ask=True)
    kind = next((c for c in _COURTESIES if ("greeting" if c == "greet" else c) in cues), None)
    most = 3 if kind == "laugh" else 9
    if kind is None or len(talk.heard.words) > most or talk.heard.question:
        return None
    # "Good morning", said to somebody who has much to say of mornings, is still a greeting.
    if talk.on_topic and not (kind == "greet" and len(talk.heard.words) <= 3):
        return None
    if kind == "greet":
        return _greeting(talk)
    return Beats(talk.say(kind), talk.ask(kind))


def _topical(talk: Talk) -> Beats | None:
    """Something the persona cares about came up."""
    if not talk.on_topic or talk.interest is None or (_mourning(talk) and not talk.heard.question):
        return None
    fresh = unused(talk.interest.remarks, talk.spoken)
    body = talk.values.get("remark", "") if fresh else talk.say("topic", "spent")
    return Beats(body or talk.say("topic", "spent"), _question(talk), _lead(talk))


def _puzzled(talk: Talk) -> Beats:
    """Nothing matched. Say so with a word of theirs, and perhaps lead towards what the persona does know."""
    heard = talk.heard
    lead = _lead(talk)
    if heard.long:
        return Beats(talk.say("long"), talk.ask("long"), lead, must_ask=True)
    if heard.shouting and (
        shouted := pick(talk.bank["shouting"]["say"], talk.spoken, talk.rng, repeat=False)
    ):
        return Beats(shouted, talk.ask("unknown"), must_ask=True)
    if heard.question:
        return Beats(talk.say("question"), talk.ask("question") or _question(talk), lead)
    if _mourning(talk):
        return Beats(talk.say("tender"), talk.ask("tender"), grave=True)
    if talk.own_last.endswith("?"):
        body = talk.say("answer")
        if talk.interest and talk.rng.random() < 0.5 and unused(talk.interest.remarks, talk.spoken):
            return Beats(f"{body} {talk.values['remark']}", _question(talk), lead)
        return Beats(body, talk.ask("answer"), lead)
    body = talk.say("unknown")
    if talk.rng.random() < 0.5 and (steer := talk.ask("unknown", "steer")):
        return Beats(f"{body} {steer}", talk.ask("unknown"), lead)
    return Beats(body, talk.ask("unknown") or _question(talk), lead, must_ask=True)


def _mourning(talk: Talk) -> bool:
    """Whether the person spoke of something sad just before; then no jokes are made of what follows."""
    return bool(talk.earlier) and _sorrow(talk.earlier[-1])


def _composed(talk: Talk, beats: Beats) -> str:
    """Put the beats together: an opener now and then, an aside, a question in two of three, never too long."""
    rng, persona = talk.rng, talk.persona
    body, lead = beats.body, beats.lead
    ask = _tail(talk, beats)
    if not beats.grave:
        openers = [o for o in persona.voice.openers if not o.endswith(",") or _JOINABLE.match(body)]
        wanted = not lead and beats.may_ask and talk.spoken.text and rng.random() < 0.3
        if wanted and (opener := pick(openers, talk.spoken, rng, repeat=False)):
            lead, body = opener, uncapitalised(body) if opener.endswith(",") else body
        if not ask and len(sentences(f"{lead} {body}")) <= 2 and rng.random() < 0.45 and beats.may_ask:
            body = f"{body} {pick(persona.voice.asides, talk.spoken, rng, repeat=False)}".strip()
    if lead and (body.startswith(lead) or (talk.name and talk.name in lead and talk.name in body)):
        lead = ""
    parts = [part for part in (lead, body, ask) if part]
    while len(parts) > 1 and sum(len(sentences(part)) for part in parts) > _MOST_SENTENCES:
        parts.pop(0 if parts[0] == lead and not talk.heard.name else -1)
    text = " ".join(parts)
    whole = sentences(text)
    return text if len(whole) <= _MOST_SENTENCES else " ".join(whole[:_MOST_SENTENCES])


def _tail(talk: Talk, beats: Beats) -> str:
    """The question at the end, if there is to be one; sometimes about something told earlier."""
    if not beats.may_ask or "?" in beats.body:
        return ""
    if not beats.grave and not beats.must_ask and talk.rng.random() < 0.5 and (recalled := _recalled(talk)):
        return recalled
    if not beats.must_ask and talk.rng.random() < 0.3:
        return ""
    ask = beats.ask if beats.ask and not talk.spoken.holds(beats.ask) else ""
    if not ask and not beats.grave:
        ask = _question(talk)
    unnamed = talk.name and talk.name not in f"{beats.lead} {beats.body} {ask}" and not _just_named(talk)
    if unnamed and not beats.grave and talk.rng.random() < 0.35 and _takes_a_name(ask):
        return f"{ask[:-1]}, {talk.name}?"
    return ask


def _question(talk: Talk) -> str:
    """A question never asked in this talk: about what is being talked of, else one for anybody."""
    if talk.interest and (own := pick(talk.interest.questions, talk.spoken, talk.rng, repeat=False)):
        return own
    others = [
        q for interest in talk.persona.interests if interest is not talk.interest for q in interest.questions
    ]
    if talk.interest is None and others and talk.rng.random() < 0.6:
        own = pick(others, talk.spoken, talk.rng, repeat=False)
        if own:
            return own
    return talk.ask("ask_back") or pick(others, talk.spoken, talk.rng, repeat=False)


def _recalled(talk: Talk) -> str:
    """A question about something told a while ago, once for each thing told."""
    for age, fact in talk.facts:
        about = cleaned(fact.about, 80)
        asked = talk.bank["recall"].get(fact.kind, ())
        if (
            age < _RECALL_AFTER
            or not asked
            or any(talk.spoken.holds(q.replace("{about}", about)) for q in asked)
        ):
            continue
        if fact.kind in {"event", "ailing"} and any(
            "good_news" in later.cues for later in talk.earlier[-age:]
        ):
            continue
        return talk.ask("recall", fact.kind, about=about)
    return ""


def _recollection(talk: Talk) -> str:
    """The last few things told, as one clause after another."""
    clauses: Mapping[str, str] = talk.bank["clauses"]
    told = [clauses[fact.kind].replace("{about}", cleaned(fact.about, 80)) for _, fact in talk.facts[-3:]]
    if talk.name:
        told.insert(0, clauses["name"].replace("{about}", talk.name))
    told = list(dict.fromkeys(told))
    return ", and ".join([", ".join(told[:-1]), told[-1]]) if len(told) > 1 else "".join(told)


def _lead(talk: Talk) -> str:
    """A word for the greeting, the thanks or the name that came along with something else."""
    cues = talk.heard.cues
    if talk.heard.name:
        return talk.say("name", "lead")
    if "greeting" in cues and not talk.own_last:
        return talk.say("greet", "lead_named") if talk.name else talk.say("greet", "lead")
    for cue in ("thanks", "compliment"):
        if cue in cues:
            return talk.say(cue, "lead")
    return ""


def _just_named(talk: Talk) -> bool:
    return bool(talk.name) and talk.name in talk.own_last


def _takes_a_name(ask: str) -> bool:
    return ask.endswith("?") and "," not in ask and len(ask.split()) <= 12
