#!/usr/bin/env python3
"""Turn the facts of Kafka's JSON message schemas into our definitions (notation: protocol/src/lib.rs).

usage: scripts/definitions.py SCHEMAS [OUT]

SCHEMAS is a directory with Kafka's *.json files at any depth, OUT the folder to fill (default protocol/messages).
Only facts are taken: names, types, versions, tags, defaults. Their prose stays behind.
"""
import json
import pathlib
import re
import sys

# Where a message of the clients' jar goes that is neither request, response nor header.
DATA_FOLDERS = {
    "ControlRecordTypeSchema": "control",
    "EndTxnMarker": "control",
    "KRaftVersionRecord": "raft",
    "LeaderChangeMessage": "raft",
    "SnapshotFooterRecord": "raft",
    "SnapshotHeaderRecord": "raft",
    "VotersRecord": "raft",
}
# The first folder of a schema's path, and the folder of ours that it fills.
MODULE_FOLDERS = {
    "kafka-group-coordinator": "group",
    "kafka-metadata": "metadata",
    "kafka-raft": "raft",
    "kafka-share-coordinator": "share",
    "kafka-storage": "storage",
    "kafka-transaction-coordinator": "transaction",
}
# On the hot paths strings borrow from the frame instead of being copied out of it.
BORROWING = ("Fetch", "Produce", "ShareAcknowledge", "ShareFetch")


def load(path):
    """Parse JSON that may hold // and /* */ comments."""
    text = path.read_text(encoding="utf-8")
    token = r'("(?:[^"\\]|\\.)*")|//[^\n]*|/\*.*?\*/'
    return json.loads(re.sub(token, lambda m: m.group(1) or "", text, flags=re.S))


def folder(path, schema):
    kind = schema["type"]
    if kind in ("request", "response"):
        return "api"
    if kind == "header":
        return "header"
    module = next((MODULE_FOLDERS[p] for p in path.parts if p in MODULE_FOLDERS), None)
    return module or DATA_FOLDERS.get(schema["name"], "data")


def default(field):
    """A default as we write it, or None: text is quoted, the rest is bare."""
    value = field.get("default")
    if value is None:
        return None
    if isinstance(value, bool):
        value = str(value).lower()
    value = str(value)
    return json.dumps(value) if field["type"] == "string" and value != "null" else value


def field_lines(field, indent, lines):
    versions = field.get("versions") or field["taggedVersions"]
    nullable = field.get("nullableVersions", "none")
    parts = [f"{field['name']}: {field['type']}{'?' if nullable == versions else ''}", versions]
    if nullable not in ("none", versions):
        parts.append(f"null {nullable}")
    if "tag" in field:
        tagged = field["taggedVersions"]
        parts.append(f"tag {field['tag']}" + ("" if tagged == versions else f" in {tagged}"))
    if "flexibleVersions" in field:
        parts.append(f"flexible {field['flexibleVersions']}")
    if default(field) is not None:
        parts.append(f"= {default(field)}")
    if str(field.get("ignorable", "false")).lower() == "true":
        parts.append("ignorable")
    line = " " * indent + "  ".join(parts)
    if "fields" in field:
        lines.append(line + " {")
        for inner in field["fields"]:
            field_lines(inner, indent + 4, lines)
        lines.append(" " * indent + "}")
    else:
        lines.append(line)


def definition(schema):
    lines = [f"{schema['type']} {schema['name']}"]
    if "apiKey" in schema:
        lines.append(f"key {schema['apiKey']}")
    if "listeners" in schema:
        lines.append("listeners " + " ".join(sorted(schema["listeners"])))
    lines.append(f"versions {schema['validVersions']}")
    if schema["validVersions"] != "none":
        lines.append(f"flexible {schema.get('flexibleVersions', 'none')}")
    if schema.get("latestVersionUnstable"):
        lines.append("latest unstable")
    if re.sub("(Request|Response)$", "", schema["name"]) in BORROWING and schema["type"] in ("request", "response"):
        lines.append("strings borrowed")
    if schema.get("fields"):
        lines.append("")
        for field in schema["fields"]:
            field_lines(field, 0, lines)
    for struct in schema.get("commonStructs", []):
        lines += ["", f"struct {struct['name']}  {struct['versions']} {{"]
        for field in struct["fields"]:
            field_lines(field, 4, lines)
        lines.append("}")
    return "\n".join(lines) + "\n"


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    out = pathlib.Path(sys.argv[2] if len(sys.argv) == 3 else "protocol/messages")
    paths = sorted(pathlib.Path(sys.argv[1]).rglob("*.json"))
    if not paths:
        sys.exit(f"definitions.py: no *.json under {sys.argv[1]}")
    for old in out.rglob("*.msg"):
        old.unlink()
    for path in paths:
        schema = load(path)
        target = out / folder(path, schema) / f"{schema['name']}.msg"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(definition(schema), encoding="utf-8")
    print(f"{len(paths)} definitions in {out}")


main()
