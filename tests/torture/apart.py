"""Run commands in a mount namespace of their own, where something is missing: ``python apart.py JSON``.

``hide``: paths of programs that are not there. ``bind``: [what, over which path]. ``tmpfs``: [path, options].
``links``: [folder, {name: target}], in a copy of the folder. ``commands``: run one after the other; answers
a JSON list of [exit code, output, errors].
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile

PATIENCE = 100


def mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


def main() -> None:
    wanted = json.loads(sys.argv[1])
    if not wanted.get("apart"):
        wanted["apart"] = True
        command = ["unshare", "-m", "--propagation", "private", sys.executable, __file__, json.dumps(wanted)]
        sys.exit(subprocess.run(command, check=False).returncode)
    for path in wanted.get("hide", ()):
        mount("--bind", "/dev/null", path)
    for source, path in wanted.get("bind", ()):
        mount("--bind", source, path)
    for folder, links in wanted.get("links", ()):
        with tempfile.TemporaryDirectory() as copy:
            shutil.copytree(folder, copy, symlinks=True, dirs_exist_ok=True)
            for name, target in links.items():
                os.unlink(f"{copy}/{name}")
                os.symlink(target, f"{copy}/{name}")
            mount("-t", "tmpfs", "netlab-torture", folder)
            shutil.copytree(copy, folder, symlinks=True, dirs_exist_ok=True)
    for path, options in wanted.get("tmpfs", ()):
        mount("-t", "tmpfs", "-o", options, "netlab-torture", path)
    answers = []
    for command in wanted["commands"]:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=PATIENCE
        )
        answers.append([done.returncode, done.stdout, done.stderr])
    print(json.dumps(answers))


if __name__ == "__main__":
    main()
