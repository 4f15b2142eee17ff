"""`make bench`: every benchmark in turn. `python -m tests.bench fronts --only memory`: one of them, with options."""

from __future__ import annotations

import sys

from tests.bench import engine, fronts, language, pictures, posts, soak, studio

if __name__ == "__main__":
    name, rest = (sys.argv[1], sys.argv[2:]) if len(sys.argv) > 1 else ("", [])
    if name == "fronts":
        fronts.main(rest)
    elif name == "language":
        language.main(rest)
    elif name == "pictures":
        pictures.main(rest)
    elif name == "posts":
        posts.main(rest)
    elif name == "soak":
        soak.main(rest)
    elif name == "studio":
        studio.main(rest)
    elif name == "engine":
        sys.argv[1:] = rest
        engine.main()
    else:
        engine.main()
        fronts.main([])
        language.main([])
        pictures.main([])
        posts.main([])
        soak.main([])
        studio.main([])
