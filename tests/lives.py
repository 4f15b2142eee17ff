"""A process that lives of a house are forked from, so that one may be killed and the next one begins at once.

Whoever kills them writes a line of JSON for each, and reads when it was born and how it ended. It knows no house.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import traceback
from collections.abc import Callable, Coroutine
from typing import Any


def bear(live: Callable[[Any], Coroutine[Any, Any, None]]) -> None:
    """Until nobody wants another one. Everything is imported before, once; this process itself opens nothing."""
    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if child == 0:
            code = 1
            try:
                asyncio.run(live(order))
                code = 0
            except BaseException:
                traceback.print_exc()
                raise
            finally:
                os._exit(code)
        print(json.dumps({"born": child}), flush=True)
        _, status = os.waitpid(child, 0)
        print(json.dumps({"ended": os.waitstatus_to_exitcode(status)}), flush=True)
