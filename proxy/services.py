"""What all requests share that begin under the same settings."""

from dataclasses import dataclass

from proxy.admission import Admission
from proxy.core.weights import Weights
from proxy.discovery import Discovery
from proxy.identity import Identity
from proxy.metrics import Metrics
from proxy.settings import Settings
from proxy.upstream.pool import Upstream


@dataclass(frozen=True, slots=True)
class Services:
    """The parts of the house, by what they are for."""

    settings: Settings
    identity: Identity
    upstream: Upstream
    discovery: Discovery
    weights: Weights
    admission: Admission
    metrics: Metrics
