# SPDX-License-Identifier: GPL-2.0-only
"""The cluster's configuration: every IPaddr2 resource, with the parameters and meta attributes that
Pacemaker hands to the agent.

Read from the CIB (cibadmin), or from a file: a saved CIB, or the folder or archive of `crm report`
or `sosreport`, in which the first cib.xml is taken.  Templates, groups, clones, bundles and sets of
attributes by reference are followed; a set with a rule counts where the rule holds on this node as
far as that can be told (see rule_holds()).
"""

import os
import tarfile
import xml.etree.ElementTree as xml

from .. import commands
from . import HandError

INFINITY = 1000000
CIB_NAMES = ("cib.xml", "pcs_cluster_cib", "cibadmin_-Q", "cibadmin_--query")


class Resource:
    """An IPaddr2 resource.

    | attribute | what it holds |
    |---|---|
    | id | as the cluster has it, without an instance's number |
    | agent | such as ocf:heartbeat:IPaddr2 |
    | params, meta | name -> value (str), as they come to the agent |
    | inside | ids of the group, clone or bundle that it is in, from the outside in |
    | clone | whether it is a clone's |
    | remarks | sentences on what cannot be told, such as rules |
    """

    __slots__ = ("id", "agent", "params", "meta", "inside", "clone", "remarks")

    def __init__(self, id, agent, params, meta, inside=(), clone=False, remarks=()):
        self.id = id
        self.agent = agent
        self.params = params
        self.meta = meta
        self.inside = list(inside)
        self.clone = clone
        self.remarks = list(remarks)

    def environment(self, instance: int = 0) -> dict:
        """What Pacemaker puts into the environment of a recurring monitor (str to str)."""
        values = {"OCF_RESOURCE_INSTANCE": self.id, "OCF_RESKEY_CRM_meta_interval": "10000",
                  "OCF_RESKEY_CRM_meta_timeout": "20000"}
        values.update(("OCF_RESKEY_" + name, value) for name, value in self.params.items())
        if self.clone:
            unique = self.meta.get("globally-unique", "false")
            values["OCF_RESKEY_CRM_meta_clone"] = str(instance)
            values["OCF_RESKEY_CRM_meta_clone_max"] = self.meta.get("clone-max", "1")
            values["OCF_RESKEY_CRM_meta_globally_unique"] = unique
            if unique == "true":
                values["OCF_RESOURCE_INSTANCE"] = f"{self.id}:{instance}"
        return values

    def instances(self) -> int:
        """How many instances there are to look for on this node."""
        shared = self.clone and self.meta.get("globally-unique") == "true"
        number = self.meta.get("clone-max", "1")
        return int(number) if shared and number.isdigit() else 1


class Cib:
    """resources (list of Resource), nodes (names), and where it was read: live is whether that is
    the running cluster."""

    def __init__(self, resources, nodes, live=False):
        self.resources = resources
        self.nodes = nodes
        self.live = live


# --- reading ---------------------------------------------------------------------------------


def of_this_cluster(node: str = "") -> Cib:
    """The Cib of the cluster that this node is in; raises HandError where there is none."""
    result = commands.query(["cibadmin", "--query"], 20.0)
    if result.rc == 127:
        raise HandError("cibadmin is not installed, so this node is in no cluster: name the "
                        "address as ip=ADDRESS, or a saved CIB with --cib FILE")
    if result.rc:
        raise HandError("the cluster does not answer (cibadmin ended with "
                        f"{result.rc}: {first_line(result.err or result.out)}); name the address "
                        "as ip=ADDRESS, or a saved CIB with --cib FILE")
    made = parse(result.out, node)
    made.live = True
    return made


def of_file(path: str, node: str = "") -> Cib:
    """The Cib in a file, a folder or an archive; raises HandError where there is none."""
    try:
        return parse(text_of(path), node)
    except (OSError, tarfile.TarError, UnicodeError) as problem:
        raise HandError(f"cannot read a CIB from {path}: {problem}", 2) from None


def text_of(path: str) -> str:
    """The text of the CIB at a path."""
    if os.path.isdir(path):
        for folder, _, names in sorted(os.walk(path)):
            for name in sorted(names):
                if name in CIB_NAMES:
                    with open(os.path.join(folder, name), encoding="utf-8") as file:
                        return file.read()
        raise OSError("there is no cib.xml in it")
    if tarfile.is_tarfile(path):
        with tarfile.open(path) as archive:
            for member in archive:
                if os.path.basename(member.name) in CIB_NAMES and member.isfile():
                    inside = archive.extractfile(member)
                    return inside.read().decode("utf-8") if inside else ""
        raise OSError("there is no cib.xml in it")
    with open(path, encoding="utf-8") as file:
        return file.read()


def first_line(text: str) -> str:
    """The first line of what a program said."""
    return (text.strip().splitlines() or ["no message"])[0]


# --- parsing ---------------------------------------------------------------------------------


def parse(text: str, node: str = "") -> Cib:
    """The Cib in a text of XML; raises HandError where it is none.

    node is the name of the node by which rules are judged, "" where it is not known.
    """
    try:
        root = xml.fromstring(text)
    except xml.ParseError as problem:
        raise HandError(f"the CIB is no XML: {problem}", 2) from None
    inner = root.find(".//cib")
    if root.tag != "cib" and inner is not None:
        root = inner
    configuration = root.find("configuration") if root.tag == "cib" else \
        root if root.tag == "configuration" else None
    if configuration is None:
        raise HandError(f"this is no CIB: its first element is <{root.tag}>", 2)
    nodes = [one.get("uname", one.get("id", "")) for one in configuration.iter("node")
             if one.get("type") != "remote"]
    reader = Reader(configuration, node, nodes)
    return Cib(reader.resources(), nodes)


class Reader:
    """Finds the IPaddr2 resources of a configuration."""

    def __init__(self, configuration, node, nodes):
        self.node = node
        self.nodes = nodes
        self.by_id = {one.get("id"): one for one in configuration.iter() if one.get("id")}
        self.top = configuration.find("resources")
        self.defaults = configuration.find("rsc_defaults")

    def resources(self):
        """Those below <resources>, in its order."""
        found = []
        self.visit(self.top if self.top is not None else [], [], found)
        return found

    def visit(self, element, inside, found):
        """Collect the primitives in an element; inside: the elements that are around it."""
        for child in element:
            if child.tag == "primitive":
                made = self.primitive(child, inside)
                if made:
                    found.append(made)
            elif child.tag in ("group", "clone", "master", "bundle"):
                self.visit(child, inside + [child], found)

    def primitive(self, element, inside):
        """The Resource of a <primitive>, None where its agent is another one."""
        template = self.by_id.get(element.get("template", ""))
        kind = element if element.get("type") else template
        if kind is None or kind.get("type") != "IPaddr2":
            return None
        remarks: list = []
        sources = [one for one in (element, template) if one is not None]
        params: dict = {}
        for source in sources:
            for name, value in self.attributes(source, "instance_attributes", remarks).items():
                params.setdefault(name, value)
        clone = next((one for one in inside if one.tag in ("clone", "master")), None)
        meta: dict = {}
        around = [one for one in inside[::-1]]
        for source in [*around, *sources, self.defaults]:
            if source is not None:
                for name, value in self.attributes(source, "meta_attributes", remarks).items():
                    meta.setdefault(name, value)
        if clone is not None:
            meta.setdefault("clone-max", str(max(1, len(self.nodes))))
        agent = f"ocf:{kind.get('provider', '')}:IPaddr2"
        return Resource(element.get("id"), agent, params, meta, [one.get("id") for one in inside],
                        clone is not None, remarks)

    def attributes(self, element, tag, remarks):
        """Name -> value of an element's sets of attributes: that of the highest score counts."""
        sets = [self.by_id.get(one.get("id-ref"), one) for one in element.findall(tag)]
        found: dict = {}
        for one in sorted(sets, key=lambda one: -number(one.get("score", "0"))):
            rule = one.find("rule")
            holds = True if rule is None else self.rule_holds(rule)
            if holds is None:
                remarks.append(f"the attributes {one.get('id')} depend on a rule that cannot be "
                               "judged here; they are left out")
            if not holds:
                continue
            for pair in one.findall("nvpair"):
                pair = self.by_id.get(pair.get("id-ref"), pair)
                found.setdefault(pair.get("name"), pair.get("value", ""))
        return found

    def rule_holds(self, rule):
        """Whether a rule holds on this node: True, False, or None where that cannot be told.

        Judged are comparisons of #uname with a text; not dates, nor other attributes.
        """
        verdicts = []
        for part in rule:
            if part.tag == "rule":
                verdicts.append(self.rule_holds(part))
            elif part.tag == "expression" and part.get("attribute") == "#uname" and self.node and \
                    part.get("operation") in ("eq", "ne"):
                same = part.get("value") == self.node
                verdicts.append(same == (part.get("operation") == "eq"))
            else:
                verdicts.append(None)
        if rule.get("boolean-op") == "or":
            return True if True in verdicts else None if None in verdicts else False
        return False if False in verdicts else None if None in verdicts else True


def number(text: str) -> int:
    """A score as a number."""
    sign = -1 if text.startswith("-") else 1
    digits = text.lstrip("+-")
    return sign * (INFINITY if digits == "INFINITY" else int(digits) if digits.isdigit() else 0)
