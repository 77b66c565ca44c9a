# SPDX-License-Identifier: GPL-2.0-only
"""What a tester found who tried to break it: namespaces that lost their names, leftovers of shared
addresses, odd names and values.  See tests/netns/field.py for the host."""

import json
import os
import re
import subprocess
import threading

import pytest

from tests.lab.agent import IP
from tests.netns.field import (INET, INET6, VIP, VIP6, agent_fixture,  # noqa: F401
                               base4_fixture, base6_fixture, broken_ip, calm, family_fixture,
                               follow, forget, joined, later, new_nic, node_fixture, notes,
                               places, rename, rules, tun_fixture)
from tests.lab.namespaces import in_namespace
from tests.lab.state import address, everything, ip, links, wait_until

CLONE = {"CRM_meta_clone": 0, "CRM_meta_clone_max": 2, "CRM_meta_globally_unique": "true"}


def where(family, nic="e0"):
    return ["%s/%d" % (nic, family.length)]


# --- 50: a namespace that lost its name ---------------------------------------------------------


class Blue:
    """A namespace with an e0 that holds the family's VIP, started from outside; pid: who lives in
    it, which is the way in once the name is gone."""

    def __init__(self, name, family, agent, outside, request):
        self.name = name
        self.family = family
        self.agent = agent
        self.asked = dict(family.full(), inside=outside, network_namespace=name)
        self.request = request
        new_nic(name, "e0", "p0")
        family.add(name, family.own)
        self.resident = self.live("sleep", "600")

    def live(self, *words):
        """Start a process in the namespace; it ends with the test."""
        process = subprocess.Popen([IP, "netns", "exec", self.name, *words],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        self.request.addfinalizer(lambda: (process.kill(), process.wait()))
        here = os.stat("/run/netns/" + self.name).st_ino
        wait_until(lambda: os.stat("/proc/%d/ns/net" % process.pid).st_ino == here, "the resident")
        return process

    def start(self, **more):
        follow(self.agent, "start 0", **self.asked, **more)
        if not more:
            wait_until(lambda: self.alone(), "the announcements' end")

    def alone(self):
        listed = subprocess.run([IP, "netns", "pids", self.name], stdout=subprocess.PIPE,
                                text=True, timeout=20)
        return listed.stdout.split() in ([], [str(self.resident.pid)])

    def lose_name(self, again=False):
        subprocess.run([IP, "netns", "delete", self.name], check=True, timeout=20)
        if again:
            subprocess.run([IP, "netns", "add", self.name], check=True, timeout=20)

    def held(self):
        """Where the VIP is in the old namespace."""
        done = subprocess.run(["nsenter", "--net=/proc/%d/ns/net" % self.resident.pid, IP, "-json",
                               "addr", "show"], stdout=subprocess.PIPE, check=True, timeout=20)
        return ["%s/%d" % (link["ifname"], entry["prefixlen"])
                for link in json.loads(done.stdout) if link for entry in link["addr_info"]
                if entry.get("local") == self.family.vip]

    def follow(self, course, **more):
        return follow(self.agent, course, **{**self.asked, **more})


@pytest.fixture
def blue(netns, node, agent, request):
    """A function that makes a Blue for a family; the agent runs on the node."""
    return lambda family: Blue(netns(), family, agent, node, request)


@pytest.fixture(params=[INET, INET6], ids=["ipv4", "ipv6"])
def kind(request):
    """Each family in turn, without a base on the node."""
    return request.param


AGAIN = pytest.mark.parametrize("again", [False, True], ids=["deleted", "added again"])


@AGAIN
def test_50_somebody_lives_in_it(kind, blue, agent, again):
    """The name of the namespace goes, or means another one; a process keeps the old one alive."""
    there = blue(kind)
    there.start()
    there.lose_name(again)
    assert there.held() == where(kind)
    there.follow("monitor 7, status 7")
    done = there.follow("probe 1")
    assert done.reason, done
    there.follow("stop 0")
    assert there.held() == [] and not notes(agent, kind.vip)
    there.follow("monitor 7, probe 7, stop 0")


def test_50_the_new_one_is_left_alone(kind, blue):
    """The namespace that has the name now has an e0 too, with other addresses."""
    there = blue(kind)
    there.start()
    there.lose_name(again=True)
    ip(there.name, "link", "add", "name", "x0", "type", "bridge")
    new_nic(there.name, "e0", "p0")
    kind.add(there.name, kind.own)
    before = everything(there.name)
    there.follow("monitor 7, stop 0")
    assert there.held() == [] and everything(there.name) == before


def test_50_start_in_the_new_one(kind, blue):
    """A start there first removes the address from the old one: it is never in both."""
    there = blue(kind)
    there.start()
    there.lose_name(again=True)
    new_nic(there.name, "e0", "p0")
    kind.add(there.name, kind.own)
    there.follow("start 0")
    assert there.held() == [] and places(there.name, kind.vip) == where(kind)
    there.follow("monitor 0, stop 0")
    assert places(there.name, kind.vip) == []


@AGAIN
def test_50_a_thread_lives_in_it(kind, blue, again):
    """It is a thread alone that keeps it, whose process is elsewhere."""
    there = blue(kind)
    inside, leave = [], threading.Event()

    def stay():
        inside.append(threading.get_native_id())
        leave.wait(60)
        return True

    thread = threading.Thread(target=in_namespace, args=(there.name, stay))
    thread.start()
    try:
        wait_until(lambda: inside, "the thread")
        there.start()
        there.lose_name(again)
        there.resident.kill()
        there.resident.wait()
        there.follow("monitor 7, probe 1, stop 0, probe 7")
        assert lonely("/proc/%d/task/%d/ns/net" % (os.getpid(), inside[0]), kind)
    finally:
        leave.set()
        thread.join()


def lonely(namespace, family):
    """Whether e0 in a namespace, a path, has the host's own address and not the VIP."""
    done = subprocess.run(["nsenter", "--net=" + namespace, IP, "addr", "show", "dev", "e0"],
                          stdout=subprocess.PIPE, text=True, check=True, timeout=20)
    return family.vip + "/" not in done.stdout and family.own + "/" in done.stdout


@AGAIN
def test_50_a_mount_of_it(kind, blue, request, again):
    """Nobody lives in it, but it is mounted at another place, by another name."""
    there = blue(kind)
    place = there.agent.folder / "other name"
    place.write_text("")
    subprocess.run(["mount", "--bind", "/run/netns/" + there.name, str(place)], check=True)
    request.addfinalizer(lambda: subprocess.run(["umount", str(place)], check=True))
    there.start()
    there.resident.kill()
    there.resident.wait()
    there.lose_name(again)
    there.follow("monitor 7, probe 1, stop 0, probe 7")
    assert lonely(str(place), kind)


def test_50_its_own_senders_end(kind, blue):
    """What announces the address in there ends with the stop."""
    for sender in ({}, {"arp_sender": "builtin"}):
        there = blue(kind)
        there.start(arp_count=600, arp_interval=200, arp_bg="true", **sender)
        wait_until(lambda: not there.alone(), "the sender")
        there.lose_name()
        there.follow("stop 0")
        assert there.held() == []
        inode = os.stat("/proc/%d/ns/net" % there.resident.pid).st_ino
        wait_until(lambda: residents(inode) == [there.resident.pid], "the sender's end")


def residents(inode):
    """Ids of the processes in a network namespace."""
    found = []
    for name in os.listdir("/proc"):
        try:
            if name.isdigit() and os.stat("/proc/%s/ns/net" % name).st_ino == inode:
                found.append(int(name))
        except OSError:
            pass
    return found


@AGAIN
def test_50_nobody_keeps_it(kind, blue, again):
    """It is gone for good: as ever."""
    there = blue(kind)
    there.start()
    there.resident.kill()
    there.resident.wait()
    there.lose_name(again)
    there.follow("monitor 7, stop 0, probe 7")


def test_50_it_cannot_be_entered(kind, blue):
    """Found and not entered: 1, for the address still answers."""
    there = blue(kind)
    there.start()
    there.lose_name()
    there.agent.by = ["setpriv", "--bounding-set=-sys_admin"]
    done = there.follow("stop 1")
    assert done.reason and there.held() == where(kind), done
    there.agent.by = ()
    there.follow("stop 0")
    assert there.held() == []


def test_50_the_address_cannot_be_removed(kind, blue):
    """Entered and not removed: 1."""
    there = blue(kind)
    there.start()
    there.lose_name()
    there.follow("stop 1", env=broken_ip(there.agent, "*' addr del'*", "echo no >&2; exit 2"))
    assert there.held() == where(kind)
    there.follow("stop 0")
    assert there.held() == []


def test_50_the_address_is_gone_already(kind, blue):
    """Somebody removed it in there: probe says 7."""
    there = blue(kind)
    there.start()
    ip(there.name, "addr", "delete", "%s/%d" % (kind.vip, kind.length), "dev", "e0")
    there.lose_name()
    there.follow("monitor 7, probe 7, stop 0")


def test_50_the_name_is_back(kind, blue):
    """The same namespace has its name again: running."""
    there = blue(kind)
    there.start()
    there.lose_name()
    subprocess.run([IP, "netns", "attach", there.name, str(there.resident.pid)], check=True,
                   timeout=20)
    there.follow("monitor 0, probe 0, start 0, stop 0, monitor 7")


# --- 51: leftovers of a shared address ----------------------------------------------------------


PLAIN = [{}, {"CRM_meta_clone": 0, "CRM_meta_clone_max": 1}]


@pytest.fixture
def shared(family, node, agent, need):
    """The family; its address is shared by two nodes, half of it here."""
    need("nft", "nftables")
    follow(agent, "start 0", **family.full(), **CLONE)
    calm(node)
    assert rules(node) and joined(node)
    return family


def is_plain(node):
    return (rules(node), joined(node)) == ("", [])


@pytest.mark.parametrize("more", PLAIN, ids=str)
def test_51_monitor_of_what_is_still_shared(shared, node, agent, more):
    """Half of the clients get no answer: that is not running."""
    follow(agent, "monitor 7, probe 7, status 7", **shared.full(), **more)


@pytest.mark.parametrize("more", PLAIN, ids=str)
def test_51_start_makes_it_plain(shared, node, agent, more):
    """A plain start takes rules and MAC away."""
    follow(agent, "start 0, monitor 0", **shared.full(), **more)
    assert is_plain(node) and places(node, shared.vip) == where(shared)
    follow(agent, "stop 0, monitor 7", **shared.full(), **more)
    assert places(node, shared.vip) == []


@pytest.mark.parametrize("noted", [True, False], ids=["noted", "forgotten"])
@pytest.mark.parametrize("more", PLAIN, ids=str)
def test_51_stop_takes_all_away(shared, node, agent, more, noted):
    """A plain stop leaves neither address nor table nor MAC."""
    if not noted:
        forget(agent)
    follow(agent, "stop 0", **shared.full(), **more)
    assert is_plain(node) and places(node, shared.vip) == []


@pytest.mark.parametrize("left", ["address", "no address"])
def test_51_start_without_a_note(shared, node, agent, left):
    """A plain start does not stand on leftovers, note or no note."""
    forget(agent)
    if left == "no address":
        ip(node, "addr", "delete", "%s/%d" % (shared.vip, shared.length), "dev", "e0")
    follow(agent, "start 0, monitor 0", **shared.full())
    assert is_plain(node) and places(node, shared.vip) == where(shared)
    follow(agent, "stop 0", **shared.full())


def test_51_another_shared_address_stays(shared, node, agent):
    """Only the rules of this address go."""
    other = dict(shared.full(), ip=shared.second)
    follow(agent, "start 0", **other, **CLONE)
    calm(node)
    follow(agent, "stop 0", **shared.full())
    assert shared.second.replace(":", "_") in rules(node) and len(joined(node)) == 1
    follow(agent, "monitor 0, stop 0", **other, **CLONE)
    assert is_plain(node)


def test_51_somebodys_own_rules_stay(shared, node, agent):
    """So do rules that are not ours."""
    subprocess.run([IP, "netns", "exec", node, "nft", "add table ip mine; add chain ip mine x"],
                   check=True, timeout=20)
    follow(agent, "start 0, stop 0", **shared.full())
    assert re.findall(r"^table .*", rules(node), re.M) == ["table ip mine {"]


@pytest.mark.parametrize("more", [{}, {"nic": "e0"}], ids=str)
def test_51_without_cidr_netmask(family, node, agent, need, more):
    """The same where routes give the place."""
    need("nft", "nftables")
    asked = {**family.asked, **more}
    for course in ("monitor 7, stop 0", "start 0, monitor 0, stop 0"):
        follow(agent, "start 0", **asked, **CLONE)
        follow(agent, course, **asked)
        assert is_plain(node) and places(node, family.vip) == []


def test_51_in_a_namespace(family, node, netns, agent, need):
    """The same in a namespace."""
    need("nft", "nftables")
    asked = dict(family.full(), inside=netns(), network_namespace=node)
    for course in ("monitor 7, stop 0", "start 0, monitor 0, stop 0"):
        follow(agent, "start 0", **asked, **CLONE)
        follow(agent, course, **asked)
        assert is_plain(node) and places(node, family.vip) == []


def test_51_one_bucket_of_two_is_still_shared(shared, node, agent):
    """Parameters that still share go on as before."""
    follow(agent, "monitor 0, start 0", **shared.full(), **CLONE)
    assert not is_plain(node)
    follow(agent, "stop 0", **shared.full(), **CLONE)
    assert is_plain(node) and places(node, shared.vip) == []


# --- 55: names that the kernel takes ------------------------------------------------------------


@pytest.mark.parametrize("nic", ["ipsec0", "a\\b", "nexthop", "\\", "x\\", "\\x0a",
                                 "ipsec", "e\"0"])
@pytest.mark.parametrize("mask", [True, False], ids=["mask", "no mask"])
def test_55_any_name_that_the_kernel_takes(node, agent, nic, mask):
    """nic names the interface, whatever it is called."""
    rename(node, "e0", nic)
    for family in (INET, INET6):
        family.add(node, family.own, None, nic)
        asked = family.full(nic) if mask else dict(family.asked, nic=nic)
        follow(agent, "validate-all 0, probe 7, start 0", **asked)
        assert places(node, family.vip) == where(family, nic)
        follow(agent, "monitor 0, start 0, stop 0, monitor 7", **asked)
        assert places(node, family.vip) == []
        calm(node)


# --- 57, 64: which addresses there are ----------------------------------------------------------


@pytest.mark.parametrize("vip", ["240.0.0.5", "255.255.255.254", "241.1.2.3", "1.2.3.4",
                                 "223.255.255.254", "127.0.0.2"])
def test_57_addresses_that_linux_takes(node, agent, vip):
    """240/4 is allowed, as by the shell agent."""
    asked = {"ip": vip, "nic": "e0", "cidr_netmask": 24}
    follow(agent, "validate-all 0, probe 7, start 0", **asked)
    assert places(node, vip) == ["e0/24"]
    follow(agent, "monitor 0, stop 0, monitor 7", **asked)


@pytest.mark.parametrize("vip", ["0.1.2.3", "0.0.0.0", "224.0.0.1", "239.255.255.255",
                                 "255.255.255.255", "240.0.0.05", "010.0.0.1", "240.0.0.256"])
def test_57_addresses_that_nobody_has(node, agent, vip):
    """Refused are 0.x, multicast, 255.255.255.255 and leading zeros."""
    done = follow(agent, "validate-all 6, start 6", ip=vip, nic="e0", cidr_netmask=24)
    assert vip in done.reason and places(node, vip) == []


@pytest.mark.parametrize("vip", ["fec0::50", "feff:ffff::50", "fe00::50", "fc00::50"])
def test_64_close_to_link_local(node, agent, vip):
    """Beside fe80::/10 no address needs a nic."""
    network = vip.replace("::50", "::1")
    ip(node, "addr", "add", network + "/64", "dev", "e0", "nodad")
    follow(agent, "validate-all 0, probe 7, start 0", ip=vip, nodad="true")
    assert places(node, vip) == ["e0/64"]
    follow(agent, "monitor 0, stop 0, monitor 7", ip=vip, nodad="true")


@pytest.mark.parametrize("vip", ["fe80::50", "fe90::50", "febf:ffff::50"])
def test_64_link_local(node, agent, vip):
    """Within it nic is needed, and enough with a mask."""
    follow(agent, "validate-all 6, start 6", ip=vip, nodad="true")
    asked = {"ip": vip, "nic": "e0", "cidr_netmask": 64, "nodad": "true"}
    follow(agent, "start 0, monitor 0, stop 0, monitor 7", **asked)


# --- 59: rules that only look like ours ---------------------------------------------------------


def nft(node, *words):
    done = subprocess.run([IP, "netns", "exec", node, "nft", *words], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=20)
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_59_a_table_is_dormant(shared, node, agent):
    """A table that is switched off is no table; start switches it on."""
    tables = [line.split(" ", 1)[1] for line in nft(node, "list", "tables").splitlines()]
    assert tables
    for table in tables:
        nft(node, "add table %s { flags dormant; }" % table)
        assert "dormant" in rules(node)
        follow(agent, "monitor 7, start 0, monitor 0", **shared.full(), **CLONE)
        assert "dormant" not in rules(node)
    follow(agent, "stop 0", **shared.full(), **CLONE)
    assert is_plain(node)


def commented(node):
    """Our rules as (chain, handle, rule, comment); a chain is "FAMILY TABLE CHAIN"."""
    table = chain = ""
    for line in nft(node, "-a", "list", "ruleset").splitlines():
        words = line.split()
        if words[:1] == ["table"]:
            table = " ".join(words[1:3])
        elif words[:1] == ["chain"]:
            chain = words[1]
        elif ' comment "' in line:
            body, _, rest = line.strip().partition(' comment "')
            comment, _, handle = rest.rpartition('" # handle ')
            yield "%s %s" % (table, chain), handle, body, comment


def described(node):
    """Our rules without their handles, sorted."""
    return sorted(entry[:1] + entry[2:] for entry in commented(node))


def test_59_a_rule_is_replaced_that_keeps_its_comment(shared, node, agent):
    """A rule is what it does, not what it is called: each of them in turn."""
    whole = described(node)
    assert len(whole) > 3
    for number in range(len(whole)):
        chain, handle, body, comment = list(commented(node))[number]
        verdict = "drop" if body.endswith("accept") else "accept"
        nft(node, 'replace rule %s handle %s counter %s comment "%s"' % (
            chain, handle, verdict, comment))
        assert agent("monitor", **shared.full(), **CLONE).rc == 7, (chain, body, comment)
        follow(agent, "start 0, monitor 0", **shared.full(), **CLONE)
        assert described(node) == whole, body


@pytest.mark.parametrize("what", ["bucket", "modulus", "seed"])
def test_59_other_numbers(shared, node, agent, what):
    """The bucket's rule with another number in it."""
    pattern, new = {"bucket": (r" 0 accept$", " 1 accept"), "modulus": (r"mod 2", "mod 3"),
                    "seed": (r"seed 0x\w+", "seed 0x1")}[what]
    chain, handle, body, comment = [entry for entry in commented(node) if "jhash" in entry[2]][0]
    changed = re.sub(pattern, new, body)
    assert changed != body
    nft(node, 'replace rule %s handle %s %s comment "%s"' % (chain, handle, changed, comment))
    follow(agent, "monitor 7, start 0, monitor 0, stop 0", **shared.full(), **CLONE)
    assert is_plain(node)


# --- 61: the link is down -----------------------------------------------------------------------


LINKED = {"check_link_status": "true"}


@pytest.fixture
def unplugged(family, node, agent):
    """The family; its address was started, then the far end went down."""
    follow(agent, "start 0", **family.full(), **LINKED)
    ip(node, "link", "set", "dev", "p0", "down")
    wait_until(lambda: links(node)["e0"]["operstate"] != "UP", "the link to be down")
    return family


def test_61_start_of_an_address_without_link(unplugged, node, agent):
    """start and monitor are of one mind: 1 and 7."""
    follow(agent, "monitor 7", **unplugged.full(), **LINKED)
    done = follow(agent, "start 1", **unplugged.full(), **LINKED)
    assert done.reason and "e0" in done.reason, done
    follow(agent, "monitor 0", **unplugged.full())


def test_61_the_link_comes_back_meanwhile(unplugged, node, agent):
    """It waits for the link."""
    with later(0.7, lambda: ip(node, "link", "set", "dev", "p0", "up")):
        follow(agent, "start 0, monitor 0", **unplugged.full(), **LINKED)
    assert places(node, unplugged.vip) == where(unplugged)


@pytest.mark.parametrize("more", [{}, {"nic": "e0"}], ids=str)
def test_61_where_the_note_tells_the_place(family, node, agent, more):
    """The same where nic or cidr_netmask is not given."""
    asked = {**family.asked, **LINKED, **more}
    follow(agent, "start 0", **asked)
    ip(node, "link", "set", "dev", "p0", "down")
    wait_until(lambda: links(node)["e0"]["operstate"] != "UP", "the link to be down")
    follow(agent, "monitor 7, start 1", **asked)


def test_61_an_unknown_state_is_up(node, tun, agent):
    """tun0 has no state to be down in."""
    for family in (INET, INET6):
        follow(agent, "start 0, start 0, monitor 0, stop 0", **family.full(tun), **LINKED)


# --- 63, 65: tables, broadcast ------------------------------------------------------------------


@pytest.mark.parametrize("more", [{}, {"clusterip_chain": "PREROUTING"}], ids=str)
def test_63_no_such_chain_in_the_table(base4, agent, need, more):
    """The table filter has no chain PREROUTING: 6 with a reason."""
    need("iptables", "iptables")
    asked = {**INET.full(), **CLONE, "clusterip_firewall": "iptables",
             "clusterip_table": "filter", **more}
    before = everything(base4)
    for action in ("validate-all", "start"):
        done = follow(agent, action + " 6", **asked)
        assert "filter" in done.reason and "PREROUTING" in done.reason, done
    follow(agent, "stop 0", **asked)
    assert everything(base4) == before


def test_63_the_tables_own_chain(base4, agent, need):
    """The table filter with its chain INPUT is right."""
    need("iptables", "iptables")
    follow(agent, "validate-all 0", **INET.full(), **CLONE, clusterip_firewall="iptables",
           clusterip_table="filter", clusterip_chain="INPUT")


@pytest.mark.parametrize("own, mask, brd", [
    (["192.0.2.1/24 brd +"], 16, None), (["192.0.2.1/24 brd +"], 23, None),
    (["192.0.2.1/24 brd +"], 24, "192.0.2.255"), (["192.0.2.1/24 brd +"], 32, "192.0.2.255"),
    (["192.0.2.1/24 brd +", "192.0.3.1/16 brd +"], 20, "192.0.255.255"),
    (["192.0.2.1/24"], 24, None), (["192.0.2.1/24 brd 192.0.2.77"], 25, "192.0.2.77"),
    (["192.0.2.1/32 brd 192.0.2.9"], 24, None)], ids=str)
def test_65_broadcast(node, agent, own, mask, brd):
    """The broadcast address is that of an address whose network holds the VIP's own."""
    for words in own:
        ip(node, "addr", "add", *words.split(), "dev", "e0")
    follow(agent, "start 0", ip=VIP, nic="e0", cidr_netmask=mask)
    assert address(node, VIP).get("broadcast") == brd


# --- 66: values that no command sees ------------------------------------------------------------


WORDS = [{"cidr_netmask": "-1"}, {"nic": "e 0"}, {"nic": "-e0"}, {"cidr_netmask": "2 4"},
         {"ip": "192.0.2.50 x"}, {"ip": "-4"}, {"network_namespace": "a b"},
         {"network_namespace": "-x"}, {"nic": "e0", "cidr_netmask": "-1"},
         {"nic": "e 0", "cidr_netmask": "24"}]


@pytest.mark.parametrize("wrong", WORDS, ids=str)
@pytest.mark.parametrize("there", [True, False], ids=["there", "not there"])
def test_66_as_if_nothing_was_found(base4, agent, wrong, there):
    """A probe is 7, so that the node is none where it is wrong; recurring monitor and status 1;
    start and validate-all 6."""
    if there:
        INET.add(base4)
    before = everything(base4)
    follow(agent, "probe 7, monitor 1, status 1, validate-all 6, start 6", **{"ip": VIP, **wrong})
    assert everything(base4) == before


@pytest.mark.parametrize("wrong", WORDS[:4] + WORDS[6:8], ids=str)
def test_66_ipv6(base6, agent, wrong):
    """The same for IPv6."""
    INET6.add(base6)
    follow(agent, "probe 7, monitor 1, status 1, validate-all 6, start 6", ip=VIP6, **wrong)
    assert places(base6, VIP6) == ["e0/64"]


@pytest.mark.parametrize("wrong", WORDS, ids=str)
def test_66_stop(base4, agent, wrong):
    """For stop such a cidr_netmask counts as not given, the others mean that nothing is to stop."""
    INET.add(base4)
    follow(agent, "stop 0", **{"ip": VIP, **wrong})
    gone = "cidr_netmask" in wrong and " " not in wrong.get("nic", "")
    assert places(base4) == ([] if gone else ["e0/24"])


OTHERS = [("iflabel", "a b"), ("iflabel", "-x"), ("broadcast", "x y"), ("preferred_lft", "1 2"),
          ("proto", "no such"), ("proto", "-4"), ("mac", "-x"), ("send_arp_opts", "-x y"),
          ("arp_sender", "send_arp -x"), ("metric", "1 0"), ("arp_count", "1 0"),
          ("clusterip_hash", "a b"), ("nic", "e0:a b")]


@pytest.mark.parametrize("name, value", OTHERS, ids=["%s=%r" % pair for pair in OTHERS])
def test_66_other_values_do_not_matter(base4, agent, name, value):
    """Other values do not matter to monitor, probe and status of an address that is there."""
    INET.add(base4)
    follow(agent, "probe 0, monitor 0, status 0", **{"ip": VIP, name: value})
    follow(agent, "stop 0, monitor 7", **{"ip": VIP, name: value})
