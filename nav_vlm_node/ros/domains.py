"""A ROS 2 domain of one's own, on a machine where others run ROS 2 too."""

from __future__ import annotations

import socket
from collections.abc import Sequence

LAST_PARTICIPANT = 110  # of a domain: nobody starts so many, so its port can stand for a claim on the domain


def claim_domain(domains: Sequence[int]) -> tuple[socket.socket, int] | None:
    """The first of `domains` that nobody on this machine uses, and what keeps other claims off until it is closed.

    None if all are in use. Ports by RTPS 2.2, 9.6.1.1: 7400 + 250 * domain + 10 is where the first participant of a
    domain is found.
    """
    for domain in domains:
        base = 7400 + 250 * domain
        claim = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            claim.bind(("127.0.0.1", base + 10 + 2 * LAST_PARTICIPANT))
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                probe.bind(("", base + 10))
        except OSError:
            claim.close()
            continue
        return claim, domain
    return None
