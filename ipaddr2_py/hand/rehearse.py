# SPDX-License-Identifier: GPL-2.0-only
"""--dry-run: the agent's own start or stop, with every door to the world replaced.

What would change something is written down and done on paper alone: later questions about addresses
are answered as if it had been done.  Notes, pid files and locks are those of a copy of HA_RSCTMP.
"""

import os
import shutil
import tempfile

from .. import addresses, agent, changes, children, commands
from ..actions import start, stop
from ..announce import lookout, packets, pidfile, sender
from ..changes import connections, promotion
from ..children import Result
from ..clusterip import share, target
from ..commands import ENV

#: Programs that a query starts, though they send something.
SENDERS = ("send_arp", "send_ua", "arping", "ipoibarping")


class Rehearsal:
    """What an action would do: commands (shell lines, in order), while it is played.

    Made in a process of its own, which ends afterwards: nothing is put back.
    """

    def __init__(self, rsctmp):
        self.rsctmp = rsctmp        # the real folder, as commands are to name it
        self.commands: list = []
        self.added: list = []       # (family, Address) that are there on paper
        self.gone: list = []        # (family, ip, prefix, nic) that are not
        self.joined: dict = {}      # (nic, MAC) -> whether it is on paper
        self.ended: set = set()     # ids of processes
        self.begin, self.end = commands.query_start, commands.query_end
        self.alive = pidfile.is_alive
        self.is_joined = share.is_joined
        self.first = sender.first_round

    def note(self, line):
        """Write down a line, with the real folder's name in it."""
        self.commands.append(line.replace(ENV["HA_RSCTMP"], self.rsctmp))

    # --- what stands in for the doors --------------------------------------------------------

    def run(self, argv, _seconds=None):
        """In place of changes.run()."""
        words = argv[len(addresses.ip_command()):]
        if words[:1] == ["-batch"]:
            with open(words[1], encoding="utf-8") as lines:
                self.note(connections.shell_line(lines.read().splitlines()))
            return Result(0)
        self.note(commands.quoted(argv))
        if words[:1] == ["-f"] and words[2:3] == ["addr"]:
            self.on_paper(words[1], words[3], words[4:])
        elif words[:1] == ["maddress"]:
            self.joined[words[4], words[2]] = words[1] == "add"
        return Result(0)

    def on_paper(self, family, verb, words):
        """Add or delete an address for later questions."""
        nic = words[words.index("dev") + 1]
        place = [word for word in words if "/" in word][0]
        ip, _, prefix = place.partition("/")
        if verb == "add":
            brd = words[words.index("brd") + 1] if "brd" in words else ""
            index = addresses.index_of(nic)
            self.added.append((family, addresses.Address(index, nic, ip, "", int(prefix), brd)))
            return
        if "peer" in words:
            ip = words[0]
        self.gone.append((family, ip, int(prefix), nic))
        self.added = [(kind, one) for kind, one in self.added
                      if (kind, one.ip, one.prefix, one.nic) != (family, ip, int(prefix), nic)]

    def query(self, argv, seconds=None):
        """In place of commands.query()."""
        if os.path.basename(argv[0]) in SENDERS and argv[1:] != ["-V"]:
            self.note(commands.quoted(argv))
            return Result(0)
        if argv[0] == "ss":
            return Result(0)        # on paper all connections were ended
        result = self.end(self.begin(argv), seconds)
        words = argv[len(addresses.ip_command()):]
        if words[:2] == ["-o", "-f"] and words[3:5] == ["addr", "show"]:
            result.out = self.overlaid(result.out, words[2], words[5:])
        return result

    def overlaid(self, text, family, words):
        """What `ip -o addr show` would print."""
        kept = []
        for line in text.splitlines():
            parsed = addresses.parse_addresses(line)
            if not any((family, one.ip, one.prefix, one.nic) in self.gone for one in parsed):
                kept.append(line)
        options = dict(zip(words[::2], words[1::2]))
        for kind, one in self.added:
            if kind == family and options.get("dev", one.nic) == one.nic and \
                    options.get("to", one.ip).partition("/")[0] == one.ip:
                brd = f" brd {one.brd}" if one.brd and family == "inet" else ""
                label = f" {one.nic}" if family == "inet" else ""
                kept.append(f"{one.index}: {one.nic}    {family} {one.ip}/{one.prefix}{brd} scope "
                            f"global{label}\\       valid_lft forever preferred_lft forever")
        return "".join(line + "\n" for line in kept)

    def detach(self, work):
        """In place of commands.detach(): what the background would do is written down as well."""
        work()
        return 0

    def pause(self, seconds):
        """In place of Lookout.pause(): a second round is told, and not waited for."""
        if seconds >= 1:
            self.note(f"# after {seconds:g} seconds, if the address is still here:")
        return False

    def kill(self, pid, number):
        """In place of pidfile.kill()."""
        self.note(f"kill -{number} {pid}")
        self.ended.add(pid)

    def change(self, nic, value):
        """In place of promotion.change()."""
        self.note(f"echo {value} >{commands.quoted([promotion.SETTING % nic])}")
        return True

    def write_bucket(self, vip, sign, number):
        """In place of target.write_bucket()."""
        self.note(f"echo {sign}{number} >{commands.quoted([target.buckets_file(vip.ip)])}")
        return True

    def play(self, action):
        """Replace the doors and do the action; its exit code."""
        for module, name, stand_in in (
                (changes, "run", self.run), (changes, "import_sh", lambda: True),
                (commands, "query", self.query), (commands, "prefetch", lambda argv: None),
                (commands, "query_start", Begun),
                (commands, "query_end", lambda begun, seconds=None: self.query(begun.argv,
                                                                               seconds)),
                (commands, "detach", self.detach),
                (children, "wait_some", lambda begun, seconds: True),
                (children, "ignore_termination", lambda: None),
                (children, "handle_termination", lambda: None),
                (lookout.Lookout, "pause", lambda _lookout, seconds: self.pause(seconds)),
                (pidfile, "kill", self.kill),
                (pidfile, "is_alive", lambda pid: pid not in self.ended and self.alive(pid)),
                (promotion, "change", self.change), (target, "write_bucket", self.write_bucket),
                (share, "is_joined", lambda nic, mac: self.joined.get(
                    (nic, mac.lower()), self.is_joined(nic, mac))),
                (packets, "Announcer", Silent), (sender, "first_round", self.first_round)):
            setattr(module, name, stand_in)
        vip = agent.ip_validate(action)
        return start.ip_start(vip) if action == "start" else \
            stop.ip_stop(vip) if action == "stop" else 0

    def first_round(self, burst):
        """In place of sender.first_round(): what the built-in sender would send is written down."""
        self.note(commands.quoted(burst.argv()))
        return self.first(burst)


class Begun:
    """A question that is put when its answer is wanted."""

    pid = 0

    def __init__(self, argv):
        self.argv = argv


class Silent(packets.Announcer):
    """A sender that sends nothing."""

    def __init__(self, nic, ip, mode="both", mac=None):
        self.nic = nic
        self.ip = ip

    def send(self):
        """Send nothing."""

    def close(self):
        """There is nothing to close."""


def rehearsed(action: str) -> dict:
    """The work of look.apart(): {"rc", "reason", "commands"} of a start, stop, monitor or
    validate-all that changes nothing."""
    folder = tempfile.mkdtemp(prefix="vipctl-")
    try:
        real = ENV["HA_RSCTMP"]
        copy = os.path.join(folder, "rsctmp")
        if os.path.isdir(real):
            shutil.copytree(real, copy, ignore=not_files)
        ENV["HA_RSCTMP"] = copy
        rehearsal = Rehearsal(real)
        reason = ""
        try:
            rc = rehearsal.play(action)
        except agent.OcfExit as leaving:
            rc = leaving.rc
        return {"rc": rc, "reason": reason, "commands": rehearsal.commands}
    finally:
        shutil.rmtree(folder)


def not_files(folder, names):
    """Those of the names in a folder that are no regular files or folders."""
    return [name for name in names
            if not os.path.isfile(os.path.join(folder, name))
            and not os.path.isdir(os.path.join(folder, name))
            or os.path.islink(os.path.join(folder, name))]
