"""``gifting audit`` of what a run has left, as an operator would call it."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Final

AUDIT_WITHIN_S: Final = 300.0


async def prove(url: str) -> str:
    """What is wrong with the books, or ""."""
    words = ("-m", "gifting", "audit", "--json", "--redis", url)
    process = await asyncio.create_subprocess_exec(
        sys.executable, *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(AUDIT_WITHIN_S):
            output, error = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return f"gifting audit did not end within {AUDIT_WITHIN_S:.0f} s"
    if process.returncode:
        said = (output + error).decode(errors="replace").strip()[-2000:]
        return f"gifting audit ended with {process.returncode}: {said}"
    under_way = (json.loads(output)["crossed"] or {}).get("gifts")
    return f"{under_way} gifts are in outboxes still." if under_way else ""
