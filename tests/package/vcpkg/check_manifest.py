#!/usr/bin/env python3
"""Checks a vcpkg.json against the fields that https://learn.microsoft.com/vcpkg/reference/vcpkg-json documents, as far
as the port of a library uses them: their names and types, names of ports and features, the version's form; and that the
version is that of rapt and every part has a feature.

    python3 tests/package/vcpkg/check_manifest.py cmake/packaging/vcpkg/ports/rapt/vcpkg.json
"""

import json
import pathlib
import re
import sys

IDENTIFIER = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
VERSIONS = {"version": r"\d+(\.\d+)*", "version-semver": r"\d+\.\d+\.\d+", "version-date": r"\d{4}-\d\d-\d\d(\.\d+)*",
            "version-string": r"[^#]+"}
TOP = {"name": str, "port-version": int, "description": (str, list), "homepage": str, "documentation": str,
       "license": (str, type(None)), "maintainers": (str, list), "supports": str, "dependencies": list,
       "default-features": list, "features": dict, **dict.fromkeys(VERSIONS, str)}
DEPENDENCY = {"name": str, "default-features": bool, "features": list, "host": bool, "platform": str, "version>=": str}
FEATURE = {"description": (str, list), "dependencies": list, "supports": str, "license": (str, type(None))}


def fail(text):
    sys.exit(f"[vcpkg.json] {text}")


def check_fields(where, value, fields, required):
    for name, field in value.items():
        if name.startswith("$"):  # a comment
            continue
        if name not in fields:
            fail(f"{where} has no field {name}")
        if not isinstance(field, fields[name]):
            fail(f"{name} of {where} is a {type(field).__name__}")
    for name in required:
        if name not in value:
            fail(f"{where} lacks {name}")


def check_identifier(where, name):
    if not isinstance(name, str) or not IDENTIFIER.fullmatch(name):
        fail(f"{where}: {name} is no identifier: lower-case letters, digits and single hyphens between them")


def check_dependencies(where, dependencies):
    for dependency in dependencies:
        if not isinstance(dependency, dict):
            dependency = {"name": dependency}
        check_fields(f"a dependency of {where}", dependency, DEPENDENCY, ["name"])
        check_identifier(where, dependency["name"])


def main():
    path = pathlib.Path(sys.argv[1])
    root = pathlib.Path(__file__).resolve().parents[3]
    manifest = json.loads(path.read_text(encoding="utf-8"))
    check_fields("the port", manifest, TOP, ["name", "description"])
    check_identifier("the port", manifest["name"])
    if manifest["name"] != path.resolve().parent.name:
        fail(f"the port {manifest['name']} lies in a folder of another name, {path.resolve().parent.name}")
    versions = [name for name in VERSIONS if name in manifest]
    if len(versions) != 1 or not re.fullmatch(VERSIONS[versions[0]], manifest[versions[0]]):
        fail(f"there must be one version in its form, and there are {versions}")
    check_dependencies("the port", manifest.get("dependencies", []))
    features = manifest.get("features", {})
    for name, feature in features.items():
        check_identifier("features", name)
        check_fields(f"the feature {name}", feature, FEATURE, ["description"])
        check_dependencies(f"the feature {name}", feature.get("dependencies", []))
    for name in manifest.get("default-features", []):
        if name not in features:
            fail(f"the default feature {name} is none of the features {sorted(features)}")

    header = (root / "include/rapt/version.hpp").read_text(encoding="utf-8")
    version = ".".join(re.findall(r"^#define RAPT_VERSION_(?:MAJOR|MINOR|PATCH) (\d+)$", header, re.MULTILINE))
    if manifest[versions[0]] != version:
        fail(f"the version is {manifest[versions[0]]}, and rapt's is {version}")
    parts = re.findall(r"^set\(RAPT_(\w+) AUTO", (root / "CMakeLists.txt").read_text(encoding="utf-8"), re.MULTILINE)
    if sorted(features) != sorted(part.lower() for part in parts):
        fail(f"the features are {sorted(features)}, and the parts are {sorted(part.lower() for part in parts)}")


if __name__ == "__main__":
    main()
