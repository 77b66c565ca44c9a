# SPDX-License-Identifier: GPL-2.0-only
"""Where the cluster has its resources: what crm_mon tells, and this node's name."""

import xml.etree.ElementTree as xml

from .. import commands


def node_name() -> str:
    """The name of this node in its cluster, "" where it is in none."""
    result = commands.query(["crm_node", "--name"], 10.0)
    return result.out.strip() if result.rc == 0 else ""


def where() -> dict:
    """Id of a resource, or of an instance (vip:0) -> names of the nodes that have it started, as
    far as the cluster answers."""
    result = commands.query(["crm_mon", "--output-as=xml", "--one-shot"], 20.0)
    return parse(result.out) if result.rc == 0 else {}


def parse(text: str) -> dict:
    """where() over the text of `crm_mon --output-as=xml`."""
    try:
        root = xml.fromstring(text)
    except xml.ParseError:
        return {}
    found: dict = {}
    for resource in root.iter("resource"):
        if resource.get("role") in ("Started", "Promoted", "Master", "Unpromoted", "Slave"):
            nodes = [node.get("name") for node in resource.findall("node")]
            found.setdefault(resource.get("id"), []).extend(nodes)
        elif resource.get("id"):
            found.setdefault(resource.get("id"), [])
    return found
