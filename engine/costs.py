"""Pure: what pictures cost, by a price of the machine's time. Here alone money is rounded, so that sums agree.

A row keeps its cost to a billionth, for one picture may cost less than a cent; a person is told cents.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_FLOOR, ROUND_HALF_UP, Decimal

_KEPT, _TOLD = Decimal("1E-9"), Decimal("0.01")
_HOUR = Decimal(3600)


def of_time(seconds: float, per_hour: float) -> float:
    """What so much of the machine's time costs."""
    return _rounded(_exact(seconds) * _exact(per_hour) / _HOUR)


def kept(cost: float) -> float:
    """A cost as rows and sums have it, whatever floats made of it on their way."""
    return _rounded(_exact(cost))


def told(cost: float, currency: str = "") -> str:
    """For a person, to the cent.

    >>> told(0), told(0.004), told(12.345, "EUR")
    ('0', 'less than 0.01', '12.35 EUR')
    """
    exact = _exact(kept(cost))
    if not exact:
        return "0"
    cents = exact.quantize(_TOLD, ROUND_HALF_UP)
    return f"{cents} {currency}".strip() if cents else f"less than 0.01 {currency}".strip()


def told_together(amounts: Sequence[float]) -> tuple[str, ...]:
    """For a person, to the cent, so that what is told adds up to what is told of the sum.

    >>> told_together([0.334, 0.333, 0.333]), told_together([0.005, 0.005]), told_together([0.001, 0])
    (('0.34', '0.33', '0.33'), ('0.01', 'less than 0.01'), ('less than 0.01', '0'))
    """
    shares = apportioned([kept(amount) for amount in amounts], _TOLD)
    # A share that is nothing is told as such; one that has no cent of its own is told as less than that.
    return tuple(
        told(float(share)) if share or not kept(amount) else f"less than {_TOLD}"
        for amount, share in zip(amounts, shares, strict=True)
    )


def apportioned(amounts: Sequence[float], unit: Decimal) -> tuple[Decimal, ...]:
    """Each amount in whole units, so that they add up to their sum in whole units: what is left when all are rounded
    down goes, one unit each, to those that lost most by that; of equals to the first.
    """
    exact = [_exact(amount) for amount in amounts]
    floors = [one.quantize(unit, ROUND_FLOOR) for one in exact]
    left = int((sum(exact, Decimal()).quantize(unit, ROUND_HALF_UP) - sum(floors, Decimal())) / unit)
    most_lost = sorted(range(len(exact)), key=lambda at: floors[at] - exact[at])
    more = set(most_lost[:left])
    return tuple(one + unit if at in more else one for at, one in enumerate(floors))


def _exact(number: float) -> Decimal:
    # The shortest number that is this float: what somebody wrote, and not what the float is in binary.
    return Decimal(repr(float(number)))


def _rounded(cost: Decimal) -> float:
    return float(cost.quantize(_KEPT, ROUND_HALF_UP))
