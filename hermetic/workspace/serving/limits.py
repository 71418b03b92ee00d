"""Who a client is, and how much one client may ask for."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from hermetic.errors import UsageError

UNKNOWN = "unknown"
_MOST_CLIENTS = 10_000
"""Clients that are remembered; who was quiet longest is forgotten first, which is to that client's good."""
_MOST_HOPS = 20


@dataclass
class RateLimit:
    """Requests that one client may make: ``rate`` a second in the long run, ``burst`` at once; 0 is no limit."""

    rate: float
    burst: int
    _buckets: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict, repr=False)

    def wait(self, client: str, now: float) -> float:
        """Count a request at ``now`` (seconds of a clock that never goes back); give the seconds to wait, 0 to go on.

        A request that is refused is not counted, so waiting always helps.
        """
        if not self.rate:
            return 0.0
        tokens, then = self._buckets.pop(client, (float(self.burst), now))
        tokens = min(float(self.burst), tokens + (now - then) * self.rate)
        wait = 0.0 if tokens >= 1 else (1 - tokens) / self.rate
        self._buckets[client] = (tokens if wait else tokens - 1, now)
        if len(self._buckets) > _MOST_CLIENTS:
            self._buckets.popitem(last=False)
        return wait


@dataclass(frozen=True)
class Proxies:
    """The proxies whose word on a client's address is taken."""

    networks: tuple[IPv4Network | IPv6Network, ...] = ()

    @classmethod
    def parse(cls, texts: Iterable[str]) -> Proxies:
        """Read addresses and networks (``127.0.0.1``, ``10.0.0.0/8``). Raises UsageError."""
        found = []
        for text in texts:
            try:
                found.append(ip_network(text))
            except ValueError:
                raise UsageError(
                    f"{text[:80]!r} is no address of a proxy", remedy="write 127.0.0.1, or a network: 10.0.0.0/8"
                ) from None
        return cls(tuple(found))

    def __contains__(self, address: str) -> bool:
        try:
            plain = _plain(address)
        except ValueError:
            return False
        return any(plain in network for network in self.networks)

    def client(self, peer: str, forwarded: Iterable[str]) -> str:
        """Give whom a request is counted for: the peer, or, if that is a trusted proxy, whom it names.

        ``forwarded`` are the values of ``X-Forwarded-For``, read from their end, where the nearest proxy writes. The
        first address that is no trusted proxy's is the client's; what stands before it is anybody's word.
        """
        if peer in self:
            for name in reversed(",".join(forwarded).split(",")[-_MOST_HOPS:]):
                try:
                    peer = str(_plain(name.strip()))
                except ValueError:
                    break  # the proxy passed on what it was given, which is no address
                if peer not in self:
                    break
        return counted(peer)


def _plain(address: str) -> IPv6Address | object:
    found = ip_address(address)
    return found.ipv4_mapped or found if isinstance(found, IPv6Address) else found


def counted(address: str) -> str:
    """Give what an address is counted under: of IPv6 the network, because a client has all of a /64."""
    try:
        plain = _plain(address)
    except ValueError:
        return UNKNOWN
    return str(IPv6Network((plain, 64), strict=False)) if isinstance(plain, IPv6Address) else str(plain)
