# SPDX-License-Identifier: GPL-2.0-only
"""The one table of vipctl's verbs and options: command line, manual page and completion read it."""


class Option:
    """An option: flag (--json), metavar ("" for a switch), text, verbs that have it."""

    def __init__(self, flag, metavar, text, verbs):
        self.flag = flag
        self.metavar = metavar
        self.text = text
        self.verbs = verbs


class Verb:
    """A verb: its words behind it, what it does in a line, and in full."""

    def __init__(self, name, words, text, more):
        self.name = name
        self.words = words
        self.text = text
        self.more = more


ACTIONS = ("monitor", "start", "stop", "validate-all")
RESOURCE = "RESOURCE|name=value..."

VERBS = (
    Verb("status", "[RESOURCE|ADDRESS]...", "each address: where the cluster and the kernel have "
         "it",
         "A row for each IPaddr2 resource of the cluster, of whichever provider: its address, "
         "interface, the node where the cluster has it, whether it is here, the link, flags, "
         "label, "
         "buckets, and whether it is still being announced. A row is marked with ! where cluster "
         "and kernel disagree; then the exit status is 1."),
    Verb("explain", RESOURCE, "where it belongs, why, what is there, what would be done",
         "In sentences first: where the agent would put the address and why, what is there now, "
         "what is wrong. Then the routes that hold the address in the order in which they were "
         "weighed, every place of it here, the note of start, the sender, for a shared address "
         "its firewall and share, and the commands of the next start and stop."),
    Verb("monitor", RESOURCE, "run the agent's monitor", "Exit status as the agent's."),
    Verb("start", RESOURCE, "run the agent's start",
         "Refused for a resource that the cluster manages, unless --force. Exit status as the "
         "agent's."),
    Verb("stop", RESOURCE, "run the agent's stop",
         "Refused for a resource that the cluster manages, unless --force. Exit status as the "
         "agent's."),
    Verb("validate-all", RESOURCE, "check every parameter", "Exit status as the agent's."),
    Verb("announce", "NIC ADDRESS", "tell the neighbours of an address that is here",
         "Sends gratuitous ARP, or unsolicited neighbour advertisements, by the built-in sender."),
    Verb("check", "", "is this node fit to serve addresses?",
         "Looks at programs, libraries, kernel settings, files and duplicates. Each line is fine, "
         "worth knowing, or wrong with what to do; the exit status is 1 where one is wrong."),
    Verb("watch", RESOURCE, "what happens to it, as it happens",
         "Shows changes of the address, its interface, routes and neighbours as the kernel tells "
         "them, and monitor's verdict whenever it changes, until it is interrupted."),
)

OPTIONS = (
    Option("--cib", "FILE", "read the resources from a saved CIB, or from the folder or archive of "
           "crm report or sosreport", ("status", "explain", "watch", *ACTIONS)),
    Option("--json", "", "print JSON, see doc/vipctl.schema.json", ("status", "explain", "check")),
    Option("--dry-run", "", "show the commands, and change nothing", ACTIONS),
    Option("--trace", "", "show each command with its output and time as it runs", ACTIONS),
    Option("--force", "", "also where the cluster manages the resource", ("start", "stop")),
)
