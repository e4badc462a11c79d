"""A switch from the page, in a proxy with two workers: shown before, confirmed by each worker, seen by other tabs."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager

import httpx
import pytest
from playwright.sync_api import Route, expect

from tests.browser.conftest import ADMIN
from tests.browser.tabs import Tab
from tests.support.place import FAILING

Another = Callable[..., AbstractContextManager[Tab]]


def ask(api: httpx.Client) -> str:
    """Return which group answers the task `chat`."""
    message = {"role": "user", "content": "hello"}
    answer = api.post("/v1/chat/completions", json={"model": "chat", "messages": [message]})
    return answer.headers["x-neuronode-group"]


def test_a_switch_is_one_click_and_taken_back_with_another(tab: Tab, api: httpx.Client) -> None:
    """Nothing speaks against it: it is made at once, every worker confirms, and the bar names where undo leads."""
    tab.button("Switch to balanced").click()
    expect(tab.undo).to_have_attribute("data-complete", "true")
    expect(tab.undo).to_contain_text("2 of 2 workers")
    expect(tab.active).to_have_text("balanced")
    switched = ask(api)
    tab.button("Undo: back to premium").click()
    expect(tab.undo).to_contain_text("premium answers now")
    expect(tab.active).to_have_text("premium")

    assert (switched, ask(api)) == ("chat_balanced", "chat_premium")
    assert [entry["action"] for entry in api.get("/admin/audit?limit=2").json()["entries"]] == [
        "rollback",
        "switch",
    ]


def test_what_speaks_against_a_switch_opens_the_dialog(tab: Tab, api: httpx.Client) -> None:
    """A task that was shown to fail: nothing is switched before somebody has seen it."""
    asked = {"live": "true", "profile": "specialized", "task": "trading_analysis"}
    api.post("/admin/proof/validate", params=asked).raise_for_status()
    tab.button("Switch to specialized").click()
    expect(tab.dialog).to_contain_text("1 task was shown to fail.")
    tab.page.keyboard.press("Escape")

    expect(tab.dialog).to_have_count(0)
    assert ask(api) == "chat_premium"


def test_a_much_dearer_profile_is_looked_at_first(tab: Tab) -> None:
    """More than a quarter above what the recorded requests have cost is said, with the share."""

    def dearer(route: Route) -> None:
        answer = route.fetch()
        plan = answer.json()
        plan["cost_after"]["usd"] = 1.5 * plan["cost_before"]["usd"]
        route.fulfill(response=answer, json=plan)

    tab.page.route("**/admin/plan", dearer)
    tab.button("Switch to balanced").click()

    expect(tab.dialog).to_contain_text("would have cost 50% more")


LOOKS = {
    "**/admin/plan": "What it would cost could not be found out.",
    "**/proof/matrix*": "Whether its tasks are answered could not be found out.",
    "**/rollouts?limit=1": "Whether a rollout runs could not be found out.",
}

UNANSWERED: dict[str, Callable[[Route], None]] = {
    "refused": lambda route: route.fulfill(status=503, json={"code": "store_unavailable"}),
    "too many": lambda route: route.fulfill(status=429, json={"code": "rate_limited"}),
    "broken": lambda route: route.fulfill(status=200, body="{"),
    "never": lambda _: None,
}


@pytest.mark.parametrize("path", LOOKS)
@pytest.mark.parametrize("answer", UNANSWERED)
def test_what_could_not_be_checked_is_looked_at_first(
    tab: Tab, api: httpx.Client, answer: str, path: str
) -> None:
    """Nothing is switched blind, nor waits without bound: the dialog says what nobody could tell."""
    tab.page.route(path, UNANSWERED[answer])
    tab.button("Switch to balanced").click()

    expect(tab.dialog).to_contain_text(LOOKS[path])
    assert api.get(f"{ADMIN}/status").json()["active_profile"] == "premium"


def test_a_dry_run_that_never_answers_opens_the_dialog(tab: Tab) -> None:
    """The buttons of the screen do not wait for it without bound."""
    tab.page.route("**/profiles/switch", lambda _: None)
    tab.button("Switch to balanced").click()

    expect(tab.dialog).to_be_visible(timeout=30_000)


@pytest.mark.parametrize("status", [403, 404])
def test_what_this_proxy_does_not_have_speaks_against_nothing(tab: Tab, status: int) -> None:
    """Without a record, a matrix and rollouts a switch is one click, too."""
    for path in LOOKS:
        tab.page.route(path, lambda route: route.fulfill(status=status, json={"code": "no_such_path"}))
    tab.button("Switch to balanced").click()

    expect(tab.undo).to_contain_text("balanced answers now")


def test_a_model_that_is_not_there_is_looked_at_first(tab: Tab) -> None:
    """The dialog says why it asks, and what the proxy says of each model."""
    sentence = "llama3.1:70b is not present on gpu:11434; `pull` has it fetched."
    missing = [{"server": "gpu:11434", "model": "llama3.1:70b", "bytes": None, "seconds": None, "why": ""}]

    def cold(route: Route) -> None:
        answer = route.fetch()
        warm = {"mode": "background", "order": "ready", "missing": missing, "said": [sentence], "waited_s": 0}
        rest = {name: [] for name in ("to_load", "loaded", "unloaded", "failed")}
        route.fulfill(response=answer, json={**answer.json(), "warm": {**warm, **rest}})

    tab.page.route("**/profiles/switch", cold)
    tab.button("Switch to balanced").click()

    expect(tab.dialog).to_contain_text("1 local model is not there.")
    expect(tab.dialog).to_contain_text(sentence)


def test_a_switch_is_shown_confirmed_by_every_worker_and_in_force(tab: Tab, api: httpx.Client) -> None:
    """Diff before, a reason, a receipt of both workers, and requests are answered by the new profile."""
    tab.button("Look at balanced first").click()
    expect(tab.dialog.get_by_role("row", name="chat ")).to_contain_text("chat_premium")
    expect(tab.dialog.get_by_role("row", name="chat ")).to_contain_text("chat_balanced")
    tab.dialog.get_by_label("Reason").fill("from the page")
    tab.dialog.get_by_role("button", name="Switch to balanced").click()

    expect(tab.dialog.locator("[data-complete=true]")).to_be_visible()
    expect(tab.dialog.get_by_text("applied", exact=True)).to_have_count(2)
    tab.button("Done").click()
    expect(tab.active).to_have_text("balanced")
    assert ask(api) == "chat_balanced"
    assert api.get("/admin/audit?limit=1").json()["entries"][0]["reason"] == "from the page"


def test_the_last_change_is_undone_with_two_clicks(tab: Tab, api: httpx.Client) -> None:
    """Undo shows what returns, and returns it."""
    api.post(f"{ADMIN}/switch", json={"profile": "ultra_fast"})
    expect(tab.active).to_have_text("ultra_fast")
    tab.button("Undo last change …").click()
    expect(tab.dialog.get_by_role("row", name="chat ")).to_contain_text("chat_premium")
    expect(tab.dialog.get_by_role("heading", level=2)).to_contain_text("ultra_fast \u2192 premium")
    tab.button("Return to premium").click()

    expect(tab.dialog.locator("[data-complete=true]")).to_be_visible()
    assert ask(api) == "chat_premium"


def test_a_switch_by_keyboard_never_loses_the_focus(
    another: Another, api: httpx.Client, keys: Mapping[str, str]
) -> None:
    """After the sign-in a heading has it, after a switch its undo, then the heading; in the dialog Enter confirms."""
    with another() as tab:
        tab.sign_in(keys["admin"])
        expect(tab.page.get_by_role("heading", level=1)).to_be_focused()
        tab.button("Switch to ultra_fast").press("Enter")
        expect(tab.button("Undo: back to premium")).to_be_focused()
        tab.page.keyboard.press("Enter")
        expect(tab.undo).to_contain_text("premium answers now")
        tab.page.keyboard.press("Escape")
        expect(tab.page.get_by_role("heading", level=1)).to_be_focused()
        tab.button("Look at balanced first").press("Enter")
        tab.dialog.get_by_label("Reason").fill("by keyboard")
        tab.page.keyboard.press("Enter")
        expect(tab.dialog.locator("[data-complete=true]")).to_be_visible()
        expect(tab.dialog.get_by_role("button", name="Done")).to_be_focused()
        tab.page.keyboard.press("Enter")
        expect(tab.page.get_by_role("heading", level=1)).to_be_focused()

    assert ask(api) == "chat_balanced"


@pytest.mark.parametrize(
    ("locale", "words"),
    [
        ("en", ("Look at balanced first", "Conversations that have begun", "Switch to balanced", "move too")),
        ("de", ("balanced erst ansehen", "Begonnene Gespräche", "Zu balanced wechseln", "ziehen mit um")),
    ],
)
def test_a_switch_can_move_the_conversations(
    another: Another, api: httpx.Client, keys: Mapping[str, str], locale: str, words: tuple[str, ...]
) -> None:
    """The choice begins with what the profile says, is made with the keyboard, and stands in receipt and audit log."""
    look, label, switch, made = words

    with another(locale=locale) as tab:
        tab.sign_in(keys["admin"])
        tab.button(look).press("Enter")
        choice = tab.dialog.get_by_label(label)
        expect(choice).to_have_value("keep")
        choice.press("ArrowDown")
        expect(choice).to_have_value("move")
        tab.dialog.get_by_role("button", name=switch).press("Enter")

        expect(tab.dialog.locator("[data-complete=true]")).to_contain_text(made)

    assert "conversations moved" in api.get("/admin/audit?limit=1").json()["entries"][0]["reason"]


def test_other_tabs_follow_at_once(tab: Tab, another: Another, keys: Mapping[str, str]) -> None:
    """A second window shows the switch without being touched, and says so to a screen reader's user."""
    with another(locale="de") as second:
        second.sign_in(keys["viewer"])
        expect(second.page.locator(".connection.live")).to_be_visible()
        tab.button("Switch to ultra_fast").click()
        expect(tab.undo).to_be_visible()

        expect(second.active).to_have_text("ultra_fast", timeout=2_000)
        expect(tab.page.locator("#said")).to_contain_text("ultra_fast answers now")


def test_a_dialog_is_worked_with_the_keyboard_alone(tab: Tab) -> None:
    """Enter opens it at the confirmation, Tab stays inside, Escape closes it and gives the focus back."""
    opener = tab.button("Look at balanced first")
    opener.focus()
    tab.page.keyboard.press("Enter")
    expect(tab.dialog.get_by_role("button", name="Switch to balanced")).to_be_focused()
    inside = []
    for _ in range(8):
        tab.page.keyboard.press("Tab")
        inside.append(tab.page.evaluate("document.activeElement.closest('dialog, body').tagName"))
    tab.page.keyboard.press("Escape")

    expect(tab.dialog).to_have_count(0)
    expect(opener).to_be_focused()
    assert "DIALOG" in inside
    assert tab.page.evaluate("document.querySelectorAll('nav a:focus').length") == 0


def test_the_page_follows_again_after_the_connection_was_lost(tab: Tab, api: httpx.Client) -> None:
    """Offline is said; what was missed is there once the connection is back."""
    tab.page.context.set_offline(True)
    expect(tab.page.locator(".connection.live")).to_have_count(0, timeout=30_000)
    api.post(f"{ADMIN}/switch", json={"profile": "cost_effective"})
    tab.page.context.set_offline(False)

    expect(tab.active).to_have_text("cost_effective", timeout=30_000)
    expect(tab.page.locator(".connection.live")).to_be_visible(timeout=30_000)


@pytest.fixture
def restored(api: httpx.Client) -> Callable[[], None]:
    """Puts the mapping that the tests of edits change back."""

    def restore() -> None:
        answer = api.put(
            f"{ADMIN}/premium/tasks/chat", json={"group": "chat_premium"}, headers={"If-Match": "*"}
        )
        answer.raise_for_status()

    return restore


def test_an_edit_is_checked_while_it_is_typed_and_then_in_force(
    tab: Tab, api: httpx.Client, restored: Callable[[], None]
) -> None:
    """A group that does not exist is refused with the reason; one that exists is saved, with a receipt."""
    tab.go("mappings")
    tab.button("Edit chat").click()
    tab.dialog.get_by_label("Group").fill("nobody_here")
    expect(tab.dialog.get_by_text("The host has no model group 'nobody_here'.")).to_be_visible()
    expect(tab.button("Save")).to_be_disabled()
    tab.dialog.get_by_label("Group").fill("rescue")
    tab.button("Save").click()

    expect(tab.dialog.locator("[data-complete=true]")).to_be_visible()
    assert ask(api) == "rescue"
    restored()


def test_an_edit_of_something_that_changed_meanwhile_shows_both(
    tab: Tab, api: httpx.Client, restored: Callable[[], None]
) -> None:
    """412: what was there, what is there now and one's own choice stand side by side, and either can be taken."""
    tab.go("mappings")
    tab.button("Edit chat").click()
    tab.dialog.get_by_label("Group").fill("rescue")
    expect(tab.dialog.get_by_text("This can be saved.")).to_be_visible()
    api.put(f"{ADMIN}/premium/tasks/chat", json={"group": "chat_balanced"}, headers={"If-Match": "*"})
    tab.button("Save").click()
    conflict = tab.dialog.locator(".versus")
    expect(conflict).to_contain_text("chat_premium")
    expect(conflict).to_contain_text("chat_balanced")
    expect(conflict).to_contain_text("rescue")
    tab.button("Use mine").click()

    expect(tab.dialog.locator("[data-complete=true]")).to_be_visible()
    assert ask(api) == "rescue"
    restored()


def test_the_audit_log_is_filtered_verified_and_returned_to(tab: Tab, api: httpx.Client) -> None:
    """The browser recomputes the chain of hashes; an entry can be looked into and brought back."""
    for profile in ("balanced", "ultra_fast"):
        api.post(f"{ADMIN}/switch", json={"profile": profile, "reason": f"to {profile}, übermorgen"})
    tab.go("audit")
    expect(tab.page.locator("[data-chain=whole]")).to_be_visible()
    tab.page.get_by_label("Profile").select_option("balanced")
    expect(tab.page.locator(".log li").first).to_contain_text("ultra_fast")
    tab.page.locator(".log li", has_text="to balanced, übermorgen").first.locator("summary").click()
    tab.page.get_by_role("button", name="Return to revision").first.click()
    tab.button("Return to balanced").click()

    expect(tab.dialog.locator("[data-complete=true]")).to_be_visible()
    assert ask(api) == "chat_balanced"


def test_the_audit_log_is_filtered_by_the_name_that_its_rows_show(tab: Tab, api: httpx.Client) -> None:
    """A row shows a name without its id, the log knows it with: the one that is typed leads to the other."""
    for profile in ("balanced", "ultra_fast"):
        api.post(f"{ADMIN}/switch", json={"profile": profile}).raise_for_status()
    tab.go("audit")
    who = tab.page.locator(".log .who").first
    expect(who).to_be_visible()
    whole = who.get_attribute("title") or ""
    short = re.sub(r" \([^()]+\)$", "", whole)
    with tab.page.expect_request("**/audit?*actor=*") as asked:
        tab.page.get_by_label("Actor").fill(short)
        api.post(f"{ADMIN}/switch", json={"profile": "balanced"}).raise_for_status()
        expect(tab.page.locator(".log li").first).to_contain_text("balanced")  # news while somebody types
        tab.page.get_by_label("Actor").press("Enter")

    expect(tab.page.locator(".log li").first).to_contain_text(short)
    assert httpx.URL(asked.value.url).params["actor"] == whole != short


def test_a_chain_that_was_tampered_with_is_named(tab: Tab) -> None:
    """One changed letter in an entry, and the page names the revision."""

    def tamper(route: Route) -> None:
        answer = route.fetch()
        page = answer.json()
        page["entries"][0]["reason"] += "!"
        route.fulfill(response=answer, json=page)

    tab.page.route("**/audit?*", tamper)
    tab.go("audit")

    expect(tab.page.locator("[data-chain=broken]")).to_be_visible()


def test_a_team_is_bound_and_released(tab: Tab, api: httpx.Client) -> None:
    """A team gets a profile of its own while others follow the active one, and follows it again."""
    tab.go("access")
    tab.page.get_by_label("Team or key").fill("research")
    tab.page.locator("form.filters select").last.select_option("ultra_fast")
    tab.button("Bind").click()
    expect(tab.page.get_by_role("row", name="team:research")).to_contain_text("ultra_fast")
    bound = api.get("/admin/bindings").json()["bindings"]
    tab.button("End the binding of team:research").click()

    expect(tab.page.get_by_text("Everybody follows the active profile.")).to_be_visible()
    assert [(each["subject"], each["profile"]) for each in bound] == [("team:research", "ultra_fast")]
    assert api.get("/admin/bindings").json()["bindings"] == []


def test_a_rule_leads_elsewhere_and_an_unknown_key_is_warned_of(tab: Tab, api: httpx.Client) -> None:
    """The profile that answers anyway is not offered; a key that nobody knows is bound, and said to be unknown."""
    tab.go("access")
    tab.page.locator("form.filters select").first.select_option("key")
    tab.page.get_by_label("Team or key").fill("nobody")
    expect(tab.page.get_by_text("No key of this name or hash is known here.")).to_be_visible()
    tab.page.get_by_label("Another one when the budget runs out").check()
    offered = tab.page.get_by_label("then").locator("option").all_inner_texts()
    tab.button("Bind").click()

    expect(tab.page.get_by_text("Nobody knows a key of this name or hash")).to_be_visible()
    assert "premium" not in offered
    assert len(offered) == 4
    api.delete("/admin/bindings/key/nobody").raise_for_status()


def test_a_budget_rule_is_set_and_who_is_answered_by_what_is_shown(tab: Tab, api: httpx.Client) -> None:
    """A team keeps to the active profile until its budget is nearly spent; the key's team leads to the answer."""
    tab.go("access")
    tab.page.get_by_label("Team or key").fill("a")
    tab.page.get_by_label("Another one when the budget runs out").check()
    tab.page.get_by_label("then").select_option("ultra_fast")
    tab.page.get_by_label("Budget of a month (USD)").fill("500")
    tab.button("Bind").click()
    expect(tab.page.get_by_role("row", name="team:a")).to_contain_text("beyond 80%: ultra_fast")
    (bound,) = api.get("/admin/bindings").json()["bindings"]
    tab.page.get_by_label("Key", exact=True).fill("app-a")

    expect(tab.page.locator(".effective")).to_contain_text("because team:a is bound to it")
    tab.page.get_by_label("Key", exact=True).fill("nobody")
    expect(tab.page.locator(".effective")).to_have_text("No key of this name or hash is known here.")
    assert bound["beyond"] == {"share": 0.8, "profile": "ultra_fast", "monthly_usd": 500}
    api.delete("/admin/bindings/team/a").raise_for_status()
    tab.go("audit")
    expect(tab.page.locator(".log summary").nth(1)).to_contain_text(
        "Binding Team a: the active one \u2192 premium, beyond 80%: ultra_fast"
    )


def test_a_whole_profile_is_edited_with_every_mistake_at_its_line(
    tab: Tab, api: httpx.Client, restored: Callable[[], None]
) -> None:
    """What is no JSON, and what the proxy refuses, stand at their lines; what is right is saved."""
    tab.go("mappings")
    tab.button("Edit the whole profile …").click()
    text = tab.dialog.get_by_label("The profile as JSON")
    before = text.input_value()
    line = before[: before.index("chat_premium")].count("\n") + 1
    text.fill(before.replace('"chat_premium",', '"chat_premium"'))
    expect(tab.dialog.locator(".problems")).to_contain_text(f"line {line + 1}")
    text.fill(before.replace('"chat_premium"', '"nobody"'))
    expect(tab.dialog.locator(".problems")).to_contain_text(f"line {line} \u00b7 tasks.chat")
    expect(tab.dialog.locator(".editor .wrong")).to_have_text(str(line))
    text.fill(before.replace('"chat_premium"', '"rescue"'))
    expect(tab.dialog.get_by_role("row", name="tasks.chat")).to_contain_text("rescue")
    tab.button("Save").click()

    expect(tab.dialog.locator("[data-complete=true]")).to_be_visible()
    assert ask(api) == "rescue"
    restored()


def test_what_is_committed_after_a_conflict_is_not_overwritten_unseen(
    tab: Tab, api: httpx.Client, restored: Callable[[], None]
) -> None:
    """Saving is based on what is shown, not on what came just after it."""

    def commit(task: str, group: str = "rescue") -> None:
        edited = api.put(f"{ADMIN}/premium/tasks/{task}", json={"group": group}, headers={"If-Match": "*"})
        edited.raise_for_status()

    def shown_and_then_changed(route: Route) -> None:
        answer = route.fetch()
        commit("summary")
        route.fulfill(response=answer)
        tab.page.unroute("**/profiles/status")

    tab.go("mappings")
    tab.button("Edit the whole profile …").click()
    text = tab.dialog.get_by_label("The profile as JSON")
    text.fill(text.input_value().replace('"extraction_premium"', '"rescue"'))
    expect(tab.button("Save")).to_be_enabled()
    tab.page.route("**/profiles/premium", shown_and_then_changed, times=1)
    tab.page.route("**/profiles/status", lambda _: None)  # until then
    commit("chat")
    tab.button("Save").click()
    expect(tab.dialog.get_by_role("alert")).to_be_visible()
    expect(tab.dialog.get_by_role("row", name="tasks.chat")).to_be_visible()
    tab.button("Save").click()

    expect(tab.dialog.get_by_role("row", name="tasks.summary")).to_be_visible()
    assert api.get(f"{ADMIN}/premium").json()["tasks"]["summary"] == "rescue"
    tab.discard()
    commit("summary", "summary_premium")
    restored()


HOLD_RUNS = """() => {
  const { fetch } = window;
  window.runs = [];
  const held = (signal) => new ReadableStream({
    start(control) {
      signal.addEventListener("abort", () => control.error(signal.reason));
      window.tell = (text) => control.enqueue(new TextEncoder().encode(text));
    },
  });
  window.fetch = (url, options) => {
    if (!String(url).includes("proof/validate")) return fetch(url, options);
    runs.push(options);
    return Promise.resolve(new Response(held(options.signal), { headers: { "Content-Type": "text/event-stream" } }));
  };
}"""
"""Runs of probes that take for ever, as where a large model is loaded; `tell` is what the proxy says of the last."""


def test_every_group_is_asked_and_the_matrix_shows_what_was_found(tab: Tab) -> None:
    """Probes run with progress: what answers is proven, and the one group that always fails is shown to."""
    tab.go("matrix")
    tab.button("Ask every group").click()

    expect(tab.page.get_by_role("progressbar")).to_be_visible()
    row = tab.page.get_by_role("row", name="chat ")
    expect(row.locator("[data-state=green]")).to_have_count(5, timeout=60_000)
    broken = tab.page.get_by_role("cell", name=FAILING)
    expect(broken.locator("[data-state=red]")).to_be_visible(timeout=60_000)
    expect(tab.button("Ask every group")).to_be_visible(timeout=60_000)
    broken.get_by_role("button").click()
    expect(tab.dialog).to_contain_text("fails")
    tab.button("Ask this group again").click()

    expect(tab.dialog.locator("time")).to_have_text(re.compile("now|seconds ago"))


def test_a_run_of_probes_is_still_there_after_another_screen(tab: Tab) -> None:
    """It can be seen and stopped when one comes back, and no second one is offered; it ends with who began it."""
    tab.page.evaluate(HOLD_RUNS)
    tab.go("matrix")
    tab.button("Ask every group").click()
    expect(tab.button("Stop")).to_be_visible()
    tab.go("now")
    expect(tab.active).to_be_visible()
    tab.go("matrix")
    expect(tab.button("Stop")).to_be_visible()
    expect(tab.page.get_by_role("progressbar")).to_be_visible()
    expect(tab.button("Ask every group")).to_have_count(0)
    tab.button("Stop").click()
    expect(tab.button("Ask every group")).to_be_visible()
    assert tab.page.evaluate("runs.map(({ signal }) => signal.aborted)") == [True]

    tab.button("Ask every group").click()
    tab.button("Sign out").click()
    expect(tab.page.get_by_label("Key")).to_be_visible()
    assert tab.page.evaluate("runs.map(({ signal }) => signal.aborted)") == [True, True]


def test_a_run_that_somebody_else_has_begun_is_told(tab: Tab) -> None:
    """What refuses it stands there in words."""
    refusal = {"status": 409, "code": "probes_running", "title": "", "detail": "", "fix": "", "problems": []}
    tab.page.route(
        "**/proof/validate?live=true",
        lambda route: route.fulfill(
            content_type="text/event-stream", body=f"event: problem\ndata: {json.dumps(refusal)}\n\n"
        ),
    )
    tab.go("matrix")
    tab.button("Ask every group").click()

    expect(tab.page.get_by_role("alert")).to_contain_text("Somebody began it elsewhere.")


def test_an_unproven_profile_needs_a_second_word(tab: Tab, api: httpx.Client) -> None:
    """Where the gate refuses, the page shows why and goes on only when told to, and says so to the proxy."""
    refusal = {"code": "unproven_profile", "title": "The profile is not proven to answer", "problems": []}

    def gate(route: Route) -> None:
        if route.request.post_data_json.get("force"):
            route.continue_()
        else:
            route.fulfill(status=409, json=refusal)

    tab.page.route("**/profiles/switch", gate)
    tab.button("Switch to balanced").click()
    expect(tab.dialog.get_by_role("alert")).to_contain_text("not proven to answer")
    tab.button("Go on all the same").click()
    tab.dialog.get_by_role("button", name="Switch to balanced").click()

    expect(tab.dialog.locator("[data-complete=true]")).to_be_visible()
    assert ask(api) == "chat_balanced"


def test_a_switch_asks_what_becomes_of_local_models(tab: Tab) -> None:
    """Only where they are concerned: whether it waits, and whether what a server lacks is fetched."""
    missing = {"server": "gpu:11434", "model": "m:1b", "bytes": None, "seconds": None, "why": ""}
    said = {"mode": "background", "order": "unknown", "said": ["m:1b is not present."], "missing": [missing]}
    rest: dict[str, object] = {"to_load": [], "loaded": [], "unloaded": [], "failed": [], "waited_s": 0}
    sent: list[dict[str, object]] = []

    def answer(route: Route) -> None:
        asked = route.request.post_data_json
        told = route.fetch()
        if not asked.get("dry_run"):
            sent.append(asked)
        route.fulfill(response=told, json={**told.json(), "warm": {**said, **rest}})

    tab.page.route("**/profiles/switch", answer)
    tab.button("Look at balanced first").click()
    expect(tab.dialog.get_by_label("Local models")).to_have_value("background")
    tab.dialog.get_by_label("Local models").select_option("wait")
    tab.dialog.get_by_label("Fetch 1 model").check()
    tab.dialog.get_by_role("button", name="Switch to balanced").click()

    expect(tab.dialog.locator("[data-complete=true]")).to_be_visible()
    assert [(one["warm"], one["pull"]) for one in sent] == [("wait", True)]
