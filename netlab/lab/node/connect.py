"""What connections cost: a program that runs in a node of a lab.

``python -m netlab.lab.node.connect connect ADDRESS PORT COUNT`` makes connections one after the other, each
with a request that is answered, and prints the seconds of each as JSON. ``… usage NAME`` prints how often the
process of this name in the lab was woken, and its CPU time in seconds.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from pathlib import Path

#: Seconds until an answer is given up.
_PATIENCE = 60.0


def connect(address: str, port: int, count: int) -> list[float]:
    """The seconds that each of ``count`` connections took, from its beginning to the end of the answer."""
    took = []
    for _ in range(count):
        begin = time.perf_counter()
        with socket.create_connection((address, port), timeout=_PATIENCE) as connection:
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            while connection.recv(65536):
                pass
        took.append(time.perf_counter() - begin)
    return took


def usage(name: str) -> dict[str, float]:
    """The voluntary context switches and the CPU time of the processes of this name; zeroes without any."""
    woken, cpu = 0, 0.0
    for folder in Path("/proc").iterdir():
        try:
            if not folder.name.isdigit() or (folder / "comm").read_text().strip() != name:
                continue
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            for task in (folder / "task").iterdir():
                status = (task / "status").read_text()
                woken += int(status.partition("\nvoluntary_ctxt_switches:")[2].split()[0])
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has just ended
        cpu += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return {"woken": woken, "cpu": cpu}


def main(argv: list[str]) -> None:
    """Do what the arguments say, and print the result as JSON."""
    if argv[0] == "connect":
        print(json.dumps(connect(argv[1], int(argv[2]), int(argv[3]))))
    else:
        print(json.dumps(usage(argv[1])))


if __name__ == "__main__":
    main(sys.argv[1:])
