from __future__ import annotations

import json
import re
from dataclasses import fields
from pathlib import Path

import pytest

from dtesx.management.schema import FIELDS, NAME_PATTERN, job_schema
from dtesx.model.job import JobSpec
from dtesx.model.replica import ReplicaSpec

_DOCS = Path(__file__).parents[3] / "docs"


def test_every_field_is_described() -> None:
    schema = job_schema()
    for kind, described in FIELDS.items():
        assert set(described) == {f.name for f in fields(kind)}
        properties = schema["$defs"][kind.__name__]["properties"]
        assert all(properties[name]["description"] for name in described)


def test_misspelt_fields_are_forbidden() -> None:
    definitions = job_schema()["$defs"]
    assert all(definitions[kind.__name__]["additionalProperties"] is False for kind in FIELDS)
    assert definitions["JobSpec"]["required"] == ["name", "source", "vmware", "replica"]


@pytest.mark.parametrize("name", ["a", "a-1", "x" * 63, "A", "-a", "a-", "", "x" * 64, "a b"])
def test_the_name_rule_is_the_models(name: str) -> None:
    try:
        JobSpec(name, "s", "v", ReplicaSpec("d"))
        good = True
    except ValueError:
        good = False
    assert bool(re.search(NAME_PATTERN, name)) is good


def test_the_documented_schema_is_this_one() -> None:
    assert json.loads((_DOCS / "job.schema.json").read_text()) == job_schema()
