"""What LiteLLM says where every deployment of a name is taken out: the task API tells it from a limit by that."""

from __future__ import annotations

import pytest

from neuronode_router.tasks.completions import NOBODY_LEFT
from tests.host.routers import cool_down, deployment, router

NOWHERE = "http://127.0.0.1:9"


async def test_a_name_whose_deployments_cool_down_is_told_so() -> None:
    """With 429, like a limit; nobody was asked."""
    over = router([deployment("g", "one", NOWHERE)])
    cool_down(over, "one")

    with pytest.raises(Exception, match=f"^{NOBODY_LEFT}") as failure:
        await over.acompletion(model="g", messages=[{"role": "user", "content": "hello"}])

    # Before 1.110 the error has no status of its own: the proxy knows it by its class.
    assert getattr(failure.value, "status_code", 429) == 429
