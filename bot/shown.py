"""Jobs, pictures and personas as other programs see them: the same JSON from the API and from `--json`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from engine.locales import Locale
from engine.store import jobs
from engine.store.records import Job, PersonaRecord, Picture


def job_shown(
    job: Job, ahead: int | None, made: list[Picture], words: Locale | None = None
) -> dict[str, Any]:
    """A job as other programs see it. `words`: in their language, why nothing came of it; otherwise in English."""
    return {
        "id": job.id,
        "state": job.state.value,
        "lane": job.lane.value,
        "ahead": ahead,
        "step": job.step,
        "steps": job.steps,
        "attempts": job.attempts,
        "error": words.says(job.error) if words else job.error,
        "created_at": job.created_at.isoformat(),
        "started_at": job.started_at.isoformat() if job.started_at else None,
        "ended_at": job.ended_at.isoformat() if job.ended_at else None,
        "persona_id": job.persona_id,
        "request": jobs.request_to_json(job.request),
        "pictures": [picture_shown(picture) for picture in made],
    }


def ended_shown(job: Job, made: list[Picture]) -> dict[str, Any]:
    """A job that has ended, for whoever is called back."""
    return job_shown(job, None, made)


def persona_shown(record: PersonaRecord) -> dict[str, Any]:
    """Who somebody is, in the few words and colours that a chat needs."""
    persona = record.persona
    return {
        "id": record.id,
        "slug": persona.slug,
        "name": persona.name,
        "called": persona.called,
        "occupation": persona.occupation,
        "home": persona.home,
        "palette": list(persona.picture.palette),
    }


def picture_shown(picture: Picture) -> dict[str, Any]:
    shown = asdict(picture)
    shown["created_at"] = picture.created_at.isoformat()
    shown["image"] = f"/api/v1/pictures/{picture.id}"
    shown["thumb"] = f"/api/v1/pictures/{picture.id}/thumb"
    return shown
