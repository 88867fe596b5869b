"""The wheel, installed into an environment of its own away from the checkout, does what README shows."""

import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def clean(folder, lent=True):
    """A new environment with the wheel in it, and its Python; `lent` borrows the packages of this one.

    A .pth file that names a folder does not process the .pth files there, so this checkout's own link is not followed.
    """
    subprocess.run([sys.executable, "-m", "venv", folder / "env"], check=True)
    python = folder / "env" / "bin" / "python"
    built = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder / "dist")]
    subprocess.run(built, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = (folder / "dist").glob("*.whl")
    install = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    if lent:
        install.append("--no-deps")
    else:
        pins = dict(re.findall(r"^(torch|transformers)(==\S+)", (ROOT / "requirements.txt").read_text(), re.M))
        subprocess.run([*install, *(name + pin for name, pin in pins.items())], check=True)
    subprocess.run([*install, str(wheel)], check=True)
    if lent:  # behind the installation, lest pip take the lent emokit for the wheel's
        found = run(python, folder, "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
        (Path(found) / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


def run(python, folder, code, *arguments):
    """What a program prints, run in an empty folder without this environment's variables for Python."""
    (folder / "empty").mkdir(exist_ok=True)
    env = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")} | {"TQDM_DISABLE": "1"}
    command = [str(python), *(arguments or ("-c", code))]
    done = subprocess.run(command, cwd=folder / "empty", env=env, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    return done.stdout


def check(python, folder):
    """The installed package is the wheel's; it reads its stories and prints what README says."""
    where = run(python, folder, "import emokit; print(emokit.__file__)")
    assert Path(where.strip()).is_relative_to(folder / "env")
    counted = "import emokit; print(len(emokit.load_stories()), len(emokit.load_messages()))"
    assert run(python, folder, counted) == "384 96\n"
    assert "0 findings" in run(python, folder, "", "-m", "emokit", "lint")
    code, shown = re.search(r"```python\n(.*?)```\n\n```text\n(.*?)```", README, re.S).groups()
    printed, shown = run(python, folder, code).splitlines(), shown.splitlines()
    assert [printed[0], printed[1], printed[-1]] == [shown[0], shown[1], shown[-1]]  # other CPUs may round text apart


@pytest.mark.truth
def test_the_installed_wheel_runs_readmes_eight_lines(tmp_path):
    check(clean(tmp_path), tmp_path)
