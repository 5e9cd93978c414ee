"""The server answers as its description says, whatever it is asked."""

import json
import re
from urllib.parse import quote

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from serving import problem


def references(node):
    if isinstance(node, dict):
        yield from ([node["$ref"]] if isinstance(node.get("$ref"), str) else [])
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def test_the_description_is_whole(client):
    document = client.get("/v1/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    for reference in references(document):
        place = document
        for part in reference.removeprefix("#/").split("/"):
            place = place[part]
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    ids = [operation["operationId"] for operation in operations]
    assert len(set(ids)) == len(ids)
    for operation in operations:
        assert operation["summary"]
        assert list(operation["responses"]["default"]["content"]) == ["application/problem+json"]
    for path, operations in document["paths"].items():
        for operation in operations.values():
            named = {given["name"] for given in operation.get("parameters", []) if given["in"] == "path"}
            assert named == set(re.findall(r"{(\w+)}", path))


JUNK = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20))
NAMES = ["clip", "item", "path", "upload", "kind", "task", "top", "ref", "others", "a", "b", "name", "items"]
BODIES = st.recursive(
    JUNK,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(NAMES),
            st.one_of(inner, st.sampled_from(["index", "query", "align", "versions", "r000000000000"])),
            max_size=4,
        ),
    ),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_whatever_is_asked_is_answered_as_described(client, data):
    document = client.get("/v1/openapi.json").json()
    path = data.draw(st.sampled_from(sorted(document["paths"])))
    method = data.draw(st.sampled_from(sorted(document["paths"][path])))
    operation = document["paths"][path][method]
    part = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
    given = [
        parameter
        for parameter in operation.get("parameters", [])
        if parameter["in"] == "path" or data.draw(st.booleans())
    ]
    values = {
        parameter["name"]: quote(data.draw(st.one_of(part, st.integers().map(str))), safe="") for parameter in given
    }
    target = path.format(**values) + "?" + "&".join(f"{name}={values[name]}" for name in values)
    body = data.draw(BODIES) if "requestBody" in operation else None
    content = None if body is None else json.dumps(body).encode()
    answer = client(method.upper(), target, content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code < 500
    if answer.status_code >= 400:
        problem(answer, answer.status_code)
    else:
        assert str(answer.status_code) in operation["responses"]
