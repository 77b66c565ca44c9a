# SPDX-License-Identifier: GPL-2.0-only
"""Programs that run in machines of a lab for a while, and what is made of their output."""
import pathlib
import sys


def traffic(*words):
    """The argv of tests/lab/knock.py with words."""
    return [sys.executable, "-B", pathlib.Path(__file__).parents[1] / "lab/knock.py", *words]


class Watch:
    """Programs at work, each writing into a file of its own in a folder."""

    def __init__(self, folder):
        self.folder, self.running = folder, []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self, name, machine, *argv):
        """Start argv in machine; its output becomes lines(name)."""
        # a new file: the last program to write there may still be about to end
        (self.folder / name).unlink(missing_ok=True)
        with open(self.folder / name, "wb") as out:
            self.running.append(machine.spawn(*argv, stdout=out))

    def lines(self, name):
        """The complete lines so far, split into words."""
        text = (self.folder / name).read_text(encoding="utf-8")
        return [line.split() for line in text.split("\n")[:-1]]

    def stop(self):
        """End all programs."""
        for process in self.running:
            process.kill()
            process.wait()
        self.running.clear()


def changes(names):
    """The names without repetitions of the one before."""
    return [name for i, name in enumerate(names) if i == 0 or names[i - 1] != name]


def gaps(knocks):
    """Seconds between the last answer of a node and the first of the next, for each change."""
    answered = [(float(when), name) for when, name in knocks if name != "-"]
    return [later - earlier for (earlier, old), (later, new) in zip(answered, answered[1:])
            if old != new]


def longest_hole(pings):
    """The longest time without an answer, in seconds, from lines of `ping -D`."""
    times = [float(words[0].strip("[]")) for words in pings if "from" in words]
    return max(later - earlier for earlier, later in zip(times, times[1:]))


def held(log, ip):
    """[(time, +1 or -1)] from the output of `ip -ts -o monitor address` for one address."""
    return [(words[0], -1 if "Deleted" in words else 1) for words in log
            if any(word.startswith(ip + "/") for word in words)]


def at_once(logs, ip):
    """The largest number of nodes that had the address at one instant. logs: node name to the
    lines of `ip -ts -o monitor address`. The kernel may report an address that it has more than
    once (IPv6: again when duplicate address detection is done)."""
    events = sorted((when, change, name) for name, log in logs.items()
                    for when, change in held(log, ip))
    holders, most = set(), 0
    for _, change, name in events:
        (holders.add if change > 0 else holders.discard)(name)
        most = max(most, len(holders))
    return most
