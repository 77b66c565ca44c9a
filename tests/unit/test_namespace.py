# SPDX-License-Identifier: GPL-2.0-only
"""network_namespace: the agent started once more inside, or told that there is none."""

import os
import posix
import sys

import pytest

from ipaddr2_py import agent as agent_module
from ipaddr2_py import changes, children, commands, place
from ipaddr2_py.actions import namespace
from tests.unit.scenes import ON_ETH0, SHOW4, SHOW6


@pytest.fixture
def blue(host, fp):
    """A namespace named blue, as far as its mount point shows; there is none else."""
    real, listdir = posix.stat, posix.listdir

    class Mounted:
        st_dev = 4
        st_ino = 4026530001
        st_mode = 0o100444

    class Folder:
        st_dev = 5
        st_ino = 12
        st_mode = 0o040755

    def stat(path, *words, **more):
        if str(path).startswith("/var/run/netns"):
            if path.endswith("/blue"):
                return Mounted
            if path.endswith(("/netns", "/unmounted", "/netns/", "/.", "/..")):
                return Folder
            raise FileNotFoundError(2, "No such file or directory")
        return real(path, *words, **more)

    host.setattr(posix, "stat", stat)
    host.setattr(posix, "listdir", lambda path: ["blue", "unmounted"] if path == "/var/run/netns"
                 else listdir(path))


@pytest.mark.parametrize("action, rc", [
    ("start", 5), ("validate-all", 5), ("monitor", 7), ("probe", 7), ("status", 7), ("stop", 0)])
@pytest.mark.parametrize("name", ["red", "unmounted", "../netns/blue", "a/b", ".", ".."])
def test_a_namespace_that_is_missing(agent, blue, action, rc, name):
    done = agent(action, network_namespace=name, **ON_ETH0)
    assert done.rc == rc
    assert done.out == ""
    if action == "stop":
        assert done.reasons == []
    else:
        assert "network_namespace [%s]" % name in done.reasons[0]


@pytest.mark.parametrize("name", ["-blue", "blue red", "bl\tue", "-", "blue\nblue"])
@pytest.mark.parametrize("action, rc", [
    ("start", 6), ("validate-all", 6), ("monitor", 1), ("status", 1), ("probe", 7), ("stop", 0)])
def test_a_name_that_cannot_be(agent, blue, name, action, rc):
    done = agent(action, network_namespace=name, **ON_ETH0)
    assert done.rc == rc
    assert len(done.reasons) == (rc in (1, 6))
    assert not done.reasons or "network_namespace [" in done.reasons[0]
    assert not any("does not exist" in line for line in done.log)


@pytest.mark.parametrize("name", [" blue", "blue\n", "\tblue "])
def test_white_space_around_a_name(fp, agent, blue, name):
    fp.replace("ip netns exec blue /ocf/IPaddr2 monitor")
    assert agent("monitor", network_namespace=name, **ON_ETH0).rc == 0


@pytest.mark.parametrize("action", ["start", "stop", "monitor", "status", "validate-all"])
@pytest.mark.parametrize("rc", [0, 7])
def test_the_agent_runs_inside(fp, agent, blue, action, rc):
    fp.replace("ip netns exec blue /ocf/IPaddr2 " + action, rc=rc)
    done = agent(action, network_namespace="blue", unique_clone_address="true", CRM_meta_clone="2",
                 **ON_ETH0)
    assert (done.rc, done.reasons) == (rc, [])
    # It is told where it is, not sent there again; nothing has been counted up yet.
    assert commands.CHILD_ENV[b"OCF_RESKEY_network_namespace"] == b""
    assert commands.CHILD_ENV[b"IPADDR2_NAMESPACE"] == b"blue"
    assert commands.CHILD_ENV[b"OCF_RESKEY_ip"] == b"192.0.2.10"
    assert commands.CHILD_ENV[b"OCF_RESKEY_CRM_meta_clone"] == b"2"


@pytest.mark.parametrize("called, path", [
    ("/usr/lib/ocf/IPaddr2", "/usr/lib/ocf/IPaddr2"), ("bin/IPaddr2", "HERE/bin/IPaddr2"),
    ("./IPaddr2", "HERE/./IPaddr2"), ("IPaddr2", "HERE/IPaddr2")])
def test_it_is_found_again(fp, blue, host, tmp_path, called, path):
    host.chdir(tmp_path)
    fp.replace(["ip", "netns", "exec", "blue", path.replace("HERE", str(tmp_path)), "stop"])
    commands.load_environment(dict(commands.ENV, OCF_RESKEY_network_namespace="blue",
                                   OCF_RESKEY_ip="192.0.2.10"))
    host.setattr(sys, "argv", [called, "stop"])
    assert agent_module.main(sys.argv) == 0


def test_inside_nothing_is_entered(fp, agent, blue):
    fp.query("ip -o -f inet addr show to 192.0.2.10")
    done = agent("monitor", env={"IPADDR2_NAMESPACE": "blue"}, network_namespace="", **ON_ETH0)
    assert done.rc == 7


# --- a namespace that lost its name ----------------------------------------------------------

LOST = "4026539999"


@pytest.fixture(name="lost")
def fixture_lost(host, fp, blue, tmp_path):
    """The inode LOST is open as the descriptor of a file; start noted eth0 in it."""
    file = tmp_path / "namespace"
    file.write_text("")

    def open_lost(inode):
        return posix.open(str(file), posix.O_RDONLY) if inode == LOST else -1

    host.setattr(namespace, "open_lost", open_lost)
    note = tmp_path / "rsctmp" / "IPaddr2-192.0.2.10,nic=eth0,netns=red"
    note.write_text("interface 2 eth0\naddress 192.0.2.10/25\nnic eth0\nnetwork_namespace red\n"
                    "shared \nboot %s\nnetns %s\nend\n" % (place.boot_id(), LOST))
    return note


def inside(words, at):
    """The words of a command in the namespace that descriptor `at` holds."""
    return ["nsenter", "--net=/proc/%d/fd/%d" % (posix.getpid(), at)] + words.split()


@pytest.fixture(name="number")
def next_descriptor(tmp_path):
    """The number that the next descriptor opened gets."""
    def number():
        fd = posix.open("/dev/null", posix.O_RDONLY)
        posix.close(fd)
        return fd

    return number


@pytest.mark.parametrize("action, rc, reasons", [
    ("monitor", 7, 0), ("status", 7, 0), ("probe", 1, 1)])
def test_what_runs_on_in_a_namespace_without_a_name(fp, agent, scene, lost, number, action, rc,
                                                    reasons):
    fp.install("nsenter")
    fp.query(inside(SHOW4, number()), scene.here)
    done = agent(action, network_namespace="red", **ON_ETH0)
    assert done.rc == rc, done
    assert done.out == ("stopped\n" if action == "status" else "")
    assert len(done.reasons) == reasons
    assert any("still on eth0 of the namespace that was called red" in line for line in done.log)
    assert lost.exists()


@pytest.mark.parametrize("action, rc", [("stop", 0), ("start", 5)])
@pytest.mark.parametrize("left", [False, True])
def test_it_is_stopped_in_there(fp, agent, scene, lost, number, action, rc, left):
    """Before a start that goes elsewhere, too; 1 where it is there afterwards."""
    fp.install("nsenter")
    at = number()
    fp.query(inside(SHOW4, at), scene.here)
    fp.run(inside("/ocf/IPaddr2 stop", at), rc=1 if left else 0)
    fp.query(inside(SHOW4, at), scene.here if left else "")
    done = agent(action, network_namespace="red", **ON_ETH0)
    assert done.rc == (1 if left else rc), done
    assert left or number() == at       # the descriptor is closed
    assert bool(done.reasons) is (done.rc != 0)


@pytest.mark.parametrize("text", ["", "eth1", "7: eth0"])
def test_an_address_that_is_not_in_there(fp, agent, scene, lost, number, text):
    """On another interface, or one of that name with another number, it is another's."""
    fp.install("nsenter")
    here = scene.here.replace("2: eth0", text) if ":" in text else \
        scene.here.replace("eth0", text) if text else ""
    fp.query(inside(SHOW4, number()), here)
    assert agent("monitor", network_namespace="red", **ON_ETH0).rc == 7
    assert lost.exists()


@pytest.mark.parametrize("action, rc", [("monitor", 7), ("probe", 1), ("stop", 1)])
def test_a_namespace_that_cannot_be_looked_into(fp, agent, lost, number, action, rc):
    fp.install("nsenter")
    at = number()
    fp.query(inside(SHOW4, at), err="nsenter: Operation not permitted", rc=1)
    if action == "stop":
        fp.run(inside("/ocf/IPaddr2 stop", at), rc=1)
        fp.query(inside(SHOW4, at), err="nsenter: Operation not permitted", rc=1)
    done = agent(action, network_namespace="red", **ON_ETH0)
    assert done.rc == rc
    assert any("Operation not permitted" in line for line in done.log)


def test_a_note_of_a_namespace_that_is_nowhere(agent, blue, lost):
    lost.write_text(lost.read_text().replace(LOST, "4026530000"))
    assert agent("monitor", network_namespace="red", **ON_ETH0).rc == 7
    assert lost.exists()
    assert agent("stop", network_namespace="red", **ON_ETH0).rc == 0
    assert not lost.exists()


@pytest.mark.parametrize("action, name, netns", [
    ("stop", "blue", "4026530001"), ("stop", "blue", ""), ("stop", "red", "4026530001"),
    ("validate-all", "red", LOST)])
def test_a_namespace_that_is_not_looked_for(fp, agent, lost, host, action, name, netns):
    """It has its name, or another one, or is unknown; or the action does not ask."""
    text = lost.read_text().replace(LOST, netns).replace("space red", "space " + name)
    lost.rename(str(lost).replace("red", name)).write_text(text)
    host.setattr(namespace, "open_lost", lambda _inode: pytest.fail("looked for"))
    if name == "blue":
        fp.replace("ip netns exec blue /ocf/IPaddr2 stop")
    done = agent(action, network_namespace=name, **ON_ETH0)
    assert done.rc == (0 if action == "stop" else 5)


def test_what_the_stop_in_there_is_told(fp, agent, scene, lost, number, host):
    told = []

    def run(words):
        told.append(words[2:])
        told.extend(commands.CHILD_ENV[name] for name in (
            b"OCF_RESKEY_network_namespace", b"IPADDR2_NAMESPACE", b"OCF_RESKEY_ip"))
        return children.Result(1, "no \n luck", "")

    host.setattr(changes, "run", run)
    fp.install("nsenter")
    at = number()
    fp.query(inside(SHOW4, at), scene.here)
    fp.query(inside(SHOW4, at))
    done = agent("stop", network_namespace="red", **ON_ETH0)
    assert told == [["/ocf/IPaddr2", "stop"], b"", b"red", b"192.0.2.10"]
    assert "ERROR: stop in that namespace ended with 1: no luck" in done.log
    assert commands.CHILD_ENV[b"OCF_RESKEY_network_namespace"] == b"red"
    assert b"IPADDR2_NAMESPACE" not in commands.CHILD_ENV


def test_a_stop_in_there_that_worked_is_not_logged(fp, agent, scene, lost, number):
    fp.install("nsenter")
    at = number()
    fp.query(inside(SHOW4, at), scene.here)
    fp.run(inside("/ocf/IPaddr2 stop", at), "done")
    fp.query(inside(SHOW4, at))
    done = agent("stop", network_namespace="red", **ON_ETH0)
    assert not any("ended with" in line for line in done.log)


@pytest.mark.parametrize("action, left", [("stop", False), ("start", True), ("monitor", True)])
def test_the_note_of_what_is_not_in_there(fp, agent, lost, number, action, left):
    fp.install("nsenter")
    fp.query(inside(SHOW4, number()))
    agent(action, network_namespace="red", **ON_ETH0)
    assert lost.exists() is left


def test_the_namespace_that_has_the_name_now(fp, agent, blue, host):
    told = []
    host.setattr(namespace, "look_for_lost", lambda _values, _action, inode: told.append(inode))
    fp.replace("ip netns exec blue /ocf/IPaddr2 stop")
    agent("stop", network_namespace="blue", **ON_ETH0)
    agent("stop", network_namespace="red", **ON_ETH0)
    assert told == ["4026530001", ""]


def test_ipv6_is_looked_for(fp, agent, scene, lost, number):
    note = lost.with_name("IPaddr2-2001:db8::e,nic=eth0,netns=red")
    note.write_text(lost.read_text().replace("192.0.2.10/25", "2001:db8::e/64"))
    fp.install("nsenter")
    fp.query(inside(SHOW6, number()), scene.here6)
    done = agent("monitor", network_namespace="red", ip="2001:DB8::E", nic="eth0")
    assert done.rc == 7
    assert any("2001:db8::e is still on eth0 of" in line for line in done.log)


@pytest.mark.parametrize("ip, found", [
    ("2001:DB8:0::E", "2001:db8::e"), ("192.0.2.10", "192.0.2.10"), ("192.0.2.256", ""), ("", "")])
def test_the_key_that_is_looked_for(fp, make_vip, ip, found):
    values = dict(make_vip().params, ip=ip, nic="eth0:1", network_namespace="red")
    assert namespace.noted(values, "monitor") == (found, None)


@pytest.mark.parametrize("action, ip, clone, found", [
    ("stop", "192.0.2.10", "2", "192.0.2.12"), ("monitor", "192.0.2.10", "2", "192.0.2.12"),
    ("stop", "255.255.255.250", "9", ""), ("monitor", "255.255.255.250", "9", "")])
def test_the_key_of_a_clone(fp, make_vip, capfd, action, ip, clone, found):
    """As start counted it up; one past the end is nobody's, of which a stop says nothing."""
    commands.ENV["OCF_RESKEY_CRM_meta_clone"] = clone
    values = dict(make_vip().params, ip=ip, unique_clone_address="true")
    assert namespace.noted(values, action)[0] == found
    assert bool(capfd.readouterr().err) is (not found and action == "monitor")
    assert values["ip"] == ip


# --- where a namespace is --------------------------------------------------------------------


@pytest.mark.parametrize("text, plain", [
    ("/run/netns/blue", "/run/netns/blue"), ("/a\\040b", "/a b"), ("/a\\011\\012b", "/a\t\nb"),
    ("/a\\134b", "/a\\b"), ("\\040", " "), ("", ""),
    ("/\\0401", "/ 1"), ("/\\134040", "/\\040")])
def test_paths_of_mountinfo(text, plain):
    assert namespace.unescaped(text) == plain


def test_a_folder_that_cannot_be_read(tmp_path):
    assert namespace.listed(str(tmp_path / "none")) == []
    assert namespace.listed(str(tmp_path)) == []


def test_mounts(tmp_path):
    """Lines of the form that proc(5) describes."""
    path = tmp_path / "mountinfo"
    path.write_text(
        "22 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n"
        "523 22 0:4 net:[4026532269] /run/netns/blue rw shared:312 - nsfs nsfs rw\n"
        "530 22 0:4 net:[4026532269] /srv/a\\040b rw - nsfs nsfs rw\n"
        "531 22 0:4 net:[40265322690] /srv/other rw - nsfs nsfs rw\n"
        "532 22 0:4 mnt:[4026532269] /srv/mnt rw - nsfs nsfs rw\n"
        "533 22 0:4 net:[4026532269] /five\n"
        "garbage\n\n523 22 0:4 net:[4026532269]\n")
    assert namespace.mounts(str(path), "4026532269") == [
        "/run/netns/blue", "/srv/a b", "/five"]
    assert namespace.mounts(str(path), "4026532") == []
    assert namespace.mounts(str(tmp_path / "none"), "4026532269") == []


@pytest.fixture(name="proc")
def fixture_proc(tmp_path, monkeypatch):
    """A folder that stands for /proc; the paths that lead into it are looked up there."""
    real = {"open": posix.open, "stat": posix.stat, "listdir": posix.listdir}
    folder = tmp_path / "proc"
    for task in ("1/task/1", "70/task/70", "70/task/71", "self/task/1"):
        (folder / task / "ns").mkdir(parents=True)
        (folder / task / "ns" / "net").write_text(task)

    def at(path):
        return str(tmp_path) + path if str(path).startswith("/proc") else path

    for name in real:
        monkeypatch.setattr(posix, name, lambda path, *words, name=name, **more: real[name](
            at(path), *words, **more))
    return folder


def test_a_process_that_is_in_it(proc):
    """Any thread of it: each may be in another namespace."""
    for task in ("1/task/1", "70/task/71"):
        inode = str(os.stat(proc / task / "ns" / "net").st_ino)
        fd = namespace.open_lost(inode)
        try:
            assert os.read(fd, 100).decode() == task
        finally:
            os.close(fd)
    assert namespace.open_lost(str(os.stat(proc / "self/task/1/ns/net").st_ino)) == -1
    assert namespace.open_lost("1") == -1


def test_a_place_where_it_is_mounted(proc):
    """In the mount namespace of any process, and below that one's root."""
    held = proc / "70" / "root" / "srv" / "a b"
    held.parent.mkdir(parents=True)
    held.write_text("mounted")
    inode = os.stat(held).st_ino
    (proc / "1" / "mountinfo").write_text("")
    (proc / "70" / "mountinfo").write_text(
        "530 22 0:4 net:[%d] /gone rw - nsfs nsfs rw\n"
        "531 22 0:4 net:[%d] /srv/a\\040b rw - nsfs nsfs rw\n" % (inode, inode))
    fd = namespace.open_lost(str(inode))
    try:
        assert os.read(fd, 100) == b"mounted"
    finally:
        os.close(fd)


def test_processes_that_end_meanwhile(proc, monkeypatch):
    inode = str(os.stat(proc / "1/task/1/ns/net").st_ino)
    there = posix.open

    def gone(path, *words):
        if path.endswith("ns/net"):
            raise OSError(2, "No such file or directory")
        return there(path, *words)

    monkeypatch.setattr(posix, "open", gone)
    assert namespace.open_lost(inode) == -1


def test_mounts_that_come_page_by_page(tmp_path, monkeypatch):
    """A host with many containers has more of them than a page holds."""
    path, real = tmp_path / "mountinfo", posix.read
    path.write_text("".join("%d 22 0:4 net:[%d] /run/netns/n%d rw - nsfs nsfs rw\n"
                            % (number, number, number) for number in range(500)))
    monkeypatch.setattr(posix, "read", lambda fd, size: real(fd, min(size, 4096)))
    assert namespace.mounts(str(path), "499") == ["/run/netns/n499"]
