# SPDX-License-Identifier: GPL-2.0-only
"""Where the virtual address must be: what an action must end with, said from the state before it.

Knows the specification, neither of the agents: exit code and places of the address follow from the
addresses, links and routes that were there, the note of start, and the parameters ip, cidr_netmask
and nic.
"""
from . import notes, routes
from .notes import places


class Model:
    """Follows one resource through a walk; `started` is where its last start put the address."""

    def __init__(self):
        self.started = None

    def judge(self, action, parameters, before, after):
        """Complaints, as texts, about one action of ours. before, after: states; after has rc."""
        ip, mask, nic = (parameters.get(name) or "" for name in ("ip", "cidr_netmask", "nic"))
        was, now, rc = places(before, ip), places(after, ip), after["rc"]
        wanted = routes.choice(before, ip, mask, nic)
        there = not nic or any(text.split()[0] == nic for text in before["links"])
        note = notes.find(before, ip, nic)
        noted = note and (notes.interface(before, note.index), note.prefix)
        stands = noted in was and mask in ("", noted[1])
        if action == "start":
            return self._start(rc, was, now, {noted} if stands else wanted, there, noted)
        if action == "stop":
            return self._stop(rc, was, now, wanted, noted)
        complaints = [] if was == now else ["%s moved the address: %s, %s" % (action, was, now)]
        if action == "validate-all":
            allowed = {0} if wanted and there else {1, 6}
        elif stands:
            down = notes.is_down(before, noted[0]) and not (nic and mask)
            allowed = {7} if down else {0}
        elif wanted:
            allowed = {0} if wanted & was else {7}
        else:
            allowed = {7} if action == "probe" or note and there and not was else {1}
        return complaints + _code(rc, allowed)

    def _start(self, rc, was, now, wanted, there, noted):
        if not wanted or not there:
            return _code(rc, {1, 6}) + ([] if now == was else ["a failed start left %s" % now])
        left = {place for place in was - wanted if noted and noted not in wanted
                and place[0] == noted[0]}
        if wanted & was:
            self.started = sorted(wanted & was)[0]
            return _code(rc, {0}) + (
                [] if now == was - left else ["a second start changed %s" % now])
        if rc != 0:  # the kernel may refuse, for instance an IPv6 address of another prefix
            taken = {nic for nic, _ in was} & {nic for nic, _ in wanted}
            return ([] if taken else ["start failed: %d" % rc]) + (
                [] if was - left <= now <= was else ["a failed start left %s" % now])
        added = now - was
        self.started = sorted(added)[0] if added else None
        return [] if len(added) == 1 and added <= wanted and was - now == left else [
            "start ended with %s, %s was to be added to %s without %s" % (now, wanted, was, left)]

    def _stop(self, rc, was, now, wanted, noted):
        complaints = _code(rc, {0}) + ([] if now <= was else ["stop added %s" % (now - was)])
        if self.started in now:
            complaints.append("stop left %s, where start had put it" % (self.started,))
        if wanted & now:
            complaints.append("stop left %s, where monitor would find it" % (wanted & now))
        if noted and any(nic == noted[0] for nic, _ in now):
            complaints.append("stop left %s, where start had noted it" % now)
        self.started = None
        return complaints


def _code(rc, allowed):
    return [] if rc in allowed else ["exit code %d, not one of %s" % (rc, sorted(allowed))]
