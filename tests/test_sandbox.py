"""The sandbox against hostile programs; where there is no bubblewrap, those tests are skipped by name."""

import os
import socket
import subprocess
import sys
import textwrap
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from emokit import EmokitError
from emokit.experiments import sandbox

needs_bubblewrap = pytest.mark.skipif(bool(sandbox.missing()), reason=f"needs bubblewrap: {sandbox.missing()}")
LONG = 30.0  # seconds: more than any of these programs needs, on a busy machine too


def run(code, timeout=LONG, **options):
    return sandbox.run(textwrap.dedent(code), timeout, **options)


def running(mark):
    """The processes of this machine that have a mark in their command line."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if mark.encode() in path.read_bytes():
                found.append(path.parent.name)
        except OSError:
            continue
    return found


def gone(mark):
    deadline = time.monotonic() + 10
    while running(mark) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not running(mark)


@needs_bubblewrap
class TestInnocent:
    def test_its_output_exit_code_and_files_come_back(self):
        ran = run(
            """
            import sys, os
            import helper
            print(helper.answer, open("data/numbers.txt").read())
            print("careful", file=sys.stderr)
            os.makedirs("out")
            open("out/result.txt", "w").write("done: ä")
            sys.exit(3)
            """,
            files={"helper.py": "answer = 42", "data/numbers.txt": "1 2 3"},
        )
        assert (ran.stdout, ran.stderr, ran.returncode) == ("42 1 2 3\n", "careful\n", 3)
        assert (ran.timed_out, ran.cut, ran.ok) == (False, False, False)
        assert ran.files["out/result.txt"] == "done: ä"
        assert ran.files["helper.py"] == "answer = 42"
        assert "main.py" not in ran.files
        assert run("print('fine')").ok

    def test_the_standard_library_threads_and_a_child_work(self):
        ran = run(
            """
            import json, subprocess, sys, threading, tempfile
            t = threading.Thread(target=print, args=("thread",)); t.start(); t.join()
            print(subprocess.run([sys.executable, "-c", "print('child')"], capture_output=True, text=True).stdout.strip())
            print(tempfile.gettempdir())
            """
        )
        assert ran.stdout.split() == ["thread", "child", "/tmp"], ran

    def test_every_run_begins_anew(self):
        run("open('left.txt', 'w').write('x')")
        assert run("import os; print(os.listdir('.'))").stdout == "['main.py']\n"

    def test_nothing_is_left_on_this_machine(self):
        mark = uuid.uuid4().hex
        run(f"open('/tmp/{mark}', 'w').write('x')")
        assert not list(Path("/tmp").glob(f"*{mark}*"))


@needs_bubblewrap
class TestLimits:
    def test_time(self):
        ran = run("print('begun', flush=True)\nwhile True: pass", timeout=2)
        assert (ran.stdout, ran.returncode, ran.timed_out) == ("begun\n", None, True)
        assert ran.seconds < 10

    def test_a_program_that_sleeps_or_closes_its_output_ends_too(self):
        for code in ("import time; time.sleep(1000)", "import os, time; os.close(1); os.close(2); time.sleep(1000)"):
            assert run(code, timeout=1).timed_out

    def test_memory(self):
        ran = run("x = bytearray(2_000_000_000); print(len(x))")
        assert "MemoryError" in ran.stderr
        assert run("x = bytearray(200_000_000); print(len(x))").stdout == "200000000\n"
        assert "MemoryError" in run("x = bytearray(200_000_000)", memory=100).stderr

    def test_processes_a_fork_bomb_ends_with_everything(self):
        mark = "m" + uuid.uuid4().hex
        ran = run(
            f"""
            import os, sys, time
            mark = "{mark}"
            count = 0
            try:
                for _ in range(500):
                    if os.fork() == 0:
                        time.sleep(1000)
                    count += 1
            except OSError as error:
                print(count, type(error).__name__, flush=True)
            while True:
                try:
                    os.fork()
                except OSError:
                    pass
            """,
            timeout=4,
        )
        count, error = ran.stdout.split()
        assert int(count) < sandbox.PROCESSES
        assert error == "BlockingIOError"
        assert ran.timed_out
        assert gone("main.py")

    def test_endless_output_is_cut_and_the_program_stopped(self):
        for stream in ("stdout", "stderr"):
            ran = run(f"import sys\nwhile True: sys.{stream}.write('all work and no play ' * 100)")
            text = getattr(ran, stream)
            assert (ran.cut, ran.timed_out, ran.returncode) == (True, False, None)
            assert text.endswith(sandbox.CUT)
            assert len(text) == sandbox.OUTPUT + len(sandbox.CUT)

    def test_files(self):
        ran = run(
            """
            import os, signal
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            for number in range(20):
                try:
                    with open(f"{number}.bin", "wb") as file:
                        for _ in range(40):
                            file.write(bytes(1_000_000))
                except OSError as error:
                    print(error.strerror)
            print(sum(os.path.getsize(name) for name in os.listdir(".")))
            """
        )
        assert {"File too large", "No space left on device"} <= set(ran.stdout.splitlines())
        assert int(ran.stdout.split()[-1]) <= sandbox.DISK << 20

    def test_what_is_read_back_is_bounded(self):
        ran = run(
            """
            for number in range(3000):
                open(f"{number}.txt", "w").write("x" * 50)
            """
        )
        assert 0 < len(ran.files) <= sandbox.BACK[0]
        ran = run("for number in range(5): open(f'{number}.txt', 'w').write('x' * 900_000)")
        assert sum(map(len, ran.files.values())) <= sandbox.BACK[1]


@needs_bubblewrap
class TestIsolation:
    def test_the_environment_is_empty_and_the_home_not_there(self, monkeypatch, tmp_path):
        monkeypatch.setenv("EMOKIT_SECRET", "hunter2")
        secret = tmp_path / "secret.txt"
        secret.write_text("hunter2")
        home = Path.home() / f".emokit-test-{uuid.uuid4().hex}"
        home.write_text("hunter2")
        try:
            ran = run(
                f"""
                import glob, os
                print(dict(os.environ))
                for path in ["/proc/self/environ", "/proc/1/environ", *glob.glob("/proc/[0-9]*/environ")]:
                    try:
                        print(open(path).read())
                    except OSError:
                        pass
                for path in ({str(secret)!r}, {str(home)!r}, "/etc/shadow", "/root/.ssh", "/home", os.path.expanduser("~/.bashrc")):
                    print(os.path.exists(path))
                """
            )
        finally:
            home.unlink()
        assert ran.ok, ran.stderr
        assert "hunter2" not in ran.stdout
        assert ran.stdout.split()[-6:] == ["False"] * 6

    def test_it_can_write_nowhere_else(self):
        ran = run(
            """
            import os, sys
            found = []
            for folder, _, names in os.walk("/"):
                if folder.startswith(("/proc", "/tmp")):
                    continue
                if os.access(folder, os.W_OK):
                    found.append(folder)
                    try:
                        open(folder + "/emokit-was-here", "w").close()
                        print("wrote in", folder)
                    except OSError:
                        pass
            for path in (os.__file__, sys.executable, "/usr/bin/env", "/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger"):
                try:
                    open(path, "ab").close()
                    print("opened", path)
                except OSError:
                    pass
            print("end")
            """
        )
        assert ran.stdout == "end\n"
        assert not Path("/usr/emokit-was-here").exists()

    def test_no_socket_reaches_a_listener(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.settimeout(0.5)
            ran = run(
                f"""
                import socket
                for family, address in ((socket.AF_INET, ("127.0.0.1", {listener.getsockname()[1]})), (socket.AF_INET, ("1.1.1.1", 53))):
                    try:
                        socket.socket(family).connect(address)
                        print("connected")
                    except OSError as error:
                        print(type(error).__name__)
                """
            )
            with pytest.raises(TimeoutError):
                listener.accept()
        assert "connected" not in ran.stdout
        assert len(ran.stdout.split()) == 2

    def test_no_abstract_socket_either(self):
        name = "\0emokit-" + uuid.uuid4().hex
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(name)
            listener.listen()
            ran = run(f"import socket; socket.socket(socket.AF_UNIX).connect({name!r})")
        assert "ConnectionRefusedError" in ran.stderr

    def test_killing_its_parents_harms_nobody_else(self):
        ran = run(
            """
            import os
            for pid in (os.getppid(), 1, -1):
                try:
                    os.kill(pid, 9)
                except OSError:
                    pass
            """
        )
        assert not ran.timed_out
        assert run("print('still here')").stdout == "still here\n"

    def test_it_sees_only_its_own_processes(self):
        ran = run("import os; print(*[p for p in os.listdir('/proc') if p.isdigit()])")
        assert len(ran.stdout.split()) <= 4
        assert str(os.getpid()) not in ran.stdout.split() or os.getpid() < 10

    def test_it_is_an_ordinary_user_without_capabilities_or_namespaces(self):
        ran = run(
            """
            import ctypes, os
            status = dict(line.split(":", 1) for line in open("/proc/self/status"))
            print(os.getuid() != 0 or os.stat("/usr").st_uid != 0, int(status["CapEff"], 16), int(status["CapPrm"], 16), int(status["NoNewPrivs"]))
            libc = ctypes.CDLL(None, use_errno=True)
            print(libc.unshare(0x10000000))
            """
        )
        assert ran.stdout.split() == ["True", "0", "0", "1", "-1"], ran

    def test_links_lead_nowhere(self, tmp_path):
        secret = tmp_path / "secret.txt"
        secret.write_text("hunter2")
        ran = run(
            f"""
            import os
            os.symlink({str(secret)!r}, "link.txt")
            os.symlink({str(tmp_path)!r}, "folder")
            os.symlink("/", "root")
            os.symlink("loop", "loop")
            os.mkfifo("pipe.txt")
            os.remove("tests.py")
            os.symlink({str(secret)!r}, "tests.py")
            open("honest.txt", "w").write("kept")
            open("closed.txt", "w").write("x"); os.chmod("closed.txt", 0)
            os.makedirs("a/b/c/d/e/f/g")
            print(os.path.exists("link.txt"), os.path.exists("folder"))
            """,
            files={"tests.py": "assert True"},
        )
        assert ran.stdout == "False False\n"
        assert "hunter2" not in str(ran.files)
        assert set(ran.files) - {"closed.txt"} == {"honest.txt"}

    def test_a_child_does_not_outlive_it(self):
        child = "import os, sys, time; os.setsid(); [os.close(i) for i in (0, 1, 2)]; time.sleep(1000)"
        for end, timeout in (("", LONG), ("time.sleep(1000)", 3)):
            mark = uuid.uuid4().hex
            ran = run(
                f"""
                import subprocess, sys, time
                subprocess.Popen([sys.executable, "-c", {child!r}, "{mark}"], start_new_session=True)
                time.sleep(0.3)
                print("left", flush=True)
                {end}
                """,
                timeout=timeout,
            )
            assert ran.stdout == "left\n"
            assert gone(mark)

    def test_it_ends_when_we_are_killed(self):
        mark = uuid.uuid4().hex
        inside = (
            f"import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(1000)', '{mark}'])"
        )
        outside = f"from emokit.experiments import sandbox; sandbox.run({inside!r}, timeout=600)"
        with subprocess.Popen([sys.executable, "-c", outside]) as process:
            deadline = time.monotonic() + 60
            while not running(f"time.sleep(1000)\0{mark}") and time.monotonic() < deadline:
                time.sleep(0.1)
            assert running(f"time.sleep(1000)\0{mark}")
            process.kill()
        assert gone(f"time.sleep(1000)\0{mark}")


def test_where_bubblewrap_works_the_sandbox_does():
    """So that a sandbox that is broken here does not just skip its tests."""
    try:
        call = "bwrap --unshare-all --unshare-user --disable-userns --ro-bind / / true"
        works = subprocess.run(call.split(), capture_output=True, timeout=60).returncode == 0
    except OSError:
        works = False
    if not works:
        pytest.skip("needs bubblewrap 0.8 that may make namespaces")
    assert sandbox.missing() == ""


@needs_bubblewrap
@pytest.mark.skipif(os.geteuid() != 0, reason="the other tests run as an ordinary user already")
def test_an_ordinary_user_has_the_same_sandbox():
    code = """
import ctypes, os, time
for path in ("/new", "/dev/shm/new", "/usr/new", "/etc/new"):
    try:
        open(path, "w").close()
        print("wrote", path)
    except OSError:
        pass
print(ctypes.CDLL(None).unshare(0x10000000))
count = 0
try:
    while True:
        if os.fork() == 0:
            time.sleep(100)
        count += 1
except OSError:
    print(count < 16, flush=True)
"""
    script = f"from emokit.experiments import sandbox; ran = sandbox.run({code!r}); print(ran.stdout.split(), ran.returncode)"
    options = dict(
        capture_output=True, text=True, timeout=100, user=65533, group=65533, extra_groups=[], cwd="/",
        env={"PYTHONPATH": str(Path(sandbox.__file__).parents[2]), "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    python = ["/usr/bin/python3", "-B", "-c"]
    try:
        ready = subprocess.run([*python, "from emokit.experiments import sandbox; print(sandbox.missing())"], **options)
    except OSError:
        pytest.skip("needs a Python that an ordinary user can start")
    if ready.stdout != "\n":
        pytest.skip(f"needs bubblewrap for an ordinary user too: {(ready.stdout + ready.stderr)[-200:]}")
    done = subprocess.run([*python, script], **options)
    assert done.stdout == "['-1', 'True'] 0\n", done.stderr


class TestWithout:
    @pytest.fixture(autouse=True)
    def no_bubblewrap(self, monkeypatch):
        sandbox.missing.cache_clear()
        monkeypatch.setenv("PATH", "/nowhere")
        yield
        sandbox.missing.cache_clear()

    def test_it_refuses_and_says_how_to_install(self, tmp_path):
        with pytest.raises(EmokitError, match=r"not run .*bubblewrap.*apt install bubblewrap.*i_accept_the_risk"):
            sandbox.run(f"open({str(tmp_path / 'x')!r}, 'w').write('x')")
        assert not (tmp_path / "x").exists()

    def test_at_ones_own_risk_the_limits_still_hold(self, monkeypatch):
        monkeypatch.setenv("EMOKIT_SECRET", "hunter2")
        ran = run(
            "import os, tests; print(os.environ.get('EMOKIT_SECRET'), tests.x); open('out.txt', 'w').write('y')",
            files={"tests.py": "x = 5"},
            i_accept_the_risk=True,
        )
        assert ran.stdout == "None 5\n"
        assert ran.files == {"tests.py": "x = 5", "out.txt": "y"}
        assert run("while True: pass", timeout=1, i_accept_the_risk=True).timed_out
        assert run("while True: print('x' * 1000)", i_accept_the_risk=True).cut
        if sys.platform == "linux":
            assert "MemoryError" in run("x = bytearray(2_000_000_000)", i_accept_the_risk=True).stderr

    def test_other_systems_and_a_broken_one_are_told(self, monkeypatch, tmp_path):
        fake = tmp_path / "bwrap"
        fake.write_text("#!/bin/sh\necho --disable-userns\necho no permission >&2\nexit 1\n")
        fake.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
        with pytest.raises(EmokitError, match="does not work here.*no permission"):
            sandbox.run("print(1)")
        sandbox.missing.cache_clear()
        fake.write_text("#!/bin/sh\necho old\n")
        assert "older" in sandbox.missing()
        sandbox.missing.cache_clear()
        monkeypatch.setattr(sys, "platform", "darwin")
        assert "Linux" in sandbox.missing()


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x", "", "main.py", "./x", "a\0b", 5])
def test_names_that_lead_outside_are_refused(name):
    with pytest.raises(EmokitError, match="name"):
        sandbox.run("1", files={name: "x"})


@pytest.mark.parametrize(
    ("arguments", "what"),
    [((5,), "program"), (("1", 0), "timeout"), (("1", "x"), "timeout"), (("1", 5, ["a"]), "dictionary"), (("1", 5, {"a": 3}), "file")],
)  # fmt: skip
def test_bad_arguments(arguments, what):
    with pytest.raises(EmokitError, match=what):
        sandbox.run(*arguments)


def test_a_bad_memory_limit():
    with pytest.raises(EmokitError, match="memory"):
        sandbox.run("1", memory=1)


@needs_bubblewrap
def test_many_at_once_do_not_share_a_limit():
    code = "import time; time.sleep(2); import threading; t = [threading.Thread(target=time.sleep, args=(0.5,)) for _ in range(8)]; [x.start() for x in t]; print('fine')"
    with ThreadPoolExecutor(4) as pool:
        assert [ran.stdout for ran in pool.map(run, [code] * 4)] == ["fine\n"] * 4
