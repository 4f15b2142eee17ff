"""Pure: what pictures cost, by a price of the machine's time. Here alone money is rounded, so that sums agree.

A row keeps its cost to a billionth, for one picture may cost less than a cent; a person is told cents.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

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


def _exact(number: float) -> Decimal:
    # The shortest number that is this float: what somebody wrote, and not what the float is in binary.
    return Decimal(repr(float(number)))


def _rounded(cost: Decimal) -> float:
    return float(cost.quantize(_KEPT, ROUND_HALF_UP))
