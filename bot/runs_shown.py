"""Runs as other programs see them: the same JSON from the API and from `--json`."""

from __future__ import annotations

from typing import Any

from engine.estimating import Expected
from engine.runs import Plan, Standing
from engine.store.cohorts import Pictured
from engine.store.runs import named


def run_shown(standing: Standing) -> dict[str, Any]:
    """A run as other programs see it."""
    run, counts = standing.run, standing.counts
    return {
        "id": run.id,
        "key": run.key,
        "version": run.version,
        "name": named(run),
        "kind": run.kind,
        "state": run.state,
        "current": run.current,
        "cohort": run.cohort,
        "style": run.style,
        "size": run.size,
        "prompt": f"{run.prompt_name}.{run.prompt_version}",
        "notes": run.notes,
        "created_at": run.created_at.isoformat(),
        "ended_at": run.ended_at.isoformat() if run.ended_at else None,
        "total": standing.total,
        "made": counts.made,
        "failed": counts.failed,
        "cancelled": standing.cancelled,
        "left": standing.left,
        "pictures": counts.pictures,
        "stand_ins": counts.stand_ins,
        "seconds": counts.seconds,
        "cost": counts.cost,
        "currency": standing.currency,
        "expected": _expected(standing.expected),
    }


def pictured_shown(found: Pictured) -> dict[str, int]:
    return {"total": found.total, "with": found.pictured, "without": found.bare}


def plan_shown(plan: Plan) -> dict[str, Any]:
    return {
        "key": plan.key,
        "cohort": plan.cohort,
        "total": plan.total,
        "expected": _expected(plan.expected),
        "cost": plan.cost,
        "currency": plan.currency,
        "goes_on": named(plan.goes_on) if plan.goes_on else None,
        "members": [
            {"id": member.id, "persona_id": member.persona_id, "slug": member.slug, "name": member.name}
            for member in plan.members
        ],
    }


def _expected(expected: Expected | None) -> dict[str, float] | None:
    return {"likely": expected.likely, "at_most": expected.at_most} if expected else None
