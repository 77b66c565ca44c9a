# SPDX-License-Identifier: GPL-2.0-only
"""Cluster IP by the iptables target CLUSTERIP, as the shell agent has it (until Linux 6.2, IPv4).

The first bucket comes with the rule; /proc/net/ipt_CLUSTERIP/<ip> lists the buckets, numbers
written there with a + or - are added or removed, and it exists as long as a rule does.
"""

import posix
import time

from .. import children, commands
from ..changes import files, ocf_run
from ..children import RUN
from ..ocf import env, have_binary, ocf_is_decimal, ocf_log
from .share import Share, configured_share, matches

BEFORE_ADDRESS = True       # the shell agent's order
REFUSED = ("iptables or the kernel refused (the target CLUSTERIP wants Linux before 6.3, "
           "iptables-legacy, and 16 buckets at most)")
FOLDER = "/proc/net/ipt_CLUSTERIP"
BUSY = 4                    # exit status of iptables while another one has its lock


def iptables() -> list:
    """The words that start iptables: the legacy one, which alone can do it, where installed."""
    legacy = env("IPTABLES_LEGACY", "iptables-legacy")
    return (legacy if have_binary(legacy) else env("IPTABLES", "iptables")).split()


def modprobe() -> list:
    """The words that start modprobe."""
    return env("MODPROBE", "modprobe").split()


def has_target() -> bool:
    """Whether this kernel has the target: loaded, or as a module; Linux 6.3 dropped it."""
    if "target" not in RUN.known:
        RUN.known["target"] = _has_target()
    return RUN.known["target"]


def _has_target():
    if posix.access(FOLDER, posix.F_OK) or \
            "CLUSTERIP" in files.read_file("/proc/net/ip_tables_targets").split():
        return True
    if kernel_version(posix.uname().release) >= (6, 3):
        return False
    return commands.query(modprobe() + ["-n", "-q", "ipt_CLUSTERIP"]).rc == 0


def kernel_version(release: str) -> tuple:
    """The first two numbers of a kernel release such as 6.1.0-41-amd64."""
    numbers = []
    for word in release.split(".")[:2]:
        digits = word
        while digits and not ocf_is_decimal(digits):
            digits = digits[:-1]
        numbers.append(int(digits or 0))
    return tuple(numbers)


def buckets_file(ip: str) -> str:
    """The kernel's file of an address."""
    return FOLDER + "/" + ip


def parse_buckets(text: str) -> dict:
    """The numbers in the kernel's file: "1,2" and a newline, or nothing."""
    return {int(word): word for word in text.strip().split(",") if ocf_is_decimal(word)}


def look(vip):
    """The Share of the address that the kernel's file shows, None without one."""
    if vip.family != "inet" or not posix.access(buckets_file(vip.ip), posix.F_OK):
        return None
    share = Share()
    share.buckets = parse_buckets(files.read_file(buckets_file(vip.ip)))
    return share


def parse_rules(text: str, ip: str) -> list:
    """The address's CLUSTERIP rules in what `iptables -S INPUT` prints, each a list of words."""
    rules = []
    for line in text.splitlines():
        words = rule_words(line)
        if words[:2] == ["-A", "INPUT"] and "CLUSTERIP" in words and \
                after(words, "-d").split("/")[0] == ip:
            rules.append(words)
    return rules


def rule_words(line: str) -> list:
    """The words of a rule as `iptables -S` prints it: a comment in quotes is one word.

    Quotes and backslashes inside have a backslash before them; other words are never quoted.
    """
    words: list = []
    word: "str | None" = None
    quoted = False
    letters = iter(line + " ")
    for letter in letters:
        if quoted and letter == "\\":
            word = (word or "") + next(letters)
        elif letter == '"' and (quoted or word is None):
            word, quoted = word or "", not quoted
        elif letter != " " or quoted:
            word = (word or "") + letter
        elif word is not None:
            words.append(word)
            word = None
    return words


def after(words, option: str) -> str:
    """The word behind an option, "" where there is none."""
    return words[words.index(option) + 1] if option in words[:-1] else ""


def described(rule) -> Share:
    """The Share that a rule's words describe."""
    total = after(rule, "--total-nodes")
    return Share(after(rule, "-i"), after(rule, "--clustermac").lower(), after(rule, "--hashmode"),
                 int(total) if ocf_is_decimal(total) else 0)


def change(argv) -> int:
    """Run iptables, again while another one has its lock; the exit status."""
    while True:
        rc = ocf_run(argv)
        if rc != BUSY or not children.remaining():
            return rc
        time.sleep(0.05)


# --- the verbs -------------------------------------------------------------------------------


def look_closely(vip):
    """The Share with the settings of its first rule, None without."""
    found = look(vip)
    rules = list_rules(vip) if found else []
    if rules:
        settings = described(rules[0])
        settings.buckets = found.buckets
        return settings
    return found


def wanted_share(vip, found, brd: str) -> Share:
    """The Share that the parameters ask for."""
    if found and not matches(found, vip):
        found = None            # it is made anew, with a MAC of its own
    return configured_share(vip, found, brd)


def set_up(vip, share, found) -> bool:
    """Make the rule, anew where it has other settings; whether that worked."""
    others = set()
    if found:
        ocf_log("info", f"Cluster IP: the rule of {vip.ip} has other settings, it is made anew")
        others = {number for number in found.buckets if number <= vip.buckets} - {vip.bucket}
        delete_rules(list_rules(vip))
    return add_rule(vip, share) and all([write_bucket(vip, "+", one) for one in others])


def add_bucket(vip, _share) -> bool:
    """Add the VIP's bucket to the rule; whether the kernel took it."""
    return write_bucket(vip, "+", vip.bucket)


def add_rule(vip, share) -> bool:
    """Add the rule that comes with the VIP's bucket; whether that worked."""
    ocf_run(modprobe() + ["ip_conntrack"])
    argv = iptables() + ["-I", "INPUT", "-d", vip.ip, "-i", vip.nic, "-j", "CLUSTERIP", "--new",
                         "--clustermac", share.mac, "--total-nodes", str(share.total),
                         "--local-node", str(vip.bucket), "--hashmode", share.hash]
    ocf_log("info", commands.quoted(argv))
    return change(argv) == 0


def write_bucket(vip, sign: str, number: int) -> bool:
    """Add (+) or remove (-) a bucket in the kernel's file; whether the kernel took it."""
    try:
        fd = posix.open(buckets_file(vip.ip), posix.O_WRONLY)
    except OSError as problem:
        ocf_log("err", f"cannot write {buckets_file(vip.ip)}: {problem.strerror}")
        return False
    try:
        posix.write(fd, b"%s%d\n" % (sign.encode(), number))
        return True
    except OSError as problem:
        ocf_log("err", f"the kernel refused {sign}{number} in {buckets_file(vip.ip)}: "
                f"{problem.strerror}")
        return False
    finally:
        posix.close(fd)


def list_rules(vip) -> list:
    """The address's rules that are there, as parse_rules() gives them."""
    return parse_rules(commands.query(iptables() + ["-S", "INPUT"]).out, vip.ip)


def delete_rules(rules) -> bool:
    """Delete rules, each as it was listed; whether all went."""
    failures = [rule for rule in rules if change(iptables() + ["-D"] + rule[1:])]
    return not failures


def release(vip, found) -> bool:
    """Let go of the VIP's bucket alone; whether that worked."""
    return not found or vip.bucket not in found.buckets or write_bucket(vip, "-", vip.bucket)


def remove(vip, _share) -> bool:
    """Let go of the bucket and delete every rule of the address; whether that worked.

    The kernel forgets the multicast MAC along with the last rule.
    """
    found = look(vip)
    if not found:
        return True
    release(vip, found)
    ocf_log("info", f"{vip.ip}: the last bucket is released, its rules are removed")
    return delete_rules(list_rules(vip)) and look(vip) is None
