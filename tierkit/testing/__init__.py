"""What plugin authors test with: a network in memory, and a conformance check for networks of their own.

Nothing here imports a test framework.
"""

from ._check_connection import ENDING as _ENDING
from ._check_connection import MOVING as _MOVING
from ._check_connection import READING as _READING
from ._check_network import LISTENING as _LISTENING
from ._check_network import Ground as Ground
from ._check_network import check_network as check_network
from ._check_network import pattern as pattern
from ._check_network import read_exactly as read_exactly
from ._memory import Dialled as Dialled
from ._memory import Fault as Fault
from ._memory import MemoryNetwork as MemoryNetwork
from .counting import open_counting_proxy as open_counting_proxy

#: Every check of `check_network`, for running them one by one.
NETWORK_CHECKS = (*_LISTENING, *_MOVING, *_READING, *_ENDING)
