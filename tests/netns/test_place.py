# SPDX-License-Identifier: GPL-2.0-only
"""Where an address belongs, what start remembers of it, and what a note that lies may do: nothing.

The note's file is found by its name, "IPaddr2-" and the address; it is text that names index,
interface, address and prefix length.  See field.py for the host.
"""

import os
import stat
import subprocess

import pytest

from tests.netns.field import (INET, INET6, VIP, VIP6, agent_fixture,  # noqa: F401
                               base4_fixture, base6_fixture, boot_id, broken_ip, calm,
                               family_fixture, follow, forget, index, keep_on_down, netns_inode,
                               new_nic, no_routes, noarp_fixture, node_fixture, notes, places,
                               rename, second_nic_fixture, shell_agent_fixture, the_note,
                               tun_fixture, watched_ip)
from tests.lab.state import everything, ip, links, routes, wait_until

COURSE = "probe 7, start 0, monitor 0, stop 0, probe 7"


@pytest.fixture
def started(family, node, agent):
    """The family; its address was started without nic and cidr_netmask, and is on e0."""
    follow(agent, "start 0", **family.asked)
    calm(node)
    return family


def cut_routes(node, family):
    """Take away the route to the family's network."""
    family.route(node, "delete", family.network, "dev", "e0")


def where(family, nic="e0", length=None):
    return "%s/%d" % (nic, length or family.length)


# --- the note itself ----------------------------------------------------------------------------


@pytest.mark.parametrize("more", [{}, {"nic": "e0"}, {"nic": "e0:web"}, {"cidr_netmask": "length"},
                                  {"nic": "e0", "cidr_netmask": "length"}], ids=str)
def test_note_is_written_and_removed(family, node, agent, more):
    """Start writes a note that a person can read; stop removes it."""
    asked = {**family.asked, **more}
    if "cidr_netmask" in more:
        asked["cidr_netmask"] = family.length
    follow(agent, "start 0", **asked)
    path = the_note(agent, family.vip)
    told = path.read_text()
    for word in (str(index(node, "e0")), "e0", family.vip, str(family.length)):
        assert word in told, told
    assert told.isprintable() or all(line.isprintable() for line in told.splitlines())
    kind = path.lstat()
    assert stat.S_ISREG(kind.st_mode) and stat.S_IMODE(kind.st_mode) == 0o600
    calm(node)
    follow(agent, "stop 0", **asked)
    assert not notes(agent, family.vip)


def test_note_has_no_companions(started, agent):
    """Nothing is left of how it was written."""
    assert [path.name for path in agent.rsctmp.iterdir()
            if path.name.startswith("IPaddr2-")] == [the_note(agent, started.vip).name]


@pytest.mark.parametrize("umask", ["000", "077", "777"])
def test_note_whatever_the_umask(base4, agent, umask):
    """Its mode does not depend on the caller."""
    agent.by = ["/bin/sh", "-c", "umask %s; exec \"$@\"" % umask, "sh"]
    follow(agent, "start 0", ip=VIP)
    assert stat.S_IMODE(the_note(agent).stat().st_mode) == 0o600
    follow(agent, "monitor 0, stop 0", ip=VIP)
    assert not notes(agent)


@pytest.mark.parametrize("failing", ["arp_count", "*' addr add '*", "*' link set '*' up '*"])
def test_note_of_a_failed_start(family, node, agent, failing):
    """A start that refuses a value, that fails, or that is taken back leaves no note."""
    more = {"arp_count": "x"}
    if failing != "arp_count":
        more = {"env": broken_ip(agent, failing, "echo no >&2; exit 2")}
    done = agent("start", **family.full(), **more)
    assert done.rc != 0, done
    assert not notes(agent, family.vip) and places(node, family.vip) == []


def test_note_of_a_stop_that_fails(base4, agent):
    """A stop that cannot remove the address leaves the note: the next one finds it."""
    follow(agent, "start 0", ip=VIP)
    env = broken_ip(agent, "*' addr del'*", "echo no >&2; exit 2")
    ip(base4, "route", "delete", "192.0.2.0/24")
    follow(agent, "stop 1", ip=VIP, env=env)
    the_note(agent)
    follow(agent, "stop 0", ip=VIP)
    assert places(base4) == [] and not notes(agent)


def test_note_by_a_start_of_a_running_address(family, node, agent):
    """A start that finds the address where it belongs writes the note."""
    family.add(node)
    follow(agent, "start 0", **family.asked)
    assert "e0" in the_note(agent, family.vip).read_text()
    cut_routes(node, family)
    follow(agent, "monitor 0, stop 0", **family.asked)
    assert places(node, family.vip) == []


def test_note_is_not_written_by_others(family, node, agent):
    """monitor, probe, status and validate-all write none."""
    family.add(node)
    follow(agent, "monitor 0, probe 0, status 0, validate-all 0", **family.asked)
    assert not notes(agent, family.vip)


@pytest.mark.parametrize("spelling", ["2001:DB8::50", "2001:0db8:0:0:0:0:0:0050",
                                      "2001:db8::0.0.0.80"])
def test_note_of_any_spelling(base6, agent, spelling):
    """The note is that of the address as the kernel spells it."""
    follow(agent, "start 0", ip=spelling, nodad="true")
    the_note(agent, VIP6)
    cut_routes(base6, INET6)
    follow(agent, "monitor 0, stop 0", ip=VIP6)
    assert places(base6, VIP6) == [] and not notes(agent, VIP6)


def test_note_knows_the_label_form(base4, agent):
    """nic=e0:web has the note of nic=e0."""
    follow(agent, "start 0", ip=VIP, nic="e0:web")
    rename(base4, "e0", "old0")
    follow(agent, "monitor 7", ip=VIP, nic="e0:other")
    follow(agent, "stop 0", ip=VIP, nic="e0")
    assert places(base4) == [] and not notes(agent)


@pytest.mark.parametrize("nic", ["a\\b", "brücke", "e0@x", "fifteen-letters", "..x", "a'b",
                                 "IPaddr2-", "~"])
def test_note_of_an_odd_name(node, agent, nic):
    """Whatever the interface is called, the note stays in the folder and is found."""
    rename(node, "e0", nic)
    for family in (INET, INET6):
        asked = dict(family.asked, nic=nic)
        family.add(node, family.own, None, nic)
        follow(agent, "start 0", **asked)
        path = the_note(agent, family.vip)
        assert len(os.fsencode(path.name)) <= 255
        cut_routes_of(node, family, nic)
        follow(agent, "monitor 0, stop 0", **asked)
        assert not notes(agent, family.vip) and places(node, family.vip) == []


def cut_routes_of(node, family, nic):
    family.route(node, "delete", family.network, "dev", nic)


@pytest.mark.parametrize("name", ["x" * 127, "ü" * 63, "uplink-to-the-world0"],
                         ids=["longest", "umlauts", "usual"])
def test_note_of_a_long_altname(family, node, agent, name):
    """An altname of up to 127 bytes is a nic like others."""
    ip(node, "link", "property", "add", "dev", "e0", "altname", name)
    asked = dict(family.asked, nic=name)
    follow(agent, "start 0", **asked)
    assert len(os.fsencode(the_note(agent, family.vip).name)) <= 255
    cut_routes(node, family)
    follow(agent, "monitor 0", **asked)
    ip(node, "link", "property", "del", "dev", "e0", "altname", name)
    follow(agent, "monitor 7, stop 0", **asked)
    assert places(node, family.vip) == [] and not notes(agent, family.vip)


def test_two_long_altnames_have_two_notes(base4, second_nic, agent):
    """Names that differ only in their end are two keys."""
    for nic, end in (("e0", "1"), ("e1", "2")):
        ip(base4, "link", "property", "add", "dev", nic, "altname", "x" * 126 + end)
        follow(agent, "start 0", ip=VIP, nic="x" * 126 + end, cidr_netmask=24)
    assert places(base4) == ["e0/24", "e1/24"] and len(notes(agent)) == 2
    follow(agent, "stop 0", ip=VIP, nic="x" * 126 + "1", cidr_netmask=24)
    assert places(base4) == ["e1/24"] and len(notes(agent)) == 1


# --- the note says where to look first ----------------------------------------------------------


def test_served_without_routes(started, node, agent):
    """The route goes, the address stays: it is running, and stop finds it."""
    cut_routes(node, started)
    follow(agent, "monitor 0, probe 0, status 0, start 0", **started.asked)
    assert places(node, started.vip) == [where(started)]
    follow(agent, "stop 0", **started.asked)
    assert places(node, started.vip) == []


@pytest.mark.parametrize("more", [{}, {"nic": "e0"}, {"cidr_netmask": "length"},
                                  {"nic": "e0", "cidr_netmask": "length"}], ids=str)
@pytest.mark.parametrize("routed", [True, False], ids=["route", "no route"])
def test_a_plain_monitor_asks_once(family, node, agent, more, routed):
    """A monitor of a started address starts one `ip`, and lists no routes."""
    asked = {**family.asked, **more}
    if "cidr_netmask" in more:
        asked["cidr_netmask"] = family.length
    follow(agent, "start 0", **asked)
    calm(node)
    if not routed:
        cut_routes(node, family)
    env, calls = watched_ip(agent)
    follow(agent, "monitor 0", env=env, **asked)
    assert len(calls()) == 1 and " addr " in calls()[0], calls()


def test_a_plain_monitor_starts_two_programs(started, agent, need):
    """The agent itself and one `ip`, as the kernel sees it."""
    strace = need("strace", "strace")
    trace = agent.folder / "trace"
    agent.by = [strace, "-f", "-qq", "-e", "trace=execve", "-o", str(trace)]
    follow(agent, "monitor 0", **started.asked)
    begun = [line for line in trace.read_text().splitlines() if line.endswith(" = 0")]
    assert len(begun) == 2, begun


def test_the_address_is_gone(started, node, agent):
    """The note never says that the address is there."""
    ip(node, "addr", "delete", "%s/%d" % (started.vip, started.length), "dev", "e0")
    follow(agent, "monitor 7, probe 7, status 7, stop 0", **started.asked)
    assert not notes(agent, started.vip)


def test_the_address_has_another_length(started, node, agent):
    """With another prefix length than the noted one it is not that address: the routes tell."""
    ip(node, "addr", "delete", "%s/%d" % (started.vip, started.length), "dev", "e0")
    started.add(node, None, started.length + 1, "e0", "noprefixroute")
    follow(agent, "monitor 7, probe 7, stop 0", **started.asked)
    assert places(node, started.vip) == []


def test_the_address_has_a_peer_now(started, node, agent):
    """Nor with a peer."""
    ip(node, "addr", "delete", "%s/%d" % (started.vip, started.length), "dev", "e0")
    peer = "192.0.2.99" if started is INET else "2001:db8::99"
    ip(node, "addr", "add", started.vip, "peer", "%s/%d" % (peer, started.length), "dev", "e0",
       *started.words)
    follow(agent, "stop 0", **started.asked)
    assert places(node, started.vip) == []


def test_the_address_moved_to_another_interface(started, node, second_nic, agent):
    """It is not at the noted index any more: routes tell, as without a note."""
    ip(node, "addr", "delete", "%s/%d" % (started.vip, started.length), "dev", "e0")
    started.add(node, None, None, "e1", "noprefixroute")
    follow(agent, "monitor 7, probe 7, stop 0", **started.asked)
    assert places(node, started.vip) == [where(started, "e1")]


def test_another_cidr_netmask(started, node, agent):
    """cidr_netmask agrees where it is equal; otherwise the note does not count."""
    longer = started.length + 4
    follow(agent, "monitor 0", cidr_netmask=started.length, **started.asked)
    follow(agent, "monitor 7, probe 7", cidr_netmask=longer, **started.asked)
    cut_routes(node, started)
    follow(agent, "monitor 0", cidr_netmask=started.length, **started.asked)
    follow(agent, "stop 0", cidr_netmask=longer, **started.asked)
    assert places(node, started.vip) == []


@pytest.mark.parametrize("nic", [{}, {"nic": "e0"}], ids=str)
def test_a_start_with_another_cidr_netmask_moves_it(family, node, agent, nic):
    """A start that would put the address elsewhere first removes it from the noted place."""
    for mask in (family.length, family.length + 4, family.bits, family.length):
        follow(agent, "start 0, monitor 0", cidr_netmask=mask, **family.asked, **nic)
        assert places(node, family.vip) == [where(family, length=mask)]
    follow(agent, "stop 0", **family.asked, **nic)
    assert places(node, family.vip) == [] and not notes(agent, family.vip)


def test_a_start_that_cannot_move_it(family, node, agent):
    """Where the old one cannot be removed, start is 1 and adds nothing."""
    follow(agent, "start 0", **family.full())
    env = broken_ip(agent, "*' addr del'*", "echo no >&2; exit 2")
    asked = dict(family.full(), cidr_netmask=family.length + 4)
    done = follow(agent, "start 1", env=env, **asked)
    assert done.reason and places(node, family.vip) == [where(family)], done


def test_a_better_place_is_no_reason_to_move(started, node, second_nic, agent):
    """A start of a running address is 0, whatever the routes say now."""
    started.route(node, "add", started.longer, "dev", "e1")
    follow(agent, "start 0, monitor 0", **started.asked)
    assert places(node, started.vip) == [where(started)]


def test_start_still_checks_its_values(started, node, agent):
    """A start whose address is there is 0 after the checks of values."""
    cut_routes(node, started)
    follow(agent, "start 6", arp_count="x", **started.asked)
    assert places(node, started.vip) == [where(started)]


# --- stop ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("mask", ["32", "128", "1", "x", "-1", "2 4", ""])
def test_stop_with_any_cidr_netmask(started, node, agent, mask):
    """For stop, cidr_netmask need not agree with the note."""
    follow(agent, "stop 0", cidr_netmask=mask, **started.asked)
    assert places(node, started.vip) == []


def test_stop_where_nic_names_nothing_any_more(family, node, agent):
    """Nor need nic name anything."""
    follow(agent, "start 0", **family.full())
    keep_on_down(node)
    rename(node, "e0", "renamed0")
    follow(agent, "stop 0", **family.full())
    assert places(node, family.vip) == [] and not notes(agent, family.vip)


def test_stop_in_every_form(started, node, agent):
    """At the noted index the address goes in every form, elsewhere it stays."""
    if started is INET:
        for words in (VIP + "/32", VIP + "/25", VIP + " peer 192.0.2.9/32",
                      VIP + " peer 198.51.100.9/24"):
            ip(node, "addr", "add", *words.split(), "dev", "e0")
    new_nic(node, "e1", "p1")
    started.add(node, None, started.bits, "e1")
    follow(agent, "stop 0", **started.full())
    # nic was not given to start: this stop has no note, and its own interface.
    assert places(node, started.vip) == [where(started, "e1", started.bits)]


FORMS = [["%s/24"], ["%s/32"], ["%s peer 192.0.2.9/32"],
         ["%s peer 192.0.2.9/32", "%s peer 192.0.2.8/32"], ["%s/24", "%s/32", "%s/16"],
         ["%s peer 198.51.100.9/24", "%s/24", "%s peer 192.0.2.9/32"]]


@pytest.mark.parametrize("forms", FORMS, ids=" ".join)
@pytest.mark.parametrize("more", [{}, {"nic": "e0"}, {"nic": "e0", "cidr_netmask": 24},
                                  {"cidr_netmask": 24}], ids=str)
def test_stop_of_forms_added_by_hand(base4, agent, forms, more):
    """Without a note too, no form is left on the resource's interface."""
    for words in forms:
        ip(base4, "addr", "add", *(words % VIP).split(), "dev", "e0")
    follow(agent, "stop 0", ip=VIP, **more)
    assert places(base4) == [] and places(base4, "192.0.2.1") == ["e0/24"]


def test_stop_without_nic_at_every_interface_of_a_route(started, node, second_nic, agent):
    """Stop without nic removes it from the noted place and from where routes lead."""
    started.route(node, "add", started.longer, "dev", "e1")
    started.add(node, None, started.longer_length, "e1")
    follow(agent, "stop 0", **started.asked)
    assert places(node, started.vip) == []


def test_stop_without_nic_leaves_where_no_route_leads(started, node, second_nic, agent):
    """An interface that neither note nor route names keeps it."""
    started.add(node, None, None, "e1", "noprefixroute")
    follow(agent, "stop 0", **started.asked)
    assert places(node, started.vip) == [where(started, "e1")]


@pytest.mark.parametrize("why", ["no route", "no list"])
def test_stop_that_can_only_look(family, node, second_nic, noarp, agent, why):
    """Neither note nor route: it goes from everywhere but lo and, where it is alone, NOARP ones."""
    new_nic(node, "e2", "p2")
    for nic, length in (("e0", family.length), ("e1", family.bits), ("e2", family.length - 8)):
        family.add(node, None, length, nic, "noprefixroute")
    kept = [("lo", family.bits), (noarp, family.bits)]
    for nic, length in kept:
        family.add(node, None, length, nic)
    env = no_routes(agent)
    if why == "no route":
        ip(node, family.option, "route", "flush", "table", "main")
        env = {}
    follow(agent, "stop 0", env=env, **family.asked)
    assert places(node, family.vip) == [where(family, *place) for place in kept]


def test_stop_that_can_only_look_and_a_wide_one(family, node, noarp, agent):
    """A NOARP interface keeps only what is alone there."""
    family.add(node, None, None, noarp, "noprefixroute")
    follow(agent, "stop 0", env=no_routes(agent), **family.asked)
    assert places(node, family.vip) == []


def test_stop_with_a_note_needs_no_list(started, node, second_nic, agent):
    """Routes cannot be listed, but there is a note: other interfaces keep theirs."""
    started.add(node, None, None, "e1", "noprefixroute")
    follow(agent, "stop 0", env=no_routes(agent), **started.asked)
    assert places(node, started.vip) == [where(started, "e1")]


@pytest.mark.parametrize("kind", ["ifb", "bridge"])
def test_the_same_address_on_another_interface(started, node, agent, kind):
    """An interface with ARP off has the address alone, as LVS and kube-proxy lay it: untouched."""
    ip(node, "link", "add", "name", "x0", "type", kind)
    ip(node, "link", "set", "dev", "x0", "arp", "off", "up")
    started.add(node, None, started.bits, "x0")
    alone = where(started, "x0", started.bits)
    follow(agent, "monitor 0, start 0, stop 0, probe 7", **started.asked)
    assert places(node, started.vip) == [alone]
    forget(agent)
    started.add(node)
    follow(agent, "monitor 0, stop 0, probe 7", **started.asked)
    assert places(node, started.vip) == [alone]


# --- a note that cannot be had ------------------------------------------------------------------


PLANTS = {"link": lambda path, victim: path.symlink_to(victim),
          "dangling": lambda path, victim: path.symlink_to(victim.parent / "made"),
          "folder": lambda path, victim: path.mkdir(),
          "fifo": lambda path, victim: os.mkfifo(path),
          "device": lambda path, victim: path.symlink_to("/dev/zero"),
          "socket": lambda path, victim: os.mknod(path, 0o600 | stat.S_IFSOCK)}


@pytest.mark.parametrize("plant", PLANTS)
def test_something_else_in_its_place(family, node, agent, plant):
    """What is in the note's place is never followed, and no reason to fail."""
    follow(agent, "start 0", **family.asked)
    path = the_note(agent, family.vip)
    follow(agent, "stop 0", **family.asked)
    calm(node)
    victim = agent.folder / "victim"
    victim.write_text("mine\n")
    victim.chmod(0o644)
    PLANTS[plant](path, victim)
    follow(agent, COURSE, limit=15, **family.asked)
    assert places(node, family.vip) == []
    assert victim.read_text() == "mine\n" and stat.S_IMODE(victim.stat().st_mode) == 0o644
    assert not (agent.folder / "made").exists()


@pytest.mark.parametrize("plant", PLANTS)
def test_something_else_in_its_place_afterwards(started, node, agent, plant):
    """The same where it took the place of a note while the address was running."""
    path = the_note(agent, started.vip)
    path.unlink()
    victim = agent.folder / "victim"
    victim.write_text("mine\n")
    PLANTS[plant](path, victim)
    follow(agent, "monitor 0, start 0, stop 0, monitor 7", limit=15, **started.asked)
    assert places(node, started.vip) == []
    assert victim.read_text() == "mine\n"


READONLY = ["/bin/sh", "-c", 'mount --bind "$HA_RSCTMP" "$HA_RSCTMP" && '
            'mount -o remount,bind,ro "$HA_RSCTMP" && exec "$@"', "sh"]


@pytest.mark.parametrize("how", ["missing", "read-only", "file", "missing above", "link"])
def test_no_folder_for_notes(family, node, agent, how):
    """Without a usable HA_RSCTMP all goes on as if there were no note."""
    if how == "read-only":
        agent.by = READONLY
    else:
        agent.rsctmp.rmdir()
    if how == "missing above":
        agent.rsctmp = agent.rsctmp / "below" / "it"
    if how == "file":
        agent.rsctmp.write_text("mine\n")
    if how == "link":
        agent.rsctmp.symlink_to(agent.folder / "nowhere")
    follow(agent, COURSE, **family.asked)
    assert places(node, family.vip) == []


@pytest.mark.parametrize("how", ["emptied", "missing", "read-only"])
def test_folder_lost_while_running(started, node, agent, how):
    """The folder is emptied, taken away or made read-only under a running address."""
    if how == "read-only":
        agent.by = READONLY
    else:
        forget(agent)
    if how == "missing":
        agent.rsctmp.rmdir()
    follow(agent, "monitor 0, probe 0, start 0, stop 0, monitor 7", **started.asked)
    assert places(node, started.vip) == []


def test_unreadable_note(started, node, agent, need):
    """A note that cannot be read is as if there were none."""
    setpriv = need("setpriv", "util-linux")
    the_note(agent, started.vip).chmod(0)
    agent.by = [setpriv, "--bounding-set=-dac_override,-dac_read_search"]
    follow(agent, "monitor 0, start 0, stop 0, monitor 7", **started.asked)
    assert places(node, started.vip) == []


# --- a note that lies ---------------------------------------------------------------------------


def spoil(path, change):
    """Write a changed note, with the mode it had."""
    path.write_bytes(change(path.read_bytes()))


def without(old, new):
    """A change that puts `new` for `old`, which has to be there."""
    def change(content):
        assert old.encode() in content, (old, content)
        return content.replace(old.encode(), new.encode())

    return change


SPOILT = {"empty": lambda content: b"", "newline": lambda content: b"\n",
          "one byte": lambda content: content[:1], "a third": lambda content: content[:len(
              content) // 3], "half": lambda content: content[:len(content) // 2],
          "three quarters": lambda content: content[:3 * len(content) // 4],
          "all but two": lambda content: content[:-2],
          "twice": lambda content: content * 2,
          "garbage": lambda content: bytes(range(256)),
          "zeros": lambda content: bytes(len(content)),
          "no text": lambda content: b"\xff\xfe" + content,
          "words": lambda content: b"the quick brown fox 1 2 3\n" * 20,
          "huge": lambda content: content + b"x" * (1 << 20),
          "numbers": lambda content: b"9" * 5000 + b"\n",
          "backwards": lambda content: b"\n".join(reversed(content.split(b"\n"))),
          "long lines": lambda content: content.replace(b" ", b" " * 999)}


@pytest.mark.parametrize("how", SPOILT)
def test_spoilt_note(started, node, agent, how):
    """A note that was cut or overwritten does no harm."""
    spoil(the_note(agent, started.vip), SPOILT[how])
    follow(agent, "monitor 0, probe 0, start 0, monitor 0, stop 0, monitor 7", **started.asked)
    assert places(node, started.vip) == [] and places(node, started.own) == [where(started)]


@pytest.mark.parametrize("how", ["empty", "half", "garbage", "huge", "zeros"])
def test_spoilt_note_without_a_route(started, node, agent, how):
    """Nor where nothing but the note could tell: stop looks everywhere."""
    cut_routes(node, started)
    spoil(the_note(agent, started.vip), SPOILT[how])
    follow(agent, "stop 0", **started.asked)
    assert places(node, started.vip) == [] and places(node, started.own) == [where(started)]


def test_every_cut(base4, agent):
    """The note cut at each of its lengths."""
    follow(agent, "start 0", ip=VIP)
    path = the_note(agent)
    whole = path.read_bytes()
    for length in range(0, len(whole), max(1, len(whole) // 40)):
        path.write_bytes(whole[:length])
        follow(agent, "monitor 0", ip=VIP)
    follow(agent, "stop 0", ip=VIP)
    assert places(base4) == [] and places(base4, "192.0.2.1") == ["e0/24"]


def test_notes_of_two_addresses_swapped(family, node, second_nic, agent):
    """The note of another address: each stop takes its own away, and nothing else."""
    other = dict(family.asked, ip=family.second)
    follow(agent, "start 0", **family.asked)
    follow(agent, "start 0", **other)
    calm(node)
    one, two = the_note(agent, family.vip), the_note(agent, family.second)
    first, second = one.read_bytes(), two.read_bytes()
    one.write_bytes(second)
    two.write_bytes(first)
    follow(agent, "monitor 0, stop 0", **family.asked)
    assert places(node, family.vip) == [] and places(node, family.second) == [where(family)]
    follow(agent, "monitor 0, stop 0", **other)
    assert places(node, family.second) == []


def test_note_of_the_hosts_own_address(family, node, agent):
    """A note that names the host's own address takes it not away."""
    follow(agent, "start 0", **family.asked)
    calm(node)
    path = the_note(agent, family.vip)
    spoil(path, without(family.vip, family.own))
    follow(agent, "monitor 0, stop 0", **family.asked)
    assert places(node, family.vip) == [] and places(node, family.own) == [where(family)]


@pytest.mark.parametrize("number", ["9999", "0", "-1", "lo", "p0", "4294967297", "1e1"])
def test_note_of_another_index(started, node, agent, number):
    """An index that is gone, is another interface's, or is no index."""
    number = str(index(node, number)) if number in ("lo", "p0") else number
    path = the_note(agent, started.vip)
    here = str(index(node, "e0"))
    lines = [[number if word == here else word for word in line.split(" ")]
             for line in path.read_text().split("\n")]
    path.write_text("\n".join(" ".join(line) for line in lines).replace("=" + here, "=" + number))
    follow(agent, "monitor 0, start 0, stop 0, monitor 7", **started.asked)
    assert places(node, started.vip) == [] and places(node, started.own) == [where(started)]


@pytest.fixture
def moved(family, node, agent):
    """Started with nic=e0; e0 is called old0 now, and another interface has its name.  Only the
    note tells where the address is."""
    follow(agent, "start 0", **family.full())
    calm(node)
    keep_on_down(node)
    rename(node, "e0", "old0")
    new_nic(node, "e0", "p1")
    return family


def test_the_note_that_tells(moved, node, agent):
    """What the next tests begin with."""
    follow(agent, "monitor 7, probe 1, stop 0", **moved.full())
    assert places(node, moved.vip) == []


LIES = {"boot": lambda path, node: spoil(path, without(boot_id(), boot_id()[::-1])),
        "namespace": lambda path, node: spoil(path, without(str(netns_inode(node)), "4026531840")),
        "owner": lambda path, node: os.chown(path, 65534, 65534),
        "hard link": lambda path, node: os.link(path, path.parent.parent / "second"),
        "mode": lambda path, node: path.chmod(0o666)}


@pytest.mark.parametrize("lie", ["boot", "namespace", "owner"])
def test_note_of_another_boot_namespace_or_owner(moved, node, agent, lie):
    """A note of another boot, of another network namespace or of another owner is none."""
    LIES[lie](the_note(agent, moved.vip), node)
    follow(agent, "monitor 7, probe 7, stop 0", **moved.full())
    assert places(node, moved.vip) == [where(moved, "old0")]


@pytest.mark.parametrize("lie", ["hard link", "mode"])
def test_note_that_others_may_have_written(started, node, agent, lie):
    """Whatever such a note is worth, it does no harm."""
    LIES[lie](the_note(agent, started.vip), node)
    follow(agent, "monitor 0, start 0, stop 0, monitor 7", **started.asked)
    assert places(node, started.vip) == []


def test_proc_cannot_be_read(moved, node, agent):
    """Where /proc cannot be read, boot and namespace are not compared."""
    agent.by = ["/bin/sh", "-c", 'mount -t tmpfs -o ro none /proc && exec "$@"', "sh"]
    follow(agent, "monitor 7, stop 0", **moved.full())
    assert places(node, moved.vip) == []


def test_the_index_is_another_interfaces_now(family, node, agent):
    """The interface was deleted, and another one has its index and holds another address."""
    follow(agent, "start 0", **family.full())
    calm(node)
    number = str(index(node, "e0"))
    ip(node, "link", "delete", "dev", "e0")
    ip(node, "link", "add", "index", number, "name", "e9", "type", "veth", "peer", "name", "p9")
    ip(node, "link", "set", "dev", "e9", "up")
    family.add(node, family.second, None, "e9")
    before = everything(node)
    follow(agent, "monitor 7, probe 7, stop 0", **family.full())
    assert everything(node) == before


# --- without a note -----------------------------------------------------------------------------


@pytest.mark.parametrize("mask", [True, False], ids=["mask", "no mask"])
def test_found_at_the_second_best_route(family, node, second_nic, agent, mask):
    """The address is where one of the routes leads, though not the best: that is its place."""
    family.route(node, "add", family.network, "dev", "e1", "metric", "500")
    family.add(node, None, None, "e1", "noprefixroute")
    asked = dict(family.asked, cidr_netmask=family.length) if mask else family.asked
    follow(agent, "probe 0, monitor 0, start 0", **asked)
    assert places(node, family.vip) == [where(family, "e1")]
    assert "e1" in the_note(agent, family.vip).read_text()
    follow(agent, "stop 0, probe 7", **asked)
    assert places(node, family.vip) == []


def test_found_at_a_shorter_route(family, node, second_nic, agent):
    """The same where the better route has a longer prefix."""
    family.add(node)
    family.route(node, "add", family.longer, "dev", "e1")
    follow(agent, "probe 0, monitor 0, start 0", **family.asked)
    assert places(node, family.vip) == [where(family)]
    follow(agent, "stop 0, probe 7", **family.asked)


def test_not_found_at_a_length_of_no_route(family, node, second_nic, agent):
    """Interface and prefix length have to be those of the same route."""
    family.route(node, "add", family.longer, "dev", "e1")
    family.add(node, None, family.length, "e1", "noprefixroute")
    follow(agent, "probe 7, monitor 7", **family.asked)


def test_not_found_at_a_route_that_does_not_count(base4, tun, agent):
    """A route for half of all addresses is no place, address there or not."""
    ip(base4, "route", "add", "128.0.0.0/1", "dev", tun)
    ip(base4, "addr", "add", "203.0.113.50/1", "dev", tun, "noprefixroute")
    follow(agent, "probe 7, monitor 1, start 1", ip="203.0.113.50")


@pytest.mark.parametrize("more", [{}, {"nic": "e0"}, {"nic": "e0", "cidr_netmask": "length"},
                                  {"cidr_netmask": "length"}], ids=str)
@pytest.mark.parametrize("first", ["shell", "ours"])
def test_agents_swapped_under_a_running_address(family, node, agent, shell_agent, more, first):
    """One agent starts, the other monitors and stops; and the other way round."""
    asked = {**family.asked, **more}
    if "cidr_netmask" in more:
        asked["cidr_netmask"] = family.length
    one, two = (shell_agent, agent) if first == "shell" else (agent, shell_agent)
    follow(one, "start 0", **asked)
    follow(two, "monitor 0, start 0", **asked)
    assert places(node, family.vip) == [where(family)]
    follow(one, "monitor 0", **asked)
    follow(two, "stop 0, monitor 7", **asked)
    follow(one, "monitor 7, stop 0", **asked)
    assert places(node, family.vip) == []
    follow(agent, COURSE, **asked)


def test_agents_swapped_and_the_routes_differ(family, node, second_nic, agent, shell_agent):
    """The shell agent started it; a host route came later: ours finds it where it is."""
    follow(shell_agent, "start 0", **family.asked)
    family.route(node, "add", "%s/%d" % (family.vip, family.bits), "dev", "e0", "metric", "101")
    follow(agent, "probe 0, monitor 0, start 0, stop 0", **family.asked)
    assert places(node, family.vip) == []


def test_a_stale_note_after_the_shell_agent(family, node, second_nic, agent, shell_agent):
    """Ours started, the shell agent stopped and started elsewhere: the old note does no harm."""
    follow(agent, "start 0", **family.asked)
    follow(shell_agent, "stop 0", **family.asked)
    # Since 4.16 the shell agent goes by the metric first, where IPv6 is asked for.
    family.route(node, "add", family.longer, "dev", "e1", "metric", "10")
    follow(shell_agent, "start 0", **family.asked)
    there = where(family, "e1", family.longer_length)
    assert places(node, family.vip) == [there]
    follow(agent, "monitor 0, start 0", **family.asked)
    assert places(node, family.vip) == [there]
    follow(agent, "stop 0", **family.asked)
    assert places(node, family.vip) == []


# --- one note for each key ----------------------------------------------------------------------


def test_one_address_on_two_interfaces(family, node, second_nic, agent):
    """Two resources of one address differ in nic: each has its own note."""
    for nic in ("e0", "e1"):
        follow(agent, "start 0", **family.full(nic), noprefixroute="true")
    assert len(notes(agent, family.vip)) == 2
    keep_on_down(node, "e0", "e1")
    rename(node, "e1", "x1")
    follow(agent, "stop 0", **family.full("e1"))
    assert places(node, family.vip) == [where(family)]
    follow(agent, "monitor 0, stop 0", **family.full("e0"))
    assert places(node, family.vip) == [] and not notes(agent, family.vip)


def in_two(netns):
    """Two namespaces with an e0 each, and one to run the agent in."""
    made = []
    for _ in range(2):
        name = netns()
        new_nic(name, "e0", "p0")
        made.append(name)
    return made


def test_one_address_in_two_namespaces(family, node, netns, agent):
    """Two resources of one address differ in network_namespace."""
    outer = netns()
    first, second = in_two(netns)
    for name in (first, second):
        family.add(name, family.own)
        follow(agent, "start 0", inside=outer, network_namespace=name, **family.asked)
    assert len(notes(agent, family.vip)) == 2
    for name in (first, second):
        cut_routes(name, family)
        follow(agent, "monitor 0", inside=outer, network_namespace=name, **family.asked)
    follow(agent, "stop 0", inside=outer, network_namespace=first, **family.asked)
    assert (places(first, family.vip), places(second, family.vip)) == ([], [where(family)])
    follow(agent, "monitor 0, stop 0", inside=outer, network_namespace=second, **family.asked)
    assert places(second, family.vip) == [] and not notes(agent, family.vip)


def test_in_a_namespace(family, node, netns, agent):
    """network_namespace with what else there is: swapped names, a host route, a peer, no route."""
    asked = {**family.full(), "inside": netns(), "network_namespace": node}
    follow(agent, "probe 7, start 0", **asked)
    assert places(node, family.vip) == [where(family)]
    family.route(node, "add", "%s/%d" % (family.vip, family.bits), "dev", "e0", "metric", "101")
    follow(agent, "monitor 0", **asked)
    cut_routes(node, family)
    follow(agent, "monitor 0, start 0", **asked)
    keep_on_down(node)
    rename(node, "e0", "old0")
    follow(agent, "monitor 7, probe 1, stop 0", **asked)
    assert places(node, family.vip) == [] and not notes(agent, family.vip)


def test_stop_in_a_namespace_without_a_note(family, node, netns, agent):
    """Peers go, what is elsewhere stays."""
    other = netns()
    peer = "192.0.2.99" if family is INET else "2001:db8::99"
    ip(node, "addr", "add", family.vip, "peer", "%s/%d" % (peer, family.bits), "dev", "e0",
       *family.words)
    family.add(node, None, family.bits, "lo")
    family.add(other, None, family.bits, "lo")
    follow(agent, "stop 0", inside=other, network_namespace=node, **family.asked)
    alone = [where(family, "lo", family.bits)]
    assert (places(node, family.vip), places(other, family.vip)) == (alone, alone)


def test_note_of_a_long_namespace(node, netns, agent, request):
    """A namespace's name may be as long as a file's, and nic is long as well."""
    name = "n" * 240
    request.addfinalizer(lambda: subprocess.run(["ip", "netns", "delete", name], check=False))
    subprocess.run(["ip", "netns", "add", name], check=True)
    ip(name, "link", "set", "dev", "lo", "up")
    new_nic(name, "e0", "p0")
    nic = "x" * 127
    ip(name, "link", "property", "add", "dev", "e0", "altname", nic)
    asked = dict(INET.full(nic), network_namespace=name)
    follow(agent, "start 0", **asked)
    assert len(the_note(agent).name) <= 255
    ip(name, "link", "property", "del", "dev", "e0", "altname", nic)
    follow(agent, "monitor 7, stop 0", **asked)
    assert places(name) == [] and not notes(agent)


# --- which route counts -----------------------------------------------------------------------


def lands_on(node, agent, vip, **asked):
    """Where a start puts the address; it is stopped again."""
    follow(agent, "start 0", ip=vip, nodad="true", **asked)
    found = places(node, vip)
    follow(agent, "monitor 0, stop 0", ip=vip, nodad="true", **asked)
    assert places(node, vip) == []
    assert len(found) == 1, found
    return found[0]


NETS = {INET: ("198.51.100.0/24", "198.51.100.9"), INET6: ("2001:db8:9::/64", "2001:db8:9::9")}


def is_down(node, family, number):
    wait_until(lambda: str(routes(node, family.name)).count("linkdown") >= number, "the links")


def test_order_linkdown_before_metric(family, node, second_nic, agent):
    """A worse metric wins over a link that is down."""
    network, vip = NETS[family]
    family.route(node, "add", network, "dev", "e0", "metric", "5")
    family.route(node, "add", network, "dev", "e1", "metric", "999")
    ip(node, "link", "set", "dev", "p0", "down")
    is_down(node, family, 1)
    assert lands_on(node, agent, vip) == where(family, "e1")


def test_order_prefix_before_linkdown(family, node, second_nic, agent):
    """The longest prefix wins, link or no link."""
    network, vip = NETS[family]
    longer = family.length + 4
    family.route(node, "add", "%s/%d" % (network.split("/")[0], longer), "dev", "e0")
    family.route(node, "add", network, "dev", "e1")
    ip(node, "link", "set", "dev", "p0", "down")
    is_down(node, family, 1)
    follow(agent, "start 0", ip=vip, nodad="true")
    assert places(node, vip) == [where(family, "e0", longer)]


def test_order_all_links_down(family, node, second_nic, agent):
    """Where all links are down, the metric decides."""
    network, vip = NETS[family]
    family.route(node, "add", network, "dev", "e0", "metric", "900")
    family.route(node, "add", network, "dev", "e1", "metric", "800")
    for peer in ("p0", "p1"):
        ip(node, "link", "set", "dev", peer, "down")
    is_down(node, family, 2)
    follow(agent, "start 0", ip=vip, nodad="true")
    assert places(node, vip) == [where(family, "e1")]


@pytest.mark.parametrize("metrics", [("100", "425"), ("425", "100"), ("1", "2")], ids=str)
def test_order_no_port_before_metric(family, node, second_nic, agent, metrics):
    """A port of a bridge is passed by whatever its metric, be the other one that bridge or not."""
    network, vip = NETS[family]
    ip(node, "link", "add", "name", "br0", "type", "bridge")
    ip(node, "link", "set", "dev", "br0", "up")
    ip(node, "link", "set", "dev", "e0", "master", "br0")
    for nic, metric in zip(("e0", "e1"), metrics):
        family.route(node, "add", network, "dev", nic, "metric", metric)
    assert lands_on(node, agent, vip) == where(family, "e1")


def test_order_two_ports(family, node, second_nic, agent):
    """Where both are ports, the metric decides; a port alone serves as ever."""
    network, vip = NETS[family]
    ip(node, "link", "add", "name", "br0", "type", "bridge")
    for nic in ("e0", "e1"):
        ip(node, "link", "set", "dev", nic, "master", "br0")
    family.route(node, "add", network, "dev", "e0", "metric", "900")
    assert lands_on(node, agent, vip) == where(family, "e0")
    family.route(node, "add", network, "dev", "e1", "metric", "800")
    assert lands_on(node, agent, vip) == where(family, "e1")


def test_order_linkdown_before_port(family, node, agent):
    """A port with its link wins over a bridge without."""
    network, vip = NETS[family]
    for bridge in ("br0", "br1"):
        ip(node, "link", "add", "name", bridge, "type", "bridge")
        ip(node, "link", "set", "dev", bridge, "up")
    ip(node, "link", "set", "dev", "e0", "master", "br1")
    ip(node, "link", "add", "name", "q0", "type", "veth", "peer", "name", "q1")
    ip(node, "link", "set", "dev", "q0", "master", "br0")       # down, and its only port
    family.route(node, "add", network, "dev", "br0", "metric", "100")
    family.route(node, "add", network, "dev", "e0", "metric", "425")
    is_down(node, family, 1)
    assert lands_on(node, agent, vip) == where(family, "e0")


def test_order_ports_are_asked_on_a_tie_only(base4, second_nic, agent):
    """`ip -d link show` is asked only where two routes tie."""
    env, calls = watched_ip(agent)
    follow(agent, "probe 7", ip=VIP, env=env)
    assert not [line for line in calls() if "-d" in line.split()], calls()
    ip(base4, "route", "add", "192.0.2.0/24", "dev", "e1", "metric", "9")
    follow(agent, "probe 7", ip=VIP, env=env)
    assert [line for line in calls() if "-d" in line.split()], calls()


def test_order_the_port_kind_is_not_read_from_sys(base4, agent):
    """/sys may be that of another namespace: without it, a port is known all the same."""
    ip(base4, "link", "add", "name", "br0", "type", "bridge")
    ip(base4, "link", "set", "dev", "br0", "up")
    ip(base4, "link", "set", "dev", "e0", "master", "br0")
    ip(base4, "route", "add", "192.0.2.0/24", "dev", "br0", "metric", "7")
    wait_until(lambda: links(base4)["br0"]["operstate"] == "UP", "the bridge")
    agent.by = ["/bin/sh", "-c", 'mount -t tmpfs -o ro none /sys && exec "$@"', "sh"]
    assert lands_on(base4, agent, VIP) == "br0/24"


@pytest.mark.parametrize("metrics, winner", [(("300", "200"), "e1"), (("200", "300"), "e0"),
                                             (("1000", "200"), "e1"), (("9", "10"), "e0")])
def test_order_metric(family, node, second_nic, agent, metrics, winner):
    """The lowest metric, as a number."""
    network, vip = NETS[family]
    for nic, metric in zip(("e0", "e1"), metrics):
        family.route(node, "add", network, "dev", nic, "metric", metric)
    assert lands_on(node, agent, vip) == where(family, winner)


@pytest.mark.parametrize("order", [("e0", "e1"), ("e1", "e0")])
def test_order_byte_order(node, second_nic, agent, order):
    """Two routes alike: the first in byte order of the line."""
    network, vip = NETS[INET]
    for nic in order:
        ip(node, "route", "append", network, "dev", nic)
    assert lands_on(node, agent, vip) == "e0/24"


HOPS = ("scope", "link", "nexthop", "dev", "e0", "nexthop", "dev", "e1")


@pytest.mark.parametrize("down, winner", [((), "e0"), (("p0",), "e1"), (("p1",), "e0")])
def test_multipath(node, second_nic, agent, down, winner):
    """Each next hop of a multipath route is a place; one without link is passed by.  (IPv6 has
    such routes only by way of gateways.)"""
    network, vip = NETS[INET]
    ip(node, "route", "add", network, *HOPS)
    for peer in down:
        ip(node, "link", "set", "dev", peer, "down")
    is_down(node, INET, len(down))
    assert lands_on(node, agent, vip) == winner + "/24"


def test_multipath_with_a_dead_hop(base4, second_nic, agent):
    """A next hop whose interface is down is marked dead, and passed by."""
    network, vip = NETS[INET]
    ip(base4, "route", "add", network, *HOPS)
    ip(base4, "link", "set", "dev", "e0", "down")
    assert "dead" in ip(base4, "route", "show", network)
    assert lands_on(base4, agent, vip) == "e1/24"


@pytest.mark.parametrize("stop", ["noted", "forgotten"])
def test_multipath_on_any_hop(node, second_nic, agent, stop):
    """The address is on the second next hop, which is a place as good as the first."""
    network, vip = NETS[INET]
    ip(node, "route", "add", network, *HOPS)
    ip(node, "addr", "add", vip + "/24", "dev", "e1", "noprefixroute")
    follow(agent, "probe 0, monitor 0, start 0", ip=vip)
    if stop == "forgotten":
        forget(agent)
    follow(agent, "monitor 0, stop 0", ip=vip)
    assert places(node, vip) == []


@pytest.mark.parametrize("kind", ["unreachable", "blackhole", "prohibit", "throw"])
@pytest.mark.parametrize("what", ["longer", "the only one"])
def test_routes_to_nowhere(family, node, agent, kind, what):
    """They never match, be they longer or alone."""
    network, vip = NETS[family]
    if what == "longer":
        family.route(node, "add", kind, family.longer)
        assert lands_on(node, agent, family.vip) == where(family)
    else:
        family.route(node, "add", kind, network)
        follow(agent, "validate-all 1, start 1, probe 7, monitor 1, stop 0", ip=vip)


def test_route_over_noarp_is_no_host(family, node, noarp, agent):
    """Only host routes over a NOARP interface are passed by: a network's counts."""
    network, vip = NETS[family]
    family.route(node, "add", network, "dev", noarp)
    assert lands_on(node, agent, vip) == where(family, noarp)


def test_host_route_over_others_counts(family, node, second_nic, agent):
    """A host route over an interface that answers counts as /32 or /128."""
    family.route(node, "add", "%s/%d" % (family.vip, family.bits), "dev", "e1")
    assert lands_on(node, agent, family.vip) == where(family, "e1", family.bits)


def test_host_route_over_noarp_by_name(family, node, noarp, agent):
    """nic names the NOARP interface: its host route counts."""
    family.route(node, "add", "%s/%d" % (family.vip, family.bits), "dev", noarp)
    assert lands_on(node, agent, family.vip, nic=noarp) == where(family, noarp, family.bits)


@pytest.mark.parametrize("asked, what", [
    ({}, "192.0.2.255"), ({"cidr_netmask": 28}, "192.0.2.255"),
    ({"nic": "e0", "cidr_netmask": 24}, "192.0.2.255"),
    ({"nic": "e0", "cidr_netmask": 16}, None), ({"nic": "e0", "cidr_netmask": 23}, None)], ids=str)
def test_broadcast(base4, agent, asked, what):
    """It is that of an address whose network holds the VIP's own."""
    follow(agent, "start 0", ip=VIP, **asked)
    found = [entry for entry in everything(base4)["addresses"] if entry["local"] == VIP]
    assert [entry.get("broadcast") for entry in found] == [what]
