"""What LiteLLM's own pages and listings tell, amended: our names where they are ours, and nothing of others."""

from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import cast

from litellm.proxy._types import UserAPIKeyAuth

from neuronode_router.domain.decisions import Decision, Reason
from neuronode_router.litellm_plugin.hooks.offers import NameOffer, Offers
from neuronode_router.litellm_plugin.listing import listings
from neuronode_router.litellm_plugin.settings_page import shown_settings
from neuronode_router.routing.offer import Guarantee
from tests.host.test_deployments import of_team


def test_a_listing_leaves_a_teams_own_deployment_as_it_is() -> None:
    """LiteLLM shows it under the team's name, and stores a form as it was shown: only our own `chat` is amended."""
    decision = Decision("chat", "chat_premium", Reason.ACTIVE_PROFILE, revision=3, profile="p", task="chat")
    offers = SimpleNamespace(
        of=lambda _, names: {"chat": NameOffer(decision, ("g",), Guarantee())} if names else {}
    )
    rows = [of_team("chat", group="chat"), of_team("other", group="chat")]
    before = copy.deepcopy(rows)

    listings(cast(Offers, offers)).amend({"data": rows}, UserAPIKeyAuth())

    assert rows[0] == before[0]
    assert rows[1]["litellm_params"] == {"model": "g"}


def test_litellms_page_of_settings_shows_the_operators_aliases_everywhere() -> None:
    """What is shown is stored when the page is saved: none of our names stands in any place of the documents."""
    both = {"chat": "chat_premium", "mine": "chat_balanced"}
    fields = [{"field_name": "model_group_alias", "field_value": dict(both)}, {"field_name": "timeout"}]
    shown = {"router_settings": {"model_group_alias": dict(both)}, "fields": fields}
    shown |= {"current_values": {"model_group_alias": dict(both)}}

    shown_settings(lambda: {"mine": "chat_balanced"}).amend(shown, UserAPIKeyAuth())

    assert "chat_premium" not in repr(shown)
    assert repr(shown).count("'mine': 'chat_balanced'") == 3
