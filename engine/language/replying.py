"""Pure: the understudy's replies. A talk so far, a persona and a bank of lines become one to four sentences.

Knows no model and pretends to none: what was not understood is met with curiosity, not with a guess.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from engine.language import ReplyWanted
from engine.language.listening import Fact, Heard, Vocabulary, hear, mentions
from engine.language.phrasing import (
    Spoken,
    capitalised,
    cleaned,
    pick,
    sentences,
    uncapitalised,
    unused,
    with_article,
)
from engine.language.picturing import nearest_colour
from personas.persona import Interest, Persona
from personas.prompting import Line

Bank = Mapping[str, Mapping[str, Any]]

#: Lines further back than this are no longer listened to, so that a talk of years costs no more than one of days.
_REMEMBERED_LINES = 400
_MOST_SENTENCES = 4
#: Told a fact, the understudy asks after it no sooner than this many of the person's lines later.
_RECALL_AFTER = 3
#: What is answered before anything else, and without jokes.
_GRAVE = ("crisis", "bounds", "grief", "ill", "sad", "insult")
_ABOUT_ME = (
    "real", "picture", "remember_name", "remember", "own_name", "looks", "wearing", "doing", "how", "work", "home",
    "age", "joke", "story", "favourite", "likes", "dislikes", "love", "about", "advice",
)  # fmt: skip
#: Small courtesies: a whole reply when nothing else was said, else a word before it.
_COURTESIES = ("thanks", "compliment", "apology", "laugh", "greet")
_MACRO = re.compile(r"\{\{\s*(user|char)\s*\}\}|<(USER|BOT)>", re.I)
#: Words that lose their capital after an opener such as "As it happens,".
_JOINABLE = re.compile(
    r"(?:The|An?|It|That|There|No|You|We|They|This|Some|Nobody|Not|I|I'\w+|My|What|Because|Very)\b"
)


@dataclass(frozen=True)
class Talk:
    """What a reply is made from: who answers, what was heard, and what was said before."""

    persona: Persona
    bank: Bank
    rng: Random
    heard: Heard
    spoken: Spoken
    earlier: tuple[Heard, ...]
    facts: tuple[tuple[int, Fact], ...]
    name: str
    own_last: str
    interest: Interest | None
    values: Mapping[str, str]

    def say(self, section: str, key: str = "say", **more: str) -> str:
        return pick(self._lines(section, key), self.spoken, self.rng, {**self.values, **_with_capitals(more)})

    def ask(self, section: str, key: str = "ask", **more: str) -> str:
        """A question of this section that was never asked in this talk, or nothing."""
        values = {**self.values, **_with_capitals(more)}
        return pick(self._lines(section, key), self.spoken, self.rng, values, repeat=False)

    def _lines(self, section: str, key: str) -> Sequence[str]:
        lines: Sequence[str] = self.bank.get(section, {}).get(key, ())
        return lines


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
        talk = _talk(wanted, bank, known, attempt)
        text = _composed(talk, _answered(talk))
        if text and text not in rejected:
            return text
    return f"{text} {talk.ask('ask_back')}".strip() or talk.say("silence")


def _talk(wanted: ReplyWanted, bank: Bank, known: Vocabulary, attempt: int) -> Talk:
    persona, lines = wanted.persona, wanted.lines[-_REMEMBERED_LINES:]
    last = lines[-1] if lines else Line(by_persona=True, text="")
    heard = Heard() if last.by_persona else hear(last.text, known)
    earlier = tuple(hear(line.text, known) for line in lines[:-1][-80:] if not line.by_persona)
    mine = [cleaned(line.text) for line in lines if line.by_persona]
    spoken = Spoken.of([*mine, *map(cleaned, wanted.rejected)])
    own_last = mine[-1] if mine and len(lines) > 1 and lines[-2].by_persona else ""
    named = [h.name for h in (*earlier, heard) if h.name]
    name = named[-1] if named else _first_name(wanted.person_name)
    seeded = f"{wanted.seed}|{attempt}|{persona.slug}|{len(wanted.lines)}|{last.text[:4000]}|{own_last}"
    rng = Random(zlib.crc32(seeded.encode("utf-8", "surrogatepass")))
    everything = (*earlier, heard)
    facts = tuple((len(everything) - 1 - at, fact) for at, h in enumerate(everything) for fact in h.facts)
    persona = _spoken_to(persona, name)
    interest = _interest(persona, heard, own_last)
    about = facts[-1][1].about if heard.facts else _being(heard, facts)
    values = _values(persona, heard, spoken, rng, interest, name, about)
    values["comfort"] = pick(persona.voice.comforts or bank["comforts"]["say"], spoken, rng)
    values |= _with_capitals({"colour": nearest_colour(persona.picture.palette[:1], bank["colours"])})
    return Talk(persona, bank, rng, heard, spoken, earlier, facts, name, own_last, interest, values)


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
    for cue in ("grief", "ill", "sad"):
        if cue in cues and not ("good_news" in cues and cue != "grief"):
            own = talk.persona.voice.comforts and cue == "sad" and talk.rng.random() < 0.6
            body = talk.values["comfort"] if own else talk.say(cue)
            return Beats(body, talk.ask(cue), grave=True, must_ask=True)
    if "insult" in cues:
        return Beats(talk.say("insult"), talk.ask("insult"), grave=True)
    return None


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
    if asked in {"favourite", "likes", "doing"} and _topic_heard(talk) and talk.values.get("remark"):
        return Beats(talk.values["remark"], talk.ask(asked), lead)
    if asked == "advice" and _topic_heard(talk):
        return None
    return Beats(talk.say(asked), talk.ask(asked), lead)


def _odd(talk: Talk) -> Beats | None:
    cues = talk.heard.cues
    odd = next(
        (cue for cue in ("foreign", "gibberish", "wordless", "errand", "help", "farewell") if cue in cues),
        None,
    )
    if (
        odd is None
        or (odd in {"errand", "help"} and _topic_heard(talk))
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
    if not kind or talk.heard.facts or talk.heard.question and kind in {"yes", "no", "unsure"}:
        return None
    if kind in {"yes", "no", "unsure"} and not talk.own_last:
        return None
    if kind in {"both", "neither"} and not talk.own_last.endswith("?"):
        return None
    if _mourning(talk) and kind not in {"why", "again"}:
        return Beats(talk.say("tender"), talk.ask("tender"), grave=True)
    if kind == "why" and talk.own_last and not talk.own_last.rstrip().endswith("?") and talk.interest:
        return Beats(talk.values.get("remark") or talk.say("why"), _question(talk))
    return Beats(talk.say(kind), talk.ask(kind) or _question(talk), may_ask=kind not in {"why", "again"})


def _told(talk: Talk) -> Beats | None:
    """A name or a fact, taken in at once."""
    heard = talk.heard
    if heard.facts:
        fact = heard.facts[0]
        if fact.kind in {"ailing", "lost"}:
            cue = "grief" if fact.kind == "lost" else "ill"
            return Beats(talk.say(cue), talk.ask(cue), grave=True, must_ask=True)
        lead = _lead(talk)
        if _topic_heard(talk) and talk.values.get("remark"):
            return Beats(talk.values["remark"], _question(talk), lead)
        ask = talk.ask("told", f"ask_{fact.kind}", about=fact.about)
        return Beats(talk.say("told", fact.kind, about=fact.about), ask or _question(talk), lead)
    if heard.name and not _topic_heard(talk):
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
    if _topic_heard(talk):
        return None
    return Beats(talk.say("opinion"), talk.ask("opinion"), _lead(talk))


def _courtesy(talk: Talk) -> Beats | None:
    cues = talk.heard.cues
    if "good_news" in cues:
        return Beats(talk.say("good_news"), talk.ask("good_news"), must_ask=True)
    kind = next((c for c in _COURTESIES if ("greeting" if c == "greet" else c) in cues), None)
    if kind is None or len(talk.heard.words) > 9 or _topic_heard(talk) or talk.heard.question:
        return None
    if kind == "greet":
        return _greeting(talk)
    return Beats(talk.say(kind), talk.ask(kind))


def _topical(talk: Talk) -> Beats | None:
    """Something the persona cares about came up."""
    if not _topic_heard(talk) or talk.interest is None:
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
    return bool(talk.earlier) and bool(talk.earlier[-1].cues & {"grief", "ill", "sad"})


def _composed(talk: Talk, beats: Beats) -> str:
    """Put the beats together: an opener now and then, an aside, a question in two of three, never too long."""
    rng, persona = talk.rng, talk.persona
    body, lead = beats.body, beats.lead
    ask = _tail(talk, beats)
    if not beats.grave:
        openers = [o for o in persona.voice.openers if not o.endswith(",") or _JOINABLE.match(body)]
        if not lead and rng.random() < 0.3 and (opener := pick(openers, talk.spoken, rng, repeat=False)):
            lead, body = opener, uncapitalised(body) if opener.endswith(",") else body
        if not ask and len(sentences(f"{lead} {body}")) <= 2 and rng.random() < 0.45 and beats.may_ask:
            body = f"{body} {pick(persona.voice.asides, talk.spoken, rng, repeat=False)}".strip()
    if lead and (body.startswith(lead) or (talk.name and talk.name in lead and talk.name in body)):
        lead = ""
    parts = [part for part in (lead, body, ask) if part]
    while len(parts) > 1 and sum(len(sentences(part)) for part in parts) > _MOST_SENTENCES:
        parts.pop(0 if parts[0] == lead else -1)
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
    if (
        ask.endswith("?")
        and talk.name
        and talk.name not in f"{beats.lead} {beats.body} {ask}"
        and not _just_named(talk)
    ):
        if not beats.grave and talk.rng.random() < 0.35 and len(ask.split()) <= 12 and "," not in ask:
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


def _topic_heard(talk: Talk) -> bool:
    return talk.interest is not None and _score(talk.interest, talk.heard) > 0


def _score(interest: Interest, heard: Heard) -> int:
    named = [word for word in re.findall(r"[^\W_]+", interest.name) if len(word) > 3]
    return mentions(heard.words, dict.fromkeys((*interest.words, *named)))


def _interest(persona: Persona, heard: Heard, own_last: str) -> Interest | None:
    """What is being talked of: by the person's words, else by the persona's own last ones."""
    scored = [(_score(interest, heard), interest) for interest in persona.interests]
    best = max(scored, key=lambda pair: pair[0], default=(0, None))
    if best[0]:
        return best[1]
    for interest in persona.interests:
        if own_last and any(line in own_last for line in (*interest.questions, *interest.remarks)):
            return interest
    return None


def _values(
    persona: Persona,
    heard: Heard,
    spoken: Spoken,
    rng: Random,
    interest: Interest | None,
    name: str,
    about: str,
) -> dict[str, str]:
    """What the slots of the bank's lines may hold in this reply. Empty ones rule their lines out."""
    tastes, looks = persona.personality, persona.appearance
    likes, dislikes = _brief(tastes.likes), _brief(tastes.dislikes)
    rng.shuffle(likes)
    likes.sort(key=lambda like: spoken.holds(like))
    offered = interest or (rng.choice(persona.interests) if persona.interests else None)
    steady = zlib.crc32(persona.slug.encode())
    outfits, places = [o.description for o in looks.wardrobe], list(looks.places)
    occupation = uncapitalised(cleaned(persona.occupation, 80).rstrip("."))
    values = {
        "me": cleaned(persona.called, 80),
        "name": name,
        "occupation": occupation,
        "an_occupation": occupation if re.match(r"(?:an?|the) ", occupation) else with_article(occupation),
        "home": cleaned(persona.home, 80).rstrip("."),
        "age": str(persona.age) if persona.age is not None else "",
        "like": uncapitalised(likes[0]) if likes else "",
        "like_too": uncapitalised(likes[1]) if len(likes) > 1 else "",
        "dislike": uncapitalised(pick(dislikes, spoken, rng)) if dislikes else "",
        "quirk": pick(_brief(tastes.quirks), spoken, rng),
        "note": pick(_notes(persona), spoken, rng, repeat=False),
        "interest": uncapitalised(cleaned(offered.name, 60)) if offered else "",
        "remark": _remark(persona, offered, spoken, rng),
        "opener": pick(persona.voice.openers, spoken, rng, repeat=False),
        "clothes": outfits[steady % len(outfits)].rstrip(". ") if outfits else "",
        "place": places[steady % len(places)].rstrip(". ") if places else "",
        "body": ", ".join(cleaned(part, 120).rstrip(". ") for part in (looks.hair, looks.eyes) if part),
        "thing": heard.thing,
        "word": heard.word,
        "target": cleaned(heard.target, 60),
        "about": about,
    }
    return {**values, **_with_capitals(values)}


def _remark(persona: Persona, interest: Interest | None, spoken: Spoken, rng: Random) -> str:
    """Something the persona has not said yet: of this interest while there is any, else of another."""
    if interest is None:
        return ""
    if own := pick(interest.remarks, spoken, rng, repeat=False):
        return own
    return pick([r for other in persona.interests for r in other.remarks], spoken, rng, repeat=False)


def _with_capitals(values: Mapping[str, str]) -> dict[str, str]:
    return {**values, **{f"{slot}_cap": capitalised(value) for slot, value in values.items()}}


def _brief(lines: Sequence[str]) -> list[str]:
    return [cleaned(line, 160).rstrip(". ") for line in lines if line.strip()]


def _notes(persona: Persona) -> list[str]:
    """Sentences of the description that read as sentences; cards often hold lists and code instead."""
    told = sentences(cleaned(persona.description, 3_000))
    return [
        s
        for s in told
        if 25 <= len(s) <= 180 and s.endswith((".", "!")) and not set(s) & set('{}[]<>=|*_:#+"“”')
    ]


def _being(heard: Heard, facts: Sequence[tuple[int, Fact]]) -> str:
    """Whom a sad line is about, if it is about somebody other than the one who writes."""
    return heard.thing if heard.thing.startswith("your ") and not facts else ""


def _first_name(person_name: str) -> str:
    """A display name as it can be said aloud; what is no name is left out."""
    first = cleaned(person_name, 60).split(" ")[0]
    return first if first and len(first) <= 24 and all(c.isalpha() or c in "'’-" for c in first) else ""


def _just_named(talk: Talk) -> bool:
    return bool(talk.name) and talk.name in talk.own_last


def _spoken_to(persona: Persona, name: str) -> Persona:
    """The persona's own lines as said to this person: no macros left in them."""

    def said(text: str) -> str:
        return _MACRO.sub(
            lambda m: persona.called if (m[1] or m[2]).lower() in {"char", "bot"} else name or "friend", text
        )

    def all_said(lines: Sequence[str]) -> tuple[str, ...]:
        return tuple(line for line in (said(line).strip() for line in lines) if line)

    voice = persona.voice
    voice = voice.model_copy(
        update={key: all_said(getattr(voice, key)) for key in ("openers", "asides", "comforts", "farewells")}
    )
    interests = tuple(
        i.model_copy(update={"remarks": all_said(i.remarks), "questions": all_said(i.questions)})
        for i in persona.interests
    )
    return persona.model_copy(
        update={
            "voice": voice,
            "interests": interests,
            "greetings": all_said(persona.greetings[:8]),
            "description": said(persona.description[:6_000]),
        }
    )
