"""A program that asks a server as whom it sees the asker."""

#: Asks a TCP or UDP server of netlab's, and prints what came of it: the source that it saw and whether it has
#: the socket's port, or the error.
ASK = r"""
import socket, sys
address, port, protocol = sys.argv[1], int(sys.argv[2]), sys.argv[3]
family = socket.AF_INET6 if ":" in address else socket.AF_INET
with socket.socket(family, socket.SOCK_DGRAM if protocol == "udp" else socket.SOCK_STREAM) as sock:
    sock.settimeout(3)
    try:
        sock.connect((address, port))
        sock.sendall(b"x\n" if protocol == "udp" else b"GET / HTTP/1.0\r\n\r\n")
        answer = sock.recv(4096)
        while protocol == "tcp" and (more := sock.recv(4096)):
            answer += more
        words = answer.decode().split()
        peer, number = words[words.index("peer") + 1 :][:2]
        print("ok", peer, "same port" if int(number) == sock.getsockname()[1] else "other port")
    except OSError as error:
        print(type(error).__name__)
"""
