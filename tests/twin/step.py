# SPDX-License-Identifier: GPL-2.0-only
"""One step of a scenario as the table of expected differences asks about it."""
import ipaddress
import re

from . import compare, notes

WORDS = re.compile(r"\S\s+\S|^\s*-")  # white space around a value is no part of it


class Step:
    """What the predicates ask of a compare.Case."""

    def __init__(self, case):
        self.case = case
        self.shell, self.ours = case.seen
        self.before = case.before[0]
        self.action = "monitor" if case.step == "probe" else case.step
        self.starts = self.action in ("start", "validate-all")
        self.done = "; ".join(case.scenario.steps.split(";")[:case.index])
        self.stopped = self.action == "stop" and self.ours["rc"] == 0

    def get(self, name, default=""):
        """A parameter's value as the agent was given it."""
        return self.case.environment.get("OCF_RESKEY_" + name) or default

    def truth(self, name):
        return self.get(name) in ("yes", "true", "1", "YES", "TRUE", "True", "ja", "on", "ON")

    @property
    def given(self):
        """The address as it is spelled in the configuration."""
        return self.get("ip").strip()

    @property
    def ip(self):
        """The address by value, with the clone's number added; "" where it is none."""
        try:
            return str(ipaddress.ip_address(self.given) + self.clone)
        except ValueError:
            return ""

    @property
    def clone(self):
        number = self.get("CRM_meta_clone", "0")
        return int(number) if self.truth("unique_clone_address") and number.isdigit() else 0

    @property
    def shared(self):
        """Whether the address is a Cluster IP, its load shared between clones."""
        most = self.get("CRM_meta_clone_max", "1")
        return most.isdigit() and int(most) > 1 and not self.truth("unique_clone_address")

    @property
    def clone_beyond(self):
        number, most = self.get("CRM_meta_clone", "0"), self.get("CRM_meta_clone_max", "1")
        return number.isdigit() and most.isdigit() and int(number) >= int(most)

    @property
    def mask(self):
        """cidr_netmask as a prefix length; "" where it is not given."""
        text = (self.get("cidr_netmask") or self.get("netmask")).strip()
        try:
            return str(ipaddress.ip_network("0.0.0.0/" + text).prefixlen) if "." in text else text
        except ValueError:
            return text

    @property
    def nic(self):
        return self.get("nic").strip().partition(":")[0]

    @property
    def six(self):
        return ":" in self.given

    @property
    def probe(self):
        return self.case.step == "probe"

    @property
    def lost_for_words(self):
        """Whether a value that says where to look would be several words, or an option."""
        return any(WORDS.search(self.get(name)) for name in (
            "ip", "nic", "cidr_netmask", "network_namespace"))

    @property
    def hostile(self):
        """Whether a value holds white space or begins with a dash (send_arp_opts may)."""
        return any(
            WORDS.search(value) for name, value in self.case.environment.items()
            if name.startswith("OCF_RESKEY_") and value and name not in (
                "OCF_RESKEY_send_arp_opts", "OCF_RESKEY_broadcast")) or bool(
            re.search(r"\S\s+\S|^\s*-.", self.get("broadcast")))

    @property
    def padded(self):
        """Whether a value has white space around it (send_arp_opts may)."""
        return any(value != value.strip() for name, value in self.case.environment.items()
                   if name.startswith("OCF_RESKEY_") and value)

    @property
    def namespace(self):
        return self.get("network_namespace").strip()

    @property
    def note(self):
        """The notes.Note that our agent had of this resource before the step; None without."""
        return notes.find(self.case.before[1], self.ip, self.nic, self.namespace)

    @property
    def own_note(self):
        """The notes.Note that our agent had of it after the step; None without."""
        return notes.find(self.ours, self.ip, self.nic, self.namespace)

    def place(self, note, state):
        """(interface, prefix) that a note tells of, by that state's names."""
        return notes.interface(state, note.index, self.namespace), note.prefix

    def places(self, state):
        """{(interface, prefix)} of the virtual address in that state."""
        return notes.places(state, self.ip, self.namespace)

    @property
    def stands(self):
        """Whether the virtual address was where start had noted it, and is to be there."""
        if not self.note:
            return False
        place = self.place(self.note, self.before)
        return place in self.places(self.before) and self.mask in ("", place[1]) and (
            self.nic in ("", place[0]))

    @property
    def off(self):
        """Whether the noted interface is switched off, where that is looked at."""
        return not (self.nic and self.mask) and bool(self.note) and notes.is_down(
            self.before, self.place(self.note, self.before)[0], self.namespace)

    def has(self, state, prefix="[0-9]+"):
        """Whether the virtual address is on an interface in that state."""
        return any(re.search(r" %s/%s " % (re.escape(self.ip), prefix), text)
                   for text in state["addresses"]) if self.ip else False

    def of(self, state):
        """The lines of the virtual address in that state, on whatever interface."""
        return {text for text in state["addresses"] if " %s/" % self.ip in text}

    def level(self, who, level, pattern=""):
        return any(one.endswith(level) and re.search(pattern, text)
                   for one, text in compare.log(self.case, who))
