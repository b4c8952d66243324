"""What is generated from the structs of the wire: OpenAPI, AsyncAPI, TypeScript."""

from __future__ import annotations

import json
import re
from typing import Any, get_args

import jsonschema_rs
import pytest

from gifting.api import asyncapi, httpdoc, openapi, typescript
from gifting.api.schema import error_codes
from gifting.model import events
from gifting.wire.messages import OPS
from gifting.wire.replies import REPLIES
from tests.support.paths import ROOT

SPECIFICATION = json.loads((ROOT / "tests" / "support" / "asyncapi-3.0.0.json").read_text(encoding="utf-8"))


def tag(kind: Any) -> str:
    return str(kind.__struct_config__.tag)


def test_events_are_those_that_are_logged_and_those_that_are_not() -> None:
    logged = set(map(tag, get_args(events.LoggedEvent)))
    assert logged == set(get_args(events.Logged))
    assert set(map(tag, get_args(events.Event))) - logged >= set(get_args(events.State))


def test_every_op_has_a_reply() -> None:
    assert REPLIES.keys() == OPS


def test_the_asyncapi_document_is_one() -> None:
    problems = jsonschema_rs.validator_for(SPECIFICATION).iter_errors(asyncapi.document())
    assert [(problem.instance_path, problem.message[:200]) for problem in problems] == []


def test_what_is_no_asyncapi_document_is_told_from_one() -> None:
    broken = asyncapi.document()
    broken["operations"]["join"]["action"] = "publish"
    assert not jsonschema_rs.validator_for(SPECIFICATION).is_valid(broken)


def test_every_op_reply_and_event_is_in_asyncapi() -> None:
    made = asyncapi.document()
    assert made["channels"]["socket"]["messages"].keys() == made["components"]["messages"].keys()
    for op in OPS:
        answers = {one["$ref"].rpartition("/")[2] for one in made["operations"][op]["reply"]["messages"]}
        assert answers == {asyncapi.reply_name(op), "refusal"} <= made["components"]["messages"].keys()
    tags = {one["properties"]["type"]["enum"][0] for one in made["components"]["schemas"].values()
            if "enum" in one["properties"].get("type", {})}  # fmt: skip
    assert tags == set(map(tag, get_args(events.Event)))


@pytest.mark.parametrize("made", [openapi.document(), asyncapi.document()], ids=["openapi", "asyncapi"])
def test_no_reference_leads_nowhere(made: dict[str, Any]) -> None:
    for path in set(re.findall(r"'\$ref': '#/([^']+)'", str(made))):
        found: Any = made
        for name in path.split("/"):
            found = found[name]


@pytest.mark.parametrize("made", [openapi.document(), asyncapi.document()], ids=["openapi", "asyncapi"])
def test_patterns_are_of_javascript(made: dict[str, Any]) -> None:
    patterns = re.findall(r"'pattern': '([^']*)'", str(made))
    assert all(pattern.startswith("^") and pattern.endswith("$") and r"\A" not in pattern for pattern in patterns)


def test_the_codes_are_those_a_server_says() -> None:
    assert {"internal", "bad_message", "outcome_unknown"} <= set(error_codes())
    assert not {"no_redis", "not_charged"} & set(error_codes())


def test_the_typescript_is_current() -> None:
    committed = ROOT / "gifting" / "web" / "static" / "lib" / "protocol.d.ts"
    assert committed.read_text(encoding="utf-8") == typescript.render()


def test_the_page_of_the_http_api_is_current() -> None:
    assert (ROOT / "docs" / "http-api.md").read_text(encoding="utf-8") == httpdoc.render()
