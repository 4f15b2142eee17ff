"""`make bench`: every benchmark in turn."""

from __future__ import annotations

from tests.bench import engine

if __name__ == "__main__":
    engine.main()
