"""Generates admin_api.graphql: the part of Shopify's Admin schema that the loader's queries use, plus scalar fields.

Reads the introspection file of npm `@shopify/dev-mcp` (dist/data/admin_<version>.json.gz); writes SDL.

    npm pack @shopify/dev-mcp && tar xzf shopify-dev-mcp-*.tgz
    python -m ingestion.simulator.prune_schema package/dist/data/admin_2026-10.json.gz
"""

import gzip
import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
from graphql import (
    FieldNode,
    GraphQLSchema,
    InlineFragmentNode,
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    build_client_schema,
    get_named_type,
    parse,
    print_schema,
    visit,
)

from ingestion.simulator.admin_api import SCHEMA_FILE
from ingestion.sources.shopify_queries import API_VERSION, DOCUMENTS

LEAVES = ("SCALAR", "ENUM")


def prune(introspection: dict[str, Any], documents: Iterable[str]) -> str:
    """The SDL of the types that the documents use: their used fields, and all scalar and enum fields."""
    used = _used_fields(build_client_schema(introspection), documents)
    types = {kind["name"]: kind for kind in introspection["__schema"]["types"]}
    leaves = {name for name, kind in types.items() if kind["kind"] in LEAVES}
    kept: dict[str, dict[str, Any]] = {}
    for name, fields in used.items():
        kind = types[name]
        kept[name] = {
            **kind,
            "description": None,
            "fields": [
                _without_text(field, leaves)
                for field in kind["fields"]
                if field["name"] in fields or (_named(field["type"]) in leaves and not field["isDeprecated"])
            ],
            "interfaces": [one for one in kind.get("interfaces") or [] if one["name"] in used],
            "possibleTypes": [one for one in kind.get("possibleTypes") or [] if one["name"] in used] or None,
        }
    for field in [field for kind in kept.values() for field in kind["fields"]]:
        for name in [_named(field["type"]), *(_named(argument["type"]) for argument in field["args"])]:
            if name in leaves:
                kept[name] = _bare(types[name])
    schema = {**introspection["__schema"], "types": list(kept.values()), "directives": [], "subscriptionType": None}
    return print_schema(build_client_schema({"__schema": schema}))


def _used_fields(schema: GraphQLSchema, documents: Iterable[str]) -> dict[str, set[str]]:
    """Type ▶ names of the fields used by the documents; includes implementations of interfaces."""
    used: dict[str, set[str]] = defaultdict(set)
    info = TypeInfo(schema)

    class Collect(Visitor):
        def enter_field(self, node: FieldNode, *_: Any) -> None:
            parent = info.get_parent_type()
            used[parent.name].add(node.name.value)
            inner = get_named_type(info.get_type())
            if node.selection_set:
                used[inner.name].update()
            if parent.name == "Media":
                used["MediaImage"].add(node.name.value)

        def enter_inline_fragment(self, node: InlineFragmentNode, *_: Any) -> None:
            used[node.type_condition.name.value].update()

    for document in documents:
        visit(parse(document), TypeInfoVisitor(info, Collect()))
    return used


def _named(kind: dict[str, Any]) -> str:
    while kind.get("ofType"):
        kind = kind["ofType"]
    return kind["name"]


def _without_text(field: dict[str, Any], leaves: set[str]) -> dict[str, Any]:
    arguments = [{**one, "description": None} for one in field["args"] if _named(one["type"]) in leaves]
    return {**field, "description": None, "args": arguments}


def _bare(kind: dict[str, Any]) -> dict[str, Any]:
    values = [{**value, "description": None} for value in kind.get("enumValues") or []]
    return {**kind, "description": None, "enumValues": values or None}


def main(file: Path) -> None:
    """Write the snapshot from an introspection file."""
    introspection = msgspec.json.decode(gzip.decompress(file.read_bytes()))["data"]
    heading = f"# Made by ingestion/simulator/prune_schema.py from Shopify's Admin schema {API_VERSION}.\n\n"
    SCHEMA_FILE.write_text(heading + prune(introspection, DOCUMENTS) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
